//! Our TCP against smoltcp's over bad links in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod host;
mod run;

use shakedown::net::sim::{Rng, SimWire};
use shakedown::time::Instant;
use std::time::Duration;

use host::{OURS, Service, SmolHost, THEIRS};
use run::{Ended, Shifted, bad_links, run, seeds};
use shakedown::wire::SeqNum;

fn at_secs(secs: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(secs)
}

/// The harness by itself: smoltcp against smoltcp must get through what ours has to get through, or
/// a failure below could be the network's.
#[test]
fn smoltcp_gets_through_to_itself() {
    let (range, _) = seeds(0..200);
    for seed in range {
        let mut rng = Rng::new(seed);
        let [to, from] = bad_links(&mut rng);
        let words: Vec<u8> = (0..rng.below(5000)).map(|_| rng.bits() as u8).collect();
        let family = rng.below(2) as usize;
        let mut here =
            SmolHost::calling(seed, OURS, THEIRS[family], Service::ClosesFirst(words.clone()));
        let server = Shifted::new(SmolHost::serving(!seed, Service::Echo), SeqNum(u32::MAX - 100));
        let mut wire = SimWire::new(seed, to, from, server);
        let mut trace = String::new();
        let over = |here: &SmolHost| !here.is_open();
        let ended = run(&mut here, &mut wire, over, at_secs(2000), Some(&mut trace));
        assert!(
            matches!(ended, Ended::Over(_)),
            "seed {seed}: {:?} {:?}\n{trace}",
            here.state(),
            wire.peer().inner.state()
        );
        assert_eq!(wire.peer().inner.received, words, "seed {seed}\n{trace}");
        assert_eq!(here.received, words, "seed {seed}\n{trace}");
    }
}
