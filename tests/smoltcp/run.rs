//! Two ends, a simulated network between them, and the seeds of a run.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use shakedown::net::sim::{Endpoint, Link, Rng, SimWire};
use shakedown::net::{Dir, Received, Wire};
use shakedown::time::Instant;
use shakedown::wire::{IpPayload, Packet, Segment, SeqNum, TcpOption, checksum, parse_ip};

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// It was over by its own account, at this time.
    Over(Instant),
    /// It went on until the deadline: stuck.
    Deadline,
    /// It took [`MAX_STEPS`], so many that the ends must be talking in circles.
    Storm,
}

/// Packets and timers in one run. The longest conversation here takes some hundreds.
const MAX_STEPS: u32 = 20_000;

/// Lets `here` talk over `wire` until `over` says that it has ended, or until `deadline`. Each packet
/// is added to `trace` as it leaves or arrives, where one is wanted.
pub(crate) fn run<A: Endpoint, B: Endpoint>(
    here: &mut A,
    wire: &mut SimWire<B>,
    over: impl Fn(&A) -> bool,
    deadline: Instant,
    mut trace: Option<&mut String>,
) -> Ended {
    for _ in 0..MAX_STEPS {
        if let Some(packet) = here.poll_transmit(wire.now()) {
            wire.send(&packet).unwrap();
            continue;
        }
        if over(here) {
            return Ended::Over(wire.now());
        }
        let timer = here.poll_timeout();
        match wire.receive(timer.map_or(deadline, |timer| timer.min(deadline))).unwrap() {
            Received::Frame(frame) => {
                if let Some(trace) = trace.as_deref_mut() {
                    let ms = frame.stamp.at.as_nanos() as f64 / 1e6;
                    writeln!(trace, "{ms:10.3} {:?} {}", frame.dir, describe(&frame.bytes))
                        .unwrap();
                }
                if frame.dir == Dir::Rx {
                    here.handle(&frame.bytes, frame.stamp.at);
                }
            }
            _ if timer.is_some_and(|timer| timer <= wire.now()) => here.handle_timeout(wire.now()),
            _ if wire.now() >= deadline => return Ended::Deadline,
            _ => {}
        }
    }
    Ended::Storm
}

/// A packet in packetdrill's notation; what is wrong with it where it is broken.
fn describe(bytes: &[u8]) -> String {
    match parse_ip(bytes) {
        Ok((ip, IpPayload::Tcp(inner))) => match Segment::parse(inner) {
            Ok(segment) if checksum::tcp_is_right(ip.src, ip.dst, inner) => segment.to_string(),
            Ok(_) => "bad checksum".to_owned(),
            Err(error) => error.to_string(),
        },
        Ok((_, payload)) => format!("{payload:?}"),
        Err(error) => error.to_string(),
    }
}

/// The seeds of a test: `range`, or the one in the environment variable `SHAKEDOWN_SEED`, for which a
/// trace is wanted.
pub(crate) fn seeds(range: Range<u64>) -> (Range<u64>, bool) {
    match std::env::var("SHAKEDOWN_SEED") {
        Ok(seed) => {
            let seed: u64 = seed.parse().expect("SHAKEDOWN_SEED is a number");
            (seed..seed + 1, true)
        }
        Err(_) => (range, false),
    }
}

/// A pair of bad links drawn from `rng`, each with a loss of up to 30 %.
pub(crate) fn bad_links(rng: &mut Rng) -> [Link; 2] {
    [(); 2].map(|()| Link {
        delay: Duration::from_micros(100 + rng.below(100_000)),
        jitter: Duration::from_micros(rng.below(20_000)),
        loss: 0.3 * rng.unit(),
        duplicate: 0.1 * rng.unit(),
        reorder: 0.1 * rng.unit(),
        reorder_by: Duration::from_micros(rng.below(200_000)),
        corrupt: 0.05 * rng.unit(),
    })
}

/// An end whose initial sequence number is `first`: its own numbers are shifted on the way out, and
/// back on the way in.
pub(crate) struct Shifted<E> {
    pub(crate) inner: E,
    first: SeqNum,
    by: Option<u32>,
}

impl<E> Shifted<E> {
    pub(crate) const fn new(inner: E, first: SeqNum) -> Self {
        Self { inner, first, by: None }
    }
}

/// `bytes` with its segment changed by `change`; unchanged where a bit was flipped on the way, since
/// emitting it anew would heal it.
fn rewritten(bytes: &[u8], change: impl FnOnce(&mut Segment)) -> Vec<u8> {
    let Ok((ip, IpPayload::Tcp(inner))) = parse_ip(bytes) else { return bytes.to_vec() };
    let right = checksum::tcp_is_right(ip.src, ip.dst, inner);
    let Some(mut segment) = Segment::parse(inner).ok().filter(|_| right) else {
        return bytes.to_vec();
    };
    change(&mut segment);
    Packet { ip, segment }.emit().unwrap()
}

impl<E: Endpoint> Endpoint for Shifted<E> {
    fn handle(&mut self, packet: &[u8], now: Instant) {
        let by = self.by.unwrap_or(0);
        let packet = rewritten(packet, |segment| {
            segment.ack = segment.ack - by;
            for option in &mut segment.options {
                if let TcpOption::Sack(blocks) = option {
                    for (left, right) in blocks {
                        (*left, *right) = (*left - by, *right - by);
                    }
                }
            }
        });
        self.inner.handle(&packet, now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        let packet = self.inner.poll_transmit(now)?;
        Some(rewritten(&packet, |segment| {
            let by = *self.by.get_or_insert(self.first.offset_from(segment.seq));
            segment.seq += by;
        }))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.inner.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.inner.handle_timeout(now);
    }
}
