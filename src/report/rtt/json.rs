//! A run of repeated probes for a program: JSON Lines, as the [schema](crate::report::json) says.

use std::io::{self, Write};
use std::net::IpAddr;

use serde::Serialize;
use serde::ser::SerializeMap;

use super::line::seq;
use super::statistics::{Probes, Statistics, Times};
use super::summary::figures;
use crate::event::{RttEnd, RttEvent, RttProbe, RttRun, RttSink, RttView};
use crate::report::json::ascii;
use crate::report::json::records::{Endpoint, Notice, Target};
use crate::report::json::summary::{Answerer, Traffic};
use crate::stats::{Account, Answer, Bound, FirstTry, Phase};
use crate::time::{Clock, Instant, Stamp, nanos_of};

/// Prints events for a program, each on its line the moment it comes.
#[derive(Debug)]
pub struct RttJsonReporter<W> {
    out: W,
}

impl<W: Write> RttJsonReporter<W> {
    /// Writes to `out`.
    pub const fn new(out: W) -> Self {
        Self { out }
    }

    /// The writer, for whoever wants what was written to memory.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn line(&mut self, name: &'static str, record: impl Serialize) -> io::Result<()> {
        let mut bytes = ascii::to_vec(&Line { v: 1, name, record })?;
        bytes.push(b'\n');
        self.out.write_all(&bytes)?;
        self.out.flush()
    }

    fn began(&mut self, run: &RttRun) -> io::Result<()> {
        for (number, target) in run.targets.iter().enumerate() {
            let source = target.from;
            let fixed = run.fixed_ports.as_slice();
            let record = Run {
                at_ns: 0,
                unix_ns: run.unix_ns,
                command: "rtt",
                version: env!("CARGO_PKG_VERSION"),
                target: Target { name: target.name.clone(), endpoint: target.to.into() },
                target_index: number,
                source: Source {
                    addr: source.ip(),
                    port: Some(source.port()).filter(|port| *port != 0 && fixed.len() < 2),
                    ports: fixed,
                },
                interface: &target.interface,
                clock: run.clock.name(),
                guard: run.guard.name(),
                method: run.method.name(),
                interval_ns: nanos_of(run.interval),
                count: run.count,
                warm_up: run.warm_up,
                timeout_ns: nanos_of(run.timeout),
            };
            self.line("run", record)?;
        }
        Ok(())
    }

    /// The figures of each target, of each of its source ports, and of all.
    fn statistics(&mut self, view: &RttView<'_>) -> io::Result<()> {
        let run = view.run;
        let flows = run.fixed_ports.len();
        for (number, (target, account)) in run.targets.iter().zip(view.accounts).enumerate() {
            self.of_account(view, Some(&target.name), None, account)?;
            let own = view.flows.get(number * flows..(number + 1) * flows).unwrap_or_default();
            // A single port's figures are the target's.
            let own = if flows > 1 { own } else { &[] };
            for (port, account) in run.fixed_ports.iter().zip(own) {
                self.of_account(view, Some(&target.name), Some(*port), account)?;
            }
        }
        if run.targets.len() > 1 {
            self.of_account(view, None, None, &view.total())?;
        }
        Ok(())
    }

    fn of_account(
        &mut self,
        view: &RttView<'_>,
        target: Option<&str>,
        source_port: Option<u16>,
        account: &Account,
    ) -> io::Result<()> {
        for phase in view.run.method.phases() {
            let counts = Some(account.counts()).filter(|_| *phase == Phase::Handshake);
            let figures = figures(account, *phase);
            let record = Statistics::new(target, source_port, *phase, &figures, counts);
            self.line("statistics", record)?;
        }
        Ok(())
    }
}

impl<W: Write> RttSink for RttJsonReporter<W> {
    fn hear(&mut self, event: &RttEvent<'_>, view: &RttView<'_>) -> io::Result<()> {
        let run = view.run;
        match event {
            RttEvent::Began => self.began(run),
            RttEvent::Probe(probe) => self.line("probe", Probe::new(probe, run)),
            RttEvent::Late(probe) => self.line("late", Probe::new(probe, run)),
            RttEvent::Duplicate(probe, stamp) => {
                let again =
                    Probe { duplicate: Some(stamp_of(*stamp, run)), ..Probe::new(probe, run) };
                self.line("duplicate", again)
            }
            RttEvent::Notice(notice) => self.line("notice", Notice::new(notice, run.start)),
            RttEvent::Interim => {
                self.statistics(view)?;
                self.line("interim", Standing::new(view))
            }
            RttEvent::Ended(end) => {
                self.statistics(view)?;
                self.line("summary", Summary::new(end, view))
            }
            RttEvent::Final(_) | RttEvent::Tick => Ok(()),
        }
    }
}

#[derive(Serialize)]
struct Line<T> {
    v: u8,
    #[serde(rename = "type")]
    name: &'static str,
    #[serde(flatten)]
    record: T,
}

#[derive(Serialize)]
struct Run<'a> {
    at_ns: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    unix_ns: Option<i64>,
    command: &'static str,
    version: &'static str,
    target: Target,
    target_index: usize,
    source: Source<'a>,
    interface: &'a str,
    clock: &'static str,
    guard: &'static str,
    method: &'static str,
    interval_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    warm_up: u64,
    timeout_ns: u64,
}

#[derive(Serialize)]
struct Source<'a> {
    addr: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "<[u16]>::is_empty")]
    ports: &'a [u16],
}

/// A probe as it stands: `probe`, `late` and `duplicate` are alike.
#[derive(Serialize)]
struct Probe<'a> {
    flow: u32,
    seq: u64,
    target: &'a str,
    target_index: u32,
    index: u64,
    outcome: &'static str,
    fate: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ns: Option<u64>,
    #[serde(skip_serializing_if = "Phases::is_empty")]
    phases: Phases<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<&'static str>,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_try: Option<&'static str>,
    #[serde(skip_serializing_if = "is_zero")]
    duplicates: u32,
    warm_up: bool,
    source: Endpoint,
    iss: u32,
    due_ns: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_ns: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_ns: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_by: Option<Answerer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<&'static str>,
    #[serde(flatten)]
    duplicate: Option<Again>,
}

/// When a probe was answered again.
#[derive(Serialize)]
struct Again {
    at_ns: i64,
    at_clock: &'static str,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn stamp_of(stamp: Stamp, run: &RttRun) -> Again {
    Again { at_ns: stamp.at.signed_nanos_since(run.start), at_clock: stamp.clock.name() }
}

impl<'a> Probe<'a> {
    fn new(probe: &'a RttProbe, run: &'a RttRun) -> Self {
        let at = |at: Instant| at.signed_nanos_since(run.start);
        let name = run.targets.get(probe.target as usize).map_or("", |target| &target.name);
        Self {
            flow: probe.id.0,
            seq: seq(probe),
            target: name,
            target_index: probe.target,
            index: probe.index,
            outcome: probe.outcome.name(),
            fate: probe.fate.name(),
            answer: probe.answer.map(Answer::name),
            rtt_ns: probe.interval(Phase::Handshake).map(nanos_of),
            phases: Phases(probe),
            clock: probe.clock.map(Clock::name),
            attempts: probe.attempts,
            first_try: probe.first_try.map(FirstTry::name),
            duplicates: probe.duplicates,
            warm_up: probe.warm_up,
            source: probe.from.into(),
            iss: probe.iss,
            due_ns: at(probe.due),
            sent_ns: probe.sent.map(|stamp| at(stamp.at)),
            answered_ns: probe.answered.map(|stamp| at(stamp.at)),
            answered_by: probe.answered_by.map(Answerer::from),
            remark: probe.remark,
            duplicate: None,
        }
    }
}

/// The intervals of the phases after the handshake: `{"fin_ack_ns":…,"peer_fin_ns":…}`.
struct Phases<'a>(&'a RttProbe);

impl Phases<'_> {
    fn present(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let named = [
            (Phase::DataAck, "data_ack_ns"),
            (Phase::FinAck, "fin_ack_ns"),
            (Phase::PeerFin, "peer_fin_ns"),
        ];
        named
            .into_iter()
            .filter_map(|(phase, name)| Some((name, nanos_of(self.0.interval(phase)?))))
    }

    fn is_empty(&self) -> bool {
        self.present().next().is_none()
    }
}

impl Serialize for Phases<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, nanos) in self.present() {
            map.serialize_entry(name, &nanos)?;
        }
        map.end()
    }
}

/// How a run stands, at its end or before.
#[derive(Serialize)]
struct Standing {
    elapsed_ns: u64,
    traffic: Traffic,
    probes: Probes,
    left_out: LeftOut,
    schedule: Lateness,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBound>,
    drops: u64,
    clock_steps: u32,
}

#[derive(Serialize)]
struct Summary {
    outcome: &'static str,
    as_expected: bool,
    interrupted: bool,
    #[serde(flatten)]
    standing: Standing,
}

#[derive(Serialize)]
struct LeftOut {
    unstamped: u64,
    stepped: u64,
    unsent: u64,
}

#[derive(Serialize)]
struct Lateness {
    late: Times,
    overrun: u64,
    missed: u64,
}

/// By how much an interval may be wrong: that of the longest one.
#[derive(Serialize)]
struct ErrorBound {
    #[serde(skip_serializing_if = "Option::is_none")]
    total_ns: Option<u64>,
    resolution_ns: u64,
    rate_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversion_ns: Option<u64>,
    scheduling: bool,
    transmit_clock: &'static str,
    receive_clock: &'static str,
    longest_ns: u64,
    included: &'static str,
}

impl Summary {
    fn new(end: &RttEnd, view: &RttView<'_>) -> Self {
        Self {
            outcome: end.outcome.name(),
            as_expected: end.as_expected,
            interrupted: end.interrupted,
            standing: Standing::new(view),
        }
    }
}

impl Standing {
    fn new(view: &RttView<'_>) -> Self {
        let total = view.total();
        let left_out = total.left_out();
        let lateness = view.schedule.lateness();
        let longest = view.accounts.iter().filter_map(Account::longest).max();
        let error = longest.map(|longest| {
            let Bound { resolution_ns, rate_ns, conversion_ns, scheduling } =
                view.measurement.bound(longest);
            ErrorBound {
                total_ns: view.measurement.bound(longest).total_ns(),
                resolution_ns,
                rate_ns,
                conversion_ns,
                scheduling,
                transmit_clock: view.measurement.transmit.name(),
                receive_clock: view.measurement.receive.name(),
                longest_ns: nanos_of(longest),
                included: view.measurement.included(),
            }
        });
        Self {
            elapsed_ns: nanos_of(view.now.since(view.run.start)),
            traffic: view.traffic.into(),
            probes: total.counts().into(),
            left_out: LeftOut {
                unstamped: left_out.unstamped,
                stepped: left_out.stepped,
                unsent: left_out.unsent,
            },
            schedule: Lateness {
                late: (&lateness.figures).into(),
                overrun: lateness.overrun,
                missed: lateness.missed,
            },
            error,
            drops: view.drops,
            clock_steps: view.clock_steps,
        }
    }
}
