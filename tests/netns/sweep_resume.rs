//! Sweeps that are killed, interrupted, or no longer read: what was found stands, what is left is known,
//! and the same command goes on with it.

use crate::badinput::ensure_one_line;
use crate::namespace::{Family, Topology};
use crate::run::{self, Finished, Privilege, Running};
use crate::servers::{self, Habit, Server};
use crate::silence::{Random, random_seed};
use crate::sniffer::{SYN, Sniffer};
use crate::sweep::{ALL, Truth, ensure_sum, everywhere, field, figure, hosts, told, truth};
use crate::{Case, case, patience};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::Stdio;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, kills) in [
        ("at_once", &[0][..]),
        ("early", &[1]),
        ("midway", &[900]),
        ("again_and_again", &[200, 700, 1500]),
        ("at_the_last_answer", &[2048]),
    ] {
        let work = move || killed(kills);
        cases.push(case(format!("sweep/killed_{name}_and_resumed"), work));
    }
    cases.push(case("sweep/killed_at_50_random_moments_and_resumed", killed_at_random));
    cases.push(case("sweep/killed_with_connections_open_and_resumed", killed_in_conversation));
    cases.push(case("sweep/interrupted_and_resumed", interrupted_and_resumed));
    cases.push(case("sweep/resume_of_another_sweep", resume_of_another));
    cases.push(case("sweep/resume_of_a_complete_sweep", resume_of_complete));
    cases.push(case("sweep/resume_with_a_file_that_is_none", resume_of_nothing));
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let name = format!("sweep/{signal}_ends_with_an_account").to_lowercase();
        cases.push(case(name, move || interrupted(signal)));
    }
    cases.push(case("sweep/deadline", deadline));
    cases.push(case("sweep/closed_pipe", closed_pipe));
    cases
}

/// A sweep with an output file and notes of its progress.
struct Long {
    topology: Topology,
    server: Server,
    directory: tempfile::TempDir,
    ports: [u16; 2],
}

impl Long {
    fn new(habit: Habit) -> Result<Self> {
        let topology = field()?;
        let server = everywhere(&topology.server, Family::V4, habit)?;
        let ports = [server.address.port(), servers::fresh_port()];
        Ok(Self { topology, server, directory: tempfile::tempdir()?, ports })
    }

    fn output(&self) -> PathBuf {
        self.directory.path().join("answers")
    }

    fn arguments(&self, extra: &[&str]) -> Vec<String> {
        let path = |name: &str| self.directory.path().join(name).to_string_lossy().into_owned();
        let [open, closed] = self.ports;
        let (hosts, ports) = (hosts(Family::V4, ALL), format!("{open},{closed}"));
        let usual = ["sweep", &hosts, "-p", &ports, "--json", "--quiet", "--cool-down", "500ms"];
        let files = ["--output", &path("answers"), "--resume", &path("progress")];
        [&usual[..], &files, extra].concat().into_iter().map(str::to_owned).collect()
    }

    fn start(&self, extra: &[&str]) -> Result<Running> {
        let arguments = self.arguments(extra);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Running::start(&self.topology.client, Privilege::All, &arguments)
    }

    /// The targets, and what is to be told of each.
    fn truth(&self, word: &'static str) -> Truth {
        truth(Family::V4, ALL, &[(self.ports[0], word), (self.ports[1], "refused")])
    }

    /// Lines that are in the output file by now: whoever reads while it is written may see the first
    /// pages of what is being added.
    fn count(&self) -> usize {
        let bytes = fs::read(self.output()).unwrap_or_default();
        bytes.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Lines of the output file after the end of the sweep, however it ended. None is half written,
    /// with one exception: a kill in the midst of a write makes the kernel stop between two pages.
    fn lines(&self) -> Result<Vec<Value>> {
        const PAGE: usize = 4096;
        let mut text = fs::read_to_string(self.output()).unwrap_or_default();
        if !text.ends_with('\n') && text.len().is_multiple_of(PAGE) {
            text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        }
        ensure!(text.is_empty() || text.ends_with('\n'), "half a line: {:?}", text.lines().last());
        let parse = |line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}"));
        text.lines().map(parse).collect()
    }

    /// Starts, and kills once so many answers are in the file.
    fn kill_after(&self, answers: usize, extra: &[&str]) -> Result<()> {
        let running = self.start(extra)?;
        patience::until("answers in the file", || Ok(answers == 0 || self.count() > answers))?;
        running.signal(Signal::SIGKILL)?;
        running.finish_killed()?;
        self.lines().map(drop)
    }

    /// Goes on to the end, after which the file is what it would be if nothing had happened.
    fn ensure_resumed(&self, word: &'static str, extra: &[&str]) -> Result<Value> {
        let finished = self.start(extra)?.finish()?;
        finished.expect_status(0)?;
        ensure!(finished.stderr.is_empty(), "{}", finished.stderr);
        self.ensure_told(word)
    }

    /// Every target is told as it is, once, and the last words add up.
    fn ensure_told(&self, word: &'static str) -> Result<Value> {
        let lines = self.lines()?;
        let targets: Vec<&Value> = lines.iter().filter(|one| one["type"] == "target").collect();
        let told = told(targets)?;
        let truth = self.truth(word);
        for (target, word) in &truth {
            let said = told.get(target).map_or("silent", |it| it["outcome"].as_str().unwrap_or(""));
            ensure!(said == *word, "{target} is {word}, told: {said}");
        }
        ensure!(told.len() == truth.len(), "{} told", told.len());
        let summary = lines.last().context("no output")?;
        ensure!(summary["type"] == "summary" && summary["interrupted"] == false, "{summary}");
        ensure_sum(summary, truth.len())?;
        ensure!(
            figure(summary, "open")? == 1024 && figure(summary, "refused")? == 1024,
            "{summary}"
        );
        Ok(summary.clone())
    }
}

fn killed(kills: &[usize]) -> Result<()> {
    let long = Long::new(Habit::Echo)?;
    let mut sniffer = Sniffer::start(&long.topology)?;
    for answers in kills {
        long.kill_after(*answers, &[]).with_context(|| format!("killed after {answers}"))?;
    }
    long.ensure_resumed("open", &[])?;
    // At most those of the last seconds were asked again: each at most once more for each kill.
    let mut asked = std::collections::BTreeMap::<_, usize>::new();
    for seen in sniffer.segments()?.iter().filter(|seen| seen.has(SYN) && !seen.outgoing) {
        *asked.entry(seen.to).or_default() += 1;
    }
    ensure!(asked.len() == 2048, "{} targets were asked", asked.len());
    let most = asked.values().max().copied().unwrap_or_default();
    ensure!(most <= kills.len() + 1, "asked {most} times");
    Ok(())
}

/// Fifty kills, each at a moment that nothing chose: before the first file is there, amid sending, in a
/// cool-down, between the last record and the last words. As many sweeps as that takes.
fn killed_at_random() -> Result<()> {
    const KILLS: usize = 50;
    const LONGEST_US: u64 = 700_000;
    let chosen = std::env::var("SHAKEDOWN_SEED").ok().map(|seed| seed.parse::<u64>());
    let seed = chosen.transpose()?.map_or_else(random_seed, Ok)?;
    println!("killed_at_50_random_moments: SHAKEDOWN_SEED={seed}");
    let mut random = Random(seed | 1);
    let mut kills = 0;
    while kills < KILLS {
        let long = Long::new(Habit::Echo)?;
        let complete = |long: &Long| {
            long.lines().map(|lines| lines.last().is_some_and(|last| last["type"] == "summary"))
        };
        while kills < KILLS && !complete(&long)? {
            let delay = random.below(LONGEST_US);
            let running = long.start(&["--rate", "1k"])?;
            patience::idle(std::time::Duration::from_micros(delay));
            running.signal(Signal::SIGKILL)?;
            running.finish_killed()?;
            kills += 1;
            let account = || format!("kill {kills}, after {delay} us, seed {seed}");
            long.lines().with_context(account)?;
        }
        if !complete(&long)? {
            let account = || format!("resumed after {kills} kills, seed {seed}");
            long.ensure_resumed("open", &["--rate", "20k"]).with_context(account)?;
        }
        long.ensure_told("open").with_context(|| format!("seed {seed}"))?;
    }
    Ok(())
}

/// Connections that had not ended begin anew, and those that had do not.
fn killed_in_conversation() -> Result<()> {
    let long = Long::new(Habit::Echo)?;
    for answers in [100, 1300] {
        long.kill_after(answers, &["--full"])?;
    }
    long.ensure_resumed("closed", &["--full"])?;
    long.server.idle()
}

fn interrupted_and_resumed() -> Result<()> {
    let long = Long::new(Habit::Echo)?;
    let running = long.start(&[])?;
    patience::until("answers in the file", || Ok(long.count() > 100))?;
    running.signal(Signal::SIGINT)?;
    running.finish()?.expect_status(1)?;
    let lines = long.lines()?;
    let summary = lines.last().context("no output")?;
    ensure!(summary["interrupted"] == true, "{summary}");
    ensure_sum(summary, 2048)?;
    let summary = long.ensure_resumed("open", &[])?;
    // Nothing had to be asked twice: each had its time.
    ensure!(summary["sent"] == 2048 && summary["resumed"] == true, "{summary}");
    Ok(())
}

fn resume_of_another() -> Result<()> {
    let mut long = Long::new(Habit::Echo)?;
    let seed = ["--seed", "7"];
    long.kill_after(1, &seed)?;
    // Wherever it was killed, there are notes once the sweep has gone on for a while.
    let running = long.start(&seed)?;
    let progress = long.directory.path().join("progress");
    patience::until("notes", || Ok(progress.exists()))?;
    running.signal(Signal::SIGKILL)?;
    running.finish_killed()?;
    let before = fs::read(long.output())?;
    for (extra, word) in [
        (&["--seed", "8"][..], "seed"),
        (&["--seed", "7", "--shard", "0/2"], "shard"),
        (&["--seed", "7", "--full"], "options"),
        (&["--seed", "7", "--passes", "2"], "options"),
        (&["--seed", "7", "--no-timestamps"], "options"),
        (&["--seed", "7", "--exclude", "10.64.0.9"], "targets"),
    ] {
        ensure_one_line(&long.start(extra)?.finish()?, &["another sweep", word])?;
    }
    long.ports[1] += 1;
    ensure_one_line(&long.start(&seed)?.finish()?, &["another sweep", "targets"])?;
    ensure!(fs::read(long.output())? == before, "the output file was touched");
    Ok(())
}

fn resume_of_complete() -> Result<()> {
    let long = Long::new(Habit::Echo)?;
    long.ensure_resumed("open", &["--rate", "20k"])?;
    let before = fs::read(long.output())?;
    let finished = long.start(&["--rate", "20k"])?.finish()?;
    finished.expect_status(0)?;
    let lines: Vec<&str> = finished.stderr.lines().collect();
    ensure!(lines.len() == 1 && lines[0].contains("complete"), "{}", finished.stderr);
    ensure!(fs::read(long.output())? == before, "the output file was touched");
    Ok(())
}

fn resume_of_nothing() -> Result<()> {
    let long = Long::new(Habit::Echo)?;
    let progress = long.directory.path().join("progress");
    for text in ["shopping list\n", "{}", "[1, 2"] {
        fs::write(&progress, text)?;
        ensure_one_line(&long.start(&[])?.finish()?, &["progress"])?;
        ensure!(fs::read_to_string(&progress)? == text, "it was written over");
    }
    // As mktemp makes it.
    fs::write(&progress, "")?;
    long.ensure_resumed("open", &["--rate", "20k"]).map(drop)
}

/// Targets that a SYN has reached.
fn asked(sniffer: &mut Sniffer) -> Result<u64> {
    let segments = sniffer.segments()?;
    let syns = segments.iter().filter(|seen| seen.has(SYN) && !seen.outgoing);
    let asked: BTreeSet<_> = syns.map(|seen| seen.to).collect();
    Ok(u64::try_from(asked.len())?)
}

/// Cut short, with an account of what has been asked and what has not.
fn ensure_cut_short(finished: &Finished, sniffer: &mut Sniffer) -> Result<()> {
    finished.expect_status(1)?;
    let told = told(finished.of_type("target"))?;
    let summary = finished.events.last().context("no output")?;
    let is_last = summary["type"] == "summary" && summary["outcome"] == "interrupted";
    ensure!(is_last && summary["interrupted"] == true, "{summary}");
    ensure_sum(summary, 2048)?;
    let asked = asked(sniffer)?;
    ensure!(figure(summary, "not_probed")? == 2048 - asked, "{asked} were asked: {summary}");
    ensure!(summary["sent"] == asked && asked < 2048, "{asked} were asked: {summary}");
    // The peer answers at once, and so all that were asked have answered.
    ensure!(figure(summary, "silent")? == 0, "{summary}");
    ensure!(u64::try_from(told.len())? == asked, "{} told, {asked} asked", told.len());
    Ok(())
}

fn short(cool_down: &str, arguments: &[&str]) -> Result<(Running, Sniffer, Long)> {
    let long = Long::new(Habit::Echo)?;
    let sniffer = Sniffer::start(&long.topology)?;
    let (hosts, [open, closed]) = (hosts(Family::V4, ALL), long.ports);
    let ports = format!("{open},{closed}");
    let usual = ["sweep", "--json", &hosts, "-p", &ports, "--cool-down", cool_down];
    let arguments = [&usual[..], arguments].concat();
    let running = Running::start(&long.topology.client, Privilege::All, &arguments)?;
    Ok((running, sniffer, long))
}

fn interrupted(signal: Signal) -> Result<()> {
    let (mut running, mut sniffer, _long) = short("500ms", &["--rate", "500"])?;
    running.wait_for("an answer", |event| event["type"] == "target")?;
    running.signal(signal)?;
    ensure_cut_short(&running.finish()?, &mut sniffer)
}

/// The whole run has an end, whatever is still waited for.
fn deadline() -> Result<()> {
    let (running, mut sniffer, _long) = short("1h", &["--rate", "500", "--deadline", "300ms"])?;
    ensure_cut_short(&running.finish()?, &mut sniffer)
}

/// Whoever closes the pipe has read enough: no complaint, and no wait for the rest.
fn closed_pipe() -> Result<()> {
    let long = Long::new(Habit::Echo)?;
    let (hosts, ports) = (hosts(Family::V4, ALL), long.ports[0].to_string());
    for form in ["--plain", "--json", "--csv"] {
        let arguments = ["sweep", &hosts, "-p", &ports, "--rate", "100", form, "--quiet"];
        let mut child =
            run::spawn(&long.topology.client, Privilege::All, &arguments, Stdio::piped())?;
        let mut stdout = BufReader::new(child.stdout.take().context("its stdout")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        drop(stdout);
        let status = child.wait()?;
        let mut stderr = String::new();
        child.stderr.take().context("its stderr")?.read_to_string(&mut stderr)?;
        let well = status.code() == Some(0) && stderr.is_empty() && !line.is_empty();
        ensure!(well, "{form}: {status}: {line}{stderr}");
    }
    Ok(())
}
