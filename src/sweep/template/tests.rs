//! The template against the wire's own emission, bit by bit.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::wire::{IpHeader, Packet, Segment};

fn offer() -> impl Strategy<Value = Offer> {
    let options = (any::<Option<u16>>(), any::<Option<u8>>(), any::<[bool; 3]>());
    (options, any::<(u16, u8, u8)>()).prop_map(
        |((mss, wscale, [sack, timestamps, ecn]), (window, ttl, tos))| Offer {
            mss,
            wscale,
            sack,
            timestamps,
            ecn,
            window,
            ttl,
            tos,
        },
    )
}

/// Two addresses of one family.
fn ends() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<([u8; 4], [u8; 4])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
        any::<([u8; 16], [u8; 16])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
    ]
}

fn link() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(vec![]), vec(any::<u8>(), 14..=14)]
}

/// Words of which the extremes, where one's complement has its two zeros, come often.
fn word() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), Just(0), Just(u32::MAX), Just(0xffff), Just(0xffff_0000)]
}

/// What the wire makes of the same segment.
fn expected(
    link: &[u8],
    template: &Template,
    offer: &Offer,
    (source, target): (IpAddr, Target),
    segment: Segment,
) -> Vec<u8> {
    let number = segment.seq + segment.ack.0;
    let ip = IpHeader {
        src: source,
        dst: target.addr,
        ttl: offer.ttl,
        tos: offer.tos,
        id: if source.is_ipv4() { identification(number) } else { 0 },
        dont_fragment: true,
        flow_label: template.flow_label(segment.src_port, target),
    };
    [link, &Packet { ip, segment }.emit().unwrap()].concat()
}

proptest! {
    #[test]
    fn a_syn_is_what_the_wire_emits(
        (offer, link, (source, addr)) in (offer(), link(), ends()),
        (source_port, port) in any::<(u16, u16)>(),
        (isn, tsval) in (word(), word()),
        dirt in any::<u8>(),
    ) {
        let template = Template::new(&link, source, &offer);
        let target = Target { addr, port };
        let mut out = [dirt; 2048];
        let len = template.syn(&mut out, source_port, target, SeqNum(isn), tsval);
        let segment = Segment {
            src_port: source_port,
            dst_port: port,
            seq: SeqNum(isn),
            flags: offer.flags(),
            window: offer.window,
            options: offer.options(tsval),
            ..Segment::default()
        };
        let expected = expected(&link, &template, &offer, (source, target), segment);
        prop_assert_eq!(&out[..len], &expected[..]);
        // One byte less is not enough, and nothing is written behind the frame.
        prop_assert_eq!(template.syn(&mut out[..len - 1], source_port, target, SeqNum(isn), tsval), 0);
        prop_assert!(out[len..].iter().all(|byte| *byte == dirt));
    }

    #[test]
    fn a_segment_is_what_the_wire_emits(
        (offer, link, (source, addr)) in (offer(), link(), ends()),
        (source_port, port, window, flags) in any::<(u16, u16, u16, u16)>(),
        (seq, ack) in (word(), word()),
        timestamps in proptest::option::of((word(), word())),
        payload in vec(any::<u8>(), 0..300),
        dirt in any::<u8>(),
    ) {
        let template = Template::new(&link, source, &offer);
        let target = Target { addr, port };
        let (seq, ack, flags) = (SeqNum(seq), SeqNum(ack), Flags::from_bits(flags));
        let payload = &payload[..];
        let reply = Reply { source_port, target, flags, seq, ack, window, timestamps, payload };
        let mut out = [dirt; 2048];
        let len = template.segment(&mut out, &reply);
        let stamps = timestamps.map(|(value, echo)| {
            vec![TcpOption::Nop, TcpOption::Nop, TcpOption::Timestamps { value, echo }]
        });
        let segment = Segment {
            src_port: source_port,
            dst_port: port,
            seq,
            ack,
            flags,
            window,
            urgent: 0,
            options: stamps.unwrap_or_default(),
            payload: payload.to_vec(),
        };
        let expected = expected(&link, &template, &offer, (source, target), segment);
        prop_assert_eq!(&out[..len], &expected[..]);
        prop_assert_eq!(template.segment(&mut out[..len - 1], &reply), 0);
    }
}

#[test]
fn another_family_and_too_much_data_give_nothing() {
    let (v4, v6) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
    let template = Template::new(&[], v4, &Offer::default());
    let target = Target { addr: v6, port: 80 };
    let mut out = vec![0; 1 << 17];
    assert_eq!(template.syn(&mut out, 1, target, SeqNum(1), 1), 0);
    let reply = Reply {
        source_port: 1,
        target: Target { addr: v4, port: 80 },
        flags: Flags::ACK,
        seq: SeqNum(1),
        ack: SeqNum(1),
        window: 1,
        timestamps: None,
        payload: &[0; 65496],
    };
    assert_eq!(template.segment(&mut out, &reply), 0);
    assert_eq!(template.segment(&mut out, &Reply { payload: &[0; 65495], ..reply }), 65535);
}

#[test]
fn flow_labels_of_neighbours_differ() {
    let template = Template::new(&[], "2001:db8::1".parse().unwrap(), &Offer::default());
    let labels: std::collections::HashSet<_> = (0..1000_u16)
        .map(|host| format!("2001:db8::{host:x}").parse().unwrap())
        .map(|addr| template.flow_label(40000, Target { addr, port: 443 }))
        .collect();
    // Of 1000 draws from 2^20, one half is expected to meet another.
    assert!(labels.len() > 990, "{}", labels.len());
}
