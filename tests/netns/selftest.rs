//! The harness itself, proved with the kernel's own client: where these fail, no verdict of the
//! other cases is worth anything.

use crate::firewall::{self, Fate};
use crate::forge::Forger;
use crate::namespace::{CLIENT_VETH, Family, Link, Namespace, Topology};
use crate::oracle::Oracle;
use crate::servers::{self, Habit, Server, SilentPort};
use crate::snapshot::Snapshot;
use crate::sniffer::{self, FIN, RST, SYN, Sniffer};
use crate::sockets::{self, KernelState};
use crate::tshark;
use crate::{Case, case, patience};
use anyhow::{Context, Result, bail, ensure};
use socket2::{Domain, SockRef, Socket, Type};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in Family::BOTH {
        for link in Link::BOTH {
            let place = format!("{}/{}", family.name(), link.name());
            let name = |what: &str| format!("harness/{what}/{place}");
            cases.push(case(name("oracle_tells_an_active_close"), move || {
                active_close(link, family)
            }));
            cases.push(case(name("oracle_tells_a_passive_close"), move || {
                passive_close(link, family)
            }));
            cases.push(case(name("oracle_tells_a_reset"), move || reset(link, family)));
            cases.push(case(name("sniffer_sees_a_kernel_reset"), move || {
                kernel_reset(link, family)
            }));
            cases.push(case(name("silent_port_is_silent"), move || silent(link, family)));
        }
        let name = |what: &str| format!("harness/{what}/{}", family.name());
        cases.push(
            case(name("first_syn_is_lost"), move || first_syn_lost(family)).needing(&["nft"]),
        );
        cases.push(case(name("forged_reset_must_fit"), move || forged_reset(family)));
        cases.push(case(name("prohibited_port"), move || prohibited(family)).needing(&["nft"]));
        cases.push(
            case(name("capture_without_offload_has_good_checksums"), move || checksums(family))
                .needing(&["tshark"]),
        );
    }
    cases.push(case("harness/snapshot_sees_a_setting_and_a_route", snapshot_sees));
    cases.push(
        case("harness/snapshot_sees_a_firewall_rule", snapshot_sees_a_rule).needing(&["nft"]),
    );
    cases
}

/// Connects with the kernel's own TCP.
fn connect(namespace: &Namespace, to: SocketAddr) -> Result<TcpStream> {
    namespace.within(|| {
        let stream = TcpStream::connect_timeout(&to, patience::LONGEST)?;
        stream.set_read_timeout(Some(patience::LONGEST))?;
        Ok(stream)
    })
}

fn read_to_end(stream: &mut TcpStream) -> Result<usize> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes.len())
}

fn active_close(link: Link, family: Family) -> Result<()> {
    let topology = Topology::new(link)?;
    let server = Server::start(&topology, family, Habit::AnswersAfterEof(5000))?;
    let mut oracle = Oracle::start(&topology.server, server.address.port())?;
    let mut stream = connect(&topology.client, server.address)?;
    let port = stream.local_addr()?.port();
    stream.shutdown(Shutdown::Write)?;
    ensure!(read_to_end(&mut stream)? == 5000);
    drop(stream);
    let expected = ["LISTEN", "SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"];
    oracle.check(&expected.map(str::to_owned), port)?;
    let lie = ["LISTEN", "SYN-RECEIVED", "ESTABLISHED", "LAST-ACK", "CLOSE-WAIT", "CLOSED"];
    ensure!(
        oracle.check(&lie.map(str::to_owned), port).is_err()
            || Oracle::name() != "sock/inet_sock_set_state",
        "a wrong order passed"
    );
    Ok(())
}

fn passive_close(link: Link, family: Family) -> Result<()> {
    let topology = Topology::new(link)?;
    let server = Server::start(&topology, family, Habit::ClosesFirst(3))?;
    let mut oracle = Oracle::start(&topology.server, server.address.port())?;
    let mut stream = connect(&topology.client, server.address)?;
    let port = stream.local_addr()?.port();
    ensure!(read_to_end(&mut stream)? == 3);
    // The kernel sends its FIN-WAIT-2 to a timewait socket on its own time.
    patience::until("FIN-WAIT-2", || {
        let state = sockets::state_of(&topology.server, server.address.port(), port)?;
        Ok(state == Some(KernelState::FinWait2))
    })?;
    drop(stream);
    let expected =
        ["LISTEN", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"];
    oracle.check(&expected.map(str::to_owned), port)
}

fn reset(link: Link, family: Family) -> Result<()> {
    let topology = Topology::new(link)?;
    let server = Server::start(&topology, family, Habit::ResetsAtEof)?;
    let mut oracle = Oracle::start(&topology.server, server.address.port())?;
    let mut stream = connect(&topology.client, server.address)?;
    let port = stream.local_addr()?.port();
    stream.shutdown(Shutdown::Write)?;
    let error = stream.read(&mut [0; 1]).err().context("no reset came")?;
    ensure!(error.kind() == ErrorKind::ConnectionReset, "{error}");
    server.idle()?;
    ensure!(server.accepted() == 1);
    let expected = ["LISTEN", "SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "CLOSED"];
    oracle.check(&expected.map(str::to_owned), port)
}

fn kernel_reset(link: Link, family: Family) -> Result<()> {
    let topology = Topology::new(link)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let mut sniffer = Sniffer::start(&topology)?;
    let stream = connect(&topology.client, server.address)?;
    let from = stream.local_addr()?;
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    drop(stream);
    let segments = sniffer.segments()?;
    let resets: Vec<_> = segments.iter().filter(|seen| seen.has(RST)).collect();
    ensure!(resets.len() == 1 && resets[0].from == from, "{segments:?}");
    ensure!(resets[0].to == server.address);
    ensure!(segments.first().is_some_and(|seen| seen.flags == SYN), "{segments:?}");
    ensure!(!segments.iter().any(|seen| seen.has(FIN)), "{segments:?}");
    servers::ensure_free(&topology.client, from)
}

fn silent(link: Link, family: Family) -> Result<()> {
    let topology = Topology::new(link)?;
    let port = SilentPort::start(&topology, family)?;
    let mut sniffer = Sniffer::start(&topology)?;
    let (stream, from) = begin(&topology.client, port.address)?;
    patience::until("the SYN", || Ok(!sniffer.segments()?.is_empty()))?;
    let answers = sniffer.segments()?.into_iter().filter(|seen| seen.to.port() == from);
    ensure!(answers.count() == 0, "a silent port answered");
    drop(stream);
    Ok(())
}

/// Sends a SYN by the kernel's TCP without waiting for the answer.
fn begin(namespace: &Namespace, to: SocketAddr) -> Result<(Socket, u16)> {
    namespace.within(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&to.into()) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            other => bail!("a non-blocking connect: {other:?}"),
        }
        let port = socket.local_addr()?.as_socket().context("own address")?.port();
        Ok((socket, port))
    })
}

fn first_syn_lost(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let only_syn = "tcp flags & (syn|ack) == syn";
    firewall::on_arrival(&topology.server, server.address.port(), only_syn, Fate::FirstLost)?;
    let mut sniffer = Sniffer::start(&topology)?;
    drop(connect(&topology.client, server.address)?);
    let syns = sniffer.segments()?.into_iter().filter(|seen| seen.flags & (SYN | 0x10) == SYN);
    ensure!(syns.count() == 2, "the second SYN should have come through, and no third been needed");
    Ok(())
}

fn prohibited(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let to = servers::closed_port(&topology, family);
    firewall::on_arrival(&topology.server, to.port(), "", Fate::Prohibited)?;
    let error =
        topology.client.within(|| match TcpStream::connect_timeout(&to, patience::LONGEST) {
            Ok(_) => bail!("connected to a prohibited port"),
            Err(error) => Ok(error),
        })?;
    // EHOSTUNREACH for v4's code 13, EACCES for v6's code 1.
    let expected = if family == Family::V4 { libc::EHOSTUNREACH } else { libc::EACCES };
    ensure!(error.raw_os_error() == Some(expected), "{error}");
    Ok(())
}

fn checksums(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    sniffer::without_offload(&topology)?;
    let server = Server::start(&topology, family, Habit::AnswersAfterEof(5000))?;
    let mut sniffer = Sniffer::start(&topology)?;
    let mut stream = connect(&topology.client, server.address)?;
    stream.shutdown(Shutdown::Write)?;
    read_to_end(&mut stream)?;
    drop(stream);
    server.idle()?;
    ensure!(tshark::complaints(&mut sniffer, topology.client_address(family))?.is_empty());
    Ok(())
}

/// The kernel ends a connection by a forged RST only with the exact number: so the forger's
/// checksums are right and its numbers are what it says.
fn forged_reset(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let mut sniffer = Sniffer::start(&topology)?;
    let mut stream = connect(&topology.client, server.address)?;
    let client = stream.local_addr()?;
    let segments = sniffer.segments()?;
    let answer = segments.iter().find(|seen| seen.to == client && seen.has(SYN));
    let seq = answer.context("no SYN-ACK")?.seq.wrapping_add(1);
    let forger = Forger::new(&topology.server, server.address, client)?;
    forger.segment(seq.wrapping_add(1), 0, RST)?;
    stream.write_all(b"x")?;
    ensure!(stream.read(&mut [0; 1])? == 1, "a RST with a wrong number ended the connection");
    forger.segment(seq.wrapping_add(1), 0, RST)?;
    let error = stream.read(&mut [0; 1]).err().context("the fitting RST was ignored")?;
    ensure!(error.kind() == ErrorKind::ConnectionReset, "{error}");
    Ok(())
}

fn snapshot_sees() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let before = Snapshot::of(&topology.client)?;
    before.ensure_same(&Snapshot::of(&topology.client)?)?;
    topology.client.within(|| {
        fs::write("/proc/sys/net/ipv4/tcp_ecn", "1").context("tcp_ecn")?;
        Ok(())
    })?;
    let setting = Snapshot::of(&topology.client)?;
    ensure!(before.ensure_same(&setting).is_err(), "a changed setting was not seen");
    let address = "192.0.2.77".parse()?;
    topology.client.within(|| crate::netlink::add_address(CLIENT_VETH, address, 25))?;
    let route = Snapshot::of(&topology.client)?;
    ensure!(setting.ensure_same(&route).is_err(), "a new route was not seen");
    Ok(())
}

fn snapshot_sees_a_rule() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let before = Snapshot::of(&topology.client)?;
    firewall::on_arrival(&topology.client, 9, "", Fate::AllLost)?;
    let after = Snapshot::of(&topology.client)?;
    ensure!(before.ensure_same(&after).is_err(), "a new rule was not seen");
    Ok(())
}
