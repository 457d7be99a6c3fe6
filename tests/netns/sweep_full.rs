//! `sweep --full` and `--banner`: whole connections with hundreds of hosts at once, each closed as RFC
//! 9293 has it, by the word of the peer's kernel.

use crate::namespace::{Family, Topology};
use crate::oracle::Oracle;
use crate::run::Finished;
use crate::servers::{Habit, Server};
use crate::sniffer::{FIN, RST, SYN, Seen, Sniffer};
use crate::sockets::{self, KernelState};
use crate::sweep::{everywhere, field, figure, hosts, leaving, sweep, told};
use crate::{Case, case, patience};
use anyhow::{Context, Result, ensure};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in Family::BOTH {
        let name = |what: &str| format!("sweep/{what}/{}", family.name());
        cases.push(case(name("full_closes_gracefully"), move || graceful(family, &[])));
        cases.push(case(name("full_reset_by_the_peer"), move || reset(family)));
        cases.push(case(name("banner_of_who_speaks_first"), move || banner(family, &[])));
        cases.push(case(name("send_is_answered"), move || echoed(family)));
    }
    // Each waits for all of our patience: one family for each.
    cases.push(case("sweep/full_never_closed/v6", || never_closed(Family::V6)));
    cases.push(case("sweep/banner_of_who_says_nothing/v4", || no_banner(Family::V4)));
    cases
}

/// A connection of the peer that the other side closes: each of these moves, and no other.
const PASSIVE_CLOSE: [(KernelState, KernelState); 5] = [
    (KernelState::Listen, KernelState::SynRecv),
    (KernelState::SynRecv, KernelState::Established),
    (KernelState::Established, KernelState::CloseWait),
    (KernelState::CloseWait, KernelState::LastAck),
    (KernelState::LastAck, KernelState::Close),
];

/// A sweep of whole connections with so many hosts, all of which have `server`.
fn connections(
    topology: &Topology,
    family: Family,
    server: &Server,
    bits: u8,
    extra: &[&str],
) -> Result<Finished> {
    let (hosts, port) = (hosts(family, bits), server.address.port().to_string());
    let finished = sweep(&topology.client, &[&[&hosts, "-p", &port], extra].concat())?;
    finished.expect_status(0)?;
    let summary = finished.first("summary")?;
    ensure!(told(finished.of_type("target"))?.len() == 1 << bits, "{}", finished.account());
    ensure!(figure(summary, "open")? == 1 << bits, "{summary}");
    Ok(finished)
}

/// Every target came to this end, and the account says so.
fn ensure_all(finished: &Finished, outcome: &str) -> Result<()> {
    let mut count = 0u64;
    for record in finished.of_type("target") {
        ensure!(record["outcome"] == outcome, "wanted {outcome}: {record}");
        count += 1;
    }
    let closes = &finished.first("summary")?["account"]["closes"];
    ensure!(closes[outcome.replace('-', "_")] == count, "{count} are {outcome}: {closes}");
    Ok(())
}

/// The peer's kernel has no connection left: those that we closed it has forgotten, too.
fn ensure_none_left(topology: &Topology, port: u16) -> Result<()> {
    patience::until("the peer's kernel to forget its connections", || {
        let table = sockets::table(&topology.server)?;
        Ok(!table.iter().any(|entry| entry.local_port == port && entry.remote_port != 0))
    })
}

/// Resets that left the client.
fn resets<'a>(segments: &'a [Seen], topology: &Topology, family: Family) -> Vec<&'a Seen> {
    let source = topology.client_address(family);
    segments.iter().filter(|seen| seen.from.ip() == source && seen.has(RST)).collect()
}

pub(crate) fn graceful(family: Family, extra: &[&str]) -> Result<()> {
    let topology = field()?;
    let server = everywhere(&topology.server, family, Habit::Echo)?;
    let port = server.address.port();
    let mut oracle = Oracle::start(&topology.server, port)?;
    let mut sniffer = Sniffer::start(&topology)?;
    let finished =
        connections(&topology, family, &server, 8, &[&["--full", "--rate", "5k"], extra].concat())?;
    ensure_all(&finished, "closed")?;
    ensure!(finished.first("run")?["method"] == "full", "{}", finished.account());
    for record in finished.of_type("target") {
        let phase = |name: &str| record[name].as_u64().with_context(|| format!("{name}: {record}"));
        ensure!(phase("handshake_ns")? == phase("rtt_ns")?, "{record}");
        ensure!(phase("ack_of_fin_ns")? <= phase("fin_ns")?, "{record}");
    }
    ensure_none_left(&topology, port)?;
    ensure!(server.accepted() == 256, "{} connections were accepted", server.accepted());
    if oracle.is_complete() {
        let mut moves = Vec::new();
        patience::until("the peer's sockets to be closed", || {
            moves = oracle.all_moves()?.to_vec();
            Ok(moves.iter().filter(|event| event.to == KernelState::Close).count() == 256)
        })?;
        for (from, to) in PASSIVE_CLOSE {
            let count = moves.iter().filter(|event| event.from == from && event.to == to).count();
            ensure!(count == 256, "{count} went from {from:?} to {to:?}");
        }
        ensure!(moves.len() == 5 * 256, "{} moves", moves.len());
    }
    let segments = sniffer.segments()?;
    let resets = resets(&segments, &topology, family);
    ensure!(resets.is_empty(), "{resets:?}");
    for (target, segments) in leaving(&segments, topology.client_address(family)) {
        let count = |flag| segments.iter().filter(|seen| seen.has(flag)).count();
        ensure!(count(SYN) == 1 && count(FIN) == 1, "{target}: {segments:?}");
    }
    Ok(())
}

/// Our FIN is acknowledged, theirs never comes: told as it is, and ended by a reset.
fn never_closed(family: Family) -> Result<()> {
    let topology = field()?;
    let server = everywhere(&topology.server, family, Habit::Sink)?;
    let mut sniffer = Sniffer::start(&topology)?;
    let finished = connections(&topology, family, &server, 3, &["--full"])?;
    ensure_all(&finished, "still-open")?;
    for record in finished.of_type("target") {
        ensure!(record["ack_of_fin_ns"].is_u64() && record["fin_ns"].is_null(), "{record}");
    }
    let segments = sniffer.segments()?;
    for (target, segments) in leaving(&segments, topology.client_address(family)) {
        let isn = segments.iter().find(|seen| seen.has(SYN)).map(|seen| seen.seq);
        let resets: Vec<u32> =
            segments.iter().filter(|seen| seen.has(RST)).map(|seen| seen.seq).collect();
        let behind_fin = isn.context("no SYN")?.wrapping_add(2);
        ensure!(resets == [behind_fin], "{target}: {segments:?}");
    }
    // The resets were good: nothing of it is left there.
    ensure_none_left(&topology, server.address.port())
}

fn reset(family: Family) -> Result<()> {
    let topology = field()?;
    let server = everywhere(&topology.server, family, Habit::ResetsAtEof)?;
    let mut sniffer = Sniffer::start(&topology)?;
    let finished = connections(&topology, family, &server, 5, &["--full"])?;
    ensure_all(&finished, "reset")?;
    let segments = sniffer.segments()?;
    let resets = resets(&segments, &topology, family);
    ensure!(resets.is_empty(), "a reset is not answered: {resets:?}");
    ensure_none_left(&topology, server.address.port())
}

fn ensure_banners(finished: &Finished, banner: Option<&str>) -> Result<()> {
    for record in finished.of_type("target") {
        let said = record["banner"].as_str();
        ensure!(said == banner, "wanted {banner:?}: {record}");
    }
    let closes = &finished.first("summary")?["account"]["closes"];
    let count = banner.map_or(0, |_| finished.of_type("target").count());
    ensure!(closes["banners"] == count, "{closes}");
    Ok(())
}

pub(crate) fn banner(family: Family, extra: &[&str]) -> Result<()> {
    for habit in [Habit::Bulk(40), Habit::ClosesFirst(40)] {
        let topology = field()?;
        let server = everywhere(&topology.server, family, habit)?;
        let mut sniffer = Sniffer::start(&topology)?;
        let finished =
            connections(&topology, family, &server, 5, &[&["--banner"], extra].concat())?;
        ensure_all(&finished, "closed")?;
        let letter = if habit == Habit::Bulk(40) { "b" } else { "g" };
        ensure_banners(&finished, Some(&letter.repeat(40)))?;
        let segments = sniffer.segments()?;
        let resets = resets(&segments, &topology, family);
        ensure!(resets.is_empty(), "{habit:?}: {resets:?}");
        ensure_none_left_but_time_wait(&topology, server.address.port())?;
    }
    Ok(())
}

/// Whoever closes first has a TIME-WAIT, and nothing else.
fn ensure_none_left_but_time_wait(topology: &Topology, port: u16) -> Result<()> {
    patience::until("the peer's kernel to close its connections", || {
        let table = sockets::table(&topology.server)?;
        let mut own = table.iter().filter(|one| one.local_port == port && one.remote_port != 0);
        Ok(own.all(|entry| entry.state == KernelState::TimeWait))
    })
}

/// A server that waits for us to speak is closed once it has had its time.
fn no_banner(family: Family) -> Result<()> {
    let topology = field()?;
    let server = everywhere(&topology.server, family, Habit::Echo)?;
    let finished = connections(&topology, family, &server, 4, &["--banner"])?;
    ensure_all(&finished, "closed")?;
    ensure_banners(&finished, None)?;
    ensure_none_left(&topology, server.address.port())
}

fn echoed(family: Family) -> Result<()> {
    let topology = field()?;
    let server = everywhere(&topology.server, family, Habit::Echo)?;
    let finished = connections(&topology, family, &server, 6, &["--send", r"HELO x\r\n"])?;
    ensure_all(&finished, "closed")?;
    ensure_banners(&finished, Some("HELO x\r\n"))?;
    ensure_none_left(&topology, server.address.port())
}
