//! Hostile clients: a flood of SYNs from many addresses, forged acknowledgments, garbage. Nothing
//! crashes, nothing grows, and who is honest gets in.

use super::client::{Unconnected, rest};
use super::{Listener, ended};
use crate::namespace::{Family, Link, Topology};
use crate::run::Privilege;
use crate::silence::Random;
use crate::{Case, case, patience};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{IoSlice, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("listen/a_flood_of_syns_fills_no_memory_and_shuts_nobody_out", flood),
        case("listen/a_flood_at_the_links_rate_is_borne", torrent),
        case("listen/a_full_table_refuses", full_table),
        case("listen/a_silent_client_loses_its_place", silent),
        case("listen/garbage_and_forged_segments_change_nothing", garbage),
    ]
}

/// Packets of a flood.
const FLOOD: usize = 10_000;
/// What the process may have in memory, in kilobytes: a table of 64 connections is nothing beside
/// the program itself.
const MOST_MEMORY: u64 = 120_000;

/// Packets of a flood at the link's rate.
const TORRENT: u64 = 300_000;
/// Segments that one system call sends.
const BATCH: usize = 64;
/// Connections of that listener, and the most memory that its process ever has, in kilobytes.
const PLACES: u64 = 256;
const MOST_EVER: u64 = 160_000;

/// Sends IP packets that it makes up entirely.
struct Forgery {
    socket: Socket,
    to: SocketAddr,
    random: Random,
}

impl Forgery {
    fn new(topology: &Topology, to: SocketAddr) -> Result<Self> {
        let socket = topology.client.within(|| {
            let raw = Protocol::from(libc::IPPROTO_RAW);
            Ok(Socket::new(Domain::IPV4, Type::RAW, Some(raw))?)
        })?;
        Ok(Self { socket, to, random: Random(11) })
    }

    /// A segment from `from`, with a right checksum, and this behind its fixed header.
    fn send(
        &mut self,
        from: SocketAddr,
        numbers: (u32, u32),
        flags: u8,
        rest: &[u8],
    ) -> Result<()> {
        let (IpAddr::V4(source), IpAddr::V4(target)) = (from.ip(), self.to.ip()) else {
            return Ok(());
        };
        let mut tcp = Vec::with_capacity(20 + rest.len());
        tcp.extend(from.port().to_be_bytes());
        tcp.extend(self.to.port().to_be_bytes());
        tcp.extend(numbers.0.to_be_bytes());
        tcp.extend(numbers.1.to_be_bytes());
        tcp.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
        tcp.extend(rest);
        let sum = shakedown::wire::checksum::tcp(source.into(), target.into(), &tcp);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        self.packet(source, target, &tcp)
    }

    /// As many SYNs of strangers as one system call sends. What finds no room is the network's loss.
    fn syns(&mut self) {
        let IpAddr::V4(target) = self.to.ip() else { return };
        let packets: Vec<[u8; 40]> = (0..BATCH).map(|_| self.syn(target)).collect();
        let to = SockaddrIn::from(SocketAddrV4::new(target, 0));
        let slices: Vec<[IoSlice<'_>; 1]> =
            packets.iter().map(|packet| [IoSlice::new(packet)]).collect();
        let mut headers = MultiHeaders::preallocate(BATCH, None);
        let to = [Some(to); BATCH];
        let no_extras: [ControlMessage<'_>; 0] = [];
        let fd = self.socket.as_raw_fd();
        sendmmsg(fd, &mut headers, &slices, to, no_extras, MsgFlags::empty()).ok();
    }

    /// A SYN of a stranger, with a right checksum.
    fn syn(&mut self, target: Ipv4Addr) -> [u8; 40] {
        let from = self.stranger();
        let IpAddr::V4(source) = from.ip() else { return [0; 40] };
        let mut packet = [0; 40];
        packet[..12].copy_from_slice(&[0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0]);
        packet[12..16].copy_from_slice(&source.octets());
        packet[16..20].copy_from_slice(&target.octets());
        packet[20..22].copy_from_slice(&from.port().to_be_bytes());
        packet[22..24].copy_from_slice(&self.to.port().to_be_bytes());
        packet[24..28].copy_from_slice(&(self.random.below(1 << 32) as u32).to_be_bytes());
        packet[32..36].copy_from_slice(&[0x50, 0x02, 0x20, 0]);
        let sum = shakedown::wire::checksum::tcp(source.into(), target.into(), &packet[20..]);
        packet[36..38].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    fn packet(&mut self, source: Ipv4Addr, target: Ipv4Addr, payload: &[u8]) -> Result<()> {
        let length = u16::try_from(20 + payload.len())?.to_be_bytes();
        let id = (self.random.below(65_535) as u16 + 1).to_be_bytes();
        let mut packet = vec![0x45, 0, length[0], length[1], id[0], id[1], 0x40, 0, 64, 6, 0, 0];
        packet.extend(source.octets());
        packet.extend(target.octets());
        packet.extend(payload);
        // The kernel fills in the checksum of the IP header. A full queue is the network's loss.
        self.socket.send_to(&packet, &SocketAddr::new(target.into(), 0).into()).ok();
        Ok(())
    }

    /// An address of the client's network that nobody has, or of far away.
    fn stranger(&mut self) -> SocketAddr {
        let random = &mut self.random;
        let octets = [198, 18, random.below(250) as u8 + 1, random.below(250) as u8 + 1];
        SocketAddr::new(octets.into(), 1024 + random.below(60_000) as u16)
    }
}

fn resident_kb(pid: u32) -> Result<u64> {
    memory_kb(pid, "VmRSS:")
}

fn memory_kb(pid: u32, which: &'static str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(which)).context(which)?;
    let number = line.split_whitespace().next().context("a number")?;
    Ok(number.parse()?)
}

/// The server can send to strangers: to nowhere, by the client.
fn route_strangers(topology: &Topology) -> Result<()> {
    let client = topology.client_address(Family::V4).to_string();
    topology.server.within(|| {
        let arguments = ["route", "add", "198.18.0.0/16", "via", &client];
        let status = std::process::Command::new("ip").args(arguments).status().context("ip")?;
        ensure!(status.success(), "no route");
        Ok(())
    })
}

fn honest(topology: &Topology, to: SocketAddr) -> Result<()> {
    let client = Unconnected::new(&topology.client, topology.client_address(Family::V4))?;
    let mut stream = client.connect(to)?;
    stream.write_all(b"hello")?;
    stream.shutdown(Shutdown::Write)?;
    ensure!(rest(&mut stream)? == b"hello", "no echo");
    Ok(())
}

fn flood() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    route_strangers(&topology)?;
    let options = ["--echo", "--max-connections", "64", "--msl", "20ms"];
    let mut listener = Listener::start(&topology, Family::V4, Privilege::All, &options)?;
    let to = listener.address;
    let mut forgery = Forgery::new(&topology, to)?;
    for _ in 0..FLOOD {
        let from = forgery.stranger();
        let seq = forgery.random.below(u64::from(u32::MAX)) as u32;
        forgery.send(from, (seq, 0), 0x02, &[])?;
    }
    listener.running.wait_for("a full table", |event| event["code"] == "table-full")?;
    honest(&topology, to)?;
    let memory = resident_kb(listener.running.id())?;
    ensure!(memory < MOST_MEMORY, "{memory} kB");
    listener.running.signal(Signal::SIGINT)?;
    let finished = listener.running.finish()?;
    let listen = &finished.first("summary")?["listen"];
    ensure!(listen["cookies"].as_u64().is_some_and(|number| number > 100), "{listen}");
    ensure!(listen["cookies_redeemed"] == 1 && listen["opened"] == 1, "{listen}");
    ensure!(listen["most"] == 64, "{listen}");
    Ok(())
}

/// SYNs as fast as two threads can send them: each is answered or dropped by count, the table and the
/// memory stay within their bounds, and kernels' own clients get through all the time.
fn torrent() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    route_strangers(&topology)?;
    let places = PLACES.to_string();
    let options = ["--echo", "--max-connections", &places, "--msl", "20ms"];
    let mut listener = Listener::start(&topology, Family::V4, Privilege::All, &options)?;
    let to = listener.address;
    let sent = AtomicU64::new(0);
    let served = std::thread::scope(|scope| -> Result<u32> {
        for seed in [11, 12] {
            let (sent, mut forgery) = (&sent, Forgery::new(&topology, to)?);
            forgery.random = Random(seed);
            scope.spawn(move || {
                while sent.fetch_add(BATCH as u64, Relaxed) < TORRENT {
                    forgery.syns();
                }
            });
        }
        listener.running.wait_for("a full table", |event| event["code"] == "table-full")?;
        // A SYN that is lost amid the flood comes again after a second: it gets in nevertheless.
        let mut served = 0;
        while sent.load(Relaxed) < TORRENT && served < 20 {
            honest(&topology, to)?;
            served += 1;
        }
        Ok(served)
    })?;
    honest(&topology, to)?;
    let memory = memory_kb(listener.running.id(), "VmHWM:")?;
    ensure!(memory < MOST_EVER, "{memory} kB");
    listener.running.signal(Signal::SIGINT)?;
    let finished = listener.running.finish()?;
    let listen = &finished.first("summary")?["listen"];
    let sent = sent.load(Relaxed);
    let told = format!("{sent} SYNs, {served} served, {memory} kB: {listen}");
    ensure!(served > 0, "nobody got in: {told}");
    ensure!(listen["cookies"].as_u64().is_some_and(|cookies| cookies > 10_000), "{told}");
    ensure!(listen["cookies_redeemed"].as_u64() > Some(0), "{told}");
    ensure!(listen["opened"] == u64::from(served) + 1, "{told}");
    ensure!(listen["most"] == PLACES, "{told}");
    Ok(())
}

fn full_table() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let options = ["--echo", "--max-connections", "2"];
    let listener = Listener::start(&topology, Family::V4, Privilege::All, &options)?;
    let from = topology.client_address(Family::V4);
    let connect = || Unconnected::new(&topology.client, from)?.connect(listener.address);
    let held = [connect()?, connect()?];
    let refused = connect().err().context("the table is full, and it was let in")?;
    let kind = refused.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    ensure!(kind == Some(std::io::ErrorKind::ConnectionRefused), "{refused:#}");
    drop(held);
    listener.running.signal(Signal::SIGINT)?;
    let finished = listener.finish(0)?;
    ensure!(finished.first("summary")?["listen"]["turned_away"] == 1, "{}", finished.account());
    Ok(())
}

/// Who says nothing holds a place for a while and no longer, whether it closes after us or not.
fn silent() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let options =
        ["--echo", "--max-connections", "1", "--idle-timeout", "300ms", "--msl", "20ms", "-c", "2"];
    let mut listener = Listener::start(&topology, Family::V4, Privilege::All, &options)?;
    let from = topology.client_address(Family::V4);
    let client = Unconnected::new(&topology.client, from)?;
    let port = client.port;
    let mut stream = client.connect(listener.address)?;
    ensure!(rest(&mut stream)?.is_empty(), "it was told something");
    drop(stream);
    listener.running.wait_for("its end", |event| event["stage"] == "ended")?;
    honest(&topology, listener.address)?;
    let finished = listener.finish(0)?;
    let end = ended(&finished, port)?;
    ensure!(end["idle_ns"] == 300_000_000 && end["outcome"] == "closed", "{end}");
    let listen = &finished.first("summary")?["listen"];
    ensure!(listen["idle"] == 1 && listen["turned_away"] == 0, "{listen}");
    Ok(())
}

fn garbage() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    route_strangers(&topology)?;
    let listener = Listener::start(&topology, Family::V4, Privilege::All, &["--echo"])?;
    let to = listener.address;
    // An honest one that is there all the time, and whose connection is forged at.
    let client = Unconnected::new(&topology.client, topology.client_address(Family::V4))?;
    let victim = SocketAddr::new(topology.client_address(Family::V4), client.port);
    let mut stream = client.connect(to)?;
    let mut forgery = Forgery::new(&topology, to)?;
    for number in 0..4000 {
        let from = if number % 2 == 0 { victim } else { forgery.stranger() };
        let mut draw = || forgery.random.below(1 << 32) as u32;
        let (seq, ack, flags) = (draw(), draw(), draw() as u8);
        let rest: Vec<u8> = (0..draw() % 60).map(|_| draw() as u8).collect();
        forgery.send(from, (seq, ack), flags, &rest)?;
        if number % 8 == 0 {
            let source = Ipv4Addr::new(198, 18, 1, 1);
            let IpAddr::V4(target) = to.ip() else { continue };
            forgery.packet(source, target, &rest)?;
        }
    }
    stream.write_all(b"still here")?;
    stream.shutdown(Shutdown::Write)?;
    ensure!(rest(&mut stream)? == b"still here", "the forgeries got through");
    honest(&topology, to)?;
    let memory = resident_kb(listener.running.id())?;
    ensure!(memory < MOST_MEMORY, "{memory} kB");
    patience::nap();
    listener.running.signal(Signal::SIGINT)?;
    let finished = listener.running.finish()?;
    ensure!(finished.status.code().is_some_and(|code| code < 2), "{}", finished.account());
    Ok(())
}
