//! Marks as text: four bits each, as runs where that is shorter, in base64.
//!
//! The empty text stands for silence throughout. Otherwise the first letter tells the form: `n` for
//! the nibbles as they are, lowest first; `r` for runs, each a LEB128 number: its length times 16,
//! plus the nibble.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Nibbles at most: a text of a few letters must not make us ask for gigabytes.
const MAX_NIBBLES: u64 = 1 << 26;

/// Sixteen nibbles to a word, the lowest bits first. Made into text when it is written, not when it
/// is taken: the lock on the ledger is held no longer than it takes to copy.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Packed(Vec<u64>);

impl Packed {
    /// These words; zeros at the end say nothing and are left off.
    #[must_use]
    pub fn new(mut words: Vec<u64>) -> Self {
        let used = words.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
        words.truncate(used);
        Self(words)
    }

    /// The words, without zeros at the end.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.0
    }

    /// As text.
    #[must_use]
    pub fn to_text(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        match self.runs() {
            Some(runs) => base64('r', &runs),
            None => {
                base64('n', &self.0.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>())
            }
        }
    }

    /// From text; `None` where it is none of ours.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let Some(form) = text.bytes().next() else { return Some(Self::default()) };
        let bytes = from_base64(text.as_bytes().get(1..)?)?;
        match form {
            b'n' => {
                let words = bytes.chunks(8).map(|chunk| {
                    chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
                });
                Some(Self::new(words.collect()))
            }
            b'r' => from_runs(&bytes),
            _ => None,
        }
    }

    /// As runs, unless that is no shorter.
    fn runs(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut run: Option<(u64, u64)> = None;
        for &word in &self.0 {
            // Mostly silence: a whole word at once.
            if let Some((0, length)) = &mut run
                && word == 0
            {
                *length += 16;
                continue;
            }
            for nth in 0..16 {
                let nibble = word >> (4 * nth) & 15;
                match &mut run {
                    Some((same, length)) if *same == nibble => *length += 1,
                    _ => {
                        put_run(&mut out, run.replace((nibble, 1)));
                    }
                }
            }
            if out.len() >= self.0.len() * 8 {
                return None;
            }
        }
        put_run(&mut out, run);
        Some(out)
    }
}

fn put_run(out: &mut Vec<u8>, run: Option<(u64, u64)>) {
    let Some((nibble, length)) = run else { return };
    let mut rest = length << 4 | nibble;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

fn from_runs(bytes: &[u8]) -> Option<Packed> {
    let mut words: Vec<u64> = Vec::new();
    let (mut at, mut number, mut shift) = (0_u64, 0_u64, 0_u32);
    for &byte in bytes {
        if shift > 56 {
            return None;
        }
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 != 0 {
            continue;
        }
        let (length, nibble) = (number >> 4, number & 15);
        (number, shift) = (0, 0);
        if length > MAX_NIBBLES - at {
            return None;
        }
        words.resize(usize::try_from((at + length).div_ceil(16)).ok()?, 0);
        let end = at + length;
        while nibble != 0 && at < end {
            let (word, from) = (usize::try_from(at / 16).ok()?, at % 16);
            let count = (end - at).min(16 - from);
            let run = (u64::MAX >> (64 - 4 * count)) & (nibble * 0x1111_1111_1111_1111);
            words[word] |= run << (4 * from);
            at += count;
        }
        at = end;
    }
    (shift == 0).then(|| Packed::new(words))
}

/// RFC 4648 §4, without padding.
fn base64(form: char, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(1 + bytes.len().div_ceil(3) * 4);
    text.push(form);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for nth in 0..=chunk.len() {
            let shift = 18 - 6 * u32::try_from(nth).unwrap_or(0);
            text.push(char::from(ALPHABET[(group >> shift & 63) as usize]));
        }
    }
    text
}

fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.chunks(4) {
        if chunk.len() == 1 {
            return None;
        }
        let mut group = 0_u32;
        for letter in chunk {
            let value = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a' + 26,
                b'0'..=b'9' => letter - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            group = group << 6 | u32::from(value);
        }
        group <<= 6 * (4 - chunk.len());
        let [_, all @ ..] = group.to_be_bytes();
        bytes.extend_from_slice(&all[..chunk.len() - 1]);
    }
    Some(bytes)
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_text(&text).ok_or_else(|| de::Error::custom("marks that cannot be read"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn silence_is_empty_and_sparse_answers_are_short() {
        assert_eq!(Packed::new(vec![0; 4096]).to_text(), "");
        let mut words = vec![0; 4096];
        words[4000] = 0x10;
        assert!(Packed::new(words).to_text().len() < 16);
        // The forms are part of the file format.
        assert_eq!(Packed::new(vec![0x21]).to_text(), "rERLgAQ");
        let dense = 0x1234_5670_7654_3210_u64;
        assert_eq!(Packed::new(vec![dense]).to_text(), "nEDJUdnBWNBI");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["x", "nA", "n!!!!", "r////////////", "r/w", "é", "rgICAgICAgICAgIAB"] {
            assert_eq!(Packed::from_text(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back_is_the_same(
            runs in prop::collection::vec((0_u64..16, 1_usize..200), 0..60)
        ) {
            let nibbles: Vec<u64> =
                runs.iter().flat_map(|(nibble, n)| std::iter::repeat_n(*nibble, *n)).collect();
            let words = nibbles
                .chunks(16)
                .map(|chunk| chunk.iter().rev().fold(0, |word, nibble| word << 4 | nibble));
            let packed = Packed::new(words.collect());
            prop_assert_eq!(Packed::from_text(&packed.to_text()), Some(packed));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[nr][A-Za-z0-9+/]{0,40}") {
            let _ = Packed::from_text(&text);
        }
    }
}
