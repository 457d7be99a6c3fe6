//! `sweep --shard` and `--merge`: parts that are swept apart, and the proof that they are the whole.

use crate::namespace::{Family, Topology};
use crate::patience;
use crate::run::{self, Finished, Privilege, Running};
use crate::servers::{self, Habit, Server};
use crate::sweep::{ALL, Truth, ensure_true, everywhere, field, hosts, truth};
use crate::{Case, case};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::fs;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("sweep/shards_are_the_whole", whole),
        case("sweep/shards_that_are_not", not_whole),
        case("sweep/shard_killed_resumed_and_merged", killed),
    ]
}

/// The reports are not the whole: one line says why, and nothing else is told.
fn ensure_refused(finished: &Finished, status: i32, words: &[&str]) -> Result<()> {
    ensure!(finished.events.is_empty(), "{}", finished.account());
    finished.expect_status(status)?;
    let lines = finished.stderr.lines().count();
    let named = words.iter().all(|word| finished.stderr.contains(word));
    ensure!(lines == 1 && named, "wanted one line with {words:?}: {}", finished.stderr);
    Ok(())
}

/// Three parts of one sweep, each with a report.
struct Parts {
    topology: Topology,
    directory: tempfile::TempDir,
    ports: String,
    truth: Truth,
    _server: Server,
}

impl Parts {
    fn new() -> Result<Self> {
        let topology = field()?;
        let server = everywhere(&topology.server, Family::V4, Habit::Echo)?;
        let (open, closed) = (server.address.port(), servers::fresh_port());
        let truth = truth(Family::V4, ALL, &[(open, "open"), (closed, "refused")]);
        let ports = format!("{open},{closed}");
        Ok(Self { topology, directory: tempfile::tempdir()?, ports, truth, _server: server })
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_string_lossy().into_owned()
    }

    fn start(&self, shard: &str, report: &str, extra: &[&str]) -> Result<Running> {
        let (hosts, report) = (hosts(Family::V4, ALL), self.path(report));
        let usual = ["sweep", &hosts, "-p", &self.ports, "--json", "--quiet"];
        let rest = ["--cool-down", "500ms", "--shard", shard, "--output", &report];
        let arguments = [&usual[..], &rest, extra].concat();
        Running::start(&self.topology.client, Privilege::All, &arguments)
    }

    fn sweep(&self, shard: &str, report: &str, extra: &[&str]) -> Result<()> {
        let finished = self.start(shard, report, extra)?.finish()?;
        finished.expect_status(0)
    }

    fn merge(&self, reports: &[&str]) -> Result<Finished> {
        let paths: Vec<String> = reports.iter().map(|name| self.path(name)).collect();
        let paths = paths.iter().map(String::as_str);
        let arguments: Vec<&str> =
            ["sweep", "--json", "--merge"].into_iter().chain(paths).collect();
        run::run_with(&self.topology.client, Privilege::Nothing, &arguments)
    }

    /// The reports are the whole: each target once, and the account of all.
    fn ensure_whole(&self, reports: &[&str]) -> Result<()> {
        let finished = self.merge(reports)?;
        finished.expect_status(0)?;
        ensure!(finished.stderr.is_empty(), "{}", finished.stderr);
        ensure_true(&finished, &self.truth)?;
        let run = finished.first("run")?;
        ensure!(run["united"] == reports.len() && run["shard"].is_null(), "{run}");
        ensure!(run["targets"] == 2048 && run["positions"]["end"] == 2048, "{run}");
        Ok(())
    }
}

const SEED: [&str; 4] = ["--seed", "7", "--rate", "20k"];

fn whole() -> Result<()> {
    let parts = Parts::new()?;
    for (shard, report) in [("0/3", "a"), ("1/3", "b"), ("2/3", "c")] {
        parts.sweep(shard, report, &SEED)?;
    }
    // In any order.
    parts.ensure_whole(&["c", "a", "b"])
}

fn not_whole() -> Result<()> {
    let parts = Parts::new()?;
    for (shard, report) in [("0/3", "a"), ("1/3", "b"), ("2/3", "c"), ("0/2", "half")] {
        parts.sweep(shard, report, &SEED)?;
    }
    parts.sweep("1/3", "other", &["--seed", "8", "--rate", "20k"])?;
    // As a sweep that was killed leaves it: without its last line, or with half of one.
    let text = fs::read_to_string(parts.path("b"))?;
    let last = text.trim_end().rfind('\n').map_or(0, |at| at + 1);
    fs::write(parts.path("unfinished"), &text[..last])?;
    fs::write(parts.path("torn"), &text[..last - 20])?;
    fs::write(parts.path("none"), "shopping list\n")?;
    for (reports, words) in [
        (&["a", "c"][..], &["1/3"][..]),
        (&["a", "unfinished", "c"], &["unfinished"]),
        (&["a", "torn", "c"], &["torn"]),
    ] {
        let finished = parts.merge(reports)?;
        ensure_refused(&finished, 1, words).with_context(|| format!("{reports:?}"))?;
    }
    // What is asked for makes no sense, whatever the reports say.
    for (reports, words) in [
        (&["a", "b", "c", "b"][..], &["named twice"][..]),
        (&["half", "b", "c"], &["number of shards"]),
        (&["a", "other", "c"], &["seed"]),
        (&["a", "none", "c"], &["none"]),
        (&["a", "nosuch", "c"], &["nosuch"]),
    ] {
        let finished = parts.merge(reports)?;
        ensure_refused(&finished, 2, words).with_context(|| format!("{reports:?}"))?;
    }
    Ok(())
}

fn killed() -> Result<()> {
    let parts = Parts::new()?;
    let notes = parts.path("notes");
    let slow = ["--seed", "7", "--rate", "500", "--resume", &notes];
    let running = parts.start("1/2", "b", &slow)?;
    let told = || fs::read_to_string(parts.path("b")).unwrap_or_default().lines().count();
    patience::until("notes and more", || Ok(fs::exists(&notes)? && told() > 600))?;
    running.signal(Signal::SIGKILL)?;
    running.finish_killed()?;
    parts.sweep("0/2", "a", &SEED)?;
    // Not before it has come to its end.
    ensure_refused(&parts.merge(&["a", "b"])?, 1, &["unfinished", "--resume"])?;
    parts.sweep("1/2", "b", &slow)?;
    parts.ensure_whole(&["a", "b"])
}
