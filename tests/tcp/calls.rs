//! What the user may ask for in each state (RFC 9293 §3.10.1 to §3.10.5).

use shakedown::tcp::{
    CloseError, Connection, ConnectionEvent, End, SendError, State, TransmitKind,
};
use shakedown::wire::Flags;

use crate::lone::{NOW, bare, drain, give, in_state, segment};

/// state | SEND (3.10.2) | CLOSE (3.10.4) -> state, segment | ABORT (3.10.5): RST?
const TABLE: &str = "
CLOSED       | not connected      | not connected      | CLOSED     | -  | -
LISTEN       | not connected      | ok                 | CLOSED     | -  | -
SYN-SENT     | ok                 | ok                 | CLOSED     | -  | -
SYN-RECEIVED | ok                 | ok                 | FIN-WAIT-1 | F. | R
ESTABLISHED  | ok                 | ok                 | FIN-WAIT-1 | F. | R
FIN-WAIT-1   | connection closing | connection closing | FIN-WAIT-1 | -  | R
FIN-WAIT-2   | connection closing | connection closing | FIN-WAIT-2 | -  | R
CLOSE-WAIT   | ok                 | ok                 | LAST-ACK   | F. | R
CLOSING      | connection closing | connection closing | CLOSING    | -  | -
LAST-ACK     | connection closing | connection closing | LAST-ACK   | -  | -
TIME-WAIT    | connection closing | connection closing | TIME-WAIT  | -  | -
";

fn letters(connection: &mut Connection) -> String {
    match &drain(connection, NOW)[..] {
        [] => "-".to_owned(),
        [one] => one.segment.flags.letters(),
        more => panic!("{more:?}"),
    }
}

#[test]
fn every_call_in_every_state() {
    let mut rows = 0;
    for row in TABLE.lines().filter(|line| !line.is_empty()) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [name, send, close, then, fin, reset] = cells[..] else { panic!("{row}") };
        let state = State::ALL.into_iter().find(|state| state.name() == name).unwrap();
        let end = match state {
            State::Listen | State::SynReceived => End::Server,
            _ => End::Client,
        };
        let said = |result: Result<(), String>| result.map_or_else(|why| why, |()| "ok".to_owned());

        let mut connection = in_state(state, end);
        assert_eq!(said(connection.send(b"x", NOW).map_err(|why| why.to_string())), send, "{row}");

        let mut connection = in_state(state, end);
        assert_eq!(said(connection.close(NOW).map_err(|why| why.to_string())), close, "{row}");
        assert_eq!(connection.state().name(), then, "{row}");
        assert_eq!(letters(&mut connection), fin, "{row}");

        let mut connection = in_state(state, end);
        let next = connection.snd_nxt();
        connection.abort(NOW);
        assert_eq!(connection.state(), State::Closed, "{row}");
        let sent = drain(&mut connection, NOW);
        let told = sent.iter().map(|sent| (sent.segment.flags, sent.segment.seq, sent.kind));
        let expected = (reset == "R").then_some((Flags::RST, next, TransmitKind::Reset));
        assert!(told.eq(expected), "{row}: {sent:?}");
        assert_eq!(connection.poll_timeout(), None, "{row}");
        rows += 1;
    }
    assert_eq!(rows, State::ALL.len());
}

#[test]
fn a_close_with_data_queued_waits_for_established() {
    let mut connection = in_state(State::SynReceived, End::Server);
    connection.send(b"bye", NOW).unwrap();
    connection.close(NOW).unwrap();
    assert_eq!(connection.state(), State::SynReceived);
    assert_eq!(connection.close(NOW), Err(CloseError::Closing));
    assert_eq!(connection.send(b"more", NOW), Err(SendError::Closing));
    let seq = connection.rcv_nxt();
    connection.handle_segment(&segment(Flags::ACK, seq, connection.snd_nxt(), 0), NOW);
    assert_eq!(connection.state(), State::FinWait1);
    let sent = drain(&mut connection, NOW);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].segment.flags, Flags::FIN | Flags::PSH | Flags::ACK);
    assert_eq!(sent[0].segment.payload, b"bye");
}

#[test]
fn a_fin_sent_in_syn_received_and_its_syn_ack_are_both_repeated_until_acknowledged() {
    let mut connection = in_state(State::SynReceived, End::Server);
    connection.close(NOW).unwrap();
    drain(&mut connection, NOW);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let at = connection.poll_timeout().unwrap();
        connection.handle_timeout(at);
        seen.extend(drain(&mut connection, at).iter().map(|sent| sent.segment.flags.letters()));
        if connection.snd_una() == connection.iss() {
            give(&mut connection, Flags::NONE);
            let syn_acked = segment(Flags::ACK, connection.rcv_nxt(), connection.iss() + 1, 0);
            connection.handle_segment(&syn_acked, NOW);
        }
    }
    assert_eq!(seen, ["S.", "F."]);
    give(&mut connection, Flags::ACK);
    assert_eq!(connection.state(), State::FinWait2);
}

#[test]
fn data_sent_before_the_handshake_leaves_after_it() {
    let mut connection = in_state(State::SynSent, End::Client);
    connection.send(b"early", NOW).unwrap();
    assert!(drain(&mut connection, NOW).is_empty());
    let answer = segment(Flags::SYN | Flags::ACK, crate::lone::IRS, connection.snd_nxt(), 0);
    connection.handle_segment(&answer, NOW);
    let sent = drain(&mut connection, NOW);
    assert_eq!((sent.len(), &sent[0].segment.payload[..]), (1, &b"early"[..]));
    assert_eq!(connection.unacked_data(), 5);
}

#[test]
fn more_than_a_quarter_of_the_circle_is_refused() {
    let mut connection = Connection::connect(bare(), NOW);
    // Never touched, so never real memory.
    let too_much = vec![0; (1 << 30) + 1];
    assert_eq!(connection.send(&too_much, NOW), Err(SendError::Full));
    assert_eq!(connection.unacked_data(), 0);
}

#[test]
fn a_closed_connection_says_so_once() {
    let mut connection = in_state(State::Established, End::Client);
    connection.abort(NOW);
    connection.abort(NOW);
    let closed = std::iter::from_fn(|| connection.poll_event())
        .filter(|event| *event == ConnectionEvent::Closed)
        .count();
    assert_eq!(closed, 1);
}
