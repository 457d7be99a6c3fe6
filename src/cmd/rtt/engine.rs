//! The run itself: probes leave by the schedule, answers are credited to those that asked.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use anyhow::Context as _;

use super::backstage::{Backstage, Inbox};
use super::ledger::Ledger;
use super::memory::{Ghost, Memory};
use super::plan::Plan;
use super::ports::{PortDesk, Request};
use super::probe::{Live, Move, Stage, Terms, assess, next_move};
use super::targets::Aim;
use crate::cli::shared::{OfferArgs, SourceArgs};
use crate::cmd::ExitStatus;
use crate::cmd::ground::{Carrier, Dice};
use crate::cmd::session;
use crate::driver::{Driver, DriverError, FlowSpec, HalfOpen, Step};
use crate::event::{
    Event, FlowId, Method, Notice, ProbeResult, RttEnd, RttEvent, RttRun, RttSink, RttView, Run,
    Severity,
};
use crate::net::SendTrouble;
use crate::report::ClosedPipe;
use crate::stats::{Due, Measurement, Phase, Schedule};
use crate::tcp::Timers;
use crate::tcp::state::{End, State};
use crate::time::{Clock, Instant};

/// Probes that leave before what has arrived is looked at again.
const BURST: usize = 64;

/// What a run is made of.
pub(super) struct Parts {
    pub(super) driver: Driver<Carrier, Backstage>,
    pub(super) inbox: Inbox,
    pub(super) run: RttRun,
    pub(super) schedule: Schedule,
    pub(super) aims: Vec<Aim>,
    pub(super) plan: Plan,
    pub(super) offer: OfferArgs,
    pub(super) source: SourceArgs,
    pub(super) dice: Dice,
    pub(super) desk: PortDesk,
    /// Ports that may be guarded at a time.
    pub(super) most_ports: usize,
    pub(super) ledger: Ledger,
    pub(super) out: Box<dyn RttSink>,
    /// Whether anybody still reads standard output.
    pub(super) reader: ClosedPipe,
}

/// A run.
pub(super) struct Engine {
    pub(super) parts: Parts,
    live: HashMap<FlowId, Live>,
    /// When which probe's stage has taken too long.
    patience: BTreeSet<(Instant, FlowId)>,
    pub(super) memory: Memory,
    timers: Timers,
    measurement: Measurement,
    clock_steps: u32,
    drops: u64,
    /// The last attempt to send has failed for a reason that may pass.
    in_trouble: bool,
}

impl Engine {
    pub(super) fn new(parts: Parts) -> Self {
        let clock = parts.run.clock;
        let timers = session::timers(&parts.plan.timing, std::time::Duration::ZERO);
        Self {
            parts,
            live: HashMap::new(),
            patience: BTreeSet::new(),
            memory: Memory::default(),
            timers,
            measurement: Measurement {
                transmit: clock,
                receive: clock,
                resolution: std::time::Duration::from_nanos(1),
                conversion: None,
            },
            clock_steps: 0,
            drops: 0,
            in_trouble: false,
        }
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// Where our own host fails for good.
    pub(super) fn run(mut self) -> anyhow::Result<(RttEnd, ExitStatus)> {
        self.tell(&RttEvent::Began)?;
        let end = self.parts.plan.timing.deadline.map(|limit| self.parts.run.start + limit);
        let mut interrupted = false;
        loop {
            self.launch_due()?;
            self.follow_up()?;
            self.expire()?;
            let now = self.parts.driver.now();
            let over = self.parts.schedule.next_due().is_none() && self.live.is_empty();
            if over || end.is_some_and(|end| end <= now) || self.parts.reader.is_closed() {
                break;
            }
            match self.step(end)? {
                Step::Interrupted => {
                    interrupted = true;
                    break;
                }
                Step::StatusRequested => {
                    self.drops = self.parts.driver.wire().drops();
                    self.tell(&RttEvent::Interim)?;
                }
                Step::Progress | Step::Deadline => {}
            }
            self.look_at_the_clock()?;
            self.follow_up()?;
            self.tick()?;
        }
        self.finish(interrupted)
    }

    /// Waits for the next thing to happen.
    fn step(&mut self, end: Option<Instant>) -> anyhow::Result<Step> {
        let wakes = [
            self.parts.schedule.next_due(),
            self.patience.first().map(|(at, _)| *at),
            end,
            self.parts.out.wake_at(),
        ];
        let forever = Instant::from_nanos(u64::MAX);
        let until = wakes.into_iter().flatten().min().unwrap_or(forever);
        let step = self.parts.driver.step(until);
        // A retransmission that could not leave is as good as lost.
        Ok(self.forgive(step)?.unwrap_or(Step::Progress))
    }

    /// Sends what is due.
    fn launch_due(&mut self) -> anyhow::Result<()> {
        for _ in 0..BURST {
            let now = self.parts.driver.now();
            let Some(due) = self.parts.schedule.next(now) else { break };
            self.launch(due)?;
        }
        Ok(())
    }

    fn launch(&mut self, due: Due) -> anyhow::Result<()> {
        self.make_room()?;
        let Parts { driver, desk, aims, .. } = &mut self.parts;
        let aim = &aims[due.target as usize];
        let source = aim.lane.source;
        let request = Request { source, copy: aim.copy, index: due.index, flow: due.flow };
        let lease = match desk.lease(driver.wire_mut(), request) {
            Ok(lease) => lease,
            Err(error) => return self.could_not_send(due, &format!("{error:#}")),
        };
        let ends = (lease.address(), aim.remote);
        let (mtu, interface) = (aim.lane.mtu, aim.lane.interface.to_string());
        let words = self.parts.dice.words()?;
        let spec =
            session::specify(ends, mtu, &self.parts.offer, &self.parts.source, self.timers, words);
        let spec = match self.parts.plan.method {
            Method::Syn => FlowSpec { gate: Box::new(HalfOpen), ..spec },
            Method::Handshake | Method::Fin | Method::Data => spec,
        };
        let run = self.first_words(due.target, ends, interface);
        match self.parts.driver.open(spec, run) {
            Ok(id) => {
                let Due { target, index, warm_up, flow, due, .. } = due;
                let stage = Stage::Opening;
                let (patience, stepped, challenged, duplicates) = (None, false, false, 0);
                let live = Live {
                    target,
                    index,
                    flow,
                    warm_up,
                    due,
                    lease,
                    stage,
                    patience,
                    stepped,
                    challenged,
                    duplicates,
                };
                self.live.insert(id, live);
                if !warm_up {
                    self.parts.ledger.sent(target, flow);
                }
                self.sends_again()
            }
            Err(DriverError::Send { source, .. }) if SendTrouble::of(&source).is_some() => {
                self.could_not_send(due, &source.to_string())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What a capture wants to know of a flow.
    fn first_words(
        &self,
        target: u32,
        (source, remote): (SocketAddr, SocketAddr),
        interface: String,
    ) -> Run {
        let at = self.parts.driver.now();
        Run {
            command: "rtt",
            name: self.parts.run.targets[target as usize].name.clone(),
            target: remote,
            source,
            interface,
            clock: self.parts.run.clock,
            guard: self.parts.run.guard,
            end: End::Client,
            at,
            unix_ns: self.parts.driver.wire().unix_ns(at),
        }
    }

    /// A probe could not leave. The network has lost nothing: it is not counted as sent.
    fn could_not_send(&mut self, due: Due, why: &str) -> anyhow::Result<()> {
        if !due.warm_up {
            self.parts.ledger.unsent(due.target, due.flow);
        }
        if std::mem::replace(&mut self.in_trouble, true) {
            return Ok(());
        }
        let name = &self.parts.run.targets[due.target as usize].name;
        let text = format!(
            "cannot send to {name}: {why}; probes that cannot leave are not counted as sent"
        );
        self.notice(Severity::Warning, "cannot-send", text)
    }

    fn sends_again(&mut self) -> anyhow::Result<()> {
        if !std::mem::replace(&mut self.in_trouble, false) {
            return Ok(());
        }
        self.notice(Severity::Info, "sends-again", "probes leave again".to_owned())
    }

    /// Moves a probe on.
    pub(super) fn advance(&mut self, id: FlowId) -> anyhow::Result<()> {
        let (Some(live), Some(flow)) = (self.live.get(&id), self.parts.driver.flow(id)) else {
            return Ok(());
        };
        match next_move(self.parts.plan.method, live.stage, flow) {
            Move::Wait => Ok(()),
            Move::Conclude => self.conclude(id, false),
            Move::Send => {
                self.enter(id, Stage::Exchange);
                let data = std::mem::take(&mut self.parts.plan.data);
                let sent =
                    self.parts.driver.with_flow(id, |flow, now| flow.connection.send(&data, now));
                self.parts.plan.data = data;
                self.forgive(sent).map(drop)
            }
            Move::Close => {
                self.enter(id, Stage::Closing);
                let closed =
                    self.parts.driver.with_flow(id, |flow, now| flow.connection.close(now).ok());
                self.forgive(closed).map(drop)
            }
        }
    }

    fn enter(&mut self, id: FlowId, stage: Stage) {
        let until = self.parts.driver.now() + self.parts.plan.timing.timeout;
        if let Some(live) = self.live.get_mut(&id) {
            if live.stage == Stage::Opening {
                // Established: the answer to the SYN is what has arrived.
                self.parts.ledger.arrived(live);
            }
            live.stage = stage;
            if let Some(old) = live.patience.replace(until) {
                self.patience.remove(&(old, id));
            }
            self.patience.insert((until, id));
        }
    }

    /// Leaves a probe's connection politely, says what became of it, and remembers it.
    fn conclude(&mut self, id: FlowId, cut_short: bool) -> anyhow::Result<()> {
        let ended = |flow: &crate::driver::Flow| {
            matches!(flow.connection.state(), State::Closed | State::TimeWait)
        };
        if !self.parts.driver.flow(id).is_none_or(ended) {
            let left = self.parts.driver.with_flow(id, |flow, now| flow.connection.abort(now));
            self.forgive(left)?;
        }
        let settled = self.parts.driver.settle(Some(id));
        self.forgive(settled)?;
        let Some(live) = self.live.remove(&id) else { return Ok(()) };
        if let Some(at) = live.patience {
            self.patience.remove(&(at, id));
        }
        let Some(flow) = self.parts.driver.flow(id) else { return Ok(()) };
        let (method, clock) = (self.parts.plan.method, self.parts.run.clock);
        let best = self.parts.ledger.best(live.target);
        let now = self.parts.driver.now();
        let terms = Terms { method, clock, cut_short, now, best };
        let (mut probe, settled) = assess(id, &live, flow, terms);
        self.parts.ledger.took(&probe);
        probe.duplicates = live.duplicates;
        let last_syn = flow.timeline.syns.last().copied();
        let granted =
            flow.timeline.syn_ack.as_ref().map(|(_, it)| crate::cmd::findings::offer_of(it));
        let icmp = flow.timeline.icmp.last().map(|(_, error)| *error);
        if probe.answered.is_some() && live.stage == Stage::Opening {
            self.parts.ledger.arrived(&live);
        }
        if let Some(settled) = settled.filter(|_| !probe.warm_up) {
            self.parts.ledger.settle(&probe, settled);
            (0..probe.duplicates).for_each(|_| self.parts.ledger.duplicate(&probe));
        }
        self.tell(&RttEvent::Probe(&probe))?;
        // The capture's last word on the flow.
        let result = ProbeResult {
            seq: probe.index + 1,
            target: self.parts.run.targets[probe.target as usize].name.clone(),
            outcome: probe.outcome,
            rtt: probe
                .interval(Phase::Handshake)
                .zip(probe.clock)
                .map(|(value, clock)| crate::event::Measured { value, clock }),
            attempts: probe.attempts,
            answered_by: probe.answered_by,
            granted,
            icmp,
            reason: probe.remark,
        };
        self.parts.driver.report(id, &Event::Probe(result))?;
        self.parts.driver.retire(id)?;
        let remote = self.parts.aims[probe.target as usize].remote;
        self.memory.remember(Ghost { probe, remote, last_syn, _lease: live.lease }, now);
        Ok(())
    }

    /// Ends what has taken too long, and forgets what is old.
    fn expire(&mut self) -> anyhow::Result<()> {
        let now = self.parts.driver.now();
        while let Some(&(at, id)) = self.patience.first()
            && at <= now
        {
            self.patience.pop_first();
            self.conclude(id, false)?;
        }
        while let Some(ghost) = self.memory.expire(now) {
            self.forget(&ghost)?;
        }
        self.parts.desk.release(self.parts.driver.wire_mut());
        Ok(())
    }

    /// Gives ports back where too many are held.
    fn make_room(&mut self) -> anyhow::Result<()> {
        while self.parts.desk.held() >= self.parts.most_ports {
            let Some(ghost) = self.memory.forget_oldest() else { break };
            self.forget(&ghost)?;
            drop(ghost);
            self.parts.desk.release(self.parts.driver.wire_mut());
        }
        Ok(())
    }

    fn forget(&mut self, ghost: &Ghost) -> anyhow::Result<()> {
        let iss = crate::wire::SeqNum(ghost.probe.iss);
        self.parts.driver.bury(ghost.probe.from, ghost.remote, iss);
        self.tell(&RttEvent::Final(&ghost.probe))
    }

    /// A step of a clock spoils the intervals that it falls into: kernel stamps are wall-clock time, and
    /// an interface's clock may be set as well.
    fn look_at_the_clock(&mut self) -> anyhow::Result<()> {
        let (count, last) = self.parts.driver.wire_mut().clock_steps();
        let Some(step) = last else { return Ok(()) };
        self.clock_steps += count;
        self.live.values_mut().for_each(|live| live.stepped = true);
        let seconds = std::time::Duration::from_nanos(step.by.unsigned_abs());
        let way = if step.by < 0 { "back" } else { "forward" };
        let whose = if step.clock == Clock::Hardware { "interface's" } else { "wall" };
        let text = format!(
            "the {whose} clock was set {way} by {}: probes under way are not timed",
            humantime::format_duration(seconds)
        );
        self.notice(Severity::Warning, "clock-step", text)
    }

    pub(super) fn notice(
        &mut self,
        severity: Severity,
        code: &'static str,
        text: String,
    ) -> anyhow::Result<()> {
        let at = self.parts.driver.now();
        self.tell(&RttEvent::Notice(&Notice { at, severity, code, text }))
    }

    fn tick(&mut self) -> anyhow::Result<()> {
        match self.parts.out.wake_at() {
            Some(at) if at <= self.parts.driver.now() => {
                self.drops = self.parts.driver.wire().drops();
                self.tell(&RttEvent::Tick)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn tell(&mut self, event: &RttEvent<'_>) -> anyhow::Result<()> {
        let parts = &mut self.parts;
        let view = RttView {
            run: &parts.run,
            now: parts.driver.now(),
            accounts: &parts.ledger.accounts,
            flows: &parts.ledger.flows,
            schedule: &parts.schedule,
            measurement: &self.measurement,
            traffic: parts.driver.traffic(),
            drops: self.drops,
            clock_steps: self.clock_steps,
        };
        parts.out.hear(event, &view).context("cannot write the report")
    }

    /// Passes over a failure to send that may pass; says so once.
    fn forgive<T>(&mut self, result: Result<T, DriverError>) -> anyhow::Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(DriverError::Send { source, to }) if SendTrouble::of(&source).is_some() => {
                if !std::mem::replace(&mut self.in_trouble, true) {
                    let text = format!("cannot send to {to}: {source}");
                    self.notice(Severity::Warning, "cannot-send", text)?;
                }
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Leaves every connection, and has the last word.
    fn finish(mut self, interrupted: bool) -> anyhow::Result<(RttEnd, ExitStatus)> {
        let mut under_way: Vec<FlowId> = self.live.keys().copied().collect();
        under_way.sort_unstable();
        for id in under_way {
            self.conclude(id, true)?;
        }
        self.follow_up()?;
        while let Some(ghost) = self.memory.forget_oldest() {
            self.forget(&ghost)?;
        }
        self.drops = self.parts.driver.wire().drops();
        let (end, status) = self.parts.ledger.end(interrupted);
        self.tell(&RttEvent::Ended(end))?;
        Ok((end, status))
    }
}

impl Engine {
    /// How a probe that counts was settled, for the books alone.
    pub(super) fn ledger(&mut self) -> &mut Ledger {
        &mut self.parts.ledger
    }

    /// What looks like a challenge ACK came from `to` for an earlier probe from `from`: the peer holds
    /// on to what that has left, and has just been told to let go. A SYN that is under way is gone
    /// with it, unless an answer shows otherwise.
    pub(super) fn challenged(&mut self, from: SocketAddr, to: SocketAddr) {
        let aims = &self.parts.aims;
        let same = |live: &&mut Live| {
            live.lease.address() == from && aims[live.target as usize].remote == to
        };
        if let Some(live) = self.live.values_mut().find(same) {
            live.challenged = true;
        }
    }

    /// A probe that is under way.
    pub(super) fn live_mut(&mut self, id: FlowId) -> Option<&mut Live> {
        self.live.get_mut(&id)
    }
}
