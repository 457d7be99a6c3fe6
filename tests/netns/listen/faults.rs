//! What goes wrong on purpose, all addresses at once, and a polite end.

use super::client::{Unconnected, rest};
use super::{Listener, ended};
use crate::namespace::{Family, Link, Topology};
use crate::run::{self, Privilege, is_move_to};
use crate::servers::fresh_port;
use crate::sockets::{self, KernelState};
use crate::{Case, case, patience};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("listen/drop_syn_shows_the_repetition", drop_syn),
        case("listen/no_final_ack_keeps_the_client_in_fin_wait_1", no_final_ack),
        case("listen/never_close_keeps_it_in_fin_wait_2", never_close),
        case("listen/synack_mss_is_what_the_client_keeps_to", synack_mss),
        case("listen/all_addresses_of_both_families", all_addresses),
        case("listen/ctrl_c_closes_every_connection", ctrl_c),
        case("listen/two_of_us_open_at_the_same_time", two_of_us),
        case("listen/a_port_in_use_is_refused", port_in_use),
    ]
}

fn drop_syn() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let options = ["--echo", "-c", "1", "--drop-syn", "1", "--msl", "20ms"];
    let listener = Listener::start(&topology, Family::V4, Privilege::All, &options)?;
    let client = Unconnected::new(&topology.client, topology.client_address(Family::V4))?;
    let port = client.port;
    drop(client.connect(listener.address)?);
    let finished = listener.finish(0)?;
    let end = ended(&finished, port)?;
    let gaps = end["syn_gaps_ns"].as_array().context("gaps")?;
    // Linux repeats its SYN after a second.
    let second = gaps.len() == 1 && gaps[0].as_u64().is_some_and(|gap| gap >= 900_000_000);
    ensure!(second, "{end}");
    ensure!(end["suspect"] == "Linux or Android", "{end}");
    Ok(())
}

fn no_final_ack() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let options = ["--echo", "--no-final-ack"];
    let mut listener = Listener::start(&topology, Family::V4, Privilege::All, &options)?;
    let client = Unconnected::new(&topology.client, topology.client_address(Family::V4))?;
    let port = client.port;
    let mut stream = client.connect(listener.address)?;
    stream.write_all(b"hello")?;
    stream.read_exact(&mut [0; 5])?;
    stream.shutdown(Shutdown::Write)?;
    let waits = |event: &_| is_move_to(event, "client", "FIN-WAIT-1");
    listener.running.wait_for("its FIN", waits)?;
    let state = sockets::state_of(&topology.client, port, listener.address.port())?;
    ensure!(state == Some(KernelState::FinWait1), "{state:?}");
    listener.running.signal(Signal::SIGINT)?;
    let finished = listener.finish(0)?;
    let path = finished.states("client");
    ensure!(!path.contains(&"FIN-WAIT-2".to_owned()), "{path:?}: {}", finished.account());
    Ok(())
}

fn never_close() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let mut listener = Listener::start(&topology, Family::V4, Privilege::All, &["--never-close"])?;
    let client = Unconnected::new(&topology.client, topology.client_address(Family::V4))?;
    let port = client.port;
    let stream = client.connect(listener.address)?;
    stream.shutdown(Shutdown::Write)?;
    let waits = |event: &_| is_move_to(event, "server", "CLOSE-WAIT");
    listener.running.wait_for("CLOSE-WAIT", waits)?;
    patience::until("FIN-WAIT-2", || {
        let state = sockets::state_of(&topology.client, port, listener.address.port())?;
        Ok(state == Some(KernelState::FinWait2))
    })?;
    listener.running.signal(Signal::SIGINT)?;
    listener.finish(0)?;
    Ok(())
}

fn synack_mss() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let options = ["--echo", "-c", "1", "--msl", "20ms", "--synack-mss", "300", "-v"];
    let listener = Listener::start(&topology, Family::V4, Privilege::All, &options)?;
    crate::sniffer::without_offload(&topology)?;
    let client = Unconnected::new(&topology.client, topology.client_address(Family::V4))?;
    let mut stream = client.connect(listener.address)?;
    stream.write_all(&[7; 2000])?;
    stream.shutdown(Shutdown::Write)?;
    ensure!(rest(&mut stream)? == [7; 2000], "not what was sent");
    let finished = listener.finish(0)?;
    let lengths = finished.of_type("segment").filter_map(|event| event["len"].as_u64());
    let longest = lengths.max().context("segments")?;
    ensure!((100..=300).contains(&longest), "{longest} bytes in a segment");
    Ok(())
}

fn all_addresses() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let port = fresh_port();
    let any = SocketAddr::new([0, 0, 0, 0].into(), port);
    let options = ["--echo", "-c", "4", "--msl", "20ms"];
    let written = port.to_string();
    let listener = Listener::start_at(&topology, any, &written, Privilege::All, &options)?;
    let mut called = Vec::new();
    for family in Family::BOTH {
        let here: IpAddr = match family {
            Family::V4 => Ipv4Addr::LOCALHOST.into(),
            Family::V6 => Ipv6Addr::LOCALHOST.into(),
        };
        let near = (here, here, &topology.server);
        let far = (topology.address(family), topology.client_address(family), &topology.client);
        for (server, from, namespace) in [near, far] {
            let client = Unconnected::new(namespace, from)?;
            called.push((client.port, server));
            let mut stream = client.connect(SocketAddr::new(server, port))?;
            stream.write_all(b"hello")?;
            stream.shutdown(Shutdown::Write)?;
            ensure!(rest(&mut stream)? == b"hello", "no echo from {server}");
        }
    }
    let finished = listener.finish(0)?;
    for (port, server) in called {
        let end = ended(&finished, port)?;
        ensure!(end["server"]["addr"] == server.to_string(), "{end}");
    }
    Ok(())
}

fn ctrl_c() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let mut listener = Listener::start(&topology, Family::V4, Privilege::All, &["--echo"])?;
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let client = Unconnected::new(&topology.client, topology.client_address(Family::V4))?;
            client.connect(listener.address)
        })
        .collect::<Result<_>>()?;
    for _ in 0..3 {
        let opened = |event: &serde_json::Value| event["stage"] == "opened";
        listener.running.wait_for("an opened client", opened)?;
    }
    listener.running.signal(Signal::SIGINT)?;
    for mut stream in clients {
        ensure!(rest(&mut stream)?.is_empty(), "an end of file is awaited");
    }
    let finished = listener.finish(0)?;
    let last = finished.events.last().context("events")?;
    ensure!(last["type"] == "summary" && last["interrupted"] == true, "{last}");
    ensure!(last["listen"]["opened"] == 3, "{last}");
    Ok(())
}

/// Both ends are ours, and both open actively: neither kernel takes part.
fn two_of_us() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let options = ["--simultaneous-open", "-c", "1", "--msl", "20ms"];
    let listener = Listener::start(&topology, Family::V4, Privilege::All, &options)?;
    let target = listener.address.to_string();
    let other = run::run(&topology.client, &["handshake", &target, "--json"])?;
    other.expect_status(0)?;
    let finished = listener.finish(0)?;
    for (end, path) in [("client", other.states("client")), ("server", finished.states("server"))] {
        let crossed = path
            .windows(3)
            .any(|three| three == ["SYN-SENT", "SYN-RECEIVED", "ESTABLISHED"].map(str::to_owned));
        ensure!(crossed, "the {end} went {path:?}: {}", finished.account());
    }
    Ok(())
}

fn port_in_use() -> Result<()> {
    let topology = Topology::new(Link::Loopback)?;
    let listener = Listener::start(&topology, Family::V4, Privilege::All, &["--echo"])?;
    let written = listener.address.port().to_string();
    let second = run::run(&topology.server, &["listen", &written, "--json"])?;
    second.expect_status(2)?;
    ensure!(second.stderr.contains("in use"), "{}", second.stderr);
    listener.running.signal(Signal::SIGINT)?;
    // Nobody came.
    listener.finish(1)?;
    Ok(())
}
