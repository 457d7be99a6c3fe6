//! Everything that is kept of one target, or of one flow to it.

use std::time::Duration;

use super::{Answer, Counts, Distribution, Loss, Phase, Settled};

/// The account of one target, or of one of the flows to it: what became of its probes, and how long
/// each phase of them took.
///
/// A phase takes memory once an interval of it was recorded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Account {
    loss: Loss,
    times: Vec<(Phase, Distribution)>,
    left_out: LeftOut,
}

/// Intervals that are in no figure although both packets were seen, and probes that never left: each
/// with its reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LeftOut {
    /// An end of the interval lacks a stamp of the clock that was asked for.
    pub unstamped: u64,
    /// The wall clock, of which kernel stamps are, was set while the probe was in flight.
    pub stepped: u64,
    /// Probes that this host could not send: its interface is down, a local firewall forbids it. They
    /// are not counted as sent.
    pub unsent: u64,
}

impl Account {
    /// A probe left; it is in flight now.
    pub const fn sent(&mut self) {
        self.loss.sent();
    }

    /// See [`Loss::settle`].
    pub fn settle(&mut self, how: Settled) -> bool {
        self.loss.settle(how)
    }

    /// See [`Loss::answer_late`].
    pub fn answer_late(&mut self, answer: Answer, attempts: u32) -> bool {
        self.loss.answer_late(answer, attempts)
    }

    /// See [`Loss::arrived`].
    pub fn arrived(&mut self, index: u64) {
        self.loss.arrived(index);
    }

    /// See [`Loss::duplicate`].
    pub const fn duplicate(&mut self) {
        self.loss.duplicate();
    }

    /// Takes an unambiguous interval in.
    pub fn record(&mut self, phase: Phase, interval: Duration) {
        if let Some((_, times)) = self.times.iter_mut().find(|(known, _)| *known == phase) {
            times.record(interval);
        } else {
            let mut times = Distribution::new();
            times.record(interval);
            // There may be a million of us: a vector that grows by itself begins with four.
            self.times.reserve_exact(1);
            self.times.push((phase, times));
            self.times.sort_by_key(|(phase, _)| *phase);
        }
    }

    /// What is left out, to be counted up.
    pub const fn left_out_mut(&mut self) -> &mut LeftOut {
        &mut self.left_out
    }

    /// What is left out.
    #[must_use]
    pub const fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// What became of the probes.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        self.loss.counts()
    }

    /// The intervals of a phase; absent where none was recorded.
    #[must_use]
    pub fn times(&self, phase: Phase) -> Option<&Distribution> {
        self.times.iter().find(|(known, _)| *known == phase).map(|(_, times)| times)
    }

    /// The longest interval of any phase.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        let longest = self.times.iter().filter_map(|(_, times)| times.figures().max_ns).max();
        longest.map(Duration::from_nanos)
    }

    /// Takes another account in: see [`Loss::merge`] and [`Distribution::merge`].
    pub fn merge(&mut self, other: &Self) {
        self.loss.merge(&other.loss);
        for (phase, more) in &other.times {
            match self.times.iter_mut().find(|(known, _)| known == phase) {
                Some((_, times)) => times.merge(more),
                None => self.times.push((*phase, more.clone())),
            }
        }
        self.times.sort_by_key(|(phase, _)| *phase);
        self.left_out.unstamped += other.left_out.unstamped;
        self.left_out.stepped += other.left_out.stepped;
        self.left_out.unsent += other.left_out.unsent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::FirstTry;

    #[test]
    fn accounts_of_flows_add_up_to_that_of_the_target() {
        let mut flows = [Account::default(), Account::default()];
        let mut whole = Account::default();
        for index in 0..10_u64 {
            let how =
                Settled::Answered { answer: Answer::Open, attempts: 1, first: FirstTry::Answered };
            for account in [&mut flows[(index % 2) as usize], &mut whole] {
                account.sent();
                account.arrived(index);
                account.settle(how);
                account.record(Phase::PeerFin, Duration::from_nanos(index + 1));
                account.record(Phase::Handshake, Duration::from_nanos(100 + index));
            }
        }
        let [mut first, second] = flows;
        first.left_out_mut().unsent += 1;
        first.merge(&second);
        assert_eq!(first.counts().answered, whole.counts().answered);
        let figures = |account: &Account| {
            let figures = account.times(Phase::Handshake).unwrap().figures();
            (figures.count, figures.min_ns, figures.avg_ns, figures.max_ns, figures.p99_ns)
        };
        assert_eq!(figures(&first), figures(&whole));
        assert_eq!(first.longest(), Some(Duration::from_nanos(109)));
        assert_eq!((first.times(Phase::DataAck), first.left_out().unsent), (None, 1));
    }
}
