//! From arguments to an open wire: resolve, find the route, look whether we may, take the guard,
//! drop what privilege is left.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;

use super::Environment;
use super::capture::Capture;
use super::target;
use crate::cli::shared::{
    GuardChoice as GuardArg, OfferArgs, OutputArgs, SourceArgs, TargetArgs, TimingArgs,
};
use crate::cli::value::Choice;
use crate::driver::{FlowSpec, Open};
use crate::event::{Run, Sink};
use crate::net::linux::{
    GuardChoice, LinuxWire, OpenPlan, Route, RouteError, RouteOptions, Stamping, privilege,
    route_to,
};
use crate::net::{Facts, Wire};
use crate::report::PipeWriter;
use crate::report::human::{HumanReporter, Style};
use crate::report::json::JsonReporter;
use crate::tcp::{Config, Offered, Timers};
use crate::wire::SeqNum;

/// What a connection may keep of data that nobody has read yet, in bytes: the receive window.
const RECEIVE_BUFFER: u32 = 256 * 1024;
/// The longest gap between two retransmissions (RFC 6298 §2.5 asks for 60 s at least).
const MAX_RTO: Duration = Duration::from_secs(60);
/// RFC 6298 §2.1 and §2.4.
const RTO: Duration = Duration::from_secs(1);
/// How long the kernel may take to switch its time stamps on: 0.1 ms as a rule, some 20 ms on a busy
/// machine.
const STAMPING_PATIENCE: Duration = Duration::from_millis(100);
/// Columns of output that goes to a file or a pipe.
const DEFAULT_WIDTH: usize = 100;
/// Where an interface's MTU is beyond what an IP packet can be (loopback), Linux counts with this.
const MAX_MTU: u32 = 65535;

/// The arguments of a command with one target.
pub(crate) struct Session<'a> {
    pub(crate) command: &'static str,
    pub(crate) target: &'a TargetArgs,
    pub(crate) source: &'a SourceArgs,
    pub(crate) offer: &'a OfferArgs,
    pub(crate) timing: &'a TimingArgs,
    pub(crate) msl: Duration,
    pub(crate) output: &'a OutputArgs,
}

/// Everything that a conversation needs.
pub(crate) struct Prepared {
    pub(crate) wire: LinuxWire,
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) run: Run,
    pub(crate) spec: FlowSpec,
    pub(crate) capture: Capture,
}

impl Session<'_> {
    /// Opens the wire to the target.
    ///
    /// # Errors
    /// Whatever keeps this host from measuring, each with its remedy.
    pub(crate) fn prepare(&self, environment: &Environment) -> anyhow::Result<Prepared> {
        let stamping = Stamping::request();
        let (target, addresses) = target::one(self.target)?;
        let (remote, route) = reach(&addresses, self.source)?;
        let mut capture = Capture::open(self.output)?;
        let wire = open_wire(&[&route], self.source, stamping)?;
        capture.count_drops(wire.drop_counter());
        privilege::drop_all()?;
        let name = target.shown_as(remote, self.output.numeric);
        let ends = (wire.source(), remote);
        let run = first_words(self.command, name, ends, &route, &wire);
        let timers = timers(self.timing, self.msl);
        let spec = specify(ends, route.mtu, self.offer, self.source, timers)?;
        let sink = reporter(self.output, environment, &mut capture);
        Ok(Prepared { wire, sink, run, spec, capture })
    }
}

/// The first of `addresses` to which this host has a route, and the route.
///
/// # Errors
/// Why there is none to the last of them.
pub(crate) fn reach(
    addresses: &[SocketAddr],
    source: &SourceArgs,
) -> anyhow::Result<(SocketAddr, Route)> {
    let mut last: Option<RouteError> = None;
    for address in addresses {
        let address = target::on_interface(*address, source.interface.as_deref())?;
        let scope_id = match address {
            SocketAddr::V6(v6) => v6.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        let options =
            RouteOptions { source: source.source, interface: source.interface.clone(), scope_id };
        match route_to(address.ip(), &options) {
            Ok(route) => return Ok((address, route)),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error.into()),
        None => anyhow::bail!("the name has no address"),
    }
}

/// Opens a wire over `routes`, whose packets will bear the kernel's stamps. What privilege is left may be dropped once all ports are taken.
///
/// # Errors
/// A missing capability, a port that is taken: each with its remedy.
pub(crate) fn open_wire(
    routes: &[&Route],
    source: &SourceArgs,
    stamping: io::Result<Stamping>,
) -> anyhow::Result<LinuxWire> {
    privilege::ensure_net_raw()?;
    let guard = match source.guard {
        GuardArg::Auto => GuardChoice::Auto,
        GuardArg::Filter => GuardChoice::Filter,
        GuardArg::Minttl => GuardChoice::MinTtl,
    };
    let source_port = source.source_port;
    let [first, others @ ..] = routes else { anyhow::bail!("there is nothing to send to") };
    let route = Route::clone(first);
    let plan = OpenPlan { route, source_port, guard, ports: 1, signals: true };
    let mut wire = LinuxWire::open(&plan)?;
    for route in others {
        wire.add_route(route, source_port)?;
    }
    // Where the kernel's stamps cannot be had, each packet says that its time is ours.
    if let Ok(stamping) = stamping {
        let _ = stamping.wait(STAMPING_PATIENCE);
    }
    Ok(wire)
}

/// The first event of a flow.
pub(crate) fn first_words(
    command: &'static str,
    name: String,
    (source, target): (SocketAddr, SocketAddr),
    route: &Route,
    wire: &LinuxWire,
) -> Run {
    let Facts { clock, guard, .. } = *wire.facts();
    let interface = route.interface.name.clone();
    let at = wire.now();
    let unix_ns = i64::try_from(wire.unix_ns(at)).ok();
    Run { command, name, target, source, interface, clock, guard, at, unix_ns }
}

/// Retransmission by the options.
pub(crate) fn timers(timing: &TimingArgs, msl: Duration) -> Timers {
    Timers {
        initial_rto: RTO,
        min_rto: RTO,
        max_rto: MAX_RTO,
        syn_retries: timing.retries,
        retries: timing.retries,
        final_wait: Some(timing.timeout),
        msl,
    }
}

/// A flow with an unpredictable ISN and timestamp offset, and the offer asked for.
///
/// # Errors
/// The kernel has no randomness to give.
pub(crate) fn specify(
    (local, remote): (SocketAddr, SocketAddr),
    mtu: u32,
    offer: &OfferArgs,
    source: &SourceArgs,
    timers: Timers,
) -> anyhow::Result<FlowSpec> {
    let [iss, ts_offset, ip_id, flow_label] = random_words()?;
    let window = offer.window.unwrap_or(Offered::default().window);
    let offered = Offered {
        window,
        mss: match offer.mss {
            Some(Choice::Value(mss)) => Some(mss),
            Some(Choice::Absent) => None,
            None => Some(mss_for(mtu, remote.ip())),
        },
        window_scale: match offer.wscale {
            Some(Choice::Value(shift)) => Some(shift),
            Some(Choice::Absent) => None,
            None => Offered::default().window_scale,
        },
        sack: offer.wants_sack(),
        timestamps: offer.wants_timestamps(),
        ecn: offer.ecn,
        fast_open: offer.tfo.then(Vec::new),
    };
    let config = Config {
        local_port: local.port(),
        remote_port: remote.port(),
        iss: SeqNum(offer.isn.unwrap_or(iss)),
        ts_offset,
        offer: offered,
        // A window that was asked for holds for the whole connection, not for the SYN alone.
        receive_buffer: offer.window.map_or(RECEIVE_BUFFER, u32::from),
        timers,
    };
    Ok(FlowSpec {
        local,
        remote,
        config,
        gate: Box::new(Open),
        ttl: source.ttl,
        tos: source.tos,
        ip_id: (ip_id & 0xffff) as u16,
        flow_label: flow_label & 0x000f_ffff,
    })
}

/// The MSS that an MTU allows: minus the fixed headers (RFC 9293 §3.7.1, MUST-67).
fn mss_for(mtu: u32, remote: IpAddr) -> u16 {
    let headers = if remote.is_ipv4() { 40 } else { 60 };
    u16::try_from(mtu.min(MAX_MTU).saturating_sub(headers)).unwrap_or(u16::MAX)
}

fn random_words() -> anyhow::Result<[u32; 4]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("cannot get random numbers from the kernel")?;
    let word =
        |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Ok([word(0), word(4), word(8), word(12)])
}

/// The reporter that the options ask for, on standard output, and the capture beside it. A capture
/// on standard output sends the reporter to standard error.
pub(crate) fn reporter(
    output: &OutputArgs,
    environment: &Environment,
    capture: &mut Capture,
) -> Box<dyn Sink> {
    let reporter = if capture.is_on_stdout() {
        let stdout_is_terminal = environment.stderr_is_terminal;
        reporter_on(io::stderr(), output, &Environment { stdout_is_terminal, ..*environment })
    } else {
        reporter_on(io::stdout(), output, environment)
    };
    capture.beside(reporter)
}

fn reporter_on(
    out: impl io::Write + 'static,
    output: &OutputArgs,
    environment: &Environment,
) -> Box<dyn Sink> {
    let out = PipeWriter::new(out);
    if output.json {
        return Box::new(JsonReporter::new(out));
    }
    Box::new(HumanReporter::new(
        out,
        Style {
            color: environment.colours(output.color.color),
            width: environment.width.map_or(DEFAULT_WIDTH, usize::from),
            absolute: output.absolute,
            verbosity: output.verbose,
            quiet: output.quiet,
            unicode: environment.utf8,
        },
    ))
}
