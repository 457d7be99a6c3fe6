//! Runs `check` and reads its verdicts.

use crate::namespace::Topology;
use crate::run;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Verdicts by check, and what was observed.
pub(crate) struct Verdicts {
    all: BTreeMap<String, (String, String)>,
    text: String,
}

/// Runs the battery from the topology's client against `target`.
pub(crate) fn run(topology: &Topology, target: SocketAddr, options: &[&str]) -> Result<Verdicts> {
    let target = target.to_string();
    let arguments = [&["check", &target, "--json"], options].concat();
    let finished = run::run(&topology.client, &arguments)?;
    let outcome = &finished.first("summary")?["outcome"];
    ensure!(outcome == "complete", "it ended with {outcome}: {}", finished.account());
    let mut all = BTreeMap::new();
    for check in finished.of_type("check") {
        let text = |name: &str| check[name].as_str().map(str::to_owned).context("a text");
        all.insert(text("id")?, (text("verdict")?, text("observed")?));
    }
    Ok(Verdicts { all, text: finished.account() })
}

impl Verdicts {
    /// The verdict of a check, `not run` where there is none.
    pub(crate) fn of(&self, id: &str) -> &str {
        self.all.get(id).map_or("not run", |(verdict, _)| verdict)
    }

    /// What was observed, for a failure's message.
    pub(crate) fn observed(&self, id: &str) -> &str {
        self.all.get(id).map_or("", |(_, observed)| observed)
    }

    /// The names of all checks.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }

    /// Checks with this verdict.
    pub(crate) fn with(&self, verdict: &str) -> Vec<&str> {
        self.ids().filter(|id| self.of(id) == verdict).collect()
    }

    /// Everything that it said.
    pub(crate) fn account(&self) -> &str {
        &self.text
    }
}
