//! `shakedown rtt`: round-trip times, again and again, by stamps that can be defended.

mod backstage;
mod engine;
mod ledger;
mod memory;
mod news;
mod outputs;
mod plan;
mod ports;
mod probe;
mod targets;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use self::backstage::{Backstage, Inbox};
use self::engine::{Engine, Parts};
use self::ledger::Ledger;
use self::outputs::Outputs;
use self::plan::Plan;
use self::ports::PortDesk;
use self::targets::{Aim, Found};
use super::capture::Capture;
use super::ground::{Carrier, Ground};
use super::{Environment, ExitStatus, Wanted, data};
use crate::cli::{Expect, RttArgs};
use crate::driver::Driver;
use crate::event::{RttEnd, RttRun, RttSink, RttTarget, Sink};
use crate::net::linux::{Route, descriptors, privilege};
use crate::net::{Facts, Wire};
use crate::report::ClosedPipe;
use crate::stats::{self, Schedule};
use crate::time::Instant;

/// Descriptors that are left for everything but guarded ports.
const OTHER_DESCRIPTORS: u64 = 64;
/// Ports that are guarded at most: a quarter of those that a host has to give.
const MOST_PORTS: u64 = 8192;
/// From the opening of the wire to the first probe: the time that is needed to get there and to say
/// what is going to happen, so that the first one is not late.
const LEAD: Duration = Duration::from_millis(1);
/// The same for each target.
const LEAD_EACH: Duration = Duration::from_micros(5);

/// Runs the subcommand.
///
/// # Errors
/// Whatever keeps this host from measuring.
pub fn run(args: &RttArgs, environment: &Environment) -> anyhow::Result<ExitStatus> {
    let ground = Ground::find()?;
    let plan = plan::plan(args, data::payload(&args.data)?)?;
    let found = targets::find(args, &ground)?;
    let schedule = plan::schedule(args, &plan, found.aims.len())?;
    // A run that cannot be should not empty the files of the one before.
    ground.ensure_permitted()?;
    let mut outputs = Outputs::open(args, environment)?;
    let mut capture = Capture::open(&args.output, &ground)?;
    let incomplete = found.incomplete;
    let prepared = Prepared { plan, found, schedule, ground };
    let targets = prepared.found.aims.len();
    let (_, status) = prepared.run(args, |wire, start| {
        capture.count_drops(wire.drop_counter());
        outputs.listeners(&mut capture, targets, start)
    })?;
    let status = outputs.status(capture.status(status));
    Ok(if incomplete { ExitStatus::NotMeasured } else { status })
}

/// Everything that is known before anything is opened.
struct Prepared {
    plan: Plan,
    found: Found,
    schedule: stats::Plan,
    ground: Ground,
}

/// Who hears what.
struct Listeners {
    /// Every segment: the capture.
    segments: Box<dyn Sink>,
    /// Every probe.
    out: Box<dyn RttSink>,
    /// Whether anybody still reads standard output.
    reader: ClosedPipe,
}

impl Prepared {
    /// Opens the network and runs to the end.
    fn run(
        self,
        args: &RttArgs,
        listeners: impl FnOnce(&Carrier, Instant) -> Listeners,
    ) -> anyhow::Result<(RttEnd, ExitStatus)> {
        let Self { plan, found, schedule, ground } = self;
        let dice = ground.dice();
        let most = descriptors::raise_limit().saturating_sub(OTHER_DESCRIPTORS).min(MOST_PORTS);
        let routes: Vec<&Route> = found.routes.iter().collect();
        let mut wire = ground.open_wire(&routes, &args.source, args.clock.clock)?;
        let desk = take_ports(&mut wire, &plan, &found)?;
        privilege::drop_all()?;
        let targets = u32::try_from(found.aims.len()).unwrap_or(u32::MAX);
        let start = wire.now() + LEAD + LEAD_EACH * targets;
        let Listeners { segments, out, reader } = listeners(&wire, start);
        let run = describe(&plan, &schedule, &desk, (&wire, start), &found);
        let flows_each = usize::from(plan.fixed);
        let wanted = Wanted::new(&args.expect, Expect::Open);
        let inbox = Inbox::default();
        let parts = Parts {
            driver: Driver::new(wire, Backstage::new(segments, Rc::clone(&inbox))),
            inbox,
            schedule: Schedule::new(schedule, run.start)?,
            ledger: Ledger::new(found.aims.len(), flows_each, wanted),
            run,
            aims: found.aims,
            plan,
            offer: args.offer.clone(),
            source: args.source.clone(),
            dice,
            desk,
            most_ports: usize::try_from(most)?,
            reader,
            out,
        };
        Engine::new(parts).run()
    }
}

/// Guards the fixed ports, where the ports are fixed.
fn take_ports(wire: &mut Carrier, plan: &Plan, found: &Found) -> anyhow::Result<PortDesk> {
    let mut desk = PortDesk::fresh();
    if plan.fixed == 0 {
        return Ok(desk);
    }
    let mut copies: HashMap<IpAddr, u16> = HashMap::new();
    for Aim { lane, copy, .. } in &found.aims {
        let most = copies.entry(lane.source).or_default();
        *most = (*most).max(copy + 1);
    }
    for route in &found.routes {
        let source = route.source;
        let Some(count) = copies.remove(&source) else { continue };
        let first = wire.first_port(route, plan.first_port)?;
        let mut wanted = (0..u32::from(count) * u32::from(plan.fixed)).map(|offset| {
            // Beyond the last port there is none: the kernel says so.
            let port = plan.first_port.map(|port| u32::from(port) + offset);
            port.map(|port| u16::try_from(port).unwrap_or(u16::MAX))
        });
        wanted.next();
        let mut ports = vec![first.port()];
        for port in wanted {
            ports.push(wire.take_port(source, port)?);
        }
        for (copy, ports) in (0..).zip(ports.chunks(usize::from(plan.fixed))) {
            desk.fix(source, copy, ports);
        }
    }
    Ok(desk)
}

/// What is fixed for the whole run.
fn describe(
    plan: &Plan,
    schedule: &stats::Plan,
    desk: &PortDesk,
    (wire, start): (&Carrier, Instant),
    found: &Found,
) -> RttRun {
    let Facts { clock, guard, .. } = *wire.facts();
    let target = |(name, aim): (&String, &Aim)| {
        let port = match desk.fixed_ports(aim.lane.source, aim.copy).as_slice() {
            [only] => *only,
            _ => 0,
        };
        RttTarget {
            name: name.clone(),
            to: aim.remote,
            from: SocketAddr::new(aim.lane.source, port),
            interface: Rc::clone(&aim.lane.interface),
        }
    };
    let first = found.aims.first();
    RttRun {
        method: plan.method,
        interval: schedule.interval,
        count: schedule.count,
        warm_up: schedule.warm_up,
        timeout: plan.timing.timeout,
        fixed_ports: first
            .map(|aim| desk.fixed_ports(aim.lane.source, aim.copy))
            .unwrap_or_default(),
        clock,
        guard,
        start,
        unix_ns: wire.unix_ns(start),
        targets: found.names.iter().zip(&found.aims).map(target).collect(),
    }
}
