//! Sums in one's complement, a part at a time (RFC 1071).

/// A checksum on its way: words added so far. What does not change from packet to packet is summed
/// once, and the rest added to it (RFC 1624 §3, its old words being zero).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Sum(u64);

impl Sum {
    /// And these bytes, as words in network order; an odd last byte is the high half of a word.
    ///
    /// The sum is taken in words of 32 bits, and folded at the end: 2^16 is 1 modulo 65535. A packet
    /// is too short to overflow the 64 bits.
    #[inline]
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            self.0 += u64::from(u32::from_be_bytes(*word));
        }
        let mut last = [0; 4];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.0 += u64::from(u32::from_be_bytes(last));
        self
    }

    /// And this word.
    #[inline]
    pub(super) fn word(self, word: u16) -> Self {
        Self(self.0 + u64::from(word))
    }

    /// And these two words.
    #[inline]
    pub(super) fn words(self, words: u32) -> Self {
        Self(self.0 + u64::from(words))
    }

    /// The sum, folded to 16 bits: 0 only if every word was.
    #[inline]
    pub(super) fn folded(self) -> u16 {
        let mut sum = self.0;
        // From 64 bits to 33, 17 or less, 16 and a carry, 16.
        sum = (sum & 0xffff_ffff) + (sum >> 32);
        sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        #[allow(clippy::cast_possible_truncation)] // folded
        let folded = sum as u16;
        folded
    }

    /// What goes into the checksum field.
    #[inline]
    pub(super) fn checksum(self) -> u16 {
        !self.folded()
    }

    /// Whether these words, the checksum among them, are as they were sent: they add up to zero, which
    /// is 0xffff here. Both zeros in the checksum field give the same.
    #[inline]
    pub(super) fn is_right(self) -> bool {
        self.folded() == 0xffff
    }
}
