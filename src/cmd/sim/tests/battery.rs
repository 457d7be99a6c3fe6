//! The conformance battery against our own TCP, over a network that loses, delays and overtakes: it
//! may know less then, but it must never accuse a server that keeps the rules.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::check::finding::{fail, pass};
use crate::check::lab::{Lab, syn};
use crate::check::{Check, Core, Engine, Plan, Setting, Stand, all, by_id, replay};
use crate::cmd::sim::{Host, Simulation};
use crate::event::{
    CheckEvent, CheckInfo, CheckResult, CheckSink, Cost, CutShort, Group, Level, PathProfile,
    ServerProfile, Verdict,
};
use crate::net::sim::{Rng, SimWire};
use crate::net::{Facts, Received, Wire};
use crate::tcp::State;
use crate::time::Instant;

/// A simulated wire with ports and dice, that can be looked at afterwards.
struct SimStand {
    wire: Rc<RefCell<SimWire<Host>>>,
    facts: Facts,
    dice: Rng,
    port: u16,
    /// From then on the target is gone.
    dies_at: Option<Instant>,
    /// This host was busy until then: what arrived meanwhile waits.
    busy_until: Instant,
}

/// Whoever sends to this port keeps this host busy for two seconds.
const BUSY_PORT: u16 = 9;

impl Wire for SimStand {
    fn now(&self) -> Instant {
        self.wire.borrow().now().max(self.busy_until)
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        if packet[22..24] == BUSY_PORT.to_be_bytes() {
            self.busy_until = self.now() + Duration::from_secs(2);
        }
        if self.dies_at.is_some_and(|at| at <= self.now()) {
            return Ok(());
        }
        self.wire.borrow_mut().send(packet)
    }

    fn receive(&mut self, until: Instant) -> io::Result<Received> {
        self.wire.borrow_mut().receive(until.max(self.busy_until))
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl Stand for SimStand {
    fn take_port(&mut self) -> io::Result<u16> {
        self.port = if self.port == u16::MAX { 10_000 } else { self.port + 1 };
        Ok(self.port)
    }

    fn release_port(&mut self, _port: u16) {}

    fn words(&mut self) -> io::Result<[u32; 4]> {
        Ok([(); 4].map(|()| (self.dice.bits() >> 32) as u32))
    }
}

/// Hears events while the engine runs.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<CheckEvent>>>);

impl CheckSink for Shared {
    fn record(&mut self, event: &CheckEvent) -> io::Result<()> {
        self.0.borrow_mut().record(event)
    }
}

fn setting() -> Setting {
    Setting {
        request: b"GET / HTTP/1.0\r\n\r\n".to_vec(),
        patience: Duration::from_secs(5),
        closed_port: None,
        path: PathProfile::default(),
        server: ServerProfile::default(),
        mss: 1460,
    }
}

/// What a run in simulation found.
struct Outcome {
    path: PathProfile,
    server: ServerProfile,
    results: Vec<CheckResult>,
    cut_short: Option<CutShort>,
    wire: Rc<RefCell<SimWire<Host>>>,
}

fn run(simulation: &str, checks: Vec<&'static Check>) -> Outcome {
    run_until(simulation, checks, None)
}

/// A run whose target is gone from `dies_at` on.
fn run_until(simulation: &str, checks: Vec<&'static Check>, dies_at: Option<Instant>) -> Outcome {
    let simulation = Simulation::parse(simulation).unwrap();
    let target = ([192, 0, 2, 1], 80).into();
    let source = simulation.route([192, 0, 2, 1].into()).source;
    let wire = simulation.wire();
    let facts = wire.facts().clone();
    let wire = Rc::new(RefCell::new(wire));
    let dice = simulation.dice();
    let stand = SimStand {
        wire: Rc::clone(&wire),
        facts,
        dice,
        port: 20_000,
        dies_at,
        busy_until: Instant::ZERO,
    };
    let core = Core::new(Box::new(stand), source, target).unwrap();
    let events = Shared::default();
    let plan = Plan { checks, parallel: 8, deadline: None, setting: setting() };
    let end = Engine::new(core, plan, events.clone()).run().unwrap();
    let mut outcome = Outcome {
        path: PathProfile::default(),
        server: ServerProfile::default(),
        results: Vec::new(),
        cut_short: end.cut_short,
        wire,
    };
    for event in events.0.take() {
        match event {
            CheckEvent::Path(path) => outcome.path = path,
            CheckEvent::Server(server) => outcome.server = server,
            CheckEvent::Result(result) => outcome.results.push(*result),
            _ => {}
        }
    }
    outcome
}

/// What a trace looks like in a failed test.
fn shown(result: &CheckResult) -> String {
    let mut text = format!("{}: {}\n", result.info.id, result.finding.observed);
    for entry in &result.trace.entries {
        let ends = result.trace.conversations[entry.conversation];
        let irs = ends.irs.unwrap_or_default();
        let line = match &entry.step {
            crate::event::Step::Segment { dir, packet: Some(packet), .. } => {
                let origins = match dir {
                    crate::net::Dir::Tx => (ends.iss, irs),
                    crate::net::Dir::Rx => (irs, ends.iss),
                };
                format!("{dir:?} {}", packet.segment.relative_to(origins.0, origins.1))
            }
            other => format!("{other:?}"),
        };
        let at = entry.stamp.at.as_nanos() / 1_000_000;
        text += &format!("  {at:>7} ms #{} {line}  {}\n", entry.conversation, entry.label);
    }
    text
}

/// A text without the times of our clock in it, which is another one when a trace is replayed.
fn without_echo(text: &str) -> String {
    let mut parts = text.split("ecr ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

const HOSTS: [&str; 6] = ["echo", "greet", "answer", "stubborn", "bulk", "page"];

/// What a seed's network does.
fn weather(seed: u64) -> String {
    let sky = match seed % 5 {
        0 => "delay=10ms,loss=0.01",
        1 => "delay=10ms,loss=0.05,reorder=0.05",
        2 => "delay=10ms,loss=0.2",
        3 => "delay=200ms",
        _ => "delay=5ms,jitter=3ms,reorder=0.2,duplicate=0.1",
    };
    let host = HOSTS[(seed / 5 % 6) as usize];
    format!("{host}:ports=80,seed={seed},msl=30s,{sky}")
}

fn never_a_false_failure(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let weather = weather(seed);
        let outcome = run(&weather, all());
        for result in &outcome.results {
            let expected = result.finding.verdict != Verdict::Fail;
            assert!(expected, "SHAKEDOWN_SIM={weather}\n{}", shown(result));
        }
    }
}

/// As many seeds as the environment says (`SHAKEDOWN_SEEDS`), a thousand of them where it is asked
/// for by the script that does.
#[test]
fn no_network_turns_a_right_answer_into_a_failure() {
    let seeds = std::env::var("SHAKEDOWN_SEEDS").ok().and_then(|text| text.parse().ok());
    never_a_false_failure(0..seeds.unwrap_or(30));
}

#[test]
fn a_recorded_trace_comes_to_the_same_verdict() {
    for host in HOSTS {
        let outcome = run(&format!("{host}:ports=80,delay=10ms,msl=30s,seed=3"), all());
        assert_eq!(outcome.cut_short, None);
        let known = Setting { path: outcome.path, server: outcome.server, ..setting() };
        for result in &outcome.results {
            if result.runs > 1 || result.trace.conversations.is_empty() {
                continue;
            }
            let check = by_id(result.info.id).unwrap();
            let again = replay(check, known.clone(), &result.trace).unwrap();
            assert_eq!(
                (again.verdict, without_echo(&again.observed)),
                (result.finding.verdict, without_echo(&result.finding.observed)),
                "{host}: {}",
                shown(result)
            );
        }
    }
}

const MADE_UP: CheckInfo = CheckInfo {
    id: "made-up",
    title: "made up",
    rules: &[],
    level: Level::Must,
    cost: Cost::Safe,
    groups: &[Group::Syn],
    expect: "",
    why: "",
};

/// Fails in two runs of three.
static FICKLE: Check = Check {
    info: CheckInfo { id: "fickle", ..MADE_UP },
    script: |lab: Lab| {
        Box::pin(async move {
            let conversation = lab.open().await?;
            let odd = conversation.local.port() % 3 > 0;
            Ok(if odd { fail("it failed") } else { pass("it passed") })
        })
    },
};

/// Fails always.
static STUBBORN: Check = Check {
    info: CheckInfo { id: "stubborn", ..MADE_UP },
    script: |lab: Lab| {
        Box::pin(async move {
            lab.open().await?;
            Ok(fail("it failed"))
        })
    },
};

/// Opens a connection after a minute.
static LATE: Check = Check {
    info: CheckInfo { id: "late", ..MADE_UP },
    script: |lab: Lab| {
        Box::pin(async move {
            lab.pause(Duration::from_secs(60)).await;
            lab.open().await?;
            Ok(pass("still there"))
        })
    },
};

/// Keeps this host busy while others wait for an answer.
static BUSY: Check = Check {
    info: CheckInfo { id: "busy", ..MADE_UP },
    script: |lab: Lab| {
        Box::pin(async move {
            lab.pause(Duration::from_millis(5)).await;
            let remote = (lab.target().ip(), BUSY_PORT).into();
            lab.conversation_with(remote)?.send(&syn());
            Ok(pass("busy"))
        })
    },
};

#[test]
fn what_arrived_while_this_host_was_busy_is_no_silence() {
    let waiting = by_id("syn-canary-retry").unwrap();
    let outcome = run("echo:ports=80,delay=10ms", vec![&BUSY, waiting]);
    let result = outcome.results.iter().find(|result| result.info.id == waiting.info.id).unwrap();
    assert_eq!(result.finding.observed, "the first SYN was answered", "{}", shown(result));
}

#[test]
fn a_failure_counts_only_where_it_repeats() {
    for start in 1..4 {
        // The seed decides which of the runs comes on which port; the result must not depend on it.
        let outcome = run(&format!("echo:ports=80,seed={start}"), vec![&FICKLE, &STUBBORN]);
        let verdict = |id| {
            let result = outcome.results.iter().find(|result| result.info.id == id).unwrap();
            (result.finding.verdict, result.runs)
        };
        assert_eq!(verdict("stubborn"), (Verdict::Fail, 4));
        assert_ne!(verdict("fickle").0, Verdict::Fail);
    }
}

#[test]
fn a_target_that_dies_ends_the_run_and_what_ran_then_is_named() {
    let dies_at = Instant::ZERO + Duration::from_secs(30);
    let outcome = run_until("echo:ports=80", vec![&STUBBORN, &LATE], Some(dies_at));
    let Some(CutShort::Died(suspects)) = outcome.cut_short else { panic!("it did not die") };
    assert!(suspects.contains(&"late"), "{suspects:?}");
}

#[test]
fn nobody_there_is_said_and_ends_the_run_at_once() {
    for (host, said) in
        [("silent", "does not answer"), ("closed", "closed"), ("prohibited", "ICMP")]
    {
        let outcome = run(host, all());
        let Some(CutShort::NoTarget(why)) = outcome.cut_short else { panic!("{host}") };
        assert!(why.contains(said), "{host}: {why}");
        assert!(outcome.results.is_empty());
    }
}

#[test]
fn an_interruption_resets_what_is_open_and_so_does_the_end() {
    for host in HOSTS {
        for interrupt in ["", ",interrupt=100ms", ",interrupt=3s", ",interrupt=20s"] {
            let checks = [all(), vec![&LATE]].concat();
            let outcome = run(&format!("{host}:ports=80,delay=10ms{interrupt}"), checks);
            let cut = !interrupt.is_empty();
            assert_eq!(outcome.cut_short.is_some(), cut, "{host}{interrupt}");
            let mut wire = outcome.wire.borrow_mut();
            // Until the last reset is there, and every TIME-WAIT is over.
            let end = wire.now() + Duration::from_secs(5);
            while wire.receive(end).unwrap() != Received::Timeout {}
            for service in wire.peer().services() {
                let last = service.path().last().copied();
                let gone = matches!(last, None | Some(State::Closed | State::Listen));
                assert!(gone, "{host}{interrupt}: {:?}", service.path());
            }
        }
    }
}
