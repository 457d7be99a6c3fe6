//! Which way a sweep leaves, from which address, with how little privilege; and the lines in which it
//! says that it cannot.

use crate::badinput::ensure_one_line;
use crate::namespace::{CLIENT_VETH, Family, Link, Topology};
use crate::run::{self, Finished, Privilege};
use crate::servers::{self, Habit, Server};
use crate::snapshot::Snapshot;
use crate::sniffer::Sniffer;
use crate::sweep::{
    COOL_DOWN, ensure_ours_alone, ensure_sum, ensure_true, everywhere, field, hosts, sweep, truth,
};
use crate::{Case, case, sockets};
use anyhow::{Context, Result, ensure};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in Family::BOTH {
        let name = |what: &str| format!("sweep/{what}/{}", family.name());
        for (guard, privilege) in [
            ("minttl", Privilege::RawOnly),
            ("auto", Privilege::RawOnly),
            ("filter", Privilege::All),
        ] {
            let what = format!("guard_{guard}_{privilege:?}").to_lowercase();
            cases.push(case(name(&what), move || guarded(family, guard, privilege)));
        }
        let work = move || two_ways(family);
        cases.push(case(name("targets_by_two_interfaces"), work).needing(&["ip"]));
    }
    for (family, path) in [(Family::V4, "xdp"), (Family::V6, "packet")] {
        let name = format!("sweep/spare_source_by_{path}/{}", family.name());
        cases.push(case(name, move || spare_source(family, path)));
    }
    cases.push(case("sweep/nothing_is_left_behind", nothing_left));
    cases.push(case("sweep/broadcast_is_left_out", broadcast));
    cases.push(case("sweep/no_capability", no_capability));
    cases.push(case("sweep/what_cannot_be_is_one_line", one_line_each));
    cases
}

/// A sweep of 64 hosts with an open and a closed port, of which each open one gets our reset alone.
pub(crate) fn small(
    topology: &Topology,
    family: Family,
    privilege: Privilege,
    extra: &[&str],
) -> Result<Finished> {
    let server = everywhere(&topology.server, family, Habit::Echo)?;
    let (open, closed) = (server.address.port(), servers::fresh_port());
    let mut sniffer = Sniffer::start(topology)?;
    let (hosts, ports) = (hosts(family, 6), format!("{open},{closed}"));
    let usual = ["sweep", "--json", &hosts, "-p", &ports];
    let arguments = [&usual[..], &COOL_DOWN, extra].concat();
    let finished = run::run_with(&topology.client, privilege, &arguments)?;
    finished.expect_status(0)?;
    ensure_true(&finished, &truth(family, 6, &[(open, "open"), (closed, "refused")]))?;
    let source = finished.first("run")?["source"]["addrs"][0].as_str().context("its address")?;
    ensure_ours_alone(&sniffer.segments()?, source.parse()?, &finished, 128)?;
    let left = sockets::table(&topology.server)?;
    ensure!(left.iter().all(|entry| entry.remote_port == 0), "{left:?}");
    Ok(finished)
}

/// An address of the link that no host has: we answer for it, and the kernel does not.
fn spare_source(family: Family, path: &str) -> Result<()> {
    let spare: IpAddr = match family {
        Family::V4 => Ipv4Addr::new(192, 0, 2, 77).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77).into(),
    };
    let topology = field()?;
    let text = spare.to_string();
    let extra = ["--source", &text, "--transmit", path];
    let finished = small(&topology, family, Privilege::All, &extra)?;
    let run = finished.first("run")?;
    ensure!(run["source"]["addrs"][0] == text.as_str(), "{run}");
    Ok(())
}

fn guarded(family: Family, guard: &str, privilege: Privilege) -> Result<()> {
    let topology = field()?;
    let finished = small(&topology, family, privilege, &["--guard", guard])?;
    let used = &finished.first("run")?["guard"];
    ensure!(guard == "auto" || used == guard, "asked for the guard {guard}, got {used}");
    Ok(())
}

/// Half of the targets would leave by a tunnel: nothing is sent past it.
fn two_ways(family: Family) -> Result<()> {
    let topology = field()?;
    let (inner, prefix, address): (IpAddr, u8, &str) = match family {
        Family::V4 => (Ipv4Addr::new(10, 64, 1, 0).into(), 24, "198.51.100.1/24"),
        Family::V6 => {
            (Ipv6Addr::new(0x2001, 0xdb8, 0x64, 0, 0, 0, 0, 0x100).into(), 120, "2001:db8:5::1/64")
        }
    };
    topology.client.within(|| {
        for arguments in [
            "link add vpn type veth peer name far",
            "link set vpn up",
            "link set far up",
            &format!("address add {address} dev vpn"),
            &format!("route add {inner}/{prefix} dev vpn"),
        ] {
            let v6 = if family == Family::V6 { &["-6"][..] } else { &[] };
            let status = Command::new("ip").args(v6).args(arguments.split(' ')).status()?;
            ensure!(status.success(), "ip {arguments}");
        }
        Ok(())
    })?;
    let hosts = hosts(family, 10);
    let arguments = ["sweep", &hosts, "-p", "80", "--json"];
    let finished = run::run(&topology.client, &arguments)?;
    ensure_one_line(&finished, &["vpn", CLIENT_VETH, "separately"])?;
    // Without them the rest is swept.
    let excluded = format!("{inner}/{prefix}");
    let rest = ["--exclude", &excluded, "--rate", "20k"];
    let finished = sweep(&topology.client, &[&[&hosts, "-p", "80"][..], &rest].concat())?;
    finished.expect_status(0)?;
    ensure_sum(finished.first("summary")?, 768)
}

fn nothing_left() -> Result<()> {
    let topology = field()?;
    let before = Snapshot::of(&topology.client)?;
    small(&topology, Family::V4, Privilege::All, &[])?;
    before.ensure_same(&Snapshot::of(&topology.client)?)
}

fn broadcast() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let port = servers::fresh_port().to_string();
    let finished = sweep(&topology.client, &["192.0.2.252-192.0.2.255", "192.0.2.2", "-p", &port])?;
    finished.expect_status(0)?;
    ensure!(finished.stderr.contains("192.0.2.255"), "{}", finished.stderr);
    ensure!(finished.stderr.lines().count() == 1, "{}", finished.stderr);
    ensure_sum(finished.first("summary")?, 4)?;
    let only = run::run(&topology.client, &["sweep", "192.0.2.255", "-p", "80", "--json"])?;
    ensure_one_line(&only, &["192.0.2.255", "broadcast"])
}

fn no_capability() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let arguments = ["sweep", "192.0.2.2", "-p", "80", "--json"];
    let finished = run::run_with(&topology.client, Privilege::Nothing, &arguments)?;
    ensure_one_line(&finished, &["CAP_NET_RAW", "setcap cap_net_raw+"])
}

fn one_line_each() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, Family::V4, Habit::Echo)?;
    let taken = SocketAddr::new(topology.client_address(Family::V4), servers::fresh_port());
    let _holder = Server::start_at(&topology.client, taken, Habit::Echo)?;
    let (port, taken) = (server.address.port().to_string(), taken.port().to_string());
    let target = "192.0.2.2";
    for (arguments, words) in [
        (&[target][..], &["-p 443"][..]),
        (&["-p", "80"], &["no host"]),
        (&["203.0.113.0/28", "-p", "80"], &["route"]),
        (&["2001:db8:ffff::/124", "-p", "80"], &["route"]),
        (&["224.0.0.1", "-p", "80"], &["224.0.0.1"]),
        (&[target, "-p", "80", "--fields", "adr", "--json"], &["adr", "addr"]),
        (&[target, "-p", "80", "--fields", "addr", "--plain"], &["--fields"]),
        (&[target, "-p", "1-70000"], &["70000"]),
        (&[target, "-p", "0"], &["port 0"]),
        (&[target, "-p", &port, "-g", &taken], &[&taken]),
        (&[target, "-p", "80", "-I", "nosuch0"], &["nosuch0"]),
        (&[target, "-p", "80", "-S", "198.51.100.7"], &["198.51.100.7"]),
        (&[target, "-p", "80", "-S", "192.0.2.2"], &["192.0.2.2"]),
        (&[target, "-p", "80", "--exclude", "192.0.2.0/24"], &["excluded"]),
        (&[target, "-p", "80", "--shard", "1/3", "--seed", "1"], &["1/3"]),
        (&["127.0.0.1", "-p", "80", "--transmit", "xdp"], &["af_xdp"]),
        (&["192.0.2.0/24", "-p", "80", "--transmit", "packet"], &["af_packet"]),
        (&[target, "-p", "80", "--output", "/nosuch/file"], &["/nosuch/file"]),
        (&[target, "-p", "80", "--resume", "/nosuch/file"], &["/nosuch/file"]),
        (&[target, "-p", "80", "--targets", "/nosuch/file"], &["/nosuch/file"]),
    ] {
        let arguments = [&["sweep"][..], arguments].concat();
        let finished = run::run(&topology.client, &arguments)
            .with_context(|| format!("not one line: {arguments:?}"))?;
        ensure_one_line(&finished, words).with_context(|| format!("{arguments:?}"))?;
    }
    Ok(())
}
