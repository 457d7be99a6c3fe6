//! How many SYNs and answers were lost, by the passes and by the peers' own retransmissions.
//!
//! **The way out.** Let a target that answers at all stay silent in one pass with probability `s`.
//! Those whose first answer falls into pass k are then a share of s^(k-1) (1-s) of all, cut off after
//! the last pass; `s` is estimated from them by maximum likelihood. That is what a further pass would
//! still find, and `1 - s^passes` is the completeness that arithmetic promises.
//!
//! **The way back.** A lost SYN-ACK is repaired without us: the peer sends it again after about 1 s
//! (RFC 6298 §2.1), then 2, 4 … s later. Of the SYN-ACKs that were sent, a share `g` is lost, so that
//! the ratio of first answers that are one retransmission late to those that are prompt is `g`, no
//! matter how many more there are. It counts only those of the first pass, and only where the pause
//! before the next pass leaves the first retransmission its time: our own second SYN would repair it,
//! too. A peer farther away than 0.9 s is taken for a late one.
//!
//! Both together: a target is silent in the first pass when its SYN was lost, with probability `f`,
//! or its SYN-ACK and all `m` retransmissions of that within the pause: `f + (1-f) g^(m+1)`. `f` is
//! what makes the share of first answers in the first pass what it was.
//!
//! **Refusals.** A RST is not repeated. What the passes tell of refused targets is the loss of both
//! ways together. ICMP errors are left out: their senders limit their rate (RFC 1812 §4.3.2.8), which
//! is no loss.

use std::time::Duration;

use super::mark::Mark;
use super::plan::MAX_PASSES;

/// An answer this long after its SYN, or later, is a repetition.
pub const LATE: Duration = Duration::from_millis(900);
/// The second retransmission is not before 3 s after the SYN.
const SECOND: Duration = Duration::from_millis(2900);
/// From this pause on, the first retransmission has its time before the next pass.
const PAUSE: Duration = Duration::from_millis(1200);

/// An estimate, and how far off it may be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    /// A share, from 0 to 1.
    pub value: f64,
    /// Its standard error. Where nothing was lost, that of a half loss seen.
    pub error: f64,
    /// From so many answers.
    pub of: u64,
}

/// First answers, by pass and lateness.
#[derive(Clone, Debug)]
pub struct Loss {
    passes: u8,
    pause: Duration,
    open: [u64; MAX_PASSES as usize],
    refused: [u64; MAX_PASSES as usize],
    prompt: u64,
    repaired: u64,
}

impl Loss {
    /// For a sweep of so many passes with this pause between them.
    #[must_use]
    pub fn new(passes: u8, pause: Duration) -> Self {
        let passes = passes.clamp(1, MAX_PASSES);
        let none = [0; MAX_PASSES as usize];
        Self { passes, pause, open: none, refused: none, prompt: 0, repaired: 0 }
    }

    /// The first answer of a target: in which pass, and how long after the SYN that it answers, where
    /// that is known.
    pub fn first(&mut self, mark: Mark, pass: u8, age: Option<Duration>) {
        // A retransmission may be so late that the next pass had begun: it was silent in its own.
        let over =
            age.map_or(0, |age| age.as_nanos().checked_div(self.pause.as_nanos()).unwrap_or(0));
        let reached = pass.saturating_add(u8::try_from(over).unwrap_or(u8::MAX));
        let index = usize::from(reached.clamp(1, self.passes)) - 1;
        match mark {
            Mark::Silent | Mark::Unreachable => return,
            Mark::Refused => {
                self.refused[index] += 1;
                return;
            }
            _ => self.open[index] += 1,
        }
        match age {
            Some(age) if pass == 1 && age < LATE => self.prompt += 1,
            Some(age) if pass == 1 && age < self.pause.min(SECOND) => self.repaired += 1,
            _ => {}
        }
    }

    /// The share of targets with a listener that one pass leaves silent, after the peers' repairs.
    #[must_use]
    pub fn silence(&self) -> Option<Estimate> {
        truncated_geometric(&self.open[..usize::from(self.passes)])
    }

    /// The share of SYNs lost on their way out.
    #[must_use]
    pub fn way_out(&self) -> Option<Estimate> {
        let silence = self.silence()?;
        let Some(back) = self.way_back() else { return Some(silence) };
        let share = self.open[0] as f64 / silence.of as f64;
        // The share that answers in the first pass falls as more SYNs are lost.
        let (mut low, mut high) = (0.0_f64, 1.0_f64);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.first_share(middle, back.value) > share { low = middle } else { high = middle }
        }
        let value = if high < 1e-9 { 0.0 } else { f64::midpoint(low, high) };
        let slope = |by_out: f64, by_back: f64| {
            let more = self.first_share((value + by_out).min(1.0), back.value + by_back);
            (more - self.first_share(value, back.value)).abs() / (by_out + by_back)
        };
        let rest = (1.0 - share).max(0.5 / silence.of as f64);
        let own = (share.max(rest) * rest / silence.of as f64).sqrt();
        let error = own.hypot(slope(0.0, 1e-4) * back.error) / slope(1e-4, 0.0).max(1e-3);
        Some(Estimate { value, error, of: silence.of })
    }

    /// Of the targets that answer in some pass, those that do so in the first, where `out` of SYNs and
    /// `back` of SYN-ACKs are lost.
    fn first_share(&self, out: f64, back: f64) -> f64 {
        let unheard = back.powi(self.repairs() + 1);
        // No SYN has reached them; or one has, and nothing came back.
        let (mut fresh, mut held) = (1.0, 0.0);
        for pass in 1..=self.passes {
            // A further SYN draws one SYN-ACK more, and one retransmission or so falls into a pass. The
            // last has a cool-down after it, for those after 1, 3 and 7 s.
            let last = pass == self.passes;
            let lost = if last { back.powi(4).min(unheard) } else { unheard };
            let again = if last { back.powi(3) } else { back };
            held = held * (out + (1.0 - out) * back) * again + fresh * (1.0 - out) * lost;
            fresh *= out;
        }
        (1.0 - out) * (1.0 - unheard) / (1.0 - fresh - held).max(f64::EPSILON)
    }

    /// The share of SYN-ACKs lost on their way back; unknown where send times are, and where the
    /// pause is too short to tell.
    #[must_use]
    pub fn way_back(&self) -> Option<Estimate> {
        if self.pause < PAUSE || self.prompt == 0 {
            return None;
        }
        let (prompt, repaired) = (self.prompt as f64, self.repaired as f64);
        let value = (repaired / prompt).min(1.0);
        // Repaired among both is binomial with share q; the ratio is q / (1 - q).
        let of = prompt + repaired;
        let share = repaired.max(0.5) / of;
        let error = (share * (1.0 - share).max(0.0) / of).sqrt() / (1.0 - share).powi(2);
        Some(Estimate { value, error, of: self.prompt + self.repaired })
    }

    /// The share of probes of refused targets lost on either way.
    #[must_use]
    pub fn round_trip(&self) -> Option<Estimate> {
        truncated_geometric(&self.refused[..usize::from(self.passes)])
    }

    /// Retransmissions of a SYN-ACK that come within the pause: after 1, 3, 7 … s.
    fn repairs(&self) -> i32 {
        let reach = self.pause.as_secs_f64() - 0.1;
        (0..6).filter(|nth| f64::from((2_i32 << nth) - 1) <= reach).count().try_into().unwrap_or(0)
    }
}

/// The completeness that arithmetic promises, where each of the passes fails with probability
/// `silence`. Where SYN-ACKs get lost it is more: their retransmissions go on in later passes.
#[must_use]
pub fn completeness(silence: f64, passes: u8) -> f64 {
    1.0 - silence.clamp(0.0, 1.0).powi(i32::from(passes))
}

/// Targets that would have answered and never did, by the same arithmetic.
#[must_use]
pub fn missed(answered: u64, silence: f64, passes: u8) -> f64 {
    let found = completeness(silence, passes);
    if found > 0.0 { answered as f64 * (1.0 - found) / found } else { 0.0 }
}

/// The probability of a failure, given how often the first success was at the first trial, the second
/// …, the last, with those that had none unseen.
fn truncated_geometric(counts: &[u64]) -> Option<Estimate> {
    let of: u64 = counts.iter().sum();
    if counts.len() < 2 || of == 0 {
        return None;
    }
    let failures: f64 =
        counts.iter().zip(0_u32..).map(|(count, trial)| *count as f64 * f64::from(trial)).sum();
    let mean = failures / of as f64;
    // The mean number of failures grows with p; half of the interval at a time.
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if moments(middle, counts.len()).0 < mean { low = middle } else { high = middle }
    }
    let value = if failures == 0.0 { 0.0 } else { f64::midpoint(low, high) };
    // Fisher's information of ln p is the variance. Where nothing failed, as if half a target had.
    let seen = value.max(0.5 / of as f64);
    let variance = moments(seen, counts.len()).1;
    let error = seen / (of as f64 * variance).sqrt();
    Some(Estimate { value, error, of })
}

/// Mean and variance of the failures before the first success, of those with one within `trials`.
fn moments(p: f64, trials: usize) -> (f64, f64) {
    let (mut weight, mut sum, mut first, mut second) = (1.0, 0.0, 0.0, 0.0);
    for trial in (0_u32..).map(f64::from).take(trials) {
        sum += weight;
        first += weight * trial;
        second += weight * trial * trial;
        weight *= p;
    }
    let mean = first / sum;
    (mean, second / sum - mean * mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Targets with a listener, peers that repeat their SYN-ACK after 1, 3, 7, 15 and 31 s, 20 ms away.
    struct Path {
        state: u64,
        syn: f64,
        back: f64,
    }

    impl Path {
        fn lost(&mut self, share: f64) -> bool {
            self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            let mut mixed = self.state;
            mixed = (mixed ^ mixed >> 33).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
            ((mixed ^ mixed >> 33) >> 11) as f64 / (1_u64 << 53) as f64 - share < 0.0
        }

        /// Which pass the first answer comes in, and how old it is.
        fn open(&mut self, passes: u8, pause: f64) -> Option<(u8, f64)> {
            let mut answers = Vec::new();
            let mut received = false;
            for pass in 1..=passes {
                if self.lost(self.syn) {
                    continue;
                }
                // A SYN that finds the peer in SYN-RECEIVED draws one more SYN-ACK, and moves no timer.
                let lates: &[f64] =
                    if received { &[0.0] } else { &[0.0, 1.0, 3.0, 7.0, 15.0, 31.0] };
                received = true;
                for late in lates {
                    if !self.lost(self.back) {
                        let since = late + 0.02;
                        answers.push((pause * f64::from(pass - 1) + since, pass, since));
                    }
                }
            }
            let first = answers.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
            first.map(|(_, pass, age)| (pass, age))
        }

        fn refused(&mut self, passes: u8) -> Option<u8> {
            (1..=passes).find(|_| !self.lost(self.syn) && !self.lost(self.back))
        }
    }

    fn near(what: &str, estimate: Option<Estimate>, truth: f64) {
        let estimate = estimate.unwrap();
        let off = (estimate.value - truth).abs();
        assert!(off <= 3.0 * estimate.error, "{what}: {estimate:?} for {truth}");
        assert!(estimate.error < 0.01, "{what}: {estimate:?}");
    }

    #[test]
    fn five_and_thirty_percent_of_either_way_are_told_apart() {
        for (seed, (syn, back)) in
            [(0.05, 0.0), (0.3, 0.0), (0.0, 0.05), (0.0, 0.3), (0.05, 0.3), (0.3, 0.3), (0.0, 0.0)]
                .into_iter()
                .enumerate()
        {
            // At the default, one retransmission falls into the pause; at the other, all do.
            for (passes, pause) in [(2, 2.0), (3, 2.0), (5, 2.0), (2, 7.5), (3, 7.5)] {
                let mut path = Path { state: seed as u64 * 1000 + u64::from(passes), syn, back };
                let mut loss = Loss::new(passes, Duration::from_secs_f64(pause));
                let (targets, mut answered) = (20_000, 0);
                for _ in 0..targets {
                    if let Some((pass, age)) = path.open(passes, pause) {
                        loss.first(Mark::Open, pass, Some(Duration::from_secs_f64(age)));
                        answered += 1;
                    }
                    if let Some(pass) = path.refused(passes) {
                        loss.first(Mark::Refused, pass, None);
                    }
                }
                near("out", loss.way_out(), syn);
                near("back", loss.way_back(), back);
                near("both", loss.round_trip(), 1.0 - (1.0 - syn) * (1.0 - back));
                let silence = loss.silence().unwrap();
                let promised = f64::from(targets) * completeness(silence.value, passes);
                // The variance of the number found, and what the error of the silence adds to it.
                let missing = f64::from(targets) * (1.0 - completeness(silence.value, passes));
                let slope = f64::from(passes) * silence.value.powi(i32::from(passes) - 1);
                let spread = missing.max(9.0).sqrt() + f64::from(targets) * slope * silence.error;
                let more = f64::from(answered) - promised;
                assert!(more > -3.0 * spread, "{promised} {answered} {spread}");
                // Repairs that come in a later pass, or in the cool-down, are a gain on top.
                assert!(back > 0.0 || more < 3.0 * spread, "{promised} {answered} {spread}");
            }
        }
    }

    #[test]
    fn standard_errors_are_what_they_say() {
        let mut beyond = 0;
        for seed in 0..300 {
            let mut path = Path { state: seed * 7919, syn: 0.2, back: 0.0 };
            let mut loss = Loss::new(3, Duration::from_secs(2));
            for _ in 0..500 {
                if let Some(pass) = path.refused(3) {
                    loss.first(Mark::Refused, pass, None);
                }
            }
            let estimate = loss.round_trip().unwrap();
            beyond += u32::from((estimate.value - 0.2).abs() > estimate.error);
        }
        // A third of them, give or take three standard deviations of that count.
        assert!((70..=122).contains(&beyond), "{beyond} of 300 beyond one standard error");
    }

    #[test]
    fn what_cannot_be_known_is_absent() {
        let mut loss = Loss::new(1, Duration::ZERO);
        assert_eq!((loss.silence(), loss.way_back(), loss.round_trip()), (None, None, None));
        loss.first(Mark::Open, 1, Some(Duration::from_millis(20)));
        loss.first(Mark::Unreachable, 1, None);
        assert_eq!((loss.silence(), loss.way_back()), (None, None), "one pass tells nothing");
        let mut loss = Loss::new(2, Duration::from_secs(2));
        for _ in 0..1000 {
            loss.first(Mark::Open, 1, Some(Duration::from_millis(20)));
        }
        let estimate = loss.way_out().unwrap();
        assert!(estimate.value == 0.0 && estimate.error > 0.0 && estimate.error < 0.001);
        assert_eq!(loss.round_trip(), None);
    }

    #[test]
    fn two_passes_are_the_textbook_ratio() {
        let mut loss = Loss::new(2, Duration::ZERO);
        for (pass, count) in [(1, 900), (2, 90)] {
            (0..count).for_each(|_| loss.first(Mark::Refused, pass, None));
        }
        assert!((loss.round_trip().unwrap().value - 0.1).abs() < 1e-9);
        assert!((completeness(0.1, 2) - 0.99).abs() < 1e-12);
        assert!((missed(990, 0.1, 2) - 10.0).abs() < 1e-9);
    }
}
