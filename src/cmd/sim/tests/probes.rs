//! `probe` over the simulated network.

use std::rc::Rc;

use super::*;
use crate::cmd::ground::Dice;
use crate::cmd::probe::{Aim, Plan, Tally, probe_all};
use crate::cmd::sim::Simulation;
use crate::event::{Outcome, ProbeResult};
use crate::net::sim::Rng;

/// Probes `ports` of the one host, at most `parallel` at a time.
fn probe(
    wire: &mut impl Wire,
    ports: impl Iterator<Item = u16>,
    parallel: usize,
    deadline: Option<Duration>,
) -> (Tally, Log, Duration) {
    let simulation = Simulation::parse("silent").expect("a simulation");
    let aim = |port| {
        let remote = ends(port).1;
        let route = Rc::new(simulation.route(remote.ip()));
        Aim { name: remote.to_string(), remote, route, copy: 0 }
    };
    let plan = Plan { aims: ports.map(aim).collect(), parallel, deadline };
    let mut log = Log::new();
    let mut driver = Driver::new(wire, &mut log);
    let mut dice = Dice::Seeded(Rng::new(5));
    let tally = probe_all(&mut driver, plan, |_, aim| {
        let mut spec = spec(aim.remote.port());
        spec.config.iss = SeqNum(dice.words()?[0]);
        Ok((run_of("probe", aim.remote.port()), spec))
    });
    let (elapsed, tally) = (driver.now().since(Instant::ZERO), tally.expect("a host in order"));
    drop(driver);
    (tally, log, elapsed)
}

fn results(log: &Log) -> Vec<&ProbeResult> {
    log.iter()
        .filter_map(|(_, event)| match event {
            Event::Probe(result) => Some(result),
            _ => None,
        })
        .collect()
}

/// Every third port from 1 open, the others closed.
fn thirds() -> SimWire<Host> {
    let ports = (1..=200).filter(|port| port % 3 == 0).collect();
    let host = Host::new(Behaviour::Echo, ports, Duration::ZERO, 1);
    SimWire::new(1, Link::delayed(DELAY), Link::delayed(DELAY), host)
}

#[test]
fn two_hundred_ports_all_get_their_verdict() {
    let mut wire = thirds();
    let (tally, log, elapsed) = probe(&mut wire, 1..=200, 32, None);
    assert_eq!(tally.outcomes.iter().map(|(_, count)| count).sum::<u64>(), 200);
    // Seven batches of 32, as far as each is done at once.
    assert_eq!(elapsed, ms(7 * 20));
    let mut seen: Vec<_> = results(&log)
        .iter()
        .map(|r| (r.target.clone(), r.outcome, r.rtt.map(|rtt| rtt.value)))
        .collect();
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    let mut expected: Vec<_> = (1..=200_u16)
        .map(|port| {
            let open = if port % 3 == 0 { Outcome::Open } else { Outcome::Refused };
            (ends(port).1.to_string(), open, Some(ms(20)))
        })
        .collect();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(seen, expected);
    // The server's application never heard of it.
    let_time_pass(&mut wire);
    assert!(wire.peer().services().all(|s| !s.path().contains(&State::Established)));
    assert!(wire.peer().services().all(|s| s.path() == [State::SynReceived, State::Listen]));
}

#[test]
fn a_half_open_probe_sends_no_ack_and_leaves_by_a_reset_without_one() {
    let (_, log, _) = probe(&mut network(Behaviour::Echo), 80..=80, 1, None);
    let sent: Vec<_> =
        segments(&log, Dir::Tx).iter().map(|s| s.packet.segment.flags.letters()).collect();
    assert_eq!(sent, ["S", "R"]);
}

#[test]
fn silent_ports_wait_beside_each_other() {
    let (tally, log, elapsed) = probe(&mut network(Behaviour::Silent), 1..=64, 32, None);
    assert_eq!(tally.outcomes, [(Outcome::Filtered, 64)]);
    assert_eq!(elapsed, 2 * (ms(3000) + WAIT));
    assert!(results(&log).iter().all(|result| result.attempts == 3));
}

#[test]
fn icmp_errors_decide_their_own_probe() {
    let (tally, log, elapsed) = probe(&mut network(Behaviour::Prohibited), 1..=40, 40, None);
    assert_eq!((tally.outcomes.as_slice(), elapsed), (&[(Outcome::Prohibited, 40)][..], ms(20)));
    assert!(results(&log).iter().all(|result| result.icmp.is_some()));
}

#[test]
fn an_interrupt_or_the_deadline_ends_all_that_is_under_way() {
    let mut wire = network(Behaviour::Silent);
    wire.interrupt_at(at(1500));
    let (tally, log, elapsed) = probe(&mut wire, 1..=200, 32, None);
    assert_eq!((tally.interrupted, elapsed), (true, ms(1500)));
    assert_eq!(
        (tally.outcomes.as_slice(), results(&log).len()),
        (&[(Outcome::Interrupted, 32)][..], 32)
    );
    let (tally, _, elapsed) = probe(&mut network(Behaviour::Silent), 1..=200, 32, Some(ms(1500)));
    assert_eq!((tally.interrupted, elapsed), (false, ms(1500)));
    assert_eq!(tally.outcomes.len(), 1);
}
