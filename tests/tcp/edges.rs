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
    let mut connection = in_state(State::Established, End::Client);
    let (first, ack) = (connection.rcv_nxt(), connection.snd_nxt());
    let over = segment(Flags::FIN | Flags::ACK, first + 64230, ack, 30);
    assert_eq!(connection.handle_segment(&over, NOW), Verdict::OutOfOrder);
    let exact = segment(Flags::FIN | Flags::ACK, first + 64220, ack, 20);
    assert_eq!(connection.handle_segment(&exact, NOW), Verdict::OutOfOrder);
    connection.handle_segment(&segment(Flags::ACK, first, ack, 64220), NOW);
    assert_eq!(connection.take_received().len(), 64240);
    assert_eq!(connection.state(), State::Established, "neither FIN lay in the window");

    let mut connection = in_state(State::Established, End::Client);
    let fits = segment(Flags::FIN | Flags::ACK, first + 64220, ack, 19);
    connection.handle_segment(&fits, NOW);
    connection.handle_segment(&segment(Flags::ACK, first, ack, 64220), NOW);
    assert_eq!(connection.state(), State::CloseWait);
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
