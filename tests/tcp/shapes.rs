//! Ours against ours: every way to open and to close, with and without loss.

use shakedown::tcp::State::{self, *};
use shakedown::tcp::{Connection, ConnectionEvent, End, GaveUp};
use shakedown::time::Instant;
use shakedown::wire::{Flags, SeqNum};

use crate::pair::{CLIENT, Pair, SERVER, config};

fn assert_paths(pair: &Pair, client: &[State], server: &[State]) {
    let log = pair.log.join("\n");
    assert_eq!(pair.sides[CLIENT].path, client, "client\n{log}");
    assert_eq!(pair.sides[SERVER].path, server, "server\n{log}");
}

fn simultaneous_open() -> Pair {
    let now = Instant::from_nanos(1_000_000_000);
    let first = Connection::connect(config(End::Client, SeqNum(1000)), now);
    let mut other = config(End::Client, SeqNum(70_000));
    (other.local_port, other.remote_port) = (80, 40000);
    Pair::of(first, Connection::connect(other, now), now)
}

#[test]
fn the_client_closes_first() {
    let mut pair = Pair::open();
    pair.close(CLIENT);
    pair.run();
    assert_eq!(pair.states(), (FinWait2, CloseWait));
    pair.close(SERVER);
    pair.run_out();
    assert_paths(
        &pair,
        &[Closed, SynSent, Established, FinWait1, FinWait2, TimeWait, Closed],
        &[Listen, SynReceived, Established, CloseWait, LastAck, Closed],
    );
    pair.assert_views_are_true();
    let five_and_two = pair.log.len();
    assert_eq!(five_and_two, 7, "three to open, four to close\n{}", pair.log.join("\n"));
}

#[test]
fn the_server_closes_first() {
    let mut pair = Pair::open();
    pair.close(SERVER);
    pair.run();
    assert_eq!(pair.states(), (CloseWait, FinWait2));
    pair.close(CLIENT);
    pair.run_out();
    assert_paths(
        &pair,
        &[Closed, SynSent, Established, CloseWait, LastAck, Closed],
        &[Listen, SynReceived, Established, FinWait1, FinWait2, TimeWait, Closed],
    );
    pair.assert_views_are_true();
}

#[test]
fn both_close_at_once() {
    let mut pair = Pair::open();
    pair.close(CLIENT);
    pair.close(SERVER);
    pair.run_out();
    let close = [FinWait1, Closing, TimeWait, Closed];
    assert_paths(
        &pair,
        &[&[Closed, SynSent, Established][..], &close].concat(),
        &[&[Listen, SynReceived, Established][..], &close].concat(),
    );
    pair.assert_views_are_true();
}

#[test]
fn a_withheld_fin_makes_the_close_simultaneous() {
    let mut pair = Pair::open();
    pair.held_for = Some(CLIENT);
    pair.close(SERVER);
    pair.step();
    assert_eq!(pair.states(), (Established, FinWait1), "its FIN arrived and is held");
    pair.close(CLIENT);
    pair.release();
    pair.run_out();
    assert!(pair.sides[CLIENT].path.ends_with(&[FinWait1, Closing, TimeWait, Closed]));
    assert!(pair.sides[SERVER].path.ends_with(&[FinWait1, Closing, TimeWait, Closed]));
    pair.assert_views_are_true();
}

#[test]
fn both_open_at_once() {
    let mut pair = simultaneous_open();
    pair.run();
    let path = [Closed, SynSent, SynReceived, Established];
    assert_paths(&pair, &path, &path);
    assert_eq!(pair.sides[CLIENT].happened(ConnectionEvent::Established), 1);
    pair.send(CLIENT, b"ping");
    pair.send(SERVER, b"pong");
    pair.run();
    assert_eq!(pair.sides[SERVER].received, b"ping");
    assert_eq!(pair.sides[CLIENT].received, b"pong");
}

#[test]
fn both_open_at_once_although_any_one_segment_is_lost() {
    for (end, which) in [CLIENT, SERVER].into_iter().flat_map(|end| (1..=3).map(move |n| (end, n)))
    {
        let mut pair = simultaneous_open();
        pair.filter(move |from, n, _| (from, n) != (end, which));
        pair.run();
        assert_eq!(pair.states(), (Established, Established), "{}", pair.log.join("\n"));
    }
}

#[test]
fn a_lost_last_ack_keeps_the_server_until_its_fin_is_repeated() {
    let mut pair = Pair::open();
    pair.close(CLIENT);
    pair.run();
    let mut lost = false;
    pair.filter(move |from, _, _| from == SERVER || std::mem::replace(&mut lost, true));
    pair.close(SERVER);
    pair.run();
    assert_eq!(pair.states(), (TimeWait, Closed));
    let entered = pair.now;
    let until = pair.sides[CLIENT].machine.poll_timeout().unwrap();
    pair.run_out();
    assert!(pair.sides[CLIENT].path.ends_with(&[TimeWait, Closed]));
    assert_eq!(pair.sides[CLIENT].retractions, 1, "the view saw that the server was still there");
    assert!(until > entered, "2 MSL began again with the repeated FIN");
    pair.assert_views_are_true();
}

#[test]
fn every_shape_survives_the_loss_of_any_one_segment() {
    let shapes: [(&str, &[usize]); 3] =
        [("client", &[CLIENT, SERVER]), ("server", &[SERVER, CLIENT]), ("both", &[])];
    for (name, order) in shapes {
        for end in [CLIENT, SERVER] {
            for which in 1..=5 {
                let mut pair = Pair::default_pair();
                pair.filter(move |from, n, _| (from, n) != (end, which));
                pair.run();
                pair.send(CLIENT, b"hello");
                pair.run();
                if order.is_empty() {
                    pair.close(CLIENT);
                    pair.close(SERVER);
                }
                for closer in order {
                    pair.close(*closer);
                    pair.run();
                }
                pair.run_out();
                let log = pair.log.join("\n");
                assert_eq!(pair.states(), (Closed, Closed), "{name} {end} {which}\n{log}");
                assert_eq!(pair.sides[SERVER].received, b"hello", "{name} {end} {which}\n{log}");
                for side in &pair.sides {
                    assert!(side.machine.fin_acked() && side.machine.peer_fin_received(), "{log}");
                }
            }
        }
    }
}

#[test]
fn a_half_closed_end_goes_on_receiving() {
    let mut pair = Pair::open();
    pair.close(CLIENT);
    pair.run();
    let page = vec![b'z'; 20_000];
    pair.send(SERVER, &page);
    pair.run();
    assert_eq!(pair.states(), (FinWait2, CloseWait));
    assert_eq!(pair.sides[CLIENT].received, page);
    pair.close(SERVER);
    pair.run_out();
    assert_eq!(pair.states(), (Closed, Closed));
    pair.assert_views_are_true();
}

#[test]
fn data_then_fin_leave_in_order_and_arrive_whole() {
    let mut pair = Pair::open();
    let page: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
    // The FIN is queued behind far more than one window.
    pair.sides[CLIENT].machine.send(&page, pair.now).unwrap();
    pair.close(CLIENT);
    assert_eq!(pair.states().0, FinWait1);
    pair.run();
    assert_eq!(pair.states(), (FinWait2, CloseWait));
    assert!(pair.sides[SERVER].received == page);
}

#[test]
fn an_abort_resets_the_far_end() {
    let mut pair = Pair::open();
    pair.abort(CLIENT);
    pair.run_out();
    assert_paths(
        &pair,
        &[Closed, SynSent, Established, Closed],
        &[Listen, SynReceived, Established, Closed],
    );
    assert_eq!(pair.sides[SERVER].happened(ConnectionEvent::ResetByPeer), 1);
    pair.assert_views_are_true();
}

#[test]
fn nobody_there_gives_up_after_the_retries() {
    let mut pair = Pair::default_pair();
    pair.filter(|_, _, _| false);
    pair.run_out();
    let client = &pair.sides[CLIENT];
    assert_eq!(client.happened(ConnectionEvent::GaveUp(GaveUp::Syn)), 1);
    assert_eq!(client.path, [Closed, SynSent, Closed]);
    // 1 s, doubled to the limit of a minute: at 1, 3, 7, 15, 31 and 63 s, given up at 123.
    let times: Vec<_> =
        pair.log.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(times, ["1000", "2000", "4000", "8000", "16000", "32000", "64000"]);
    assert_eq!(pair.now.as_nanos() / 1_000_000_000, 124);
}

#[test]
fn a_server_that_vanishes_leaves_each_step_named() {
    for (gave_up, shape) in [(GaveUp::Data, 0), (GaveUp::Fin, 1)] {
        let mut pair = Pair::open();
        pair.filter(|_, _, _| false);
        if shape == 0 {
            pair.send(CLIENT, b"anyone?");
        } else {
            pair.close(CLIENT);
        }
        pair.run_out();
        assert_eq!(pair.sides[CLIENT].happened(ConnectionEvent::GaveUp(gave_up)), 1);
        assert_eq!(pair.states().0, Closed);
    }
    let mut pair = Pair::default_pair();
    pair.filter(|from, _, _| from == CLIENT);
    pair.run_out();
    assert_eq!(pair.sides[SERVER].happened(ConnectionEvent::GaveUp(GaveUp::SynAck)), 1);
}

#[test]
fn a_closed_window_is_probed_until_it_opens() {
    let mut small = config(End::Server, SeqNum(70_000));
    small.receive_buffer = 4000;
    small.offer.window = 4000;
    small.offer.window_scale = None;
    let mut pair = Pair::new(config(End::Client, SeqNum(1000)), small);
    pair.run();
    // The server's user does not read; the client goes on asking.
    let now = pair.now;
    let data = vec![b'd'; 10_000];
    let Pair { sides: [client, server], .. } = &mut pair;
    client.machine.send(&data, now).unwrap();
    let mut at = now;
    let mut probes = 0;
    for _ in 0..200 {
        while let Some(sent) = client.machine.poll_transmit(at) {
            probes += usize::from(sent.segment.payload.len() == 1);
            server.machine.handle_segment(&sent.segment, at);
        }
        while let Some(sent) = server.machine.poll_transmit(at) {
            client.machine.handle_segment(&sent.segment, at);
        }
        if probes == 20 {
            break;
        }
        if let Some(deadline) = client.machine.poll_timeout() {
            at = at.max(deadline);
            client.machine.handle_timeout(at);
        }
    }
    assert_eq!(probes, 20, "more than any retry limit, because each was answered (MUST-37)");
    assert_eq!(client.machine.state(), Established);
    pair.now = at;
    pair.run();
    assert_eq!(pair.sides[SERVER].received, data);
}

#[test]
fn half_open_ends_with_a_bare_reset_behind_the_syn() {
    let mut pair = Pair::default_pair();
    // The gate withholds the acknowledgment of the SYN-ACK.
    pair.filter(|from, _, segment| from == SERVER || segment.flags != Flags::ACK);
    pair.pump();
    while pair.states().0 != Established {
        assert!(pair.step());
    }
    assert_eq!(pair.states(), (Established, SynReceived));
    pair.abort(CLIENT);
    let reset = pair.log.last().unwrap();
    assert!(reset.ends_with("client: R 1001:1001(0) win 0"), "{reset}");
    pair.run_out();
    assert_eq!(pair.states(), (Closed, Listen));
}

#[test]
fn an_end_that_listened_may_open_as_well_and_both_open_at_once() {
    let mut pair = Pair::default_pair();
    let now = pair.now;
    // Its own SYN leaves before the client's arrives.
    pair.sides[SERVER].machine.open(now);
    pair.run();
    assert_eq!(pair.states(), (State::Established, State::Established));
    let crossed = [State::SynSent, State::SynReceived, State::Established];
    assert_eq!(pair.sides[SERVER].path, [&[State::Listen], crossed.as_slice()].concat());
    assert_eq!(pair.sides[CLIENT].path, [&[State::Closed], crossed.as_slice()].concat());
}

#[test]
fn where_nobody_listens_a_syn_is_refused() {
    let now = Instant::from_nanos(1);
    let client = Connection::connect(config(End::Client, SeqNum(1000)), now);
    let mut pair = Pair::of(client, Connection::closed(config(End::Server, SeqNum(7))), now);
    pair.run();
    assert_eq!(pair.states(), (State::Closed, State::Closed));
    assert_eq!(pair.sides[CLIENT].happened(ConnectionEvent::Refused), 1);
}
