//! What a listener does about any segments whatever, of any clients whatever, in virtual time.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use shakedown::cli::value::Trigger;
use shakedown::cmd::listen::rehearsal::{Rehearsal, listen};
use shakedown::event::ListenReport;
use shakedown::net::sim::{Endpoint, Link, SimWire};
use shakedown::time::Instant;
use shakedown::wire::{
    Flags, IpHeader, IpPayload, Packet, Segment, SeqNum, TcpOption, checksum, parse_ip,
};

/// Bytes of a segment in the input.
const RECORD: usize = 6;
/// Segments of one input that are sent.
const MOST: usize = 96;
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 80);
/// Before a segment, in microseconds.
const DELAYS: [u64; 8] = [1, 50, 1_000, 20_000, 200_000, 1_100_000, 9_000_000, 65_000_000];
/// After the last one: longer than anything that is waited for.
const REST: Duration = Duration::from_secs(400);
/// Option lists, some of which cannot be.
const OPTIONS: [&[u8]; 8] = [
    &[],
    &[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7],
    &[1, 1, 8, 10, 0, 0, 0, 10, 0, 0, 0, 1],
    &[1, 1, 5, 10, 0, 0, 0, 40, 0, 0, 0, 90],
    &[2, 4, 0, 0, 3, 3, 15, 0],
    &[2, 40, 1, 1],
    &[254, 0, 0, 0],
    &[34, 2, 2, 4, 0, 1, 3, 3, 0, 0, 0, 0],
];

/// One who sends segments.
#[derive(Clone, Copy)]
struct Peer {
    address: SocketAddr,
    isn: SeqNum,
    /// The number behind all that the server has sent to it, and what it acknowledged last.
    server_nxt: SeqNum,
    server_ack: Option<SeqNum>,
}

impl Peer {
    fn new(number: u8) -> Self {
        // Two ports of one address too.
        let address = Ipv4Addr::new(198, 18, 0, 1 + number / 2);
        let port = 4000 + u16::from(number);
        Self {
            address: (address, port).into(),
            // One that crosses the wrap early.
            isn: SeqNum(u32::MAX - 2).wrapping(u32::from(number) << 28),
            server_nxt: SeqNum(0),
            server_ack: None,
        }
    }
}

trait Wrapping {
    fn wrapping(self, by: u32) -> Self;
}

impl Wrapping for SeqNum {
    fn wrapping(self, by: u32) -> Self {
        Self(self.0.wrapping_add(by))
    }
}

/// All clients, who send what the input says.
struct Crowd {
    script: VecDeque<(Instant, [u8; RECORD])>,
    peers: Vec<Peer>,
    /// To whom a RST went last, and when.
    reset: Option<(usize, Instant)>,
    out: VecDeque<Vec<u8>>,
    heard: u64,
    id: u16,
}

impl Crowd {
    fn new(records: &[u8]) -> Self {
        let mut at = Instant::ZERO;
        let mut script = VecDeque::new();
        for record in records.chunks_exact(RECORD).take(MOST) {
            let record: [u8; RECORD] = record.try_into().expect("of that length");
            // No two at the same time, nor at that of any timer set by an earlier one: what the
            // server sends then is its answer.
            at += Duration::from_micros(DELAYS[usize::from(record[5] >> 5)]);
            at += Duration::from_nanos(1);
            script.push_back((at, record));
        }
        let peers = (0..8).map(Peer::new).collect();
        Self { script, peers, reset: None, out: VecDeque::new(), heard: 0, id: 0 }
    }

    fn lasts(&self) -> Duration {
        self.script.back().map_or(Duration::ZERO, |(at, _)| at.since(Instant::ZERO)) + REST
    }

    /// A segment: which peer, how the numbers are meant; flags; two numbers; options and length; delay
    /// and window.
    fn send(&mut self, [what, flags, seq, ack, rest, last]: [u8; RECORD], now: Instant) {
        let which = usize::from(what & 7);
        let peer = self.peers[which];
        let meant = |mode: u8, expected: SeqNum, start: SeqNum, by: u8| {
            let by = i32::from(by.cast_signed());
            match mode {
                0 => expected.wrapping(by as u32),
                1 => expected.wrapping((by << 12) as u32),
                2 => expected.wrapping((by << 24) as u32),
                _ => start.wrapping(by as u32),
            }
        };
        let mut options = shakedown::wire::parse_options(OPTIONS[usize::from(rest >> 5)]);
        for option in &mut options {
            // A clock that goes: what bears an old time is rejected (RFC 7323 §5.3).
            if let TcpOption::Timestamps { value, .. } = option {
                *value = 10 + (now.as_nanos() / 1_000_000) as u32;
            }
        }
        let expected = peer.server_ack.unwrap_or(peer.isn);
        let segment = Segment {
            src_port: peer.address.port(),
            dst_port: SERVER.port(),
            seq: meant(what >> 3 & 3, expected, peer.isn, seq),
            ack: meant(what >> 5 & 3, peer.server_nxt, SeqNum(0), ack),
            flags: Flags::from_bits(u16::from(flags)),
            window: [0, 1, 600, u16::MAX][usize::from(last & 3)],
            urgent: u16::from(last >> 2 & 1),
            options,
            payload: vec![b'x'; usize::from(rest & 31) * 47],
        };
        self.id = self.id.wrapping_add(1).max(1);
        let ip = IpHeader {
            src: peer.address.ip(),
            dst: SERVER.ip(),
            ttl: 63,
            tos: 0,
            id: self.id,
            dont_fragment: true,
            flow_label: 0,
        };
        let resets = segment.has(Flags::RST);
        let Ok(mut packet) = (Packet { ip, segment }).emit() else { return };
        if what & 0x80 != 0 {
            // Damaged, somewhere.
            let place = usize::from(seq) * packet.len() / 256;
            packet[place] ^= ack.max(1);
        }
        self.reset = (resets && what & 0x80 == 0).then_some((which, now));
        self.out.push_back(packet);
    }
}

impl Endpoint for Crowd {
    fn handle(&mut self, packet: &[u8], now: Instant) {
        self.heard += 1;
        let (ip, payload) = parse_ip(packet).expect("the listener sends whole packets");
        let IpPayload::Tcp(bytes) = payload else { panic!("the listener sends TCP") };
        assert!(checksum::tcp_is_right(ip.src, ip.dst, bytes), "with right checksums");
        let segment = Segment::parse(bytes).expect("with whole headers");
        let to = SocketAddr::new(ip.dst, segment.dst_port);
        let which = self.peers.iter().position(|peer| peer.address == to);
        // A damaged packet may have borne another address.
        let Some(which) = which else { return };
        if segment.has(Flags::RST) {
            // RFC 9293 §3.10.7.1: nothing answers a RST, and least of all a RST.
            assert!(self.reset != Some((which, now)), "a RST was answered by a RST");
            return;
        }
        let peer = &mut self.peers[which];
        peer.server_nxt = segment.seq_end();
        if segment.has(Flags::ACK) {
            peer.server_ack = Some(segment.ack);
        }
    }

    fn poll_transmit(&mut self, _: Instant) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.script.front().map(|(at, _)| *at)
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some((_, record)) = self.script.pop_front() {
            self.send(record, now);
        }
    }
}

/// What the command line could have asked for, in two bytes.
fn rehearsal(first: u8, second: u8) -> Rehearsal {
    let bit = |at: u8| first >> at & 1 == 1;
    let trigger = |code: u8| match code & 3 {
        0 => None,
        1 => Some(Trigger::After(Duration::ZERO)),
        2 => Some(Trigger::Bytes(100)),
        _ => Some(Trigger::After(Duration::from_millis(500))),
    };
    let refuse = first & 0xf0 == 0xf0;
    let (never_close, simultaneous_close) = (bit(6) && !refuse, bit(4) && !bit(6) && !refuse);
    Rehearsal {
        most: 1 + usize::from(second & 3),
        echo: bit(0) && !refuse,
        drop_syn: u32::from(bit(1) && !refuse),
        delay_synack: (bit(2) && !refuse).then_some(Duration::from_millis(300)),
        simultaneous_open: bit(3) && !refuse,
        simultaneous_close,
        no_final_ack: bit(5) && !refuse,
        never_close,
        refuse,
        close_after: trigger(second >> 2).filter(|_| !refuse && !never_close),
        rst_after: trigger(second >> 4).filter(|_| !refuse),
        idle: (second & 0x80 == 0).then_some(Duration::from_secs(10)),
        deadline: Duration::ZERO,
    }
}

/// Two bytes that say how the listener listens, then segments: it comes to its end, keeps to its
/// table, sends only what is well-formed, and answers no RST by a RST. In one line, what came of it.
pub(crate) fn listener(bytes: &[u8]) -> String {
    let &[first, second, ref records @ ..] = bytes else { return "nothing".to_owned() };
    let crowd = Crowd::new(records);
    let mut rehearsal = rehearsal(first, second);
    rehearsal.deadline = crowd.lasts();
    let mut wire = SimWire::new(1, Link::default(), Link::default(), crowd);
    let report = listen(&mut wire, SERVER, &rehearsal).expect("a listener");
    assert!(report.most <= rehearsal.most as u64, "{report:?}");
    assert!(report.opened <= report.outcomes.iter().map(|(_, count)| count).sum(), "{report:?}");
    assert!(report.cookies_redeemed <= report.cookies, "{report:?}");
    told(wire.peer().heard, &report)
}

fn told(heard: u64, report: &ListenReport) -> String {
    let outcomes: Vec<String> =
        report.outcomes.iter().map(|(it, count)| format!("{count} {}", it.name())).collect();
    format!(
        "{heard} sent; {}; {} opened, {} at most, {} in, {} out; cookies {}/{}, evicted {}, away {}, \
         idle {}, strays {}",
        if outcomes.is_empty() { "nobody".to_owned() } else { outcomes.join(", ") },
        report.opened,
        report.most,
        report.received,
        report.acknowledged,
        report.cookies_redeemed,
        report.cookies,
        report.evicted,
        report.turned_away,
        report.idle,
        report.strays,
    )
}
