//! Sequence numbers wrap at 2^32: the wrap is put at every place of a whole connection, in both
//! directions, and nothing may change but the numbers.

use shakedown::tcp::{End, State};
use shakedown::wire::SeqNum;

use crate::pair::{CLIENT, Pair, SERVER, config};

const REQUEST: usize = 3000;
const REPLY: usize = 90_000;

/// Open, a request, a larger reply with losses, close by the client: the segments as they left,
/// counted from the initial numbers.
fn story(iss: SeqNum, irs: SeqNum, drop: Option<(usize, usize)>) -> Vec<String> {
    let mut pair = Pair::new(config(End::Client, iss), config(End::Server, irs));
    let (out, record) = std::sync::mpsc::channel();
    pair.filter(move |from, n, segment| {
        let (own, other) = if from == CLIENT { (iss, irs) } else { (irs, iss) };
        let mut relative = segment.clone();
        relative.seq = SeqNum(segment.seq.offset_from(own));
        let text = relative.relative_to(SeqNum(0), other).to_string();
        out.send(format!("{from} {text}")).unwrap();
        drop != Some((from, n))
    });
    pair.run();
    pair.send(CLIENT, &[b'q'; REQUEST]);
    pair.run();
    pair.send(SERVER, &[b'r'; REPLY]);
    pair.run();
    pair.close(CLIENT);
    pair.run();
    pair.close(SERVER);
    pair.run_out();
    assert_eq!(pair.states(), (State::Closed, State::Closed), "iss {iss} irs {irs}");
    assert_eq!(pair.sides[SERVER].received.len(), REQUEST);
    assert_eq!(pair.sides[CLIENT].received.len(), REPLY);
    pair.assert_views_are_true();
    record.try_iter().collect()
}

#[test]
fn a_wrap_anywhere_changes_nothing() {
    let plain = story(SeqNum(1000), SeqNum(2000), None);
    assert!(plain.len() > 60);
    // In the SYN, the first byte, inside the data, its last byte, the FIN, the ACK of the FIN, and
    // inside the window beyond.
    for before in [0, 1, 2, 1000, 2999, 3000, 3001, 3002, 3003, 30_000] {
        let iss = SeqNum(0) - before;
        assert_eq!(story(iss, SeqNum(2000), None), plain, "the client's wrap after {before}");
    }
    for before in [0, 1, 2, 1448, 45_000, 89_999, 90_000, 90_001, 90_002, 90_003, 120_000] {
        let irs = SeqNum(0) - before;
        assert_eq!(story(SeqNum(1000), irs, None), plain, "the server's wrap after {before}");
    }
    // The sign bit is a place where signed comparisons go wrong.
    let middle = SeqNum(0x8000_0000);
    assert_eq!(story(middle - 1500, middle - 45_000, None), plain);
}

#[test]
fn a_wrap_in_the_middle_of_a_loss_changes_nothing() {
    for drop in [(SERVER, 5), (SERVER, 12), (CLIENT, 2), (CLIENT, 9)] {
        let plain = story(SeqNum(1000), SeqNum(2000), Some(drop));
        for before in [1, 1449, 10_000, 20_000, 90_001] {
            let irs = SeqNum(0) - before;
            assert_eq!(story(SeqNum(0) - 1500, irs, Some(drop)), plain, "{drop:?} {before}");
        }
    }
}

#[test]
fn the_run_is_long_enough_to_use_every_rule() {
    // Guards the tests above: with a loss there are repetitions and selective acknowledgments.
    let log = story(SeqNum(1000), SeqNum(2000), Some((SERVER, 12)));
    assert!(log.iter().any(|line| line.contains("sack ")));
}
