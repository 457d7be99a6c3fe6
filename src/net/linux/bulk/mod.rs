//! Batches: the ways to send and to hear of a sweep.
//!
//! | file | what it does |
//! |---|---|
//! | [`xdp`] | sends frames by an AF_XDP socket |
//! | [`packet`] | sends frames by a packet socket |
//! | [`raw`] | sends IP packets that the kernel routes |
//! | [`ring`] | hears what arrives, from memory shared with the kernel |
//! | [`hook`] | hears what arrives at the interface itself, by an XDP program |
//! | [`link`] | the header that a frame begins with on the way to a target |
//! | [`neighbour`] | hardware addresses, by the kernel's own table |
//! | [`routes`] | whether all targets leave the same way |
//! | [`spare`] | a source address that is nobody's |
//! | [`discards`] | what an interface dropped of what it was given to send |
//! | [`paths`] | which of the three ways to send there are here |
//! | [`filter`] | what is heard about a spare address |
//! | `questions` | ARP and neighbour discovery about it |
//! | `records` | the packets in a block of the ring |
//! | `refusal` | why the kernel did not take a frame |
//! | `netlink` | asks the kernel about routes and neighbours |
//! | `batch`, `mapping`, `xsk` | the system calls and the shared memory |

mod batch;
pub mod discards;
pub mod filter;
pub mod hook;
pub mod link;
mod mapping;
pub mod neighbour;
mod netlink;
pub mod packet;
pub mod paths;
mod questions;
pub mod raw;
mod records;
mod refusal;
pub mod ring;
pub mod routes;
pub mod spare;
pub mod xdp;
mod xsk;
