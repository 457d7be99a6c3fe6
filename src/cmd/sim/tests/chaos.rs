//! Bad networks, by seed: whatever is lost, doubled, reordered or corrupted, a run ends, in order.
//!
//! `SHAKEDOWN_SEED=N` repeats one seed.

use super::*;
use crate::event::Outcome;
use crate::net::sim::Rng;

const SEEDS: u64 = 500;

fn seeds() -> std::ops::Range<u64> {
    match std::env::var("SHAKEDOWN_SEED").map(|seed| seed.parse::<u64>()) {
        Ok(seed) => {
            let seed = seed.expect("SHAKEDOWN_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..SEEDS,
    }
}

fn bad_link(rng: &mut Rng) -> Link {
    Link {
        delay: Duration::from_micros(100 + rng.below(100_000)),
        jitter: Duration::from_micros(rng.below(20_000)),
        loss: 0.4 * rng.unit(),
        duplicate: 0.2 * rng.unit(),
        reorder: 0.2 * rng.unit(),
        reorder_by: Duration::from_micros(rng.below(200_000)),
        corrupt: 0.1 * rng.unit(),
    }
}

fn bad_network(rng: &mut Rng, seed: u64) -> SimWire<Host> {
    let behaviours = [
        Behaviour::Echo,
        Behaviour::Greet,
        Behaviour::Stubborn,
        Behaviour::Answer,
        Behaviour::Reset,
        Behaviour::Closed,
    ];
    let behaviour = behaviours[rng.below(behaviours.len() as u64) as usize];
    let dwell = Duration::from_millis(rng.below(300));
    let (there, back) = (bad_link(rng), bad_link(rng));
    SimWire::new(seed, there, back, Host::new(behaviour, Vec::new(), dwell, seed))
}

/// A SYN, data or FIN that nobody answers: two retransmissions, one time-out of at most the largest
/// that a round trip of these networks can give, doubled, and the last wait.
const ROUND: Duration = Duration::from_secs(3 * 3 + 2);

#[test]
fn every_handshake_ends_in_order_and_in_time() {
    for seed in seeds() {
        println!("seed {seed}");
        let mut rng = Rng::new(seed);
        let mut wire = bad_network(&mut rng, seed);
        let plan =
            handshake::Plan { data: vec![b'x'; rng.below(5000) as usize], ..handshake_plan() };
        // The SYN, the data (each time that some of it is acknowledged all begins anew), the reply,
        // the FIN, theirs, TIME-WAIT with what starts it anew.
        let segments = 1 + plan.data.len() as u32 / 1460;
        let bound = ROUND * (4 + 2 * segments) + WAIT * 4 + 4 * MSL;
        let (summary, log) = shake(&mut wire, &plan);
        assert!(summary.elapsed <= bound, "seed {seed}: {:?}\n{}", summary.elapsed, told(&log));
        assert_eq!(path(&log, End::Client).last(), Some(&State::Closed), "seed {seed}");
        assert_ne!(summary.outcome, Outcome::LocalInterference, "seed {seed}");
    }
}

#[test]
fn every_close_ends_in_order_and_by_its_deadline() {
    let shapes =
        [CloseShape::Active, CloseShape::Passive, CloseShape::Simultaneous, CloseShape::Half];
    for seed in seeds() {
        println!("seed {seed}");
        let mut rng = Rng::new(seed ^ 0xc105e);
        let mut wire = bad_network(&mut rng, seed);
        let plan = close::Plan {
            data: vec![b'x'; rng.below(5000) as usize],
            ..close_plan(shapes[rng.below(4) as usize])
        };
        let (summary, log) = shut(&mut wire, &plan);
        let bound = plan.limits.deadline.expect("a close has one");
        assert!(summary.elapsed <= bound, "seed {seed}: {:?}\n{}", summary.elapsed, told(&log));
        assert_eq!(path(&log, End::Client).last(), Some(&State::Closed), "seed {seed}");
        let close = summary.close.as_ref();
        if summary.outcome == Outcome::Closed {
            let close = close.unwrap_or_else(|| panic!("seed {seed}: closed without a report"));
            let both = matches!(close.our_state, State::TimeWait | State::Closed);
            assert!(both, "seed {seed}: {close:?}\n{}", told(&log));
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let told_of = |seed| {
        let mut wire = bad_network(&mut Rng::new(seed), seed);
        told(&shut(&mut wire, &close_plan(CloseShape::Active)).1)
    };
    for seed in 0..20 {
        assert_eq!(told_of(seed), told_of(seed));
    }
}
