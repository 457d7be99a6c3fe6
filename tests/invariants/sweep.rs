//! What a sweep takes for an answer, against a slow second opinion.

use std::net::IpAddr;

use shakedown::net::ChecksumTrust;
use shakedown::sweep::answer::{
    Answer, Echoes, Examiner, Heard, Kind, Later, Reset, SynAck, Unreachable,
};
use shakedown::sweep::cookie::Cookie;
use shakedown::sweep::space::Target;
use shakedown::wire::{Flags, IcmpError, IpHeader, IpPayload, Segment, SeqNum, checksum, parse_ip};

const PORTS: [u16; 2] = [40000, 40001];
const ECHOES: Echoes = Echoes { oldest: 1000, newest: 2000 };

/// How a packet is looked at: said by the two bytes in front of it.
struct Case {
    timestamps: bool,
    beyond: u32,
    trust: ChecksumTrust,
    /// Numbers and checksums are put right first, so that what lies behind the proof is reached: the
    /// number is this far from our ISN.
    repair: Option<u32>,
}

impl Case {
    fn of(control: u8, distance: u8) -> Self {
        let bit = |at: u8| control >> at & 1 == 1;
        Self {
            timestamps: bit(0),
            beyond: if bit(1) { 12 } else { 0 },
            trust: if bit(2) { ChecksumTrust::Vouched } else { ChecksumTrust::Verify },
            repair: bit(3).then(|| distance.cast_signed() as u32),
        }
    }
}

fn cookie() -> Cookie {
    Cookie::new(*b"a secret for all")
}

fn sources() -> [IpAddr; 2] {
    super::headers().map(|header| header.src)
}

fn isn(source: IpAddr, source_port: u16, addr: IpAddr, port: u16) -> SeqNum {
    cookie().isn(source, source_port, Target { addr, port })
}

/// Two bytes that say how, then an IP packet: it is an answer exactly where the second opinion takes
/// it for the same. In one line, what it is.
pub(crate) fn answer(bytes: &[u8]) -> String {
    let &[control, distance, ref packet @ ..] = bytes else { return "nothing".to_owned() };
    let case = Case::of(control, distance);
    let mut packet = packet.to_vec();
    if let Some(distance) = case.repair {
        repair(&mut packet, distance);
    }
    let examiner = Examiner::new(cookie(), &sources(), &PORTS, case.timestamps, case.beyond);
    let heard = examiner.examine(&packet, case.trust, ECHOES);
    let taken = match heard {
        Heard::Answer(answer) => Some(answer),
        Heard::Rejected(_) | Heard::Foreign => None,
    };
    assert_eq!(taken, second_opinion(&packet, &case));
    match heard {
        Heard::Answer(Answer { target, kind, .. }) => format!("{target} {kind:?}"),
        Heard::Rejected(rejection) => format!("rejected: {}", rejection.name()),
        Heard::Foreign => "foreign".to_owned(),
    }
}

/// The answer that the packet is, by the wire's own parsers, one reason after the other.
fn second_opinion<'a>(packet: &'a [u8], case: &Case) -> Option<Answer<'a>> {
    let (ip, payload) = parse_ip(packet).ok()?;
    let header = if ip.src.is_ipv4() { 4 * usize::from(packet[0] & 0xf) } else { 0 };
    if !sources().contains(&ip.dst) || header > 0 && sum(&packet[..header]) != 0xffff {
        return None;
    }
    match payload {
        IpPayload::Tcp(bytes) => segment(&ip, bytes, case),
        IpPayload::Icmp(bytes) => icmp(&ip, bytes, case),
        IpPayload::Fragment | IpPayload::Other(_) => None,
    }
}

fn segment<'a>(ip: &IpHeader, bytes: &'a [u8], case: &Case) -> Option<Answer<'a>> {
    let segment = Segment::parse(bytes).ok()?;
    let vouched = case.trust == ChecksumTrust::Vouched;
    let right = vouched || checksum::tcp_is_right(ip.src, ip.dst, bytes);
    if !right || !PORTS.contains(&segment.dst_port) || !segment.has(Flags::ACK) {
        return None;
    }
    let target = Target { addr: ip.src, port: segment.src_port };
    let isn = isn(ip.dst, segment.dst_port, ip.src, segment.src_port);
    let acked = (segment.ack - isn.0).0;
    let (seq, flags, window) = (segment.seq, segment.flags, segment.window);
    let kind = if flags.contains(Flags::RST) {
        (acked <= 1 + case.beyond).then_some(Kind::Reset(Reset { seq, acked, flags, window }))?
    } else {
        let stamps = segment.timestamps().filter(|_| case.timestamps);
        let plausible = |echo: u32| (ECHOES.oldest..=ECHOES.newest).contains(&echo);
        if stamps.is_some_and(|(_, echo)| echo != 0 && !plausible(echo)) {
            return None;
        }
        let (tsval, tsecr) = (stamps.map(|pair| pair.0), stamps.map(|pair| pair.1));
        let tsecr = tsecr.filter(|echo| *echo != 0);
        if flags.contains(Flags::SYN) {
            let (mss, wscale) = (segment.mss(), segment.window_scale());
            let sack = segment.sack_permitted();
            let read = SynAck { seq, flags, window, mss, wscale, sack, tsval, tsecr };
            (acked == 1).then_some(Kind::SynAck(read))?
        } else {
            let payload = &bytes[bytes.len() - segment.payload.len()..];
            let read = Later { seq, acked, flags, window, tsval, tsecr, payload };
            (1..=1 + case.beyond).contains(&acked).then_some(Kind::Later(read))?
        }
    };
    let (source, source_port) = (ip.dst, segment.dst_port);
    Some(Answer { target, source, source_port, isn, ttl: ip.ttl, kind })
}

fn icmp<'a>(ip: &IpHeader, bytes: &[u8], case: &Case) -> Option<Answer<'a>> {
    let error = IcmpError::parse(ip, bytes).ok()??;
    let quote = error.quote;
    let right = case.trust == ChecksumTrust::Vouched || icmp_sum(ip, bytes) == 0xffff;
    if !right || quote.src != ip.dst || !PORTS.contains(&quote.src_port) {
        return None;
    }
    let isn = isn(quote.src, quote.src_port, quote.dst, quote.dst_port);
    let seq = (quote.seq - isn.0).0;
    let said = (error.icmp_type, error.code);
    let kind = Kind::Unreachable(Unreachable { kind: error.kind, said, by: error.from, seq });
    let target = Target { addr: quote.dst, port: quote.dst_port };
    let (source, source_port, ttl) = (quote.src, quote.src_port, ip.ttl);
    let answer = Answer { target, source, source_port, isn, ttl, kind };
    (seq <= 1 + case.beyond).then_some(answer)
}

/// Gives the packet a number at this distance from our ISN, and right checksums.
fn repair(packet: &mut [u8], distance: u32) {
    let Ok((ip, payload)) = parse_ip(packet) else { return };
    let (len, header) = match payload {
        IpPayload::Tcp(inner) | IpPayload::Icmp(inner) => {
            (inner.len(), inner.as_ptr() as usize - packet.as_ptr() as usize)
        }
        IpPayload::Fragment | IpPayload::Other(_) => return,
    };
    let is_tcp = matches!(payload, IpPayload::Tcp(_));
    if ip.src.is_ipv4() {
        packet[10..12].fill(0);
        let sum = !sum(&packet[..header]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    let inner = &mut packet[header..header + len];
    if is_tcp {
        let Ok(segment) = Segment::parse(inner) else { return };
        let isn = isn(ip.dst, segment.dst_port, ip.src, segment.src_port);
        inner[8..12].copy_from_slice(&(isn + distance).0.to_be_bytes());
        let sum = checksum::tcp(ip.src, ip.dst, inner);
        inner[16..18].copy_from_slice(&sum.to_be_bytes());
    } else if let Ok(Some(IcmpError { quote, .. })) = IcmpError::parse(&ip, inner) {
        let quoted = if inner[8] >> 4 == 4 { 4 * usize::from(inner[8] & 0xf) } else { 40 };
        let isn = isn(quote.src, quote.src_port, quote.dst, quote.dst_port);
        inner[12 + quoted..16 + quoted].copy_from_slice(&(isn + distance).0.to_be_bytes());
        inner[2..4].fill(0);
        let sum = !icmp_sum(&ip, inner);
        inner[2..4].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The sum of an ICMP message, with the pseudo-header that ICMPv6 has.
fn icmp_sum(ip: &IpHeader, message: &[u8]) -> u16 {
    match (ip.src, ip.dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let length = u16::try_from(message.len()).unwrap().to_be_bytes();
            let ends = [src.octets(), dst.octets()].concat();
            sum(&[&ends[..], &length, &[0, 58], message].concat())
        }
        _ => sum(message),
    }
}

/// RFC 1071 by the letter: word after word, the carry brought around at once.
fn sum(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0, |sum: u16, word| {
        let word = u16::from_be_bytes([word[0], *word.get(1).unwrap_or(&0)]);
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}
