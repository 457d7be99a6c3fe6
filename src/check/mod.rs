//! The conformance battery: how a server opens, closes and aborts connections, clause by clause.
//!
//! A check is a [`CheckInfo`] and a script. The script is an `async` function over a [`Lab`]: it
//! sends what the check's line in the specification says, waits for one of the answers that may come,
//! and returns a [`Finding`](crate::event::Finding). Nothing but what arrived, and when, decides: the
//! same arrivals at the same times give the same verdict, so that a recorded trace replays.
//!
//! Scripts do not send through [`Connection`](crate::tcp::Connection): nearly every segment of a check
//! is one that a correct end would never send, after which the machine would count from other
//! numbers than the far end does. They count SND.NXT and RCV.NXT themselves.
//!
//! All scripts share one thread and one wire. The [`Engine`] polls them; none blocks.

mod canary;
mod engine;
pub mod families;
pub mod finding;
pub mod lab;
mod profile;
mod registry;
mod replay;

pub use engine::{Engine, Plan};
pub use lab::{Core, Lab, Setting, Stand};
pub use registry::{all, by_id};
pub use replay::replay;

use self::finding::Ruling;
use self::lab::Running;
use crate::event::CheckInfo;

/// A check.
#[derive(Clone, Copy)]
pub struct Check {
    /// What is known before it runs.
    pub info: CheckInfo,
    /// How it goes.
    pub script: fn(Lab) -> Running<'static, Ruling>,
}

/// A check whose script is the `async` function of that name.
macro_rules! check {
    ($name:ident, $script:ident, $info:expr) => {
        pub(crate) static $name: crate::check::Check =
            crate::check::Check { info: $info, script: |lab| Box::pin($script(lab)) };
    };
}
pub(crate) use check;
