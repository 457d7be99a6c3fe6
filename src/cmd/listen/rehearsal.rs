//! The listener over a simulated network, with every reporter listening: for whoever wants to know
//! what any packets whatever do to it, as the fuzz target does.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::client::{Behaviour, Manner};
use super::engine::{Caller, Ended, Engine, Plan};
use super::gate::Faults;
use crate::cli::shared::{GuardChoice, OfferArgs, SourceArgs, TimingArgs};
use crate::cli::value::Trigger;
use crate::cmd::session;
use crate::driver::{Driver, FlowSpec};
use crate::event::{Event, FlowId, ListenReport, Outcome, Run, Sink, Summary};
use crate::net::sim::{Endpoint, Rng, SimWire};
use crate::net::{Facts, Wire};
use crate::report::figure::{FigureSink, Look};
use crate::report::human::Style;
use crate::report::listen::LinesReporter;
use crate::report::{Fan, HumanReporter, JsonReporter, PcapngReporter};
use crate::tcp::state::End;

/// What a listener is to do, as the command line would have it.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // each is an option of the command
pub struct Rehearsal {
    /// `--max-connections`.
    pub most: usize,
    /// `--echo`.
    pub echo: bool,
    /// `--drop-syn`.
    pub drop_syn: u32,
    /// `--delay-synack`.
    pub delay_synack: Option<Duration>,
    /// `--simultaneous-open`.
    pub simultaneous_open: bool,
    /// `--simultaneous-close`.
    pub simultaneous_close: bool,
    /// `--no-final-ack`.
    pub no_final_ack: bool,
    /// `--never-close`.
    pub never_close: bool,
    /// `--refuse`.
    pub refuse: bool,
    /// `--close-after`.
    pub close_after: Option<Trigger>,
    /// `--rst-after`.
    pub rst_after: Option<Trigger>,
    /// `--idle-timeout`.
    pub idle: Option<Duration>,
    /// `--deadline`.
    pub deadline: Duration,
}

impl Rehearsal {
    fn plan(&self) -> Plan {
        let manner = Manner {
            behaviour: if self.echo { Behaviour::Echo } else { Behaviour::Discard },
            close_after: self.close_after,
            rst_after: self.rst_after,
            never_close: self.never_close,
            simultaneous_open: self.simultaneous_open,
            delay_synack: self.delay_synack.unwrap_or_default(),
            idle: self.idle,
            queue: super::LEAST_BUFFER,
        };
        let faults = Faults {
            drop_syn: self.drop_syn,
            hold_syn: self.delay_synack.is_some() || self.simultaneous_open,
            hold_fin: self.simultaneous_close,
            strip_fin: self.no_final_ack,
            kept: Rc::default(),
        };
        Plan {
            manner,
            faults,
            refuse: self.refuse,
            count: None,
            most: self.most,
            deadline: Some(self.deadline),
            ip: (64, 0),
            cookie_mss: 1220,
            ticks: false,
        }
    }
}

/// Listens at `at` over `wire` until the deadline, and tells what came of it.
///
/// # Errors
/// The listener came to an end otherwise, which it should not.
pub fn listen<E: Endpoint>(
    wire: &mut SimWire<E>,
    at: SocketAddr,
    rehearsal: &Rehearsal,
) -> anyhow::Result<ListenReport> {
    let host = host(wire, at);
    let start = wire.now();
    let mut driver = Driver::new(wire, everyone()?);
    driver.listen_at(at);
    driver.reserve(host.clone())?;
    let mut words = Rng::new(7);
    let offer = OfferArgs::default();
    let source = SourceArgs {
        source: None,
        source_port: None,
        interface: None,
        ttl: 64,
        tos: 0,
        guard: GuardChoice::Auto,
    };
    let timing = TimingArgs { timeout: Duration::from_secs(2), retries: 2, deadline: None };
    let specify = move |wire: &&mut SimWire<E>, caller: Caller| {
        let (name, target, source_address) =
            (caller.client.to_string(), caller.client, caller.server);
        let at = wire.now();
        let run = Run { name, target, source: source_address, at, ..host.clone() };
        let timers = session::timers(&timing, Duration::from_secs(1));
        let words = [(); 4].map(|()| (words.bits() >> 32) as u32);
        let ends = (caller.server, caller.client);
        let mut spec: FlowSpec = session::specify(ends, 1500, &offer, &source, timers, words);
        spec.config.receive_buffer = super::LEAST_BUFFER as u32;
        if let Some(iss) = caller.iss {
            spec.config.iss = iss;
        }
        Ok((run, spec))
    };
    let (mut driver, Ended { report, interrupted }) =
        Engine::new(driver, rehearsal.plan(), specify).run()?;
    driver.settle(None)?;
    let summary = Summary {
        outcome: Outcome::Open,
        as_expected: true,
        interrupted,
        elapsed: driver.now().since(start),
        traffic: driver.traffic(),
        handshake: None,
        close: None,
        probes: Vec::new(),
        listen: Some(report.clone()),
        requests: None,
    };
    driver.report(FlowId::default(), &Event::Summary(Box::new(summary)))?;
    Ok(report)
}

fn host<E: Endpoint>(wire: &SimWire<E>, at: SocketAddr) -> Run {
    let Facts { interface, clock, guard, .. } = wire.facts().clone();
    Run {
        command: "listen",
        name: at.to_string(),
        target: at,
        source: at,
        interface,
        clock,
        guard,
        end: End::Server,
        at: wire.now(),
        unix_ns: None,
    }
}

/// All who could hear of it; what they write goes nowhere.
fn everyone() -> io::Result<Box<dyn Sink>> {
    let style = Style { verbosity: 1, ..Style::default() };
    let fan = Fan::new()
        .with(JsonReporter::new(io::sink()))
        .with(HumanReporter::new(io::sink(), style))
        .with(LinesReporter::new(io::sink(), Style::default()))
        .with(PcapngReporter::new(io::sink(), "shakedown", "listen")?)
        .with(FigureSink::new(Look::default(), |_| Ok(())));
    Ok(Box::new(fan))
}
