//! The battery as JSON Lines. The schema continues that of [`crate::report::json`]: one object a
//! line, ASCII, `v` and `type` in each, absent fields left out, times in integer nanoseconds, bytes
//! as lower-case hexadecimal. `at_ns` counts from the beginning of the run.
//!
//! **`run`**, first: `at_ns` 0; `unix_ns` (absent in virtual time); `command` `check`; `version`;
//! `target` {`name`, `addr`, `port`}; `source` {`addr`}; `interface`; `clock`; `guard`; `checks`, the
//! names of those that are going to run, in the order of the table.
//!
//! **`path`**: `rtt_ns`; `stray_answered`, `out_of_window_answered` (whether what a stateful firewall
//! would not let through is answered: where it is not, silence proves nothing); `closed_port`
//! {`port`, `refuses`}; `ttls` {`syn_ack`, `rst`, `ack`}; `asked`, `unanswered` (SYNs).
//!
//! **`server`**: `greets` (bytes sent by itself); `closes_first` (`connect`, `request`);
//! `closes_after_fin_ns`; `resets`, `resets_all`; `echoes`; `answers`, `answers_after_eof` (bytes); `timestamps`;
//! `window_scale`; `sack`; `mss`.
//!
//! **`check`**, each when its verdict stands: `id`; `title`; `rfc`, the rule that decides, as text;
//! `rules`, all of them, each {`rfc`, `section`, `detail`, `url`}; `level` (`MUST`, `SHOULD`, `MAY`,
//! `observation`); `cost` (`safe`, `noisy`, `intrusive`, `slow`); `groups`; `verdict` (`pass`, `info`,
//! `tolerated`, `inconclusive`, `warn`, `fail`, `not-applicable`); `expected`; `why` it matters;
//! `observed`; `runs` (a failure is repeated); `elapsed_ns` of the first of them; `figures`, each
//! {`name` and one of `value_ns`, `values_ns` (a schedule), `count`, `factor`, `word`}; and, not with
//! `--quiet`:
//! `conversations`, each {`local`, `remote` {`addr`, `port`}, `iss`, `irs` once it is known}, and
//! `evidence`, in order of time, each {`at_ns`, `clock`, `conversation` (which of them, from 0),
//! `text` (packetdrill's notation, relative numbers), `label` (what it was sent for)}, with `dir`
//! (`tx`, `rx`) and `packet_hex`, the whole IP packet, or with `silence_ns`. From this a trace can be
//! replayed.
//!
//! **`change`**, with `--baseline`, before the summary, those that matter most first: `id`; `kind`
//! (`new-failure`, `worse`, `newly-inconclusive`, `fixed`, `changed`, `new`, `not-run`, `gone`);
//! `was`, `now` (verdicts).
//!
//! **`summary`**, last: `outcome` (`complete`, `interrupted`, `deadline`, `no-target`, `died`,
//! `local-interference`); `reason` of the last three, as text; `suspects`, the checks after which the
//! target stopped answering; `interrupted`; `elapsed_ns`; `counts` {verdict: number}; `not_run`;
//! `traffic` {`sent`, `received`: segments}.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

use serde::Serialize;

use super::ladder::{in_order, one_line};
use super::words::{cut_short, place, url};
use super::{Baseline, Verdicts};
use crate::event::{
    self, CheckEnd, CheckEvent, CheckInfo, CheckResult, CheckRun, CheckSink, CutShort, FigureValue,
    PathProfile, Rule, ServerProfile, Step, Trigger,
};
use crate::net::Dir;
use crate::report::json::ascii;
use crate::report::json::records::{Endpoint, Target};
use crate::time::{Instant, nanos_of};

/// Prints a run for a program. The schema is in this module's documentation.
#[derive(Debug)]
pub struct CheckJsonReporter<W> {
    out: W,
    /// Whether each check's segments are told.
    evidence: bool,
    baseline: Option<Baseline>,
    origin: Instant,
    planned: Vec<&'static CheckInfo>,
    verdicts: Verdicts,
}

impl<W: Write> CheckJsonReporter<W> {
    /// Writes to `out`, with the segments of each check or without.
    pub const fn new(out: W, evidence: bool) -> Self {
        Self {
            out,
            evidence,
            baseline: None,
            origin: Instant::ZERO,
            planned: Vec::new(),
            verdicts: Verdicts::new(),
        }
    }

    /// Also says what is otherwise than in an earlier run.
    #[must_use]
    pub fn against(mut self, baseline: Option<Baseline>) -> Self {
        self.baseline = baseline;
        self
    }

    /// The writer, for whoever wants what was written to memory.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn line(&mut self, name: &'static str, record: impl Serialize) -> io::Result<()> {
        self.out.write_all(&line(name, record)?)?;
        self.out.flush()
    }

    fn end(&mut self, end: &CheckEnd) -> io::Result<()> {
        let changes = self
            .baseline
            .as_ref()
            .map(|baseline| baseline.changes(&self.planned, &self.verdicts))
            .unwrap_or_default();
        for change in changes {
            self.line(
                "change",
                Change {
                    id: &change.id,
                    kind: change.kind.name(),
                    was: change.was.map(event::Verdict::name),
                    now: change.now.map(event::Verdict::name),
                },
            )?;
        }
        self.line("summary", Summary::new(end))
    }
}

impl<W: Write> CheckSink for CheckJsonReporter<W> {
    fn record(&mut self, event: &CheckEvent) -> io::Result<()> {
        match event {
            CheckEvent::Run(run) => {
                self.origin = run.at;
                self.planned.clone_from(&run.checks);
                self.line("run", Run::new(run))
            }
            CheckEvent::Path(path) => self.line("path", Path::new(path)),
            CheckEvent::Server(server) => self.line("server", Server::new(server)),
            CheckEvent::Result(result) => {
                self.verdicts.insert(result.info.id, result.finding.verdict);
                let evidence = self.evidence.then(|| Evidence::new(result, self.origin));
                self.line("check", Check::new(result, evidence))
            }
            CheckEvent::End(end) => self.end(end),
            CheckEvent::Started(_) | CheckEvent::Confirming(..) => Ok(()),
        }
    }
}

/// `--list --json`: a record of type `check` for each of `checks`, without what only a run knows.
///
/// # Errors
/// None in practice: the records can be written.
pub fn json_list(checks: &[&CheckInfo]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for info in checks {
        bytes.extend(line("check", Info::new(info))?);
    }
    Ok(bytes)
}

fn line(name: &'static str, record: impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = ascii::to_vec(&Line { v: 1, name, record })?;
    bytes.push(b'\n');
    Ok(bytes)
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
    source: Source,
    interface: &'a str,
    clock: &'static str,
    guard: &'static str,
    checks: Vec<&'static str>,
}

#[derive(Serialize)]
struct Source {
    addr: IpAddr,
}

impl<'a> Run<'a> {
    fn new(run: &'a CheckRun) -> Self {
        Self {
            at_ns: 0,
            unix_ns: run.unix_ns,
            command: "check",
            version: env!("CARGO_PKG_VERSION"),
            target: Target { name: run.name.clone(), endpoint: run.target.into() },
            source: Source { addr: run.source },
            interface: &run.interface,
            clock: run.clock.name(),
            guard: run.guard.name(),
            checks: run.checks.iter().map(|info| info.id).collect(),
        }
    }
}

#[derive(Serialize)]
struct Path {
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stray_answered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_of_window_answered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_port: Option<Closed>,
    ttls: Ttls,
    asked: u32,
    unanswered: u32,
}

#[derive(Serialize)]
struct Closed {
    port: u16,
    refuses: bool,
}

#[derive(Serialize)]
struct Ttls {
    #[serde(skip_serializing_if = "Option::is_none")]
    syn_ack: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rst: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack: Option<u8>,
}

impl Path {
    fn new(path: &PathProfile) -> Self {
        let [syn_ack, rst, ack] = path.ttls;
        Self {
            rtt_ns: path.rtt.map(nanos_of),
            stray_answered: path.stray_answered,
            out_of_window_answered: path.out_of_window_answered,
            closed_port: path
                .closed_port
                .map(|closed| Closed { port: closed.port, refuses: closed.refuses }),
            ttls: Ttls { syn_ack, rst, ack },
            asked: path.asked,
            unanswered: path.unanswered,
        }
    }
}

#[derive(Serialize)]
struct Server {
    greets: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    closes_first: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closes_after_fin_ns: Option<u64>,
    resets: bool,
    resets_all: bool,
    echoes: bool,
    answers: u64,
    answers_after_eof: u64,
    timestamps: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_scale: Option<u8>,
    sack: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    mss: Option<u16>,
}

impl Server {
    fn new(server: &ServerProfile) -> Self {
        Self {
            greets: server.greets,
            closes_first: server.closes_first.map(|trigger| match trigger {
                Trigger::Connect => "connect",
                Trigger::Request => "request",
            }),
            closes_after_fin_ns: server.closes_after_fin.map(nanos_of),
            resets: server.resets,
            resets_all: server.resets_all,
            echoes: server.echoes,
            answers: server.answers,
            answers_after_eof: server.answers_after_eof,
            timestamps: server.timestamps,
            window_scale: server.window_scale,
            sack: server.sack,
            mss: server.mss,
        }
    }
}

/// What is known of a check before it runs.
#[derive(Serialize)]
struct Info<'a> {
    id: &'a str,
    title: &'a str,
    rfc: String,
    rules: Vec<RuleRecord<'a>>,
    level: &'static str,
    cost: &'static str,
    groups: Vec<&'static str>,
    expected: &'a str,
    why: &'a str,
}

#[derive(Serialize)]
struct RuleRecord<'a> {
    rfc: u16,
    section: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    url: String,
}

impl<'a> Info<'a> {
    fn new(info: &'a CheckInfo) -> Self {
        let rule = |rule: &Rule| RuleRecord {
            rfc: rule.rfc,
            section: rule.section,
            detail: rule.detail,
            url: url(rule),
        };
        Self {
            id: info.id,
            title: info.title,
            rfc: info.rules.first().map(place).unwrap_or_default(),
            rules: info.rules.iter().map(rule).collect(),
            level: info.level.name(),
            cost: info.cost.name(),
            groups: info.groups.iter().map(|group| group.name()).collect(),
            expected: info.expect,
            why: info.why,
        }
    }
}

#[derive(Serialize)]
struct Check<'a> {
    #[serde(flatten)]
    info: Info<'a>,
    verdict: &'static str,
    observed: &'a str,
    runs: u32,
    elapsed_ns: u64,
    figures: Vec<Figure<'a>>,
    #[serde(flatten)]
    evidence: Option<Evidence<'a>>,
}

#[derive(Serialize)]
struct Figure<'a> {
    name: &'a str,
    #[serde(flatten)]
    value: Value<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Value<'a> {
    #[serde(rename = "value_ns")]
    Time(u64),
    #[serde(rename = "values_ns")]
    Times(Vec<u64>),
    Count(u64),
    Factor(f64),
    Word(&'a str),
}

impl<'a> Check<'a> {
    fn new(result: &'a CheckResult, evidence: Option<Evidence<'a>>) -> Self {
        let figures = result.finding.figures.iter().map(|figure| Figure {
            name: figure.name,
            value: match &figure.value {
                FigureValue::Time(time) => Value::Time(nanos_of(*time)),
                FigureValue::Times(times) => {
                    Value::Times(times.iter().map(|time| nanos_of(*time)).collect())
                }
                FigureValue::Count(count) => Value::Count(*count),
                FigureValue::Factor(factor) => Value::Factor(*factor),
                FigureValue::Word(word) => Value::Word(word),
            },
        });
        Self {
            info: Info::new(result.info),
            verdict: result.finding.verdict.name(),
            observed: &result.finding.observed,
            runs: result.runs,
            elapsed_ns: nanos_of(result.elapsed),
            figures: figures.collect(),
            evidence,
        }
    }
}

/// What shows a verdict.
#[derive(Serialize)]
struct Evidence<'a> {
    conversations: Vec<Conversation>,
    evidence: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Conversation {
    local: Endpoint,
    remote: Endpoint,
    iss: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    irs: Option<u32>,
}

#[derive(Serialize)]
struct Entry<'a> {
    at_ns: i64,
    clock: &'static str,
    conversation: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    dir: Option<&'static str>,
    text: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    silence_ns: Option<u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    packet_hex: String,
}

impl<'a> Evidence<'a> {
    fn new(result: &'a CheckResult, origin: Instant) -> Self {
        let trace = &result.trace;
        let conversations = trace.conversations.iter().map(|ends| Conversation {
            local: ends.local.into(),
            remote: ends.remote.into(),
            iss: ends.iss.0,
            irs: ends.irs.map(|irs| irs.0),
        });
        let entries = in_order(trace).into_iter().map(|entry| {
            let (dir, bytes, silence) = match &entry.step {
                Step::Segment { dir, bytes, .. } | Step::Icmp { dir, bytes, .. } => {
                    (Some(*dir), bytes.as_slice(), None)
                }
                Step::Silence(time) => (None, &[][..], Some(*time)),
            };
            Entry {
                at_ns: entry.stamp.at.signed_nanos_since(origin),
                clock: entry.stamp.clock.name(),
                conversation: entry.conversation,
                dir: dir.map(|dir| if dir == Dir::Tx { "tx" } else { "rx" }),
                text: one_line(&entry.step, trace.conversations.get(entry.conversation)),
                label: entry.label,
                silence_ns: silence.map(nanos_of),
                packet_hex: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            }
        });
        Self { conversations: conversations.collect(), evidence: entries.collect() }
    }
}

#[derive(Serialize)]
struct Change<'a> {
    id: &'a str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<&'static str>,
}

#[derive(Serialize)]
struct Summary<'a> {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    suspects: &'a [&'static str],
    interrupted: bool,
    elapsed_ns: u64,
    counts: BTreeMap<&'static str, u32>,
    not_run: u32,
    traffic: Traffic,
}

#[derive(Serialize)]
struct Traffic {
    sent: u64,
    received: u64,
}

impl<'a> Summary<'a> {
    fn new(end: &'a CheckEnd) -> Self {
        let (outcome, suspects): (_, &[_]) = match &end.cut_short {
            None => ("complete", &[]),
            Some(CutShort::Interrupted) => ("interrupted", &[]),
            Some(CutShort::Deadline) => ("deadline", &[]),
            Some(CutShort::NoTarget(_)) => ("no-target", &[]),
            Some(CutShort::LocalInterference) => ("local-interference", &[]),
            Some(CutShort::Died(suspects)) => ("died", suspects),
        };
        let reason = end
            .cut_short
            .as_ref()
            .filter(|why| !matches!(why, CutShort::Interrupted | CutShort::Deadline));
        Self {
            outcome,
            reason: reason.map(cut_short),
            suspects,
            interrupted: end.cut_short == Some(CutShort::Interrupted),
            elapsed_ns: nanos_of(end.elapsed),
            counts: end.counts.iter().map(|(verdict, count)| (verdict.name(), *count)).collect(),
            not_run: end.not_run,
            traffic: Traffic { sent: end.sent, received: end.received },
        }
    }
}
