//! Silence: no RST that we did not send, whatever happens, and nothing left behind.

use crate::namespace::{Family, Link, Topology};
use crate::oracle::Oracle;
use crate::run::{Finished, Privilege, Running, is_move_to};
use crate::servers::{self, Habit, Server};
use crate::shapes::{Shape, places};
use crate::snapshot::{Snapshot, raw_sockets};
use crate::sniffer::{FIN, RST, Seen, Sniffer};
use crate::{Case, case, patience};
use anyhow::{Context, Result, anyhow, ensure};
use nix::sys::signal::Signal;
use std::net::SocketAddr;
use std::time::Duration;

/// Runs that are killed at a random moment.
const KILLED_RUNS: u64 = 30;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (link, family, place) in places() {
        for (guard, privilege) in GUARDS {
            let name =
                format!("silence/no_stray_reset_{guard}_{privilege:?}/{place}").to_lowercase();
            cases.push(case(name, move || no_stray_reset(link, family, guard, privilege)));
        }
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let name = format!("silence/{signal}_leaves_politely/{place}").to_lowercase();
            cases.push(case(name, move || leaves_politely(link, family, signal)));
        }
        let name = format!("silence/killed_at_random_leaves_nothing/{place}");
        cases.push(case(name, move || killed_leaves_nothing(link, family)));
    }
    cases
}

/// Resets that left the client's port.
fn resets_from(sniffer: &mut Sniffer, source: SocketAddr) -> Result<Vec<Seen>> {
    let segments = sniffer.segments()?.into_iter();
    Ok(segments.filter(|seen| seen.from == source && seen.has(RST)).collect())
}

/// Every RST that left our port is one that the report says we sent.
fn check_resets(sniffer: &mut Sniffer, source: SocketAddr, finished: &Finished) -> Result<()> {
    let seen = resets_from(sniffer, source)?;
    let said = finished.sent_with("RST");
    ensure!(
        seen.len() == said,
        "{} RST left {source}, {said} of them ours: {seen:?}\n{}",
        seen.len(),
        finished.account()
    );
    Ok(())
}

/// The guards that can be asked for, and what they are asked to make do with. Some kernels let only
/// CAP_NET_ADMIN attach a filter.
const GUARDS: [(&str, Privilege); 3] =
    [("filter", Privilege::All), ("minttl", Privilege::RawOnly), ("auto", Privilege::RawOnly)];

fn no_stray_reset(link: Link, family: Family, guard: &str, privilege: Privilege) -> Result<()> {
    let topology = Topology::new(link)?;
    for shape in Shape::ALL {
        let mut sniffer = Sniffer::start(&topology)?;
        let server = Server::start(&topology, family, shape.habit())?;
        let extra = ["--guard", guard];
        let finished = shape.run(&topology, &server, privilege, &extra)?;
        let used = &finished.first("run")?["guard"];
        ensure!(guard == "auto" || used == guard, "asked for the guard {guard}, got {used}");
        let source = SocketAddr::new(topology.client_address(family), finished.source_port()?);
        check_resets(&mut sniffer, source, &finished).context(shape.name())?;
        servers::ensure_free(&topology.client, source)?;
    }
    Ok(())
}

fn leaves_politely(link: Link, family: Family, signal: Signal) -> Result<()> {
    let topology = Topology::new(link)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let mut oracle = Oracle::start(&topology.server, server.address.port())?;
    let mut sniffer = Sniffer::start(&topology)?;
    let target = server.address.to_string();
    let arguments = ["handshake", &target, "--then", "hold=1h", "--json"];
    let mut running = Running::start(&topology.client, Privilege::All, &arguments)?;
    running.wait_for("ESTABLISHED", |event| is_move_to(event, "client", "ESTABLISHED"))?;
    running.signal(signal)?;
    let finished = running.finish()?;
    // The handshake was what was asked for, and it was there.
    finished.expect_status(0)?;
    let last = finished.events.last().context("no output")?;
    ensure!(last["type"] == "summary" && last["interrupted"] == true, "{}", finished.account());
    let port = finished.source_port()?;
    let source = SocketAddr::new(topology.client_address(family), port);
    check_resets(&mut sniffer, source, &finished)?;
    let segments = sniffer.segments()?;
    let left = segments.iter().any(|seen| seen.from == source && (seen.has(FIN) || seen.has(RST)));
    ensure!(left, "neither FIN nor RST left: {segments:?}");
    let truth = oracle.path(port)?;
    ensure!(truth.last() == Some(&"CLOSED"), "the server was left behind: {truth:?}");
    servers::ensure_free(&topology.client, source)
}

fn killed_leaves_nothing(link: Link, family: Family) -> Result<()> {
    let chosen = std::env::var("SHAKEDOWN_SEED").ok().and_then(|text| text.parse().ok());
    let seed = chosen.map_or_else(random_seed, Ok)?;
    println!("killed_at_random {}/{}: SHAKEDOWN_SEED={seed}", family.name(), link.name());
    let mut random = Random(seed | 1);
    let topology = Topology::new(link)?;
    let before = Snapshot::of(&topology.client)?;
    let places = u64::try_from(places().count())?;
    for number in 0..KILLED_RUNS.div_ceil(places) {
        let shape = Shape::ALL[usize::try_from(random.below(5))?];
        let delay = Duration::from_micros(random.below(25_000));
        let account = || format!("run {number}, {shape:?}, killed after {delay:?}, seed {seed}");
        let server = Server::start(&topology, family, shape.habit())?;
        let source = SocketAddr::new(topology.client_address(family), servers::fresh_port());
        let (target, port) = (server.address.to_string(), source.port().to_string());
        let arguments: &[&str] = match shape {
            Shape::Handshake => &["handshake", &target, "--json", "-g", &port, "--then", "hold=1h"],
            Shape::Passive => &["close", &target, "--json", "-g", &port, "--passive"],
            Shape::Simultaneous => &["close", &target, "--json", "-g", &port, "--simultaneous"],
            Shape::Half => &["close", &target, "--json", "-g", &port, "--half"],
            Shape::Active | Shape::Probe => &["close", &target, "--json", "-g", &port],
        };
        let running = Running::start(&topology.client, Privilege::RawOnly, arguments)?;
        patience::idle(delay);
        running.signal(Signal::SIGKILL)?;
        running.finish_killed()?;
        servers::ensure_free(&topology.client, source).with_context(account)?;
        patience::until("its raw sockets to go", || Ok(raw_sockets(&topology.client)? == 0))
            .with_context(account)?;
        before.ensure_same(&Snapshot::of(&topology.client)?).with_context(account)?;
    }
    Ok(())
}

pub(crate) fn random_seed() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("{error}"))?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Marsaglia's xorshift, good enough to choose moments.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
