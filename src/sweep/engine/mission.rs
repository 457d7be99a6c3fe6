//! What is the same for a whole sweep: the targets and their order, and what is asked of each.

use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use crate::event::SweepMethod;
use crate::sweep::conversation;
use crate::sweep::cookie::Cookie;
use crate::sweep::space::{Space, Target};
use crate::sweep::stamp::StampClock;
use crate::sweep::template::Offer;
use crate::sweep::walk::Walk;

/// Our addresses, one of each family that is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sources {
    /// For IPv4 targets.
    pub v4: Option<IpAddr>,
    /// For IPv6 targets.
    pub v6: Option<IpAddr>,
}

impl Sources {
    /// That from which `target` is asked.
    #[must_use]
    pub const fn toward(&self, target: IpAddr) -> Option<IpAddr> {
        if target.is_ipv4() { self.v4 } else { self.v6 }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<IpAddr> {
        self.v4.into_iter().chain(self.v6).collect()
    }
}

/// What a sweep is to do. Fixed before the first SYN.
#[derive(Debug)]
pub struct Mission {
    /// The targets.
    pub space: Space,
    /// Their order.
    pub walk: Walk,
    /// The positions of this run.
    pub positions: Range<u64>,
    /// Where our initial sequence numbers come from.
    pub cookie: Cookie,
    /// Our addresses.
    pub sources: Sources,
    /// Our ports, at least one.
    pub ports: Vec<u16>,
    /// The clock behind our timestamps.
    pub stamps: StampClock,
    /// What the SYN offers.
    pub offer: Offer,
    /// What is done with those that answer.
    pub method: SweepMethod,
    /// How whole connections are conducted.
    pub conversation: conversation::Config,
    /// Whether half-open connections are reset.
    pub reset: bool,
    /// How long each step of a connection may take.
    pub patience: Duration,
}

impl Mission {
    /// The target at a position.
    #[must_use]
    pub fn target_at(&self, position: u64) -> Target {
        self.space.target(self.walk.index_at(position))
    }

    /// The position of a target, where it is one of this run's.
    #[must_use]
    pub fn position_of(&self, target: Target) -> Option<u64> {
        let position = self.walk.position_of(self.space.index_of(target)?);
        self.positions.contains(&position).then_some(position)
    }

    /// The port from which a target is asked.
    #[must_use]
    pub fn port_for(&self, target: Target) -> u16 {
        self.ports[self.cookie.pick(target, self.ports.len())]
    }
}
