//! TCP options (RFC 9293 §3.1), in order and without loss.

use std::fmt;

use super::SeqNum;

/// One option of a TCP header.
///
/// Whatever a header holds has a place here, so that emitting what was parsed gives the same bytes:
/// an option of a kind not known, or of a known kind with a length that is not its own, is
/// [`Unknown`](Self::Unknown); the rest of a header after a length that cannot be is
/// [`Malformed`](Self::Malformed).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum TcpOption {
    /// Kind 0: the list ends here; the padding bytes that follow it, zero by MUST-69.
    EndOfList(Vec<u8>),
    /// Kind 1: one byte of alignment.
    Nop,
    /// Kind 2: the largest segment, in bytes of payload, that the sender is ready to receive.
    Mss(u16),
    /// Kind 3: the shift that scales every later window (RFC 7323 §2).
    WindowScale(u8),
    /// Kind 4: selective acknowledgment may be used (RFC 2018).
    SackPermitted,
    /// Kind 5: blocks received out of order, each from its left edge to just after its right one.
    Sack(Vec<(SeqNum, SeqNum)>),
    /// Kind 8: the sender's clock and an echo of ours (RFC 7323 §3).
    Timestamps {
        /// TSval, in ticks of the sender's own clock.
        value: u32,
        /// TSecr, valid when ACK is set.
        echo: u32,
    },
    /// Kind 34: a TCP Fast Open cookie; empty asks for one (RFC 7413 §4.1.1).
    FastOpen(Vec<u8>),
    /// Any other kind, or a length that is not the kind's own: the data without kind and length.
    Unknown {
        /// The option's kind.
        kind: u8,
        /// Its data.
        data: Vec<u8>,
    },
    /// From an option whose length is below 2 or beyond the header, to the header's end.
    Malformed(Vec<u8>),
}

impl TcpOption {
    /// Bytes that the option takes in a header.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Nop => 1,
            Self::EndOfList(padding) => 1 + padding.len(),
            Self::Mss(_) => 4,
            Self::WindowScale(_) => 3,
            Self::SackPermitted => 2,
            Self::Sack(blocks) => 2 + 8 * blocks.len(),
            Self::Timestamps { .. } => 10,
            Self::FastOpen(cookie) => 2 + cookie.len(),
            Self::Unknown { data, .. } => 2 + data.len(),
            Self::Malformed(bytes) => bytes.len(),
        }
    }

    /// Never: an option takes at least one byte, save a malformed rest that nobody parsed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The option's kind; `None` for a malformed rest without a byte.
    #[must_use]
    pub fn kind(&self) -> Option<u8> {
        Some(match self {
            Self::EndOfList(_) => 0,
            Self::Nop => 1,
            Self::Mss(_) => 2,
            Self::WindowScale(_) => 3,
            Self::SackPermitted => 4,
            Self::Sack(_) => 5,
            Self::Timestamps { .. } => 8,
            Self::FastOpen(_) => 34,
            Self::Unknown { kind, .. } => *kind,
            Self::Malformed(bytes) => return bytes.first().copied(),
        })
    }

    /// Appends the option's bytes to `out`.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let head = |out: &mut Vec<u8>, kind: u8, data: &[u8]| {
            // Longer than a header allows: the length byte wraps rather than panics; a segment that
            // large is refused by `Segment::emit`.
            #[allow(clippy::cast_possible_truncation)]
            out.extend([kind, (data.len() + 2) as u8]);
            out.extend_from_slice(data);
        };
        match self {
            Self::EndOfList(padding) => {
                out.push(0);
                out.extend_from_slice(padding);
            }
            Self::Nop => out.push(1),
            Self::Mss(mss) => head(out, 2, &mss.to_be_bytes()),
            Self::WindowScale(shift) => head(out, 3, &[*shift]),
            Self::SackPermitted => head(out, 4, &[]),
            Self::Sack(blocks) => {
                let data: Vec<u8> = blocks
                    .iter()
                    .flat_map(|(left, right)| {
                        [left.0.to_be_bytes(), right.0.to_be_bytes()].concat()
                    })
                    .collect();
                head(out, 5, &data);
            }
            Self::Timestamps { value, echo } => {
                head(out, 8, &[value.to_be_bytes(), echo.to_be_bytes()].concat());
            }
            Self::FastOpen(cookie) => head(out, 34, cookie),
            Self::Unknown { kind, data } => head(out, *kind, data),
            Self::Malformed(bytes) => out.extend_from_slice(bytes),
        }
    }
}

/// Reads the options of a header, in order. Never fails: see [`TcpOption`].
#[must_use]
pub fn parse_options(mut bytes: &[u8]) -> Vec<TcpOption> {
    let mut options = Vec::new();
    while let Some((&kind, rest)) = bytes.split_first() {
        match kind {
            0 => {
                options.push(TcpOption::EndOfList(rest.to_vec()));
                break;
            }
            1 => {
                options.push(TcpOption::Nop);
                bytes = rest;
            }
            _ => {
                let length = rest.first().map_or(0, |&length| usize::from(length));
                if length < 2 || length > bytes.len() {
                    options.push(TcpOption::Malformed(bytes.to_vec()));
                    break;
                }
                options.push(parse_one(kind, &bytes[2..length]));
                bytes = &bytes[length..];
            }
        }
    }
    options
}

fn parse_one(kind: u8, data: &[u8]) -> TcpOption {
    let word = |at: usize| u32::from_be_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
    match (kind, data.len()) {
        (2, 2) => TcpOption::Mss(u16::from_be_bytes([data[0], data[1]])),
        (3, 1) => TcpOption::WindowScale(data[0]),
        (4, 0) => TcpOption::SackPermitted,
        (5, length) if length > 0 && length.is_multiple_of(8) => TcpOption::Sack(
            (0..length).step_by(8).map(|at| (SeqNum(word(at)), SeqNum(word(at + 4)))).collect(),
        ),
        (8, 8) => TcpOption::Timestamps { value: word(0), echo: word(4) },
        (34, _) => TcpOption::FastOpen(data.to_vec()),
        _ => TcpOption::Unknown { kind, data: data.to_vec() },
    }
}

/// The bytes of `options`, padded with zeros to a multiple of four (MUST-69).
#[must_use]
pub fn emit_options(options: &[TcpOption]) -> Vec<u8> {
    let mut out = Vec::with_capacity(40);
    for option in options {
        option.emit(&mut out);
    }
    while !out.len().is_multiple_of(4) {
        out.push(0);
    }
    out
}

/// packetdrill's words: `mss 1460`, `sackOK`, `TS val 1 ecr 2`, `nop`, `wscale 7`, `eol`.
impl fmt::Display for TcpOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndOfList(_) => f.write_str("eol"),
            Self::Nop => f.write_str("nop"),
            Self::Mss(mss) => write!(f, "mss {mss}"),
            Self::WindowScale(shift) => write!(f, "wscale {shift}"),
            Self::SackPermitted => f.write_str("sackOK"),
            Self::Sack(blocks) => {
                f.write_str("sack")?;
                blocks.iter().try_for_each(|(left, right)| write!(f, " {left}:{right}"))
            }
            Self::Timestamps { value, echo } => write!(f, "TS val {value} ecr {echo}"),
            Self::FastOpen(cookie) if cookie.is_empty() => f.write_str("FO (cookie request)"),
            Self::FastOpen(cookie) => write!(f, "FO {}", hex(cookie)),
            Self::Unknown { kind, data } if data.is_empty() => write!(f, "unknown-{kind}"),
            Self::Unknown { kind, data } => write!(f, "unknown-{kind} {}", hex(data)),
            Self::Malformed(bytes) => write!(f, "malformed {}", hex(bytes)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linux_syn_reads_as_packetdrill_writes_it() {
        let bytes = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7];
        let options = parse_options(&bytes);
        let text: Vec<_> = options.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["mss 1460", "sackOK", "TS val 9 ecr 0", "nop", "wscale 7"]);
        assert_eq!(emit_options(&options), bytes);
    }

    #[test]
    fn a_length_that_cannot_be_ends_the_list_and_loses_nothing() {
        for bytes in [&[2, 0, 5, 5][..], &[1, 5, 1, 9], &[8, 10, 0, 0], &[1, 1, 1, 200]] {
            let options = parse_options(bytes);
            assert!(matches!(options.last(), Some(TcpOption::Malformed(_))), "{options:?}");
            assert_eq!(emit_options(&options), bytes);
        }
    }

    #[test]
    fn garbage_after_the_end_is_kept() {
        let bytes = [0, 0xde, 0xad, 0xbe];
        assert_eq!(parse_options(&bytes), [TcpOption::EndOfList(vec![0xde, 0xad, 0xbe])]);
        assert_eq!(emit_options(&parse_options(&bytes)), bytes);
    }

    #[test]
    fn a_known_kind_of_a_foreign_length_is_unknown() {
        assert_eq!(parse_options(&[2, 3, 9]), [TcpOption::Unknown { kind: 2, data: vec![9] }]);
    }
}
