//! What must hold whatever happens, in whatever order.

use std::time::Duration;

use proptest::prelude::*;
use shakedown::tcp::{
    Connection, ConnectionEvent, End, Known, PeerEvent, PeerView, State, Transmit,
};
use shakedown::time::Instant;
use shakedown::wire::{Flags, IcmpError, IcmpKind, Quote, Segment, SeqNum, TcpOption};

use crate::lone::{LOCAL, NOW, REMOTE, bare, drain};
use crate::pair::{CLIENT, Chaos, Pair, SERVER};

/// Something that happens to a connection.
#[derive(Clone, Debug)]
enum Op {
    /// A segment, its numbers near those that matter: offsets from RCV.NXT and SND.NXT.
    Arrives {
        flags: u16,
        seq: i32,
        ack: i32,
        length: usize,
        window: u16,
        options: Vec<TcpOption>,
    },
    /// A segment that may hold anything.
    Garbage(Vec<u8>),
    Icmp {
        kind: u8,
        seq: i32,
    },
    Send(usize),
    Close,
    Abort,
    Read,
    /// The next deadline is reached.
    Wait,
    /// So many milliseconds pass.
    Pass(u16),
}

/// Near the edge, or anywhere.
fn offset() -> impl Strategy<Value = i32> {
    prop_oneof![
        6 => Just(0),
        3 => -3..4_i32,
        2 => prop_oneof![Just(-1000), Just(1000), Just(64_239), Just(64_240), Just(65_535)],
        1 => any::<i32>(),
    ]
}

fn flags() -> impl Strategy<Value = u16> {
    let common = [
        Flags::SYN,
        Flags::SYN | Flags::ACK,
        Flags::ACK,
        Flags::PSH | Flags::ACK,
        Flags::FIN | Flags::ACK,
        Flags::RST,
        Flags::RST | Flags::ACK,
    ];
    prop_oneof![
        1 => Just(0_u16),
        6 => prop::sample::select(common.map(Flags::bits).to_vec()),
        2 => Just(Flags::ACK.bits()),
        1 => 0..0x1000_u16,
    ]
}

fn options() -> impl Strategy<Value = Vec<TcpOption>> {
    let option = prop_oneof![
        any::<u16>().prop_map(TcpOption::Mss),
        any::<u8>().prop_map(TcpOption::WindowScale),
        Just(TcpOption::SackPermitted),
        (any::<u32>(), any::<u32>())
            .prop_map(|(value, echo)| TcpOption::Timestamps { value, echo }),
    ];
    prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec(option, 0..4)]
}

fn op() -> impl Strategy<Value = Op> {
    let arrives = (
        flags(),
        offset(),
        offset(),
        prop_oneof![3 => Just(0_usize), 2 => 1..20_usize, 1 => 1000..3000_usize],
        prop_oneof![Just(0_u16), Just(64240), any::<u16>()],
        options(),
    )
        .prop_map(|(flags, seq, ack, length, window, options)| Op::Arrives {
            flags,
            seq,
            ack,
            length,
            window,
            options,
        });
    prop_oneof![
        12 => arrives,
        1 => prop::collection::vec(any::<u8>(), 20..80).prop_map(Op::Garbage),
        1 => (any::<u8>(), offset()).prop_map(|(kind, seq)| Op::Icmp { kind, seq }),
        2 => (1..4000_usize).prop_map(Op::Send),
        1 => Just(Op::Close),
        1 => prop_oneof![9 => Just(Op::Read), 1 => Just(Op::Abort)],
        2 => Just(Op::Wait),
        1 => any::<u16>().prop_map(Op::Pass),
    ]
}

fn shifted(from: SeqNum, by: i32) -> SeqNum {
    from + by.cast_unsigned()
}

/// The segment of an [`Op::Arrives`] or [`Op::Garbage`], as things stand.
fn arriving(op: &Op, connection: &Connection) -> Option<Segment> {
    let mut segment = match op {
        Op::Arrives { flags, seq, ack, length, window, options } => Segment {
            seq: shifted(connection.rcv_nxt(), *seq),
            ack: shifted(connection.snd_nxt(), *ack),
            flags: Flags::from_bits(*flags),
            window: *window,
            options: options.clone(),
            payload: vec![b'p'; *length],
            ..Segment::default()
        },
        Op::Garbage(bytes) => Segment::parse(bytes).ok()?,
        _ => return None,
    };
    (segment.src_port, segment.dst_port) = (REMOTE, LOCAL);
    Some(segment)
}

struct Run {
    connection: Connection,
    view: PeerView,
    now: Instant,
    state: State,
    believed: State,
    log: Vec<String>,
}

impl Run {
    fn new(end: End, iss: u32) -> Self {
        let config = shakedown::tcp::Config {
            iss: SeqNum(iss),
            offer: shakedown::tcp::Offered::default(),
            ..bare()
        };
        let connection = match end {
            End::Client => Connection::connect(config, NOW),
            End::Server => Connection::listen(config),
        };
        let state = if end == End::Client { State::Closed } else { State::Listen };
        let view = PeerView::new(end, NOW);
        let (log, believed) = (vec![], State::Closed);
        let mut run = Self { connection, view, now: NOW, state, believed, log };
        run.settle();
        run
    }

    fn apply(&mut self, op: &Op) {
        let now = self.now;
        match op {
            Op::Arrives { .. } | Op::Garbage(_) => {
                if let Some(segment) = arriving(op, &self.connection) {
                    let verdict = self.connection.handle_segment(&segment, now);
                    self.view.on_receive(&segment, &verdict, now);
                    self.log.push(format!("{segment} -> {verdict:?}"));
                    let sent = self.settle();
                    check_answers(&segment, &sent);
                }
            }
            Op::Icmp { kind, seq } => {
                let kinds = [
                    IcmpKind::Unreachable,
                    IcmpKind::PortUnreachable,
                    IcmpKind::TooBig(u32::from(*kind)),
                    IcmpKind::Other,
                ];
                let here = "2001:db8::1".parse().unwrap();
                let error = IcmpError {
                    from: here,
                    ttl: 1,
                    icmp_type: 1,
                    code: 4,
                    kind: kinds[usize::from(*kind) % kinds.len()],
                    quote: Quote {
                        src: here,
                        dst: here,
                        src_port: LOCAL,
                        dst_port: REMOTE,
                        seq: shifted(self.connection.snd_una(), *seq),
                    },
                };
                self.connection.handle_icmp(&error, now);
            }
            Op::Send(length) => {
                let _ = self.connection.send(&vec![b's'; *length], now);
            }
            Op::Close => {
                let _ = self.connection.close(now);
            }
            Op::Abort => self.connection.abort(now),
            Op::Read => drop(self.connection.take_received()),
            Op::Wait => {
                if let Some(deadline) = self.connection.poll_timeout() {
                    self.now = self.now.max(deadline);
                    self.connection.handle_timeout(self.now);
                }
            }
            Op::Pass(milliseconds) => self.now += Duration::from_millis(u64::from(*milliseconds)),
        }
        self.settle();
        self.check();
    }

    /// Takes everything out of machine and view, and checks the chain of states.
    fn settle(&mut self) -> Vec<Transmit> {
        let sent = drain(&mut self.connection, self.now);
        for Transmit { segment, kind } in &sent {
            self.view.on_transmit(segment, self.now);
            self.log.push(format!("{segment} {kind:?}"));
            assert!(segment.emit("::1".parse().unwrap(), "::1".parse().unwrap()).is_ok());
        }
        while let Some(event) = self.connection.poll_event() {
            if let ConnectionEvent::Transition(transition) = event {
                assert_eq!(transition.from, self.state);
                assert!(transition.from.may_become(transition.to), "{transition:?}");
                assert_eq!(transition.known, Known::Own);
                self.state = transition.to;
            }
            self.log.push(format!("{event:?}"));
        }
        while let Some(event) = self.view.poll() {
            match event {
                PeerEvent::Transition(transition) => {
                    assert_eq!(transition.from, self.believed);
                    assert!(transition.from.may_become(transition.to), "{transition:?}");
                    self.believed = transition.to;
                }
                PeerEvent::Retracted { believed, state, .. } => {
                    assert_eq!(believed, self.believed);
                    assert_ne!(believed, state);
                    self.believed = state;
                }
                PeerEvent::Confirmed { known, .. } => assert_eq!(known, Known::Proved),
            }
            self.log.push(format!("{event:?}"));
        }
        sent
    }

    fn check(&self) {
        let connection = &self.connection;
        let (una, nxt) = (connection.snd_una(), connection.snd_nxt());
        assert!(una.is_at_or_before(nxt), "SND.UNA {una} > SND.NXT {nxt}");
        assert_eq!(connection.state(), self.state, "a move that was not reported");
        assert_eq!(self.view.state(), self.believed, "a belief that was not reported");
        match connection.state() {
            State::Closed | State::Listen => assert_eq!(connection.poll_timeout(), None),
            State::TimeWait => assert!(connection.poll_timeout().is_some()),
            state if una != nxt => {
                assert!(connection.poll_timeout().is_some(), "{state} waits for ever for an ACK");
            }
            _ => {}
        }
    }
}

/// At most one answer, beside data that an acknowledgment set free; and no RST answers a RST.
fn check_answers(arrived: &Segment, sent: &[Transmit]) {
    let is_answer =
        |sent: &&Transmit| sent.segment.payload.is_empty() && !sent.segment.has(Flags::FIN);
    assert!(sent.iter().filter(is_answer).count() <= 1, "{arrived}: {sent:?}");
    if arrived.has(Flags::RST) {
        assert!(!sent.iter().any(|sent| sent.segment.has(Flags::RST)), "{arrived}: {sent:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_and_the_same_input_gives_the_same_log(
        client in any::<bool>(),
        iss in prop_oneof![Just(u32::MAX), Just(0x7fff_ffff), any::<u32>()],
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let end = if client { End::Client } else { End::Server };
        let log = || {
            let mut run = Run::new(end, iss);
            ops.iter().for_each(|op| run.apply(op));
            run.log
        };
        prop_assert_eq!(log(), log());
    }

    #[test]
    fn every_exchange_completes_whole_over_a_bad_network(
        seed in any::<u64>(),
        loss in 0..300_u64,
        duplication in 0..200_u64,
        jitter in 0..60_u64,
        request in 0..5000_usize,
        reply in 0..20_000_usize,
        order in 0..3_u8,
    ) {
        let mut pair = Pair::default_pair();
        pair.chaos = Some(Chaos::new(seed, loss, duplication, jitter));
        let bytes = |length: usize, step: usize| -> Vec<u8> {
            (0..length).map(|at| (at * step % 251).to_le_bytes()[0]).collect()
        };
        let (question, answer) = (bytes(request, 3), bytes(reply, 7));
        pair.run();
        let gave_up = |side: &crate::pair::Side| {
            side.events.iter().any(|event| matches!(event, ConnectionEvent::GaveUp(_)))
        };
        if pair.sides.iter().any(gave_up) {
            // All seven SYNs or SYN-ACKs were lost, or all their answers. It was said.
            return Ok(());
        }
        pair.send(CLIENT, &question);
        pair.run();
        pair.send(SERVER, &answer);
        pair.run();
        let closers: &[usize] = match order { 0 => &[CLIENT, SERVER], 1 => &[SERVER, CLIENT], _ => &[] };
        for closer in closers {
            pair.close(*closer);
            pair.run();
        }
        if closers.is_empty() {
            pair.close(CLIENT);
            pair.close(SERVER);
        }
        pair.run_out();
        prop_assert_eq!(pair.states(), (State::Closed, State::Closed));
        prop_assert!(pair.sides[SERVER].received == question);
        prop_assert!(pair.sides[CLIENT].received == answer);
    }
}
