//! The Linux backend.
//!
//! | file | what it does |
//! |---|---|
//! | [`route`] | which interface, source address and MTU lead to a target |
//! | [`privilege`] | finds and raises `CAP_NET_RAW`, and drops everything afterwards |
//! | [`guard`] | keeps the kernel's own TCP silent on our ports |
//! | [`filter`] | the capture's classic BPF program |
//! | [`capture`] | packets of both directions with the kernel's stamps |
//! | [`raw`] | sends packets as we built them |
//! | [`bulk`] | sends and hears them by the hundred thousand |
//! | [`clock`] | wall-clock stamps on the monotonic axis |
//! | [`choice`] | which clock is wanted, and which an interface has |
//! | [`hardware`] | an interface's own stamps on the monotonic axis |
//! | [`departures`] | the hardware's stamps of leaving, joined with the packets |
//! | [`stamping`] | switches those stamps on |
//! | [`descriptors`] | how many ports can be guarded |
//! | [`signals`] | SIGINT and its family as events |
//! | [`listening`] | a wire that waits for others to open |
//! | [`places`] | the addresses that this host has |
//! | [`wire`] | joins them into a [`Wire`](super::Wire) |
//! | [`namespace`] | a private network for the demo and the tests |
//! | [`doctor`] | what this host can do |
//! | `cards` | joins hardware stamps with what was captured |
//! | `undertaker` | closes the capture without waiting |
//! | `control` | reads the control messages that come with a packet |
//! | `sys` | the system calls that no safe crate offers |

pub mod bulk;
pub mod capture;
mod cards;
pub mod choice;
pub mod clock;
mod control;
pub mod departures;
pub mod descriptors;
pub mod doctor;
pub mod filter;
pub mod guard;
pub mod hardware;
pub mod listening;
pub mod namespace;
pub mod places;
pub mod privilege;
pub mod raw;
pub mod route;
pub mod signals;
pub mod stamping;
mod sys;
mod undertaker;
pub mod wire;

pub use capture::DropCounter;
pub use choice::{ClockChoice, ClockError, HardwareStamps};
pub use clock::ClockStep;
pub use guard::{Guard, GuardChoice, GuardError};
pub use listening::ListenPlan;
pub use places::Place;
pub use route::{Interface, LinkKind, Route, RouteError, RouteOptions, route_to};
pub use stamping::Stamping;
pub use wire::{LinuxWire, OpenError, OpenPlan};
