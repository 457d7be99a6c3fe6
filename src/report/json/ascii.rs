//! JSON in which everything beyond printable ASCII is escaped.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Compact JSON, ASCII only. serde's own escapes the C0 controls, but lets pass what acts on a
/// terminal or deceives a reader all the same: DEL, the C1 controls, bidirectional overrides.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        for character in fragment.chars() {
            if matches!(character, ' '..='~') {
                writer.write_all(&[character as u8])?;
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

/// `value` as one line without its end.
///
/// # Errors
/// What `Serialize` says; the records of this crate say nothing.
pub(crate) fn to_vec(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(512);
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Ascii))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_text_survives_and_none_leaves_ascii(text in any::<String>()) {
            let bytes = to_vec(&text).unwrap();
            prop_assert!(bytes.iter().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(serde_json::from_slice::<String>(&bytes).unwrap(), text);
        }
    }
}
