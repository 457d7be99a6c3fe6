//! IP headers, as far as a TCP probe needs them, and whole packets.

use std::net::IpAddr;

use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols as protocols};
use pnet::packet::ipv4::{self, Ipv4Flags, Ipv4Packet, MutableIpv4Packet};
use pnet::packet::ipv6::{Ipv6Packet, MutableIpv6Packet};

use super::{ParseError, Segment};

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// What the two IP headers have in common, and the few fields of either that are worth a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpHeader {
    /// The sender.
    pub src: IpAddr,
    /// The receiver, of the same family.
    pub dst: IpAddr,
    /// Time to live, or hop limit: hops that may still follow.
    pub ttl: u8,
    /// DSCP and ECN: the type-of-service byte, or the traffic class.
    pub tos: u8,
    /// The IPv4 identification; 0 in IPv6, which has none.
    pub id: u16,
    /// The IPv4 don't-fragment bit; true in IPv6, where no router fragments.
    pub dont_fragment: bool,
    /// The IPv6 flow label, 20 bits; 0 in IPv4, which has none.
    pub flow_label: u32,
}

/// What an IP packet carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IpPayload<'a> {
    /// A TCP segment, link padding already cut off.
    Tcp(&'a [u8]),
    /// An `ICMPv4` or `ICMPv6` message.
    Icmp(&'a [u8]),
    /// A piece of a larger packet. No honest TCP sends one, so pieces are shown and not joined.
    Fragment,
    /// Another protocol, by its number.
    Other(u8),
}

/// Reads an IP packet, IPv4 or IPv6 by its version nibble.
///
/// Bytes behind the length that the header gives are link padding (Ethernet pads to 60) and are
/// cut off: whoever counts them as data acknowledges bytes that were never sent.
///
/// # Errors
/// [`ParseError`] where the header is cut short or a length in it cannot be.
pub fn parse_ip(bytes: &[u8]) -> Result<(IpHeader, IpPayload<'_>), ParseError> {
    match bytes.first().map(|first| first >> 4) {
        Some(4) => parse_v4(bytes),
        Some(6) => parse_v6(bytes),
        Some(version) => Err(ParseError::Version(version)),
        None => Err(ParseError::Truncated { what: "IP header", need: IPV4_HEADER, have: 0 }),
    }
}

fn parse_v4(bytes: &[u8]) -> Result<(IpHeader, IpPayload<'_>), ParseError> {
    let short = |need| ParseError::Truncated { what: "IPv4 header", need, have: bytes.len() };
    let view = Ipv4Packet::new(bytes).ok_or(short(IPV4_HEADER))?;
    let header_len = 4 * usize::from(view.get_header_length());
    let total = usize::from(view.get_total_length());
    if header_len < IPV4_HEADER {
        return Err(ParseError::Length { what: "IPv4 header length", says: header_len });
    }
    if bytes.len() < header_len {
        return Err(short(header_len));
    }
    if total < header_len {
        return Err(ParseError::Length { what: "IPv4 total length", says: total });
    }
    if bytes.len() < total {
        return Err(ParseError::Truncated { what: "IPv4 packet", need: total, have: bytes.len() });
    }
    let header = IpHeader {
        src: view.get_source().into(),
        dst: view.get_destination().into(),
        ttl: view.get_ttl(),
        tos: (view.get_dscp() << 2) | view.get_ecn(),
        id: view.get_identification(),
        dont_fragment: view.get_flags() & Ipv4Flags::DontFragment != 0,
        flow_label: 0,
    };
    let whole = view.get_fragment_offset() == 0 && view.get_flags() & Ipv4Flags::MoreFragments == 0;
    let payload = &bytes[header_len..total];
    Ok((
        header,
        if whole {
            by_protocol(view.get_next_level_protocol(), payload)
        } else {
            IpPayload::Fragment
        },
    ))
}

fn parse_v6(bytes: &[u8]) -> Result<(IpHeader, IpPayload<'_>), ParseError> {
    let short = |need| ParseError::Truncated { what: "IPv6 header", need, have: bytes.len() };
    let view = Ipv6Packet::new(bytes).ok_or(short(IPV6_HEADER))?;
    let end = IPV6_HEADER + usize::from(view.get_payload_length());
    if bytes.len() < end {
        return Err(ParseError::Truncated { what: "IPv6 packet", need: end, have: bytes.len() });
    }
    let header = IpHeader {
        src: view.get_source().into(),
        dst: view.get_destination().into(),
        ttl: view.get_hop_limit(),
        tos: view.get_traffic_class(),
        id: 0,
        dont_fragment: true,
        flow_label: view.get_flow_label(),
    };
    let (protocol, payload) =
        skip_extension_headers(view.get_next_header(), &bytes[IPV6_HEADER..end])?;
    Ok((header, by_protocol(protocol, payload)))
}

/// Walks over hop-by-hop, routing and destination options (RFC 8200 §4) to what they precede.
fn skip_extension_headers(
    mut next: IpNextHeaderProtocol,
    mut bytes: &[u8],
) -> Result<(IpNextHeaderProtocol, &[u8]), ParseError> {
    while matches!(next, protocols::Hopopt | protocols::Ipv6Route | protocols::Ipv6Opts) {
        let what = "IPv6 extension header";
        let &[following, length, ..] = bytes else {
            return Err(ParseError::Truncated { what, need: 8, have: bytes.len() });
        };
        let need = 8 + 8 * usize::from(length);
        bytes = bytes.get(need..).ok_or(ParseError::Truncated { what, need, have: bytes.len() })?;
        next = IpNextHeaderProtocol::new(following);
    }
    Ok((next, bytes))
}

fn by_protocol(protocol: IpNextHeaderProtocol, payload: &[u8]) -> IpPayload<'_> {
    match protocol {
        protocols::Tcp => IpPayload::Tcp(payload),
        protocols::Icmp | protocols::Icmpv6 => IpPayload::Icmp(payload),
        protocols::Ipv6Frag => IpPayload::Fragment,
        IpNextHeaderProtocol(other) => IpPayload::Other(other),
    }
}

/// A TCP segment in its IP packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// The IP header.
    pub ip: IpHeader,
    /// The segment.
    pub segment: Segment,
}

impl Packet {
    /// The packet's bytes, all checksums right.
    ///
    /// # Errors
    /// [`ParseError::Length`] where the options do not fit into a TCP header, or the whole does not
    /// fit into an IP packet.
    pub fn emit(&self) -> Result<Vec<u8>, ParseError> {
        let segment = self.segment.emit(self.ip.src, self.ip.dst)?;
        self.ip.wrap(&segment)
    }
}

impl IpHeader {
    /// `segment` behind this header. The segment's bytes are taken as they are: a test may want
    /// them broken.
    ///
    /// # Errors
    /// [`ParseError::Length`] where the packet would be longer than its length field can say.
    pub fn wrap(&self, segment: &[u8]) -> Result<Vec<u8>, ParseError> {
        self.wrap_as(protocols::Tcp, segment)
    }

    /// The IP packet that carries `segment` as a payload of `protocol`.
    pub(super) fn wrap_as(
        &self,
        protocol: IpNextHeaderProtocol,
        segment: &[u8],
    ) -> Result<Vec<u8>, ParseError> {
        let too_long = |says| ParseError::Length { what: "IP packet", says };
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let total = IPV4_HEADER + segment.len();
                let mut bytes = vec![0; total];
                let total_field = u16::try_from(total).map_err(|_| too_long(total))?;
                let mut view = MutableIpv4Packet::new(&mut bytes).ok_or(too_long(total))?;
                view.set_version(4);
                view.set_header_length(5);
                view.set_dscp(self.tos >> 2);
                view.set_ecn(self.tos & 3);
                view.set_total_length(total_field);
                view.set_identification(self.id);
                view.set_flags(if self.dont_fragment { Ipv4Flags::DontFragment } else { 0 });
                view.set_ttl(self.ttl);
                view.set_next_level_protocol(protocol);
                view.set_source(src);
                view.set_destination(dst);
                view.set_payload(segment);
                let checksum = ipv4::checksum(&view.to_immutable());
                view.set_checksum(checksum);
                Ok(bytes)
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let total = IPV6_HEADER + segment.len();
                let mut bytes = vec![0; total];
                let length_field = u16::try_from(segment.len()).map_err(|_| too_long(total))?;
                let mut view = MutableIpv6Packet::new(&mut bytes).ok_or(too_long(total))?;
                view.set_version(6);
                view.set_traffic_class(self.tos);
                view.set_flow_label(self.flow_label & 0x000f_ffff);
                view.set_payload_length(length_field);
                view.set_next_header(protocol);
                view.set_hop_limit(self.ttl);
                view.set_source(src);
                view.set_destination(dst);
                view.set_payload(segment);
                Ok(bytes)
            }
            _ => Err(ParseError::Length { what: "pair of addresses of two families", says: 0 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(src: &str, dst: &str) -> IpHeader {
        let v6 = src.contains(':');
        IpHeader {
            src: src.parse().unwrap(),
            dst: dst.parse().unwrap(),
            ttl: 64,
            tos: 0x12,
            id: if v6 { 0 } else { 0xbeef },
            dont_fragment: true,
            flow_label: if v6 { 0xabcde } else { 0 },
        }
    }

    #[test]
    fn what_is_wrapped_reads_back_in_both_families_and_padding_is_cut_off() {
        for header in [header("192.0.2.1", "192.0.2.2"), header("2001:db8::1", "2001:db8::2")] {
            let segment = [7; 20];
            let mut bytes = header.wrap(&segment).unwrap();
            bytes.extend([0; 6]);
            assert_eq!(parse_ip(&bytes), Ok((header, IpPayload::Tcp(&segment))));
        }
    }

    #[test]
    fn extension_headers_are_walked_over() {
        let mut bytes = header("2001:db8::1", "2001:db8::2").wrap(&[0; 8]).unwrap();
        bytes[6] = 0; // hop-by-hop
        bytes[40] = 6; // then TCP
        bytes.extend([9; 20]);
        bytes[5] = 28;
        assert_eq!(parse_ip(&bytes).unwrap().1, IpPayload::Tcp(&[9; 20]));
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        let good = header("192.0.2.1", "192.0.2.2").wrap(&[0; 20]).unwrap();
        for cut in 0..good.len() {
            assert!(parse_ip(&good[..cut]).is_err(), "{cut} bytes");
        }
        let mut lying = good.clone();
        lying[0] = 0x44;
        assert_eq!(
            parse_ip(&lying),
            Err(ParseError::Length { what: "IPv4 header length", says: 16 })
        );
        let mut lying = good;
        lying[3] = 19;
        assert!(matches!(parse_ip(&lying), Err(ParseError::Length { .. })));
    }

    #[test]
    fn fragments_are_told_from_segments() {
        let mut piece = header("192.0.2.1", "192.0.2.2").wrap(&[0; 20]).unwrap();
        piece[6] = 0x20; // more fragments follow
        assert_eq!(parse_ip(&piece).unwrap().1, IpPayload::Fragment);
        piece[6] = 0;
        piece[7] = 5; // not the first
        assert_eq!(parse_ip(&piece).unwrap().1, IpPayload::Fragment);
    }
}
