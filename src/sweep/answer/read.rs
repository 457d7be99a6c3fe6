//! Headers read in place: what [`crate::wire`] reads, without its vectors.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::sweep::sum::Sum;
use crate::wire::{Flags, HEADER_LEN, IpPayload, ParseError, SeqNum, parse_ip};

const TCP: u8 = 6;
const ICMPV6: u8 = 58;

/// What matters of an IP packet.
pub(super) struct Ip<'a> {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) ttl: u8,
    pub(super) payload: IpPayload<'a>,
    /// The IPv4 header; nothing in IPv6, whose header has no checksum.
    header: &'a [u8],
}

impl<'a> Ip<'a> {
    /// A packet, as [`parse_ip`] reads it.
    pub(super) fn read(packet: &'a [u8]) -> Result<Self, ParseError> {
        if let Some(plain) = Self::plain_v4(packet).or_else(|| Self::plain_v6(packet)) {
            return Ok(plain);
        }
        let (ip, payload) = parse_ip(packet)?;
        // Within the packet: it has been read.
        let header = match packet.first() {
            Some(first) if ip.src.is_ipv4() => packet.get(..4 * usize::from(first & 0xf)),
            _ => None,
        };
        let header = header.unwrap_or_default();
        Ok(Self { src: ip.src, dst: ip.dst, ttl: ip.ttl, payload, header })
    }

    /// TCP in a whole IPv4 packet without options.
    fn plain_v4(packet: &'a [u8]) -> Option<Self> {
        let head = packet.first_chunk::<20>()?;
        let total = usize::from(u16::from_be_bytes([head[2], head[3]]));
        // More fragments to follow, or not the first: all but "don't fragment" and the bit in reserve.
        let whole = head[6] & 0x3f == 0 && head[7] == 0;
        if head[0] != 0x45 || head[9] != TCP || !whole {
            return None;
        }
        let payload = IpPayload::Tcp(packet.get(20..total)?);
        let src = Ipv4Addr::new(head[12], head[13], head[14], head[15]).into();
        let dst = Ipv4Addr::new(head[16], head[17], head[18], head[19]).into();
        Some(Self { src, dst, ttl: head[8], payload, header: head })
    }

    /// TCP right behind an IPv6 header.
    fn plain_v6(packet: &'a [u8]) -> Option<Self> {
        let head = packet.first_chunk::<40>()?;
        if head[0] >> 4 != 6 || head[6] != TCP {
            return None;
        }
        let end = 40 + usize::from(u16::from_be_bytes([head[4], head[5]]));
        let payload = IpPayload::Tcp(packet.get(40..end)?);
        let address = |at: usize| {
            let octets = head[at..].first_chunk::<16>().copied();
            octets.map(|octets| Ipv6Addr::from(octets).into())
        };
        Some(Self { src: address(8)?, dst: address(24)?, ttl: head[7], payload, header: &[] })
    }

    /// Whether the header is as it was sent. AF_PACKET shows packets that the kernel itself would drop.
    pub(super) fn is_right(&self) -> bool {
        self.header.is_empty() || Sum::default().bytes(self.header).is_right()
    }

    /// Whether the segment's checksum is right: what [`crate::wire::checksum::tcp_is_right`] says.
    pub(super) fn vouches_for(&self, segment: &[u8]) -> bool {
        self.pseudo(TCP, segment.len()).bytes(segment).is_right()
    }

    /// Whether the checksum field holds the sum of the pseudo-header alone, as a host leaves it to its
    /// hardware.
    pub(super) fn is_unfinished(&self, segment: &[u8]) -> bool {
        let field = segment.get(16..18).and_then(|field| field.first_chunk());
        let sum = self.pseudo(TCP, segment.len()).folded();
        field.is_some_and(|field| u16::from_be_bytes(*field) == sum)
    }

    /// Whether the ICMP message's checksum is right.
    pub(super) fn vouches_for_icmp(&self, message: &[u8]) -> bool {
        let start = match self.src {
            IpAddr::V4(_) => Sum::default(),
            IpAddr::V6(_) => self.pseudo(ICMPV6, message.len()),
        };
        start.bytes(message).is_right()
    }

    fn pseudo(&self, protocol: u8, length: usize) -> Sum {
        let sum = Sum::default().word(protocol.into());
        // An IP packet's payload is shorter than 2^16.
        let sum = sum.word(u16::try_from(length).unwrap_or(u16::MAX));
        [self.src, self.dst].into_iter().fold(sum, |sum, address| match address {
            IpAddr::V4(address) => sum.words(address.to_bits()),
            IpAddr::V6(address) => sum.bytes(&address.octets()),
        })
    }
}

/// What matters of a segment.
pub(super) struct Tcp<'a> {
    pub(super) seq: SeqNum,
    pub(super) ack: SeqNum,
    pub(super) flags: Flags,
    pub(super) window: u16,
    pub(super) options: &'a [u8],
    pub(super) payload: &'a [u8],
}

impl<'a> Tcp<'a> {
    /// The segment that begins with `head`.
    pub(super) fn read(head: &[u8; HEADER_LEN], segment: &'a [u8]) -> Result<Self, ParseError> {
        let offset = 4 * usize::from(head[12] >> 4);
        if offset < HEADER_LEN {
            return Err(ParseError::Length { what: "TCP data offset", says: offset });
        }
        let Some((header, payload)) = segment.split_at_checked(offset) else {
            let have = segment.len();
            return Err(ParseError::Truncated { what: "TCP header", need: offset, have });
        };
        Ok(Self {
            seq: SeqNum(u32::from_be_bytes([head[4], head[5], head[6], head[7]])),
            ack: SeqNum(u32::from_be_bytes([head[8], head[9], head[10], head[11]])),
            flags: Flags::from_bits(u16::from_be_bytes([head[12], head[13]])),
            window: u16::from_be_bytes([head[14], head[15]]),
            options: &header[HEADER_LEN..],
            payload,
        })
    }
}

/// The options that matter; of each the first, as [`crate::wire::Segment`] gives them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Offered {
    pub(super) mss: Option<u16>,
    pub(super) wscale: Option<u8>,
    pub(super) sack: bool,
    pub(super) timestamps: Option<(u32, u32)>,
}

impl Offered {
    /// Reads a header's options up to their end, or to a length that cannot be.
    pub(super) fn read(mut options: &[u8]) -> Self {
        let mut found = Self::default();
        loop {
            match *options {
                [1, ref rest @ ..] => options = rest,
                // Every option takes two bytes at least, so that the list gets shorter each time.
                [kind @ 2..=255, length @ 2..=255, ref rest @ ..] => {
                    let Some((data, rest)) = rest.split_at_checked(usize::from(length) - 2) else {
                        return found;
                    };
                    found.note(kind, data);
                    options = rest;
                }
                _ => return found,
            }
        }
    }

    fn note(&mut self, kind: u8, data: &[u8]) {
        match (kind, data) {
            (2, &[a, b]) => {
                self.mss.get_or_insert(u16::from_be_bytes([a, b]));
            }
            (3, &[shift]) => {
                self.wscale.get_or_insert(shift);
            }
            (4, []) => self.sack = true,
            (8, &[a, b, c, d, e, f, g, h]) => {
                let clocks = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
                self.timestamps.get_or_insert(clocks);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{Segment, checksum, parse_options};

    /// Bytes that are options more often than chance would have it.
    fn options() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(vec![0]),
            Just(vec![1]),
            any::<[u8; 2]>().prop_map(|[a, b]| vec![2, 4, a, b]),
            any::<u8>().prop_map(|a| vec![3, 3, a]),
            Just(vec![4, 2]),
            any::<[u8; 8]>().prop_map(|stamps| [&[8, 10][..], &stamps].concat()),
            (any::<u8>(), 0..12_u8).prop_map(|(kind, length)| vec![kind, length]),
            vec(any::<u8>(), 0..4),
        ];
        vec(piece, 0..8).prop_map(|pieces| {
            let mut bytes = pieces.concat();
            bytes.truncate(40);
            bytes
        })
    }

    proptest! {
        #[test]
        fn options_are_read_as_the_wire_reads_them(bytes in options()) {
            let slow = Segment { options: parse_options(&bytes), ..Segment::default() };
            let expected = Offered {
                mss: slow.mss(),
                wscale: slow.window_scale(),
                sack: slow.sack_permitted(),
                timestamps: slow.timestamps(),
            };
            prop_assert_eq!(Offered::read(&bytes), expected);
        }

        #[test]
        fn checksums_are_judged_as_the_wire_judges_them(
            v6 in any::<bool>(),
            (src, dst) in any::<([u8; 16], [u8; 16])>(),
            mut segment in vec(prop_oneof![any::<u8>(), Just(0), Just(0xff)], 20..80),
            spoilt in proptest::option::of((0..80_usize, 0..8)),
            other_zero in any::<bool>(),
        ) {
            let address = |octets: [u8; 16]| {
                let short = *octets.first_chunk::<4>().unwrap();
                if v6 { IpAddr::from(octets) } else { IpAddr::from(short) }
            };
            let (src, dst) = (address(src), address(dst));
            let ip = Ip { src, dst, ttl: 1, payload: IpPayload::Other(0), header: &[] };
            let sum = checksum::tcp(src, dst, &segment);
            // Half of all times make the sum zero, so that its two zeros are met.
            if other_zero {
                segment[18..20].fill(0);
                let rest = checksum::tcp(src, dst, &segment);
                segment[18..20].copy_from_slice(&rest.to_be_bytes());
                segment[16..18].fill(0xff);
            } else {
                segment[16..18].copy_from_slice(&sum.to_be_bytes());
            }
            prop_assert!(ip.vouches_for(&segment));
            if let Some((place, bit)) = spoilt {
                let place = place % segment.len();
                segment[place] ^= 1_u8 << bit;
            }
            let expected = checksum::tcp_is_right(src, dst, &segment);
            prop_assert_eq!(ip.vouches_for(&segment), expected);
        }

        #[test]
        fn any_bytes_are_read_as_the_wire_reads_them(
            mut bytes in vec(any::<u8>(), 0..80),
            first in prop_oneof![Just(0x45), Just(0x46), Just(0x60), any::<u8>()],
            protocol in prop_oneof![Just(6), Just(1), Just(58), Just(0), any::<u8>()],
            plain in any::<bool>(),
        ) {
            let len = u8::try_from(bytes.len()).unwrap();
            if let (true, [start, _, high, low, _, v6_low, flags, offset, _, next, ..]) =
                (plain, &mut bytes[..])
            {
                (*start, *high, *next) = (first, 0, protocol);
                if first >> 4 == 6 {
                    (*v6_low, *flags) = (len.saturating_sub(42), protocol);
                } else {
                    (*low, *flags, *offset) = (len.saturating_sub(2), 0x40, 0);
                }
            }
            match (Ip::read(&bytes), parse_ip(&bytes)) {
                (Ok(fast), Ok((slow, payload))) => {
                    prop_assert_eq!((fast.src, fast.dst, fast.ttl), (slow.src, slow.dst, slow.ttl));
                    prop_assert_eq!(fast.payload, payload);
                }
                (Err(fast), Err(slow)) => prop_assert_eq!(fast, slow),
                (fast, slow) => prop_assert!(false, "{:?} {:?}", fast.err(), slow),
            }
        }
    }
}
