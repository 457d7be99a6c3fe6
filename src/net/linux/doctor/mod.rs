//! What this host can do: facts, without a word of output.
//!
//! Whatever can be tried is tried, not guessed: the guard on loopback, raw sockets, private
//! networks. Nothing of it leaves this host or changes anything that outlives the trial.

mod card;
mod firewall;
mod guarding;
mod host;
mod process;
mod way;

use std::fs;
use std::net::IpAddr;

/// How good a finding is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// As it should be.
    Good,
    /// It works, with a restriction.
    Limited,
    /// Nothing can be measured without it.
    Missing,
    /// Neither good nor bad.
    Info,
}

/// One thing about this host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it is about, in a word.
    pub topic: &'static str,
    /// How good it is.
    pub status: Status,
    /// It, in one line. An interface's name in it may hold anything but blanks and slashes.
    pub text: String,
    /// What to do about it, in one line.
    pub remedy: Option<String>,
}

impl Finding {
    fn new(status: Status, topic: &'static str, text: impl Into<String>) -> Self {
        Self { topic, status, text: text.into(), remedy: None }
    }

    fn good(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(Status::Good, topic, text)
    }

    fn limited(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(Status::Limited, topic, text)
    }

    fn missing(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(Status::Missing, topic, text)
    }

    fn info(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(Status::Info, topic, text)
    }

    fn remedied(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// Looks at this host, and at the way to `target` if there is one; else at the ways to everywhere.
/// The interface is the one named, or else the one that the way leads over.
#[must_use]
pub fn examine(target: Option<IpAddr>, interface: Option<&str>) -> Vec<Finding> {
    let mut findings = vec![process::capability()];
    findings.extend(process::raw_sockets());
    findings.extend(guarding::findings());
    findings.push(process::namespaces());
    let ways = way::find(target, interface);
    findings.extend(ways.findings);
    for interface in &ways.interfaces {
        findings.extend(card::findings(interface));
    }
    findings.extend(firewall::findings());
    findings.extend(process::confinement());
    findings.extend(host::findings());
    findings
}

/// What a file of /proc or /sys says, without its end of line. `None` where there is no such file, or
/// none that we may read.
fn told_by(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_is_one_line_with_a_topic_of_its_column() {
        let loopback = "127.0.0.1".parse().unwrap();
        for finding in examine(Some(loopback), Some("lo")).into_iter().chain(examine(None, None)) {
            let Finding { topic, text, remedy, .. } = &finding;
            assert!(topic.len() <= 12, "{finding:?}");
            assert!(!text.is_empty() && text.lines().count() == 1, "{finding:?}");
            assert!(remedy.as_ref().is_none_or(|line| line.lines().count() == 1), "{finding:?}");
        }
    }

    #[test]
    fn what_cannot_be_reached_is_missing_and_says_why() {
        let group = "224.0.0.1".parse().unwrap();
        let findings = examine(Some(group), None);
        let route = findings.iter().find(|finding| finding.topic == "route").unwrap();
        assert_eq!(route.status, Status::Missing);
        assert_eq!(
            route.text,
            "224.0.0.1 is a multicast address; a TCP connection needs the address of one host"
        );
    }
}
