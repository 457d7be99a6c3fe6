//! `shakedown probe`: SYN, SYN-ACK, RST, for many ports at a time. The server's application never
//! hears of it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use super::capture::Capture;
use super::figure::Figure;
use super::ground::{Carrier, Ground};
use super::session;
use super::target::{Family, HostPorts, Services, resolve_host};
use super::{Environment, ExitStatus, Wanted, explain, findings};
use crate::cli::shared::ClockArg;
use crate::cli::{Expect, ProbeArgs};
use crate::driver::{Driver, DriverError, Flow, FlowSpec, HalfOpen, Step};
use crate::event::{Event, FlowId, Outcome, ProbeResult, Run, Sink, Summary, Traffic};
use crate::net::Wire;
use crate::net::linux::{Route, privilege};
use crate::time::Instant;

/// One port to be probed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Aim {
    /// As the user wrote it, with the port.
    pub(crate) name: String,
    /// The address.
    pub(crate) remote: SocketAddr,
    /// The way to it, shared by the ports of a host.
    pub(crate) route: Rc<Route>,
    /// How many aims before it have the very same address and port: two names of one host. Each
    /// needs a source port of its own, or their four-tuples would be one.
    pub(crate) copy: usize,
}

/// What is to be probed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    /// The ports, in order.
    pub(crate) aims: VecDeque<Aim>,
    /// How many at the same time.
    pub(crate) parallel: usize,
    /// When everything must be over, from the start.
    pub(crate) deadline: Option<Duration>,
}

/// Runs the subcommand.
///
/// # Errors
/// Whatever keeps this host from measuring.
pub fn run(args: &ProbeArgs, environment: &Environment) -> anyhow::Result<ExitStatus> {
    let ground = Ground::find()?;
    let hosts = HostPorts::parse_all(&args.targets, args.ports.as_deref(), &Services::of_host())?;
    let wanted = Wanted::new(&args.expect, Expect::Open);
    let aims = find(&ground, &hosts, args)?;
    let routes = distinct_routes(&aims);
    let mut dice = ground.dice();
    anyhow::ensure!(
        args.figure.figure.is_none() || aims.len() == 1,
        "--figure draws one connection, and these are {} probes: name one host and one port",
        aims.len()
    );
    Figure::ensure_apart(&args.figure, &args.output)?;
    let mut capture = Capture::open(&args.output, &ground)?;
    let mut figure = Figure::open(&args.figure, &args.output, &ground)?;
    let mut wire = ground.open_wire(&routes, &args.source, ClockArg::Kernel)?;
    let ports = take_ports(&mut wire, &aims, args.source.source_port)?;
    capture.count_drops(wire.drop_counter());
    privilege::drop_all()?;
    let plan = Plan { aims, parallel: usize::from(args.parallel), deadline: args.timing.deadline };
    let started = wire.now();
    let lang = explain::of_run(&args.explain, environment);
    let report = session::reporter(&args.output, lang, environment, &mut capture);
    let sink = figure.beside(report);
    let mut driver = Driver::new(wire, sink);
    let tally = probe_all(&mut driver, plan, |wire, aim| {
        let ends = (ports[&aim.route.source][aim.copy], aim.remote);
        let run = session::first_words("probe", aim.name.clone(), ends, &aim.route, wire);
        let timers = session::timers(&args.timing, Duration::ZERO);
        let mtu = aim.route.mtu;
        let words = dice.words()?;
        Ok((run, session::specify(ends, mtu, &args.offer, &args.source, timers, words)))
    })?;
    let elapsed = driver.now().since(started);
    let summary = summary(tally, &wanted, elapsed, driver.traffic());
    driver.report(FlowId(0), &Event::Summary(Box::new(summary.clone())))?;
    // A run of several is as grave as its gravest probe.
    let gravest = summary.probes.iter().map(|(outcome, _)| wanted.status(*outcome)).max();
    let status = match gravest {
        Some(status) if !summary.interrupted => status,
        Some(status) => status.max(ExitStatus::Otherwise),
        None => ExitStatus::Otherwise,
    };
    Ok(figure.status(capture.status(status)))
}

/// Resolves every host once, and finds the route to it.
fn find(ground: &Ground, hosts: &[HostPorts], args: &ProbeArgs) -> anyhow::Result<VecDeque<Aim>> {
    let family = Family::of(&args.family);
    let mut aims = VecDeque::new();
    let mut copies: HashMap<SocketAddr, usize> = HashMap::new();
    for host in hosts {
        let (address, route) = ground.reach(&resolve_host(&host.host, family)?, &args.source)?;
        let route = Rc::new(route);
        for target in host.targets() {
            let mut remote = address;
            remote.set_port(target.port);
            let copy = copies.entry(remote).or_default();
            let name = if args.output.numeric { remote.to_string() } else { target.to_string() };
            aims.push_back(Aim { name, remote, route: Rc::clone(&route), copy: *copy });
            *copy += 1;
        }
    }
    Ok(aims)
}

/// The routes of all hosts, each host's once.
fn distinct_routes(aims: &VecDeque<Aim>) -> Vec<&Route> {
    let mut seen = HashSet::new();
    aims.iter().map(|aim| &*aim.route).filter(|route| seen.insert(route.destination)).collect()
}

/// Guards, for each source address, as many ports as one target is repeated on it.
fn take_ports(
    wire: &mut Carrier,
    aims: &VecDeque<Aim>,
    first: Option<u16>,
) -> anyhow::Result<HashMap<IpAddr, Vec<SocketAddr>>> {
    let mut ports: HashMap<IpAddr, Vec<SocketAddr>> = HashMap::new();
    for aim in aims {
        let source = aim.route.source;
        let taken = match ports.entry(source) {
            Entry::Occupied(taken) => taken.into_mut(),
            // The port that was guarded with the route.
            Entry::Vacant(none) => none.insert(vec![wire.first_port(&aim.route, first)?]),
        };
        while taken.len() <= aim.copy {
            let next = wire.next_port(&aim.route, taken)?;
            taken.push(next);
        }
    }
    Ok(ports)
}

/// What came of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    /// Outcomes, with their counts, in the order in which they first came.
    pub(crate) outcomes: Vec<(Outcome, u64)>,
    /// Whether the user cut it short.
    pub(crate) interrupted: bool,
}

impl Tally {
    fn count(&mut self, outcome: Outcome) {
        match self.outcomes.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, count)) => *count += 1,
            None => self.outcomes.push((outcome, 1)),
        }
    }
}

/// Probes every aim of `plan`. `specify` gives a flow's first event, and its parameters with
/// a fresh ISN.
///
/// # Errors
/// Where our own host fails.
pub(crate) fn probe_all<W: Wire, S: Sink>(
    driver: &mut Driver<W, S>,
    mut plan: Plan,
    mut specify: impl FnMut(&W, &Aim) -> anyhow::Result<(Run, FlowSpec)>,
) -> anyhow::Result<Tally> {
    let forever = Instant::from_nanos(u64::MAX);
    let until = plan.deadline.map_or(forever, |limit| driver.now() + limit);
    let mut tally = Tally::default();
    let mut number = 0;
    let mut active: Vec<(FlowId, Aim, u64)> = Vec::with_capacity(plan.parallel);
    loop {
        while active.len() < plan.parallel {
            let Some(aim) = plan.aims.pop_front() else { break };
            let (run, spec) = specify(driver.wire(), &aim)?;
            let id = driver.open(FlowSpec { gate: Box::new(HalfOpen), ..spec }, run)?;
            number += 1;
            active.push((id, aim, number));
        }
        if active.is_empty() {
            driver.settle(None)?;
            return Ok(tally);
        }
        // Whatever settled one probe may have brought the answer to another: look at all of them
        // before waiting again.
        let decided = |(id, ..): &(FlowId, Aim, u64)| driver.flow(*id).is_none_or(is_decided);
        let (ready, still): (Vec<_>, Vec<_>) = active.into_iter().partition(decided);
        active = still;
        if ready.is_empty() {
            let step = driver.step(until)?;
            tally.interrupted |= step == Step::Interrupted;
            if matches!(step, Step::Deadline | Step::Interrupted) {
                plan.aims.clear();
                for probe in std::mem::take(&mut active) {
                    conclude(driver, probe, false, &mut tally)?;
                }
            }
        }
        for probe in ready {
            conclude(driver, probe, true, &mut tally)?;
        }
    }
}

/// Whether the probe has its answer, or will get none.
fn is_decided(flow: &Flow) -> bool {
    let ending = &flow.ending;
    ending.established
        || ending.closed
        // To a connection such an error may be a passing trouble (RFC 9293 MUST-56); to a probe it
        // is the answer.
        || !flow.timeline.icmp.is_empty()
        || flow.interference
}

/// Resets what is half-open, says what the probe found, and forgets it.
fn conclude<W: Wire, S: Sink>(
    driver: &mut Driver<W, S>,
    (id, aim, number): (FlowId, Aim, u64),
    decided: bool,
    tally: &mut Tally,
) -> Result<(), DriverError> {
    driver.with_flow(id, |flow, now| flow.connection.abort(now))?;
    driver.settle(Some(id))?;
    let Some(flow) = driver.flow(id) else { return Ok(()) };
    let report = findings::handshake_report(flow, false);
    let outcome = match findings::opening(flow) {
        Outcome::Filtered if !decided => Outcome::Interrupted,
        other => other,
    };
    let result = ProbeResult {
        seq: number,
        target: aim.name,
        outcome,
        rtt: report.rtt,
        attempts: report.attempts,
        answered_by: report.answered_by,
        granted: report.granted,
        icmp: report.icmp,
        reason: match outcome {
            Outcome::Invalid => flow.timeline.last_rejection,
            _ => report.rtt_absent,
        },
    };
    tally.count(outcome);
    driver.report(id, &Event::Probe(result))?;
    driver.forget(id).map(drop)
}

/// The last word of a run of probes.
pub(crate) fn summary(
    tally: Tally,
    wanted: &Wanted,
    elapsed: Duration,
    traffic: Traffic,
) -> Summary {
    // A run of several is as good as its worst: the first outcome that was not wanted names it.
    let unwanted =
        tally.outcomes.iter().map(|(outcome, _)| *outcome).find(|o| !wanted.includes(*o));
    let first = tally.outcomes.first().map(|(outcome, _)| *outcome);
    let outcome = unwanted.or(first).unwrap_or(Outcome::Interrupted);
    Summary {
        outcome,
        as_expected: unwanted.is_none() && first.is_some() && !tally.interrupted,
        interrupted: tally.interrupted,
        elapsed,
        traffic,
        handshake: None,
        close: None,
        probes: tally.outcomes,
        listen: None,
        requests: None,
    }
}
