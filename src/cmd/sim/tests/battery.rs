//! The conformance battery against our own TCP, over a network that loses, delays and overtakes: it
//! may know less then, but it must never accuse a server that keeps the rules.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::check::{Check, Core, Engine, Plan, Setting, Stand, all, by_id, replay};
use crate::cmd::sim::{Host, Simulation};
use crate::event::{CheckEvent, CheckResult, CheckSink, PathProfile, ServerProfile, Verdict};
use crate::net::sim::{Rng, SimWire};
use crate::net::{Facts, Received, Wire};
use crate::time::Instant;

/// A simulated wire with ports and dice.
struct SimStand {
    wire: SimWire<Host>,
    dice: Rng,
    port: u16,
}

impl Wire for SimStand {
    fn now(&self) -> Instant {
        self.wire.now()
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        self.wire.send(packet)
    }

    fn receive(&mut self, until: Instant) -> io::Result<Received> {
        self.wire.receive(until)
    }

    fn facts(&self) -> &Facts {
        self.wire.facts()
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
    reached: bool,
}

fn run(simulation: &str, checks: Vec<&'static Check>) -> Outcome {
    let simulation = Simulation::parse(simulation).unwrap();
    let target = ([192, 0, 2, 1], 80).into();
    let source = simulation.route([192, 0, 2, 1].into()).source;
    let stand = SimStand { wire: simulation.wire(), dice: simulation.dice(), port: 20_000 };
    let core = Core::new(Box::new(stand), source, target).unwrap();
    let events = Shared::default();
    let plan = Plan { checks, parallel: 8, deadline: None, setting: setting() };
    let end = Engine::new(core, plan, events.clone()).run().unwrap();
    let mut outcome = Outcome {
        path: PathProfile::default(),
        server: ServerProfile::default(),
        results: Vec::new(),
        reached: end.cut_short.is_none(),
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

const HOSTS: [&str; 4] = ["echo", "greet", "answer", "stubborn"];

/// What a seed's network does.
fn weather(seed: u64) -> String {
    let sky = match seed % 5 {
        0 => "delay=10ms,loss=0.01",
        1 => "delay=10ms,loss=0.05,reorder=0.05",
        2 => "delay=10ms,loss=0.2",
        3 => "delay=200ms",
        _ => "delay=5ms,jitter=3ms,reorder=0.2,duplicate=0.1",
    };
    let host = HOSTS[(seed / 5 % 4) as usize];
    format!("{host}:ports=80,seed={seed},{sky}")
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
    never_a_false_failure(0..seeds.unwrap_or(20));
}

#[test]
fn a_recorded_trace_comes_to_the_same_verdict() {
    for host in HOSTS {
        let outcome = run(&format!("{host}:ports=80,delay=10ms,seed=3"), all());
        assert!(outcome.reached);
        let known = Setting { path: outcome.path, server: outcome.server, ..setting() };
        for result in &outcome.results {
            if result.runs > 1 || result.trace.conversations.is_empty() {
                continue;
            }
            let check = by_id(result.info.id).unwrap();
            let again = replay(check, known.clone(), &result.trace).unwrap();
            assert_eq!(
                (again.verdict, &again.observed),
                (result.finding.verdict, &result.finding.observed),
                "{host}: {}",
                shown(result)
            );
        }
    }
}
