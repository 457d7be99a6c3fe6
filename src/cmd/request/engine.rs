//! The loop: connections are opened, asked, closed, and told of.

use std::collections::BTreeMap;
use std::time::Duration;

use super::life::{Birth, Life, Stage};
use super::plan::Plan;
use super::watch::{Book, Watch};
use crate::cmd::ground::Carrier;
use crate::driver::{Driver, DriverError, Flow, FlowSpec, Step};
use crate::event::{
    ConnectionReport, Event, FlowId, HttpCargo, HttpStep, HttpVersion, Notice, RequestReport, Run,
    Severity, Sink,
};
use crate::http::{Client, Moment, TrustError, Wish};
use crate::net::Dir;
use crate::tcp::state::State;
use crate::time::{Clock, Instant};

/// How long a polite leave may take after Ctrl-C before it becomes a reset.
const LEAVE_PATIENCE: Duration = Duration::from_millis(500);
/// How long a connection may take to close while others go on.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
const FOREVER: Instant = Instant::from_nanos(u64::MAX);

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngineError {
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Place(anyhow::Error),
}

/// What a wait ended with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Waited {
    Done,
    TooLong,
}

fn flow_is_open<S: Sink>(driver: &Driver<Carrier, Watch<S>>, id: FlowId) -> bool {
    driver.flow(id).is_some_and(|flow| flow.ending.established)
}

/// Everything of a run.
pub(super) struct Engine<S, P> {
    pub(super) driver: Driver<Carrier, Watch<S>>,
    pub(super) plan: Plan,
    pub(super) dns: Option<Duration>,
    book: Book,
    place: P,
    lives: BTreeMap<FlowId, Life>,
    connections: u32,
    start: Instant,
    interrupted: bool,
    /// Requests that were answered since this was last taken.
    pub(super) answers: Vec<u32>,
    /// Requests that were told of, for those who draw up the balance of a course.
    pub(super) told: Vec<RequestReport>,
    /// Connections that were told of since this was last taken.
    pub(super) ended: Vec<ConnectionReport>,
    pub(super) disturbed: bool,
    pub(super) clock: Option<Clock>,
}

impl<S, P> Engine<S, P>
where
    S: Sink,
    P: FnMut(&mut Carrier, u32) -> anyhow::Result<(Run, FlowSpec)>,
{
    /// `place` gives the first event and the parameters of the n-th connection, from 0.
    pub(super) fn new(
        driver: Driver<Carrier, Watch<S>>,
        book: Book,
        plan: Plan,
        dns: Option<Duration>,
        place: P,
    ) -> Self {
        let start = driver.now();
        Self {
            driver,
            plan,
            dns,
            book,
            place,
            lives: BTreeMap::new(),
            connections: 0,
            start,
            interrupted: false,
            answers: Vec::new(),
            told: Vec::new(),
            ended: Vec::new(),
            disturbed: false,
            clock: None,
        }
    }

    pub(super) const fn interrupted(&self) -> bool {
        self.interrupted
    }

    pub(super) const fn start(&self) -> Instant {
        self.start
    }

    fn deadline(&self) -> Instant {
        self.plan.deadline.map_or(FOREVER, |limit| self.start + limit)
    }

    /// Whether no more is to be begun.
    pub(super) fn is_over(&self) -> bool {
        self.interrupted || self.disturbed || self.driver.now() >= self.deadline()
    }

    /// Opens a connection for a course; its SYN has left.
    pub(super) fn open(&mut self, course: u32, wish: Wish) -> Result<FlowId, EngineError> {
        let client = match &self.plan.trust {
            Some(trust) => Client::secured(wish, trust, &self.plan.host)?,
            None => match wish {
                Wish::Exactly(version) => Client::plain(version),
                Wish::Either => Client::plain(HttpVersion::Http11),
            },
        };
        let version = match wish {
            Wish::Exactly(version) => version,
            Wish::Either => client.version().unwrap_or(HttpVersion::Http2),
        };
        let number = self.connections;
        let (run, spec) =
            (self.place)(self.driver.wire_mut(), number).map_err(EngineError::Place)?;
        self.connections += 1;
        let (source, at) = (spec.local, run.at);
        let id = self.driver.open(spec, run)?;
        if self.plan.trust.is_some() {
            self.book.borrow_mut().entry(id).or_default().expect_tls();
        }
        if number == 0 && self.plan.insecure {
            let (severity, code) = (Severity::Warning, "insecure");
            let text = "--insecure: no certificate is verified; whoever is on the way may answer, \
                        read and change everything"
                .to_owned();
            self.driver.report(id, &Event::Notice(Notice { at, severity, code, text }))?;
        }
        let number = number + 1;
        let compared = self.plan.compared;
        let birth = Birth { id, number, course, compared, source, version, client, at };
        self.lives.insert(id, Life::new(birth));
        Ok(id)
    }

    pub(super) fn look<T>(&self, id: FlowId, look: impl FnOnce(&Life, &Flow) -> T) -> Option<T> {
        Some(look(self.lives.get(&id)?, self.driver.flow(id)?))
    }

    pub(super) fn life_mut(&mut self, id: FlowId) -> Option<&mut Life> {
        self.lives.get_mut(&id)
    }

    /// Sends the request `number` on a connection.
    pub(super) fn ask(&mut self, id: FlowId, number: u32) -> Result<(), EngineError> {
        let now = self.driver.now();
        let Some(ask) = self.plan.asks.get(number as usize - 1) else { return Ok(()) };
        if let Some(life) = self.lives.get_mut(&id) {
            life.version = life.client.version().unwrap_or(life.version);
            life.draft(number, ask, now);
            life.client.send(number, ask);
            life.alive_at = now;
        }
        self.attend_to(id)
    }

    /// Waits until `condition` holds, the connection is at its end, or nothing has gone on for as
    /// long as the user wants to wait.
    pub(super) fn wait(
        &mut self,
        id: FlowId,
        condition: impl Fn(&Life, &Flow) -> bool,
    ) -> Result<Waited, EngineError> {
        let wait = self.plan.wait;
        self.wait_until(id, move |life| life.alive_at + wait, condition)
    }

    /// As [`wait`](Self::wait), but until a time.
    pub(super) fn wait_until(
        &mut self,
        id: FlowId,
        until: impl Fn(&Life) -> Instant,
        condition: impl Fn(&Life, &Flow) -> bool,
    ) -> Result<Waited, EngineError> {
        loop {
            self.attend()?;
            let Some(life) = self.lives.get(&id) else { return Ok(Waited::Done) };
            let Some(flow) = self.driver.flow(id) else { return Ok(Waited::Done) };
            let over = flow.connection.state() == State::Closed || flow.interference;
            if over || condition(life, flow) {
                return Ok(Waited::Done);
            }
            let until = until(life).min(self.deadline());
            if self.interrupted || self.driver.now() >= until {
                return Ok(Waited::TooLong);
            }
            self.step(until)?;
        }
    }

    /// Waits until all connections have come to their end.
    pub(super) fn wait_for_all(&mut self, linger: bool) -> Result<(), EngineError> {
        let mut hurried = None;
        loop {
            self.attend()?;
            let waits = |life: &Life| linger || life.lingers_from.is_none();
            if !self.lives.values().any(waits) {
                return Ok(());
            }
            if self.is_over() {
                let by = *hurried.get_or_insert(self.driver.now() + LEAVE_PATIENCE);
                for life in self.lives.values_mut() {
                    life.forced = true;
                    life.stage = match life.stage {
                        Stage::Leaving(earlier) => Stage::Leaving(earlier.min(by)),
                        Stage::Open => Stage::Leaving(by),
                    };
                }
            }
            let deadline = self.deadline();
            self.step(if hurried.is_some() { FOREVER } else { deadline })?;
        }
    }

    /// Waits for the next thing to happen, until `until` or until a connection has to be reset.
    fn step(&mut self, until: Instant) -> Result<(), EngineError> {
        let leaving = self.lives.values().filter(|life| life.lingers_from.is_none());
        let resets = leaving.filter_map(|life| match life.stage {
            Stage::Leaving(by) => Some(by),
            Stage::Open => None,
        });
        let until = resets.min().map_or(until, |by| by.min(until));
        if self.driver.step(until)? == Step::Interrupted && !self.interrupted {
            self.interrupted = true;
            let (at, severity) = (self.driver.now(), Severity::Info);
            let text = "interrupted: leaving the connections".to_owned();
            let notice = Notice { at, severity, code: "interrupted", text };
            let id = self.lives.keys().next().copied().unwrap_or_default();
            self.driver.report(id, &Event::Notice(notice))?;
        }
        Ok(())
    }

    /// Lets every connection take what has come for it.
    fn attend(&mut self) -> Result<(), EngineError> {
        let ids: Vec<FlowId> = self.lives.keys().copied().collect();
        for id in ids {
            self.attend_to(id)?;
            self.see_off(id)?;
        }
        Ok(())
    }

    /// What has come goes to HTTP, and what HTTP says goes out.
    fn attend_to(&mut self, id: FlowId) -> Result<(), EngineError> {
        let Some(mut life) = self.lives.remove(&id) else { return Ok(()) };
        let done = self.converse(&mut life);
        self.lives.insert(id, life);
        done
    }

    fn converse(&mut self, life: &mut Life) -> Result<(), EngineError> {
        loop {
            let mut busy = false;
            if let Some((bytes, at)) = self.driver.take_received(life.id) {
                (life.at, life.alive_at) = (at, at);
                life.client.receive(&bytes);
                busy = true;
            }
            let Some(flow) = self.driver.flow(life.id) else { return Ok(()) };
            self.disturbed |= flow.interference;
            if flow.bytes_acknowledged > life.acknowledged {
                life.acknowledged = flow.bytes_acknowledged;
                life.alive_at = life.alive_at.max(self.driver.now());
            }
            let ended = flow.connection.peer_fin_received() || flow.ending.closed;
            if ended && flow.received.is_empty() && !life.told_end {
                life.told_end = true;
                life.client.end();
                busy = true;
            }
            while let Some(moment) = life.client.next_moment() {
                busy = true;
                self.hear(life, moment)?;
            }
            // As a socket's user would: what is ready before waits for the handshake to be over, and
            // does not ride on its last segment.
            let open = flow_is_open(&self.driver, life.id);
            let outgoing = if open { life.client.take_outgoing() } else { Vec::new() };
            let closes = matches!(life.stage, Stage::Leaving(_))
                && !life.left
                && (life.forced || life.client.is_done());
            if !outgoing.is_empty() || closes {
                life.left |= closes;
                let change = |flow: &mut Flow, now| {
                    // A machine that takes no more was closed or reset: there is nobody to tell.
                    flow.connection.send(&outgoing, now).ok();
                    if closes {
                        flow.connection.close(now).ok();
                    }
                };
                self.driver.with_flow(life.id, change)?;
                busy = true;
            }
            if !busy {
                return Ok(());
            }
        }
    }

    /// Takes down what has happened on a connection.
    fn hear(&mut self, life: &mut Life, moment: Moment) -> Result<(), EngineError> {
        let at = life.at;
        let mut cargo = None;
        match moment {
            Moment::Secured { facts, until } => {
                self.book.borrow_mut().entry(life.id).or_default().secured(until);
                life.tls = Some((facts.clone(), at));
                cargo = Some(HttpCargo::TlsReady(facts));
            }
            Moment::Ready(version) => life.version = version,
            Moment::Sent { number, from, until } => {
                let line = life.line(number);
                if let Some(draft) = life.drafts.get_mut(&number) {
                    let (first, last) = draft.range.unwrap_or((from, until));
                    draft.range = Some((first.min(from), last.max(until)));
                }
                let what = HttpCargo::Request { number, line };
                self.book.borrow_mut().entry(life.id).or_default().mark(what, (from, until));
            }
            Moment::Left { what, from, until } => {
                self.book.borrow_mut().entry(life.id).or_default().mark(what, (from, until));
            }
            Moment::Came(what) => cargo = Some(what),
            Moment::FirstByte(number) => {
                if let Some(draft) = life.drafts.get_mut(&number) {
                    draft.report.moments.first_byte = Some(at);
                }
            }
            Moment::Head(number, head) => {
                life.head(number, &head);
                let version = head.version.map_or_else(|| "HTTP".to_owned(), |it| it.to_string());
                let line = format!("{version} {} {}", head.status, head.reason);
                cargo = Some(HttpCargo::Head { number, line: line.trim_end().to_owned() });
            }
            Moment::Body(number, more) => {
                if let Some(draft) = life.drafts.get_mut(&number) {
                    draft.report.bytes += more;
                }
            }
            Moment::End(number) => {
                let bytes = life.drafts.get(&number).map_or(0, |draft| draft.report.bytes);
                let what = HttpCargo::End { number, bytes };
                self.say(life.id, at, what)?;
                life.last_response = Some(at);
                life.answered += 1;
                return self.tell(life, number, None);
            }
            Moment::Unanswered(number, why) => life.unanswered.push((number, why)),
            Moment::Failed(failure) => {
                life.failure.get_or_insert(failure);
            }
            Moment::Over => {}
        }
        match cargo {
            Some(what) => self.say(life.id, at, what),
            None => Ok(()),
        }
    }

    fn say(&mut self, id: FlowId, at: Instant, what: HttpCargo) -> Result<(), EngineError> {
        let step = HttpStep { at, dir: Dir::Rx, what };
        Ok(self.driver.report(id, &Event::Http(step))?)
    }

    /// Tells of a request that has come to its end: a good one, unless it says why not.
    pub(super) fn tell(
        &mut self,
        life: &mut Life,
        number: u32,
        failure: Option<String>,
    ) -> Result<(), EngineError> {
        let mut report = {
            let Some(flow) = self.driver.flow(life.id) else { return Ok(()) };
            let mut book = self.book.borrow_mut();
            let account = book.entry(life.id).or_default();
            let range = life.drafts.get(&number).and_then(|draft| draft.range);
            let dns = self.dns.take();
            let Some(mut report) = life.finish(number, flow, account, dns) else { return Ok(()) };
            report.complete = failure.is_none();
            if report.complete {
                report.moments.last_byte = Some(life.at);
            }
            report.failure = failure;
            if let (Some((_, until)), true) = (range, life.drafts.is_empty()) {
                account.forget(until);
            }
            report
        };
        self.driver.report(life.id, &Event::Request(Box::new(report.clone())))?;
        if report.complete {
            self.answers.push(report.number);
        }
        // Of very many requests, the headers are not worth their memory.
        report.sent_headers = Vec::new();
        report.headers = Vec::new();
        self.told.push(report);
        Ok(())
    }

    /// As [`tell`](Self::tell), of a request that failed.
    pub(super) fn give_up(
        &mut self,
        id: FlowId,
        number: u32,
        why: String,
    ) -> Result<(), EngineError> {
        let Some(mut life) = self.lives.remove(&id) else { return Ok(()) };
        let told = self.tell(&mut life, number, Some(why));
        self.lives.insert(id, life);
        told
    }

    /// Begins to leave a connection: by FIN, behind what HTTP has to say at its end.
    pub(super) fn leave(&mut self, id: FlowId, remark: Option<String>) -> Result<(), EngineError> {
        let most = if self.is_over() { LEAVE_PATIENCE } else { CLOSE_PATIENCE };
        let by = self.driver.now() + self.plan.wait.min(most);
        if let Some(life) = self.lives.get_mut(&id) {
            life.stage = Stage::Leaving(by);
            life.remark = life.remark.take().or(remark);
            life.forced |= life.failure.is_some() || !life.drafts.is_empty();
            life.client.finish();
        }
        self.attend_to(id)
    }

    /// Resets a connection that does not close in time, and tells of one that is closed.
    fn see_off(&mut self, id: FlowId) -> Result<(), EngineError> {
        let now = self.driver.now();
        let Some(life) = self.lives.get_mut(&id) else { return Ok(()) };
        let Stage::Leaving(by) = life.stage else { return Ok(()) };
        let Some(flow) = self.driver.flow(id) else { return Ok(()) };
        match flow.connection.state() {
            State::Closed => {
                life.lingered = life.lingers_from.map(|from| now.since(from));
                self.conclude(id)
            }
            State::TimeWait => {
                life.lingers_from.get_or_insert(now);
                Ok(())
            }
            _ if now >= by => {
                life.states = Some((flow.connection.state(), flow.peer.state()));
                self.driver.with_flow(id, |flow, now| flow.connection.abort(now))?;
                self.conclude(id)
            }
            _ => Ok(()),
        }
    }

    /// The connections that are still there, as they stand.
    pub(super) fn reports(&self) -> Vec<ConnectionReport> {
        let book = self.book.borrow();
        let report = |life: &Life| {
            let flow = self.driver.flow(life.id)?;
            Some(life.report(flow, book.get(&life.id)?, self.plan.idle.is_some()))
        };
        self.lives.values().filter_map(report).collect()
    }

    /// The last words of a connection.
    fn conclude(&mut self, id: FlowId) -> Result<(), EngineError> {
        self.driver.settle(Some(id))?;
        let Some(life) = self.lives.remove(&id) else { return Ok(()) };
        let account = self.book.borrow_mut().remove(&id).unwrap_or_default();
        self.clock = self.clock.max(account.worst_clock());
        if let Some(flow) = self.driver.flow(id) {
            let report = life.report(flow, &account, self.plan.idle.is_some());
            self.driver.report(id, &Event::Connection(Box::new(report.clone())))?;
            self.ended.push(report);
        }
        self.driver.forget(id)?;
        self.driver.wire_mut().release_port(life.source.ip(), life.source.port());
        Ok(())
    }
}
