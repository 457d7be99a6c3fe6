//! ARP (RFC 826) and neighbour discovery (RFC 4861), as far as one address needs them: who asks for
//! it, who says to have it, and what we say. Pure functions of bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::util::ipv6_checksum;

use super::link::protocol;

const BROADCAST: [u8; 6] = [0xff; 6];
const ARP: usize = 28;
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const IPV6: usize = 40;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Up to the target address, and that.
const ND: usize = 24;
/// The option with the target's hardware address.
const TARGET_OPTION: u8 = 2;
/// Bits of an advertisement.
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// A packet for one station or all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    /// `ETH_P_*`.
    pub(super) protocol: u16,
    pub(super) to: [u8; 6],
}

/// Somebody who asks for the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Question {
    by: [u8; 6],
    /// Unspecified where the asker has no address yet, and only wants to know whether it is taken.
    from: IpAddr,
}

/// What is said about the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// Somebody asks for it.
    Question(Question),
    /// Somebody else has it, or wants it at the same time as we.
    Conflict([u8; 6]),
}

impl Heard {
    /// What a packet from the station `by` says about `address`, which we at `ours` want to have.
    pub(super) fn read(address: IpAddr, ours: [u8; 6], packet: &[u8], by: [u8; 6]) -> Option<Self> {
        if by == ours {
            return None;
        }
        match address {
            IpAddr::V4(v4) => read_arp(v4, ours, packet),
            IpAddr::V6(v6) => read_nd(v6, packet, by),
        }
    }
}

fn read_arp(address: Ipv4Addr, ours: [u8; 6], packet: &[u8]) -> Option<Heard> {
    let packet: &[u8; ARP] = packet.first_chunk()?;
    let by: [u8; 6] = *packet[8..].first_chunk()?;
    let ip = |at: usize| packet[at..].first_chunk().map(|octets: &[u8; 4]| Ipv4Addr::from(*octets));
    let (from, target) = (ip(14)?, ip(24)?);
    // Ethernet and IPv4.
    if packet[..6] != [0, 1, 8, 0, 6, 4] || by == ours {
        return None;
    }
    match packet[7] {
        _ if from == address => Some(Heard::Conflict(by)),
        REQUEST if target != address => None,
        // RFC 5227 §2.1.1: somebody probes for it at the same time.
        REQUEST if from.is_unspecified() => Some(Heard::Conflict(by)),
        REQUEST => Some(Heard::Question(Question { by, from: from.into() })),
        _ => None,
    }
}

fn read_nd(address: Ipv6Addr, packet: &[u8], by: [u8; 6]) -> Option<Heard> {
    let header: &[u8; IPV6] = packet.first_chunk()?;
    let message = &packet[IPV6..];
    let ip = |bytes: &[u8], at: usize| {
        bytes.get(at..)?.first_chunk().map(|octets: &[u8; 16]| Ipv6Addr::from(*octets))
    };
    let (from, target) = (ip(header, 8)?, ip(message, 8)?);
    // Nothing that a router has passed on (RFC 4861 §7.1).
    if header[6] != IpNextHeaderProtocols::Icmpv6.0 || header[7] != 255 || target != address {
        return None;
    }
    match *message.first()? {
        ADVERTISEMENT => Some(Heard::Conflict(by)),
        // RFC 4862 §5.4.3.
        SOLICITATION if from.is_unspecified() => Some(Heard::Conflict(by)),
        SOLICITATION => Some(Heard::Question(Question { by, from: from.into() })),
        _ => None,
    }
}

impl Message {
    /// Asks whether somebody has `address`.
    pub(super) fn probe(address: IpAddr, ours: [u8; 6]) -> Self {
        match address {
            IpAddr::V4(v4) => arp(REQUEST, ours, Ipv4Addr::UNSPECIFIED, [0; 6], v4, BROADCAST),
            IpAddr::V6(v6) => {
                let (from, to) = (Ipv6Addr::UNSPECIFIED, solicited_node(v6));
                // Without the option: who has no address yet has no entry to be made of it.
                nd(SOLICITATION, 0, from, to, v6, None, multicast(to))
            }
        }
    }

    /// Tells everybody that `address` is here.
    pub(super) fn announcement(address: IpAddr, ours: [u8; 6]) -> Self {
        match address {
            IpAddr::V4(v4) => arp(REQUEST, ours, v4, [0; 6], v4, BROADCAST),
            IpAddr::V6(v6) => {
                let option = Some((TARGET_OPTION, ours));
                let to = ALL_NODES;
                nd(ADVERTISEMENT, OVERRIDE, v6, to, v6, option, multicast(to))
            }
        }
    }

    /// Answers a question.
    pub(super) fn answer(address: IpAddr, ours: [u8; 6], question: &Question) -> Self {
        match (address, question.from) {
            (IpAddr::V6(v6), IpAddr::V6(from)) => {
                let option = Some((TARGET_OPTION, ours));
                nd(ADVERTISEMENT, SOLICITED | OVERRIDE, v6, from, v6, option, question.by)
            }
            (IpAddr::V4(v4), IpAddr::V4(from)) => {
                arp(REPLY, ours, v4, question.by, from, question.by)
            }
            // A question is of its address's family.
            _ => Self::announcement(address, ours),
        }
    }
}

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The group in which an address is asked for (RFC 4291 §2.7.1).
pub(super) fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., low, last] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (low & 0xff), last)
}

/// The station that stands for a group (RFC 2464 §7).
fn multicast(group: Ipv6Addr) -> [u8; 6] {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

fn arp(
    operation: u8,
    ours: [u8; 6],
    from: Ipv4Addr,
    theirs: [u8; 6],
    target: Ipv4Addr,
    to: [u8; 6],
) -> Message {
    let mut bytes = Vec::with_capacity(ARP);
    bytes.extend([0, 1, 8, 0, 6, 4, 0, operation]);
    bytes.extend(ours);
    bytes.extend(from.octets());
    bytes.extend(theirs);
    bytes.extend(target.octets());
    Message { bytes, protocol: libc::ETH_P_ARP as u16, to }
}

fn nd(
    kind: u8,
    bits: u8,
    from: Ipv6Addr,
    dst: Ipv6Addr,
    target: Ipv6Addr,
    option: Option<(u8, [u8; 6])>,
    to: [u8; 6],
) -> Message {
    let mut message = vec![kind, 0, 0, 0, bits, 0, 0, 0];
    message.extend(target.octets());
    debug_assert_eq!(message.len(), ND);
    if let Some((option, station)) = option {
        message.extend([option, 1]);
        message.extend(station);
    }
    let sum = ipv6_checksum(&message, 1, &[], &from, &dst, IpNextHeaderProtocols::Icmpv6);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let length = u16::try_from(message.len()).unwrap_or(0).to_be_bytes();
    let mut bytes = vec![0x60, 0, 0, 0, length[0], length[1], IpNextHeaderProtocols::Icmpv6.0, 255];
    bytes.extend(from.octets());
    bytes.extend(dst.octets());
    bytes.extend(message);
    Message { bytes, protocol: protocol(true), to }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 2];
    /// The option with the sender's hardware address.
    const SOURCE_OPTION: u8 = 1;

    fn v4() -> IpAddr {
        "192.0.2.9".parse().unwrap()
    }

    fn v6() -> IpAddr {
        "2001:db8::9".parse().unwrap()
    }

    fn heard(address: IpAddr, message: &Message, by: [u8; 6]) -> Option<Heard> {
        Heard::read(address, OURS, &message.bytes, by)
    }

    #[test]
    fn a_probe_is_a_conflict_to_whoever_wants_the_same_address_and_not_to_ourselves() {
        for address in [v4(), v6()] {
            let theirs = Message::probe(address, THEIRS);
            assert_eq!(heard(address, &theirs, THEIRS), Some(Heard::Conflict(THEIRS)), "{address}");
            assert_eq!(heard(address, &Message::probe(address, OURS), OURS), None, "{address}");
        }
        let other = Message::probe("192.0.2.8".parse().unwrap(), THEIRS);
        assert_eq!(heard(v4(), &other, THEIRS), None);
    }

    #[test]
    fn who_announces_or_answers_has_the_address() {
        for address in [v4(), v6()] {
            let announcement = Message::announcement(address, THEIRS);
            assert_eq!(heard(address, &announcement, THEIRS), Some(Heard::Conflict(THEIRS)));
        }
    }

    #[test]
    fn a_question_gets_an_answer_that_the_asker_takes() {
        let from = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let IpAddr::V4(target) = v4() else { unreachable!() };
        let ask = arp(REQUEST, THEIRS, Ipv4Addr::new(192, 0, 2, 1), [0; 6], target, BROADCAST);
        let question = Question { by: THEIRS, from };
        assert_eq!(heard(v4(), &ask, THEIRS), Some(Heard::Question(question)));
        let answer = Message::answer(v4(), OURS, &question);
        assert_eq!(answer.to, THEIRS);
        assert_eq!(answer.bytes[..8], [0, 1, 8, 0, 6, 4, 0, 2]);
        assert_eq!(answer.bytes[8..18], [2, 0, 0, 0, 0, 1, 192, 0, 2, 9]);
        assert_eq!(answer.bytes[18..28], [2, 0, 0, 0, 0, 2, 192, 0, 2, 1]);

        let from: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let IpAddr::V6(target) = v6() else { unreachable!() };
        let to = solicited_node(target);
        assert_eq!(to, "ff02::1:ff00:9".parse::<Ipv6Addr>().unwrap());
        let option = Some((SOURCE_OPTION, THEIRS));
        let ask = nd(SOLICITATION, 0, from, to, target, option, multicast(to));
        assert_eq!(ask.to, [0x33, 0x33, 0xff, 0, 0, 9]);
        let question = Question { by: THEIRS, from: from.into() };
        assert_eq!(heard(v6(), &ask, THEIRS), Some(Heard::Question(question)));
        let answer = Message::answer(v6(), OURS, &question);
        assert_eq!((answer.to, answer.bytes.len()), (THEIRS, 72));
        assert_eq!(answer.bytes[40], ADVERTISEMENT);
        assert_eq!(answer.bytes[64..], [2, 1, 2, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn neighbour_discovery_from_beyond_a_router_is_not_believed() {
        let mut forged = Message::announcement(v6(), THEIRS);
        forged.bytes[7] = 254;
        assert_eq!(heard(v6(), &forged, THEIRS), None);
    }

    proptest! {
        #[test]
        fn whatever_arrives_is_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..90)) {
            let _ = Heard::read(v4(), OURS, &bytes, THEIRS);
            let _ = Heard::read(v6(), OURS, &bytes, THEIRS);
        }
    }
}
