//! `sweep --receive xdp`: what the program at the interface takes and what it leaves, and that it goes
//! with the process.

use crate::badinput::ensure_one_line;
use crate::firewall::{self, Fate};
use crate::namespace::{CLIENT_VETH, Family, Namespace, SERVER_VETH, Topology};
use crate::run::{self, Privilege, Running};
use crate::servers::{self, Habit};
use crate::snapshot::Snapshot;
use crate::sweep::{COOL_DOWN, ensure_true, everywhere, field, host, hosts, sweep, truth};
use crate::sweep_full::{banner, graceful};
use crate::sweep_ways::small;
use crate::tun::Tunnel;
use crate::{Case, HOST_BPF, case, patience};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

const HOOK: [&str; 2] = ["--receive", "xdp"];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in Family::BOTH {
        let mut add = |what: &str, work: fn(Family) -> Result<()>| {
            let name = format!("sweep/xdp_{what}/{}", family.name());
            cases.push(case(name, move || work(family)).needing(&[HOST_BPF, "ip", "nft"]));
        };
        add("tells_the_truth", truthful);
        add("full_closes_gracefully", |family| graceful(family, &HOOK));
        add("banner_of_who_speaks_first", |family| banner(family, &HOOK));
        add("leaves_the_rest_to_the_kernel", the_rest);
        add("hears_icmp_errors", prohibited);
    }
    let mut add = |what: &str, work: fn() -> Result<()>| {
        let name = format!("sweep/xdp_{what}");
        cases.push(case(name, work).needing(&[HOST_BPF, "ip", "ethtool", "/dev/net/tun"]));
    };
    add("both_families_at_once", both_families);
    add("spare_source", spare_source);
    add("by_every_queue", every_queue);
    add("goes_with_the_process", gone);
    add("is_refused_in_one_line", refused);
    cases
}

fn truthful(family: Family) -> Result<()> {
    for path in ["xdp", "packet", "raw"] {
        let topology = field()?;
        let extra = [&HOOK[..], &["--transmit", path]].concat();
        let finished = small(&topology, family, Privilege::All, &extra)?;
        let run = finished.first("run")?;
        ensure!(run["receive"] == "xdp", "{run}");
        let rejected = &finished.first("summary")?["rejected"];
        ensure!(rejected.as_object().is_some_and(serde_json::Map::is_empty), "{rejected}");
        for record in finished.of_type("target") {
            let rtt = record["rtt_ns"].as_u64().context("rtt_ns")?;
            ensure!(rtt > 0 && rtt < 500_000_000, "{record}");
        }
    }
    Ok(())
}

fn both_families() -> Result<()> {
    let topology = field()?;
    let server = everywhere(&topology.server, Family::V6, Habit::Echo)?;
    let port = server.address.port();
    let (v4, v6) = (hosts(Family::V4, 4), hosts(Family::V6, 4));
    let port_text = port.to_string();
    let arguments = [&[v4.as_str(), &v6, "-p", &port_text][..], &HOOK].concat();
    let finished = sweep(&topology.client, &arguments)?;
    finished.expect_status(0)?;
    let ports = [(port, "open")];
    let mut all = truth(Family::V6, 4, &ports);
    all.extend(truth(Family::V4, 4, &ports));
    ensure_true(&finished, &all)
}

/// A connection of this host's own kernel, from the middle of a sweep of the same server.
fn the_rest(family: Family) -> Result<()> {
    let topology = field()?;
    let server = everywhere(&topology.server, family, Habit::Echo)?;
    let (hosts, port) = (hosts(family, 10), server.address.port());
    let port_text = port.to_string();
    let usual = ["sweep", "--json", &hosts, "-p", &port_text, "--rate", "1k"];
    let arguments = [&usual[..], &COOL_DOWN, &HOOK].concat();
    let mut running = Running::start(&topology.client, Privilege::All, &arguments)?;
    running.wait_for("an answer", |event| event["type"] == "target")?;
    topology.client.within(|| {
        let mut stream = TcpStream::connect(SocketAddr::new(host(family, 1), port))?;
        stream.set_read_timeout(Some(patience::LONGEST))?;
        stream.write_all(&[7; 5000])?;
        let mut echo = [0; 5000];
        stream.read_exact(&mut echo)?;
        ensure!(echo == [7; 5000], "the echo is another");
        Ok(())
    })?;
    let finished = running.finish()?;
    finished.expect_status(0)?;
    ensure_true(&finished, &truth(family, 10, &[(port, "open")]))
}

/// What is no TCP takes its usual way.
fn prohibited(family: Family) -> Result<()> {
    let topology = field()?;
    let port = servers::fresh_port();
    firewall::on_arrival(&topology.server, port, "", Fate::Prohibited)?;
    let (hosts, port_text) = (hosts(family, 2), port.to_string());
    // No more than the peer's kernel lets ICMP errors through at once.
    let arguments = [&[hosts.as_str(), "-p", &port_text][..], &HOOK].concat();
    let finished = sweep(&topology.client, &arguments)?;
    ensure!(finished.of_type("target").count() > 0, "{}", finished.account());
    for record in finished.of_type("target") {
        ensure!(record["outcome"] == "prohibited", "{record}");
    }
    Ok(())
}

fn spare_source() -> Result<()> {
    let topology = field()?;
    let extra = [&HOOK[..], &["--source", "192.0.2.77"]].concat();
    small(&topology, Family::V4, Privilege::All, &extra).map(drop)
}

/// A link with several queues, of which the peer's kernel chooses one for each connection: what comes by
/// the second is heard, too, and not by the ring.
fn every_queue() -> Result<()> {
    let topology = field()?;
    for way in ["rx", "tx"] {
        run_in(&topology.client, "ethtool", &["-L", CLIENT_VETH, way, "2"])?;
        run_in(&topology.server, "ethtool", &["-L", SERVER_VETH, way, "2"])?;
    }
    let before = queue_counts(&topology)?;
    small(&topology, Family::V4, Privilege::All, &HOOK)?;
    let after = queue_counts(&topology)?;
    let taken: Vec<u64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    ensure!(taken.len() == 2 && taken.iter().all(|count| *count > 0), "by queue: {taken:?}");
    Ok(())
}

/// How many packets a program at the client's interface has redirected, by queue.
fn queue_counts(topology: &Topology) -> Result<Vec<u64>> {
    let said = run_in(&topology.client, "ethtool", &["-S", CLIENT_VETH])?;
    let counts = said.lines().filter_map(|line| {
        let (name, count) = line.trim().split_once(": ")?;
        name.ends_with("xdp_redirect").then(|| count.parse().ok())?
    });
    Ok(counts.collect())
}

fn run_in(namespace: &Namespace, program: &str, arguments: &[&str]) -> Result<String> {
    namespace.within(|| {
        let output = Command::new(program).args(arguments).output().context("cannot run it")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program} {arguments:?}: {complaint}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    })
}

fn ip(topology: &Topology, arguments: &[&str]) -> Result<String> {
    run_in(&topology.client, "ip", arguments)
}

/// Whether a program is attached to the client's interface.
fn is_hooked(topology: &Topology) -> Result<bool> {
    Ok(ip(topology, &["link", "show", "dev", CLIENT_VETH])?.contains("xdp"))
}

/// Killed, it is as before, and the next one gets in; a second one beside it does not.
fn gone() -> Result<()> {
    let topology = field()?;
    let before = Snapshot::of(&topology.client)?;
    ensure!(!is_hooked(&topology)?, "hooked before");
    let server = everywhere(&topology.server, Family::V4, Habit::Echo)?;
    let (hosts, port) = (hosts(Family::V4, 10), server.address.port().to_string());
    let arguments = [&["sweep", "--json", &hosts, "-p", &port, "--rate", "50"][..], &HOOK].concat();
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let mut running = Running::start(&topology.client, Privilege::All, &arguments)?;
        running.wait_for("an answer", |event| event["type"] == "target")?;
        ensure!(is_hooked(&topology)?, "no program is attached");
        let second = run::run(&topology.client, &arguments)?;
        ensure_one_line(&second, &["--receive xdp", "another program"])?;
        running.signal(signal)?;
        if signal == Signal::SIGKILL {
            running.finish_killed()?;
        } else {
            running.finish()?;
        }
        patience::until("the program to go", || Ok(!is_hooked(&topology)?))?;
    }
    before.ensure_same(&Snapshot::of(&topology.client)?)
}

fn refused() -> Result<()> {
    let topology = field()?;
    let sweep = |target: &str, privilege| {
        let arguments = [&["sweep", target, "-p", "80"][..], &HOOK].concat();
        run::run_with(&topology.client, privilege, &arguments)
    };
    let without = sweep("10.64.0.1", Privilege::RawOnly)?;
    ensure_one_line(&without, &["CAP_NET_ADMIN", "CAP_BPF", "setcap cap_net_raw,cap_net_admin,"])?;
    ensure_one_line(&sweep("127.0.0.1", Privilege::All)?, &["lo ", "Ethernet"])?;
    ip(&topology, &["link", "set", "dev", CLIENT_VETH, "mtu", "9000"])?;
    ensure_one_line(&sweep("10.64.0.1", Privilege::All)?, &["MTU", "9000"])?;
    let tunnel = Tunnel::start()?;
    let arguments = [&["sweep", "192.0.2.2", "-p", "80"][..], &HOOK].concat();
    let raw_ip = run::run_with(&tunnel.topology.client, Privilege::All, &arguments)?;
    ensure_one_line(&raw_ip, &["Ethernet"])
}
