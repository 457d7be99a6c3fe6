//! One course: all requests in one version, on as many connections as that takes.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::engine::{Engine, EngineError, Waited};
use super::life::Life;
use crate::cmd::findings;
use crate::cmd::ground::Carrier;
use crate::driver::{Flow, FlowSpec};
use crate::event::{
    ConnectionReport, Costs, CourseReport, FlowId, HttpVersion, Outcome, Run, Sink,
};
use crate::http::{Failure, Wish};
use crate::time::Instant;

/// How long a server may take to close behind an HTTP/1.0 response.
const FIN_PATIENCE: Duration = Duration::from_secs(2);

/// What a course comes to, as it goes on.
#[derive(Debug)]
struct Finding {
    outcome: Outcome,
    text: String,
}

impl<S, P> Engine<S, P>
where
    S: Sink,
    P: FnMut(&mut Carrier, u32) -> anyhow::Result<(Run, FlowSpec)>,
{
    /// Runs the course `number` of a round.
    pub(super) fn course(
        &mut self,
        number: u32,
        round: u32,
        wish: Wish,
    ) -> Result<CourseReport, EngineError> {
        self.told.clear();
        self.ended.clear();
        self.answers.clear();
        let asked = u32::try_from(self.plan.asks.len()).unwrap_or(u32::MAX);
        let mut queue: VecDeque<u32> = (1..=asked).collect();
        let mut finding = None;
        let mut version = None;
        while !queue.is_empty() && finding.is_none() && !self.is_over() {
            let id = self.open(number, wish)?;
            finding = self.use_connection(id, &mut queue)?;
            version = self.look(id, |life, _| life.version).or(version);
            if finding.is_none() && !self.interrupted() {
                self.await_close(id, queue.is_empty())?;
            }
            self.leave(id, None)?;
        }
        self.wait_for_all(false)?;
        self.driver.settle(None)?;
        if finding.is_none() && !queue.is_empty() {
            finding = Some(self.cut_short(queue.len()));
        }
        let version = version.unwrap_or(match wish {
            Wish::Exactly(version) => version,
            Wish::Either => HttpVersion::Http11,
        });
        Ok(self.balance(number, round, version, finding))
    }

    fn cut_short(&self, left: usize) -> Finding {
        let (outcome, why) = if self.disturbed {
            (Outcome::LocalInterference, "our own kernel interfered")
        } else if self.interrupted() {
            (Outcome::Interrupted, "interrupted")
        } else {
            (Outcome::TimedOut, "the time for the whole run was over")
        };
        Finding { outcome, text: format!("{why} with {left} left to be answered") }
    }

    /// Asks on a connection as much as it takes, and removes from `queue` what was answered.
    fn use_connection(
        &mut self,
        id: FlowId,
        queue: &mut VecDeque<u32>,
    ) -> Result<Option<Finding>, EngineError> {
        let opened =
            |_: &Life, flow: &Flow| flow.ending.established || !flow.timeline.icmp.is_empty();
        // Bounded by the machine's own retransmissions.
        self.wait_until(id, |_| Instant::from_nanos(u64::MAX), opened)?;
        let outcome = self.look(id, |_, flow| {
            let open = flow.ending.established && !flow.ending.closed;
            (!open).then(|| findings::opening(flow))
        });
        if let Some(outcome) = outcome.flatten() {
            if self.interrupted() {
                return Ok(None);
            }
            let text = format!("no connection: {}", unopened(outcome));
            return Ok(Some(Finding { outcome, text }));
        }
        let now = self.driver.now();
        if let Some(life) = self.life_mut(id) {
            life.alive_at = now;
        }
        let ready = |life: &Life, _: &Flow| life.client.is_ready() || life.failure.is_some();
        let waited = self.wait(id, ready)?;
        if let Some(finding) = self.trouble(id, waited, "the TLS handshake")? {
            return Ok(Some(finding));
        }
        let version = self.look(id, |life, _| life.version).unwrap_or(HttpVersion::Http11);
        match version {
            HttpVersion::Http2 => self.ask_at_once(id, queue),
            HttpVersion::Http10 => self.ask_in_turn(id, queue, 1),
            HttpVersion::Http11 => self.ask_in_turn(id, queue, usize::MAX),
        }
    }

    /// One request after the other, as long as the connection takes them.
    fn ask_in_turn(
        &mut self,
        id: FlowId,
        queue: &mut VecDeque<u32>,
        most: usize,
    ) -> Result<Option<Finding>, EngineError> {
        let mut asked = 0;
        while let Some(&number) = queue.front()
            && asked < most
            && !self.is_over()
        {
            if !self.look(id, |life, _| life.client.is_ready()).unwrap_or(false) {
                break;
            }
            asked += 1;
            self.ask(id, number)?;
            if let Some(finding) = self.await_answers(id, queue)? {
                return Ok(Some(finding));
            }
        }
        if !queue.is_empty() && most > 1 {
            self.remark_on_early_close(id);
        }
        Ok(None)
    }

    /// All requests at the same time.
    fn ask_at_once(
        &mut self,
        id: FlowId,
        queue: &mut VecDeque<u32>,
    ) -> Result<Option<Finding>, EngineError> {
        for number in queue.clone() {
            self.ask(id, number)?;
        }
        let finding = self.await_answers(id, queue)?;
        if !queue.is_empty() && finding.is_none() {
            self.remark_on_early_close(id);
        }
        Ok(finding)
    }

    fn remark_on_early_close(&mut self, id: FlowId) {
        let interrupted = self.interrupted();
        if let Some(life) = self.life_mut(id)
            && !interrupted
        {
            let how =
                if life.announced { "as its answers had announced" } else { "without a word" };
            let text = format!("the server closed after {} of them, {how}", life.answered);
            life.remark = Some(text);
        }
    }

    /// Waits until whatever was asked is answered, or will not be.
    fn await_answers(
        &mut self,
        id: FlowId,
        queue: &mut VecDeque<u32>,
    ) -> Result<Option<Finding>, EngineError> {
        let settled = |life: &Life, _: &Flow| {
            life.failure.is_some() || life.drafts.len() == life.unanswered.len()
        };
        let waited = self.wait(id, settled)?;
        let done: HashSet<u32> = std::mem::take(&mut self.answers).into_iter().collect();
        // One after the other, it is the first that was answered: there may be very many.
        if done.len() == 1 && queue.front().is_some_and(|first| done.contains(first)) {
            queue.pop_front();
        } else {
            queue.retain(|number| !done.contains(number));
        }
        let answered = self.look(id, |life, _| life.answered).unwrap_or(0);
        let unanswered = self.life_mut(id).map(|life| std::mem::take(&mut life.unanswered));
        let mut unanswered = unanswered.unwrap_or_default();
        unanswered.sort_unstable();
        // A connection that a server ends between two requests is no failure: RFC 9112 §9.3.1 has
        // them asked again, where that can do no harm.
        let silent = |engine: &Self, number: u32| {
            let begun = engine.look(id, |life, _| {
                life.drafts
                    .get(&number)
                    .is_some_and(|draft| draft.report.moments.first_byte.is_some())
            });
            !begun.unwrap_or(false)
        };
        let harmless = self.plan.asks.first().is_some_and(|ask| ask.method.is_idempotent());
        let reset = self.look(id, |_, flow| flow.ending.reset).unwrap_or(false);
        if answered > 0 && harmless && !unanswered.is_empty() && !self.interrupted() {
            let all_silent = unanswered.iter().all(|(number, _)| silent(self, *number));
            if all_silent {
                if let Some(life) = self.life_mut(id) {
                    for (number, _) in &unanswered {
                        life.drafts.remove(number);
                    }
                }
                return Ok(None);
            }
        }
        if let Some((_, why)) = unanswered.first() {
            let declined = self.look(id, |life, _| life.failure.clone()).flatten();
            let finding = match declined {
                Some(failure @ (Failure::Declined(_) | Failure::Tls(_))) => of_failure(&failure),
                _ if reset => Finding {
                    outcome: Outcome::Reset,
                    text: "the server reset the connection in place of a response".to_owned(),
                },
                _ => Finding {
                    outcome: Outcome::Invalid,
                    text: format!("what the server answered is not to be understood: {why}"),
                },
            };
            let plain = finding.outcome != Outcome::Invalid;
            for (number, why) in unanswered {
                let why = if plain { finding.text.clone() } else { why };
                self.give_up(id, number, why)?;
            }
            return Ok(Some(finding));
        }
        self.trouble(id, waited, "a response")
    }

    /// Why a connection is of no use, where it is not.
    fn trouble(
        &mut self,
        id: FlowId,
        waited: Waited,
        what: &str,
    ) -> Result<Option<Finding>, EngineError> {
        let finding = self.look(id, |life, flow| match &life.failure {
            Some(failure) => Some(of_failure(failure)),
            None if flow.ending.reset => Some(Finding {
                outcome: Outcome::Reset,
                text: format!("the server reset the connection in place of {what}"),
            }),
            None if flow.ending.closed => Some(Finding {
                outcome: Outcome::TimedOut,
                text: format!("the server fell silent in {what}"),
            }),
            None => None,
        });
        let mut finding = finding.flatten();
        if waited == Waited::TooLong && finding.is_none() && !self.interrupted() {
            let text = if self.is_over() {
                format!("the time for the whole run was over in {what}")
            } else {
                let wait = humantime::format_duration(self.plan.wait);
                format!("nothing of {what} came for {wait}")
            };
            finding = Some(Finding { outcome: Outcome::TimedOut, text });
        }
        let why = match &finding {
            Some(finding) => finding.text.clone(),
            None if self.interrupted() => "interrupted".to_owned(),
            None => return Ok(None),
        };
        let drafts: Vec<u32> =
            self.look(id, |life, _| life.drafts.keys().copied().collect()).unwrap_or_default();
        for number in drafts {
            self.give_up(id, number, why.clone())?;
        }
        Ok(finding)
    }

    /// Behind the last response on a connection: the server's FIN, where it is the server's turn, or
    /// where this is the `last` connection and the user wants to see how long the server keeps it.
    fn await_close(&mut self, id: FlowId, last: bool) -> Result<(), EngineError> {
        let turn = |life: &Life| life.version == HttpVersion::Http10 || life.announced;
        let theirs = self.look(id, |life, _| turn(life)).unwrap_or(false);
        let (patience, what) = match self.plan.idle {
            Some(most) if last => (most, "the idle connection"),
            _ if theirs => {
                (self.plan.wait.min(FIN_PATIENCE), "the connection, which was its to close,")
            }
            _ => return Ok(()),
        };
        let until = self.driver.now() + patience;
        let closed = |_: &Life, flow: &Flow| flow.connection.peer_fin_received();
        let waited = self.wait_until(id, |_| until, closed)?;
        if waited == Waited::TooLong && !self.interrupted() {
            let text = format!(
                "the server kept {what} open for {}: we closed it",
                humantime::format_duration(patience)
            );
            if let Some(life) = self.life_mut(id) {
                life.remark = Some(text);
            }
        }
        Ok(())
    }

    fn balance(
        &self,
        number: u32,
        round: u32,
        version: HttpVersion,
        finding: Option<Finding>,
    ) -> CourseReport {
        let answered = self.told.iter().filter(|report| report.complete).count();
        let answered = u32::try_from(answered).unwrap_or(u32::MAX);
        let bad = self.told.iter().find(|it| it.status.is_some_and(|status| status >= 400));
        let bad = bad.filter(|_| self.plan.fail);
        let (outcome, finding) = match (finding, bad) {
            (Some(finding), _) => (finding.outcome, Some(finding.text)),
            (None, Some(report)) => {
                let status = report.status.unwrap_or_default();
                let text = format!("request {} was answered by {status}", report.number);
                (Outcome::BadStatus, Some(text))
            }
            (None, None) => (Outcome::Answered, None),
        };
        let mut costs = Costs::default();
        // Those in TIME-WAIT are told of later.
        let lingering = self.reports();
        let connections: Vec<&ConnectionReport> =
            self.ended.iter().chain(&lingering).filter(|it| it.course == number).collect();
        for connection in &connections {
            costs += connection.costs;
        }
        let openings: Vec<Duration> = self
            .told
            .iter()
            .filter(|report| !report.reused)
            .filter_map(|report| {
                let times = report.moments.times();
                Some(times.tcp? + times.tls.unwrap_or_default())
            })
            .collect();
        let count = u32::try_from(openings.len()).unwrap_or(u32::MAX);
        let opening = (count > 0).then(|| openings.iter().sum::<Duration>() / count);
        let begun = self.told.iter().filter_map(|report| {
            let dns = report.moments.dns.unwrap_or_default();
            report.moments.tcp.map(|_| report.moments.begun + dns)
        });
        let ends = self.told.iter().filter_map(|report| report.moments.last_byte);
        let total = begun.min().zip(ends.max()).map(|(from, to)| to.since(from));
        let opened = connections.iter().filter(|it| it.close.is_some()).count();
        let opened = u32::try_from(opened).unwrap_or(u32::MAX);
        let reused = answered.saturating_sub(opened);
        CourseReport {
            number,
            round,
            version,
            outcome,
            finding,
            asked: u32::try_from(self.plan.asks.len()).unwrap_or(u32::MAX),
            answered,
            connections: opened,
            costs,
            bytes: self.told.iter().map(|report| report.bytes).sum(),
            opening,
            total: total.unwrap_or_default(),
            saved: opening.unwrap_or_default() * reused,
        }
    }
}

/// Why there is no connection.
const fn unopened(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Refused => "a RST answered the SYN",
        Outcome::Filtered => "nothing answered any of the SYNs",
        Outcome::Unreachable => "ICMP says that the server cannot be reached",
        Outcome::Prohibited => "ICMP says that a firewall forbids it",
        Outcome::LocalInterference => "our own kernel interfered",
        _ => "what answered cannot be an answer to the SYN",
    }
}

fn of_failure(failure: &Failure) -> Finding {
    let outcome = match failure {
        Failure::Declined(_) => Outcome::Declined,
        Failure::Tls(_) => Outcome::Untrusted,
        Failure::Http(_) => Outcome::Invalid,
    };
    Finding { outcome, text: failure.text().to_owned() }
}
