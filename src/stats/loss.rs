//! What became of every probe, each counted exactly once.

/// What a TCP answer or an ICMP error said of a probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A SYN-ACK, or whatever the method asks the service for.
    Open,
    /// A RST: the host answered, the service did not.
    Refused,
    /// An ICMP error about the probe.
    Icmp,
}

impl Answer {
    /// The word in machine-readable output: `open`, `refused`, `icmp`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Refused => "refused",
            Self::Icmp => "icmp",
        }
    }
}

/// The fate of the first packet of a probe that was repeated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FirstTry {
    /// The answer is to the first packet: nothing was repeated, or the answer proves it.
    Answered,
    /// The answer is to a repetition, which it proves.
    Lost,
    /// There were several packets and the answer may be to any of them (Karn's ambiguity).
    Unknown,
}

impl FirstTry {
    /// The word in machine-readable output: `answered`, `lost`, `unknown`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Lost => "lost",
            Self::Unknown => "unknown",
        }
    }
}

/// How a probe that was in flight was settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// An answer came in time.
    Answered {
        /// What it said.
        answer: Answer,
        /// Packets sent for this probe until then, from 1.
        attempts: u32,
        /// Which of them it answers.
        first: FirstTry,
    },
    /// Its time ran out.
    Lost,
}

/// What became of one probe: the classes of [`Counts`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fate {
    /// See [`Counts::answered`].
    Answered,
    /// See [`Counts::ambiguous`].
    Ambiguous,
    /// See [`Counts::refused`].
    Refused,
    /// See [`Counts::icmp`].
    Icmp,
    /// See [`Counts::late`].
    Late,
    /// See [`Counts::lost`].
    Lost,
    /// See [`Counts::in_flight`].
    InFlight,
}

impl Fate {
    /// The word in machine-readable output: `answered`, `ambiguous`, `refused`, `icmp`, `late`,
    /// `lost`, `in-flight`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Ambiguous => "ambiguous",
            Self::Refused => "refused",
            Self::Icmp => "icmp",
            Self::Late => "late",
            Self::Lost => "lost",
            Self::InFlight => "in-flight",
        }
    }
}

impl Settled {
    /// The class into which it falls.
    #[must_use]
    pub const fn fate(self) -> Fate {
        match self {
            Self::Lost => Fate::Lost,
            Self::Answered { answer: Answer::Icmp, .. } => Fate::Icmp,
            Self::Answered { first: FirstTry::Unknown, .. } => Fate::Ambiguous,
            Self::Answered { answer: Answer::Open, .. } => Fate::Answered,
            Self::Answered { answer: Answer::Refused, .. } => Fate::Refused,
        }
    }
}

/// How many probes ended in each class. The classes exclude each other: their sum is `sent`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Probes sent, repetitions not counted.
    pub sent: u64,
    /// Answered by the service in time, and it is known which packet was answered.
    pub answered: u64,
    /// Answered by service or host in time, but after a repetition and without proof of which packet
    /// was answered: no interval can be told (Karn).
    pub ambiguous: u64,
    /// Answered by RST in time: an interval of the host, not of the service.
    pub refused: u64,
    /// Answered by an ICMP error, in time or late.
    pub icmp: u64,
    /// Answered by a TCP, service or host, after their time had run out: slow, not lost.
    pub late: u64,
    /// Not answered, and their time has run out.
    pub lost: u64,
    /// Not answered, and their time has not run out: neither answered nor lost.
    pub in_flight: u64,

    /// Probes whose first packet was answered. This and the following two classes exclude each
    /// other: with `in_flight`, their sum is `sent`.
    pub first_answered: u64,
    /// Probes whose first packet was not answered in time.
    pub first_lost: u64,
    /// Probes of which that cannot be told.
    pub first_unknown: u64,

    /// Answers beyond the first to a probe that had one.
    pub duplicates: u64,
    /// Answers that came after the answer to a later probe (RFC 4737 §3.3).
    pub reordered: u64,
    /// Packets of probes that a TCP answered (SYN-ACK or RST), repetitions counted.
    pub attempts_of_successes: u64,
    /// Probes that a TCP answered: those in `attempts_of_successes`.
    pub successes: u64,
}

impl Counts {
    /// Probes whose fate is known: all but those in flight.
    #[must_use]
    pub const fn decided(&self) -> u64 {
        self.sent - self.in_flight
    }

    /// Probes that a TCP answered, the service's or the host's, however late: ping's `received`.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.answered + self.ambiguous + self.refused + self.late
    }

    /// Percent of the decided probes that no TCP answered, as ping computes its `packet loss`: ICMP
    /// errors included, those in flight left out.
    #[must_use]
    pub fn unanswered_percent(&self) -> Option<f64> {
        percent(self.decided() - self.received(), self.decided())
    }

    /// Percent of the decided probes that were lost, 0 to 100; absent while none is decided.
    #[must_use]
    pub fn lost_percent(&self) -> Option<f64> {
        percent(self.lost, self.decided())
    }

    /// Percent of the decided probes that were answered late.
    #[must_use]
    pub fn late_percent(&self) -> Option<f64> {
        percent(self.late, self.decided())
    }

    /// Percent of the probes with a known first try whose first packet was lost: the network's loss,
    /// which repetitions hide.
    #[must_use]
    pub fn first_lost_percent(&self) -> Option<f64> {
        percent(self.first_lost, self.first_lost + self.first_answered)
    }

    /// Packets sent per probe that a TCP answered, from 1; absent without one.
    #[must_use]
    pub fn attempts_per_success(&self) -> Option<f64> {
        ratio(self.attempts_of_successes, self.successes)
    }

    /// Adds every count of `other`.
    pub const fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.ambiguous += other.ambiguous;
        self.refused += other.refused;
        self.icmp += other.icmp;
        self.late += other.late;
        self.lost += other.lost;
        self.in_flight += other.in_flight;
        self.first_answered += other.first_answered;
        self.first_lost += other.first_lost;
        self.first_unknown += other.first_unknown;
        self.duplicates += other.duplicates;
        self.reordered += other.reordered;
        self.attempts_of_successes += other.attempts_of_successes;
        self.successes += other.successes;
    }
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    ratio(part, whole).map(|ratio| ratio * 100.0)
}

/// Absent rather than NaN.
fn ratio(part: u64, whole: u64) -> Option<f64> {
    #[allow(clippy::cast_precision_loss)] // exact below 2^53 probes
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The account of one target and phase.
///
/// Each probe is reported by [`Loss::sent`], then at most once by [`Loss::settle`], and after it was
/// settled as lost at most once by [`Loss::answer_late`]; the arrival of its first answer, which may be
/// well before it is settled, by [`Loss::arrived`]. A report that has nothing to settle is not
/// counted, and says so by `false`: the sums hold whatever comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Loss {
    counts: Counts,
    /// The latest probe that was answered.
    latest: Option<u64>,
}

impl Loss {
    /// An account without probes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was counted.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// A probe left; it is in flight now.
    pub const fn sent(&mut self) {
        self.counts.sent += 1;
        self.counts.in_flight += 1;
    }

    /// A probe was answered or lost. Returns whether one was in flight.
    pub fn settle(&mut self, how: Settled) -> bool {
        let counts = &mut self.counts;
        if counts.in_flight == 0 {
            return false;
        }
        counts.in_flight -= 1;
        match how.fate() {
            Fate::Answered => counts.answered += 1,
            Fate::Ambiguous => counts.ambiguous += 1,
            Fate::Refused => counts.refused += 1,
            Fate::Icmp => counts.icmp += 1,
            // A settled probe is none of the others.
            Fate::Lost | Fate::Late | Fate::InFlight => counts.lost += 1,
        }
        let Settled::Answered { answer, attempts, first } = how else {
            counts.first_lost += 1;
            return true;
        };
        match first {
            FirstTry::Answered => counts.first_answered += 1,
            FirstTry::Lost => counts.first_lost += 1,
            FirstTry::Unknown => counts.first_unknown += 1,
        }
        self.succeeded(answer, attempts);
        true
    }

    /// An answer came to a probe which was settled as lost after `attempts` packets: it is late
    /// instead, or `icmp`. Its first packet stays lost: no answer to it came in time. Returns whether a lost one
    /// was there.
    pub fn answer_late(&mut self, answer: Answer, attempts: u32) -> bool {
        if self.counts.lost == 0 {
            return false;
        }
        self.counts.lost -= 1;
        match answer {
            Answer::Icmp => self.counts.icmp += 1,
            Answer::Open | Answer::Refused => self.counts.late += 1,
        }
        self.succeeded(answer, attempts);
        true
    }

    /// A further answer came to a probe that had one.
    pub const fn duplicate(&mut self) {
        self.counts.duplicates += 1;
    }

    /// Takes another account in. What is reordered is known within each alone.
    pub const fn merge(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.latest = None;
    }

    fn succeeded(&mut self, answer: Answer, attempts: u32) {
        if answer != Answer::Icmp {
            self.counts.successes += 1;
            self.counts.attempts_of_successes += u64::from(attempts);
        }
    }

    /// The first answer to probe number `index` of this target, in the order of sending, has arrived.
    pub fn arrived(&mut self, index: u64) {
        if self.latest.is_some_and(|latest| index < latest) {
            self.counts.reordered += 1;
        }
        self.latest = self.latest.max(Some(index));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(answer: Answer, attempts: u32, first: FirstTry) -> Settled {
        Settled::Answered { answer, attempts, first }
    }

    #[test]
    fn nothing_sent_is_no_loss_of_zero() {
        let counts = *Loss::new().counts();
        assert_eq!(counts.lost_percent(), None);
        assert_eq!(counts.first_lost_percent(), None);
        assert_eq!(counts.late_percent(), None);
        assert_eq!(counts.attempts_per_success(), None);
    }

    #[test]
    fn a_probe_in_flight_is_neither_lost_nor_answered() {
        let mut loss = Loss::new();
        loss.sent();
        loss.sent();
        assert!(loss.settle(answered(Answer::Open, 1, FirstTry::Answered)));
        assert_eq!(loss.counts().in_flight, 1);
        assert_eq!(loss.counts().lost_percent(), Some(0.0));
        assert!(loss.settle(Settled::Lost));
        assert_eq!(loss.counts().lost_percent(), Some(50.0));
        assert!(!loss.settle(Settled::Lost), "nothing is in flight");
        assert_eq!(loss.counts().lost, 1);
    }

    #[test]
    fn a_late_answer_is_no_loss_but_its_first_try_was() {
        let mut loss = Loss::new();
        loss.sent();
        assert!(!loss.answer_late(Answer::Open, 2), "it was not given up yet");
        loss.settle(Settled::Lost);
        assert!(loss.answer_late(Answer::Open, 2));
        let counts = loss.counts();
        assert_eq!((counts.lost, counts.late, counts.first_lost), (0, 1, 1));
        assert_eq!(counts.lost_percent(), Some(0.0));
        assert_eq!(counts.attempts_per_success(), Some(2.0));
    }

    #[test]
    fn a_repeated_first_packet_shows_in_first_try_loss_alone() {
        let mut loss = Loss::new();
        for first in [FirstTry::Answered, FirstTry::Lost, FirstTry::Unknown, FirstTry::Answered] {
            loss.sent();
            let attempts = if first == FirstTry::Answered { 1 } else { 2 };
            loss.settle(answered(Answer::Open, attempts, first));
        }
        let counts = loss.counts();
        assert_eq!(counts.lost_percent(), Some(0.0));
        assert_eq!((counts.answered, counts.ambiguous), (3, 1));
        assert!(counts.first_lost_percent().is_some_and(|p| (p - 100.0 / 3.0).abs() < 1e-9));
        assert_eq!(counts.attempts_per_success(), Some(1.5));
    }

    #[test]
    fn an_answer_that_was_overtaken_is_reordered_once() {
        let mut loss = Loss::new();
        (0..4).for_each(|_| loss.sent());
        for index in [0, 3, 1, 2] {
            loss.arrived(index);
            loss.settle(answered(Answer::Refused, 1, FirstTry::Answered));
        }
        assert_eq!(loss.counts().reordered, 2);
        assert_eq!(loss.counts().refused, 4);
    }
}
