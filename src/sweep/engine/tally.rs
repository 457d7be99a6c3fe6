//! Counts beside the ledger's: what was no answer, what came twice, how connections ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Found, SweepCloses, SweepOutcome};
use crate::sweep::plan::Credit;

/// What is counted of what arrives. A checkpoint keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Packets to our ports that proved nothing, by the reason.
    pub rejected: BTreeMap<String, u64>,
    /// RSTs that this host's kernel sent from our ports.
    pub own_resets: u64,
    /// Targets that a firewall spoke for.
    pub prohibited: u64,
    /// Whole connections by how they ended.
    pub closed: u64,
    /// Our FIN was acknowledged, theirs never came.
    pub still_open: u64,
    /// Our FIN was ignored.
    pub fin_ignored: u64,
    /// The peer reset it.
    pub reset: u64,
    /// With a banner.
    pub banners: u64,
}

impl Tally {
    /// Counts a packet that is no answer.
    pub(super) fn reject(&mut self, why: &'static str) {
        match self.rejected.get_mut(why) {
            Some(count) => *count += 1,
            None => drop(self.rejected.insert(why.to_owned(), 1)),
        }
    }

    /// Counts an answer that says nothing new.
    pub(super) fn repeat(&mut self, credit: Credit) {
        if credit == Credit::Unasked {
            self.reject("unasked");
        }
    }

    /// Counts how a whole connection ended.
    pub(super) fn close(&mut self, found: &Found) {
        let count = match found.outcome {
            SweepOutcome::Closed => &mut self.closed,
            SweepOutcome::StillOpen => &mut self.still_open,
            SweepOutcome::FinIgnored => &mut self.fin_ignored,
            SweepOutcome::Reset => &mut self.reset,
            _ => return,
        };
        *count += 1;
        self.banners += u64::from(found.banner.is_some());
    }

    /// Whole connections by how they ended.
    pub(super) const fn closes(&self) -> SweepCloses {
        SweepCloses {
            closed: self.closed,
            still_open: self.still_open,
            fin_ignored: self.fin_ignored,
            reset: self.reset,
            banners: self.banners,
        }
    }
}
