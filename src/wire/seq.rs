//! Sequence numbers: arithmetic modulo 2^32 (RFC 9293 §3.4).

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A TCP sequence or acknowledgment number.
///
/// Deliberately without `PartialOrd`: "less than" has no meaning on a circle unless one says from
/// where, and an ordered wrapping number is a panic or a stall waiting for its 2^32nd byte. Use the
/// named comparisons.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// Signed distance from `origin` to `self`: negative when `self` lies before `origin`.
    ///
    /// Exactly opposite numbers (2^31 apart) count as before.
    #[must_use]
    pub const fn distance(self, origin: Self) -> i32 {
        self.0.wrapping_sub(origin.0).cast_signed()
    }

    /// Bytes from `origin` forward to `self`, in `0..=u32::MAX`.
    #[must_use]
    pub const fn offset_from(self, origin: Self) -> u32 {
        self.0.wrapping_sub(origin.0)
    }

    /// Whether `self` comes before `other`.
    #[must_use]
    pub const fn is_before(self, other: Self) -> bool {
        self.distance(other) < 0
    }

    /// Whether `self` comes after `other`.
    #[must_use]
    pub const fn is_after(self, other: Self) -> bool {
        other.is_before(self)
    }

    /// Whether `self` is `other` or comes before it.
    #[must_use]
    pub const fn is_at_or_before(self, other: Self) -> bool {
        !self.is_after(other)
    }

    /// Whether `self` is `other` or comes after it.
    #[must_use]
    pub const fn is_at_or_after(self, other: Self) -> bool {
        !self.is_before(other)
    }

    /// Whether `start ≤ self < start + length` on the circle.
    #[must_use]
    pub const fn in_window(self, start: Self, length: u32) -> bool {
        self.offset_from(start) < length
    }

    /// The earlier of the two.
    #[must_use]
    pub const fn earlier(self, other: Self) -> Self {
        if other.is_before(self) { other } else { self }
    }

    /// The later of the two.
    #[must_use]
    pub const fn later(self, other: Self) -> Self {
        if self.is_before(other) { other } else { self }
    }
}

impl Add<u32> for SeqNum {
    type Output = Self;
    fn add(self, rhs: u32) -> Self {
        Self(self.0.wrapping_add(rhs))
    }
}

impl AddAssign<u32> for SeqNum {
    fn add_assign(&mut self, rhs: u32) {
        *self = *self + rhs;
    }
}

impl Sub<u32> for SeqNum {
    type Output = Self;
    fn sub(self, rhs: u32) -> Self {
        Self(self.0.wrapping_sub(rhs))
    }
}

impl fmt::Display for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_hold_across_the_wrap() {
        let before = SeqNum(u32::MAX);
        let after = before + 2;
        assert_eq!(after, SeqNum(1));
        assert!(before.is_before(after) && after.is_after(before));
        assert_eq!(after.distance(before), 2);
        assert_eq!(before.distance(after), -2);
        assert_eq!(before.later(after), after);
        assert!(after.in_window(before, 3) && !after.in_window(before, 2));
    }

    #[test]
    fn a_window_of_nothing_holds_nothing() {
        assert!(!SeqNum(7).in_window(SeqNum(7), 0));
    }
}
