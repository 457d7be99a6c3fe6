//! What is known of one target.

/// What is known of a target. It only ever moves up in [rank](Self::rank).
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mark {
    /// No proven answer.
    Silent = 0,
    /// A SYN-ACK; for whole handshakes, no more than that.
    Open,
    /// A RST instead of a SYN-ACK.
    Refused,
    /// An ICMP error that quotes our SYN.
    Unreachable,
    /// The first bytes arrived.
    Data,
    /// Our FIN was acknowledged, the peer's has not come.
    FinAcked,
    /// Both FINs were acknowledged.
    Closed,
    /// A RST after the handshake.
    Reset,
}

impl Mark {
    /// Every mark, by its number.
    pub const ALL: [Self; 8] = [
        Self::Silent,
        Self::Open,
        Self::Refused,
        Self::Unreachable,
        Self::Data,
        Self::FinAcked,
        Self::Closed,
        Self::Reset,
    ];

    /// The mark in machine-readable output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Open => "open",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Data => "data",
            Self::FinAcked => "fin-acked",
            Self::Closed => "closed",
            Self::Reset => "reset",
        }
    }

    /// How much a mark proves. An answer of a higher rank replaces one of a lower rank, never the
    /// other way round: a router's word gives way to the host's, and a RST to the SYN-ACK that
    /// proves a listener (a middlebox may have answered first). Once a connection has ended, however
    /// it did, nothing changes that.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Silent => 0,
            Self::Unreachable => 1,
            Self::Refused => 2,
            Self::Open => 3,
            Self::Data => 4,
            Self::FinAcked => 5,
            Self::Closed | Self::Reset => 6,
        }
    }

    /// Whether a SYN-ACK was seen: the port has a listener.
    #[must_use]
    pub const fn is_open(self) -> bool {
        self.rank() >= Self::Open.rank()
    }

    /// Whether a connection was begun that has not come to an end. For half-open probes, that is all
    /// there is of an open port.
    #[must_use]
    pub const fn is_unfinished(self) -> bool {
        matches!(self, Self::Open | Self::Data | Self::FinAcked)
    }

    /// Its place in [`Mark::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The mark of a nibble's low three bits.
    pub(super) const fn of(nibble: u64) -> Self {
        Self::ALL[(nibble & 7) as usize]
    }
}

/// A set of marks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Marks(u8);

impl Marks {
    /// No mark.
    pub const NONE: Self = Self(0);
    /// Every mark.
    pub const ALL: Self = Self(u8::MAX);
    /// Connections that were begun and have not ended: what whole handshakes report at the end of
    /// the cool-down.
    pub const UNFINISHED: Self = Self::NONE.with(Mark::Open).with(Mark::Data).with(Mark::FinAcked);

    /// This set, and `mark`.
    #[must_use]
    pub const fn with(self, mark: Mark) -> Self {
        Self(self.0 | 1 << mark.index())
    }

    /// Whether `mark` is in it.
    #[must_use]
    pub const fn has(self, mark: Mark) -> bool {
        self.0 & 1 << mark.index() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_numbered_named_and_ranked() {
        for (index, mark) in Mark::ALL.into_iter().enumerate() {
            assert_eq!((mark.index(), Mark::of(index as u64)), (index, mark));
            assert!(Marks::ALL.has(mark) && !Marks::NONE.has(mark));
            assert_eq!(Marks::UNFINISHED.has(mark), mark.is_unfinished());
        }
        let mut names: Vec<_> = Mark::ALL.map(Mark::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 8);
    }
}
