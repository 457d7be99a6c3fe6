//! How a script says what it found.

use std::time::Duration;

use crate::event::{Figure, FigureValue, Finding, Verdict};

/// A finding that ends a script where it stands: by `?`.
#[derive(Clone, PartialEq, Debug)]
pub struct Stop(pub Box<Finding>);

/// What a script comes to.
pub type Ruling = Result<Finding, Stop>;

impl From<Finding> for Stop {
    fn from(finding: Finding) -> Self {
        Self(Box::new(finding))
    }
}

/// The finding of a ruling, however it came about.
#[must_use]
pub fn finding_of(ruling: Ruling) -> Finding {
    ruling.unwrap_or_else(|stop| *stop.0)
}

/// A finding with this verdict.
pub fn found(verdict: Verdict, observed: impl Into<String>) -> Finding {
    Finding { verdict, observed: observed.into(), figures: Vec::new() }
}

/// It did what the rule says.
pub fn pass(observed: impl Into<String>) -> Finding {
    found(Verdict::Pass, observed)
}

/// A MUST is broken.
pub fn fail(observed: impl Into<String>) -> Finding {
    found(Verdict::Fail, observed)
}

/// A SHOULD is not met.
pub fn warn(observed: impl Into<String>) -> Finding {
    found(Verdict::Warn, observed)
}

/// A known and harmless deviation.
pub fn tolerated(observed: impl Into<String>) -> Finding {
    found(Verdict::Tolerated, observed)
}

/// What was seen, where there is no right and wrong.
pub fn info(observed: impl Into<String>) -> Finding {
    found(Verdict::Info, observed)
}

/// It cannot be decided.
pub fn inconclusive(observed: impl Into<String>) -> Stop {
    found(Verdict::Inconclusive, observed).into()
}

/// It cannot be asked here.
pub fn not_applicable(observed: impl Into<String>) -> Stop {
    found(Verdict::NotApplicable, observed).into()
}

impl Finding {
    /// With an interval that was measured.
    #[must_use]
    pub fn time(self, name: &'static str, value: Duration) -> Self {
        self.figure(name, FigureValue::Time(value))
    }

    /// With something that was counted.
    #[must_use]
    pub fn count(self, name: &'static str, value: u64) -> Self {
        self.figure(name, FigureValue::Count(value))
    }

    /// With any figure.
    #[must_use]
    pub fn figure(mut self, name: &'static str, value: FigureValue) -> Self {
        self.figures.push(Figure { name, value });
        self
    }
}
