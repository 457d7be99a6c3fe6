//! The loop: who comes is let in, served, and seen off.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use super::client::{Abort, Client, Manner, Move};
use super::cookie::Cookies;
use super::findings;
use super::gate::Faults;
use crate::driver::{Arrival, Driver, DriverError, FlowSpec, Opening, Step};
use crate::event::{
    ClientReport, ClientStage, Event, FlowId, ListenReport, Notice, Outcome, Run, Severity, Sink,
};
use crate::net::Wire;
use crate::tcp::state::State;
use crate::time::Instant;
use crate::wire::{Flags, Segment, SeqNum};

/// How long a polite leave may take after Ctrl-C before it becomes a reset.
const LEAVE_PATIENCE: Duration = Duration::from_millis(500);
/// From one drawing of a table in place to the next, where nothing else happens.
const TICK: Duration = Duration::from_millis(250);

/// What a listener is to do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(super) manner: Manner,
    pub(super) faults: Faults,
    pub(super) refuse: bool,
    /// End after so many connections.
    pub(super) count: Option<u64>,
    /// Connections at a time.
    pub(super) most: usize,
    /// End after this long.
    pub(super) deadline: Option<Duration>,
    /// TTL and type of service of answers without a connection.
    pub(super) ip: (u8, u8),
    /// The MSS in a SYN cookie.
    pub(super) cookie_mss: u16,
    /// Whether somebody looks at a table that is drawn in place.
    pub(super) ticks: bool,
}

/// The two ends of a connection to be, and our initial number where it is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) iss: Option<SeqNum>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) report: ListenReport,
    pub(crate) interrupted: bool,
}

/// The loop. `specify` makes of a caller a flow's first event, and its parameters.
pub(crate) struct Engine<W, S, F> {
    pub(super) driver: Driver<W, S>,
    plan: Plan,
    specify: F,
    clients: HashMap<FlowId, Client>,
    /// Clients whose handshake is not over, the oldest first.
    half_open: BTreeSet<FlowId>,
    alarms: BTreeSet<(Instant, FlowId)>,
    cookies: Cookies,
    report: ListenReport,
    numbers: u64,
    /// Connections that count for the end of the run.
    counted: u64,
    is_full: bool,
}

impl<W, S, F> Engine<W, S, F>
where
    W: Wire,
    S: Sink,
    F: FnMut(&W, Caller) -> anyhow::Result<(Run, FlowSpec)>,
{
    pub(crate) fn new(driver: Driver<W, S>, plan: Plan, specify: F) -> Self {
        Self {
            driver,
            plan,
            specify,
            clients: HashMap::new(),
            half_open: BTreeSet::new(),
            alarms: BTreeSet::new(),
            cookies: Cookies::new(),
            report: ListenReport::default(),
            numbers: 0,
            counted: 0,
            is_full: false,
        }
    }

    /// Serves until enough have come, the time is over, or the user says so; then leaves politely.
    pub(crate) fn run(mut self) -> anyhow::Result<(Driver<W, S>, Ended)> {
        let forever = Instant::from_nanos(u64::MAX);
        let end = self.plan.deadline.map_or(forever, |limit| self.driver.now() + limit);
        let mut interrupted = false;
        loop {
            self.attend()?;
            if self.is_done() || self.driver.now() >= end {
                break;
            }
            let alarm = self.alarms.first().map_or(end, |(at, _)| (*at).min(end));
            let until = if self.plan.ticks { alarm.min(self.driver.now() + TICK) } else { alarm };
            match self.driver.step(until)? {
                Step::Progress => {}
                Step::Deadline => {
                    let now = self.driver.now();
                    self.driver.report(FlowId::default(), &Event::Tick(now))?;
                }
                Step::StatusRequested => self.say_how_it_stands()?,
                Step::Interrupted => {
                    interrupted = true;
                    let text = "interrupted: leaving the connections".to_owned();
                    self.notice(Severity::Info, "interrupted", text)?;
                    break;
                }
            }
        }
        self.leave()?;
        self.report.overflow = self.driver.overflow();
        self.report.unsent = self.driver.unsent();
        let Self { driver, report, .. } = self;
        Ok((driver, Ended { report, interrupted }))
    }

    /// As many as were wanted have come and gone.
    fn is_done(&self) -> bool {
        self.has_enough() && self.clients.len() == self.half_open.len()
    }

    fn has_enough(&self) -> bool {
        self.plan.count.is_some_and(|count| self.counted >= count)
    }

    /// Does all that is to be done before the next wait.
    fn attend(&mut self) -> anyhow::Result<()> {
        loop {
            let now = self.driver.now();
            let mut due = self.driver.take_touched();
            while let Some(&(at, id)) = self.alarms.first()
                && at <= now
            {
                self.alarms.pop_first();
                due.insert(id);
            }
            for id in &due {
                self.serve(*id)?;
            }
            // Behind them: a client that opens anew has been seen off before.
            match self.driver.next_arrival()? {
                Some(arrival) => self.receive(arrival)?,
                None if due.is_empty() => return Ok(()),
                // What was done may have brought more to do.
                None => {}
            }
        }
    }

    fn serve(&mut self, id: FlowId) -> anyhow::Result<()> {
        loop {
            let now = self.driver.now();
            let (Some(flow), Some(client)) = (self.driver.flow(id), self.clients.get_mut(&id))
            else {
                return Ok(());
            };
            client.look(flow, now);
            if client.is_over(flow) {
                return self.conclude(id);
            }
            let newly_open = client.opened_at.is_some() && self.half_open.contains(&id);
            let what = client.next_move(flow, &self.plan.manner, now);
            let Some(what) = what.filter(|_| !newly_open) else {
                let alarm = client.next_alarm(flow, &self.plan.manner);
                self.set_alarm(id, alarm);
                if newly_open {
                    self.welcome(id)?;
                    continue;
                }
                return Ok(());
            };
            let manner = &self.plan.manner;
            self.driver.with_flow(id, |flow, now| client.carry_out(what, flow, manner, now))?;
        }
    }

    fn set_alarm(&mut self, id: FlowId, alarm: Option<Instant>) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if client.alarm == alarm {
            return;
        }
        if let Some(old) = std::mem::replace(&mut client.alarm, alarm) {
            self.alarms.remove(&(old, id));
        }
        if let Some(new) = alarm {
            self.alarms.insert((new, id));
        }
    }

    /// A handshake is over.
    fn welcome(&mut self, id: FlowId) -> anyhow::Result<()> {
        self.half_open.remove(&id);
        self.report.opened += 1;
        self.counted += 1;
        self.tell(id, ClientStage::Opened)?;
        Ok(())
    }

    /// Reports a client as it stands.
    fn tell(
        &mut self,
        id: FlowId,
        stage: ClientStage,
    ) -> Result<Option<ClientReport>, DriverError> {
        self.driver.settle(Some(id))?;
        let now = self.driver.now();
        let (Some(flow), Some(client)) = (self.driver.flow(id), self.clients.get(&id)) else {
            return Ok(None);
        };
        let report = findings::report(flow, client, &self.plan.manner, stage, now);
        self.driver.report(id, &Event::Client(Box::new(report.clone())))?;
        Ok(Some(report))
    }

    /// The last word about a client.
    fn conclude(&mut self, id: FlowId) -> anyhow::Result<()> {
        self.set_alarm(id, None);
        if let Some(report) = self.tell(id, ClientStage::Ended)? {
            self.count(report.outcome);
            self.report.received += report.received;
            self.report.acknowledged += report.acknowledged;
            self.report.idle += u64::from(report.idle.is_some());
            if !report.established && report.outcome == Outcome::Refused {
                self.counted += 1;
            }
        }
        self.clients.remove(&id);
        self.half_open.remove(&id);
        self.driver.forget(id)?;
        Ok(())
    }

    fn count(&mut self, outcome: Outcome) {
        match self.report.outcomes.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, count)) => *count += 1,
            None => self.report.outcomes.push((outcome, 1)),
        }
    }

    /// Decides about a segment of no connection.
    fn receive(&mut self, arrival: Arrival) -> anyhow::Result<()> {
        let packet = &arrival.packet;
        let segment = &packet.segment;
        let client = SocketAddr::new(packet.ip.src, segment.src_port);
        let server = SocketAddr::new(packet.ip.dst, segment.dst_port);
        let opens = segment.has(Flags::SYN) && !segment.flags.intersects(Flags::ACK | Flags::RST);
        if segment.has(Flags::RST) {
            return Ok(self.driver.ignore(&arrival, "RST for no connection")?);
        }
        if !opens {
            let now = self.driver.now();
            if let Some((syn, iss)) = self.cookies.redeem((client, server), segment, now) {
                return self.redeem(arrival, Caller { client, server, iss: Some(iss) }, &syn);
            }
            self.report.strays += 1;
            return self.refuse(&arrival, "of no connection: refused");
        }
        if self.has_enough() {
            self.report.turned_away += 1;
            return self.refuse(&arrival, "enough have come: refused");
        }
        if self.clients.len() < self.plan.most {
            self.is_full = false;
            return self.admit(arrival, Caller { client, server, iss: None });
        }
        self.tell_full()?;
        if self.half_open.is_empty() {
            self.report.turned_away += 1;
            return self.refuse(&arrival, "the table is full: refused");
        }
        if !self.plan.faults.is_open() || self.plan.refuse || self.plan.manner.simultaneous_open {
            self.report.turned_away += 1;
            return Ok(self.driver.ignore(&arrival, "the table is full: dropped")?);
        }
        self.report.cookies += 1;
        let (now, mss) = (self.driver.now(), self.plan.cookie_mss);
        let answer = self.cookies.bake((client, server), segment, mss, now);
        Ok(self.driver.answer(&arrival, answer, self.plan.ip, "answered by a SYN cookie")?)
    }

    /// Says once that the table is full, and again when it was not for a while.
    fn tell_full(&mut self) -> anyhow::Result<()> {
        if std::mem::replace(&mut self.is_full, true) {
            return Ok(());
        }
        let most = self.plan.most;
        let half_open = self.half_open.len();
        let text = format!(
            "the table of {most} connections is full, {half_open} of them half-open: SYNs are \
             answered by cookies while one is, and refused by RST while none is (--max-connections)"
        );
        self.notice(Severity::Warning, "table-full", text)
    }

    /// RST, as from CLOSED or LISTEN (RFC 9293 §3.10.7.1, §3.10.7.2).
    fn refuse(&mut self, arrival: &Arrival, remark: &'static str) -> anyhow::Result<()> {
        let asked = &arrival.packet.segment;
        let (seq, ack, flags) = if asked.has(Flags::ACK) {
            (asked.ack, SeqNum::default(), Flags::RST)
        } else {
            (SeqNum::default(), asked.seq_end(), Flags::RST | Flags::ACK)
        };
        let (src_port, dst_port) = (asked.dst_port, asked.src_port);
        let reset = Segment { src_port, dst_port, seq, ack, flags, ..Segment::default() };
        Ok(self.driver.answer(arrival, reset, self.plan.ip, remark)?)
    }

    fn admit(&mut self, arrival: Arrival, caller: Caller) -> anyhow::Result<()> {
        let since = arrival.frame.stamp.at;
        let (run, spec) = (self.specify)(self.driver.wire(), caller)?;
        let run = Run { at: since.min(run.at), ..run };
        let faults = Faults { kept: std::rc::Rc::default(), ..self.plan.faults.clone() };
        let opening = if self.plan.refuse { Opening::Refused } else { Opening::Passive };
        let spec = FlowSpec { gate: Box::new(faults.clone()), ..spec };
        let id = self.driver.accept(spec, run, arrival, opening)?;
        self.enter(id, since, faults)?;
        if self.plan.refuse {
            return self.conclude(id);
        }
        self.serve(id)
    }

    fn enter(&mut self, id: FlowId, since: Instant, faults: Faults) -> anyhow::Result<()> {
        self.numbers += 1;
        self.clients.insert(id, Client::new(self.numbers, since, faults));
        self.half_open.insert(id);
        self.report.most = self.report.most.max(self.clients.len() as u64);
        Ok(())
    }

    /// A client brings a SYN cookie back: it has proved itself, and half-open ones have not.
    fn redeem(&mut self, arrival: Arrival, caller: Caller, syn: &Segment) -> anyhow::Result<()> {
        if self.clients.len() >= self.plan.most {
            let Some(oldest) = self.half_open.first().copied() else {
                self.report.turned_away += 1;
                return self.refuse(&arrival, "the table is full: refused");
            };
            self.report.evicted += 1;
            self.reset(oldest, Abort::Evicted)?;
            self.conclude(oldest)?;
        }
        self.report.cookies_redeemed += 1;
        let (run, spec) = (self.specify)(self.driver.wire(), caller)?;
        let since = arrival.frame.stamp.at;
        let run = Run { at: since.min(run.at), ..run };
        let id = self.driver.accept_by_cookie(spec, run, syn, arrival)?;
        self.enter(id, since, Faults::default())?;
        self.serve(id)
    }

    fn reset(&mut self, id: FlowId, why: Abort) -> Result<(), DriverError> {
        let Some(client) = self.clients.get_mut(&id) else { return Ok(()) };
        let manner = &self.plan.manner;
        let abort = Move::Abort(why);
        self.driver.with_flow(id, |flow, now| client.carry_out(abort, flow, manner, now)).map(drop)
    }

    /// Closes every connection, by FIN where the client plays along.
    fn leave(&mut self) -> anyhow::Result<()> {
        for id in self.ids() {
            let Some(client) = self.clients.get_mut(&id) else { continue };
            if client.opened_at.is_some() && !client.closed {
                let manner = &self.plan.manner;
                let close = |flow: &mut _, now| client.carry_out(Move::Close, flow, manner, now);
                self.driver.with_flow(id, close)?;
            }
        }
        let until = self.driver.now() + LEAVE_PATIENCE;
        while self.clients.len() > self.lingering() && self.driver.now() < until {
            for id in self.driver.take_touched() {
                self.serve(id)?;
            }
            while let Some(arrival) = self.driver.next_arrival()? {
                self.receive_late(&arrival)?;
            }
            if self.clients.len() == self.lingering() {
                break;
            }
            // Whoever interrupts twice does not want to wait.
            if self.driver.step(until)? == Step::Interrupted {
                break;
            }
        }
        for id in self.ids() {
            let state = self.driver.flow(id).map(|flow| flow.connection.state());
            if !matches!(state, None | Some(State::Closed | State::TimeWait)) {
                self.reset(id, Abort::Leaving)?;
            }
        }
        self.driver.settle(None)?;
        for id in self.ids() {
            self.conclude(id)?;
        }
        Ok(())
    }

    /// Nobody is let in any more.
    fn receive_late(&mut self, arrival: &Arrival) -> anyhow::Result<()> {
        if arrival.packet.segment.has(Flags::RST) {
            return Ok(self.driver.ignore(arrival, "RST for no connection")?);
        }
        self.refuse(arrival, "the run is over: refused")
    }

    /// Connections in TIME-WAIT: there is nothing left to be polite about.
    fn lingering(&self) -> usize {
        let waits = |id: &&FlowId| {
            let flow = self.driver.flow(**id);
            flow.is_some_and(|flow| flow.connection.state() == State::TimeWait)
        };
        self.clients.keys().filter(waits).count()
    }

    fn ids(&self) -> Vec<FlowId> {
        let mut ids: Vec<FlowId> = self.clients.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    fn say_how_it_stands(&mut self) -> anyhow::Result<()> {
        let (open, half) = (self.clients.len() - self.half_open.len(), self.half_open.len());
        let text = format!(
            "{} opened so far; {open} open or closing, {half} half-open now",
            self.report.opened
        );
        self.notice(Severity::Info, "status", text)
    }

    fn notice(
        &mut self,
        severity: Severity,
        code: &'static str,
        text: String,
    ) -> anyhow::Result<()> {
        let at = self.driver.now();
        let notice = Notice { at, severity, code, text };
        Ok(self.driver.report(FlowId::default(), &Event::Notice(notice))?)
    }
}
