//! Retransmission, TIME-WAIT, windows, challenges, ICMP: what happens in the course of time.

use std::time::Duration;

use shakedown::tcp::{
    Cause, Connection, ConnectionEvent, End, IcmpVerdict, State, TransmitKind, Verdict,
};
use shakedown::wire::{Flags, IcmpError, IcmpKind, Quote, SeqNum};

use crate::lone::{IRS, ISS, LOCAL, NOW, REMOTE, bare, drain, give, in_state, segment};
use crate::pair::{CLIENT, LATENCY, MSL, Pair, SERVER};

fn icmp(kind: IcmpKind, seq: SeqNum) -> IcmpError {
    let here = "192.0.2.1".parse().unwrap();
    let there = "198.51.100.7".parse().unwrap();
    let quote = Quote { src: here, dst: there, src_port: LOCAL, dst_port: REMOTE, seq };
    IcmpError { from: there, ttl: 60, icmp_type: 3, code: 0, kind, quote }
}

#[test]
fn time_wait_lasts_two_msl_and_begins_again_with_each_repeated_fin() {
    let mut pair = Pair::open();
    pair.close(CLIENT);
    pair.run();
    pair.close(SERVER);
    pair.run();
    let client = &mut pair.sides[CLIENT].machine;
    assert_eq!(client.state(), State::TimeWait);
    let entered = *pair.sides[CLIENT].moved_at.last().unwrap();
    assert_eq!(client.poll_timeout(), Some(entered + MSL * 2));

    let mut client = in_state(State::TimeWait, End::Client);
    let end = client.poll_timeout().unwrap();
    let later = NOW + Duration::from_secs(3);
    let fin = segment(Flags::FIN | Flags::ACK, client.rcv_nxt() - 1, client.snd_nxt(), 0);
    assert_eq!(client.handle_segment(&fin, later), Verdict::Duplicate);
    assert_eq!(drain(&mut client, later)[0].segment.flags, Flags::ACK);
    assert_eq!(client.poll_timeout(), Some(end + Duration::from_secs(3)));
    client.handle_timeout(end);
    assert_eq!(client.state(), State::TimeWait, "too early");
    client.handle_timeout(end + Duration::from_secs(3));
    assert_eq!((client.state(), client.poll_timeout()), (State::Closed, None));
}

#[test]
fn the_handshake_is_timed_and_a_repeated_syn_is_told_apart_by_its_timestamp() {
    let pair = Pair::open();
    assert_eq!(pair.sides[CLIENT].machine.smoothed_rtt(), Some(LATENCY * 2));
    assert_eq!(pair.sides[SERVER].machine.smoothed_rtt(), Some(LATENCY * 2));

    for timestamps in [true, false] {
        let mut client = crate::pair::config(End::Client, SeqNum(1));
        client.offer.timestamps = timestamps;
        let mut pair = Pair::new(client, crate::pair::config(End::Server, SeqNum(2)));
        pair.filter(|from, n, _| (from, n) != (CLIENT, 1));
        pair.run();
        let expected = timestamps.then_some(LATENCY * 2);
        assert_eq!(pair.sides[CLIENT].machine.smoothed_rtt(), expected, "Karn");
    }
}

#[test]
fn a_loss_is_repaired_one_rto_later_and_counted() {
    let mut pair = Pair::open();
    pair.filter(|from, n, _| from == SERVER || n > 5);
    pair.send(CLIENT, b"one");
    pair.run();
    assert_eq!(pair.sides[SERVER].received, b"one");
    let counts: Vec<_> = pair.log.iter().filter_map(|line| line.split("(again ").nth(1)).collect();
    assert_eq!(counts, ["1) (lost)", "2) (lost)", "3)"]);
}

#[test]
fn many_losses_of_a_window_are_repaired() {
    let mut pair = Pair::open();
    let data: Vec<u8> = (0..60_000_u32).map(|byte| byte.to_le_bytes()[0]).collect();
    pair.filter(|from, n, _| from == SERVER || n % 4 != 0);
    pair.send(CLIENT, &data);
    pair.run();
    assert!(pair.sides[SERVER].received == data);
    let told: u32 = pair.sides[SERVER]
        .events
        .iter()
        .map(|event| match event {
            ConnectionEvent::DataReceived(bytes) => *bytes,
            _ => 0,
        })
        .sum();
    assert_eq!(told as usize, data.len());
}

#[test]
fn a_fin_ahead_of_a_hole_counts_when_the_hole_is_filled() {
    let mut connection = in_state(State::Established, End::Client);
    let (first, ack) = (connection.rcv_nxt(), connection.snd_nxt());
    let fin = segment(Flags::FIN | Flags::ACK, first + 10, ack, 5);
    assert_eq!(connection.handle_segment(&fin, NOW), Verdict::OutOfOrder);
    assert_eq!(connection.state(), State::Established);
    drain(&mut connection, NOW);
    let beyond = segment(Flags::ACK, first + 16, ack, 8);
    connection.handle_segment(&beyond, NOW);
    connection.handle_segment(&segment(Flags::ACK, first, ack, 10), NOW);
    assert_eq!((connection.state(), connection.rcv_nxt()), (State::CloseWait, first + 16));
    assert_eq!(connection.take_received().len(), 15, "nothing from behind the FIN");
}

#[test]
fn the_first_copy_of_overlapping_data_stays() {
    let mut connection = in_state(State::Established, End::Client);
    let (first, ack) = (connection.rcv_nxt(), connection.snd_nxt());
    for (offset, byte, length) in [(10, b'a', 5), (20, b'b', 5), (5, b'c', 30), (0, b'd', 8)] {
        let mut text = segment(Flags::ACK, first + offset, ack, length);
        text.payload.fill(byte);
        connection.handle_segment(&text, NOW);
    }
    let got = connection.take_received();
    assert_eq!(got, b"dddddcccccaaaaacccccbbbbbcccccccccc");
}

#[test]
fn the_window_never_shrinks_and_opens_again_when_the_user_reads() {
    let mut connection = in_state(State::Established, End::Client);
    let ack = connection.snd_nxt();
    let mut edge = connection.rcv_nxt() + 64240;
    let mut seen = Vec::new();
    while connection.rcv_nxt() != edge {
        let seq = connection.rcv_nxt();
        let length = edge.offset_from(seq).min(1460) as usize;
        connection.handle_segment(&segment(Flags::ACK, seq, ack, length), NOW);
        for sent in drain(&mut connection, NOW) {
            let right = sent.segment.ack + u32::from(sent.segment.window);
            assert!(right.is_at_or_after(edge), "SHLD-14");
            edge = edge.later(right);
            seen.push(sent.segment.window);
        }
    }
    assert_eq!(seen.last(), Some(&0), "the user does not read");
    let probe = segment(Flags::ACK, edge, ack, 1);
    assert!(matches!(connection.handle_segment(&probe, NOW), Verdict::Rejected(_)));
    assert_eq!(drain(&mut connection, NOW).len(), 1);
    assert_eq!(connection.take_received().len(), 64240);
    let update = drain(&mut connection, NOW);
    assert_eq!((update.len(), update[0].segment.window), (1, 64240));
}

#[test]
fn the_acknowledgment_on_a_probe_of_our_closed_window_counts() {
    let mut connection = in_state(State::Established, End::Client);
    let edge = connection.rcv_nxt() + 64240;
    connection.send(b"ours", NOW).unwrap();
    drain(&mut connection, NOW);
    let unacked = connection.snd_una();
    while connection.rcv_nxt() != edge {
        let length = edge.offset_from(connection.rcv_nxt()).min(1460) as usize;
        let text = segment(Flags::ACK, connection.rcv_nxt(), unacked, length);
        connection.handle_segment(&text, NOW);
        drain(&mut connection, NOW);
    }
    let probe = segment(Flags::ACK, edge, connection.snd_nxt(), 1);
    connection.handle_segment(&probe, NOW);
    assert_eq!(connection.unacked_data(), 0, "MUST-66");
    // And a RST is heard all the same.
    connection.handle_segment(&segment(Flags::RST, edge, SeqNum(0), 0), NOW);
    assert_eq!(connection.state(), State::Closed);
}

#[test]
fn challenges_are_throttled_and_text_is_not() {
    let mut connection = in_state(State::Established, End::Client);
    let sent_for = |connection: &mut Connection, flags, seq, length, at| {
        (0..100)
            .map(|_| {
                connection.handle_segment(&segment(flags, seq, ISS + 1, length), at);
                drain(connection, at).len()
            })
            .sum::<usize>()
    };
    let inside = connection.rcv_nxt() + 1;
    assert_eq!(sent_for(&mut connection, Flags::RST, inside, 0, NOW), 10, "RFC 5961 7");
    assert_eq!(sent_for(&mut connection, Flags::SYN, inside, 0, NOW), 0);
    assert_eq!(sent_for(&mut connection, Flags::ACK, inside - 11, 10, NOW), 100);
    let later = NOW + Duration::from_secs(5);
    assert_eq!(sent_for(&mut connection, Flags::SYN, inside, 0, later), 10);
    assert_eq!(connection.state(), State::Established);
}

#[test]
fn a_refusal_is_one_whichever_ack_the_stack_chose() {
    for ack in [ISS + 1, ISS] {
        let mut connection = in_state(State::SynSent, End::Client);
        let reset = segment(Flags::RST | Flags::ACK, SeqNum(0), ack, 0);
        assert_eq!(connection.handle_segment(&reset, NOW), Verdict::Accepted);
        let events: Vec<_> = std::iter::from_fn(|| connection.poll_event()).collect();
        assert!(events.contains(&ConnectionEvent::Refused), "{events:?}");
        assert!(drain(&mut connection, NOW).is_empty(), "no RST answers a RST");
    }
}

#[test]
fn icmp_ends_an_attempt_only_if_it_is_hard_and_quotes_what_is_in_flight() {
    let fresh = || {
        let mut connection = Connection::connect(bare(), NOW);
        drain(&mut connection, NOW);
        connection
    };
    for (kind, expected) in [
        (IcmpKind::PortUnreachable, IcmpVerdict::Aborted),
        (IcmpKind::Prohibited, IcmpVerdict::Aborted),
        (IcmpKind::Unreachable, IcmpVerdict::Noted),
        (IcmpKind::TimeExceeded, IcmpVerdict::Noted),
        (IcmpKind::ParameterProblem, IcmpVerdict::Noted),
    ] {
        let mut connection = fresh();
        assert_eq!(connection.handle_icmp(&icmp(kind, ISS), NOW), expected, "MUST-56");
        let ended = expected == IcmpVerdict::Aborted;
        assert_eq!(connection.state() == State::Closed, ended);
        assert_eq!(connection.poll_timeout().is_none(), ended);
    }
    for seq in [ISS - 1, ISS + 1, ISS + 70_000] {
        let mut connection = fresh();
        let verdict = connection.handle_icmp(&icmp(IcmpKind::PortUnreachable, seq), NOW);
        assert!(matches!(verdict, IcmpVerdict::Rejected(_)), "RFC 5927 4.1");
        assert_eq!(connection.state(), State::SynSent);
    }
    let mut elsewhere = icmp(IcmpKind::PortUnreachable, ISS);
    elsewhere.quote.dst_port += 1;
    assert!(matches!(fresh().handle_icmp(&elsewhere, NOW), IcmpVerdict::Rejected(_)));
}

#[test]
fn icmp_does_not_end_an_open_connection_but_cuts_its_segments() {
    let mut connection = in_state(State::Established, End::Client);
    connection.send(&[0; 536], NOW).unwrap();
    let before = drain(&mut connection, NOW);
    assert_eq!(before[0].segment.payload.len(), 536);
    let una = connection.snd_una();
    for kind in [IcmpKind::PortUnreachable, IcmpKind::Prohibited, IcmpKind::Unreachable] {
        assert_eq!(connection.handle_icmp(&icmp(kind, una), NOW), IcmpVerdict::Noted);
    }
    assert_eq!(connection.state(), State::Established, "RFC 5927 5.2");

    let mut pair = Pair::open();
    pair.filter(|_, _, segment| segment.payload.len() <= 1300 - 40 - 12);
    pair.send(CLIENT, &[7; 4000]);
    let machine = &mut pair.sides[CLIENT].machine;
    let mut error = icmp(IcmpKind::TooBig(1300), machine.snd_una());
    (error.quote.src_port, error.quote.dst_port) = (40000, 80);
    assert_eq!(machine.handle_icmp(&error, pair.now), IcmpVerdict::Noted);
    pair.run();
    assert_eq!(pair.sides[SERVER].received, [7; 4000]);
}

#[test]
fn a_listener_that_is_reset_listens_again_for_anyone() {
    let mut config = bare();
    config.remote_port = 0;
    let mut listener = Connection::listen(config);
    for port in [1111, 2222] {
        let mut syn = segment(Flags::SYN, IRS, SeqNum(0), 0);
        syn.src_port = port;
        listener.handle_segment(&syn, NOW);
        let sent = drain(&mut listener, NOW);
        assert_eq!((sent[0].segment.dst_port, sent[0].kind), (port, TransmitKind::First));
        assert!(listener.poll_timeout().is_some());
        let mut reset = segment(Flags::RST, IRS + 1, SeqNum(0), 0);
        reset.src_port = port;
        listener.handle_segment(&reset, NOW);
        assert_eq!((listener.state(), listener.poll_timeout()), (State::Listen, None));
    }
}

#[test]
fn a_segment_of_another_connection_is_not_ours() {
    let mut connection = in_state(State::Established, End::Client);
    let mut foreign = segment(Flags::RST, connection.rcv_nxt(), SeqNum(0), 0);
    foreign.src_port += 1;
    assert!(matches!(connection.handle_segment(&foreign, NOW), Verdict::Rejected(_)));
    assert_eq!(connection.state(), State::Established);
}

#[test]
fn transitions_carry_their_time_and_cause() {
    let mut connection = Connection::connect(bare(), NOW);
    drain(&mut connection, NOW);
    give(&mut connection, Flags::SYN | Flags::ACK);
    connection.close(NOW).unwrap();
    let causes: Vec<_> = std::iter::from_fn(|| connection.poll_event())
        .filter_map(|event| match event {
            ConnectionEvent::Transition(transition) => Some((transition.to, transition.cause)),
            _ => None,
        })
        .collect();
    let syn_ack = Cause::Received(Flags::SYN | Flags::ACK);
    assert_eq!(
        causes,
        [
            (State::SynSent, Cause::ActiveOpen),
            (State::Established, syn_ack),
            (State::FinWait1, Cause::Close)
        ]
    );
}

#[test]
fn urgent_data_is_announced_and_stays_in_the_stream() {
    let mut connection = in_state(State::Established, End::Client);
    let seq = connection.rcv_nxt();
    let mut text = segment(Flags::URG | Flags::ACK, seq, connection.snd_nxt(), 5);
    text.urgent = 3;
    connection.handle_segment(&text, NOW);
    assert_eq!(connection.urgent_until(), Some(seq + 3));
    assert_eq!(connection.take_received().len(), 5);
}
