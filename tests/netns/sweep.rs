//! `sweep` against the kernel's own TCP at a thousand addresses: each target is told exactly once, and
//! what is told of it is true; no connection that a SYN-ACK half opened is left to the kernel.

use crate::namespace::{CLIENT_VETH, Family, Link, Namespace, Topology};
use crate::netlink::{self, To};
use crate::run::{self, Finished, Privilege, Running};
use crate::servers::{self, Habit, Server};
use crate::sniffer::{ACK, RST, SYN, Seen, Sniffer};
use crate::tun::Tunnel;
use crate::{Case, case, sockets};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The ways out, by their names on the command line and in the report.
const PATHS: [(&str, &str); 3] = [("xdp", "af_xdp"), ("packet", "af_packet"), ("raw", "raw")];
/// Long enough where the peer's kernel answers before the call that sends comes back.
pub(crate) const COOL_DOWN: [&str; 2] = ["--cool-down", "500ms"];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in Family::BOTH {
        let name = |what: &str| format!("sweep/{what}/{}", family.name());
        for (path, reported) in PATHS {
            let work = move || thousand_hosts(family, path, reported);
            cases.push(case(name(&format!("each_target_once_by_{path}")), work));
            let work = move || over_tun(family, path);
            cases.push(
                case(name(&format!("tun_by_{path}")), work).needing(&["/dev/net/tun", "python3"]),
            );
        }
        cases.push(case(name("many_ports_of_a_host"), move || many_ports(family)));
        cases.push(case(name("half_open_is_reset_once"), move || half_open_is_reset(family)));
        cases.push(case(name("no_rst_sends_none"), move || no_rst(family)));
        cases.push(case(name("neighbours_on_the_link"), move || neighbours(family)));
    }
    cases.push(case("sweep/answers_are_told_as_they_come", told_as_they_come));
    cases.push(case("sweep/loopback", loopback));
    cases.push(case("sweep/both_families_at_once", both_families));
    cases
}

/// The first of the addresses that the peer's kernel has by a route alone.
pub(crate) const fn first_host(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(10, 64, 0, 0)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x64, 0, 0, 0, 0, 0)),
    }
}

/// The `n`th of them.
pub(crate) fn host(family: Family, n: u32) -> IpAddr {
    match first_host(family) {
        IpAddr::V4(first) => IpAddr::V4((u32::from(first) + n).into()),
        IpAddr::V6(first) => IpAddr::V6((u128::from(first) + u128::from(n)).into()),
    }
}

const fn width(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

/// The network of the first 2^`bits` of them, as on the command line.
pub(crate) fn hosts(family: Family, bits: u8) -> String {
    format!("{}/{}", first_host(family), width(family) - bits)
}

/// How many of them there are, as a power of two.
pub(crate) const ALL: u8 = 10;

/// Gives the peer's kernel all of the addresses, and the client the way there.
pub(crate) fn give_hosts(topology: &Topology) -> Result<()> {
    for family in Family::BOTH {
        let prefix = width(family) - ALL;
        let gateway = To::Gateway(topology.address(family));
        topology.server.within(|| netlink::add_route(first_host(family), prefix, To::Here))?;
        topology.client.within(|| netlink::add_route(first_host(family), prefix, gateway))?;
    }
    Ok(())
}

/// A veth pair, with the addresses behind it.
pub(crate) fn field() -> Result<Topology> {
    let topology = Topology::new(Link::Veth)?;
    give_hosts(&topology)?;
    Ok(topology)
}

/// A server at a fresh port of every address.
pub(crate) fn everywhere(namespace: &Namespace, family: Family, habit: Habit) -> Result<Server> {
    let any: IpAddr = match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    Server::start_at(namespace, SocketAddr::new(any, servers::fresh_port()), habit)
}

/// What is to be told of each target.
pub(crate) type Truth = BTreeMap<SocketAddr, &'static str>;

/// The truth of the first 2^`bits` hosts, each with these ports and what is so of them.
pub(crate) fn truth(family: Family, bits: u8, ports: &[(u16, &'static str)]) -> Truth {
    let ports =
        |n| ports.iter().map(move |&(port, word)| (SocketAddr::new(host(family, n), port), word));
    (0..1 << bits).flat_map(ports).collect()
}

/// Who a record of a target is about.
pub(crate) fn target_of(record: &Value) -> Result<SocketAddr> {
    let addr = record["addr"].as_str().and_then(|text| text.parse::<IpAddr>().ok());
    let port = record["port"].as_u64().and_then(|port| u16::try_from(port).ok());
    let (addr, port) = addr.zip(port).with_context(|| format!("no target in {record}"))?;
    Ok(SocketAddr::new(addr, port))
}

/// What was told of each target; twice of one is an error.
pub(crate) fn told<'a>(
    records: impl IntoIterator<Item = &'a Value>,
) -> Result<BTreeMap<SocketAddr, &'a Value>> {
    let mut told = BTreeMap::new();
    for record in records {
        let before = told.insert(target_of(record)?, record);
        ensure!(before.is_none(), "told twice: {record}, before: {before:?}");
    }
    Ok(told)
}

/// A figure of the account.
pub(crate) fn figure(summary: &Value, name: &str) -> Result<u64> {
    summary["account"][name].as_u64().with_context(|| format!("no {name} in {summary}"))
}

/// Every target is one thing, and one only.
pub(crate) fn ensure_sum(summary: &Value, targets: usize) -> Result<()> {
    let mut sum = 0;
    for name in ["open", "refused", "unreachable", "silent", "not_probed"] {
        sum += figure(summary, name)?;
    }
    let said = figure(summary, "targets")?;
    ensure!(sum == said && said == u64::try_from(targets)?, "{targets} targets: {summary}");
    Ok(())
}

/// Everything told is true, everything true is told once, and the account agrees. Targets that are
/// `silent` have no record.
pub(crate) fn ensure_true(finished: &Finished, truth: &Truth) -> Result<()> {
    let told = told(finished.of_type("target"))?;
    for (target, word) in truth {
        let said = told.get(target).map_or("silent", |it| it["outcome"].as_str().unwrap_or("?"));
        ensure!(said == *word, "{target} is {word}, told: {said}");
    }
    if let Some(other) = told.keys().find(|target| !truth.contains_key(target)) {
        anyhow::bail!("{other} is no target");
    }
    let summary = finished.first("summary")?;
    ensure_sum(summary, truth.len())?;
    for word in ["refused", "unreachable", "silent"] {
        let true_ones = truth.values().filter(|it| **it == word).count();
        ensure!(figure(summary, word)? == u64::try_from(true_ones)?, "{word}: {summary}");
    }
    ensure!(figure(summary, "not_probed")? == 0 && summary["drops"] == 0, "{summary}");
    Ok(())
}

/// Sweeps with these arguments, besides the usual.
pub(crate) fn sweep(client: &Namespace, arguments: &[&str]) -> Result<Finished> {
    run::run(client, &[&["sweep", "--json"], &COOL_DOWN[..], arguments].concat())
}

/// A sweep of so many hosts with an open and a closed port each, at a server that is everywhere.
fn two_ports(topology: &Topology, family: Family, bits: u8, extra: &[&str]) -> Result<Finished> {
    let server = everywhere(&topology.server, family, Habit::Echo)?;
    let (open, closed) = (server.address.port(), servers::fresh_port());
    let (hosts, ports) = (hosts(family, bits), format!("{open},{closed}"));
    let arguments = [&[&hosts, "-p", &ports, "--rate", "20k"], extra].concat();
    let finished = sweep(&topology.client, &arguments)?;
    finished.expect_status(0)?;
    ensure_true(&finished, &truth(family, bits, &[(open, "open"), (closed, "refused")]))?;
    // Nothing of a half-open connection comes to an application.
    ensure!(server.accepted() == 0, "{} connections were accepted", server.accepted());
    Ok(finished)
}

fn thousand_hosts(family: Family, path: &str, reported: &str) -> Result<()> {
    let topology = field()?;
    let finished = two_ports(&topology, family, ALL, &["--transmit", path])?;
    let run = finished.first("run")?;
    ensure!(run["transmit"] == reported && run["targets"] == 2048, "{run}");
    let rejected = &finished.first("summary")?["rejected"];
    ensure!(rejected.as_object().is_some_and(serde_json::Map::is_empty), "rejected: {rejected}");
    ensure_times(&finished)
}

/// Every round trip is there, not longer than the sweep, and as long at least as its error permits.
fn ensure_times(finished: &Finished) -> Result<()> {
    let elapsed = finished.first("summary")?["elapsed_ns"].as_u64().context("elapsed_ns")?;
    for record in finished.of_type("target") {
        let rtt = record["rtt_ns"].as_u64().zip(record["rtt_error_ns"].as_u64());
        let (rtt, error) = rtt.with_context(|| format!("no round trip: {record}"))?;
        let by = if record["outcome"] == "open" { "timestamp" } else { "log" };
        ensure!(rtt > 0 || error > 0, "{record}");
        ensure!(rtt < elapsed && record["rtt_by"] == by && record["pass"] == 1, "{record}");
    }
    Ok(())
}

fn over_tun(family: Family, path: &str) -> Result<()> {
    let tunnel = Tunnel::start()?;
    give_hosts(&tunnel.topology)?;
    if path == "xdp" {
        // Not every kernel has AF_XDP on a tun device: the choice has to be right, whatever it is.
        return two_ports(&tunnel.topology, family, 6, &[]).map(drop);
    }
    let finished = two_ports(&tunnel.topology, family, 6, &["--transmit", path])?;
    ensure!(finished.first("run")?["interface"] == CLIENT_VETH, "{}", finished.account());
    Ok(())
}

/// One address, two thousand ports, three of them open.
fn many_ports(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let servers: Result<Vec<Server>> =
        (0..3).map(|_| Server::start(&topology, family, Habit::Echo)).collect();
    let servers = servers?;
    let address = topology.address(family);
    let first = servers[0].address.port() - 1000;
    let last = first + 2047;
    let mut truth: Truth =
        (first..=last).map(|port| (SocketAddr::new(address, port), "refused")).collect();
    truth.extend(servers.iter().map(|server| (server.address, "open")));
    let (host, ports) = (address.to_string(), format!("{first}-{last}"));
    let finished = sweep(&topology.client, &[&host, "-p", &ports, "--rate", "20k"])?;
    finished.expect_status(0)?;
    ensure_true(&finished, &truth)
}

/// What left the client for each target: SYNs, then resets, in their order.
pub(crate) fn leaving(segments: &[Seen], source: IpAddr) -> BTreeMap<SocketAddr, Vec<&Seen>> {
    let mut leaving: BTreeMap<_, Vec<&Seen>> = BTreeMap::new();
    for seen in segments.iter().filter(|seen| seen.from.ip() == source) {
        leaving.entry(seen.to).or_default().push(seen);
    }
    leaving
}

/// Every target got one SYN, and each open one a single reset, whose number is the one that its
/// SYN-ACK asked for: the kernel's own would be a second.
pub(crate) fn ensure_ours_alone(
    segments: &[Seen],
    source: IpAddr,
    finished: &Finished,
    targets: usize,
) -> Result<()> {
    let told = told(finished.of_type("target"))?;
    let leaving = leaving(segments, source);
    ensure!(leaving.len() == targets, "{} targets were sent something", leaving.len());
    for (target, segments) in leaving {
        let (syns, rest): (Vec<&Seen>, Vec<&Seen>) =
            segments.into_iter().partition(|seen| seen.has(SYN));
        ensure!(syns.len() == 1, "{target}: {syns:?} {rest:?}");
        let asked = syns[0].seq.wrapping_add(1);
        if told.get(&target).is_some_and(|record| record["outcome"] == "open") {
            let [rst] = rest[..] else { anyhow::bail!("{target}: {rest:?}") };
            let exact = rst.has(RST) && !rst.has(ACK) && rst.seq == asked && rst.length == 0;
            ensure!(exact, "{target}: {rst:?}");
        } else {
            ensure!(rest.is_empty(), "{target}: {rest:?}");
        }
    }
    Ok(())
}

fn half_open_is_reset(family: Family) -> Result<()> {
    let topology = field()?;
    let mut sniffer = Sniffer::start(&topology)?;
    let finished = two_ports(&topology, family, 8, &[])?;
    let source = topology.client_address(family);
    ensure_ours_alone(&sniffer.segments()?, source, &finished, 512)?;
    // Our resets did their work: the kernel there has no half-open connection any more.
    let left = sockets::table(&topology.server)?;
    ensure!(left.iter().all(|entry| entry.remote_port == 0), "{left:?}");
    Ok(())
}

/// The peer repeats its SYN-ACKs, each is recognised as a duplicate, and neither we nor the kernel
/// reset anything as long as the sweep goes on.
fn no_rst(family: Family) -> Result<()> {
    const HOSTS: u64 = 16;
    let topology = field()?;
    let server = everywhere(&topology.server, family, Habit::Echo)?;
    let port = server.address.port();
    let mut sniffer = Sniffer::start(&topology)?;
    let (hosts, text) = (hosts(family, 4), port.to_string());
    // The first repetition comes after a second.
    let arguments = ["sweep", "--json", &hosts, "-p", &text, "--no-rst", "--cool-down", "1500ms"];
    let finished = run::run(&topology.client, &arguments)?;
    finished.expect_status(0)?;
    ensure_true(&finished, &truth(family, 4, &[(port, "open")]))?;
    let summary = finished.first("summary")?;
    ensure!(summary["duplicates"].as_u64().is_some_and(|count| count >= HOSTS), "{summary}");
    // What comes after its end, the kernel answers as it likes.
    let began = finished.first("run")?["unix_ns"].as_i64().context("unix_ns")?;
    let end = began + summary["elapsed_ns"].as_i64().context("elapsed_ns")?;
    let segments = sniffer.segments()?;
    let source = topology.client_address(family);
    let during: Vec<&Seen> = segments
        .iter()
        .filter(|seen| seen.from.ip() == source && !seen.has(SYN) && seen.unix_ns() < end)
        .collect();
    ensure!(during.is_empty(), "{during:?}");
    Ok(())
}

/// Targets on the link itself: each has a hardware address of its own, or none at all.
fn neighbours(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let port = server.address.port();
    let hosts = match family {
        Family::V4 => "192.0.2.0/30",
        Family::V6 => "2001:db8::/126",
    };
    let finished = sweep(&topology.client, &[hosts, "-p", &port.to_string()])?;
    finished.expect_status(0)?;
    let told = told(finished.of_type("target"))?;
    ensure!(told.get(&server.address).is_some_and(|it| it["outcome"] == "open"), "{told:?}");
    // Our own address is there, too; of the others nothing can be told.
    let ours = SocketAddr::new(topology.client_address(family), port);
    let known = BTreeSet::from([server.address, ours]);
    ensure!(told.keys().all(|target| known.contains(target)), "{told:?}");
    ensure_sum(finished.first("summary")?, 4)
}

fn loopback() -> Result<()> {
    let topology = Topology::new(Link::Loopback)?;
    let server = everywhere(&topology.server, Family::V4, Habit::Echo)?;
    let (open, closed) = (server.address.port(), servers::fresh_port());
    let ports = format!("{open},{closed}");
    let mut sniffer = Sniffer::start(&topology)?;
    let finished = sweep(&topology.client, &["127.0.0.0/29", "-p", &ports])?;
    finished.expect_status(0)?;
    let mut truth = Truth::new();
    for n in 0..8 {
        let host = IpAddr::from([127, 0, 0, n]);
        truth.insert(SocketAddr::new(host, open), "open");
        truth.insert(SocketAddr::new(host, closed), "refused");
    }
    ensure_true(&finished, &truth)?;
    let segments = sniffer.segments()?;
    let port = finished.first("run")?["source"]["ports"][0].as_u64().context("its port")?;
    let ours: Vec<Seen> =
        segments.into_iter().filter(|seen| u64::from(seen.from.port()) == port).collect();
    ensure_ours_alone(&ours, IpAddr::from([127, 0, 0, 1]), &finished, 16)
}

fn both_families() -> Result<()> {
    let topology = field()?;
    let server = everywhere(&topology.server, Family::V6, Habit::Echo)?;
    let port = server.address.port();
    let (v4, v6) = (hosts(Family::V4, 6), hosts(Family::V6, 6));
    let finished = sweep(&topology.client, &[&v4, &v6, "-p", &port.to_string()])?;
    finished.expect_status(0)?;
    // A socket of the unspecified IPv6 address takes IPv4 connections as well.
    let mut all = truth(Family::V4, 6, &[(port, "open")]);
    all.extend(truth(Family::V6, 6, &[(port, "open")]));
    ensure_true(&finished, &all)
}

/// Whoever reads along has the first answers long before the last SYN has left.
fn told_as_they_come() -> Result<()> {
    let topology = field()?;
    let server = everywhere(&topology.server, Family::V4, Habit::Echo)?;
    let mut sniffer = Sniffer::start(&topology)?;
    let (hosts, port) = (hosts(Family::V4, ALL), server.address.port().to_string());
    let arguments = ["sweep", "--json", &hosts, "-p", &port, "--rate", "200"];
    let mut running = Running::start(&topology.client, Privilege::All, &arguments)?;
    for _ in 0..10 {
        running.wait_for("an answer", |event| event["type"] == "target")?;
    }
    let segments = sniffer.segments()?;
    let asked = segments.iter().filter(|seen| seen.has(SYN) && !seen.outgoing).count();
    ensure!(asked < 200, "{asked} were asked before ten answers were told");
    Ok(())
}
