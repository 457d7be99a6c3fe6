//! What the conformance battery tells: the checks themselves, the path, the server, and a verdict
//! with the trace that proves it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::net::{Dir, GuardKind};
use crate::time::{Clock, Instant, Stamp};
use crate::wire::{IcmpError, Packet, SeqNum};

/// What a check comes to. The order is that of gravity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// It cannot be asked of this server or on this path.
    NotApplicable,
    /// It did what the rule says.
    Pass,
    /// There is no right and wrong: what was seen.
    Info,
    /// It deviates in a way that is known and harmless.
    Tolerated,
    /// Silence that has other explanations, or answers that differ from run to run.
    Inconclusive,
    /// A SHOULD is not met.
    Warn,
    /// A MUST is broken, or a rule without a number whose breach does harm.
    Fail,
}

impl Verdict {
    /// All of them, gravest last.
    pub const ALL: [Self; 7] = [
        Self::NotApplicable,
        Self::Pass,
        Self::Info,
        Self::Tolerated,
        Self::Inconclusive,
        Self::Warn,
        Self::Fail,
    ];

    /// The word in the JSON stream: `pass`, `not-applicable` …
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotApplicable => "not-applicable",
            Self::Pass => "pass",
            Self::Info => "info",
            Self::Tolerated => "tolerated",
            Self::Inconclusive => "inconclusive",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// How much the rule behind a check demands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// An absolute requirement, or a step of the protocol itself.
    Must,
    /// A recommendation.
    Should,
    /// A permission.
    May,
    /// None: something worth knowing.
    Observation,
}

impl Level {
    /// `MUST`, `SHOULD`, `MAY`, `observation`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
            Self::Observation => "observation",
        }
    }
}

/// What a check may cost, and so whether it runs unasked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Cost {
    /// An odd client might do the same.
    Safe,
    /// Intrusion detection may raise an alarm.
    Noisy,
    /// It may crash a weak target.
    Intrusive,
    /// It takes minutes.
    Slow,
}

impl Cost {
    /// `safe`, `noisy`, `intrusive`, `slow`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Noisy => "noisy",
            Self::Intrusive => "intrusive",
            Self::Slow => "slow",
        }
    }
}

/// What a check is about. The first of a check's groups is where it stands in the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Group {
    /// A port where nobody listens.
    Closed,
    /// A port where somebody does, before any SYN.
    Listen,
    /// The SYN and its answer.
    Syn,
    /// The options of both.
    Options,
    /// The half-open connection.
    SynReceived,
    /// The open connection.
    Established,
    /// FIN, wherever it comes.
    Fin,
    /// The server closes first.
    ServerCloses,
    /// What is left of a connection that the server closed.
    TimeWait,
    /// RST, wherever it comes.
    Rst,
    /// Sequence and acknowledgment numbers outside the window; challenge ACKs.
    Window,
    /// The timestamp option.
    Timestamps,
    /// Retransmission and its schedule.
    Retransmission,
    /// Initial sequence numbers.
    Isn,
    /// ICMP errors.
    Icmp,
}

impl Group {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 15] = [
        Self::Closed,
        Self::Listen,
        Self::Syn,
        Self::Options,
        Self::SynReceived,
        Self::Established,
        Self::Fin,
        Self::ServerCloses,
        Self::TimeWait,
        Self::Rst,
        Self::Window,
        Self::Timestamps,
        Self::Retransmission,
        Self::Isn,
        Self::Icmp,
    ];

    /// The word on the command line: `fin`, `time-wait` …
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Listen => "listen",
            Self::Syn => "syn",
            Self::Options => "options",
            Self::SynReceived => "syn-received",
            Self::Established => "established",
            Self::Fin => "fin",
            Self::ServerCloses => "server-closes",
            Self::TimeWait => "time-wait",
            Self::Rst => "rst",
            Self::Window => "window",
            Self::Timestamps => "timestamps",
            Self::Retransmission => "retransmission",
            Self::Isn => "isn",
            Self::Icmp => "icmp",
        }
    }

    /// What it is about, as a heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Closed => "A closed port",
            Self::Listen => "A listening port",
            Self::Syn => "SYN and SYN-ACK",
            Self::Options => "Options and negotiation",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::Fin => "FIN: we close first",
            Self::ServerCloses => "FIN: the server closes first",
            Self::TimeWait => "TIME-WAIT",
            Self::Rst => "RST",
            Self::Window => "Window and challenge ACKs",
            Self::Timestamps => "Timestamps",
            Self::Retransmission => "Retransmission",
            Self::Isn => "Initial sequence numbers",
            Self::Icmp => "ICMP errors",
        }
    }
}

/// The place of a rule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rule {
    /// The RFC's number.
    pub rfc: u16,
    /// The section: `3.10.7.4`.
    pub section: &'static str,
    /// What of the section: `eighth, check the FIN bit`, `MUST-3`; empty where all of it.
    pub detail: &'static str,
}

/// A check, apart from its script: what is known before it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckInfo {
    /// Its stable name: `fin-hole`.
    pub id: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// Where the rule stands; the first one decides.
    pub rules: &'static [Rule],
    /// How much the rule demands.
    pub level: Level,
    /// What the check may cost.
    pub cost: Cost,
    /// What it is about; its home first. Never empty.
    pub groups: &'static [Group],
    /// What should come, in one line.
    pub expect: &'static str,
    /// What breaks in practice where the rule is violated, in one sentence for a user.
    pub why: &'static str,
}

/// A figure that a check measured.
#[derive(Clone, PartialEq, Debug)]
pub struct Figure {
    /// A stable word: `ack-of-fin`, `close-wait-dwell`, `backoff`.
    pub name: &'static str,
    /// How much.
    pub value: FigureValue,
}

/// How much.
#[derive(Clone, PartialEq, Debug)]
pub enum FigureValue {
    /// An interval.
    Time(Duration),
    /// Intervals one after the other: a retransmission schedule.
    Times(Vec<Duration>),
    /// A number of things, or of bytes.
    Count(u64),
    /// A quotient: the factor of a back-off.
    Factor(f64),
    /// A word.
    Word(String),
}

/// One connection of an trace, or what would be one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conversation {
    /// Our end.
    pub local: SocketAddr,
    /// The target's.
    pub remote: SocketAddr,
    /// Our initial sequence number.
    pub iss: SeqNum,
    /// The target's, once it is known.
    pub irs: Option<SeqNum>,
}

/// What happened in an trace.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// A segment left or arrived.
    Segment {
        /// Which way it went.
        dir: Dir,
        /// The packet, as far as it can be read: ours may be malformed on purpose.
        packet: Option<Box<Packet>>,
        /// The IP packet.
        bytes: Vec<u8>,
    },
    /// An ICMP error arrived, or left.
    Icmp {
        /// Which way it went.
        dir: Dir,
        /// What it says.
        error: Box<IcmpError>,
        /// The IP packet.
        bytes: Vec<u8>,
    },
    /// Nothing came in so long a time.
    Silence(Duration),
}

/// One line of an trace.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// When, by which clock.
    pub stamp: Stamp,
    /// In which of the conversations.
    pub conversation: usize,
    /// What happened.
    pub step: Step,
    /// What it is for: `FIN, with five bytes missing before it`. Empty where it speaks for itself.
    pub label: &'static str,
}

/// All that was sent and received for one verdict.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Trace {
    /// The connections, in the order of their beginning.
    pub conversations: Vec<Conversation>,
    /// What happened, in order of time.
    pub entries: Vec<Entry>,
}

/// What a script found: a verdict and what it rests on.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// What came, in one line.
    pub observed: String,
    /// What was measured on the way.
    pub figures: Vec<Figure>,
}

/// A check that is over.
#[derive(Clone, PartialEq, Debug)]
pub struct CheckResult {
    /// Which.
    pub info: &'static CheckInfo,
    /// What it came to.
    pub finding: Finding,
    /// How often it ran: more than once where a failure had to be confirmed.
    pub runs: u32,
    /// From its beginning to its verdict.
    pub elapsed: Duration,
    /// The trace that shows it.
    pub trace: Trace,
}

/// How the path treats what a stateful firewall would not let through.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PathProfile {
    /// The smallest round-trip time of the calibration.
    pub rtt: Option<Duration>,
    /// Whether an ACK to the listening port was answered, as it must be.
    pub stray_answered: Option<bool>,
    /// Whether a segment out of the window was answered, as it must be.
    pub out_of_window_answered: Option<bool>,
    /// Whether the port that was taken for closed answers, and with what.
    pub closed_port: Option<ClosedPort>,
    /// TTL or hop limit of a SYN-ACK, of a RST to a stray ACK, of an ACK.
    pub ttls: [Option<u8>; 3],
    /// Exchanges of the calibration that any server answers, and those of them without an answer.
    pub asked: u32,
    /// See `asked`.
    pub unanswered: u32,
}

/// A port that is to be closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClosedPort {
    /// Which.
    pub port: u16,
    /// Whether it refuses, as a closed port does.
    pub refuses: bool,
}

/// What makes the server close first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// A connection is enough.
    Connect,
    /// It closes once it has answered a request.
    Request,
}

/// What the server's application does, as far as it was found out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ServerProfile {
    /// Bytes that it sends by itself.
    pub greets: u64,
    /// What makes it close before we do.
    pub closes_first: Option<Trigger>,
    /// From our FIN to its own, where it closes after us.
    pub closes_after_fin: Option<Duration>,
    /// It resets in place of closing.
    pub resets: bool,
    /// It resets any connection that says something, also an ordinary one.
    pub resets_all: bool,
    /// It sends back what it gets.
    pub echoes: bool,
    /// Bytes that it answered to the request.
    pub answers: u64,
    /// Bytes that it sent after our FIN.
    pub answers_after_eof: u64,
    /// Options of its SYN-ACK when all were offered.
    pub timestamps: bool,
    /// See `timestamps`.
    pub window_scale: Option<u8>,
    /// See `timestamps`.
    pub sack: bool,
    /// MSS of its SYN-ACK.
    pub mss: Option<u16>,
}

/// How a run of the battery begins.
#[derive(Clone, PartialEq, Debug)]
pub struct CheckRun {
    /// The target as the user wrote it.
    pub name: String,
    /// Its address.
    pub target: SocketAddr,
    /// Our address.
    pub source: IpAddr,
    /// The interface.
    pub interface: String,
    /// The clock that stamps the packets.
    pub clock: Clock,
    /// What keeps the kernel quiet.
    pub guard: GuardKind,
    /// When.
    pub at: Instant,
    /// Wall-clock nanoseconds since the Unix epoch at `at`; absent in virtual time.
    pub unix_ns: Option<i64>,
    /// The checks that are going to run, in the order of the table.
    pub checks: Vec<&'static CheckInfo>,
}

/// Why a run ended before its last check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CutShort {
    /// The user interrupted it.
    Interrupted,
    /// `--deadline` came.
    Deadline,
    /// The target does not answer: nothing can be checked.
    NoTarget(String),
    /// Our own kernel sent segments in our name: nothing can be said of the target.
    LocalInterference,
    /// The target stopped answering after these checks, which ran last.
    Died(Vec<&'static str>),
}

/// How a run ended.
#[derive(Clone, PartialEq, Debug)]
pub struct CheckEnd {
    /// From the start of the run to its end.
    pub elapsed: Duration,
    /// Verdicts with their counts, gravest last; those that did not come up are left out.
    pub counts: Vec<(Verdict, u32)>,
    /// Checks that were to run and did not.
    pub not_run: u32,
    /// Why it ended early.
    pub cut_short: Option<CutShort>,
    /// Segments sent.
    pub sent: u64,
    /// Segments received.
    pub received: u64,
}

/// Something worth reporting.
#[derive(Clone, PartialEq, Debug)]
pub enum CheckEvent {
    /// A run begins. First.
    Run(CheckRun),
    /// What the calibration of the path found.
    Path(PathProfile),
    /// What the server does.
    Server(ServerProfile),
    /// A check began.
    Started(&'static CheckInfo),
    /// A check failed so many times and is repeated.
    Confirming(&'static CheckInfo, u32),
    /// A check is over.
    Result(Box<CheckResult>),
    /// The run is over. Last.
    End(CheckEnd),
}

/// Hears them.
pub trait CheckSink {
    /// Takes one event.
    ///
    /// # Errors
    /// The output failed.
    fn record(&mut self, event: &CheckEvent) -> std::io::Result<()>;
}

impl CheckSink for Vec<CheckEvent> {
    fn record(&mut self, event: &CheckEvent) -> std::io::Result<()> {
        self.push(event.clone());
        Ok(())
    }
}

impl<S: CheckSink + ?Sized> CheckSink for Box<S> {
    fn record(&mut self, event: &CheckEvent) -> std::io::Result<()> {
        (**self).record(event)
    }
}
