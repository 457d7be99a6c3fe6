//! `shakedown listen`: the other side of a connection, in user space.

mod address;
mod client;
mod content;
mod cookie;
mod engine;
mod findings;
mod gate;
mod guess;
mod outputs;
#[doc(hidden)]
pub mod rehearsal;

pub(super) use self::outputs::Brief;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use self::client::{Behaviour, Manner};
use self::content::Content;
use self::engine::{Caller, Ended, Engine, Plan};
use self::gate::Faults;
use super::capture::Capture;
use super::figure::Figure;
use super::ground::{Carrier, Dice, Ground};
use super::{Environment, ExitStatus, Wanted, session};
use crate::cli::value::{Choice, Trigger};
use crate::cli::{Expect, ListenArgs};
use crate::driver::{Driver, FlowSpec};
use crate::event::{Event, FlowId, Outcome, Run, Sink, Summary};
use crate::net::linux::privilege;
use crate::net::{Facts, Wire};
use crate::tcp::state::End;
use crate::time::Instant;

/// What all connections together may buffer, in bytes.
const MEMORY: usize = 256 << 20;
/// The least and the most that one of them may, in each direction.
const LEAST_BUFFER: usize = 8 << 10;
const MOST_BUFFER: usize = 4 << 20;
/// The MTU where nobody knows it: RFC 8200's least for IPv6, which IPv4 takes too.
const MODEST_MTU: u32 = 1280;

/// Runs the subcommand.
///
/// # Errors
/// Whatever keeps this host from listening.
pub fn run(args: &ListenArgs, environment: &Environment) -> anyhow::Result<ExitStatus> {
    let addresses = address::parse(args)?;
    let ground = Ground::find()?;
    let mut plan = plan(args)?;
    ground.ensure_permitted()?;
    let dice = ground.dice();
    Figure::ensure_apart(&args.figure, &args.output)?;
    let mut capture = Capture::open(&args.output, &ground)?;
    let mut figure = Figure::open(&args.figure, &args.output, &ground)?;
    let (wire, bound) = ground.listen(&addresses, &args.source)?;
    capture.count_drops(wire.drop_counter());
    privilege::drop_all()?;
    let (sink, live) = outputs::reporter(args, environment, &mut capture);
    let sink = figure.beside(sink);
    plan.ticks = live;
    let usual = if args.fault.refuse { Expect::Refused } else { Expect::Open };
    let wanted = Wanted::new(&args.expect, usual);
    let host = first_words(args, &wire, &bound);
    let summary = serve(Driver::new(wire, sink), args, plan, (&bound, host), dice, &wanted)?;
    let status = ExitStatus::of(summary.outcome, summary.as_expected);
    Ok(figure.status(capture.status(status)))
}

fn plan(args: &ListenArgs) -> anyhow::Result<Plan> {
    let (behaviour, fault, limit) = (&args.behaviour, &args.fault, &args.limit);
    let most = limit.max_connections as usize;
    let manner = Manner {
        behaviour: match &behaviour.reply {
            Some(path) => Behaviour::Reply(Rc::new(Content::open(path)?)),
            None if behaviour.echo => Behaviour::Echo,
            None => Behaviour::Discard,
        },
        close_after: behaviour.close_after,
        rst_after: fault.rst_after,
        never_close: fault.never_close,
        simultaneous_open: behaviour.simultaneous_open,
        delay_synack: fault.delay_synack.unwrap_or_default(),
        idle: idle_limit(limit.idle_timeout, [behaviour.close_after, fault.rst_after]),
        queue: buffer(most),
    };
    let faults = Faults {
        drop_syn: fault.drop_syn,
        hold_syn: fault.delay_synack.is_some() || behaviour.simultaneous_open,
        hold_fin: behaviour.simultaneous_close,
        strip_fin: fault.no_final_ack,
        kept: Rc::default(),
    };
    let cookie_mss = match args.offer.mss {
        Some(Choice::Value(mss)) => mss,
        _ => 1220,
    };
    Ok(Plan {
        manner,
        faults,
        refuse: fault.refuse,
        count: limit.count,
        most,
        deadline: args.timing.deadline,
        ip: (args.source.ttl, args.source.tos),
        cookie_mss,
        ticks: false,
    })
}

/// How long nothing may move on a connection that is to last until one of `triggers`.
fn idle_limit(limit: Choice<Duration>, triggers: [Option<Trigger>; 2]) -> Option<Duration> {
    let Choice::Value(limit) = limit else { return None };
    let times = triggers.into_iter().flatten().filter_map(|trigger| match trigger {
        Trigger::After(time) => Some(time),
        Trigger::Bytes(_) => None,
    });
    Some(times.fold(limit, Duration::max))
}

/// What one of so many connections may buffer in each direction.
fn buffer(most: usize) -> usize {
    (MEMORY / 2 / most.max(1)).clamp(LEAST_BUFFER, MOST_BUFFER)
}

/// The first event of the run: the listener itself, with no client yet.
fn first_words(args: &ListenArgs, wire: &Carrier, bound: &[SocketAddr]) -> Run {
    let Facts { interface, clock, guard, .. } = wire.facts().clone();
    let at = wire.now();
    let address = bound.first().copied().unwrap_or_else(|| ([0, 0, 0, 0], 0).into());
    Run {
        command: "listen",
        name: args.at.clone(),
        target: address,
        source: address,
        interface,
        clock,
        guard,
        end: End::Server,
        at,
        unix_ns: wire.unix_ns(at),
    }
}

/// Listens until the end, over whichever wire.
fn serve<S: Sink>(
    mut driver: Driver<Carrier, S>,
    args: &ListenArgs,
    plan: Plan,
    (bound, host): (&[SocketAddr], Run),
    mut dice: Dice,
    wanted: &Wanted,
) -> anyhow::Result<Summary> {
    let start = driver.now();
    for address in bound {
        driver.listen_at(*address);
    }
    driver.reserve(host.clone())?;
    let receive_buffer = plan.manner.queue as u32;
    let count = plan.count;
    let mut places: HashMap<IpAddr, (String, u32)> = HashMap::new();
    let specify = move |wire: &Carrier, caller: Caller| -> anyhow::Result<(Run, FlowSpec)> {
        let ends = (caller.server, caller.client);
        let known =
            places.entry(caller.server.ip()).or_insert_with(|| place_of(wire, &host, ends.0));
        let (interface, mtu) = known.clone();
        let at = wire.now();
        let run = Run {
            name: caller.client.to_string(),
            target: caller.client,
            source: caller.server,
            interface,
            at,
            unix_ns: wire.unix_ns(at),
            ..host.clone()
        };
        let timers = session::timers(&args.timing, args.behaviour.msl);
        let words = dice.words()?;
        let mut spec = session::specify(ends, mtu, &args.offer, &args.source, timers, words);
        if args.offer.window.is_none() {
            spec.config.receive_buffer = receive_buffer;
        }
        if let Some(iss) = caller.iss {
            spec.config.iss = iss;
        }
        Ok((run, spec))
    };
    let (mut driver, ended) = Engine::new(driver, plan, specify).run()?;
    driver.settle(None)?;
    let summary = summarize(&driver, ended, count, wanted, start);
    driver.report(FlowId::default(), &Event::Summary(Box::new(summary.clone())))?;
    Ok(summary)
}

/// The interface that has an address of ours, and its MTU.
fn place_of(wire: &Carrier, host: &Run, address: SocketAddr) -> (String, u32) {
    let mtu = wire.facts().mtu;
    match wire.place(address.ip()) {
        Some(place) => {
            let mtu = place.look().map_or(MODEST_MTU, |interface| interface.mtu);
            (place.interface, mtu)
        }
        None if address.ip().is_loopback() => ("lo".to_owned(), u32::from(u16::MAX)),
        None => (host.interface.clone(), mtu),
    }
}

fn summarize<S: Sink>(
    driver: &Driver<Carrier, S>,
    ended: Ended,
    count: Option<u64>,
    wanted: &Wanted,
    start: Instant,
) -> Summary {
    let Ended { report, interrupted } = ended;
    let satisfies = |outcome: Outcome| {
        wanted.includes(outcome)
            // It was open before it ended, however that was.
            || wanted.includes(Outcome::Open)
                && !matches!(
                    outcome,
                    Outcome::Refused | Outcome::Filtered | Outcome::LocalInterference
                )
    };
    let unwanted = report.outcomes.iter().map(|(it, _)| *it).find(|it| !satisfies(*it));
    let disturbed = report.outcomes.iter().any(|(it, _)| *it == Outcome::LocalInterference);
    let came: u64 = report.outcomes.iter().map(|(_, number)| *number).sum();
    let outcome = match unwanted {
        _ if disturbed => Outcome::LocalInterference,
        Some(outcome) => outcome,
        None if came == 0 && interrupted => Outcome::Interrupted,
        None => report.outcomes.first().map_or(Outcome::Filtered, |(outcome, _)| *outcome),
    };
    let enough = came > 0 && count.is_none_or(|count| came >= count);
    Summary {
        outcome,
        as_expected: unwanted.is_none() && enough,
        interrupted,
        elapsed: driver.now().since(start),
        traffic: driver.traffic(),
        handshake: None,
        close: None,
        probes: Vec::new(),
        listen: Some(report),
        requests: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_connections_together_stay_within_the_memory() {
        for most in [1, 10, 1024, 16_384] {
            assert!(2 * most * buffer(most) <= MEMORY, "{most}");
        }
        assert_eq!(buffer(65_536), LEAST_BUFFER, "a window is needed");
        assert_eq!(buffer(1), MOST_BUFFER);
    }

    #[test]
    fn what_is_to_happen_later_happens_before_silence_ends_a_connection() {
        let seconds = Duration::from_secs;
        let limit = Choice::Value(seconds(300));
        let after = |time| Some(Trigger::After(seconds(time)));
        assert_eq!(idle_limit(limit, [None, Some(Trigger::Bytes(7))]), Some(seconds(300)));
        assert_eq!(idle_limit(limit, [after(2), None]), Some(seconds(300)));
        assert_eq!(idle_limit(limit, [after(2), after(600)]), Some(seconds(600)));
        assert_eq!(idle_limit(Choice::Absent, [after(2), None]), None);
    }
}
