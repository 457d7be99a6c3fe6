//! `shakedown check`: the conformance battery against any server.

mod consent;
mod explain;
mod outputs;
mod select;
mod stand;

use std::net::SocketAddr;

use anyhow::{Context as _, bail};

use self::outputs::Outputs;
use self::select::Selected;
use self::stand::CarrierStand;
use super::ground::Ground;
use super::{Environment, ExitStatus, session, target};
use crate::check::{Check, Core, Engine, Plan, Setting, all, by_id};
use crate::cli::shared::{ClockArg, SourceArgs};
use crate::cli::{CheckArgs, ConductArgs};
use crate::event::{
    CheckEnd, CheckEvent, CheckInfo, CheckRun, CheckSink, PathProfile, ServerProfile,
};
use crate::net::linux::{Route, descriptors, privilege};
use crate::net::{Facts, Wire};

/// Runs the subcommand.
///
/// # Errors
/// Whatever keeps this host from measuring.
pub fn run(args: &CheckArgs, environment: &Environment) -> anyhow::Result<ExitStatus> {
    if args.reports.list {
        return explain::listing(args, environment);
    }
    if let Some(id) = &args.reports.explain {
        return explain::explain(id, args, environment);
    }
    ensure_meaningful(args)?;
    let infos: Vec<&'static CheckInfo> = all().into_iter().map(|check| &check.info).collect();
    let Selected { checks, left_out } = select::select(&infos, &args.selection)?;
    let baseline = outputs::baseline(&args.reports)?;
    let Some(target) = args.target.given() else {
        bail!("there is no target: write it as HOST:PORT")
    };
    let ground = Ground::find()?;
    let (named, addresses) = target::one(&target)?;
    let (remote, route) = ground.reach(&addresses, &args.source)?;
    consent::ensure(&checks, args.selection.yes, &named.to_string())?;
    // A run that cannot be should not empty the files of the one before.
    ground.ensure_permitted()?;
    let mut outputs = Outputs::open(args, environment, &checks, baseline, note(&left_out))?;
    let chosen: Vec<&'static Check> = checks.iter().filter_map(|info| by_id(info.id)).collect();
    let name = named.shown_as(remote, args.output.numeric);
    let battery = Battery { ground, route, remote, name };
    let end = battery.run(&chosen, &args.source, &args.conduct, outputs.listener())?;
    Ok(outputs.status(&end))
}

/// What the checks decide for themselves cannot be asked for.
fn ensure_meaningful(args: &CheckArgs) -> anyhow::Result<()> {
    if args.output.pcap.is_some() {
        bail!("check writes a capture for each check: --pcap-dir DIR in place of --pcap");
    }
    if args.source.source_port.is_some() {
        bail!("check takes fresh source ports for every check: leave out --source-port");
    }
    if (args.source.ttl, args.source.tos) != (DEFAULT_TTL, 0) {
        bail!("the checks choose TTL and type of service themselves: leave out --ttl and --tos");
    }
    Ok(())
}

/// What `--ttl` is where it is not given.
const DEFAULT_TTL: u8 = 64;

/// What did not run for its cost.
fn note(left_out: &[(&str, usize)]) -> String {
    let parts: Vec<String> =
        left_out.iter().map(|(option, count)| format!("{count} with {option}")).collect();
    if parts.is_empty() { String::new() } else { format!("More run {}.", parts.join(", ")) }
}

/// Everything that is known before a wire is opened.
struct Battery {
    ground: Ground,
    route: Route,
    remote: SocketAddr,
    name: String,
}

impl Battery {
    /// Opens the wire and runs `checks` to the end.
    fn run(
        self,
        checks: &[&'static Check],
        source: &SourceArgs,
        conduct: &ConductArgs,
        mut sink: Box<dyn CheckSink>,
    ) -> anyhow::Result<CheckEnd> {
        let Self { ground, route, remote, name } = self;
        let dice = ground.dice();
        let _ = descriptors::raise_limit();
        let mut wire = ground.open_wire(&[&route], source, ClockArg::Kernel)?;
        let local = wire.first_port(&route, None)?;
        privilege::drop_all()?;
        let Facts { clock, guard, .. } = *wire.facts();
        let at = wire.now();
        sink.record(&CheckEvent::Run(CheckRun {
            name,
            target: remote,
            source: local.ip(),
            interface: route.interface.name.clone(),
            clock,
            guard,
            at,
            unix_ns: wire.unix_ns(at),
            checks: checks.iter().map(|check| &check.info).collect(),
        }))?;
        let setting = Setting {
            request: conduct.send.0.clone(),
            patience: conduct.timeout,
            closed_port: conduct.closed_port,
            path: PathProfile::default(),
            server: ServerProfile::default(),
            mss: session::mss_for(route.mtu, remote.ip()),
        };
        let plan = Plan {
            checks: checks.to_vec(),
            parallel: usize::from(conduct.parallel),
            deadline: conduct.deadline.map(|deadline| at + deadline),
            setting,
        };
        let stand = CarrierStand::new(wire, dice, local.ip());
        let core = Core::new(Box::new(stand), local.ip(), remote).context("cannot begin")?;
        Engine::new(core, plan, sink).run().context("the run cannot go on")
    }
}
