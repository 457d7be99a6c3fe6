//! A run of made-up checks, one for each verdict and each kind of evidence.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::event::{
    CheckEnd, CheckEvent, CheckInfo, CheckResult, CheckRun, CheckSink, ClosedPort, Conversation,
    Cost, CutShort, Entry, Figure, FigureValue, Finding, Group, Level, PathProfile, Rule,
    ServerProfile, Step, Trace, Verdict,
};
use crate::net::{Dir, GuardKind};
use crate::time::{Clock, Instant, Stamp};
use crate::wire::{
    Flags, IcmpError, IcmpKind, IpHeader, Packet, Quote, Segment, SeqNum, TcpOption,
};

/// The first moment: not zero, so that a reporter which forgets to subtract it shows.
const START: u64 = 7_000_000_000;
/// The initial numbers: relative ones must survive the wrap.
const ISS: SeqNum = SeqNum(3_000_000_000);
const IRS: SeqNum = SeqNum(u32::MAX);

const EIGHTH: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "eighth, check the FIN bit" };
const APPENDIX: Rule = Rule { rfc: 1337, section: "A.2", detail: "" };

const fn check(
    id: &'static str,
    level: Level,
    cost: Cost,
    groups: &'static [Group],
    rules: &'static [Rule],
) -> CheckInfo {
    CheckInfo {
        id,
        title: "A made-up rule",
        rules,
        level,
        cost,
        groups,
        expect: "the segment is answered by an ACK, and by nothing else, before long",
        why: "A server that does otherwise loses the end of what was sent, in silence.",
    }
}

pub(super) static PASSES: CheckInfo =
    check("syn-made-up", Level::Must, Cost::Safe, &[Group::Syn], &[EIGHTH]);
pub(super) static KNOWN: CheckInfo =
    check("syn-known", Level::May, Cost::Noisy, &[Group::Syn], &[APPENDIX]);
pub(super) static FAILS: CheckInfo =
    check("fin-made-up", Level::Must, Cost::Safe, &[Group::Fin], &[EIGHTH, APPENDIX]);
pub(super) static WARNS: CheckInfo =
    check("fin-warned", Level::Should, Cost::Safe, &[Group::Fin, Group::Rst], &[EIGHTH]);
pub(super) static SEEN: CheckInfo =
    check("fin-slow", Level::Observation, Cost::Slow, &[Group::Fin], &[EIGHTH]);
pub(super) static UNSURE: CheckInfo =
    check("tw-unsure", Level::Must, Cost::Safe, &[Group::TimeWait], &[EIGHTH]);
pub(super) static FOREIGN: CheckInfo =
    check("tw-foreign", Level::Must, Cost::Intrusive, &[Group::TimeWait], &[EIGHTH]);

/// All of them, in the order of the table.
pub(super) fn planned() -> Vec<&'static CheckInfo> {
    vec![&PASSES, &KNOWN, &FAILS, &WARNS, &SEEN, &UNSURE, &FOREIGN]
}

fn ours() -> IpAddr {
    "192.0.2.1".parse().unwrap()
}

fn target() -> SocketAddr {
    "192.0.2.7:443".parse().unwrap()
}

pub(super) fn run() -> CheckRun {
    CheckRun {
        name: "exam\u{1b}[2Jple.org".to_owned(),
        target: target(),
        source: ours(),
        interface: "eth0".to_owned(),
        clock: Clock::Kernel,
        guard: GuardKind::Filter,
        at: Instant::from_nanos(START),
        unix_ns: Some(1_700_000_000_000_000_000),
        checks: planned(),
    }
}

/// A trace under construction.
pub(super) struct Told {
    trace: Trace,
    now: Instant,
}

impl Told {
    pub(super) fn new(conversations: u16) -> Self {
        let conversations = (0..conversations)
            .map(|number| Conversation {
                local: SocketAddr::new(ours(), 40_000 + number),
                remote: target(),
                iss: ISS + u32::from(number),
                irs: (number != 1).then_some(IRS),
            })
            .collect();
        let now = Instant::from_nanos(START + 1_000_000);
        Self { trace: Trace { conversations, entries: Vec::new() }, now }
    }

    fn push(&mut self, conversation: usize, step: Step, label: &'static str) {
        let stamp = Stamp { at: self.now, clock: Clock::Kernel };
        self.trace.entries.push(Entry { stamp, conversation, step, label });
    }

    pub(super) fn later(mut self, millis: u64) -> Self {
        self.now += Duration::from_millis(millis);
        self
    }

    /// A segment with numbers relative to the initial ones.
    pub(super) fn segment(
        mut self,
        dir: Dir,
        conversation: usize,
        flags: Flags,
        (seq, ack): (u32, u32),
        (options, payload): (&[TcpOption], &[u8]),
        label: &'static str,
    ) -> Self {
        let ends = self.trace.conversations[conversation];
        let irs = ends.irs.unwrap_or_default();
        let (src, dst) =
            if dir == Dir::Tx { (ends.local, ends.remote) } else { (ends.remote, ends.local) };
        let (seq_origin, ack_origin) =
            if dir == Dir::Tx { (ends.iss, irs) } else { (irs, ends.iss) };
        let segment = Segment {
            src_port: src.port(),
            dst_port: dst.port(),
            seq: seq_origin + seq,
            ack: if flags.contains(Flags::ACK) { ack_origin + ack } else { SeqNum(0) },
            flags,
            window: 65_535,
            options: options.to_vec(),
            payload: payload.to_vec(),
            ..Segment::default()
        };
        let ip = IpHeader {
            src: src.ip(),
            dst: dst.ip(),
            ttl: 64,
            tos: 0,
            id: 1,
            dont_fragment: true,
            flow_label: 0,
        };
        let packet = Packet { ip, segment };
        let bytes = packet.emit().unwrap();
        self.push(
            conversation,
            Step::Segment { dir, packet: Some(Box::new(packet)), bytes },
            label,
        );
        self
    }

    pub(super) fn silence(mut self, conversation: usize, millis: u64) -> Self {
        self = self.later(millis);
        self.push(conversation, Step::Silence(Duration::from_millis(millis)), "");
        self
    }

    fn malformed(mut self, conversation: usize, label: &'static str) -> Self {
        let step = Step::Segment { dir: Dir::Tx, packet: None, bytes: vec![0x45; 32] };
        self.push(conversation, step, label);
        self
    }

    fn icmp(mut self, conversation: usize) -> Self {
        let quote =
            Quote { src: ours(), dst: target().ip(), src_port: 40_001, dst_port: 443, seq: ISS };
        let error = IcmpError {
            from: "198.51.100.1".parse().unwrap(),
            ttl: 250,
            icmp_type: 3,
            code: 1,
            kind: IcmpKind::Unreachable,
            quote,
        };
        let step = Step::Icmp { dir: Dir::Rx, error: Box::new(error), bytes: vec![0x45; 28] };
        self.push(conversation, step, "");
        self
    }

    pub(super) fn end(self) -> Trace {
        self.trace
    }
}

/// A handshake with timestamps, then a FIN that is taken too early.
pub(super) fn taken_early() -> Trace {
    let ts = |value, echo| TcpOption::Timestamps { value, echo };
    let syn = [TcpOption::Mss(1460), TcpOption::SackPermitted, ts(5000, 0)];
    let padded = |value, echo| [TcpOption::Nop, TcpOption::Nop, ts(value, echo)];
    let (syn_flag, ack) = (Flags::SYN, Flags::ACK);
    Told::new(1)
        .segment(Dir::Tx, 0, syn_flag, (0, 0), (&syn, b""), "")
        .later(20)
        .segment(
            Dir::Rx,
            0,
            syn_flag | ack,
            (0, 1),
            (&[TcpOption::Mss(1400), ts(900, 5000)], b""),
            "",
        )
        .segment(Dir::Tx, 0, ack, (1, 1), (&padded(5020, 900), b""), "")
        .segment(
            Dir::Tx,
            0,
            Flags::FIN | ack,
            (6, 1),
            (&padded(4000, 900), b""),
            "FIN, and five bytes before it missing",
        )
        .later(20)
        .segment(Dir::Rx, 0, ack, (1, 7), (&padded(920, 5020), b""), "")
        .segment(Dir::Rx, 0, Flags::PSH | ack, (1, 7), (&[], b"\x1b[31mred"), "")
        .segment(Dir::Tx, 0, Flags::RST, (1, 0), (&[], b""), "cleaning up")
        .end()
}

/// Three conversations, with everything in them that is no segment.
pub(super) fn odd() -> Trace {
    let mut told = Told::new(3)
        .segment(Dir::Tx, 0, Flags::SYN, (0, 0), (&[], b""), "")
        .segment(Dir::Tx, 1, Flags::ACK, (0, 77), (&[], b""), "a stray ACK")
        .later(1)
        .icmp(1)
        .malformed(2, "a header of four words");
    told = told.silence(2, 1_000);
    told.end()
}

/// More entries than a screen has lines.
pub(super) fn long() -> Trace {
    let mut told = Told::new(1);
    for number in 0..60 {
        told = told
            .segment(Dir::Rx, 0, Flags::ACK, (1 + number * 100, 1), (&[], &[b'x'; 100]), "")
            .later(1);
    }
    told.end()
}

pub(super) fn result(
    info: &'static CheckInfo,
    verdict: Verdict,
    observed: &str,
    trace: Trace,
) -> CheckResult {
    CheckResult {
        info,
        finding: Finding { verdict, observed: observed.to_owned(), figures: Vec::new() },
        runs: if verdict == Verdict::Fail { 4 } else { 1 },
        elapsed: Duration::from_millis(1_060),
        trace,
    }
}

/// All results, in an order that is not that of the table.
pub(super) fn results() -> Vec<CheckResult> {
    let mut slow = result(&SEEN, Verdict::Info, "its FIN came five times", long());
    let seconds = |all: &[u64]| all.iter().map(|s| Duration::from_secs(*s)).collect();
    slow.finding.figures = vec![
        Figure { name: "fin-schedule", value: FigureValue::Times(seconds(&[1, 2, 4, 8, 16])) },
        Figure { name: "close-wait-dwell", value: FigureValue::Time(Duration::from_micros(1500)) },
        Figure { name: "repetitions", value: FigureValue::Count(5) },
        Figure { name: "end", value: FigureValue::Word("RST\u{7}".to_owned()) },
    ];
    vec![
        result(&WARNS, Verdict::Warn, "nothing came within the second", odd()),
        result(&UNSURE, Verdict::Inconclusive, "silence, as the path would have it", odd()),
        result(&FAILS, Verdict::Fail, "the FIN was taken early: . 1:1(0) ack 7", taken_early()),
        result(&KNOWN, Verdict::Tolerated, "a \u{9b}31m window of its own", Trace::default()),
        result(
            &PASSES,
            Verdict::Pass,
            "acknowledged once it was complete, as it must",
            taken_early(),
        ),
        slow,
        result(
            &FOREIGN,
            Verdict::NotApplicable,
            "the server does not close first",
            Trace::default(),
        ),
    ]
}

pub(super) fn end_of(results: &[CheckResult], cut_short: Option<CutShort>) -> CheckEnd {
    let count = |verdict: Verdict| {
        let these = results.iter().filter(|result| result.finding.verdict == verdict);
        (verdict, u32::try_from(these.count()).unwrap())
    };
    CheckEnd {
        elapsed: Duration::from_millis(12_345),
        counts: Verdict::ALL.into_iter().map(count).filter(|(_, number)| *number > 0).collect(),
        not_run: u32::try_from(planned().len() - results.len()).unwrap(),
        cut_short,
        sent: 1,
        received: 2,
    }
}

/// A whole run, as far as `results` go.
pub(super) fn story(results: Vec<CheckResult>, cut_short: Option<CutShort>) -> Vec<CheckEvent> {
    let end = end_of(&results, cut_short);
    let path = PathProfile {
        rtt: Some(Duration::from_millis(20)),
        stray_answered: Some(true),
        out_of_window_answered: Some(false),
        closed_port: Some(ClosedPort { port: 45_677, refuses: true }),
        ttls: [Some(63), Some(63), Some(250)],
        asked: 10,
        unanswered: 1,
    };
    let server = ServerProfile {
        greets: 7,
        closes_after_fin: Some(Duration::from_micros(300)),
        echoes: true,
        timestamps: true,
        window_scale: Some(7),
        mss: Some(1400),
        ..ServerProfile::default()
    };
    let mut events =
        vec![CheckEvent::Run(run()), CheckEvent::Path(path), CheckEvent::Server(server)];
    events.extend(planned().into_iter().map(CheckEvent::Started));
    for result in results {
        if result.runs > 1 {
            events.push(CheckEvent::Confirming(result.info, 3));
        }
        events.push(CheckEvent::Result(Box::new(result)));
    }
    events.push(CheckEvent::End(end));
    events
}

/// Has `sink` hear all of `events`.
pub(super) fn tell(sink: &mut impl CheckSink, events: &[CheckEvent]) {
    for event in events {
        sink.record(event).unwrap();
    }
}
