//! Values as bytes, without an allocation: a sweep reports at the speed of the link.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};

/// Pairs of digits: half as many divisions.
const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

const HEX: &[u8; 16] = b"0123456789abcdef";

pub(super) fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    while value >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(pair(value % 100));
        value /= 100;
    }
    let last = pair(value);
    let last = if value < 10 { &last[1..] } else { last };
    at -= last.len();
    digits[at..at + last.len()].copy_from_slice(last);
    out.extend_from_slice(&digits[at..]);
}

/// The two digits of a number below 100.
fn pair(value: u64) -> &'static [u8] {
    let at = usize::try_from(value).unwrap_or(0) * 2;
    PAIRS.get(at..at + 2).unwrap_or(b"00")
}

pub(super) fn signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    number(out, value.unsigned_abs());
}

pub(super) fn addr(out: &mut Vec<u8>, addr: IpAddr) {
    match addr {
        IpAddr::V4(addr) => v4(out, addr),
        // Writing to memory cannot fail.
        IpAddr::V6(addr) => drop(write!(out, "{addr}")),
    }
}

fn v4(out: &mut Vec<u8>, addr: Ipv4Addr) {
    let [a, b, c, d] = addr.octets();
    number(out, a.into());
    for octet in [b, c, d] {
        out.push(b'.');
        number(out, octet.into());
    }
}

/// `192.0.2.7:443`, `[2001:db8::7]:443`.
pub(super) fn endpoint(out: &mut Vec<u8>, ip: IpAddr, port: u16) {
    if ip.is_ipv6() {
        out.push(b'[');
        addr(out, ip);
        out.push(b']');
    } else {
        addr(out, ip);
    }
    out.push(b':');
    number(out, port.into());
}

pub(super) fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 0xf)]);
    }
}

/// A JSON string in ASCII, as [`crate::report::json`] writes them.
pub(super) fn json_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            ' '..='~' => out.push(u8::try_from(character).unwrap_or(b'?')),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(b"\\u");
                    hex(out, &unit.to_be_bytes());
                }
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn numbers_are_what_the_standard_library_writes(value: u64, narrow in 0_u32..64, other: i64) {
            let value = value >> narrow;
            prop_assert_eq!(written(|out| number(out, value)), value.to_string());
            prop_assert_eq!(written(|out| signed(out, other)), other.to_string());
        }

        #[test]
        fn addresses_too(ip: IpAddr, port: u16) {
            prop_assert_eq!(written(|out| addr(out, ip)), ip.to_string());
            let both = std::net::SocketAddr::new(ip, port).to_string();
            prop_assert_eq!(written(|out| endpoint(out, ip, port)), both);
        }

        #[test]
        fn every_text_survives_and_none_leaves_ascii(text: String) {
            let json = written(|out| json_text(out, &text));
            prop_assert!(json.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
