//! `shakedown request`: HTTP over our own TCP, and what it does with its connections.

mod course;
mod engine;
mod life;
mod outputs;
mod plan;
mod watch;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;

use self::engine::Engine;
use self::outputs::Outputs;
use self::plan::Plan;
use self::watch::{Book, Watch};
use super::capture::Capture;
use super::ground::{Carrier, Dice, Ground};
use super::target::{Family, Host, resolve};
use super::{Environment, ExitStatus, session};
use crate::cli::RequestArgs;
use crate::cli::shared::ClockArg;
use crate::driver::{Driver, FlowSpec};
use crate::event::{CourseReport, Event, FlowId, Outcome, RequestsReport, Run, Sink, Summary};
use crate::net::linux::{Route, clock, privilege};

/// How long TIME-WAIT lasts behind a connection that we closed: 2 MSL of this. Long enough to answer
/// a FIN repeated at once, too short for anyone to wait for.
const COURTESY_MSL: Duration = Duration::from_millis(50);

/// The receive window of a connection, in bytes, once it is open: what a kernel's may grow to. What
/// arrives is read at once, so that only what waits for a lost segment is ever kept.
const RECEIVE_BUFFER: u32 = 4 << 20;

/// Runs the subcommand.
///
/// # Errors
/// Whatever keeps this host from measuring.
pub fn run(args: &RequestArgs, environment: &Environment) -> anyhow::Result<ExitStatus> {
    let plan = Plan::new(args)?;
    let ground = Ground::find()?;
    let before = clock::now();
    let addresses = resolve(&plan.target, Family::of(&args.family))?;
    let looked_up = matches!((&ground, &plan.target.host), (Ground::Kernel(_), Host::Name(_)));
    let dns = looked_up.then(|| clock::now().since(before));
    let (remote, route) = ground.reach(&addresses, &args.source)?;
    let dice = ground.dice();
    let mut capture = Capture::open(&args.output, &ground)?;
    let mut outputs = Outputs::open(args, environment, &ground)?;
    let mut wire = ground.open_wire(&[&route], &args.source, ClockArg::Kernel)?;
    capture.count_drops(wire.drop_counter());
    let first = wire.first_port(&route, args.source.source_port)?;
    privilege::drop_all()?;
    let book = Book::default();
    let sink = outputs.reporter(&mut capture);
    let driver = Driver::new(wire, Watch::new(sink, Book::clone(&book)));
    let place = place(args, plan.name.clone(), (first, remote), route, dice);
    let summary = ask_all(Engine::new(driver, book, plan, dns, place))?;
    let status = ExitStatus::of(summary.outcome, summary.as_expected);
    Ok(outputs.status(capture.status(status)))
}

/// Where the n-th connection begins, and with what.
fn place(
    args: &RequestArgs,
    name: String,
    (first, remote): (SocketAddr, SocketAddr),
    route: Route,
    mut dice: Dice,
) -> impl FnMut(&mut Carrier, u32) -> anyhow::Result<(Run, FlowSpec)> {
    let (offer, source) = (args.offer.clone(), args.source.clone());
    let timers = session::timers(&args.timing, COURTESY_MSL);
    let name = if args.output.numeric { remote.to_string() } else { name };
    move |wire, number| {
        let local = if number == 0 {
            first
        } else {
            let wish = source.source_port.map(|port| {
                let number = u16::try_from(number).ok();
                let port = number.and_then(|number| port.checked_add(number));
                port.context("there are no ports left behind that of -g")
            });
            SocketAddr::new(first.ip(), wire.take_port(first.ip(), wish.transpose()?)?)
        };
        let ends = (local, remote);
        let run = session::first_words("request", name.clone(), ends, &route, wire);
        let words = dice.words()?;
        let mut spec = session::specify(ends, route.mtu, &offer, &source, timers, words);
        if offer.window.is_none() {
            spec.config.receive_buffer = RECEIVE_BUFFER;
        }
        Ok((run, spec))
    }
}

/// All rounds, and the last words.
fn ask_all<S, P>(mut engine: Engine<S, P>) -> anyhow::Result<Summary>
where
    S: Sink,
    P: FnMut(&mut Carrier, u32) -> anyhow::Result<(Run, FlowSpec)>,
{
    let mut courses = Vec::new();
    for round in 1..=engine.plan.rounds {
        for wish in engine.plan.wishes_of(round) {
            if engine.is_over() {
                break;
            }
            let number = u32::try_from(courses.len()).unwrap_or(u32::MAX);
            courses.push(engine.course(number, round, wish)?);
        }
    }
    engine.wait_for_all(true)?;
    engine.driver.settle(None)?;
    let summary = summarize(&engine, courses);
    engine.driver.report(FlowId::default(), &Event::Summary(Box::new(summary.clone())))?;
    Ok(summary)
}

fn summarize<S, P>(engine: &Engine<S, P>, courses: Vec<CourseReport>) -> Summary
where
    S: Sink,
    P: FnMut(&mut Carrier, u32) -> anyhow::Result<(Run, FlowSpec)>,
{
    let wrong = courses.iter().find(|course| course.outcome != Outcome::Answered);
    let outcome = match wrong {
        _ if engine.disturbed => Outcome::LocalInterference,
        Some(course) => course.outcome,
        None if courses.is_empty() => Outcome::Interrupted,
        None => Outcome::Answered,
    };
    // A comparison that was cut short is none.
    let planned = engine.plan.wishes.len() * engine.plan.rounds as usize;
    let as_expected = outcome == Outcome::Answered && courses.len() == planned;
    Summary {
        outcome,
        as_expected,
        interrupted: engine.interrupted(),
        elapsed: engine.driver.now().since(engine.start()),
        traffic: engine.driver.traffic(),
        handshake: None,
        close: None,
        probes: Vec::new(),
        listen: None,
        requests: Some(RequestsReport {
            courses,
            compared: engine.plan.compared,
            clock: engine.clock,
        }),
    }
}
