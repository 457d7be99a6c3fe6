//! What a sweep's ledger is told and what it tells: the plan, what to send next, what an answer was
//! worth.

use std::ops::Range;
use std::time::Duration;

use super::mark::Mark;
use crate::time::Instant;

/// Positions in a block, at most, at the defaults.
pub const BLOCK: u64 = 1 << 16;
/// Positions in all open blocks at the defaults: four bits each.
pub const WINDOW: u64 = 1 << 25;
/// Passes are numbered from 1 to this.
pub const MAX_PASSES: u8 = 16;

/// What to send, and how long to wait for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passes {
    /// The positions of this sweep, or of this shard of it.
    pub positions: Range<u64>,
    /// How often a silent target is asked, from 1 to [`MAX_PASSES`].
    pub passes: u8,
    /// Positions in a block; made a power of two from 16 to 2^26.
    pub block: u64,
    /// Blocks that are open at a time.
    pub window: usize,
    /// From the end of a pass of a block to its next.
    pub pause: Duration,
    /// A block is closed when nothing was heard that counted for this long.
    pub quiet: Duration,
    /// It is closed this long after its last SYN, even if late answers keep coming.
    pub longest: Duration,
    /// A target is done only when its connection has ended: `--full` and `--banner`. After a resume,
    /// connections that had not ended begin anew.
    pub whole: bool,
}

impl Passes {
    /// Blocks of about a second at `rate` SYNs a second, 2^10 to 2^16 positions, and 16 MiB of them
    /// at most; a pause of 2 s, in which a peer's first retransmission of its SYN-ACK (after 1 s, RFC
    /// 6298 §2.1) still counts for the first pass; a cool-down of 8 s of quiet, 30 s at most. For
    /// `--rate auto`, give the highest rate that is thinkable.
    #[must_use]
    pub fn at_rate(positions: Range<u64>, passes: u8, rate: u64) -> Self {
        let block = rate.next_power_of_two().clamp(1 << 10, BLOCK);
        Self {
            positions,
            passes,
            block,
            window: usize::try_from((WINDOW / block).min(4096)).unwrap_or(4096),
            pause: Duration::from_secs(2),
            quiet: Duration::from_secs(8),
            longest: Duration::from_secs(30),
            whole: false,
        }
    }
}

/// A SYN to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Draw {
    /// To the target at this position.
    pub position: u64,
    /// In this pass, from 1.
    pub pass: u8,
}

/// What a call of [`Ledger::draw`](super::ledger::Ledger::draw) came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// There is something to send, and perhaps more.
    Drawn,
    /// Nothing to send before then, unless something is released. Call [`Ledger::expire`](super::ledger::Ledger::expire) then.
    Wait(Instant),
    /// Every block is closed.
    Finished,
}

/// What an answer was worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Credit {
    /// The first answer of this target.
    First {
        /// The pass whose SYN it answers: what its echo proves, else the latest that was sent.
        pass: u8,
        /// Its SYN left only once, so that the time of that is not ambiguous (Karn's rule).
        once: bool,
    },
    /// The target is known, but this says more.
    Advanced {
        /// What was known.
        from: Mark,
    },
    /// It says nothing new.
    Duplicate,
    /// Its block is closed: it does not count any more.
    Late,
    /// No SYN has left for it.
    Unasked,
}
