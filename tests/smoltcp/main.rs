//! Our TCP against smoltcp's over bad links in virtual time.
//!
//! Everything about a run is drawn from its seed. A failure names the seed, which runs alone, with
//! its trace, by `SHAKEDOWN_SEED=… cargo test --test smoltcp NAME -- --nocapture`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod host;
mod ours;
mod run;

use std::ops::Range;
use std::time::Duration;

use shakedown::net::sim::{Link, Rng, SimWire};
use shakedown::net::{Dir, Received, Wire};
use shakedown::tcp::{Config, Offered, State, Timers};
use shakedown::time::Instant;
use shakedown::wire::SeqNum;

use host::{CLIENT_PORT, OURS, Reading, SERVER_PORT, Service, SmolHost, THEIRS};
use ours::OurHost;
use run::{Ended, Shifted, bad_links, run, seeds};

/// The harness by itself: smoltcp against smoltcp must get through what ours has to get through, or
/// a failure below could be the network's.
#[test]
fn smoltcp_gets_through_to_itself() {
    let (range, _) = seeds(0..1000);
    for seed in range {
        let mut rng = Rng::new(seed);
        let [to, from] = bad_links(&mut rng);
        let words = some_words(&mut rng);
        let theirs = THEIRS[rng.below(2) as usize];
        let mut here =
            SmolHost::calling(seed, OURS, theirs, Service::ClosesFirst(words.clone()), AT_ONCE);
        let server =
            Shifted::new(SmolHost::serving(!seed, Service::Echo, AT_ONCE), near_the_wrap(&mut rng));
        let mut wire = SimWire::new(seed, to, from, server);
        let mut trace = String::new();
        let over = |here: &SmolHost| !here.is_open();
        let deadline = Instant::ZERO + Duration::from_secs(2000);
        let ended = run(&mut here, &mut wire, over, deadline, Some(&mut trace));
        let states = (here.state(), wire.peer().inner.state());
        assert!(matches!(ended, Ended::Over(_)), "seed {seed}: {states:?}\n{trace}");
        assert_eq!(wire.peer().inner.received, words, "seed {seed}\n{trace}");
        assert_eq!(here.received, words, "seed {seed}\n{trace}");
    }
}

#[test]
fn as_client_every_run_completes_or_names_the_failed_step() {
    every_run_ends("as_client", 0..5000, Role::Client);
}

#[test]
fn as_server_every_run_completes_or_names_the_failed_step() {
    every_run_ends("as_server", 5000..10_000, Role::Server);
}

/// Both initial sequence numbers at every distance from the wrap, so that it falls before, into and
/// behind each SYN, each byte of data and each FIN of a short exchange; and the same on the far side
/// of the circle, where signed numbers turn over.
#[test]
fn the_wrap_may_fall_anywhere() {
    let said = b"hello".to_vec();
    let distances = 0..=u32::try_from(said.len()).unwrap() + 3;
    let places =
        distances.clone().flat_map(|ours| distances.clone().map(move |theirs| (ours, theirs)));
    for (ours, theirs) in places {
        for (turn, role) in [(0, Role::Client), (0, Role::Server), (1 << 31, Role::Client)] {
            let scenario = Scenario {
                ours: Service::ClosesFirst(said.clone()),
                theirs: Service::Echo,
                links: [Link::delayed(Duration::from_millis(5)); 2],
                iss: SeqNum(turn) - ours,
                their_iss: SeqNum(turn) - theirs,
                offer: Offered::default(),
                we_read: AT_ONCE,
                they_read: AT_ONCE,
                ..Scenario::drawn_from(0, role)
            };
            let mut trace = String::new();
            let outcome = scenario.play(0, Some(&mut trace));
            assert_eq!(outcome, Ok(Outcome::Completed), "{ours} {theirs}\n{trace}");
            assert!(trace.lines().count() < 12, "nothing is sent twice\n{trace}");
        }
    }
}

/// The one segment that says that a window is open again is lost: whoever waits for it has to ask.
#[test]
fn a_lost_window_update_is_found_out_by_probing() {
    let late = Reading { buffer: 600, from: Instant::ZERO + Duration::from_secs(5) };
    // Towards us, then towards them: who reads late, and which way its update is lost.
    for (we_read, they_read, dir) in [(AT_ONCE, late, Dir::Rx), (late, AT_ONCE, Dir::Tx)] {
        let scenario = Scenario {
            ours: Service::ClosesFirst(vec![1; 2000]),
            theirs: Service::ClosesFirst(vec![2; 2000]),
            links: [Link::delayed(Duration::from_millis(5)); 2],
            offer: Offered { window: 600, window_scale: None, ..Offered::default() },
            we_read,
            they_read,
            ..Scenario::drawn_from(0, Role::Client)
        };
        let (mut here, mut wire) = scenario.ends(0);
        let mut trace = String::new();
        for (until_ms, loss) in [(4_900, 0.0), (5_100, 1.0), (60_000, 0.0)] {
            wire.link_mut(dir).loss = loss;
            let until = Instant::ZERO + Duration::from_millis(until_ms);
            let ended = run(&mut here, &mut wire, OurHost::is_over, until, Some(&mut trace));
            let done = until_ms == 60_000;
            assert_eq!(matches!(ended, Ended::Over(_)), done, "{ended:?}\n{trace}");
        }
        let outcome = scenario.judge(Ended::Over(wire.now()), &here, &wire.peer().inner);
        assert_eq!(outcome, Ok(Outcome::Completed), "{trace}");
    }
}

/// What our end is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Client,
    Server,
}

/// How a run that ended, ended.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Outcome {
    Completed,
    /// At this step, by the machine's own report.
    Failed(String),
}

/// Few retries and short waits, so that giving up is among the outcomes.
const TIMERS: Timers = Timers {
    initial_rto: Duration::from_secs(1),
    min_rto: Duration::from_millis(200),
    max_rto: Duration::from_secs(10),
    syn_retries: 5,
    retries: 8,
    final_wait: None,
    msl: Duration::from_secs(1),
};

/// A run before it begins.
#[derive(Clone, Debug)]
struct Scenario {
    role: Role,
    family: usize,
    ours: Service,
    theirs: Service,
    /// There and back.
    links: [Link; 2],
    iss: SeqNum,
    their_iss: SeqNum,
    offer: Offered,
    we_read: Reading,
    they_read: Reading,
}

impl Scenario {
    fn drawn_from(seed: u64, role: Role) -> Self {
        let mut rng = Rng::new(seed);
        let first = Service::ClosesFirst(some_words(&mut rng));
        let second = match rng.below(4) {
            0 => Service::Echo,
            1 => Service::Sink,
            2 => Service::ClosesFirst(some_words(&mut rng)),
            _ => Service::AnswersAfterEof(some_words(&mut rng)),
        };
        let (ours, theirs) = if rng.below(2) == 0 { (first, second) } else { (second, first) };
        let offer = Offered {
            mss: [None, Some(536), Some(1220), Some(1440)][rng.below(4) as usize],
            window_scale: [None, Some(0), Some(7), Some(14)][rng.below(4) as usize],
            sack: rng.below(2) == 0,
            timestamps: rng.below(2) == 0,
            ..Offered::default()
        };
        Self {
            role,
            family: rng.below(2) as usize,
            ours,
            theirs,
            links: bad_links(&mut rng),
            iss: near_the_wrap(&mut rng),
            their_iss: near_the_wrap(&mut rng),
            offer,
            we_read: some_reading(&mut rng),
            they_read: some_reading(&mut rng),
        }
    }

    /// All that each end says, if all goes well: ours and theirs.
    fn speeches(&self) -> (Vec<u8>, Vec<u8>) {
        let ours = self.ours.answer(&self.theirs.answer(&[]));
        let theirs = self.theirs.answer(&ours);
        (ours, theirs)
    }

    /// When it must be over: each SYN, FIN and segment of data tried as often, and waited for as
    /// long, as the timers allow, after the applications began to read; then TIME-WAIT.
    fn bound(&self) -> Instant {
        let (ours, theirs) = self.speeches();
        let steps = 4 + ours.len().div_ceil(500) + theirs.len().div_ceil(500);
        let step = TIMERS.max_rto * (TIMERS.retries.max(TIMERS.syn_retries) + 1);
        let reading = self.we_read.from.max(self.they_read.from);
        reading + step * u32::try_from(steps).unwrap() + 2 * TIMERS.msl
    }

    /// The two ends, before anything happened.
    fn ends(&self, seed: u64) -> (OurHost, SimWire<Shifted<SmolHost>>) {
        let (local_port, remote_port) = match self.role {
            Role::Client => (CLIENT_PORT, SERVER_PORT),
            Role::Server => (SERVER_PORT, 0),
        };
        let config = Config {
            local_port,
            remote_port,
            iss: self.iss,
            ts_offset: u32::MAX - 500,
            offer: self.offer.clone(),
            receive_buffer: self.we_read.buffer,
            timers: TIMERS,
        };
        let ends = [OURS[self.family], THEIRS[self.family]];
        let (ours, theirs) = (self.ours.clone(), self.theirs.clone());
        let (here, peer) = match self.role {
            Role::Client => (
                OurHost::calling(config, ends, ours),
                SmolHost::serving(seed, theirs, self.they_read),
            ),
            Role::Server => (
                OurHost::serving(config, ends, ours),
                SmolHost::calling(seed, THEIRS, ends[0], theirs, self.they_read),
            ),
        };
        let [there, back] = self.links;
        let wire = SimWire::new(seed, there, back, Shifted::new(peer, self.their_iss));
        (here.reading_from(self.we_read.from), wire)
    }

    /// Plays it; the outcome, or what is wrong.
    fn play(&self, seed: u64, trace: Option<&mut String>) -> Result<Outcome, String> {
        let (mut here, mut wire) = self.ends(seed);
        let ended = run(&mut here, &mut wire, OurHost::is_over, self.bound(), trace);
        // What their TCP has acknowledged their application may still have to read.
        let then = self.they_read.from + Duration::from_millis(1);
        while wire.receive(then).unwrap() != Received::Timeout {}
        self.judge(ended, &here, &wire.peer().inner)
    }

    fn judge(&self, ended: Ended, here: &OurHost, peer: &SmolHost) -> Result<Outcome, String> {
        let states = (here.connection.state(), peer.state());
        if !matches!(ended, Ended::Over(_)) {
            return Err(format!("{ended:?} in {states:?}"));
        }
        let (ours, theirs) = self.speeches();
        if !theirs.starts_with(&here.received) || !ours.starts_with(&peer.received) {
            return Err("bytes that were never said, or out of order".to_owned());
        }
        if let Some(failure) = here.failure() {
            // smoltcp's TIME-WAIT lasts ten seconds; our FIN may need longer to get through, and is
            // then answered by RST. There is no other reason for one.
            let (last, all) = (here.last_state(), here.received == theirs);
            if failure == "ResetByPeer"
                && !(all && [State::LastAck, State::Closing].contains(&last))
            {
                return Err(format!("reset in {last}"));
            }
            return Ok(Outcome::Failed(failure));
        }
        if here.received != theirs || peer.received != ours {
            return Err(format!(
                "closed without a failure in {states:?}, but we heard {} of {} bytes, they {} of {}",
                here.received.len(),
                theirs.len(),
                peer.received.len(),
                ours.len()
            ));
        }
        Ok(Outcome::Completed)
    }
}

/// An application that is always ready.
const AT_ONCE: Reading = Reading { buffer: 16_384, from: Instant::ZERO };

/// One application in four lets its window close and opens it within half a minute.
fn some_reading(rng: &mut Rng) -> Reading {
    let buffer = [600, 2_000, 16_384, 200_000][rng.below(4) as usize];
    let late = rng.below(4) == 0;
    let from = Instant::from_nanos(if late { rng.below(30_000_000_000) } else { 0 });
    Reading { buffer, from }
}

fn some_words(rng: &mut Rng) -> Vec<u8> {
    (0..rng.below(5000)).map(|_| rng.bits() as u8).collect()
}

/// Any sequence number, or one from which a few thousand bytes reach over the wrap.
fn near_the_wrap(rng: &mut Rng) -> SeqNum {
    let any = rng.bits() as u32;
    SeqNum(if rng.below(2) == 0 { any } else { u32::MAX - any % 6000 })
}

/// Says how to replay the run in which a test panics.
struct Replay(&'static str, u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(test, seed) = self;
            eprintln!(
                "replay: SHAKEDOWN_SEED={seed} cargo test --test smoltcp {test} -- --nocapture"
            );
        }
    }
}

fn every_run_ends(test: &'static str, range: Range<u64>, role: Role) {
    let (range, alone) = seeds(range);
    let mut failed = Vec::new();
    let count = range.end - range.start;
    for seed in range {
        let _replay = Replay(test, seed);
        let scenario = Scenario::drawn_from(seed, role);
        let mut outcome = scenario.play(seed, None);
        let mut trace = String::new();
        if alone || outcome.is_err() {
            // The same run once more, written down: that is cheaper than to write down all.
            outcome = scenario.play(seed, Some(&mut trace));
        }
        if alone {
            println!("{scenario:?}\n{trace}{outcome:?}");
        }
        match outcome {
            Ok(Outcome::Completed) => {}
            Ok(Outcome::Failed(step)) => failed.push((seed, step)),
            Err(wrong) => panic!("seed {seed}: {wrong}\n{scenario:?}\n{trace}"),
        }
    }
    println!("{} of {count} runs failed at a step that they name: {failed:?}", failed.len());
    // A machine that gave up at once would end every run within its bound.
    assert!(alone || failed.len() < count as usize / 50, "{failed:?}");
}
