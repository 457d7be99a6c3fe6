//! TCP segments (RFC 9293 §3.1), read and written without loss.

use std::fmt;
use std::net::IpAddr;

use pnet::packet::tcp::{MutableTcpPacket, TcpPacket};

use super::{Flags, ParseError, SeqNum, TcpOption, checksum, emit_options, parse_options};

/// Bytes of a TCP header without options.
pub const HEADER_LEN: usize = 20;
/// Bytes of options that a TCP header can hold.
pub const MAX_OPTIONS_LEN: usize = 40;

/// A TCP segment: every field of the header, the options in order, the payload.
///
/// The acknowledgment number is kept even without the ACK bit, and the urgent pointer even without
/// URG, so that what came off the wire can be shown and sent again as it was.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Segment {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK; meaningful where `flags` has ACK.
    pub ack: SeqNum,
    /// The control bits.
    pub flags: Flags,
    /// SEG.WND as it stands in the header, unscaled.
    pub window: u16,
    /// The urgent pointer; meaningful where `flags` has URG.
    pub urgent: u16,
    /// The options, in order.
    pub options: Vec<TcpOption>,
    /// The data.
    pub payload: Vec<u8>,
}

impl Segment {
    /// Reads a segment from an IP packet's payload. The checksum is not looked at: see
    /// [`checksum::tcp_is_right`].
    ///
    /// # Errors
    /// [`ParseError`] where the header is cut short or its data offset cannot be.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let truncated =
            |need| ParseError::Truncated { what: "TCP header", need, have: bytes.len() };
        let view = TcpPacket::new(bytes).ok_or(truncated(HEADER_LEN))?;
        let header = 4 * usize::from(view.get_data_offset());
        if header < HEADER_LEN {
            return Err(ParseError::Length { what: "TCP data offset", says: header });
        }
        if header > bytes.len() {
            return Err(truncated(header));
        }
        Ok(Self {
            src_port: view.get_source(),
            dst_port: view.get_destination(),
            seq: SeqNum(view.get_sequence()),
            ack: SeqNum(view.get_acknowledgement()),
            // pnet's view keeps the reserved bits apart and drops AE; the two bytes hold all twelve.
            flags: Flags::from_bits(u16::from_be_bytes([bytes[12], bytes[13]])),
            window: view.get_window(),
            urgent: view.get_urgent_ptr(),
            options: parse_options(&bytes[HEADER_LEN..header]),
            payload: bytes[header..].to_vec(),
        })
    }

    /// The segment's bytes with the checksum right for `src` and `dst`.
    ///
    /// # Errors
    /// [`ParseError::Length`] where the options take more than [`MAX_OPTIONS_LEN`] bytes.
    pub fn emit(&self, src: IpAddr, dst: IpAddr) -> Result<Vec<u8>, ParseError> {
        let options = emit_options(&self.options);
        let too_long = ParseError::Length { what: "TCP options", says: options.len() };
        if options.len() > MAX_OPTIONS_LEN {
            return Err(too_long);
        }
        let header = HEADER_LEN + options.len();
        let mut bytes = vec![0; header];
        bytes[HEADER_LEN..].copy_from_slice(&options);
        bytes.extend_from_slice(&self.payload);
        let mut view = MutableTcpPacket::new(&mut bytes).ok_or(too_long)?;
        view.set_source(self.src_port);
        view.set_destination(self.dst_port);
        view.set_sequence(self.seq.0);
        view.set_acknowledgement(self.ack.0);
        view.set_window(self.window);
        view.set_urgent_ptr(self.urgent);
        #[allow(clippy::cast_possible_truncation)] // at most 60 bytes: 15 words
        let offset_and_flags = ((header / 4) as u16) << 12 | self.flags.bits();
        bytes[12..14].copy_from_slice(&offset_and_flags.to_be_bytes());
        let sum = checksum::tcp(src, dst, &bytes);
        bytes[16..18].copy_from_slice(&sum.to_be_bytes());
        Ok(bytes)
    }

    /// Whether all of `flags` are set.
    #[must_use]
    pub const fn has(&self, flags: Flags) -> bool {
        self.flags.contains(flags)
    }

    /// SEG.LEN: sequence numbers that the segment occupies, SYN and FIN counted one each (RFC 9293
    /// §3.4).
    #[must_use]
    pub fn seq_len(&self) -> u32 {
        let data = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        data + u32::from(self.has(Flags::SYN)) + u32::from(self.has(Flags::FIN))
    }

    /// The first sequence number after the segment: SEG.SEQ + SEG.LEN.
    #[must_use]
    pub fn seq_end(&self) -> SeqNum {
        self.seq + self.seq_len()
    }

    /// The value of the MSS option, if there is one.
    #[must_use]
    pub fn mss(&self) -> Option<u16> {
        self.options.iter().find_map(|option| match option {
            TcpOption::Mss(mss) => Some(*mss),
            _ => None,
        })
    }

    /// The shift of the window scale option, if there is one, as it stands (it may exceed 14).
    #[must_use]
    pub fn window_scale(&self) -> Option<u8> {
        self.options.iter().find_map(|option| match option {
            TcpOption::WindowScale(shift) => Some(*shift),
            _ => None,
        })
    }

    /// TSval and TSecr of the timestamps option, if there is one.
    #[must_use]
    pub fn timestamps(&self) -> Option<(u32, u32)> {
        self.options.iter().find_map(|option| match option {
            TcpOption::Timestamps { value, echo } => Some((*value, *echo)),
            _ => None,
        })
    }

    /// Whether SACK-permitted is among the options.
    #[must_use]
    pub fn sack_permitted(&self) -> bool {
        self.options.contains(&TcpOption::SackPermitted)
    }

    /// The segment in packetdrill's notation with sequence numbers relative to `seq_origin` (the
    /// sender's initial one) and `ack_origin` (the receiver's).
    #[must_use]
    pub const fn relative_to(&self, seq_origin: SeqNum, ack_origin: SeqNum) -> Notation<'_> {
        Notation { segment: self, seq_origin, ack_origin }
    }
}

/// packetdrill's notation, absolute: `S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK>`.
impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.relative_to(SeqNum(0), SeqNum(0)).fmt(f)
    }
}

/// A segment written in packetdrill's notation; see [`Segment::relative_to`].
#[derive(Clone, Copy, Debug)]
pub struct Notation<'a> {
    segment: &'a Segment,
    seq_origin: SeqNum,
    ack_origin: SeqNum,
}

impl fmt::Display for Notation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Segment { seq, ack, flags, window, urgent, options, payload, .. } = self.segment;
        let start = seq.offset_from(self.seq_origin);
        // packetdrill counts the data only: SYN and FIN do not widen the range.
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        write!(f, "{} {}:{}({})", flags.letters(), start, start.wrapping_add(len), len)?;
        if flags.contains(Flags::ACK) {
            write!(f, " ack {}", ack.offset_from(self.ack_origin))?;
        }
        write!(f, " win {window}")?;
        if flags.contains(Flags::URG) {
            write!(f, " urg {urgent}")?;
        }
        for (index, option) in options.iter().enumerate() {
            f.write_str(if index == 0 { " <" } else { "," })?;
            match option {
                // They are numbers of what the other end sent, as the acknowledgment is.
                TcpOption::Sack(blocks) => {
                    let relative = |edge: SeqNum| SeqNum(edge.offset_from(self.ack_origin));
                    let blocks =
                        blocks.iter().map(|(left, right)| (relative(*left), relative(*right)));
                    TcpOption::Sack(blocks.collect()).fmt(f)?;
                }
                other => other.fmt(f)?,
            }
        }
        if options.is_empty() { Ok(()) } else { f.write_str(">") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syn_ack() -> Segment {
        Segment {
            src_port: 80,
            dst_port: 40000,
            seq: SeqNum(u32::MAX),
            ack: SeqNum(8),
            flags: Flags::SYN | Flags::ACK,
            window: 65535,
            options: vec![
                TcpOption::Mss(1460),
                TcpOption::SackPermitted,
                TcpOption::Nop,
                TcpOption::Nop,
            ],
            ..Segment::default()
        }
    }

    #[test]
    fn writes_packetdrill() {
        let segment = syn_ack();
        assert_eq!(
            segment.relative_to(SeqNum(u32::MAX), SeqNum(7)).to_string(),
            "S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,nop,nop>"
        );
        let data = Segment {
            payload: b"hello".to_vec(),
            flags: Flags::PSH | Flags::ACK,
            options: vec![],
            ..segment
        };
        assert_eq!(
            data.relative_to(SeqNum(u32::MAX), SeqNum(8)).to_string(),
            "P. 0:5(5) ack 0 win 65535"
        );
    }

    #[test]
    fn syn_and_fin_occupy_a_sequence_number() {
        let mut segment = syn_ack();
        assert_eq!((segment.seq_len(), segment.seq_end()), (1, SeqNum(0)));
        segment.flags |= Flags::FIN;
        segment.payload = vec![0; 3];
        assert_eq!(segment.seq_len(), 5);
    }

    #[test]
    fn emits_what_it_parses_with_a_right_checksum() {
        let (src, dst) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let bytes = syn_ack().emit(src, dst).unwrap();
        assert!(checksum::tcp_is_right(src, dst, &bytes));
        assert_eq!(Segment::parse(&bytes), Ok(syn_ack()));
    }

    #[test]
    fn too_many_options_are_refused() {
        let segment = Segment { options: vec![TcpOption::Nop; 41], ..Segment::default() };
        let here = "::1".parse().unwrap();
        assert_eq!(
            segment.emit(here, here),
            Err(ParseError::Length { what: "TCP options", says: 44 })
        );
    }

    #[test]
    fn a_data_offset_that_cannot_be_is_refused() {
        let here = "::1".parse().unwrap();
        let mut bytes = Segment::default().emit(here, here).unwrap();
        bytes[12] = 4 << 4;
        assert_eq!(
            Segment::parse(&bytes),
            Err(ParseError::Length { what: "TCP data offset", says: 16 })
        );
        bytes[12] = 15 << 4;
        assert!(matches!(Segment::parse(&bytes), Err(ParseError::Truncated { need: 60, .. })));
        assert!(matches!(Segment::parse(&bytes[..12]), Err(ParseError::Truncated { .. })));
    }
}
