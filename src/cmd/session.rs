//! From arguments to an open wire: resolve, find the route, look whether we may, take the guard,
//! drop what privilege is left.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::capture::Capture;
use super::figure::Figure;
use super::ground::{Carrier, Ground};
use super::{Environment, explain, target};
use crate::cli::shared::{
    ClockArg, ExplainArgs, FigureArgs, OfferArgs, OutputArgs, SourceArgs, TargetArgs, TimingArgs,
};
use crate::cli::value::Choice;
use crate::driver::{FlowSpec, Open};
use crate::event::{Run, Sink};
use crate::net::linux::{Route, privilege};
use crate::net::{Facts, Wire};
use crate::report::PipeWriter;
use crate::report::explain::Lang;
use crate::report::human::{HumanReporter, Style};
use crate::report::json::JsonReporter;
use crate::tcp::{Config, End, Offered, Timers};
use crate::wire::SeqNum;

/// What a connection may keep of data that nobody has read yet, in bytes: the receive window.
const RECEIVE_BUFFER: u32 = 256 * 1024;
/// The longest gap between two retransmissions (RFC 6298 §2.5 asks for 60 s at least).
const MAX_RTO: Duration = Duration::from_secs(60);
/// RFC 6298 §2.1 and §2.4.
const RTO: Duration = Duration::from_secs(1);
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
    pub(crate) explain: &'a ExplainArgs,
    pub(crate) figure: &'a FigureArgs,
}

/// Everything that a conversation needs.
pub(crate) struct Prepared {
    pub(crate) wire: Carrier,
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) run: Run,
    pub(crate) spec: FlowSpec,
    pub(crate) capture: Capture,
    pub(crate) figure: Figure,
}

impl Session<'_> {
    /// Opens the wire to the target.
    ///
    /// # Errors
    /// Whatever keeps this host from measuring, each with its remedy.
    pub(crate) fn prepare(&self, environment: &Environment) -> anyhow::Result<Prepared> {
        Figure::ensure_apart(self.figure, self.output)?;
        let ground = Ground::find()?;
        let (target, addresses) = target::one(self.target)?;
        let (remote, route) = ground.reach(&addresses, self.source)?;
        let mut dice = ground.dice();
        let mut capture = Capture::open(self.output, &ground)?;
        let mut figure = Figure::open(self.figure, self.output, &ground)?;
        let mut wire = ground.open_wire(&[&route], self.source, ClockArg::Kernel)?;
        capture.count_drops(wire.drop_counter());
        let local = wire.first_port(&route, self.source.source_port)?;
        privilege::drop_all()?;
        let name = target.shown_as(remote, self.output.numeric);
        let ends = (local, remote);
        let run = first_words(self.command, name, ends, &route, &wire);
        let timers = timers(self.timing, self.msl);
        let spec = specify(ends, route.mtu, self.offer, self.source, timers, dice.words()?);
        let lang = explain::of_run(self.explain, environment);
        let report = reporter(self.output, lang, environment, &mut capture);
        let sink = figure.beside(report);
        Ok(Prepared { wire, sink, run, spec, capture, figure })
    }
}

/// The first event of a flow.
pub(crate) fn first_words(
    command: &'static str,
    name: String,
    (source, target): (SocketAddr, SocketAddr),
    route: &Route,
    wire: &Carrier,
) -> Run {
    let Facts { clock, guard, .. } = *wire.facts();
    let interface = route.interface.name.clone();
    let at = wire.now();
    let unix_ns = wire.unix_ns(at);
    let end = End::Client;
    Run { command, name, target, source, interface, clock, guard, end, at, unix_ns }
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

/// A flow with the offer asked for; ISN and timestamp offset are of the random `words`.
pub(crate) fn specify(
    (local, remote): (SocketAddr, SocketAddr),
    mtu: u32,
    offer: &OfferArgs,
    source: &SourceArgs,
    timers: Timers,
    words: [u32; 4],
) -> FlowSpec {
    let [iss, ts_offset, ip_id, flow_label] = words;
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
    FlowSpec {
        local,
        remote,
        config,
        gate: Box::new(Open),
        ttl: source.ttl,
        tos: source.tos,
        ip_id: (ip_id & 0xffff) as u16,
        flow_label: flow_label & 0x000f_ffff,
    }
}

/// The MSS that an MTU allows: minus the fixed headers (RFC 9293 §3.7.1, MUST-67).
pub(crate) fn mss_for(mtu: u32, remote: IpAddr) -> u16 {
    let headers = if remote.is_ipv4() { 40 } else { 60 };
    u16::try_from(mtu.min(MAX_MTU).saturating_sub(headers)).unwrap_or(u16::MAX)
}

/// The reporter that the options ask for, on standard output, and the capture beside it. A capture
/// on standard output sends the reporter to standard error. Steps are explained in `lang`, where
/// there is one.
pub(crate) fn reporter(
    output: &OutputArgs,
    lang: Option<Lang>,
    environment: &Environment,
    capture: &mut Capture,
) -> Box<dyn Sink> {
    let reporter = if capture.is_on_stdout() {
        let stdout_is_terminal = environment.stderr_is_terminal;
        reporter_on(io::stderr(), output, lang, &Environment { stdout_is_terminal, ..*environment })
    } else {
        reporter_on(io::stdout(), output, lang, environment)
    };
    capture.beside(reporter)
}

fn reporter_on(
    out: impl io::Write + 'static,
    output: &OutputArgs,
    lang: Option<Lang>,
    environment: &Environment,
) -> Box<dyn Sink> {
    let out = PipeWriter::new(out);
    if output.json {
        return Box::new(JsonReporter::new(out).explaining(lang));
    }
    Box::new(HumanReporter::new(out, Style { explain: lang, ..style(output, environment) }))
}

/// How a report for a person looks.
pub(crate) fn style(output: &OutputArgs, environment: &Environment) -> Style {
    Style {
        color: environment.colours(output.color.color),
        width: environment.width.map_or(DEFAULT_WIDTH, usize::from),
        absolute: output.absolute,
        verbosity: output.verbose,
        quiet: output.quiet,
        unicode: environment.utf8,
        explain: None,
    }
}
