//! The control bits of a TCP header.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// The twelve bits between data offset and window: the nine defined control bits and the three that
/// are reserved (RFC 9293 §3.1; AE by RFC 9768).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Flags(u16);

impl Flags {
    /// No bit set.
    pub const NONE: Self = Self(0);
    /// No more data from the sender.
    pub const FIN: Self = Self(0x001);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x002);
    /// Reset the connection.
    pub const RST: Self = Self(0x004);
    /// Push.
    pub const PSH: Self = Self(0x008);
    /// The acknowledgment field is significant.
    pub const ACK: Self = Self(0x010);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x020);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x040);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x080);
    /// Accurate ECN (RFC 9768), once NS.
    pub const AE: Self = Self(0x100);

    /// Names in the order in which they are written, lowest bit first; reserved bits by number.
    const NAMES: [(Self, &'static str, char); 12] = [
        (Self::FIN, "FIN", 'F'),
        (Self::SYN, "SYN", 'S'),
        (Self::RST, "RST", 'R'),
        (Self::PSH, "PSH", 'P'),
        (Self::ACK, "ACK", '.'),
        (Self::URG, "URG", 'U'),
        (Self::ECE, "ECE", 'E'),
        (Self::CWR, "CWR", 'W'),
        (Self::AE, "AE", 'A'),
        (Self(0x200), "R1", '1'),
        (Self(0x400), "R2", '2'),
        (Self(0x800), "R3", '3'),
    ];

    /// The low twelve bits of `bits`; the rest (the data offset) is dropped.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & 0x0fff)
    }

    /// The twelve bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets of bits; usable in constants, where `|` is not.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The bits that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The names of the set bits, as the JSON stream lists them: SYN, FIN, RST and PSH before ACK.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .filter(move |(bit, ..)| self.contains(*bit))
            .map(|(_, name, _)| name)
    }

    /// packetdrill's letters: `S`, `S.`, `F.`, `P.`, `R`, and `-` for none at all.
    #[must_use]
    pub fn letters(self) -> String {
        if self == Self::NONE {
            return "-".to_owned();
        }
        // packetdrill writes the dot of ACK after the others.
        let with =
            |bits: Self| Self::NAMES.into_iter().filter(move |(bit, ..)| bits.contains(*bit));
        let mut text: String = with(self.without(Self::ACK)).map(|(.., letter)| letter).collect();
        if self.contains(Self::ACK) {
            text.push('.');
        }
        text
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, rhs: Self) -> Self {
        self.union(rhs)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, rhs: Self) {
        *self = *self | rhs;
    }
}

/// `SYN+ACK`, `FIN+ACK`, `ACK`; `none` where no bit is set.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.pad("none");
        }
        let names: Vec<_> = self.names().collect();
        f.pad(&names.join("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations() {
        let syn_ack = Flags::SYN | Flags::ACK;
        assert_eq!(syn_ack.to_string(), "SYN+ACK");
        assert_eq!(syn_ack.letters(), "S.");
        assert_eq!((Flags::FIN | Flags::PSH | Flags::ACK).letters(), "FP.");
        assert_eq!(Flags::NONE.letters(), "-");
        assert_eq!(Flags::from_bits(0xf012), syn_ack, "the data offset is not a flag");
    }
}
