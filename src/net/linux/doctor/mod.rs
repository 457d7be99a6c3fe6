//! What this host can do, and what is missing: facts only, for others to print.
//!
//! What can be tried is tried, not guessed from version numbers.

mod host;
mod interface;
mod rights;

use std::net::IpAddr;

/// How good a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Status {
    /// As it should be.
    Good,
    /// A fact that is neither good nor bad.
    Info,
    /// It works, with a restriction.
    Limited,
    /// It does not work.
    Missing,
}

/// One line of the examination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What was examined, in a word or two.
    pub topic: &'static str,
    /// How good it is.
    pub status: Status,
    /// What was found, in one line.
    pub text: String,
    /// What to do about it, where there is something to do: a command, or a short sentence.
    pub remedy: Option<String>,
}

impl Finding {
    fn new(topic: &'static str, status: Status, text: impl Into<String>) -> Self {
        Self { topic, status, text: text.into(), remedy: None }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Examines this host, and the way to `target` where one is given; otherwise the loopback stands
/// in for it.
#[must_use]
pub fn examine(target: Option<IpAddr>) -> Vec<Finding> {
    let mut findings = rights::examine();
    findings.extend(interface::examine(target));
    findings.extend(host::examine());
    findings
}

/// The text of a file of the kernel's, without the newline; `None` where it cannot be read.
fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_is_one_line_and_every_lack_has_a_remedy() {
        for target in [None, Some("224.0.0.1".parse().unwrap())] {
            let findings = examine(target);
            for finding in &findings {
                assert!(!finding.text.contains('\n'), "{finding:?}");
                if finding.status == Status::Missing {
                    assert!(finding.remedy.is_some(), "{finding:?}");
                }
            }
            for topic in ["capability", "guard", "route", "user namespace", "kernel"] {
                assert!(findings.iter().any(|it| it.topic == topic), "{topic}");
            }
        }
    }

    #[test]
    fn a_target_that_cannot_be_reached_is_missing_with_the_reason() {
        let findings = examine(Some("224.0.0.1".parse().unwrap()));
        let route = findings.iter().find(|it| it.topic == "route").unwrap();
        assert_eq!(route.status, Status::Missing);
        assert!(route.text.starts_with("224.0.0.1 is a multicast address"));
    }
}
