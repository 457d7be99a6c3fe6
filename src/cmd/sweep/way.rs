//! From targets to open sockets: the way there, our addresses and ports, what keeps the kernel quiet.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Context, bail, ensure};

use super::hosts::Asked;
use crate::cli::shared::GuardChoice as GuardArg;
use crate::cli::{ReceiveArg, SweepArgs, TransmitArg};
use crate::net::GuardKind;
use crate::net::bulk::{Collect, Transmit};
use crate::net::linux::bulk::hook::Hook;
use crate::net::linux::bulk::paths::{Demand, Paths};
use crate::net::linux::bulk::ring::{Interest, Ring};
use crate::net::linux::bulk::routes::{Survey, Way, survey};
use crate::net::linux::bulk::spare::Spare;
use crate::net::linux::bulk::xdp::Sending;
use crate::net::linux::signals::Signals;
use crate::net::linux::{
    Guard, GuardChoice, GuardError, Route, RouteError, RouteOptions, clock, descriptors, privilege,
    route_to,
};
use crate::sweep::engine::Sources;
use crate::sweep::hosts::{AddrRange, HostSet};
use crate::sweep::space::Space;

/// Ports that are tried before one is free on every source address.
const ATTEMPTS: usize = 16;

/// The way to all targets, as the routing table has it.
pub(super) struct Ways {
    survey: Survey,
    routes: Vec<Route>,
    /// A source address that is not this host's.
    spare: Option<IpAddr>,
    /// Our addresses.
    pub(super) sources: Sources,
    /// The interface.
    pub(super) interface: String,
    /// The smallest MTU on the way, in bytes.
    pub(super) mtu: u32,
}

/// Everything that is open.
pub(super) struct Opened {
    /// The ways out, fastest first as far as that is known.
    pub(super) paths: Vec<Box<dyn Transmit>>,
    /// Why others are not open.
    pub(super) closed: Vec<(&'static str, String)>,
    /// What arrives.
    pub(super) collect: Box<dyn Collect>,
    /// Wall clock minus our axis, in nanoseconds.
    pub(super) wall: Option<i64>,
    /// Our ports.
    pub(super) ports: Vec<u16>,
    /// What keeps the kernel quiet.
    pub(super) guard: GuardKind,
    /// Held for the life of the sweep.
    pub(super) _guards: Vec<Guard>,
}

/// Finds the way to the targets, and takes those out that no packet can be sent to.
///
/// # Errors
/// There is none, or there are several.
pub(super) fn find(asked: &mut Asked, args: &SweepArgs) -> anyhow::Result<Ways> {
    let interface = args.source.interface.clone().or_else(|| asked.scope.clone());
    let scoped = asked.space.host_set().ranges().any(|range| range.needs_scope());
    ensure!(
        !scoped || interface.is_some(),
        "link-local addresses need their interface: write them as in fe80::1%eth0, or add -I eth0"
    );
    let options = |source| RouteOptions { source, interface: interface.clone(), scope_id: 0 };
    let first = asked.space.ranges().next().map(|(first, _)| first);
    let first = first.context("there is nothing to sweep")?;
    let wanted = args.source.source;
    // Whose address it is, the routing table knows.
    let spare = match route_to(first, &options(wanted)) {
        Err(RouteError::SourceNotOurs(address)) => Some(address),
        Err(error @ (RouteError::NoSuchInterface(_) | RouteError::InterfaceDown(_))) => {
            return Err(error.into());
        }
        _ => None,
    };
    let options = options(wanted.filter(|_| spare.is_none()));
    let ask = |asked: &Asked| {
        survey(asked.space.ranges(), &options).context("cannot ask the routing table")
    };
    let mut survey = ask(asked)?;
    if let Some(astray) = survey.astray() {
        bail!("{astray}");
    }
    let before = asked.space.len();
    leave_out(asked, &survey)?;
    // What is left out has no say in which ways to send there are.
    if asked.space.len() != before {
        survey = ask(asked)?;
    }
    let mut routes = Vec::new();
    for v6 in [false, true] {
        let Some(host) = representative(&survey, v6) else { continue };
        routes.push(route_to(host, &options)?);
    }
    let Some(route) = routes.first() else {
        // In the words that a single target would get.
        return Err(match route_to(first, &options) {
            Err(error) => error.into(),
            Ok(_) => anyhow::anyhow!("no target can be reached; see `ip route get {first}`"),
        });
    };
    let source_of = |v6| {
        let own = routes.iter().find(|route| route.source.is_ipv6() == v6);
        own.map(|route| spare.filter(|spare| spare.is_ipv6() == v6).unwrap_or(route.source))
    };
    let sources = Sources { v4: source_of(false), v6: source_of(true) };
    if let Some(spare) = spare {
        ensure!(
            sources.all().contains(&spare),
            "source {spare} and the targets are not of the same IP version"
        );
        // Whoever answers asks the link for it: from elsewhere nothing would come to us.
        let there = route_to(spare, &options);
        let on_link = there.is_ok_and(|there| {
            there.gateway.is_none() && there.interface.index == route.interface.index
        });
        ensure!(
            on_link,
            "source {spare} is neither an address of this host nor of the network on {}; choose one \
             that is",
            route.interface.name
        );
    }
    let interface = route.interface.name.clone();
    let mtu = routes.iter().map(|route| route.mtu).min().unwrap_or(1500);
    Ok(Ways { survey, routes, spare, sources, interface, mtu })
}

/// A target of each family whose way is that of most.
fn representative(survey: &Survey, v6: bool) -> Option<IpAddr> {
    let goes = |way: &Way| matches!(way, Way::Out { .. } | Way::Local);
    survey
        .branches
        .iter()
        .filter(|branch| goes(&branch.way))
        .find_map(|branch| branch.ranges.first().filter(|(first, _)| first.is_ipv6() == v6))
        .map(|(first, _)| *first)
}

/// Leaves out the broadcast addresses of our own networks, and says what has no route.
fn leave_out(asked: &mut Asked, survey: &Survey) -> anyhow::Result<()> {
    for branch in survey.lost() {
        let named = || {
            let ranges =
                branch.ranges.iter().filter_map(|(first, last)| AddrRange::new(*first, *last));
            ranges.map(|range| range.to_string()).collect::<Vec<_>>().join(", ")
        };
        match branch.way {
            Way::Broadcast => {
                let hosts: HostSet = branch
                    .ranges
                    .iter()
                    .filter_map(|(first, last)| AddrRange::new(*first, *last))
                    .collect();
                let rest = asked.space.host_set().without(&hosts);
                ensure!(!rest.is_empty(), "{} is the broadcast address of a network", named());
                asked.space = Space::new(rest, asked.space.port_set().clone())?;
                asked
                    .remarks
                    .push(format!("left out {}: the broadcast address of a network", named()));
            }
            Way::Prohibited | Way::Unreachable => asked.remarks.push(format!(
                "{} addresses have no route, and will be silent: {}",
                branch.addresses,
                named()
            )),
            Way::Local | Way::Out { .. } => {}
        }
    }
    Ok(())
}

impl Ways {
    /// Opens everything. What privilege is left may be dropped afterwards.
    ///
    /// # Errors
    /// A missing capability, a port that is taken: each with its remedy.
    pub(super) fn open(&self, space: &Space, args: &SweepArgs) -> anyhow::Result<Opened> {
        privilege::ensure_net_raw()?;
        let _ = descriptors::raise_limit();
        let signals = Signals::take().context("cannot have signals")?;
        let (ports, guards) = self.guard(args)?;
        let interest = Interest {
            interfaces: vec![self.routes[0].interface.index],
            sources: self.sources.all().into_iter().collect::<BTreeSet<_>>(),
            ports: ports.iter().copied().collect(),
        };
        let ring = match args.source.receive {
            ReceiveArg::Ring => Ring::open(&interest),
            ReceiveArg::Xdp => Ring::for_the_rest(&interest),
        };
        let mut ring = ring.context("cannot open the receive ring")?;
        ring.heed(signals);
        if let Some(spare) = self.spare {
            let route = self.routes.iter().find(|route| route.source.is_ipv6() == spare.is_ipv6());
            let interface = route.map_or(&self.routes[0].interface, |route| &route.interface);
            let spare = Spare::claim(spare, interface)?;
            ensure!(
                !spare.is_forwarded(),
                "this host forwards packets, and would send on what arrives for {}: choose one of \
                 its own addresses",
                spare.address()
            );
            ring.answer_for(spare);
        }
        let now = clock::now();
        let wall = i64::try_from(ring.unix_ns(now)).ok();
        let wall = wall.zip(i64::try_from(now.as_nanos()).ok()).map(|(wall, now)| wall - now);
        let (collect, sending): (Box<dyn Collect>, _) = match args.source.receive {
            ReceiveArg::Ring => (Box::new(ring), None),
            ReceiveArg::Xdp => {
                let (hook, sending) = Hook::open(ring, &self.routes[0].interface, &interest)
                    .map_err(|error| anyhow::anyhow!("--receive xdp: {error}"))?;
                (Box::new(hook), Some(sending))
            }
        };
        let (paths, closed) = self.paths(space, args, sending)?;
        let guard = guards.first().map_or(GuardKind::Unneeded, Guard::kind);
        Ok(Opened { paths, closed, collect, wall, ports, guard, _guards: guards })
    }

    /// The ways out that were asked for and can be had.
    fn paths(
        &self,
        space: &Space,
        args: &SweepArgs,
        sending: Option<Sending>,
    ) -> anyhow::Result<super::Doors> {
        let names: &[&str] = match args.source.transmit {
            // A raw socket sends from none but this host's addresses.
            TransmitArg::Auto if self.spare.is_some() => &["af_xdp", "af_packet"],
            TransmitArg::Auto => &["af_xdp", "af_packet", "raw"],
            TransmitArg::Xdp => &["af_xdp"],
            TransmitArg::Packet => &["af_packet"],
            TransmitArg::Raw => &["raw"],
        };
        let routes: Vec<&Route> = self.routes.iter().collect();
        let only = space.ranges().next().filter(|_| space.hosts() == 1).map(|(first, _)| first);
        let demand = Demand { routes: &routes, survey: &self.survey, target: only };
        let paths = Paths::available(&demand, names, sending)?;
        let closed: Vec<_> = paths.closed().map(|(name, why)| (name, why.to_owned())).collect();
        if paths.is_empty() {
            let why: Vec<String> =
                closed.iter().map(|(name, why)| format!("{name}: {why}")).collect();
            bail!("there is no way to send: {}", why.join("; "));
        }
        Ok((paths.into_all(), closed))
    }

    /// Guards our ports on each of our addresses.
    fn guard(&self, args: &SweepArgs) -> anyhow::Result<(Vec<u16>, Vec<Guard>)> {
        let choice = match args.source.guard {
            GuardArg::Auto => GuardChoice::Auto,
            GuardArg::Filter => GuardChoice::Filter,
            GuardArg::Minttl => GuardChoice::MinTtl,
        };
        let mut own: Vec<&Route> = self.routes.iter().collect();
        // The kernel does not answer for an address that it does not have.
        own.retain(|route| self.sources.all().contains(&route.source));
        let Some(first) = own.first() else {
            // Nobody else has a port of a spare address: any will do.
            let (low, high) = match args.source.source_port {
                Some(range) => (range.first, range.last),
                None => {
                    let low = 32_768 + (random_u64()? % 28_000) as u16;
                    (low, low)
                }
            };
            return Ok(((low..=high).collect(), Vec::new()));
        };
        let take = |route: &Route, port| Guard::take(route.source, port, route.scope_id, choice);
        if let Some(range) = args.source.source_port {
            let mut guards = Vec::new();
            for port in range.first..=range.last {
                for route in &own {
                    guards.push(take(route, Some(port))?);
                }
            }
            return Ok(((range.first..=range.last).collect(), guards));
        }
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let guard = take(first, None)?;
            let port = guard.port();
            let others: Result<Vec<Guard>, GuardError> =
                own[1..].iter().map(|route| take(route, Some(port))).collect();
            match others {
                Ok(others) => {
                    return Ok((vec![port], std::iter::once(guard).chain(others).collect()));
                }
                Err(error @ GuardError::PortInUse(..)) => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        match last {
            Some(error) => Err(error.into()),
            None => bail!("no free source port found"),
        }
    }
}

/// A number that nobody can foretell.
pub(super) fn random_u64() -> anyhow::Result<u64> {
    getrandom::u64().map_err(|error| anyhow::anyhow!("the kernel has no randomness: {error}"))
}
