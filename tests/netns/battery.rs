//! Runs `check` and reads its verdicts.

use crate::namespace::Topology;
use crate::run::{self, Privilege};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;

/// What the battery said of each check, by its name.
pub(crate) struct Verdicts(BTreeMap<String, Value>);

/// Runs the battery from the topology's client against `target`.
pub(crate) fn run(topology: &Topology, target: SocketAddr, options: &[&str]) -> Result<Verdicts> {
    let target = target.to_string();
    let arguments = [&["check", &target, "--json", "--deadline", "5m"], options].concat();
    // It may be silent for long, while what failed is repeated: what bounds it is its own deadline.
    let child = run::spawn(&topology.client, Privilege::All, &arguments, Stdio::piped())?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let events: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let outcome = events.last().map(|summary| summary["outcome"].clone()).unwrap_or_default();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(outcome == "complete", "it ended with {outcome}: {errors}{:?}", events.last());
    let mut all = BTreeMap::new();
    for check in events.iter().filter(|event| event["type"] == "check") {
        all.insert(check["id"].as_str().context("a name")?.to_owned(), check.clone());
    }
    Ok(Verdicts(all))
}

impl Verdicts {
    /// The verdict of a check, `not run` where there is none.
    pub(crate) fn of(&self, id: &str) -> &str {
        self.0.get(id).and_then(|check| check["verdict"].as_str()).unwrap_or("not run")
    }

    /// The names of all checks.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Checks with this verdict.
    pub(crate) fn with(&self, verdict: &str) -> Vec<&str> {
        self.ids().filter(|id| self.of(id) == verdict).collect()
    }

    /// What a check says and shows, for a failure's message.
    pub(crate) fn account(&self, id: &str) -> String {
        let Some(check) = self.0.get(id) else { return format!("{id}: not run") };
        let observed = check["observed"].as_str().unwrap_or_default();
        let mut text = format!("{id}: {}: {observed}", self.of(id));
        for entry in check["evidence"].as_array().into_iter().flatten() {
            let word = |name: &str| entry[name].as_str().unwrap_or_default();
            let at = entry["at_ns"].as_u64().unwrap_or_default() / 1000;
            let line = [word("dir"), word("text"), word("label")].join("  ");
            write!(text, "\n      {at:>9} us  #{}  {line}", entry["conversation"]).ok();
        }
        text
    }
}
