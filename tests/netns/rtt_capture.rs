//! What `rtt --pcap` writes is what the witnesses have seen, on every kind of link; and what a run
//! leaves that is killed.

use crate::capture::{self, Row};
use crate::firewall::{self, Fate};
use crate::namespace::{Family, Link, Topology};
use crate::relay::Relay;
use crate::rtt::{intervals_due, is_the_wires, observed};
use crate::rtt_truth::{Arrivals, Truth};
use crate::run::{self, Finished, Privilege, Running};
use crate::servers::{self, Habit, Server};
use crate::shapes::places;
use crate::silence::{Random, random_seed};
use crate::snapshot::{Snapshot, raw_sockets};
use crate::sniffer::SYN;
use crate::tun::Tunnel;
use crate::{Case, case, patience};
use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (link, family, place) in places() {
        let work = move || agrees(&Topology::new(link)?, Arrivals::Bounded, family, "syn");
        cases.push(case(format!("rtt/capture/{place}"), work).needing(&["tshark"]));
    }
    let tun: &[&str] = &["tshark", "python3", "/dev/net/tun"];
    for family in Family::BOTH {
        let name = |what: &str| format!("rtt/{what}/{}", family.name());
        for method in ["syn", "fin"] {
            let work = move || agrees(&Tunnel::start()?.topology, Arrivals::Exact, family, method);
            cases.push(case(name(&format!("capture_{method}_tun")), work).needing(tun));
        }
        let work =
            move || is_the_wires(&Tunnel::start()?.topology, Arrivals::Exact, family, "data");
        cases.push(case(name("is_the_wires/data/tun"), work).needing(tun));
        let work = move || handshake_over_tun(family);
        cases.push(case(format!("tun/handshake/{}", family.name()), work).needing(tun));
        cases.push(case(name("capture_remarks"), move || remarks(family)).needing(&["tshark"]));
        let work = move || retransmission(family);
        cases.push(case(name("capture_retransmission"), work).needing(&["tshark", "nft"]));
        let work = move || killed_leaves_nothing(family);
        cases.push(case(name("killed_at_random_leaves_nothing"), work).needing(&["tshark"]));
    }
    cases.push(case("rtt/full_disk_under_capture", full_disk).needing(&["tshark"]));
    cases
}

/// A run with a capture, and what tshark reads in it.
fn captured(
    topology: &Topology,
    arrivals: Arrivals,
    server: &Server,
    options: &[&str],
) -> Result<(Finished, Truth, Vec<Row>)> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("c.pcapng");
    let path = file.to_string_lossy().into_owned();
    let options = [options, &["--pcap", &path]].concat();
    let (finished, truth) = observed(topology, arrivals, server, &options)?;
    ensure!(finished.stderr.is_empty(), "{}", finished.stderr);
    let rows = capture::read(&file)?;
    Ok((finished, truth, rows))
}

/// Fails unless the file has the very packets that were seen, with the very stamps of those that left.
fn ensure_seen(rows: &[Row], finished: &Finished, truth: &Truth) -> Result<()> {
    ensure!(
        rows.len() == truth.segments.len(),
        "{} packets captured, {} seen",
        rows.len(),
        truth.segments.len()
    );
    let interface = &finished.first("run")?["interface"];
    for row in rows {
        ensure!(row.protocols.starts_with("raw:ip"), "{row:?}");
        ensure!(*interface == *row.interface, "{row:?}: {interface}");
    }
    let mut left: Vec<i64> =
        rows.iter().filter(|row| row.dir == "tx").map(|row| row.unix_ns).collect();
    let leaving = truth.segments.iter().filter(|seen| seen.outgoing);
    let mut seen: Vec<i64> = leaving.map(crate::sniffer::Seen::unix_ns).collect();
    left.sort_unstable();
    seen.sort_unstable();
    ensure!(left == seen, "captured as leaving: {left:?}\nseen: {seen:?}");
    // What arrived is in the file at the time that the report says.
    let start = finished.first("run")?["unix_ns"].as_i64().context("unix_ns")?;
    for record in finished.of_type("probe").chain(finished.of_type("late")) {
        let Some(at) = record["answered_ns"].as_i64() else { continue };
        let told = rows.iter().any(|row| row.dir == "rx" && row.unix_ns == start + at);
        ensure!(told, "no packet for {record}");
    }
    Ok(())
}

fn agrees(topology: &Topology, arrivals: Arrivals, family: Family, method: &str) -> Result<()> {
    let server = Server::start(topology, family, Habit::Echo)?;
    let options = ["-c", "50", "-i", "1ms", "-m", method];
    let (finished, truth, rows) = captured(topology, arrivals, &server, &options)?;
    finished.expect_status(0)?;
    let intervals = if method == "fin" { 3 } else { 1 };
    let compared = truth.check(&finished)?;
    ensure!(compared == intervals_due(&finished, intervals), "{compared}: {}", finished.account());
    ensure_seen(&rows, &finished, &truth)?;
    let told = |words: &str| rows.iter().filter(|row| row.comment.contains(words)).count();
    ensure!(told("client CLOSED -> SYN-SENT") == 50, "{rows:#?}");
    ensure!(told("server LISTEN -> SYN-RECEIVED") == 50, "{rows:#?}");
    let end = if method == "fin" { "client ESTABLISHED -> FIN-WAIT-1" } else { "-> CLOSED: abort" };
    ensure!(told(end) == 50, "{rows:#?}");
    Ok(())
}

fn handshake_over_tun(family: Family) -> Result<()> {
    let tunnel = Tunnel::start()?;
    let server = Server::start(&tunnel.topology, family, Habit::Echo)?;
    let target = server.address.to_string();
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("c.pcapng");
    let path = file.to_string_lossy().into_owned();
    let arguments = ["handshake", &target, "--send", "hello", "--json", "--pcap", &path];
    let finished = run::run(&tunnel.topology.client, &arguments)?;
    finished.expect_status(0)?;
    ensure!(finished.outcome()? == "open", "{}", finished.account());
    let rows = capture::read(&file)?;
    ensure!(rows.len() == finished.of_type("segment").count(), "{rows:#?}");
    ensure!(rows.iter().all(|row| row.protocols.starts_with("raw:ip")), "{rows:#?}");
    Ok(())
}

/// What came late, or again, says so in the capture.
fn remarks(family: Family) -> Result<()> {
    let mut answers = 0;
    let relay = Relay::start(Box::new(move |to_server, seen| {
        answers += usize::from(!to_server && seen.has(SYN));
        let ms = Duration::from_millis;
        match answers {
            3 if !to_server => vec![ms(200)],
            5 if !to_server => vec![ms(0), ms(20)],
            _ => vec![ms(0)],
        }
    }))?;
    let server = Server::start(&relay.topology, family, Habit::Echo)?;
    let options = ["-c", "30", "-i", "20ms", "-W", "50ms"];
    let (finished, truth, rows) = captured(&relay.topology, Arrivals::Exact, &server, &options)?;
    finished.expect_status(0)?;
    truth.check(&finished)?;
    ensure_seen(&rows, &finished, &truth)?;
    let late: Vec<_> = finished.of_type("late").chain(finished.of_type("duplicate")).collect();
    ensure!(late.len() == 2, "{}", finished.account());
    let said = rows.iter().filter(|row| row.comment.contains("late") && row.dir == "rx").count();
    ensure!(said == 2, "{rows:#?}");
    Ok(())
}

fn retransmission(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let first = "tcp flags & (syn|ack) == syn";
    firewall::on_arrival(&topology.server, server.address.port(), first, Fate::FirstLost)?;
    let options = ["-c", "5", "-i", "5ms", "--retries", "1"];
    let (finished, truth, rows) = captured(&topology, Arrivals::Bounded, &server, &options)?;
    finished.expect_status(0)?;
    truth.check(&finished)?;
    ensure_seen(&rows, &finished, &truth)?;
    let again = rows.iter().filter(|row| row.comment.contains("retransmission 1"));
    ensure!(again.map(|row| &*row.flags).eq(["0x0002"]), "{rows:#?}");
    Ok(())
}

/// As `silence/killed_at_random_leaves_nothing`, with the capture of what there was until then.
fn killed_leaves_nothing(family: Family) -> Result<()> {
    const RUNS: usize = 4;
    let chosen = std::env::var("SHAKEDOWN_SEED").ok().and_then(|text| text.parse().ok());
    let seed = chosen.map_or_else(random_seed, Ok)?;
    let mut random = Random(seed | 1);
    let topology = Topology::new(Link::Veth)?;
    let before = Snapshot::of(&topology.client)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let target = server.address.to_string();
    for number in 0..RUNS {
        let source = SocketAddr::new(topology.client_address(family), servers::fresh_port());
        let (port, delay) = (source.port().to_string(), random.below(80_000));
        let account = || format!("run {number}, killed after {delay} us, seed {seed}");
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("c.pcapng");
        let path = file.to_string_lossy().into_owned();
        let fixed: &[&str] = if number % 2 == 0 { &["-g", &port] } else { &[] };
        let options = ["rtt", &target, "--json", "-i", "1ms", "--pcap", &path];
        let running =
            Running::start(&topology.client, Privilege::All, &[&options[..], fixed].concat())?;
        patience::idle(Duration::from_micros(delay));
        running.signal(Signal::SIGKILL)?;
        running.finish_killed()?;
        servers::ensure_free(&topology.client, source).with_context(account)?;
        patience::until("its raw sockets to go", || Ok(raw_sockets(&topology.client)? == 0))
            .with_context(account)?;
        before.ensure_same(&Snapshot::of(&topology.client)?).with_context(account)?;
        crate::rtt::ensure_nothing_half_open(&topology, &server).with_context(account)?;
        // Killed before it opened the file, there is none.
        if file.exists() && file.metadata()?.len() > 0 {
            drop_cut_block(&file).with_context(account)?;
            capture::read(&file).with_context(account)?;
        }
    }
    Ok(())
}

/// Drops the last block of a file where the kernel has cut it. Each is written by one call; but Linux
/// copies page by page and leaves off, in between, for a process that is being killed
/// (`generic_perform_write`), so that a block may end at the end of a page and nowhere else.
fn drop_cut_block(path: &Path) -> Result<()> {
    const PAGE: usize = 4096;
    let bytes = fs::read(path)?;
    let mut whole = 0;
    while let Some(&[one, two, three, four]) = bytes.get(whole + 4..whole + 8) {
        let length = usize::try_from(u32::from_ne_bytes([one, two, three, four]))?;
        ensure!(length >= 12, "a block of {length} bytes at {whole}");
        if whole + length > bytes.len() {
            break;
        }
        whole += length;
    }
    ensure!(whole == bytes.len() || bytes.len() % PAGE == 0, "cut at {}", bytes.len());
    fs::write(path, &bytes[..whole]).context("the whole blocks")
}

/// The run goes on without the capture, says so once, and exits with 2; what there is can be read.
fn full_disk() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, Family::V4, Habit::Echo)?;
    let disk = tempfile::tempdir()?;
    // Two pages, in a mount that only this process sees.
    mount(Some("none"), disk.path(), Some("tmpfs"), MsFlags::empty(), Some("size=8k"))
        .context("tmpfs")?;
    let file = disk.path().join("c.pcapng");
    let (target, path) = (server.address.to_string(), file.to_string_lossy().into_owned());
    let arguments = ["rtt", &target, "--json", "-i", "1ms", "-c", "100", "--pcap", &path];
    let checked = run::run(&topology.client, &arguments).and_then(|finished| {
        finished.expect_status(2)?;
        ensure!(finished.outcome()? == "open", "{}", finished.account());
        ensure!(finished.of_type("probe").count() == 100, "{}", finished.account());
        ensure!(finished.stderr.lines().count() == 1, "{}", finished.stderr);
        for words in [&path, "the run goes on", "No space left on device"] {
            ensure!(finished.stderr.contains(words), "{}", finished.stderr);
        }
        let rows = capture::read(&file)?;
        ensure!((3..300).contains(&rows.len()), "{} packets", rows.len());
        Ok(())
    });
    nix::mount::umount(disk.path()).context("umount")?;
    checked
}
