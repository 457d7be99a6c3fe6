//! Properties of the wire formats: what holds for all packets, not only for the ones we thought of.

#![allow(clippy::unwrap_used)]

mod invariants;

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use shakedown::wire::{
    Flags, IcmpError, IcmpKind, IpHeader, IpPayload, MAX_OPTIONS_LEN, Packet, ParseError, Segment,
    SeqNum, TcpOption, checksum, emit_options, parse_ip, parse_options,
};

use invariants::{header, headers};

/// An option that a header may hold in front of others.
fn option() -> impl Strategy<Value = TcpOption> {
    let blocks = vec((any::<u32>(), any::<u32>()), 1..=4)
        .prop_map(|all| all.into_iter().map(|(left, right)| (SeqNum(left), SeqNum(right))));
    prop_oneof![
        Just(TcpOption::Nop),
        any::<u16>().prop_map(TcpOption::Mss),
        any::<u8>().prop_map(TcpOption::WindowScale),
        Just(TcpOption::SackPermitted),
        blocks.prop_map(|blocks| TcpOption::Sack(blocks.collect())),
        any::<(u32, u32)>().prop_map(|(value, echo)| TcpOption::Timestamps { value, echo }),
        vec(any::<u8>(), 0..=18).prop_map(TcpOption::FastOpen),
        (35..=255_u8, vec(any::<u8>(), 0..=18))
            .prop_map(|(kind, data)| TcpOption::Unknown { kind, data }),
        // A known kind of a foreign length.
        Just(TcpOption::Unknown { kind: 2, data: vec![1] }),
        Just(TcpOption::Unknown { kind: 5, data: vec![] }),
    ]
}

/// How a list of options may end: in nothing, in an end with padding, or in garbage.
fn ending() -> impl Strategy<Value = Option<TcpOption>> {
    prop_oneof![
        Just(None),
        vec(any::<u8>(), 0..=6).prop_map(|padding| Some(TcpOption::EndOfList(padding))),
        (2..=255_u8, 0..=1_u8)
            .prop_map(|(kind, length)| Some(TcpOption::Malformed(vec![kind, length]))),
        (2..=255_u8, 41..=255_u8, vec(any::<u8>(), 0..=4)).prop_map(|(kind, length, rest)| Some(
            TcpOption::Malformed([vec![kind, length], rest].concat())
        )),
    ]
}

/// Options that fit into a header, filled up with NOPs in front to whole words: as a header holds
/// them.
fn options() -> impl Strategy<Value = Vec<TcpOption>> {
    (vec(option(), 0..=5), ending()).prop_map(|(mut options, ending)| {
        options.extend(ending);
        while options.iter().map(TcpOption::len).sum::<usize>() > MAX_OPTIONS_LEN {
            options.remove(0);
        }
        while !options.iter().map(TcpOption::len).sum::<usize>().is_multiple_of(4) {
            options.insert(0, TcpOption::Nop);
        }
        options
    })
}

prop_compose! {
    fn segment()(
        ports in any::<(u16, u16)>(),
        numbers in any::<(u32, u32)>(),
        flags in 0..0x1000_u16,
        (window, urgent) in any::<(u16, u16)>(),
        options in options(),
        payload in vec(any::<u8>(), 0..64),
    ) -> Segment {
        Segment {
            src_port: ports.0,
            dst_port: ports.1,
            seq: SeqNum(numbers.0),
            ack: SeqNum(numbers.1),
            flags: Flags::from_bits(flags),
            window,
            urgent,
            options,
            payload,
        }
    }
}

fn ip_header() -> impl Strategy<Value = IpHeader> {
    let v4 =
        any::<([u8; 4], [u8; 4], u16, bool)>().prop_map(|(src, dst, id, dont_fragment)| IpHeader {
            id,
            dont_fragment,
            ..IpHeader { src: src.into(), dst: dst.into(), ..headers()[0] }
        });
    let v6 = any::<([u8; 16], [u8; 16])>().prop_flat_map(|(src, dst)| {
        (0..0x10_0000_u32).prop_map(move |flow_label| IpHeader {
            src: src.into(),
            dst: dst.into(),
            flow_label,
            ..headers()[1]
        })
    });
    (prop_oneof![v4, v6], any::<u8>(), any::<u8>()).prop_map(|(header, ttl, tos)| IpHeader {
        ttl,
        tos,
        ..header
    })
}

fn packet() -> impl Strategy<Value = Packet> {
    (ip_header(), segment()).prop_map(|(ip, segment)| Packet { ip, segment })
}

/// What the engine would take from a packet: header and segment, its checksum right.
fn accepted(bytes: &[u8]) -> Option<Packet> {
    let (ip, IpPayload::Tcp(inner)) = parse_ip(bytes).ok()? else { return None };
    let right = checksum::tcp_is_right(ip.src, ip.dst, inner);
    Segment::parse(inner).ok().filter(|_| right).map(|segment| Packet { ip, segment })
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in vec(any::<u8>(), 0..200)) {
        invariants::packet(&bytes);
        invariants::options(&bytes[..bytes.len().min(MAX_OPTIONS_LEN)]);
        for header in headers() {
            let _ = invariants::segment(&bytes, &header);
            let _ = invariants::icmp(&bytes, &header);
        }
    }

    #[test]
    fn no_damage_to_a_packet_makes_a_parser_panic(
        packet in packet(),
        damage in vec(any::<(Index, u8)>(), 0..6),
        cut in any::<Index>(),
    ) {
        let mut bytes = packet.emit().unwrap();
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        invariants::packet(&bytes);
        invariants::packet(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn what_is_emitted_reads_back(packet in packet()) {
        prop_assert_eq!(accepted(&packet.emit().unwrap()), Some(packet));
    }

    #[test]
    fn options_read_back(options in options()) {
        prop_assert_eq!(parse_options(&emit_options(&options)), options);
    }

    #[test]
    fn any_header_that_parses_is_emitted_unchanged(
        fixed in any::<[u8; 20]>(),
        options in vec(any::<u8>(), 0..=10).prop_map(|words| words.into_iter().flat_map(|byte| [byte, 3, 1, byte]).collect::<Vec<_>>()),
        payload in vec(any::<u8>(), 0..32),
    ) {
        let mut bytes = fixed.to_vec();
        let offset = u8::try_from(5 + options.len() / 4).unwrap();
        bytes[12] = offset << 4 | bytes[12] & 0xf;
        bytes.extend(options);
        bytes.extend(payload);
        for header in headers() {
            prop_assert!(invariants::segment(&bytes, &header).is_ok());
        }
    }

    /// Ones'-complement sums change with any single bit; so what still passes was flipped in a
    /// field of the IP header that no TCP checksum covers, or that moves the segment's bounds: what
    /// a wrong length cuts off may by chance sum up to the difference.
    #[test]
    fn every_flipped_bit_is_noticed(packet in packet()) {
        let good = packet.emit().unwrap();
        for bit in 0..8 * good.len() {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 0x80 >> (bit % 8);
            let uncovered = match packet.ip.src {
                // Version and header length, TOS, total length, identification, the reserved and
                // the don't-fragment bit, TTL, header checksum.
                IpAddr::V4(_) => matches!(bit / 8, 0..=5 | 8 | 10 | 11) || matches!(bit, 48 | 49),
                // Version, traffic class, flow label, payload length, hop limit.
                IpAddr::V6(_) => matches!(bit / 8, 0..=5 | 7),
            };
            prop_assert!(uncovered || accepted(&bytes).is_none(), "bit {bit} of {good:02x?}");
        }
    }

    #[test]
    fn padding_is_never_data(packet in packet(), padding in vec(any::<u8>(), 0..46)) {
        let mut bytes = packet.emit().unwrap();
        bytes.extend(padding);
        prop_assert_eq!(accepted(&bytes), Some(packet));
    }

    /// A router quotes as much as it likes, but at least the first eight bytes behind the header.
    #[test]
    fn a_quote_is_read_wherever_it_is_cut(packet in packet(), cut in any::<Index>()) {
        let quoted = packet.emit().unwrap();
        let (ip, icmp_type, enough) = match packet.ip.src {
            IpAddr::V4(_) => (header("203.0.113.1", "192.0.2.1"), 11, 28),
            IpAddr::V6(_) => (header("2001:db8::9", "2001:db8::1"), 3, 48),
        };
        let cut = cut.index(quoted.len() + 1);
        let message = [&[icmp_type, 0, 0, 0, 0, 0, 0, 0], &quoted[..cut]].concat();
        match IcmpError::parse(&ip, &message) {
            Ok(Some(error)) => {
                prop_assert!(cut >= enough);
                prop_assert_eq!(error.kind, IcmpKind::TimeExceeded);
                let Segment { src_port, dst_port, seq, .. } = packet.segment;
                let quote = error.quote;
                prop_assert_eq!((quote.src, quote.dst), (packet.ip.src, packet.ip.dst));
                prop_assert_eq!((quote.src_port, quote.dst_port, quote.seq), (src_port, dst_port, seq));
            }
            Ok(None) => prop_assert!(false, "a quoted segment was taken for something else"),
            Err(error) => {
                let truncated = matches!(error, ParseError::Truncated { .. });
                prop_assert!(truncated && cut < enough, "{error} at {cut}");
            }
        }
    }

    /// Against arithmetic in 64 bits, on windows that lie anywhere, the wrap included.
    #[test]
    fn sequence_arithmetic_is_that_of_a_circle(start in any::<u32>(), offset in any::<u32>(), length in any::<u32>()) {
        let origin = SeqNum(start);
        let number = origin + offset;
        prop_assert_eq!(u64::from(number.0), (u64::from(start) + u64::from(offset)) % (1 << 32));
        prop_assert_eq!(number.offset_from(origin), offset);
        prop_assert_eq!(number - offset, origin);
        prop_assert_eq!(number.in_window(origin, length), offset < length);
        prop_assert_eq!(number.is_after(origin), (1..1 << 31).contains(&offset));
        prop_assert_eq!(number.is_before(origin), offset >= 1 << 31);
        let later = if offset < 1 << 31 { number } else { origin };
        prop_assert_eq!(origin.later(number), later);
        if offset != 1 << 31 {
            prop_assert_eq!(number.later(origin), later);
            prop_assert_eq!(number.distance(origin), -origin.distance(number));
            prop_assert_eq!(number.is_at_or_after(origin), !origin.is_after(number));
        }
    }
}

#[test]
fn all_twelve_flag_bits_survive_in_every_combination() {
    let here = headers()[0];
    for bits in 0..0x1000 {
        let segment = Segment { flags: Flags::from_bits(bits), ..Segment::default() };
        let bytes = segment.emit(here.src, here.dst).unwrap();
        assert_eq!(Segment::parse(&bytes).unwrap().flags.bits(), bits);
    }
}

/// The numbers next to the wrap and next to the far side of the circle, all against all.
#[test]
fn comparisons_hold_at_the_wrap_in_every_position() {
    let places =
        [0, 1, 2, 0x7fff_fffe, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, u32::MAX - 1, u32::MAX];
    for start in places {
        let origin = SeqNum(start);
        for step in [1, 2, 1000, 0x7fff_ffff] {
            let next = origin + step;
            assert!(next.is_after(origin) && origin.is_before(next), "{start} + {step}");
            assert!(!next.is_before(origin) && !origin.is_at_or_after(next), "{start} + {step}");
            assert_eq!((origin.later(next), next.later(origin)), (next, next));
            assert!((origin + (step - 1)).in_window(origin, step) && !next.in_window(origin, step));
            assert!(!(origin - 1).in_window(origin, step));
        }
        assert!(origin.is_at_or_before(origin) && origin.is_at_or_after(origin));
        assert!(!origin.is_before(origin) && !origin.is_after(origin));
    }
}
