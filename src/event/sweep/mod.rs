//! What a sweep tells while it goes on, and at its end.
//!
//! Plain values: what the engine has words for comes as text, what it does not know is `None`. A
//! [`Found`] is made for every target that answers, at the speed of the link: it owns nothing on the
//! heap but a banner.

mod found;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use super::Notice;
use crate::net::GuardKind;
use crate::stats::Figures;
use crate::time::Instant;

pub use found::*;

/// What a sweep does with a target that answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SweepMethod {
    /// SYN, SYN-ACK, RST.
    HalfOpen,
    /// A whole handshake, closed by FIN.
    Full,
    /// A whole handshake; the first bytes are waited for, then it is closed by FIN.
    Banner,
}

impl SweepMethod {
    /// The word in the JSON stream: `half-open`, `full`, `banner`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HalfOpen => "half-open",
            Self::Full => "full",
            Self::Banner => "banner",
        }
    }

    /// Whether connections are opened and closed: then what is open is told by how it closed.
    #[must_use]
    pub const fn is_full(self) -> bool {
        !matches!(self, Self::HalfOpen)
    }
}

/// One of the parts into which a space is split.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SweepShard {
    /// Which, from 0.
    pub index: u32,
    /// Of how many.
    pub count: u32,
}

/// `3/16`: counted from 0, as on the command line.
impl fmt::Display for SweepShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// How many SYNs a second leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SweepRate {
    /// So many at most.
    Fixed(u64),
    /// As many as are answered without loss: found out on the way, and never more than this.
    Auto(Option<u64>),
    /// As many as this host can send.
    Max,
}

/// What is fixed for a whole sweep.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SweepRun {
    /// Addresses of the whole space, all shards together.
    pub hosts: u64,
    /// Ports of each.
    pub ports: u32,
    /// Targets of the whole space: positions are 0 to this.
    pub targets: u64,
    /// The positions of this run: all of them, or those of its shard.
    pub positions: Range<u64>,
    /// Which shard it is, where the space was split.
    pub shard: Option<SweepShard>,
    /// What the walk over the space follows from.
    pub seed: u64,
    /// What tells this space from others.
    pub fingerprint: u64,
    /// What is done with those that answer.
    pub method: SweepMethod,
    /// How often a silent target is asked.
    pub passes: u8,
    /// How fast.
    pub rate: SweepRate,
    /// Our addresses: one for each family.
    pub sources: Vec<IpAddr>,
    /// Our ports.
    pub source_ports: Vec<u16>,
    /// The interface.
    pub interface: String,
    /// The way on which frames leave: `af_xdp`, `af_packet`, `raw`.
    pub transmit: String,
    /// How that way was chosen, for people.
    pub transmit_choice: Option<String>,
    /// How answers were heard: `af_packet`, `xdp`, or `xdp_generic` where the driver has none.
    pub receive: String,
    /// What keeps the kernel quiet.
    pub guard: GuardKind,
    /// Options that decide what is asked of a target, as name and value: shards can only be united
    /// where these agree.
    pub options: Vec<(Cow<'static, str>, String)>,
    /// Whether an earlier run is continued.
    pub resumed: bool,
    /// How many reports of shards this unites; absent where it is a run of its own.
    pub united: Option<u32>,
    /// When.
    pub at: Instant,
    /// Wall-clock nanoseconds since the Unix epoch at `at`; absent in virtual time.
    pub unix_ns: Option<i64>,
}

/// A share that was estimated, in millionths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SweepLoss {
    /// The estimate.
    pub ppm: u32,
    /// Its standard error.
    pub error_ppm: u32,
}

/// What a sweep is busy with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SweepStage {
    /// SYNs leave.
    Sending,
    /// Everything was sent; late answers are waited for.
    CoolingDown,
}

/// How a sweep stands.
#[derive(Clone, PartialEq, Debug)]
pub struct SweepProgress {
    /// The time now.
    pub now: Instant,
    /// What it is busy with.
    pub stage: SweepStage,
    /// Targets of this run.
    pub targets: u64,
    /// Targets that were sent a SYN at least once.
    pub probed: u64,
    /// SYNs sent, all passes.
    pub sent: u64,
    /// SYNs a second, of late.
    pub rate: u64,
    /// Targets found open.
    pub open: u64,
    /// Targets that refused.
    pub refused: u64,
    /// Targets that ICMP spoke for.
    pub unreachable: u64,
    /// How many SYNs or their answers get lost, where it is known.
    pub loss: Option<SweepLoss>,
    /// Packets that the kernel dropped because we did not fetch them in time.
    pub drops: u64,
    /// How long it will still take, where that can be said.
    pub eta: Option<Duration>,
}

impl SweepProgress {
    /// `12.3 % of 65536 targets`: the share that was probed.
    #[must_use]
    pub fn share(&self) -> String {
        let tenths = u128::from(self.probed) * 1000 / u128::from(self.targets.max(1));
        format!("{}.{} % of {} targets", tenths / 10, tenths % 10, self.targets)
    }
}

/// Every target of a run, each in exactly one of the first five.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SweepAccount {
    /// A SYN-ACK came.
    pub open: u64,
    /// A RST came.
    pub refused: u64,
    /// An ICMP error came.
    pub unreachable: u64,
    /// Nothing came, through all passes that were made.
    pub silent: u64,
    /// No SYN was sent: the run was cut short.
    pub not_probed: u64,
    /// Of the unreachable: those that a firewall spoke for.
    pub prohibited: u64,
    /// Of the open: how they closed. Absent where only the port was asked for.
    pub closes: Option<SweepCloses>,
}

impl SweepAccount {
    /// All targets.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.open + self.refused + self.unreachable + self.silent + self.not_probed
    }

    /// Those that answered in whatever manner.
    #[must_use]
    pub const fn answered(&self) -> u64 {
        self.open + self.refused + self.unreachable
    }
}

/// Open targets by how their connections ended. What is missing to all that were open was not found
/// out: the run was cut short.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SweepCloses {
    /// By FIN from both ends.
    pub closed: u64,
    /// Our FIN was acknowledged, theirs never came.
    pub still_open: u64,
    /// Our FIN was ignored.
    pub fin_ignored: u64,
    /// The peer reset it.
    pub reset: u64,
    /// Of all of these: with a banner.
    pub banners: u64,
}

/// One pass over the space.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SweepPass {
    /// SYNs sent.
    pub sent: u64,
    /// Targets whose first answer came in it.
    pub answered: u64,
}

/// The round-trip times of a sweep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SweepTimes {
    /// The figures; [`Figures::jitter_ns`] means nothing here.
    pub figures: Figures,
    /// Those whose SYN's time came back in the timestamp option.
    pub by_timestamp: u64,
    /// Those whose SYN's time came from the log.
    pub by_log: u64,
    /// By how much the worst of the former may be wrong.
    pub timestamp_error_ns: Option<u64>,
    /// By how much the worst of the latter may be wrong.
    pub log_error_ns: Option<u64>,
}

/// How a sweep ended. All counts include those of the runs that it continued.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SweepEnd {
    /// What became of every target.
    pub account: SweepAccount,
    /// The passes, first to last.
    pub passes: Vec<SweepPass>,
    /// Packets to our ports that proved nothing, by the name of the reason; reasons without any may be
    /// left out.
    pub rejected: Vec<(Cow<'static, str>, u64)>,
    /// Answers beyond the first that said nothing new.
    pub duplicates: u64,
    /// Answers that came when their target was already given up: in no other count.
    pub late: u64,
    /// Packets that the kernel dropped because we did not fetch them in time: answers may be among them.
    pub drops: u64,
    /// Frames that the interface took and dropped without a word while this ran, whoever sent them.
    pub discarded: u64,
    /// SYNs that were sent once more for that, in the pass of the first; they are among those sent.
    pub mended: u64,
    /// How often the kernel refused to take frames, by the name of the reason; they were sent later.
    pub send_troubles: Vec<(Cow<'static, str>, u64)>,
    /// How many SYNs or their answers got lost on the way; absent where one pass cannot tell.
    pub loss: Option<SweepLoss>,
    /// How many SYN-ACKs got lost on their way back, as their repetitions show; absent where unknown.
    pub loss_back: Option<SweepLoss>,
    /// The round-trip times. The engine may leave them out: the fan of reporters
    /// takes them from what was found.
    pub rtt: Option<SweepTimes>,
    /// How long it took, cool-down included; of a continued run, all its parts together.
    pub elapsed: Duration,
    /// How long SYNs left: what their rate is reckoned by. Absent where none did.
    pub sending: Option<Duration>,
    /// Whether the user cut it short.
    pub interrupted: bool,
    /// Whether it continued an earlier run.
    pub resumed: bool,
}

impl SweepEnd {
    /// SYNs sent, all passes.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.passes.iter().fold(0, |sum, pass| sum.saturating_add(pass.sent))
    }

    /// SYNs a second, while they left; absent where none did.
    #[must_use]
    pub fn syns_per_second(&self) -> Option<u64> {
        let nanos = self.sending.filter(|sending| !sending.is_zero())?.as_nanos();
        u64::try_from(u128::from(self.sent()) * 1_000_000_000 / nanos).ok()
    }
}

/// Hears a sweep.
///
/// `begin` comes first and `end` last, each once. A sink may keep what it hears until
/// [`flush`](Self::flush): whoever writes a checkpoint flushes before it, so that nothing is held for
/// done that stands in no report; and flushes when nothing comes for a while, so that results show.
pub trait SweepSink {
    /// The sweep begins.
    ///
    /// # Errors
    /// The output failed; so for all methods.
    fn begin(&mut self, run: &SweepRun) -> io::Result<()>;

    /// A target answered.
    ///
    /// # Errors
    /// The output failed.
    fn found(&mut self, found: &Found) -> io::Result<()>;

    /// How it stands: comes a few times a second.
    ///
    /// # Errors
    /// The output failed.
    fn progress(&mut self, _progress: &SweepProgress) -> io::Result<()> {
        Ok(())
    }

    /// Something that the user should know.
    ///
    /// # Errors
    /// The output failed.
    fn notice(&mut self, _notice: &Notice) -> io::Result<()> {
        Ok(())
    }

    /// The sweep is over.
    ///
    /// # Errors
    /// The output failed.
    fn end(&mut self, end: &SweepEnd) -> io::Result<()>;

    /// Hands on what was kept.
    ///
    /// # Errors
    /// The output failed.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: SweepSink + ?Sized> SweepSink for Box<S> {
    fn begin(&mut self, run: &SweepRun) -> io::Result<()> {
        (**self).begin(run)
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        (**self).found(found)
    }

    fn progress(&mut self, progress: &SweepProgress) -> io::Result<()> {
        (**self).progress(progress)
    }

    fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        (**self).notice(notice)
    }

    fn end(&mut self, end: &SweepEnd) -> io::Result<()> {
        (**self).end(end)
    }

    fn flush(&mut self) -> io::Result<()> {
        (**self).flush()
    }
}
