//! `rtt` against the kernel's own TCP: its intervals are the wire's, every answer is credited to the
//! probe that asked, and the peer is left as it was found.

use crate::firewall;
use crate::namespace::{Family, Link, Topology};
use crate::oracle::Oracle;
use crate::patience;
use crate::relay::{self, Relay};
use crate::rtt_truth::{Arrivals, Truth, Witnesses};
use crate::run::{self, Finished, Privilege, Running};
use crate::servers::{self, Habit, Server};
use crate::shapes::places;
use crate::sniffer::RST;
use crate::sockets::{self, KernelState};
use crate::{Case, case};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (link, family, place) in places() {
        for method in METHODS {
            let name = format!("rtt/is_the_wires/{method}/{place}");
            let work =
                move || is_the_wires(&Topology::new(link)?, Arrivals::Bounded, family, method);
            cases.push(case(name, work));
        }
        let name = format!("rtt/half_open/{place}");
        cases.push(case(name, move || half_open(link, family)));
        let name = format!("rtt/loss_is_what_was_dropped/{place}");
        cases.push(case(name, move || loss(link, family)).needing(&["nft"]));
    }
    for family in Family::BOTH {
        for method in METHODS {
            let name = format!("rtt/is_the_wires/{method}/{}/relay", family.name());
            let work = move || {
                let relay = Relay::start(relay::plain())?;
                is_the_wires(&relay.topology, Arrivals::Exact, family, method)
            };
            cases.push(case(name, work));
        }
        let name = format!("rtt/repeated_syn/{}", family.name());
        cases.push(case(name, move || repeated_syn(family)).needing(&["nft"]));
        let name = format!("rtt/clock_user/{}", family.name());
        cases.push(case(name, move || clock_user(family)));
    }
    for (name, options) in IDENTITIES {
        for (link, family) in [(Link::Veth, Family::V4), (Link::Loopback, Family::V6)] {
            let place = format!("{}/{}", family.name(), link.name());
            let name = format!("rtt/identity/{name}/{place}");
            cases.push(case(name, move || identity(link, family, options)));
        }
    }
    cases
}

const METHODS: [&str; 4] = ["syn", "handshake", "fin", "data"];

/// How source ports may be chosen.
const IDENTITIES: [(&str, &[&str]); 3] =
    [("fresh_ports", &[]), ("four_flows", &["--flows", "4"]), ("one_port", &["-g", "47111"])];

/// A whole run of `rtt`, with what a tap on the client's link saw of it.
pub(crate) fn observed(
    topology: &Topology,
    arrivals: Arrivals,
    server: &Server,
    options: &[&str],
) -> Result<(Finished, Truth)> {
    let mut witnesses = Witnesses::post(topology, arrivals)?;
    let target = server.address.to_string();
    let finished = run::run(&topology.client, &[&["rtt", &target, "--json"], options].concat())?;
    let truth = witnesses.truth(server.address.port())?;
    Ok((finished, truth))
}

/// The intervals that a run must tell, of so many phases: all of each probe, but of one whose data or
/// FIN was sent again, as happens on a busy machine, its handshake alone (Karn's algorithm).
pub(crate) fn intervals_due(finished: &Finished, phases: usize) -> usize {
    let ambiguous = |record: &&Value| {
        record["remark"].as_str().is_some_and(|remark| remark.contains("Karn's algorithm"))
    };
    let single = finished.of_type("probe").filter(ambiguous).count();
    (finished.of_type("probe").count() - single) * phases + single
}

/// The figures of a target as a whole.
pub(crate) fn statistics<'a>(finished: &'a Finished, phase: &str) -> Result<&'a Value> {
    let records = finished.of_type("statistics");
    let wanted = |record: &&Value| record["phase"] == phase && record["source_port"].is_null();
    records.filter(wanted).last().with_context(|| format!("no statistics of {phase}"))
}

/// Fails unless a server's port has nothing but its listener left.
pub(crate) fn ensure_nothing_half_open(topology: &Topology, server: &Server) -> Result<()> {
    let port = server.address.port();
    patience::until("the server's half-open connections to go", || {
        let left = sockets::table(&topology.server)?;
        Ok(!left.iter().any(|it| it.local_port == port && it.state == KernelState::SynRecv))
    })
}

pub(crate) fn is_the_wires(
    topology: &Topology,
    arrivals: Arrivals,
    family: Family,
    method: &str,
) -> Result<()> {
    let server = Server::start(topology, family, Habit::Echo)?;
    let mut witnesses = Witnesses::post(topology, arrivals)?;
    let mut oracle = Oracle::start(&topology.server, server.address.port())?;
    let target = server.address.to_string();
    let options = ["rtt", &target, "--json", "-m", method, "-c", "200", "-i", "1ms"];
    let sends = if method == "data" { &["--send", "hello"][..] } else { &[] };
    let arguments = [&options[..], sends].concat();
    let mut running = Running::start(&topology.client, Privilege::All, &arguments)?;
    // The peer's record holds so many changes only.
    for _ in 0..4 {
        for _ in 0..50 {
            running.wait_for("a probe", |event| event["type"] == "probe")?;
        }
        oracle.moves(0)?;
    }
    let finished = running.finish()?;
    finished.expect_status(0)?;
    ensure!(finished.stderr.is_empty(), "{}", finished.stderr);
    let truth = witnesses.truth(server.address.port())?;
    let compared = truth.check(&finished)?;
    let phases = match method {
        "fin" => 3,
        "data" => 2,
        _ => 1,
    };
    let kernel = |record: &Value| record["clock"] == "kernel" && record["fate"] == "answered";
    ensure!(finished.of_type("probe").all(kernel), "{}", finished.account());
    let expected = intervals_due(&finished, phases);
    ensure!(compared == expected, "{compared} of {expected} intervals: {}", finished.account());
    ensure!(statistics(&finished, "handshake")?["times"]["count"] == 200, "{}", finished.account());
    if method != "syn" {
        ensure_all_served(topology, &server, &truth)?;
        ensure!(server.accepted() == 200, "{} were accepted", server.accepted());
        patience::until("the server's sockets to close", || {
            let left = sockets::table(&topology.server)?;
            Ok(!left.iter().any(|it| it.local_port == server.address.port() && it.remote_port != 0))
        })?;
        let complete = oracle.is_complete();
        for (port, _) in truth.exchanges.keys().filter(|_| complete) {
            let moves = oracle.moves(*port)?;
            let path: Vec<&str> = moves.iter().map(|it| it.to.rfc()).collect();
            let closed = ["SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"];
            ensure!(path == closed, "the server's socket for port {port} went through {path:?}");
        }
        for exchange in truth.exchanges.values() {
            // The peer may send one, to an ACK of ours for a FIN that it repeated.
            ensure!(exchange.resets().is_empty(), "a close needs no RST:{}", exchange.text(0));
        }
    }
    Ok(())
}

/// Waits until the server's application has seen the end of each connection.
fn ensure_all_served(topology: &Topology, server: &Server, truth: &Truth) -> Result<()> {
    server.idle().with_context(|| {
        let left = sockets::table(&topology.server).unwrap_or_default();
        let ports: Vec<u16> = left.iter().map(|entry| entry.remote_port).collect();
        let theirs = truth.exchanges.iter().filter(|((port, _), _)| ports.contains(port));
        let texts: String = theirs.map(|(_, exchange)| exchange.text(0)).collect();
        format!("{left:?}{texts}")
    })
}

/// The application never hears of it, and the kernel forgets it at our RST, the only one there is.
fn half_open(link: Link, family: Family) -> Result<()> {
    const PROBES: u64 = 200;
    let topology = Topology::new(link)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let mut oracle = Oracle::start(&topology.server, server.address.port())?;
    let embryonic = || sockets::counter(&topology.server, "TcpExt", "EmbryonicRsts");
    let before = embryonic()?;
    let (finished, truth) =
        observed(&topology, Arrivals::Bounded, &server, &["-c", "200", "-i", "1ms"])?;
    finished.expect_status(0)?;
    ensure_nothing_half_open(&topology, &server)?;
    // Each of them was in SYN-RECEIVED, and our RST ended that.
    let ended = embryonic()? - before;
    ensure!(ended == PROBES, "{ended} of {PROBES} were ended by RST");
    ensure!(server.accepted() == 0, "{} connections were accepted", server.accepted());
    for ((port, iss), exchange) in &truth.exchanges {
        let moves = oracle.moves(*port)?;
        // Whoever reads the table may see the request; the trace knows of sockets only.
        let request = moves.iter().all(|it| it.to == KernelState::SynRecv);
        ensure!(request, "the peer had a socket for port {port}: {moves:?}");
        let resets = exchange.resets();
        let right = resets.len() == 1 && resets[0].seq == iss.wrapping_add(1);
        ensure!(right && exchange.answers().len() == 1, "{exchange:?}");
        let source = std::net::SocketAddr::new(topology.client_address(family), *port);
        servers::ensure_free(&topology.client, source)?;
    }
    let resets = truth.segments.iter().filter(|seen| seen.has(RST)).count();
    ensure!(u64::try_from(resets)? == PROBES, "{resets} RST for {PROBES} probes");
    Ok(())
}

/// Has the server's side drop every tenth SYN, and counts them.
fn drop_every_tenth(topology: &Topology, server: &Server) -> Result<()> {
    let port = server.address.port();
    firewall::load(
        &topology.server,
        &format!(
            "table inet trial {{\n counter lost {{ }}\n chain arrival {{\n \
             type filter hook input priority 0;\n tcp dport {port} \
             tcp flags & (syn|ack) == syn numgen inc mod 10 == 3 counter name lost drop\n }}\n }}\n"
        ),
    )
}

fn loss(link: Link, family: Family) -> Result<()> {
    let topology = Topology::new(link)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    drop_every_tenth(&topology, &server)?;
    let options = ["-c", "300", "-i", "2ms", "-W", "900ms"];
    let (finished, truth) = observed(&topology, Arrivals::Bounded, &server, &options)?;
    finished.expect_status(0)?;
    truth.check(&finished)?;
    let dropped = firewall::counted(&topology.server, "lost")?;
    let probes = &statistics(&finished, "handshake")?["probes"];
    ensure!(dropped == 30 && probes["lost"] == dropped, "{dropped} dropped, but {probes}");
    ensure!(probes["sent"] == 300 && probes["answered"] == 270, "{probes}");
    for record in finished.of_type("probe") {
        let unanswered = truth.of_record(record)?.answers().is_empty();
        let lost = record["fate"] == "lost" && record["rtt_ns"].is_null();
        let answered = record["fate"] == "answered" && record["rtt_ns"].is_u64();
        ensure!(if unanswered { lost } else { answered }, "{record}");
    }
    Ok(())
}

/// A SYN that was lost and sent again: counted as lost at first, timed from the SYN that the answer's
/// timestamp echoes.
fn repeated_syn(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    drop_every_tenth(&topology, &server)?;
    // 100 SYNs, of which 10 are dropped; those are repeated, of which one is dropped.
    let options = ["-c", "100", "-i", "2ms", "-W", "300ms", "--retries", "1"];
    let (finished, truth) = observed(&topology, Arrivals::Bounded, &server, &options)?;
    finished.expect_status(0)?;
    let dropped = firewall::counted(&topology.server, "lost")?;
    ensure!(dropped == 11, "{dropped} dropped");
    let probes = &statistics(&finished, "handshake")?["probes"];
    ensure!(probes["lost"] == 1 && probes["first_lost"] == 10, "{probes}");
    ensure!(finished.first("summary")?["traffic"]["retransmitted"] == 10, "{}", finished.account());
    for record in finished.of_type("probe") {
        let exchange = truth.of_record(record)?;
        let (syns, answers) = (exchange.syns(), exchange.answers());
        ensure!(record["attempts"] == syns.len(), "{record}: {exchange:?}");
        let (said, truth) = (record["rtt_ns"].as_i64(), exchange.since_last_syn());
        let right =
            said.zip(truth.as_ref()).map_or(answers.is_empty(), |(it, range)| range.contains(&it));
        ensure!(right, "{record} should be {truth:?}");
        let first = if syns.len() == 1 { "answered" } else { "lost" };
        ensure!(record["first_try"] == first, "{record}");
    }
    Ok(())
}

/// A worse clock is used where it is asked for, and every record says so.
fn clock_user(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let options = ["-c", "20", "-i", "1ms", "--clock", "user"];
    let (finished, truth) = observed(&topology, Arrivals::Bounded, &server, &options)?;
    finished.expect_status(0)?;
    ensure!(finished.first("run")?["clock"] == "user", "{}", finished.account());
    for record in finished.of_type("probe") {
        let exchange = truth.of_record(record)?;
        let wire = exchange.since_last_syn().context("unanswered")?;
        // It begins before the packet leaves, and ends after it has arrived.
        let longer = record["rtt_ns"].as_i64().is_some_and(|rtt| rtt > *wire.start());
        ensure!(record["clock"] == "user" && longer, "{record}, on the wire {wire:?}");
    }
    Ok(())
}

/// Two thousand probes in a second, whatever ports they have: none is credited with another's answer.
fn identity(link: Link, family: Family, options: &[&str]) -> Result<()> {
    let topology = Topology::new(link)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let schedule = ["-c", "2000", "-i", "500us", "--fast"];
    let (finished, truth) =
        observed(&topology, Arrivals::Bounded, &server, &[&schedule[..], options].concat())?;
    finished.expect_status(0)?;
    let compared = truth.check(&finished)?;
    let timed = finished.of_type("probe").filter(|record| record["rtt_ns"].is_u64()).count();
    ensure!(compared >= timed && timed > 0, "{compared} of {timed}");
    let probes = &statistics(&finished, "handshake")?["probes"];
    let missed = finished.first("summary")?["schedule"]["missed"].as_u64().context("missed")?;
    let sent = probes["sent"].as_u64().context("sent")?;
    ensure!(sent + missed == 2000, "{sent} sent and {missed} missed");
    let ports: std::collections::HashSet<u16> =
        truth.exchanges.keys().map(|(port, _)| *port).collect();
    let wanted = match options {
        [] => truth.exchanges.len(),
        ["--flows", number] => number.parse()?,
        _ => 1,
    };
    ensure!(ports.len() == wanted, "{} ports", ports.len());
    Ok(())
}
