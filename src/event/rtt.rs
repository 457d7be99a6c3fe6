//! What a run of repeated probes tells while it goes on, and at its end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Answerer, Notice, Outcome, Traffic};
use crate::net::GuardKind;
use crate::stats::{Account, Answer, Fate, FirstTry, Measurement, Phase, Schedule};
use crate::time::{Clock, Instant, Stamp};

/// How each probe asks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// SYN, SYN-ACK, RST.
    Syn,
    /// A whole handshake, closed by FIN.
    Handshake,
    /// A whole handshake, then our FIN: to its acknowledgment, and to the peer's FIN.
    Fin,
    /// A whole handshake, then data: to its acknowledgment.
    Data,
}

impl Method {
    /// The word on the command line: `syn`, `handshake`, `fin`, `data`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syn => "syn",
            Self::Handshake => "handshake",
            Self::Fin => "fin",
            Self::Data => "data",
        }
    }

    /// The phases that are timed, in order.
    #[must_use]
    pub const fn phases(self) -> &'static [Phase] {
        match self {
            Self::Syn | Self::Handshake => &[Phase::Handshake],
            Self::Fin => &[Phase::Handshake, Phase::FinAck, Phase::PeerFin],
            Self::Data => &[Phase::Handshake, Phase::DataAck],
        }
    }
}

/// What is fixed for the whole run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RttRun {
    /// How each probe asks.
    pub method: Method,
    /// From one probe of a target to its next.
    pub interval: Duration,
    /// Probes of each target that are counted; absent where the deadline or the user ends the run.
    pub count: Option<u64>,
    /// Probes of each target before them that are shown and not counted.
    pub warm_up: u64,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// Fixed source ports that take turns, in order; empty where each probe has a fresh one.
    pub fixed_ports: Vec<u16>,
    /// The clock that stamps the packets.
    pub clock: Clock,
    /// What keeps the kernel quiet.
    pub guard: GuardKind,
    /// When the first probe is due: the origin of the times that a person reads.
    pub start: Instant,
    /// Wall-clock nanoseconds since the Unix epoch at `start`; absent in virtual time.
    pub unix_ns: Option<i64>,
    /// Whom we ask; named by their place in here.
    pub targets: Vec<RttTarget>,
}

/// One port that is asked again and again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RttTarget {
    /// As the user wrote it, with its port.
    pub name: String,
    /// Its address.
    pub to: SocketAddr,
    /// Our address towards it; its port is 0 where each probe has a fresh one.
    pub from: SocketAddr,
    /// The interface towards it.
    pub interface: std::rc::Rc<str>,
}

/// One probe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RttProbe {
    /// The connection, as in the records of its segments.
    pub id: super::FlowId,
    /// Whose, as a place in [`RttRun::targets`].
    pub target: u32,
    /// Its place in the target's row of probes, from 0, warm-up and missed ones included.
    pub index: u64,
    /// Which of the fixed source ports, from 0; 0 where each probe has a fresh one.
    pub flow: u32,
    /// It is shown and counts in no figure.
    pub warm_up: bool,
    /// Our address and port.
    pub from: SocketAddr,
    /// Our initial sequence number.
    pub iss: u32,
    /// When it should have left.
    pub due: Instant,
    /// When its first packet left.
    pub sent: Option<Stamp>,
    /// When its first answer arrived.
    pub answered: Option<Stamp>,
    /// When it was over: its answer or its close was complete, its time had run out, or an answer came
    /// late. The jitter takes the intervals in this order.
    pub ended: Instant,
    /// What became of it.
    pub fate: Fate,
    /// What was found out about the port.
    pub outcome: Outcome,
    /// What its answer said.
    pub answer: Option<Answer>,
    /// What became of its first packet.
    pub first_try: Option<FirstTry>,
    /// SYNs sent for it.
    pub attempts: u32,
    /// Answers beyond the first.
    pub duplicates: u32,
    /// The worse of the clocks that took its intervals.
    pub clock: Option<Clock>,
    /// Its intervals, in the order of [`Phase::ALL`]: those, and only those, that count in the figures
    /// (or would, if it were no warm-up).
    pub intervals: [Option<Duration>; Phase::ALL.len()],
    /// Who answered.
    pub answered_by: Option<Answerer>,
    /// What else is to be said of it: why there is no interval, what the peer did not do.
    pub remark: Option<&'static str>,
}

impl RttProbe {
    /// Its interval of a phase.
    #[must_use]
    pub fn interval(&self, phase: Phase) -> Option<Duration> {
        let place = Phase::ALL.iter().position(|known| *known == phase)?;
        self.intervals[place]
    }
}

/// Something that happens in such a run.
#[derive(Clone, Debug)]
pub enum RttEvent<'a> {
    /// The run begins. First of all.
    Began,
    /// What became of a probe. Its `fate` is never [`Fate::Late`], and [`Fate::InFlight`] only where
    /// the run ends.
    Probe(&'a RttProbe),
    /// A probe that was reported lost was answered after all.
    Late(&'a RttProbe),
    /// A probe that had its answer was answered again, at this time.
    Duplicate(&'a RttProbe, Stamp),
    /// Nothing will change this probe any more, warm-up ones included. Comes once for each probe, at
    /// the latest when the run ends, in no order.
    Final(&'a RttProbe),
    /// Something that the user should know and that is no probe's.
    Notice(&'a Notice),
    /// The user wants to know how it stands.
    Interim,
    /// Time has passed: see [`RttSink::wake_at`].
    Tick,
    /// The run is over. Last of all.
    Ended(RttEnd),
}

/// How such a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RttEnd {
    /// The gravest outcome of any target: open where each was.
    pub outcome: Outcome,
    /// Whether that is what was asked for: exit status 0.
    pub as_expected: bool,
    /// Whether the user cut it short.
    pub interrupted: bool,
}

/// How such a run stands.
#[derive(Clone, Copy, Debug)]
pub struct RttView<'a> {
    /// What is fixed.
    pub run: &'a RttRun,
    /// The time now.
    pub now: Instant,
    /// The account of each target.
    pub accounts: &'a [Account],
    /// With fixed source ports: the account of each target's each flow, target by target.
    pub flows: &'a [Account],
    /// The schedule, which knows how well it was kept.
    pub schedule: &'a Schedule,
    /// How intervals are measured, for the bound of their error.
    pub measurement: &'a Measurement,
    /// What went over the wire.
    pub traffic: Traffic,
    /// Captured packets that the kernel dropped because we did not fetch them in time: answers may be
    /// among them.
    pub drops: u64,
    /// Steps of the wall clock that were noticed.
    pub clock_steps: u32,
}

impl RttView<'_> {
    /// The account of all targets together.
    #[must_use]
    pub fn total(&self) -> Account {
        let mut total = Account::default();
        self.accounts.iter().for_each(|account| total.merge(account));
        total
    }
}

/// Hears what happens in a run of repeated probes.
pub trait RttSink {
    /// Takes one event; `view` is how the run stands with it.
    ///
    /// # Errors
    /// The output failed. A closed pipe ends the reporting, not the run.
    fn hear(&mut self, event: &RttEvent<'_>, view: &RttView<'_>) -> io::Result<()>;

    /// When it wants to hear a [`RttEvent::Tick`] at the latest; it may come earlier.
    fn wake_at(&self) -> Option<Instant> {
        None
    }
}
