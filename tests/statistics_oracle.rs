//! The statistics against `scripts/check-stats.py`, which recomputes all of them from the CSV.
//!
//! Needs python3; without it the tests are reported as ignored and named in a line `NOT RUN`, or fail
//! where `SHAKEDOWN_REQUIRE_ALL` is set.

#![allow(clippy::unwrap_used)] // a file that cannot be written fails the test

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use shakedown::report::rtt::{CsvWriter, Row, Statistics};
use shakedown::stats::{
    Answer, Counts, Distribution, Fate, Figures, FirstTry, Loss, Phase, Settled,
};
use shakedown::time::{Clock, Instant};

fn main() -> ExitCode {
    let missing = Command::new("python3").arg("--version").output().is_err();
    let required = std::env::var_os("SHAKEDOWN_REQUIRE_ALL").is_some_and(|value| value == "1");
    let trial = |name: &str, test: fn() -> Result<(), Failed>| {
        Trial::test(name, test).with_ignored_flag(missing && !required)
    };
    let trials = vec![
        trial("every_figure_agrees_with_an_independent_computation", agrees),
        trial("the_computation_notices_a_figure_that_is_wrong", notices),
        trial("what_the_program_reports_agrees_with_its_own_rows", program_agrees),
    ];
    let number = trials.len();
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    if missing && !required {
        println!("NOT RUN: {number} tests: there is no python3");
    }
    conclusion.exit_code()
}

fn agrees() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let run = Run::new();
    fs::write(folder.path().join("probes.csv"), run.csv())?;
    fs::write(folder.path().join("report.jsonl"), run.report(|_| ()))?;
    let (status, said) = check(folder.path());
    if status == Some(0) && !said.contains(" 0 figures") { Ok(()) } else { Err(said.into()) }
}

/// The real program over its simulated network, with losses, late answers and duplicates.
fn program_agrees() -> Result<(), Failed> {
    let syn = "192.0.2.7:80 192.0.2.8:80,81 -c 350 -i 220ms -W 60ms --warm-up 5";
    let fin = "192.0.2.7:80 -c 200 -i 500ms -m fin --flows 3";
    for (words, seed) in [(syn, 1), (syn, 2), (fin, 3), (fin, 4)] {
        let folder = tempfile::tempdir()?;
        let network =
            format!("echo:loss=0.2,jitter=30ms,duplicate=0.2,reorder=0.1,dwell=3ms,seed={seed}");
        let output = Command::new(env!("CARGO_BIN_EXE_shakedown"))
            .arg("rtt")
            .args(words.split(' '))
            .args(["--json", "--csv"])
            .arg(folder.path().join("probes.csv"))
            .env("SHAKEDOWN_SIM", network)
            .output()?;
        fs::write(folder.path().join("report.jsonl"), output.stdout)?;
        let (status, said) = check(folder.path());
        if status != Some(0) || said.contains(" 0 figures") {
            return Err(format!("{words}, seed {seed}: {said}").into());
        }
    }
    Ok(())
}

fn notices() -> Result<(), Failed> {
    type Spoil = fn(&mut Figures);
    let spoils: [(&str, Spoil); 4] = [
        ("mdev_ns", |figures| figures.mdev_ns = figures.mdev_ns.map(|nanos| nanos + 1)),
        ("p99_ns", |figures| figures.p99_ns = figures.p99_ns.map(|nanos| nanos + nanos / 500)),
        ("jitter_ns", |figures| figures.jitter_ns = None),
        ("min_ns", |figures| figures.min_ns = Some(0)),
    ];
    for (name, spoil) in spoils {
        let folder = tempfile::tempdir()?;
        let run = Run::new();
        fs::write(folder.path().join("probes.csv"), run.csv())?;
        fs::write(folder.path().join("report.jsonl"), run.report(spoil))?;
        let (status, said) = check(folder.path());
        if status != Some(1) || !said.contains(name) {
            return Err(format!("{name} passed: {said}").into());
        }
    }
    Ok(())
}

/// The interpreter that has numpy for a second opinion, where one has; the system's packages are its
/// own interpreter's.
fn python() -> &'static str {
    let has_numpy = |name: &&str| {
        let asked = Command::new(name).args(["-c", "import numpy"]).output();
        asked.is_ok_and(|output| output.status.success())
    };
    ["python3", "/usr/bin/python3"].into_iter().find(has_numpy).unwrap_or("python3")
}

fn check(folder: &Path) -> (Option<i32>, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/check-stats.py");
    let output = Command::new(python())
        .arg(script)
        .args([folder.join("probes.csv"), folder.join("report.jsonl")])
        .output()
        .unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), said.concat())
}

const TARGETS: [&str; 3] = ["example.org:443", "a, \"quoted\" name", "[2001:db8::1]:22"];
const FLOWS: u32 = 3;
const START: Instant = Instant::from_nanos(5_000_000_000);

/// A probe of a made-up run.
struct Probe {
    target: usize,
    index: u64,
    due: Instant,
    sent: Instant,
    answered: Option<Instant>,
    settled: Option<Settled>,
    late: bool,
    attempts: u32,
    duplicates: u32,
    intervals: [Option<Duration>; 4],
}

/// Some thousand probes with everything that can happen to them, the same in every run of the test.
struct Run {
    probes: Vec<Probe>,
}

impl Run {
    fn new() -> Self {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut probes = Vec::new();
        // Exact percentiles, a histogram, and a target without any answer.
        for (target, number) in [(0, 4_000), (1, 300), (2, 20)] {
            for index in 0..number {
                probes.push(Probe::random(target, index, &mut random));
            }
        }
        Self { probes }
    }

    fn csv(&self) -> Vec<u8> {
        let mut csv = CsvWriter::new(Vec::new(), START).unwrap();
        self.probes.iter().for_each(|probe| csv.row(&probe.row()).unwrap());
        csv.finish().unwrap()
    }

    /// The records of each target, each flow and all together; `spoil` may falsify the first.
    fn report(&self, spoil: fn(&mut Figures)) -> String {
        let mut lines = vec!["{\"v\":1,\"type\":\"run\"}".to_owned()];
        for (number, name) in TARGETS.iter().enumerate() {
            for flow in std::iter::once(None).chain((0..FLOWS).map(Some)) {
                let chosen: Vec<&Probe> = self
                    .probes
                    .iter()
                    .filter(|probe| probe.target == number && !probe.is_warm_up())
                    .filter(|probe| flow.is_none_or(|flow| probe.flow() == flow))
                    .collect();
                let counts = account(&chosen);
                for phase in Phase::ALL {
                    let mut figures = distribution(&chosen, phase).figures();
                    if lines.len() == 1 {
                        spoil(&mut figures);
                    }
                    let probes = (phase == Phase::Handshake).then_some(&counts);
                    let port = flow.map(port);
                    let record = Statistics::new(Some(*name), port, phase, &figures, probes);
                    lines.push(serde_json::to_string(&record).unwrap());
                }
            }
        }
        lines.push(self.merged());
        lines.join("\n")
    }

    /// All targets together, by merging theirs.
    fn merged(&self) -> String {
        let mut all = (Distribution::new(), Counts::default());
        for number in 0..TARGETS.len() {
            let chosen: Vec<&Probe> = self
                .probes
                .iter()
                .filter(|probe| probe.target == number && !probe.is_warm_up())
                .collect();
            all.0.merge(&distribution(&chosen, Phase::Handshake));
            all.1.add(&account(&chosen));
        }
        let record = Statistics::new(None, None, Phase::Handshake, &all.0.figures(), Some(&all.1));
        serde_json::to_string(&record).unwrap()
    }
}

fn by_answer<'a>(probes: &[&'a Probe]) -> Vec<&'a Probe> {
    let mut answered = probes.to_vec();
    answered.sort_by_key(|probe| probe.answered);
    answered
}

fn distribution(probes: &[&Probe], phase: Phase) -> Distribution {
    let mut distribution = Distribution::new();
    let at = Phase::ALL.iter().position(|each| *each == phase).unwrap();
    let mut ended = probes.to_vec();
    ended.sort_by_key(|probe| probe.ended());
    ended
        .iter()
        .filter_map(|probe| probe.intervals[at])
        .for_each(|interval| distribution.record(interval));
    distribution
}

fn account(probes: &[&Probe]) -> Counts {
    let mut loss = Loss::new();
    probes.iter().for_each(|_| loss.sent());
    for probe in by_answer(probes) {
        if probe.answered.is_some() {
            loss.arrived(probe.index);
        }
        if let Some(settled) = probe.settled {
            assert!(loss.settle(settled));
            if probe.late {
                assert!(loss.answer_late(Answer::Open, probe.attempts));
            }
        }
        (0..probe.duplicates).for_each(|_| loss.duplicate());
    }
    *loss.counts()
}

impl Probe {
    fn random(target: usize, index: u64, random: &mut Random) -> Self {
        let due = START + Duration::from_micros(900 * index);
        let sent = due + Duration::from_nanos(random.below(20_000));
        // A crowd around 1.2 ms, wider than the interval, so that answers overtake each other.
        let base = 700_000 + random.below(1_000_000);
        let tail = if random.below(50) == 0 { random.below(900_000_000) } else { 0 };
        let interval = Duration::from_nanos(base + tail);
        let kind = if target == 2 { 0 } else { random.below(100) };
        let attempts = 1 + u32::try_from(random.below(6) / 5).unwrap();
        let first = match (attempts, random.below(3)) {
            (1, _) => FirstTry::Answered,
            (_, 0) => FirstTry::Answered,
            (_, 1) => FirstTry::Lost,
            _ => FirstTry::Unknown,
        };
        let answer = match kind {
            10..=14 => Answer::Refused,
            15..=17 => Answer::Icmp,
            _ => Answer::Open,
        };
        let (settled, late) = match kind {
            0..=4 => (Some(Settled::Lost), false),
            5..=7 => (Some(Settled::Lost), true),
            8..=9 => (None, false),
            _ => (Some(Settled::Answered { answer, attempts, first }), false),
        };
        let fate = settled.map(Settled::fate);
        let timed = late || matches!(fate, Some(Fate::Answered | Fate::Refused));
        let heard = late || !matches!(fate, None | Some(Fate::Lost));
        let mut intervals = [timed.then_some(interval), None, None, None];
        if fate == Some(Fate::Answered) && random.below(4) > 0 {
            intervals[2] = Some(interval + Duration::from_nanos(random.below(9_999)));
            intervals[3] = Some(interval + Duration::from_nanos(random.below(40_000_000)));
        }
        let duplicates = u32::from(heard && random.below(40) == 0);
        // All different, so that the order of the answers is one.
        let answered = heard.then(|| sent + interval);
        Self { target, index, due, sent, answered, settled, late, attempts, duplicates, intervals }
    }

    fn is_warm_up(&self) -> bool {
        self.index < 3
    }

    fn flow(&self) -> u32 {
        u32::try_from(self.index % u64::from(FLOWS)).unwrap()
    }

    /// When its last interval was complete, or its time had run out.
    fn ended(&self) -> Instant {
        let longest = self.intervals.iter().flatten().max().copied();
        self.sent + longest.unwrap_or(Duration::from_secs(2))
    }

    fn row(&self) -> Row<'_> {
        let (answer, first_try) = match self.settled {
            Some(Settled::Answered { answer, first, .. }) => (Some(answer), Some(first)),
            Some(Settled::Lost) => (self.late.then_some(Answer::Open), Some(FirstTry::Lost)),
            None => (None, None),
        };
        let fate =
            if self.late { Fate::Late } else { self.settled.map_or(Fate::InFlight, Settled::fate) };
        Row {
            target: TARGETS[self.target],
            to: "192.0.2.7:443".parse().unwrap(),
            probe: self.index,
            flow: self.flow(),
            warm_up: self.is_warm_up(),
            due: self.due,
            sent: Some(self.sent),
            answered: self.answered,
            fate,
            answer,
            first_try,
            attempts: self.attempts,
            duplicates: self.duplicates,
            clock: self.answered.map(|_| Clock::Kernel),
            intervals: self.intervals,
            source_port: port(self.flow()),
            iss: 1,
            ended: self.ended(),
        }
    }
}

/// The source port of a flow.
fn port(flow: u32) -> u16 {
    40_000 + u16::try_from(flow).unwrap()
}

/// xorshift64: any numbers will do, as long as they are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}
