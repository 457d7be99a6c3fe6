//! The books: every probe counted once, for its target and for its flow.

use std::time::Duration;

use super::probe::{Live, STEPPED, UNSTAMPED};
use crate::cmd::{ExitStatus, Wanted};
use crate::event::{Outcome, RttEnd, RttProbe};
use crate::stats::{Account, Answer, Phase, Settled};

/// The accounts of a run.
#[derive(Debug)]
pub(super) struct Ledger {
    /// One for each target.
    pub(super) accounts: Vec<Account>,
    /// With fixed ports: one for each target's each flow, target by target.
    pub(super) flows: Vec<Account>,
    flows_each: usize,
    wanted: Wanted,
    /// How each target stands.
    standing: Vec<Standing>,
}

/// How a target stands with what was wanted of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Standing {
    /// One of its probes ended as wanted, with this.
    as_wanted: Option<Outcome>,
    /// How the last one ended.
    last: Option<Outcome>,
    /// The shortest time in which it answered, timed or not.
    best: Option<Duration>,
}

impl Ledger {
    /// Books for so many targets with so many fixed flows each, 0 for none. Of each target, one
    /// `wanted` outcome is asked.
    pub(super) fn new(targets: usize, flows_each: usize, wanted: Wanted) -> Self {
        Self {
            accounts: vec![Account::default(); targets],
            flows: vec![Account::default(); targets * flows_each],
            flows_each,
            wanted,
            standing: vec![Standing::default(); targets],
        }
    }

    /// A probe left that counts.
    pub(super) fn sent(&mut self, target: u32, flow: u32) {
        self.each(target, flow, Account::sent);
    }

    /// This host could not send a probe that would count.
    pub(super) fn unsent(&mut self, target: u32, flow: u32) {
        self.each(target, flow, |account| account.left_out_mut().unsent += 1);
    }

    /// The first answer to a probe has arrived in time.
    pub(super) fn arrived(&mut self, live: &Live) {
        if !live.warm_up {
            self.each(live.target, live.flow, |account| account.arrived(live.index));
        }
    }

    /// A probe that counts has ended.
    pub(super) fn settle(&mut self, probe: &RttProbe, how: Settled) {
        self.each(probe.target, probe.flow, |account| {
            account.settle(how);
            record_times(account, probe);
            account.left_out_mut().unstamped += u64::from(probe.remark == Some(UNSTAMPED));
            account.left_out_mut().stepped += u64::from(probe.remark == Some(STEPPED));
        });
        self.stand(probe);
    }

    /// A lost probe that counts was answered late.
    pub(super) fn late(&mut self, probe: &RttProbe, answer: Answer) {
        self.each(probe.target, probe.flow, |account| {
            account.arrived(probe.index);
            account.answer_late(answer, probe.attempts);
            record_times(account, probe);
            account.left_out_mut().unstamped += u64::from(probe.remark == Some(UNSTAMPED));
        });
        self.stand(probe);
    }

    /// A probe that counts was answered again.
    pub(super) fn duplicate(&mut self, probe: &RttProbe) {
        self.each(probe.target, probe.flow, Account::duplicate);
    }

    /// The shortest time in which a target has answered, timed or not; warm-up included.
    pub(super) fn best(&self, target: u32) -> Option<Duration> {
        self.standing.get(target as usize)?.best
    }

    /// A target has answered, in this time.
    pub(super) fn took(&mut self, probe: &RttProbe) {
        let took = probe.answered.zip(probe.sent).map(|(there, here)| there.at.since(here.at));
        if let (Some(standing), Some(took)) = (self.standing.get_mut(probe.target as usize), took) {
            standing.best = Some(standing.best.map_or(took, |best| best.min(took)));
        }
    }

    fn stand(&mut self, probe: &RttProbe) {
        if let Some(standing) = self.standing.get_mut(probe.target as usize) {
            standing.last = Some(probe.outcome);
            if self.wanted.includes(probe.outcome) {
                standing.as_wanted = Some(probe.outcome);
            }
        }
    }

    /// How the run ended for all targets together, and with which status.
    pub(super) fn end(&self, interrupted: bool) -> (RttEnd, ExitStatus) {
        let status = |(standing, account): (&Standing, &Account)| match standing.last {
            _ if standing.as_wanted.is_some() => ExitStatus::AsAsked,
            Some(last) => self.wanted.status(last),
            // Not one of its probes has left.
            None if account.left_out().unsent > 0 && account.counts().sent == 0 => {
                ExitStatus::NotMeasured
            }
            None => ExitStatus::Otherwise,
        };
        let targets = || self.standing.iter().zip(&self.accounts);
        let gravest = targets().map(status).max().unwrap_or(ExitStatus::Otherwise);
        // The first target of which it is not as wanted names the outcome.
        let unwanted = self.standing.iter().find(|standing| standing.as_wanted.is_none());
        let outcome = match unwanted {
            Some(standing) => standing.last,
            None => self.standing.first().and_then(|standing| standing.as_wanted),
        };
        let end = RttEnd {
            outcome: outcome.unwrap_or(Outcome::Interrupted),
            as_expected: gravest == ExitStatus::AsAsked,
            interrupted,
        };
        (end, gravest)
    }

    fn each(&mut self, target: u32, flow: u32, change: impl Fn(&mut Account)) {
        let target = target as usize;
        if let Some(account) = self.accounts.get_mut(target) {
            change(account);
        }
        if self.flows_each > 0
            && let Some(account) = self.flows.get_mut(target * self.flows_each + flow as usize)
        {
            change(account);
        }
    }
}

fn record_times(account: &mut Account, probe: &RttProbe) {
    for (phase, interval) in Phase::ALL.iter().zip(probe.intervals) {
        if let Some(interval) = interval {
            account.record(*phase, interval);
        }
    }
}
