//! Much data over a bad network: what is lost is repaired by what the acknowledgments tell, not by
//! the clock (RFC 5681 §3.2, RFC 6675, RFC 6582).

use std::time::Duration;

use shakedown::tcp::{Config, End, Offered, State};
use shakedown::time::Instant;
use shakedown::wire::SeqNum;

use crate::pair::{CLIENT, Chaos, LATENCY, Pair, SERVER, config};

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A pair after its handshake, with selective acknowledgments or without.
fn open(sack: bool) -> Pair {
    let with = |config: Config| Config {
        offer: Offered { sack, ..Offered::default() },
        receive_buffer: 1 << 20,
        ..config
    };
    // Its numbers wrap in the middle of the data.
    let server = config(End::Server, SeqNum(u32::MAX - 300_000));
    let mut pair = Pair::new(with(config(End::Client, SeqNum(1000))), with(server));
    pair.run();
    pair
}

/// How long `length` bytes from the server take.
fn transfer(pair: &mut Pair, length: usize) -> Duration {
    let data = noise(length);
    let start = pair.now;
    pair.send(SERVER, &data);
    let mut steps = 0;
    while pair.sides[CLIENT].received.len() < length {
        assert!(pair.step(), "nothing happens any more");
        steps += 1;
        assert!(steps < 50_000, "it never ends");
    }
    assert!(pair.sides[CLIENT].received == data, "not what was sent");
    pair.now.since(start)
}

fn sent_again(pair: &Pair) -> usize {
    pair.log.iter().filter(|line| line.contains("server") && line.contains("(again")).count()
}

#[test]
fn a_loss_among_much_data_is_repaired_without_waiting_for_the_clock() {
    for sack in [true, false] {
        for lost in 5..40 {
            let mut pair = open(sack);
            pair.filter(move |from, number, _| from == CLIENT || number != lost);
            let took = transfer(&mut pair, 100_000);
            assert!(took < Duration::from_secs(1), "sack {sack}, {lost}: {took:?}");
            assert_eq!(sent_again(&pair), 1, "sack {sack}, {lost}");
        }
    }
}

#[test]
fn many_losses_of_one_window_are_repaired_in_one_recovery() {
    let mut pair = open(true);
    pair.filter(|from, number, _| from == CLIENT || !(20..40).contains(&number) || number % 3 > 0);
    let took = transfer(&mut pair, 200_000);
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(sent_again(&pair), 7, "each of the lost ones, once");
}

#[test]
fn a_hundredth_lost_in_each_direction_leaves_the_data_whole_and_quick() {
    for sack in [true, false] {
        let mut pair = open(sack);
        pair.chaos = Some(Chaos::new(7, 10, 0, 0));
        let length = 4_000_000;
        let took = transfer(&mut pair, length);
        // 2763 segments, some 30 lost: each costs a few round trips of 20 ms, some a time-out.
        let round_trips = took.as_nanos() / (2 * LATENCY).as_nanos();
        assert!(round_trips < 900, "sack {sack}: {round_trips} round trips");
    }
}

#[test]
fn reordering_within_two_segments_repeats_nothing() {
    let mut pair = open(true);
    let data = noise(300_000);
    pair.send(SERVER, &data);
    // Each odd segment overtakes the one before it: one duplicate acknowledgment each time.
    pair.chaos = Some(Chaos::new(3, 0, 0, 1));
    pair.run();
    assert!(pair.sides[CLIENT].received == data);
}

#[test]
fn a_fin_behind_lost_data_is_repaired_with_it() {
    for sack in [true, false] {
        let mut pair = open(sack);
        let data = noise(60_000);
        pair.filter(|from, number, _| from == CLIENT || number != 20);
        pair.send(SERVER, &data);
        pair.close(SERVER);
        pair.close(CLIENT);
        let start: Instant = pair.now;
        pair.run();
        assert!(pair.sides[CLIENT].received == data);
        assert_eq!(pair.states().0, State::TimeWait, "the client's FIN left first or crossed");
        assert!(pair.now.since(start) < Duration::from_secs(2));
    }
}
