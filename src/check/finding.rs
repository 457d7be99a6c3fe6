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

/// What the variants of one check come to together: the gravest verdict, and which of them gave it.
///
/// # Errors
/// A [`Stop`] where the gravest is one.
pub fn gravest(parts: Vec<(&'static str, Ruling)>) -> Ruling {
    let parts: Vec<(&str, Finding)> =
        parts.into_iter().map(|(name, ruling)| (name, finding_of(ruling))).collect();
    let Some(verdict) = parts.iter().map(|(_, finding)| finding.verdict).max() else {
        return Err(not_applicable("there is nothing to ask"));
    };
    let guilty: Vec<&(&str, Finding)> =
        parts.iter().filter(|(_, finding)| finding.verdict == verdict).collect();
    let alike = guilty.iter().all(|(_, finding)| finding.observed == guilty[0].1.observed);
    let observed = if alike && guilty.len() == parts.len() {
        guilty[0].1.observed.clone()
    } else {
        let lines: Vec<String> =
            guilty.iter().map(|(name, finding)| format!("{name}: {}", finding.observed)).collect();
        lines.join("; ")
    };
    let mut all = found(verdict, observed);
    all.figures = parts.into_iter().flat_map(|(_, finding)| finding.figures).collect();
    Ok(all)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_variant_decides_and_is_named() {
        let parts =
            vec![("ACK", Ok(pass("RST"))), ("FIN", Ok(fail("silence"))), ("data", Ok(pass("RST")))];
        let all = finding_of(gravest(parts));
        assert_eq!((all.verdict, all.observed.as_str()), (Verdict::Fail, "FIN: silence"));
    }

    #[test]
    fn a_variant_that_cannot_be_decided_does_not_hide_one_that_failed() {
        let parts = vec![("ACK", Err(inconclusive("ICMP"))), ("FIN", Ok(fail("silence")))];
        assert_eq!(finding_of(gravest(parts)).verdict, Verdict::Fail);
        let parts = vec![("ACK", Err(inconclusive("ICMP"))), ("FIN", Ok(pass("RST")))];
        assert_eq!(finding_of(gravest(parts)).observed, "ACK: ICMP");
    }

    #[test]
    fn what_all_variants_say_is_said_once() {
        let parts = vec![("ACK", Ok(pass("RST"))), ("FIN", Ok(pass("RST")))];
        assert_eq!(finding_of(gravest(parts)).observed, "RST");
    }
}
