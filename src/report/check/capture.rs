//! A capture file for each check: its packets as they were, with their labels as comments.

use std::collections::HashMap;
use std::io::{self, Write};

use crate::event::{
    CheckEvent, CheckResult, CheckRun, CheckSink, Conversation, Event, FlowId, Notice, Outcome,
    PacketEvent, Run, Severity, Step, Summary, Traffic, Verdict,
};
use crate::net::Dir;
use crate::report::PcapngReporter;
use crate::tcp::state::End;
use crate::time::{Instant, Stamp};

use super::ladder::{in_order, one_line};

/// Writes the trace of each check into a file of its own, by [`PcapngReporter`].
pub struct CheckCaptures<W: Write> {
    files: HashMap<&'static str, PcapngReporter<W>>,
    run: Option<CheckRun>,
}

impl<W: Write> CheckCaptures<W> {
    /// Writes into the file of each check's name.
    pub fn new(files: impl IntoIterator<Item = (&'static str, PcapngReporter<W>)>) -> Self {
        Self { files: files.into_iter().collect(), run: None }
    }
}

impl<W: Write> CheckSink for CheckCaptures<W> {
    /// # Errors
    /// The file of this check could not be written; others still can.
    fn record(&mut self, event: &CheckEvent) -> io::Result<()> {
        match event {
            CheckEvent::Run(run) => self.run = Some(run.clone()),
            CheckEvent::Result(result) => {
                if let (Some(mut file), Some(run)) =
                    (self.files.remove(result.info.id), self.run.as_ref())
                {
                    return write(&mut file, result, run);
                }
            }
            // Files of checks that did not run end as they began: whole, without a packet.
            CheckEvent::End(_) => self.files.clear(),
            _ => {}
        }
        Ok(())
    }
}

/// One check's file from its first packet to its end.
fn write<W: Write>(
    file: &mut PcapngReporter<W>,
    result: &CheckResult,
    run: &CheckRun,
) -> io::Result<()> {
    use crate::event::Sink as _;
    let trace = &result.trace;
    for (flow, ends) in (0..).map(FlowId).zip(&trace.conversations) {
        file.record(flow, &Event::Run(beginning(ends, run)))?;
    }
    let entries = in_order(trace);
    for entry in &entries {
        let flow = FlowId(u32::try_from(entry.conversation).unwrap_or(u32::MAX));
        let ends = trace.conversations.get(entry.conversation);
        file.record(flow, &event(&entry.step, entry.label, entry.stamp, ends))?;
    }
    let at = entries.last().map_or(run.at, |entry| entry.stamp.at);
    let verdict = format!("{}: {}", result.finding.verdict.name(), result.finding.observed);
    // Of the last conversation that spoke, so that it stands at the end.
    if let Some(last) = entries.last() {
        let flow = FlowId(u32::try_from(last.conversation).unwrap_or(u32::MAX));
        let notice = Notice { at, severity: Severity::Info, code: result.info.id, text: verdict };
        file.record(flow, &Event::Notice(notice))?;
    }
    file.record(FlowId(0), &Event::Summary(Box::new(ending(result, run, at))))
}

fn beginning(ends: &Conversation, run: &CheckRun) -> Run {
    Run {
        command: "check",
        name: run.name.clone(),
        target: ends.remote,
        source: ends.local,
        interface: run.interface.clone(),
        clock: run.clock,
        guard: run.guard,
        end: End::Client,
        at: run.at,
        unix_ns: run.unix_ns,
    }
}

fn event(step: &Step, label: &'static str, stamp: Stamp, ends: Option<&Conversation>) -> Event {
    match step {
        Step::Segment { dir, bytes, .. } | Step::Icmp { dir, bytes, .. } => {
            Event::Packet(Box::new(PacketEvent {
                dir: *dir,
                stamp,
                bytes: bytes.clone(),
                remark: label.into(),
            }))
        }
        Step::Silence(_) => Event::Notice(Notice {
            at: stamp.at,
            severity: Severity::Info,
            code: "then",
            text: one_line(step, ends),
        }),
    }
}

fn ending(result: &CheckResult, run: &CheckRun, at: Instant) -> Summary {
    let steps = result.trace.entries.iter().map(|entry| &entry.step);
    let count = |wanted: Dir| {
        let of = |step: &&Step| matches!(step, Step::Segment { dir, .. } if *dir == wanted);
        steps.clone().filter(of).count() as u64
    };
    Summary {
        outcome: Outcome::Closed,
        as_expected: result.finding.verdict != Verdict::Fail,
        interrupted: false,
        elapsed: at.since(run.at),
        traffic: Traffic { sent: count(Dir::Tx), received: count(Dir::Rx), ..Traffic::default() },
        handshake: None,
        close: None,
        probes: Vec::new(),
        listen: None,
        requests: None,
    }
}

impl<W: Write> std::fmt::Debug for CheckCaptures<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckCaptures").field("files", &self.files.len()).finish_non_exhaustive()
    }
}
