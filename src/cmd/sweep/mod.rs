//! `shakedown sweep`: many targets, at the speed of the link.

mod hosts;
mod merge;
mod outputs;
mod state;
mod way;

use std::hash::Hasher;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use siphasher::sip::SipHasher24;

use self::hosts::Asked;
use self::outputs::Outputs;
use self::state::{Notes, State};
use self::way::{Opened, Ways, random_u64};
use super::{Environment, ExitStatus, complain, file};
use crate::cli::value::Choice;
use crate::cli::{RateArg, SweepArgs};
use crate::event::{SweepEnd, SweepMethod, SweepRate, SweepRun, SweepShard};
use crate::net::bulk::Discards;
use crate::net::bulk::Transmit;
use crate::net::linux::bulk::discards::TxDropped;
use crate::net::linux::{clock, privilege};
use crate::sweep::checkpoint::{Identity, Secret, ShardOf};
use crate::sweep::conversation::{Config, Mode};
use crate::sweep::cookie::Cookie;
use crate::sweep::engine::{Keeper, Mission, Parts, Rate, Tally, Track, sweep};
use crate::sweep::ledger::Ledger;
use crate::sweep::limits::Limits;
use crate::sweep::loss::Loss;
use crate::sweep::plan::Passes;
use crate::sweep::shard::Shard;
use crate::sweep::stamp::StampClock;
use crate::sweep::template::Offer;
use crate::sweep::walk::Walk;

/// The ways out, and why others are not to be had.
type Doors = (Vec<Box<dyn Transmit>>, Vec<(&'static str, String)>);

/// Bytes of IP and TCP headers, by family: what an MSS leaves of an MTU.
const HEADERS: [u32; 2] = [40, 60];
/// The rate that a window of blocks is made for where nobody says.
const HIGHEST: u64 = 2_000_000;
/// How long a server may take for each step of a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the subcommand.
///
/// # Errors
/// Whatever keeps this host from measuring.
pub fn run(args: &SweepArgs, environment: &Environment) -> anyhow::Result<ExitStatus> {
    if !args.space.merge.is_empty() {
        return merge::run(args, environment);
    }
    let mut asked = hosts::asked_for(args)?;
    let shard = args.space.shard.as_deref().map(str::parse::<Shard>).transpose()?;
    ensure!(
        shard.is_none() || args.space.seed.is_some(),
        "--shard needs --seed N, the same for all shards: they are parts of one order"
    );
    outputs::fields(args, outputs::form(args, environment))?;
    let config = conversation(args)?;
    let ways = way::find(&mut asked, args)?;
    let plan = Plan::new(args, &asked, shard)?;
    let Some(plan) = plan else {
        complain("this sweep is complete; remove the file of --resume to begin anew");
        return Ok(ExitStatus::AsAsked);
    };
    let opened = ways.open(&asked.space, args)?;
    // Not before it is sure that there will be a sweep to which they are remarks.
    for remark in asked.remarks.iter().filter(|_| !args.output.quiet) {
        complain(remark);
    }
    let kept = plan.state.as_ref().map(|state| state.checkpoint.output);
    let outputs = outputs::open(args, environment, kept)?;
    let end = conduct(args, asked, &ways, plan, opened, outputs, config)?;
    Ok(match end {
        End::Closed => ExitStatus::AsAsked,
        End::Over(end) if end.interrupted || end.account.answered() == 0 => ExitStatus::Otherwise,
        End::Over(_) => ExitStatus::AsAsked,
    })
}

/// How it ended.
enum End {
    Over(Box<SweepEnd>),
    /// Whoever read it has read enough.
    Closed,
}

/// Which positions are walked in which order, and what of them has been done.
struct Plan {
    identity: Identity,
    shard: Shard,
    secret: [u8; 16],
    state: Option<State>,
    passes: Passes,
    notes: Option<std::path::PathBuf>,
}

impl Plan {
    /// The plan by the arguments; nothing where all of it has been done.
    fn new(args: &SweepArgs, asked: &Asked, shard: Option<Shard>) -> anyhow::Result<Option<Self>> {
        let path = args.space.resume.as_deref();
        let state = path.map(state::read).transpose()?.flatten();
        let seed = match (args.space.seed, &state) {
            (Some(seed), _) => seed,
            (None, Some(state)) => state.checkpoint.sweep.seed,
            (None, None) => random_u64()?,
        };
        let shard = shard.unwrap_or(Shard::WHOLE);
        let identity = Identity {
            space: asked.space.fingerprint(),
            seed,
            shard: ShardOf { index: shard.index().into(), count: shard.count().into() },
            options: fingerprint(args),
        };
        let secret = match &state {
            Some(state) => {
                let name = path.map(file::shown).unwrap_or_default();
                let check = state.checkpoint.check(&identity);
                check.with_context(|| format!("cannot continue from {name}"))?;
                state.checkpoint.secret.0
            }
            None => {
                let mut secret = [0; 16];
                getrandom::fill(&mut secret)
                    .map_err(|error| anyhow::anyhow!("the kernel has no randomness: {error}"))?;
                secret
            }
        };
        if state.as_ref().is_some_and(|state| state.finished) {
            return Ok(None);
        }
        let rate = match args.pace.rate {
            RateArg::Fixed(rate) => rate,
            RateArg::Auto | RateArg::Max => HIGHEST,
        };
        let positions = shard.positions(asked.space.len());
        ensure!(
            !positions.is_empty(),
            "shard {shard} is empty: there are fewer targets than shards"
        );
        let mut passes = Passes::at_rate(positions, args.pace.passes, rate);
        passes.quiet = args.pace.cool_down;
        passes.longest = passes.longest.max(args.pace.cool_down);
        passes.whole = method(args).is_full();
        if passes.whole {
            // A connection that is waited for keeps its block open.
            passes.longest += 4 * PATIENCE;
        }
        let notes = path.map(std::path::Path::to_owned);
        Ok(Some(Self { identity, shard, secret, state, passes, notes }))
    }

    /// The ledger to begin with.
    fn ledger(&self) -> anyhow::Result<Ledger> {
        Ok(match &self.state {
            Some(state) => Ledger::resume(self.passes.clone(), &state.checkpoint.ledger)?,
            None => Ledger::new(self.passes.clone()),
        })
    }
}

/// What must agree for two runs to be of one sweep: all that changes what is asked or told.
fn fingerprint(args: &SweepArgs) -> u64 {
    let mut hasher = SipHasher24::new();
    let output = &args.output;
    let form = (output.json, output.csv, output.plain, output.open_only, &output.fields);
    let text = format!("{:?} {:?} {form:?}", args.probe, args.pace.passes);
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// What is done with those that answer.
const fn method(args: &SweepArgs) -> SweepMethod {
    if args.probe.wants_banner() {
        SweepMethod::Banner
    } else if args.probe.full {
        SweepMethod::Full
    } else {
        SweepMethod::HalfOpen
    }
}

/// How connections are conducted.
fn conversation(args: &SweepArgs) -> anyhow::Result<Config> {
    let mode = match method(args) {
        SweepMethod::HalfOpen => Mode::HalfOpen,
        SweepMethod::Full => Mode::Full,
        SweepMethod::Banner => Mode::Banner,
    };
    let offer = offer(args, 1500);
    let config = Config::new(mode, offer.window, offer.wscale);
    Ok(match &args.probe.send {
        Some(payload) => config.sending(&payload.0).context("--send")?,
        None => config,
    })
}

/// What the SYN offers on a way with this MTU.
fn offer(args: &SweepArgs, mtu: u32) -> Offer {
    let probe = &args.probe;
    let usual = Offer::default();
    let chosen = |choice, usual| match choice {
        None => Some(usual),
        Some(Choice::Value(value)) => Some(value),
        Some(Choice::Absent) => None,
    };
    let mss = u16::try_from(mtu.saturating_sub(HEADERS[0])).unwrap_or(u16::MAX);
    Offer {
        mss: match probe.mss {
            None => Some(mss),
            Some(Choice::Value(mss)) => Some(mss),
            Some(Choice::Absent) => None,
        },
        wscale: chosen(probe.wscale, 7),
        sack: !probe.no_sack,
        timestamps: !probe.no_timestamps,
        ecn: probe.ecn,
        window: probe.window.unwrap_or(usual.window),
        ttl: args.source.ttl,
        tos: args.source.tos,
    }
}

/// Sweeps.
fn conduct(
    args: &SweepArgs,
    asked: Asked,
    ways: &Ways,
    plan: Plan,
    opened: Opened,
    outputs: Outputs,
    conversation: Config,
) -> anyhow::Result<End> {
    let Opened { paths, closed, collect, wall, ports, guard, _guards } = opened;
    let Outputs { sink, reader, written } = outputs;
    let walk = Walk::new(&asked.space, plan.identity.seed);
    let ledger = plan.ledger()?;
    let now = clock::now();
    let before =
        plan.state.as_ref().map_or(Duration::ZERO, |state| Duration::from_nanos(state.elapsed_ns));
    let v6_only = ways.sources.v4.is_none();
    let mission = Mission {
        walk,
        space: asked.space,
        positions: plan.passes.positions.clone(),
        cookie: Cookie::new(plan.secret),
        sources: ways.sources,
        ports,
        stamps: StampClock::new(now, random_u64()? as u32),
        offer: offer(args, ways.mtu.saturating_sub(HEADERS[usize::from(v6_only)] - HEADERS[0])),
        method: method(args),
        conversation,
        reset: !args.probe.no_rst,
        patience: PATIENCE,
    };
    let mut tracks = paths.into_iter().map(|path| Track::new(path, &mission));
    let Some(track) = tracks.next() else { bail!("there is no way to send") };
    let others: Vec<Track> = tracks.collect();
    let mut notes = match &plan.notes {
        Some(path) => {
            let secret = Secret(plan.secret);
            Some(Notes::new(path, plan.identity, secret, written, before, clock::now)?)
        }
        None => None,
    };
    let discards = TxDropped::open(&ways.interface).ok();
    own_files(args);
    privilege::drop_all()?;
    let receive = collect.name();
    let head = Head { args, plan: &plan, mission: &mission, ways, guard, receive, wall, closed };
    let reader_gone = || reader.is_closed();
    let resumed = plan.state.is_some();
    let parts = Parts {
        mission: &mission,
        ledger,
        tally: plan.state.as_ref().map_or_else(Tally::default, |state| state.tally.clone()),
        loss: Loss::new(args.pace.passes, plan.passes.pause),
        track,
        others,
        collect,
        discards: discards.map(|counter| Box::new(counter) as Box<dyn Discards>),
        sink,
        now: &clock::now,
        wall,
        rate: match args.pace.rate {
            RateArg::Fixed(rate) => Rate::Fixed(rate),
            RateArg::Auto => Rate::Auto,
            RateArg::Max => Rate::Max,
        },
        limits: Limits::new(args.pace.max_per_host, args.pace.max_per_net, random_u64()?),
        deadline: args.pace.deadline,
        keeper: notes.as_mut().map(|notes| notes as &mut dyn Keeper),
        reader_gone: &reader_gone,
        before,
        resumed,
    };
    let end = sweep(parts, |transmit, choice| head.run(transmit, choice))?;
    if reader.is_closed() {
        return Ok(End::Closed);
    }
    Ok(End::Over(Box::new(end)))
}

/// Lets root without privileges go on in the directories of the files that it writes: they may be
/// another user's, as under sudo.
fn own_files(args: &SweepArgs) {
    let paths = [&args.space.resume, &args.output.parquet];
    if let Some(path) = paths.into_iter().flatten().next() {
        privilege::keep_to_directory_of(path);
    }
}

/// What the header is made of.
struct Head<'a> {
    args: &'a SweepArgs,
    plan: &'a Plan,
    mission: &'a Mission,
    ways: &'a Ways,
    guard: crate::net::GuardKind,
    receive: &'static str,
    wall: Option<i64>,
    closed: Vec<(&'static str, String)>,
}

impl Head<'_> {
    fn run(&self, transmit: &str, choice: Option<String>) -> SweepRun {
        let Self { args, plan, mission, ways, .. } = self;
        let shard = plan.shard;
        let at = clock::now();
        let now = i64::try_from(at.as_nanos()).ok();
        SweepRun {
            hosts: mission.space.hosts(),
            ports: mission.space.ports(),
            targets: mission.space.len(),
            positions: mission.positions.clone(),
            shard: (shard.count() > 1)
                .then(|| SweepShard { index: shard.index(), count: shard.count() }),
            seed: plan.identity.seed,
            fingerprint: plan.identity.space,
            method: mission.method,
            passes: args.pace.passes,
            rate: match args.pace.rate {
                RateArg::Fixed(rate) => SweepRate::Fixed(rate),
                RateArg::Auto => SweepRate::Auto(None),
                RateArg::Max => SweepRate::Max,
            },
            sources: mission.sources.all(),
            source_ports: mission.ports.clone(),
            interface: ways.interface.clone(),
            transmit: transmit.to_owned(),
            transmit_choice: choice.or_else(|| self.only_choice()),
            receive: self.receive.to_owned(),
            guard: self.guard,
            options: self.options(),
            resumed: plan.state.is_some(),
            united: None,
            at,
            unix_ns: self.wall.zip(now).map(|(wall, now)| wall + now),
        }
    }

    /// Why there was no choice.
    fn only_choice(&self) -> Option<String> {
        let (name, why) = self.closed.first()?;
        Some(format!("{name} is not to be had: {why}"))
    }

    /// What shards must have in common.
    fn options(&self) -> Vec<(std::borrow::Cow<'static, str>, String)> {
        let Offer { mss, wscale, sack, timestamps, ecn, window, ttl, tos } = self.mission.offer;
        let number =
            |value: Option<u16>| value.map_or("none".to_owned(), |value| value.to_string());
        let mut options = vec![
            ("mss".into(), number(mss)),
            ("wscale".into(), number(wscale.map(u16::from))),
            ("sack".into(), sack.to_string()),
            ("timestamps".into(), timestamps.to_string()),
            ("ecn".into(), ecn.to_string()),
            ("window".into(), window.to_string()),
            ("ttl".into(), ttl.to_string()),
            ("tos".into(), tos.to_string()),
            ("rst".into(), self.mission.reset.to_string()),
        ];
        let data = self.mission.conversation.data();
        if !data.is_empty() {
            options.push(("send".into(), data.escape_ascii().to_string()));
        }
        options
    }
}
