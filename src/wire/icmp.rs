//! ICMP errors that quote a segment of ours (RFC 792, RFC 4443).

use std::fmt;
use std::net::IpAddr;

use pnet::packet::ip::IpNextHeaderProtocols as protocols;
use pnet::util;

use super::{ParseError, SeqNum, ip};

/// Bytes of a packet that are quoted at most.
const QUOTED: usize = 512;

/// The part of our own packet that a router sent back.
///
/// Only the first eight bytes behind the IP header are sure to be there (RFC 792); they hold the
/// ports and the sequence number, which is what proves that the quote is of a packet we sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quote {
    /// Source address of the quoted packet: ours.
    pub src: IpAddr,
    /// Destination address of the quoted packet.
    pub dst: IpAddr,
    /// Source port: ours.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// SEG.SEQ of the quoted segment.
    pub seq: SeqNum,
}

/// What an ICMP error means for a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum IcmpKind {
    /// Network, host, address or route unreachable: a soft error (RFC 9293 §3.9.2.2, MUST-56).
    Unreachable,
    /// Protocol or port unreachable: nobody speaks TCP there (a hard error, SHLD-26).
    PortUnreachable,
    /// Administratively prohibited: a firewall that says so.
    Prohibited,
    /// The TTL ran out on the way.
    TimeExceeded,
    /// The packet is too big for the next link, whose MTU this is (0 where the router does not say).
    TooBig(u32),
    /// A header field was wrong.
    ParameterProblem,
    /// An error of another type.
    Other,
}

/// An ICMP error about a TCP segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IcmpError {
    /// Who sent it: a router, or the target itself.
    pub from: IpAddr,
    /// The TTL with which it arrived.
    pub ttl: u8,
    /// The ICMP type.
    pub icmp_type: u8,
    /// The ICMP code.
    pub code: u8,
    /// What it means.
    pub kind: IcmpKind,
    /// What it quotes.
    pub quote: Quote,
}

impl IcmpError {
    /// Reads an ICMP message, `bytes`, that arrived in the packet `header`.
    ///
    /// `Ok(None)` for a message that is no error or does not quote a TCP segment.
    ///
    /// # Errors
    /// [`ParseError`] where the message or its quote is cut short.
    pub fn parse(header: &ip::IpHeader, bytes: &[u8]) -> Result<Option<Self>, ParseError> {
        let &[icmp_type, code, _, _, r0, r1, r2, r3, ref quoted @ ..] = bytes else {
            let have = bytes.len();
            return Err(ParseError::Truncated { what: "ICMP header", need: 8, have });
        };
        let kind = match header.src {
            IpAddr::V4(_) => kind_v4(icmp_type, code, u32::from(u16::from_be_bytes([r2, r3]))),
            IpAddr::V6(_) => kind_v6(icmp_type, code, u32::from_be_bytes([r0, r1, r2, r3])),
        };
        let Some(kind) = kind else { return Ok(None) };
        let Some(quote) = parse_quote(quoted)? else { return Ok(None) };
        Ok(Some(Self { from: header.src, ttl: header.ttl, icmp_type, code, kind, quote }))
    }

    /// The error in words, as the RFC names it.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match self.from {
            IpAddr::V4(_) => describe_v4(self.icmp_type, self.code),
            IpAddr::V6(_) => describe_v6(self.icmp_type, self.code),
        }
    }
}

/// The IP packet by which the host of `header` says that `quoted`, an IP packet that it received, could
/// not be delivered, for the reason of this type and code.
///
/// # Errors
/// [`ParseError`] where the addresses are of two families.
pub fn emit_icmp_error(
    header: &ip::IpHeader,
    (icmp_type, code): (u8, u8),
    quoted: &[u8],
) -> Result<Vec<u8>, ParseError> {
    // All of a short packet, as RFC 1812 §4.3.2.3 and RFC 4443 §2.4 want it, within what passes anywhere.
    let quoted = &quoted[..quoted.len().min(QUOTED)];
    let mut message = vec![icmp_type, code, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(quoted);
    let (protocol, sum) = match (header.src, header.dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let protocol = protocols::Icmpv6;
            (protocol, util::ipv6_checksum(&message, 1, &[], &src, &dst, protocol))
        }
        _ => (protocols::Icmp, util::checksum(&message, 1)),
    };
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    header.wrap_as(protocol, &message)
}

/// `ICMP 3/13 communication administratively prohibited from 192.0.2.1`.
impl fmt::Display for IcmpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.from.is_ipv4() { "ICMP" } else { "ICMPv6" };
        let (kind, code) = (self.icmp_type, self.code);
        write!(f, "{family} {kind}/{code} {} from {}", self.describe(), self.from)
    }
}

fn kind_v4(icmp_type: u8, code: u8, mtu: u32) -> Option<IcmpKind> {
    Some(match (icmp_type, code) {
        (3, 2 | 3) => IcmpKind::PortUnreachable,
        (3, 4) => IcmpKind::TooBig(mtu),
        (3, 9 | 10 | 13) => IcmpKind::Prohibited,
        (3, _) => IcmpKind::Unreachable,
        (11, _) => IcmpKind::TimeExceeded,
        (12, _) => IcmpKind::ParameterProblem,
        (4 | 5, _) => IcmpKind::Other,
        _ => return None,
    })
}

fn kind_v6(icmp_type: u8, code: u8, mtu: u32) -> Option<IcmpKind> {
    Some(match (icmp_type, code) {
        (1, 4) => IcmpKind::PortUnreachable,
        (1, 1 | 5 | 6) => IcmpKind::Prohibited,
        (1, _) => IcmpKind::Unreachable,
        (2, _) => IcmpKind::TooBig(mtu),
        (3, _) => IcmpKind::TimeExceeded,
        (4, _) => IcmpKind::ParameterProblem,
        // Below 128 are errors (RFC 4443 §2.1); the rest is information.
        (0..128, _) => IcmpKind::Other,
        _ => return None,
    })
}

const fn describe_v4(icmp_type: u8, code: u8) -> &'static str {
    match (icmp_type, code) {
        (3, 0) => "network unreachable",
        (3, 1) => "host unreachable",
        (3, 2) => "protocol unreachable",
        (3, 3) => "port unreachable",
        (3, 4) => "fragmentation needed",
        (3, 5) => "source route failed",
        (3, 6) => "destination network unknown",
        (3, 7) => "destination host unknown",
        (3, 8) => "source host isolated",
        (3, 9) => "network administratively prohibited",
        (3, 10) => "host administratively prohibited",
        (3, 11) => "network unreachable for this type of service",
        (3, 12) => "host unreachable for this type of service",
        (3, 13) => "communication administratively prohibited",
        (3, 14) => "host precedence violation",
        (3, 15) => "precedence cutoff in effect",
        (4, _) => "source quench",
        (5, _) => "redirect",
        (11, 0) => "time to live exceeded in transit",
        (11, _) => "fragment reassembly time exceeded",
        (12, _) => "parameter problem",
        _ => "unknown error",
    }
}

const fn describe_v6(icmp_type: u8, code: u8) -> &'static str {
    match (icmp_type, code) {
        (1, 0) => "no route to destination",
        (1, 1) => "communication administratively prohibited",
        (1, 2) => "beyond scope of source address",
        (1, 3) => "address unreachable",
        (1, 4) => "port unreachable",
        (1, 5) => "source address failed ingress/egress policy",
        (1, 6) => "reject route to destination",
        (1, _) => "destination unreachable",
        (2, _) => "packet too big",
        (3, 0) => "hop limit exceeded in transit",
        (3, _) => "fragment reassembly time exceeded",
        (4, _) => "parameter problem",
        _ => "unknown error",
    }
}

/// Reads the quoted packet, which may be cut off anywhere behind its first eight TCP bytes, so that
/// the lengths in its header promise more than is there.
fn parse_quote(bytes: &[u8]) -> Result<Option<Quote>, ParseError> {
    let truncated = |need| ParseError::Truncated { what: "ICMP quote", need, have: bytes.len() };
    let octets = |at: usize| -> Result<[u8; 4], ParseError> {
        bytes.get(at..at + 4).and_then(|slice| slice.try_into().ok()).ok_or(truncated(at + 4))
    };
    let sixteen = |at: usize| -> Result<[u8; 16], ParseError> {
        bytes.get(at..at + 16).and_then(|slice| slice.try_into().ok()).ok_or(truncated(at + 16))
    };
    let first = *bytes.first().ok_or(truncated(20))?;
    let (protocol, header_len, src, dst): (u8, usize, IpAddr, IpAddr) = match first >> 4 {
        4 => (
            *bytes.get(9).ok_or(truncated(20))?,
            4 * usize::from(first & 0xf),
            octets(12)?.into(),
            octets(16)?.into(),
        ),
        6 => (*bytes.get(6).ok_or(truncated(40))?, 40, sixteen(8)?.into(), sixteen(24)?.into()),
        version => return Err(ParseError::Version(version)),
    };
    if protocol != 6 {
        return Ok(None);
    }
    // A shorter header would let the quoted packet's own length and identification pass for ports.
    if header_len < 20 {
        return Err(ParseError::Length { what: "ICMP quote's header length", says: header_len });
    }
    let [p0, p1, p2, p3] = octets(header_len)?;
    Ok(Some(Quote {
        src,
        dst,
        src_port: u16::from_be_bytes([p0, p1]),
        dst_port: u16::from_be_bytes([p2, p3]),
        seq: SeqNum(u32::from_be_bytes(octets(header_len + 4)?)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Flags, IpHeader, Packet, Segment};

    fn header(src: &str, dst: &str) -> IpHeader {
        let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
        IpHeader { src, dst, ttl: 60, tos: 0, id: 0, dont_fragment: true, flow_label: 0 }
    }

    fn quoted(src: &str, dst: &str) -> Vec<u8> {
        let segment = Segment {
            src_port: 40000,
            dst_port: 443,
            seq: SeqNum(0xdead_beef),
            flags: Flags::SYN,
            ..Segment::default()
        };
        Packet { ip: header(src, dst), segment }.emit().unwrap()
    }

    #[test]
    fn a_prohibition_names_the_router_and_the_probe_it_answers() {
        let mut message = vec![3, 13, 0, 0, 0, 0, 0, 0];
        message.extend(&quoted("192.0.2.1", "198.51.100.7")[..28]);
        let error =
            IcmpError::parse(&header("203.0.113.1", "192.0.2.1"), &message).unwrap().unwrap();
        assert_eq!(error.kind, IcmpKind::Prohibited);
        assert_eq!(
            (error.quote.src_port, error.quote.dst_port, error.quote.seq),
            (40000, 443, SeqNum(0xdead_beef))
        );
        assert_eq!(
            error.to_string(),
            "ICMP 3/13 communication administratively prohibited from 203.0.113.1"
        );
    }

    #[test]
    fn what_is_emitted_reads_back_in_both_families() {
        for (us, them, said) in
            [("192.0.2.1", "198.51.100.7", (3, 1)), ("2001:db8::1", "2001:db8::2", (1, 3))]
        {
            let packet = emit_icmp_error(&header(us, them), said, &quoted(them, us)).unwrap();
            let (ip, ip::IpPayload::Icmp(message)) = ip::parse_ip(&packet).unwrap() else {
                panic!("not ICMP")
            };
            let error = IcmpError::parse(&ip, message).unwrap().unwrap();
            assert_eq!((error.icmp_type, error.code), said);
            assert_eq!(error.kind, IcmpKind::Unreachable);
            assert_eq!((error.quote.src, error.quote.dst), (ip.dst, ip.src));
            // In one's complement, all of a message with its sum in place gives zero.
            let sum = match (ip.src, ip.dst) {
                (IpAddr::V6(src), IpAddr::V6(dst)) => {
                    util::ipv6_checksum(message, 1, &[], &src, &dst, protocols::Icmpv6)
                }
                _ => util::checksum(message, 1),
            };
            assert_eq!(message[2..4], sum.to_be_bytes());
        }
    }

    #[test]
    fn packet_too_big_carries_the_mtu_in_both_families() {
        let mut message = vec![3, 4, 0, 0, 0, 0, 0x05, 0x14];
        message.extend(quoted("192.0.2.1", "198.51.100.7"));
        let error = IcmpError::parse(&header("203.0.113.1", "192.0.2.1"), &message).unwrap();
        assert_eq!(error.unwrap().kind, IcmpKind::TooBig(1300));

        let mut message = vec![2, 0, 0, 0, 0, 0, 0x05, 0x00];
        message.extend(quoted("2001:db8::1", "2001:db8::2"));
        let error = IcmpError::parse(&header("2001:db8::9", "2001:db8::1"), &message).unwrap();
        assert_eq!(error.unwrap().kind, IcmpKind::TooBig(1280));
    }

    #[test]
    fn information_is_no_error_and_a_short_quote_is_refused() {
        let from = header("203.0.113.1", "192.0.2.1");
        assert_eq!(IcmpError::parse(&from, &[0; 40]), Ok(None), "an echo reply");
        let mut message = vec![3, 1, 0, 0, 0, 0, 0, 0];
        message.extend(&quoted("192.0.2.1", "198.51.100.7")[..27]);
        assert!(matches!(IcmpError::parse(&from, &message), Err(ParseError::Truncated { .. })));
        message[8] = 0x44;
        assert!(matches!(IcmpError::parse(&from, &message), Err(ParseError::Length { .. })));
    }
}
