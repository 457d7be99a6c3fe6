//! `--rate auto`: the highest rate at which nothing is lost, found by what is answered.
//!
//! The walk is pseudo-random, so that the share of targets that answer is the same at every rate, as
//! long as nothing is lost. Rates are tried one after another, each for an epoch; an epoch's share of
//! first answers to first SYNs is compared with the share at rates that are far from the limit.
//!
//! **The verdict.** One-sided, by the normal score test of two shares: lossy where the share is lower
//! by more than 3.72 standard errors (one false alarm in 10,000 looks) and by more than a hundredth of
//! itself. An epoch is looked at when its expected answers have doubled, about eight times, so that
//! less than one epoch in a thousand is called lossy falsely. It is clean when a drop that matters
//! would have stood out by 5 standard errors (nine of ten such drops are seen at 3.72) and did not: a
//! half while the rate is doubled, 8 % in the search. Answers to a SYN are counted for `grace` only: a
//! peer's retransmission of its SYN-ACK must not hide that the first was lost. Where all answers come
//! soon, four times as long as the slowest of them is enough. What the kernel tells
//! (our receive ring overflowed, a frame was refused, ICMP source quench) is lossy at once.
//!
//! **The search.** Double while clean. At the first loss, measure the share anew at a quarter of that
//! rate, then halve the interval until it is narrower than 6 %, and settle 8 % below its clean end: a
//! loss just too small to be seen does not stay. From time to time, and the less often the more often
//! it failed, a higher rate is tried. A loss after that means that the path has changed: back off to
//! seven tenths, and search again from where it is clean.
//!
//! With too few answers there is no verdict, and the rate stays: at a share of 1 in 1000, settling
//! takes some hundred thousand SYNs for each try.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::{Instant, nanos_of};

/// Sendings are counted in buckets of this many nanoseconds.
const BUCKET: u64 = 50_000_000;
/// Buckets after a change of the rate that belong to neither.
const SETTLE: u64 = 2;
/// Buckets of an epoch at least: a queue on the way must have had the time to fill. While doubling less
/// will do: what is overlooked, the next epoch shows.
const LEAST: u64 = 10;
const LEAST_DOUBLING: u64 = 4;
/// How often as long as the slowest answer so far is waited for an answer, and what is added.
const PATIENCE: u32 = 4;
const SLACK: Duration = Duration::from_millis(50);
/// Standard errors of a drop that is an alarm.
const ALARM: f64 = 3.72;
/// Standard errors that a drop must be worth before its absence means anything.
const POWER: f64 = 5.0;
/// The drop that is looked for while doubling, and in the search.
const COARSE: f64 = 0.5;
const FINE: f64 = 0.08;
/// Drops below this share of the share are nobody's business.
const TRIFLE: f64 = 0.01;
/// Expected answers at the first look.
const FIRST_LOOK: f64 = 32.0;
/// The interval of the search is narrow enough.
const NARROW: f64 = 1.06;
/// So far below the highest clean rate it settles.
const MARGIN: f64 = 0.92;
const BACK_OFF: f64 = 0.7;
/// What is tried after a rest, over the rate that is held.
const CLIMB: f64 = 1.25;
/// Clean epochs before the first such try, and the most there will be between two.
const REST: u32 = 8;
const LONGEST_REST: u32 = 256;
/// After so many retreats in a row, it is the targets that have changed and not the path.
const RETREATS: u32 = 6;

/// Between what, in SYNs a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// The first rate.
    pub start: u64,
    /// The lowest rate to back off to, from 1.
    pub least: u64,
    /// The highest rate to try: what the transmit path can do.
    pub most: u64,
    /// How long an answer may take at most to be counted; below 1 s (see the [module](self)).
    pub grace: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { start: 10_000, least: 100, most: 20_000_000, grace: Duration::from_millis(800) }
    }
}

/// What the governor is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Doubling while nothing is lost.
    Doubling,
    /// Measuring the share of answers far below the limit.
    Measuring,
    /// Between a clean and a lossy rate.
    Searching,
    /// At the rate that was found.
    Holding,
    /// Trying more than was found before.
    Climbing,
    /// Backing off: something is lost that was not before.
    Retreating,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    sent: f64,
    answered: f64,
}

impl Sample {
    fn share(self) -> f64 {
        if self.sent > 0.0 { self.answered / self.sent } else { 0.0 }
    }

    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.answered += other.answered;
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Clean,
    Lossy,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Governor {
    bounds: Bounds,
    rate: f64,
    phase: Phase,
    /// The highest clean and the lowest lossy rate, as far as the search has come.
    clean: f64,
    lossy: f64,
    /// The share at rates without loss.
    base: Sample,
    epoch: Sample,
    /// The epoch's first bucket, and how many of its buckets are ripe.
    from: u64,
    ripe: u64,
    /// Expected answers at the next look.
    look: f64,
    trouble: bool,
    /// The longest that an answer took which was no repetition.
    slowest: Option<Duration>,
    /// Sent and answered by bucket, of those that are not ripe; the number of the first.
    buckets: VecDeque<Sample>,
    first: u64,
    /// Clean epochs at the held rate, and how many there must be before a try.
    rested: u32,
    rest: u32,
    retreats: u32,
}

impl Governor {
    /// A governor that begins at the first rate.
    #[must_use]
    pub fn new(bounds: Bounds, now: Instant) -> Self {
        let mut governor = Self {
            bounds,
            rate: 1.0,
            phase: Phase::Doubling,
            clean: 0.0,
            lossy: f64::INFINITY,
            base: Sample::default(),
            epoch: Sample::default(),
            from: 0,
            ripe: 0,
            look: FIRST_LOOK,
            trouble: false,
            slowest: None,
            buckets: VecDeque::new(),
            first: bucket_of(now),
            rested: 0,
            rest: REST,
            retreats: 0,
        };
        governor.go(bounds.start as f64, Phase::Doubling, now);
        governor
    }

    /// SYNs of the first pass have left. Those of later passes go to targets that are mostly silent:
    /// they are paced, too, but not counted here.
    pub fn sent(&mut self, syns: u64, now: Instant) {
        if let Some(bucket) = self.bucket(bucket_of(now)) {
            bucket.sent += syns as f64;
        }
    }

    /// A first answer came at `now` for a SYN of the first pass that had left at `sent_at`.
    pub fn answered(&mut self, sent_at: Instant, now: Instant) {
        let number = bucket_of(sent_at);
        // Not one that is yet to be sent, whatever an echo says.
        if number < self.first + self.buckets.len() as u64
            && let Some(bucket) = self.bucket(number)
        {
            bucket.answered += 1.0;
            let took = now.since(sent_at);
            if took < self.bounds.grace {
                self.slowest = self.slowest.max(Some(took));
            }
        }
    }

    /// The kernel told of a loss at this rate: the receive ring overflowed, a frame was refused for
    /// want of room, or a source quench came.
    pub fn trouble(&mut self, now: Instant) {
        // What is told just after a change is the doing of the rate before.
        self.trouble |= bucket_of(now) >= self.from;
    }

    /// SYNs a second from now on. Call it every few milliseconds.
    pub fn rate(&mut self, now: Instant) -> u64 {
        self.ripen(now);
        if let Some(verdict) = self.verdict() {
            self.turn(verdict, now);
        }
        self.rate.round() as u64
    }

    /// What it is doing.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    fn bucket(&mut self, number: u64) -> Option<&mut Sample> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        // A minute of silence is not worth a bucket each: they are ripe at the next look.
        if index > 4096 {
            self.buckets.clear();
            self.first = number;
            return self.bucket(number);
        }
        if index >= self.buckets.len() {
            self.buckets.resize(index + 1, Sample::default());
        }
        self.buckets.get_mut(index)
    }

    /// Counts the buckets whose answers had their time.
    fn ripen(&mut self, now: Instant) {
        let soon = self.slowest.map(|slowest| slowest.saturating_mul(PATIENCE) + SLACK);
        let grace = soon.map_or(self.bounds.grace, |soon| soon.min(self.bounds.grace));
        let ripe = bucket_of(now.saturating_sub(grace));
        while self.first < ripe {
            let Some(sample) = self.buckets.pop_front() else {
                self.first = ripe;
                return;
            };
            if self.first >= self.from && sample.sent > 0.0 {
                self.epoch.add(sample);
                self.ripe += 1;
            }
            self.first += 1;
        }
    }

    /// What the epoch shows, if it shows anything yet.
    fn verdict(&mut self) -> Option<Verdict> {
        if self.trouble {
            return Some(Verdict::Lossy);
        }
        let measuring = self.base.sent == 0.0 || self.phase == Phase::Measuring;
        let drop =
            if self.base.sent == 0.0 || self.phase == Phase::Doubling { COARSE } else { FINE };
        let least = if self.phase == Phase::Doubling { LEAST_DOUBLING } else { LEAST };
        if self.ripe < least {
            return None;
        }
        if measuring {
            // As good as two epochs of which each has half of the variance.
            let share = self.epoch.share();
            let error = POWER * POWER * 2.0 * (1.0 - share) / self.epoch.sent;
            let enough = self.epoch.answered >= FIRST_LOOK && error <= drop * drop * share;
            return enough.then_some(Verdict::Clean);
        }
        let (base, share) = (self.base.share(), self.epoch.share());
        let sizes = 1.0 / self.base.sent + 1.0 / self.epoch.sent;
        let expected = base * self.epoch.sent;
        let enough =
            expected >= FIRST_LOOK && POWER * POWER * (1.0 - base) * sizes <= drop * drop * base;
        if expected < self.look && !enough {
            return None;
        }
        self.look = self.look.max(expected) * 2.0;
        let mut pooled = self.base;
        pooled.add(self.epoch);
        // Half an answer missing, so that a share of one is not certainty.
        let pooled = pooled.share() - 0.5 / pooled.sent;
        let error = (pooled * (1.0 - pooled) * sizes).sqrt();
        if base - share > ALARM * error && base - share > TRIFLE * base {
            return Some(Verdict::Lossy);
        }
        enough.then_some(Verdict::Clean)
    }

    fn turn(&mut self, verdict: Verdict, now: Instant) {
        match (self.phase, verdict) {
            (Phase::Doubling, Verdict::Clean) => self.double(now),
            (Phase::Doubling, Verdict::Lossy) if self.base.sent == 0.0 => {
                self.go(self.rate / 2.0, Phase::Doubling, now);
            }
            (Phase::Doubling, Verdict::Lossy) => {
                self.lossy = self.rate;
                // The rates that passed before may have lost a little.
                self.go(self.rate / 4.0, Phase::Measuring, now);
            }
            (Phase::Measuring, Verdict::Clean) => {
                self.base = self.epoch;
                self.clean = self.rate;
                self.search(now);
            }
            (Phase::Measuring, Verdict::Lossy) => {
                self.lossy = self.rate;
                self.go(self.rate / 4.0, Phase::Measuring, now);
            }
            (Phase::Searching, Verdict::Clean) => {
                self.clean = self.rate;
                self.search(now);
            }
            (Phase::Searching, Verdict::Lossy) => {
                self.lossy = self.rate;
                self.search(now);
            }
            (Phase::Holding, Verdict::Clean) => self.rest(now),
            (Phase::Climbing, Verdict::Clean) => {
                self.clean = self.rate;
                self.rest = REST;
                self.climb(now);
            }
            (Phase::Climbing, Verdict::Lossy) => {
                self.lossy = self.rate;
                self.rest = (self.rest * 2).min(LONGEST_REST);
                self.search(now);
            }
            (Phase::Retreating, Verdict::Clean) => {
                self.clean = self.rate;
                self.lossy = self.rate / BACK_OFF;
                self.search(now);
            }
            (Phase::Holding | Phase::Retreating, Verdict::Lossy) => self.retreat(now),
        }
    }

    fn double(&mut self, now: Instant) {
        self.clean = self.rate;
        self.base.add(self.epoch);
        if self.rate >= self.bounds.most as f64 {
            // Nothing higher to try; the share is that of a rate without a visible loss.
            return self.go(self.rate, Phase::Holding, now);
        }
        self.go(self.rate * 2.0, Phase::Doubling, now);
    }

    fn search(&mut self, now: Instant) {
        if self.lossy <= self.clean * NARROW {
            self.rested = 0;
            return self.go(self.clean * MARGIN, Phase::Holding, now);
        }
        self.go(f64::midpoint(self.clean, self.lossy), Phase::Searching, now);
    }

    fn rest(&mut self, now: Instant) {
        self.retreats = 0;
        self.rested += 1;
        // What is long past fades, so that a slow change of the targets is followed.
        if self.base.sent > 16.0 * self.epoch.sent {
            self.base.sent /= 2.0;
            self.base.answered /= 2.0;
        }
        self.base.add(self.epoch);
        if self.rested >= self.rest && self.rate < self.bounds.most as f64 {
            self.rested = 0;
            self.clean = self.rate;
            return self.climb(now);
        }
        self.go(self.rate, Phase::Holding, now);
    }

    fn climb(&mut self, now: Instant) {
        if self.rate >= self.bounds.most as f64 {
            return self.go(self.rate, Phase::Holding, now);
        }
        self.go(self.rate * CLIMB, Phase::Climbing, now);
    }

    fn retreat(&mut self, now: Instant) {
        self.retreats += 1;
        if self.retreats > RETREATS {
            self.retreats = 0;
            self.lossy = self.rate / BACK_OFF;
            return self.go(self.rate, Phase::Measuring, now);
        }
        self.go(self.rate * BACK_OFF, Phase::Retreating, now);
    }

    /// Begins an epoch.
    fn go(&mut self, rate: f64, phase: Phase, now: Instant) {
        let least = self.bounds.least.max(1) as f64;
        let rate = rate.clamp(least, least.max(self.bounds.most as f64));
        let settle = if rate.to_bits() == self.rate.to_bits() { 0 } else { SETTLE };
        self.rate = rate;
        self.phase = phase;
        self.from = bucket_of(now) + 1 + settle;
        self.epoch = Sample::default();
        self.ripe = 0;
        self.look = FIRST_LOOK;
        self.trouble = false;
    }
}

fn bucket_of(at: Instant) -> u64 {
    nanos_of(at.since(Instant::ZERO)) / BUCKET
}

#[cfg(test)]
#[path = "governor_tests.rs"]
mod tests;
