//! When each probe leaves: an open loop, in which no answer and no silence delays the next probe.
//!
//! Probe k of a target is due at `start + offset(target) + k × interval`, whether or not those before
//! it were answered: a slow peer cannot make us ask less often while it is slow (coordinated
//! omission), and a lost probe is not followed by a gap. The targets' offsets spread one round evenly
//! over the interval.
//!
//! A probe that could not leave in time leaves at once when it is asked for, and its lateness is
//! reported. One that is later than [`Plan::patience`] does not leave at all: after this process was
//! stopped for an hour, an hour's probes at once would be a flood and measure nothing. It is counted
//! as missed, and the probes after it keep their places and their numbers.

use std::time::Duration;

use super::distribution::{Distribution, Figures};
use crate::time::{Instant, nanos_of};

/// What to send and how often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Targets, from 1; they are named by their index.
    pub targets: u32,
    /// From one probe of a target to its next; above zero.
    pub interval: Duration,
    /// Probes per target at the beginning that are shown and not counted.
    pub warm_up: u64,
    /// Probes per target after the warm-up; absent where the deadline or the user ends the run.
    pub count: Option<u64>,
    /// No probe is due at this time after the start or later.
    pub deadline: Option<Duration>,
    /// Fixed source ports per target that take turns, from 1.
    pub flows: u32,
    /// A probe that is later than this is missed instead of sent; absent where each is sent, however
    /// late.
    pub patience: Option<Duration>,
}

/// Why a plan cannot be followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    /// There is nobody to probe.
    #[error("there is no target")]
    NoTargets,
    /// Every probe would be due at once.
    #[error("the interval must be longer than zero")]
    NoInterval,
    /// There is no source port to send from.
    #[error("there must be at least one flow")]
    NoFlows,
}

/// A probe to send now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    /// Whose.
    pub target: u32,
    /// Its place in this target's row of probes, from 0, warm-up and missed ones included.
    pub index: u64,
    /// It is shown and not counted.
    pub warm_up: bool,
    /// Which of the source ports it leaves from, from 0.
    pub flow: u32,
    /// When it should have left.
    pub due: Instant,
    /// How much later it was asked for.
    pub late: Duration,
}

/// How well the schedule was kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lateness {
    /// How late the probes left that left. Its `count` is theirs; absent figures where none did.
    pub figures: Figures,
    /// Probes that left only when the next one of their target was due already, or later: the
    /// interval was not kept for them.
    pub overrun: u64,
    /// Probes that never left, because they were later than the patience.
    pub missed: u64,
}

/// The schedule of a run. Asking for the next probe takes constant time, whatever the number of
/// targets, except where targets were retired: those are stepped over.
#[derive(Clone, Debug)]
pub struct Schedule {
    plan: Plan,
    start: Instant,
    /// The place in the row of all probes: `round × targets + target`.
    round: u64,
    target: u32,
    active: Vec<bool>,
    left: u32,
    late: Distribution,
    overrun: u64,
    missed: u64,
}

impl Schedule {
    /// The schedule of `plan`, whose first probe is due at `start`.
    ///
    /// # Errors
    /// The plan has no targets, no interval or no flows.
    pub fn new(plan: Plan, start: Instant) -> Result<Self, PlanError> {
        if plan.targets == 0 {
            return Err(PlanError::NoTargets);
        }
        if nanos_of(plan.interval) == 0 {
            return Err(PlanError::NoInterval);
        }
        if plan.flows == 0 {
            return Err(PlanError::NoFlows);
        }
        Ok(Self {
            plan,
            start,
            round: 0,
            target: 0,
            active: vec![true; plan.targets as usize],
            left: plan.targets,
            late: Distribution::new(),
            overrun: 0,
            missed: 0,
        })
    }

    /// When the next probe is due; absent when there is none any more. It may lie in the past.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        if self.left == 0 || self.round >= self.rounds() {
            return None;
        }
        let due = self.due_at(self.round, self.target);
        let ended = self.plan.deadline.is_some_and(|deadline| due >= self.start + deadline);
        // At the end of the axis all probes would be due at once, for ever.
        (!ended && due < Instant::from_nanos(u64::MAX)).then_some(due)
    }

    /// The probe that is due by `now`, if any: ask until there is none. Those that are too late are
    /// counted as missed and stepped over.
    pub fn next(&mut self, now: Instant) -> Option<Due> {
        self.miss(now);
        let due = self.next_due().filter(|due| *due <= now)?;
        let late = now.since(due);
        self.late.record(late);
        self.overrun += u64::from(late >= self.plan.interval);
        let (target, index) = (self.target, self.round);
        self.advance();
        Some(Due {
            target,
            index,
            warm_up: index < self.plan.warm_up,
            // Below `flows`, which is a u32.
            flow: u32::try_from(index % u64::from(self.plan.flows)).unwrap_or(0),
            due,
            late,
        })
    }

    /// Sends no more probes to `target`; the others keep their places.
    pub fn retire(&mut self, target: u32) {
        let Some(active) = self.active.get_mut(target as usize).filter(|active| **active) else {
            return;
        };
        *active = false;
        self.left -= 1;
        if self.target == target && self.left > 0 {
            self.advance();
        }
    }

    /// How well the schedule was kept up to now.
    #[must_use]
    pub fn lateness(&self) -> Lateness {
        Lateness { figures: self.late.figures(), overrun: self.overrun, missed: self.missed }
    }

    /// Steps over what is later than the patience.
    fn miss(&mut self, now: Instant) {
        let Some(patience) = self.plan.patience else { return };
        // The first instant at which a probe due is not too late.
        let from = now.saturating_sub(patience);
        self.miss_rounds(from);
        while self.next_due().is_some_and(|due| due < from) {
            self.missed += 1;
            self.advance();
        }
    }

    /// Steps over whole rounds, not probe by probe: a machine may sleep for weeks.
    fn miss_rounds(&mut self, from: Instant) {
        let Some(due) = self.next_due() else { return };
        let mut end = from;
        if let Some(deadline) = self.plan.deadline {
            end = end.min(self.start + deadline);
        }
        // One less, so that what remains, up to a round, is stepped over probe by probe.
        let rounds = (nanos_of(end.since(due)) / self.interval())
            .saturating_sub(1)
            .min(self.rounds().saturating_sub(self.round + 1));
        self.round += rounds;
        self.missed = self.missed.saturating_add(rounds.saturating_mul(u64::from(self.left)));
    }

    fn advance(&mut self) {
        loop {
            self.target += 1;
            if self.target == self.plan.targets {
                self.target = 0;
                self.round = self.round.saturating_add(1);
            }
            if self.active[self.target as usize] {
                return;
            }
        }
    }

    /// Never drifts: computed from the start, not from the probe before.
    fn due_at(&self, round: u64, target: u32) -> Instant {
        let offset =
            u128::from(self.interval()) * u128::from(target) / u128::from(self.plan.targets);
        let after = u128::from(self.interval()) * u128::from(round) + offset;
        self.start + Duration::from_nanos(u64::try_from(after).unwrap_or(u64::MAX))
    }

    fn interval(&self) -> u64 {
        nanos_of(self.plan.interval)
    }

    fn rounds(&self) -> u64 {
        self.plan.count.map_or(u64::MAX, |count| count.saturating_add(self.plan.warm_up))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * MS)
    }

    fn plan(targets: u32, count: u64) -> Plan {
        Plan {
            targets,
            interval: Duration::from_millis(100),
            warm_up: 0,
            count: Some(count),
            deadline: None,
            flows: 1,
            patience: None,
        }
    }

    fn schedule(plan: Plan) -> Schedule {
        Schedule::new(plan, at(1000)).unwrap()
    }

    /// Every probe, each asked for when it is due.
    fn punctual(mut schedule: Schedule) -> Vec<Due> {
        let mut sent = Vec::new();
        while let Some(due) = schedule.next_due() {
            sent.push(schedule.next(due).unwrap());
        }
        sent
    }

    #[test]
    fn a_round_is_spread_evenly_and_rounds_do_not_drift() {
        let sent = punctual(schedule(plan(4, 3)));
        let times: Vec<_> = sent.iter().map(|probe| probe.due.as_nanos() / MS).collect();
        assert_eq!(times, [1000, 1025, 1050, 1075, 1100, 1125, 1150, 1175, 1200, 1225, 1250, 1275]);
        let named: Vec<_> = sent.iter().map(|probe| (probe.index, probe.target)).collect();
        assert_eq!(named[..5], [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0)]);
        assert!(sent.iter().all(|probe| probe.late.is_zero()));
        // Three targets do not divide the interval: no rounding adds up over rounds.
        let far = schedule(plan(3, u64::MAX)).due_at(1_000_000, 2);
        assert_eq!(far, at(1000 + 100_000_000) + Duration::from_nanos(66_666_666));
    }

    #[test]
    fn nothing_leaves_early_and_a_stall_neither_shifts_nor_drops_what_follows() {
        let mut schedule = schedule(plan(1, 6));
        assert_eq!(schedule.next(at(999)), None);
        assert!(schedule.next(at(1000)).is_some());
        assert_eq!(schedule.next(at(1099)), None);
        // Stalled from 1099 to 1330: probes 1, 2 and 3 leave at once, and say how late they are.
        let late: Vec<_> = std::iter::from_fn(|| schedule.next(at(1330)))
            .map(|probe| (probe.index, probe.late.as_millis()))
            .collect();
        assert_eq!(late, [(1, 230), (2, 130), (3, 30)]);
        assert_eq!(schedule.next_due(), Some(at(1400)), "the schedule goes on as planned");
        let lateness = schedule.lateness();
        assert_eq!((lateness.figures.count, lateness.overrun, lateness.missed), (4, 2, 0));
        assert_eq!(lateness.figures.max_ns, Some(230 * MS));
    }

    #[test]
    fn with_a_patience_a_long_stall_is_a_gap_and_not_a_flood() {
        let patient = Plan { patience: Some(Duration::from_millis(150)), ..plan(2, 40_000_000) };
        let mut schedule = schedule(patient);
        assert!(schedule.next(at(1000)).is_some());
        // Ten days later. Due from 1000 in steps of 50 ms; those of the last 150 ms still leave.
        let now = 1000 + 864_000_000;
        let sent: Vec<_> = std::iter::from_fn(|| schedule.next(at(now))).collect();
        let due: Vec<_> = sent.iter().map(|probe| now - probe.due.as_nanos() / MS).collect();
        assert_eq!(due, [150, 100, 50, 0]);
        assert_eq!(sent[3].index, 8_640_000, "missed probes keep their numbers");
        // One each 50 ms since the start, both ends included, less the first and the last four.
        assert_eq!(schedule.lateness().missed, 864_000_000 / 50 + 1 - 1 - 4);
    }

    #[test]
    fn warm_up_and_flows_follow_the_index() {
        let sent = punctual(schedule(Plan { warm_up: 2, flows: 3, ..plan(1, 4) }));
        let seen: Vec<_> =
            sent.iter().map(|probe| (probe.index, probe.warm_up, probe.flow)).collect();
        assert_eq!(
            seen,
            [
                (0, true, 0),
                (1, true, 1),
                (2, false, 2),
                (3, false, 0),
                (4, false, 1),
                (5, false, 2)
            ]
        );
    }

    #[test]
    fn the_deadline_ends_the_sending() {
        let deadline = Some(Duration::from_millis(300));
        let sent = punctual(schedule(Plan { count: None, deadline, ..plan(2, 0) }));
        // At 1300 nothing is due any more.
        assert_eq!(sent.len(), 6);
        assert_eq!(sent[5].due, at(1250));
        assert!(punctual(schedule(plan(2, 0))).is_empty(), "a count of zero sends nothing");
    }

    #[test]
    fn a_retired_target_is_stepped_over_and_the_others_keep_their_places() {
        let mut schedule = schedule(plan(3, 2));
        schedule.retire(0);
        schedule.retire(0);
        assert_eq!(schedule.next_due().map(|due| due.as_nanos() / MS), Some(1033));
        let rest = punctual(schedule.clone());
        assert_eq!(rest.iter().map(|probe| probe.target).collect::<Vec<_>>(), [1, 2, 1, 2]);
        schedule.retire(2);
        schedule.retire(1);
        schedule.retire(7);
        assert_eq!(schedule.next_due(), None);
        assert_eq!(schedule.next(at(9999)), None);
    }

    #[test]
    fn the_end_of_time_ends_the_run() {
        let plan = Plan { count: None, interval: Duration::MAX, ..plan(2, 0) };
        assert!(punctual(Schedule::new(plan, Instant::ZERO).unwrap()).len() <= 2);
    }

    #[test]
    fn impossible_plans_are_refused() {
        let refused = |plan| Schedule::new(plan, Instant::ZERO).unwrap_err();
        assert_eq!(refused(plan(0, 1)), PlanError::NoTargets);
        assert_eq!(refused(Plan { flows: 0, ..plan(1, 1) }), PlanError::NoFlows);
        let interval = Duration::ZERO;
        assert_eq!(refused(Plan { interval, ..plan(1, 1) }), PlanError::NoInterval);
    }

    proptest! {
        /// However irregularly it is asked, each probe leaves exactly once or is missed, never early,
        /// in the order of the schedule and at the time that the formula gives.
        #[test]
        fn every_probe_leaves_once_or_is_missed(
            targets in 1_u32..6, count in 0_u64..30, interval in 1_u64..500,
            patience in prop::option::of(0_u64..800), retired in prop::option::of(0_u32..6),
            naps in prop::collection::vec(1_u64..2000, 1..60),
        ) {
            let plan = Plan {
                targets,
                interval: Duration::from_nanos(interval),
                patience: patience.map(Duration::from_nanos),
                ..plan(1, count)
            };
            let start = Instant::from_nanos(77);
            let mut schedule = Schedule::new(plan, start).unwrap();
            if let Some(target) = retired {
                schedule.retire(target);
            }
            let active = targets - u32::from(retired.is_some_and(|target| target < targets));
            let mut now = start;
            let mut sent: Vec<Due> = Vec::new();
            for nap in naps.iter().chain(&[u64::from(u32::MAX)]) {
                now += Duration::from_nanos(*nap);
                while let Some(probe) = schedule.next(now) {
                    let expected = 77 + interval * probe.index
                        + interval * u64::from(probe.target) / u64::from(targets);
                    prop_assert_eq!(probe.due.as_nanos(), expected);
                    prop_assert_eq!(probe.late, now.since(probe.due));
                    prop_assert!(patience.is_none_or(|most| probe.late.as_nanos() <= most.into()));
                    prop_assert!(sent.last().is_none_or(|last|
                        (last.index, last.target) < (probe.index, probe.target)));
                    sent.push(probe);
                }
            }
            prop_assert_eq!(schedule.next_due(), None);
            let missed = schedule.lateness().missed;
            prop_assert_eq!(sent.len() as u64 + missed, count * u64::from(active));
            prop_assert!(patience.is_some() || missed == 0);
        }
    }
}
