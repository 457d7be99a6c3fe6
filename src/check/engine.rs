//! Runs the battery: calibration, checks side by side, confirmation of failures, the canary.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::finding::{Ruling, finding_of};
use super::lab::{Core, Lab, Running, Setting, Turn};
use super::{Check, canary, profile};
use crate::event::{
    CheckEnd, CheckEvent, CheckResult, CheckSink, Cost, CutShort, Finding, Verdict,
};
use crate::time::Instant;

/// Repetitions of a check that failed; all of them have to fail too.
const CONFIRMATIONS: u32 = 3;
/// Canaries that have to stay silent before the target counts as dead.
const CANARIES: u32 = 3;
/// Slow checks that run at the same time: they mostly wait.
const SLOW_AT_ONCE: usize = 12;

/// What is to run, and how.
pub struct Plan {
    /// The checks.
    pub checks: Vec<&'static Check>,
    /// Quick checks at the same time.
    pub parallel: usize,
    /// When the run has to be over.
    pub deadline: Option<Instant>,
    /// What the user says of the target; path and server are found out.
    pub setting: Setting,
}

/// See the module's documentation.
pub struct Engine<S> {
    core: Rc<RefCell<Core>>,
    sink: S,
    plan: Plan,
    setting: Rc<Setting>,
    start: Instant,
    results: BTreeMap<Verdict, u32>,
    finished: usize,
    confirming: BTreeMap<&'static str, Confirmation>,
    /// Checks that were under way or ended since the target last answered a SYN.
    suspects: Vec<&'static str>,
}

/// A failure that is being repeated.
struct Confirmation {
    first: CheckResult,
    outstanding: u32,
    others: Vec<Finding>,
}

/// A script under way.
struct Active {
    check: &'static Check,
    lab: Lab,
    script: Running<'static, Ruling>,
    began: Instant,
}

/// Why a wait ended.
enum Ended {
    Done,
    Cut(CutShort),
}

impl<S: CheckSink> Engine<S> {
    /// An engine over `core`.
    pub fn new(core: Core, plan: Plan, sink: S) -> Self {
        let start = core.now();
        Self {
            core: Rc::new(RefCell::new(core)),
            sink,
            setting: Rc::new(plan.setting.clone()),
            plan,
            start,
            results: BTreeMap::new(),
            finished: 0,
            confirming: BTreeMap::new(),
            suspects: Vec::new(),
        }
    }

    /// Runs everything.
    ///
    /// # Errors
    /// Our own host failed, or the report could not be written.
    pub fn run(mut self) -> io::Result<CheckEnd> {
        let cut_short = match self.battery()? {
            Ended::Done => None,
            Ended::Cut(why) => Some(why),
        };
        let core = self.core.borrow();
        let end = CheckEnd {
            elapsed: core.now().since(self.start),
            counts: self.results.iter().map(|(verdict, count)| (*verdict, *count)).collect(),
            not_run: u32::try_from(self.plan.checks.len().saturating_sub(self.finished))
                .unwrap_or(u32::MAX),
            cut_short,
            sent: core.sent,
            received: core.received,
        };
        drop(core);
        self.sink.record(&CheckEvent::End(end.clone()))?;
        Ok(end)
    }

    fn battery(&mut self) -> io::Result<Ended> {
        let (core, setting) = (Rc::clone(&self.core), Rc::clone(&self.setting));
        let labs = move || Lab::new(&core, &setting);
        let (path, server) = match self.drive(Box::pin(profile::calibrate(labs)))? {
            Ok(Ok(found)) => found,
            Ok(Err(why)) => return Ok(Ended::Cut(CutShort::NoTarget(why))),
            Err(cut) => return Ok(Ended::Cut(cut)),
        };
        self.sink.record(&CheckEvent::Path(path.clone()))?;
        self.sink.record(&CheckEvent::Server(server.clone()))?;
        self.setting = Rc::new(Setting { path, server, ..self.plan.setting.clone() });

        let (intrusive, others): (Vec<_>, Vec<_>) =
            self.plan.checks.iter().partition(|check| check.info.cost == Cost::Intrusive);
        if let Ended::Cut(why) = self.side_by_side(others)? {
            return Ok(Ended::Cut(why));
        }
        for check in intrusive {
            if let Ended::Cut(why) = self.side_by_side(vec![check])? {
                return Ok(Ended::Cut(why));
            }
            self.suspects = vec![check.info.id];
            if let Some(why) = self.ask_canary()? {
                return Ok(Ended::Cut(why));
            }
        }
        Ok(self.ask_canary()?.map_or(Ended::Done, Ended::Cut))
    }

    /// Whether the target still answers; why the run ends where it does not.
    fn ask_canary(&mut self) -> io::Result<Option<CutShort>> {
        // A single one may be unlucky on a bad path.
        for _ in 0..CANARIES {
            let lab = Lab::new(&self.core, &self.setting);
            match self.drive(Box::pin(canary::sings(lab)))? {
                Ok(true) => {
                    self.suspects.clear();
                    return Ok(None);
                }
                Ok(false) => {}
                Err(cut) => return Ok(Some(cut)),
            }
        }
        Ok(Some(CutShort::Died(std::mem::take(&mut self.suspects))))
    }

    /// Runs one future to its end.
    fn drive<T>(&mut self, mut future: Running<'static, T>) -> io::Result<Result<T, CutShort>> {
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut idle()) {
                return Ok(Ok(value));
            }
            if let Some(cut) = self.wait()? {
                return Ok(Err(cut));
            }
        }
    }

    /// Waits until something happens.
    fn wait(&mut self) -> io::Result<Option<CutShort>> {
        let deadline = self.plan.deadline;
        let mut core = self.core.borrow_mut();
        let turn = core.turn(deadline)?;
        if core.interference {
            return Ok(Some(CutShort::LocalInterference));
        }
        if deadline.is_some_and(|deadline| core.now() >= deadline) {
            return Ok(Some(CutShort::Deadline));
        }
        Ok((turn == Turn::Interrupted).then_some(CutShort::Interrupted))
    }

    /// Runs checks at the same time, as many as may be.
    fn side_by_side(&mut self, checks: Vec<&'static Check>) -> io::Result<Ended> {
        let (slow, quick): (VecDeque<_>, VecDeque<_>) =
            checks.into_iter().partition(|check| check.info.cost == Cost::Slow);
        let mut queues = [(quick, self.plan.parallel), (slow, SLOW_AT_ONCE)];
        let mut active: Vec<Active> = Vec::new();
        loop {
            for (queue, limit) in &mut queues {
                let is_slow = |check: &Check| check.info.cost == Cost::Slow;
                while let Some(check) = queue.front().copied() {
                    let beside =
                        active.iter().filter(|other| is_slow(other.check) == is_slow(check));
                    if beside.count() >= *limit {
                        break;
                    }
                    queue.pop_front();
                    active.push(self.begin(check)?);
                }
            }
            if active.is_empty() {
                return Ok(Ended::Done);
            }
            let mut at = 0;
            let before = active.len();
            while at < active.len() {
                match active[at].script.as_mut().poll(&mut idle()) {
                    Poll::Pending => at += 1,
                    Poll::Ready(ruling) => {
                        let done = active.swap_remove(at);
                        let again = self.conclude(done, finding_of(ruling))?;
                        let queue = usize::from(
                            again.first().is_some_and(|check| check.info.cost == Cost::Slow),
                        );
                        again.into_iter().for_each(|check| queues[queue].0.push_front(check));
                    }
                }
            }
            if active.len() < before {
                if self.core.borrow_mut().take_silence() {
                    // Somebody got no answer to any SYN: it may be over.
                    self.suspects.extend(active.iter().map(|other| other.check.info.id));
                    if let Some(why) = self.ask_canary()? {
                        return Ok(Ended::Cut(why));
                    }
                }
                continue;
            }
            if let Some(why) = self.wait()? {
                return Ok(Ended::Cut(why));
            }
        }
    }

    fn begin(&mut self, check: &'static Check) -> io::Result<Active> {
        if !self.confirming.contains_key(check.info.id) {
            self.sink.record(&CheckEvent::Started(&check.info))?;
        }
        let lab = Lab::new(&self.core, &self.setting);
        let script = (check.script)(lab.clone());
        let began = lab.time();
        Ok(Active { check, lab, script, began })
    }

    /// Takes note of a script's end; returns what has to run again.
    fn conclude(&mut self, done: Active, finding: Finding) -> io::Result<Vec<&'static Check>> {
        let Active { check, lab, script, began } = done;
        // Its conversations end with it, and their clean-up belongs to the trace.
        drop(script);
        let id = check.info.id;
        self.suspects.push(id);
        let elapsed = lab.time().since(began);
        if let Some(confirmation) = self.confirming.get_mut(id) {
            confirmation.outstanding -= 1;
            confirmation.others.push(finding);
            if confirmation.outstanding == 0
                && let Some(confirmation) = self.confirming.remove(id)
            {
                self.publish(confirmation.verdict())?;
            }
            return Ok(Vec::new());
        }
        let trace = lab.trace();
        let result = CheckResult { info: &check.info, finding, runs: 1, elapsed, trace };
        if result.finding.verdict != Verdict::Fail {
            self.publish(result)?;
            return Ok(Vec::new());
        }
        self.sink.record(&CheckEvent::Confirming(&check.info, CONFIRMATIONS))?;
        let confirmation =
            Confirmation { first: result, outstanding: CONFIRMATIONS, others: Vec::new() };
        self.confirming.insert(id, confirmation);
        Ok(vec![check; CONFIRMATIONS as usize])
    }

    fn publish(&mut self, result: CheckResult) -> io::Result<()> {
        *self.results.entry(result.finding.verdict).or_default() += 1;
        self.finished += 1;
        self.sink.record(&CheckEvent::Result(Box::new(result)))
    }
}

impl Confirmation {
    /// A failure counts where every repetition failed too.
    fn verdict(self) -> CheckResult {
        let Self { mut first, others, .. } = self;
        first.runs += u32::try_from(others.len()).unwrap_or(u32::MAX);
        let against = others.iter().find(|other| other.verdict != Verdict::Fail);
        if let Some(other) = against {
            first.finding.verdict = Verdict::Inconclusive;
            first.finding.observed = format!(
                "not always the same: {}; and when repeated: {}",
                first.finding.observed, other.observed
            );
        }
        first
    }
}

/// Nobody has to be woken: every script is polled when anything happened.
fn idle() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
