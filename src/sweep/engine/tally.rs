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
    /// What this host lost before this process went on with the sweep.
    #[serde(default)]
    pub host: HostLosses,
}

/// What this host lost itself, and what it did about that.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HostLosses {
    /// Packets that came faster than they were fetched.
    pub drops: u64,
    /// Frames that the interface took and dropped without a word.
    pub discarded: u64,
    /// SYNs that were sent again for it.
    pub mended: u64,
    /// Frames that the kernel would not take, by the reason.
    pub troubles: BTreeMap<String, u64>,
}

impl HostLosses {
    /// These and those.
    #[must_use]
    pub fn and(mut self, more: &Self) -> Self {
        self.drops += more.drops;
        self.discarded += more.discarded;
        self.mended += more.mended;
        for (why, count) in &more.troubles {
            *self.troubles.entry(why.clone()).or_default() += count;
        }
        self
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_host_lost_is_added_up_over_the_parts_of_a_sweep() {
        let part = |drops, why: &str| HostLosses {
            drops,
            discarded: 2,
            mended: 1,
            troubles: [(why.to_owned(), 5)].into(),
        };
        let kept = Tally { host: part(7, "queue-full"), ..Tally::default() };
        let text = serde_json::to_string(&kept).unwrap();
        let read: Tally = serde_json::from_str(&text).unwrap();
        assert_eq!(read, kept);
        let all = part(1, "queue-full").and(&read.host).and(&part(0, "no-route"));
        assert_eq!((all.drops, all.discarded, all.mended), (8, 6, 3));
        assert_eq!(
            all.troubles,
            [("no-route".to_owned(), 5), ("queue-full".to_owned(), 10)].into()
        );
        // A file from before this was kept.
        let mut old: serde_json::Value = serde_json::from_str(&text).unwrap();
        old.as_object_mut().unwrap().remove("host");
        let old: Tally = serde_json::from_value(old).unwrap();
        assert_eq!(old.host, HostLosses::default());
    }
}
