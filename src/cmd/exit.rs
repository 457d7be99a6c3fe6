//! Exit statuses.

use std::process::ExitCode;

use crate::cli::Expect;
use crate::event::Outcome;

/// What a run comes to, for the program that called us. The order is that of gravity: several
/// targets together have the gravest of theirs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ExitStatus {
    /// The peer did what was asked: 0.
    AsAsked,
    /// The peer answered otherwise, or not at all: 1.
    Otherwise,
    /// Nothing could be measured, by a wrong usage, an unknown name, a missing privilege or
    /// a disturbance of our own host: 2.
    NotMeasured,
}

impl ExitStatus {
    /// That of a run that ended with `outcome`, which was wanted or not. Where our own host interfered,
    /// nothing was measured, whatever was wanted.
    #[must_use]
    pub const fn of(outcome: Outcome, as_expected: bool) -> Self {
        match outcome {
            Outcome::LocalInterference => Self::NotMeasured,
            _ if as_expected => Self::AsAsked,
            _ => Self::Otherwise,
        }
    }

    /// The number that the process exits with.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::AsAsked => 0,
            Self::Otherwise => 1,
            Self::NotMeasured => 2,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

/// The answers that count as what was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted(Vec<Expect>);

impl Wanted {
    /// Those of `--expect`, or `usual` where it was not given.
    #[must_use]
    pub fn new(expect: &[Expect], usual: Expect) -> Self {
        Self(if expect.is_empty() { vec![usual] } else { expect.to_vec() })
    }

    /// Whether `outcome` is one of them.
    #[must_use]
    pub fn includes(&self, outcome: Outcome) -> bool {
        self.0.iter().any(|expect| means(*expect, outcome))
    }

    /// The exit status of a run that ended with `outcome`.
    #[must_use]
    pub fn status(&self, outcome: Outcome) -> ExitStatus {
        ExitStatus::of(outcome, self.includes(outcome))
    }
}

/// Whether `outcome` is what the user means by `expect`.
fn means(expect: Expect, outcome: Outcome) -> bool {
    match expect {
        // A handshake that went on to a close was open.
        Expect::Open => matches!(outcome, Outcome::Open | Outcome::Closed),
        Expect::Refused => outcome == Outcome::Refused,
        Expect::Filtered => outcome == Outcome::Filtered,
        // To the user who asks for it, a prohibition is a kind of ICMP's destination unreachable.
        Expect::Unreachable => matches!(outcome, Outcome::Unreachable | Outcome::Prohibited),
        Expect::Prohibited => outcome == Outcome::Prohibited,
        Expect::Closed => outcome == Outcome::Closed,
        Expect::Reset => outcome == Outcome::Reset,
        Expect::Timeout => outcome == Outcome::TimedOut,
        Expect::StillOpen => outcome == Outcome::StillOpen,
        Expect::OtherShape => outcome == Outcome::OtherShape,
        Expect::Invalid => outcome == Outcome::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTCOMES: [Outcome; 13] = [
        Outcome::Open,
        Outcome::Refused,
        Outcome::Filtered,
        Outcome::Unreachable,
        Outcome::Prohibited,
        Outcome::Invalid,
        Outcome::Closed,
        Outcome::Reset,
        Outcome::TimedOut,
        Outcome::StillOpen,
        Outcome::OtherShape,
        Outcome::Interrupted,
        Outcome::LocalInterference,
    ];

    #[test]
    fn each_answer_has_its_exit_status() {
        use Expect as E;
        // One digit for each of OUTCOMES.
        for (expect, statuses) in [
            (E::Open, "0111110111112"),
            (E::Refused, "1011111111112"),
            (E::Filtered, "1101111111112"),
            (E::Unreachable, "1110011111112"),
            (E::Prohibited, "1111011111112"),
            (E::Invalid, "1111101111112"),
            (E::Closed, "1111110111112"),
            (E::Reset, "1111111011112"),
            (E::Timeout, "1111111101112"),
            (E::StillOpen, "1111111110112"),
            (E::OtherShape, "1111111111012"),
        ] {
            let wanted = Wanted::new(&[expect], E::Open);
            let got: String =
                OUTCOMES.iter().map(|end| wanted.status(*end).code().to_string()).collect();
            assert_eq!(got, statuses, "{expect:?}");
        }
    }

    #[test]
    fn several_answers_may_be_wanted_and_none_means_the_usual_one() {
        let either = Wanted::new(&[Expect::Refused, Expect::Filtered], Expect::Open);
        assert_eq!(either.status(Outcome::Refused), ExitStatus::AsAsked);
        assert_eq!(either.status(Outcome::Filtered), ExitStatus::AsAsked);
        assert_eq!(either.status(Outcome::Open), ExitStatus::Otherwise);
        assert_eq!(Wanted::new(&[], Expect::Closed).status(Outcome::Closed), ExitStatus::AsAsked);
        assert_eq!(Wanted::new(&[], Expect::Closed).status(Outcome::Open), ExitStatus::Otherwise);
    }

    #[test]
    fn several_targets_have_the_gravest_status_of_theirs() {
        let all = [ExitStatus::AsAsked, ExitStatus::NotMeasured, ExitStatus::Otherwise];
        assert_eq!(all.into_iter().max(), Some(ExitStatus::NotMeasured));
    }
}
