//! `shakedown check`: the conformance battery against any server.

mod plain;
mod stand;

use anyhow::Context as _;

use self::stand::CarrierStand;
use super::ground::Ground;
use super::{Environment, ExitStatus, session, target};
use crate::check::{Check, Core, Engine, Plan, Setting};
use crate::cli::CheckArgs;
use crate::cli::shared::ClockArg;
use crate::event::{
    CheckEvent, CheckRun, CheckSink, Cost, CutShort, PathProfile, ServerProfile, Verdict,
};
use crate::net::linux::{descriptors, privilege};
use crate::net::{Facts, Wire};

/// Runs the subcommand.
///
/// # Errors
/// Whatever keeps this host from measuring.
pub fn run(args: &CheckArgs, _environment: &Environment) -> anyhow::Result<ExitStatus> {
    let checks = select(args);
    let ground = Ground::find()?;
    let (named, addresses) = target::one(&args.target)?;
    let (remote, route) = ground.reach(&addresses, &args.source)?;
    let dice = ground.dice();
    let _ = descriptors::raise_limit();
    let mut wire = ground.open_wire(&[&route], &args.source, ClockArg::Kernel)?;
    let local = wire.first_port(&route, args.source.source_port)?;
    privilege::drop_all()?;
    let mut sink = plain::Plain;
    let Facts { clock, guard, .. } = *wire.facts();
    let at = wire.now();
    sink.record(&CheckEvent::Run(CheckRun {
        name: named.shown_as(remote, args.output.numeric),
        target: remote,
        source: local.ip(),
        interface: route.interface.name.clone(),
        clock,
        guard,
        at,
        unix_ns: wire.unix_ns(at),
        checks: checks.iter().map(|check| &check.info).collect(),
    }))?;
    let mss = session::mss_for(route.mtu, remote.ip());
    let setting = Setting {
        request: args.conduct.send.0.clone(),
        patience: args.conduct.timeout,
        closed_port: args.conduct.closed_port,
        path: PathProfile::default(),
        server: ServerProfile::default(),
        mss,
    };
    let plan = Plan {
        checks,
        parallel: usize::from(args.conduct.parallel),
        deadline: args.conduct.deadline.map(|deadline| at + deadline),
        setting,
    };
    let stand = CarrierStand::new(wire, dice, local.ip());
    let core = Core::new(Box::new(stand), local.ip(), remote).context("cannot begin")?;
    let end = Engine::new(core, plan, sink).run().context("the run cannot go on")?;
    Ok(match end.cut_short {
        Some(CutShort::LocalInterference) => ExitStatus::NotMeasured,
        Some(CutShort::NoTarget(_) | CutShort::Died(_)) => ExitStatus::Otherwise,
        _ if end.counts.iter().any(|(verdict, _)| *verdict == Verdict::Fail) => {
            ExitStatus::Otherwise
        }
        _ => ExitStatus::AsAsked,
    })
}

/// The checks that the arguments ask for.
fn select(args: &CheckArgs) -> Vec<&'static Check> {
    let SelectionArgs { only, group, slow, noisy, intrusive, .. } = &args.selection;
    crate::check::all()
        .into_iter()
        .filter(|check| only.is_empty() || only.iter().any(|id| id == check.info.id))
        .filter(|check| {
            group.is_empty() || check.info.groups.iter().any(|one| group.contains(&one.name().to_owned()))
        })
        .filter(|check| match check.info.cost {
            Cost::Safe => true,
            Cost::Noisy => *noisy,
            Cost::Slow => *slow,
            Cost::Intrusive => *intrusive,
        } || !only.is_empty())
        .collect()
}

use crate::cli::SelectionArgs;
