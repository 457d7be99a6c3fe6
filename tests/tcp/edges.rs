//! The edges of the windows, to the byte.

use shakedown::tcp::{Config, Connection, End, Offered, State, Verdict};
use shakedown::wire::{Flags, SeqNum, TcpOption};

use crate::lone::{IRS, ISS, NOW, bare, drain, in_state, segment};

#[test]
fn of_a_segment_that_straddles_old_and_new_only_the_new_part_counts() {
    let mut connection = in_state(State::Established, End::Client);
    let (first, ack) = (connection.rcv_nxt(), connection.snd_nxt());
    connection.handle_segment(&segment(Flags::ACK, first, ack, 6), NOW);
    let mut again = segment(Flags::ACK, first, ack, 10);
    again.payload = b"0123456789".to_vec();
    assert_eq!(connection.handle_segment(&again, NOW), Verdict::Accepted);
    assert_eq!(connection.take_received(), b"xxxxxx6789");
    assert_eq!(connection.rcv_nxt(), first + 10);
}

#[test]
fn what_lies_beyond_the_window_is_cut_off_with_its_fin() {
    // Bytes that fit, and bytes that follow them in the segment whose FIN comes last.
    for (length, fin_counts) in [(19, true), (20, false), (30, false)] {
        let mut connection = in_state(State::Established, End::Client);
        let (first, ack) = (connection.rcv_nxt(), connection.snd_nxt());
        let last = segment(Flags::FIN | Flags::ACK, first + 64220, ack, length);
        assert_eq!(connection.handle_segment(&last, NOW), Verdict::OutOfOrder);
        connection.handle_segment(&segment(Flags::ACK, first, ack, 64220), NOW);
        assert_eq!(connection.take_received().len(), 64220 + length.min(20));
        assert_eq!(connection.state() == State::CloseWait, fin_counts, "{length}");
    }
}

#[test]
fn our_fin_takes_a_place_in_the_far_ends_window() {
    let mut connection = in_state(State::Established, End::Client);
    let window = |connection: &mut Connection, window| {
        let mut ack = segment(Flags::ACK, connection.rcv_nxt(), connection.snd_nxt(), 0);
        ack.window = window;
        connection.handle_segment(&ack, NOW);
    };
    window(&mut connection, 10);
    connection.send(&[0; 10], NOW).unwrap();
    connection.close(NOW).unwrap();
    let sent = drain(&mut connection, NOW);
    assert_eq!((sent.len(), sent[0].segment.flags), (1, Flags::PSH | Flags::ACK));
    // A plain ACK on the way must not carry it either.
    let mut text = segment(Flags::ACK, connection.rcv_nxt(), connection.snd_una(), 1);
    text.window = 10;
    connection.handle_segment(&text, NOW);
    assert_eq!(drain(&mut connection, NOW)[0].segment.flags, Flags::ACK);
    window(&mut connection, 1);
    let sent = drain(&mut connection, NOW);
    assert_eq!((sent.len(), sent[0].segment.flags), (1, Flags::FIN | Flags::ACK));
}

#[test]
fn the_window_of_a_crossing_syn_ack_is_not_scaled() {
    let config = Config { offer: Offered::default(), ..bare() };
    let mut connection = Connection::connect(config, NOW);
    drain(&mut connection, NOW);
    let mut syn = segment(Flags::SYN, IRS, SeqNum(0), 0);
    syn.options = vec![TcpOption::WindowScale(7)];
    connection.handle_segment(&syn, NOW);
    drain(&mut connection, NOW);
    let mut answer = segment(Flags::SYN | Flags::ACK, IRS, ISS + 1, 0);
    answer.options = vec![TcpOption::WindowScale(7)];
    answer.window = 3;
    connection.handle_segment(&answer, NOW);
    assert_eq!(connection.state(), State::Established);
    connection.send(&[0; 100], NOW).unwrap();
    let sent = drain(&mut connection, NOW);
    assert_eq!(sent[0].segment.payload.len(), 3, "RFC 7323 2.2");
}

#[test]
fn a_syn_ack_asked_for_again_is_not_sent_once_its_ack_has_come() {
    let mut listener = in_state(State::SynReceived, End::Server);
    listener.handle_segment(&segment(Flags::SYN, IRS, SeqNum(0), 0), NOW);
    listener.handle_segment(&segment(Flags::ACK, IRS + 1, ISS + 1, 0), NOW);
    assert_eq!(listener.state(), State::Established);
    assert!(drain(&mut listener, NOW).is_empty());
}

#[test]
fn a_reader_who_keeps_up_makes_no_windows_worth_a_segment() {
    // MUST-39: the right edge moves by a whole segment or not at all, and nobody is told of what
    // they do not lack.
    let mut connection = in_state(State::Established, End::Client);
    let (first, ack) = (connection.rcv_nxt(), connection.snd_nxt());
    let mut edges = Vec::new();
    for at in 0..10 {
        connection.handle_segment(&segment(Flags::ACK, first + 100 * at, ack, 100), NOW);
        let sent = drain(&mut connection, NOW).remove(0).segment;
        edges.push((sent.ack + u32::from(sent.window)).offset_from(first));
        connection.take_received();
        assert!(drain(&mut connection, NOW).is_empty(), "no update of a window that is wide open");
    }
    assert_eq!(edges[..6], [64240; 6]);
    assert_eq!(edges[6], 64240 + 600, "more than the 536 bytes of a segment");
    assert_eq!(edges[9], edges[6]);
}

#[test]
fn a_sender_waits_for_half_the_largest_window_or_a_segment() {
    // MUST-38: 100 bytes is the largest window ever seen, and a segment holds 536.
    let mut connection = Connection::connect(bare(), NOW);
    drain(&mut connection, NOW);
    let acks = |connection: &mut Connection, ack| {
        let flags = if connection.irs().is_some() { Flags::NONE } else { Flags::SYN };
        let seq = if flags == Flags::SYN { IRS } else { connection.rcv_nxt() };
        let mut answer = segment(Flags::ACK | flags, seq, ack, 0);
        answer.window = 100;
        connection.handle_segment(&answer, NOW);
        let sent = drain(connection, NOW);
        sent.iter().map(|sent| sent.segment.payload.len()).collect::<Vec<_>>()
    };
    acks(&mut connection, ISS + 1);
    connection.send(&[0; 1000], NOW).unwrap();
    assert_eq!(drain(&mut connection, NOW)[0].segment.payload.len(), 100);
    assert_eq!(acks(&mut connection, ISS + 41), [0; 0], "40 bytes would be silly");
    assert_eq!(acks(&mut connection, ISS + 61), [60]);
}

#[test]
fn a_byte_refused_by_a_closed_window_goes_out_again_when_it_opens() {
    let mut connection = in_state(State::Established, End::Client);
    let window = |connection: &mut Connection, window, ack| {
        let mut ack = segment(Flags::ACK, connection.rcv_nxt(), ack, 0);
        ack.window = window;
        connection.handle_segment(&ack, NOW);
    };
    let una = connection.snd_una();
    window(&mut connection, 0, una);
    connection.send(b"x", NOW).unwrap();
    assert!(drain(&mut connection, NOW).is_empty());
    let at = connection.poll_timeout().unwrap();
    connection.handle_timeout(at);
    assert_eq!(drain(&mut connection, at)[0].segment.payload, b"x", "the probe");
    window(&mut connection, 10, una);
    assert_eq!(drain(&mut connection, at)[0].segment.payload, b"x", "again, at once");
    assert!(connection.poll_timeout().is_some());
}
