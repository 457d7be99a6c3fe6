//! `rtt` in trouble: late and repeated answers, links and servers that go away and come back, signals,
//! disks that are full, lists with mistakes.

use crate::namespace::{CLIENT_VETH, Family, Link, SERVER_VETH, Topology};
use crate::relay::Relay;
use crate::rtt::{ensure_nothing_half_open, observed, statistics};
use crate::rtt_truth::{Arrivals, Witnesses, key_of, last_words};
use crate::run::{self, Finished, Privilege, Running};
use crate::servers::{self, Habit, Server};
use crate::silence::Random;
use crate::sniffer::SYN;
use crate::{Case, case, netlink};
use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in Family::BOTH {
        let name = |what: &str| format!("rtt/{what}/{}", family.name());
        cases.push(case(name("late_and_repeated"), move || late_and_repeated(family)));
        cases.push(case(name("server_goes_and_returns"), move || server_returns(family)));
        cases.push(case(name("refused"), move || refused(family)));
    }
    for (name, interface) in
        [("their_link_goes_down", SERVER_VETH), ("our_link_goes_down", CLIENT_VETH)]
    {
        cases.push(case(format!("rtt/{name}/v4"), move || link_goes_down(interface)));
    }
    for link in Link::BOTH {
        let name = |what: &str| format!("rtt/{what}/{}", link.name());
        cases.push(case(name("signals"), move || signals(link)));
    }
    cases.push(case("rtt/interrupted_with_answers_under_way", interrupted_in_flight));
    cases.push(case("rtt/closed_pipe", closed_pipe));
    cases.push(case("rtt/full_disk_under_rows", full_disk));
    cases.push(case("rtt/list_with_mistakes", list_with_mistakes));
    cases
}

fn is(event: &Value, kind: &str, fate: &str) -> bool {
    event["type"] == kind && event["fate"] == fate
}

fn is_notice(event: &Value, code: &str) -> bool {
    event["type"] == "notice" && event["code"] == code
}

/// A third of the answers comes after the probe was given up, some of them twice, in no order: each is
/// credited to the probe that asked, by a reset that ends it at the peer.
fn late_and_repeated(family: Family) -> Result<()> {
    const PROBES: u64 = 150;
    // The same misfortunes in each run.
    let (mut random, mut asked) = (Random(0x9293), HashSet::new());
    let relay = Relay::start(Box::new(move |to_server, seen| {
        if to_server || !seen.has(SYN) || !asked.insert((seen.to.port(), seen.ack)) {
            return vec![Duration::ZERO];
        }
        // Those at the end would come when the run is over.
        let kind = if asked.len() < 100 { random.below(6) } else { 5 };
        let late = Duration::from_millis(200 + random.below(40));
        match kind {
            0 => vec![late],
            1 => vec![late, late + Duration::from_millis(1)],
            2 => vec![Duration::ZERO, Duration::from_millis(3)],
            _ => vec![Duration::ZERO],
        }
    }))?;
    let topology = &relay.topology;
    let server = Server::start(topology, family, Habit::Echo)?;
    let count = PROBES.to_string();
    let options = ["-c", &count, "-i", "6ms", "-W", "40ms"];
    let (finished, truth) = observed(topology, Arrivals::Exact, &server, &options)?;
    finished.expect_status(0)?;
    let compared = truth.check(&finished)?;
    ensure!(u64::try_from(compared)? == PROBES, "{compared} compared: {}", finished.account());
    let late = finished.of_type("late").count();
    let repeated = finished.of_type("duplicate").count();
    ensure!(late >= 10 && repeated >= 10, "{late} late, {repeated} repeated");
    let probes = &statistics(&finished, "handshake")?["probes"];
    ensure!(probes["late"] == late && probes["lost"] == 0, "{probes}");
    // A repetition that comes before the first has been worked off is told with the probe.
    let at_once = finished.of_type("probe").filter_map(|record| record["duplicates"].as_u64());
    let all = u64::try_from(repeated)? + at_once.sum::<u64>();
    ensure!(probes["duplicates"] == all, "{probes}, but {all}");
    let mut last = last_words(&finished)?;
    for record in finished.of_type("duplicate") {
        last.insert(key_of(record)?, record);
    }
    for record in last.values() {
        let exchange = truth.of_record(record)?;
        let repeated = exchange.answers().len() - 1;
        let said = record["duplicates"].as_u64().unwrap_or(0);
        ensure!(
            said == u64::try_from(repeated)?,
            "{repeated} times again: {record}{}",
            exchange.text(0)
        );
    }
    for record in finished.of_type("late") {
        let exchange = truth.of_record(record)?;
        let answer = exchange.answers()[0].1.end();
        let reset = exchange.packets.iter().any(|(seen, range)| {
            seen.outgoing && seen.has(crate::sniffer::RST) && range.start() > answer
        });
        ensure!(reset, "no RST for {record}: {}", exchange.text(0));
    }
    ensure!(server.accepted() == 0, "{} accepted", server.accepted());
    ensure_nothing_half_open(topology, &server)
}

/// The statistics at the end account for every turn of the schedule.
fn ensure_accounted(finished: &Finished, sent: usize) -> Result<u64> {
    let summary = finished.first("summary")?;
    let number = |value: &Value| value.as_u64().context("a number");
    let unsent = number(&summary["left_out"]["unsent"])?;
    let missed = number(&summary["schedule"]["missed"])?;
    let probes = &statistics(finished, "handshake")?["probes"];
    ensure!(probes["sent"] == sent, "{sent} told: {probes}");
    let last = finished.of_type("probe").filter_map(|record| record["index"].as_u64()).max();
    let turns = last.context("no probe")? + 1;
    let counted = u64::try_from(sent)? + unsent + missed;
    ensure!(counted >= turns, "{sent} sent, {unsent} unsent, {missed} missed of {turns} turns");
    let fates = ["answered", "ambiguous", "refused", "icmp", "late", "lost", "in_flight"];
    let sum: u64 = fates.iter().filter_map(|fate| probes[*fate].as_u64()).sum();
    ensure!(probes["sent"] == sum, "{probes}");
    Ok(unsent)
}

fn link_goes_down(interface: &'static str) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, Family::V4, Habit::Echo)?;
    let mut witnesses = Witnesses::post(&topology, Arrivals::Bounded)?;
    let target = server.address.to_string();
    let arguments = ["rtt", &target, "--json", "-i", "5ms", "-W", "50ms", "-w", "15s"];
    let mut running = Running::start(&topology.client, Privilege::All, &arguments)?;
    let ours = interface == CLIENT_VETH;
    let place = if ours { &topology.client } else { &topology.server };
    for _ in 0..20 {
        running.wait_for("an answer", |event| is(event, "probe", "answered"))?;
    }
    place.within(|| netlink::set_down(interface))?;
    if ours {
        running.wait_for("the trouble", |event| is_notice(event, "cannot-send"))?;
    } else {
        running.wait_for("a loss", |event| is(event, "probe", "lost"))?;
    }
    place.within(|| netlink::set_up(interface))?;
    if ours {
        running.wait_for("its end", |event| is_notice(event, "sends-again"))?;
    }
    for _ in 0..20 {
        running.wait_for("an answer again", |event| is(event, "probe", "answered"))?;
    }
    running.signal(Signal::SIGINT)?;
    let finished = running.finish()?;
    finished.expect_status(0)?;
    let unsent = ensure_accounted(&finished, finished.of_type("probe").count())?;
    ensure!(!ours || unsent > 0, "{}", finished.account());
    let trouble = finished.events.iter().filter(|event| is_notice(event, "cannot-send")).count();
    ensure!(trouble <= 2, "said {trouble} times: {}", finished.account());
    // Whatever waited for the neighbour's address and left later is timed from when it left.
    let truth = witnesses.truth(server.address.port())?;
    for record in finished.of_type("probe").filter(|record| record["rtt_ns"].is_i64()) {
        let wire = truth.of_record(record)?.since_last_syn().context("no answer was seen")?;
        ensure!(record["rtt_ns"].as_i64().is_some_and(|rtt| wire.contains(&rtt)), "{record}");
    }
    Ok(())
}

fn server_returns(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let address = server.address;
    let target = address.to_string();
    let arguments = ["rtt", &target, "--json", "-i", "2ms", "-w", "15s"];
    let mut running = Running::start(&topology.client, Privilege::All, &arguments)?;
    running.wait_for("an answer", |event| is(event, "probe", "answered"))?;
    drop(server);
    let refused = running.wait_for("a refusal", |event| is(event, "probe", "refused"))?;
    // A time of the host, not of the service: it is told with the probe and in no figure.
    ensure!(refused["outcome"] == "refused" && refused["answer"] == "refused", "{refused}");
    let server = Server::start_at(&topology.server, address, Habit::Echo)?;
    running.wait_for("an answer again", |event| is(event, "probe", "answered"))?;
    running.signal(Signal::SIGINT)?;
    let finished = running.finish()?;
    finished.expect_status(0)?;
    ensure_accounted(&finished, finished.of_type("probe").count())?;
    ensure_nothing_half_open(&topology, &server)
}

/// A refusal is an answer of the host: it is exit status 1, or 0 where it was asked for.
fn refused(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let target = servers::closed_port(&topology, family).to_string();
    for (expect, status) in [("open", 1), ("refused", 0), ("open,refused", 0)] {
        let arguments = ["rtt", &target, "--json", "-i", "1ms", "-c", "5", "--expect", expect];
        let finished = run::run(&topology.client, &arguments)?;
        finished.expect_status(status)?;
        ensure!(finished.outcome()? == "refused", "{}", finished.account());
        let probes = &statistics(&finished, "handshake")?["probes"];
        ensure!(probes["refused"] == 5 && probes["lost"] == 0, "{probes}");
    }
    Ok(())
}

/// SIGQUIT tells how it stands, SIGINT ends it; neither leaves anything.
fn signals(link: Link) -> Result<()> {
    let topology = Topology::new(link)?;
    let server = Server::start(&topology, Family::V4, Habit::Echo)?;
    let target = server.address.to_string();
    let arguments = ["rtt", &target, "--json", "-i", "1ms", "-w", "15s"];
    let mut running = Running::start(&topology.client, Privilege::All, &arguments)?;
    running.wait_for("an answer", |event| is(event, "probe", "answered"))?;
    // Again and again, so that some come while a probe is being ended.
    for _ in 0..20 {
        running.signal(Signal::SIGQUIT)?;
        let interim = running.wait_for("how it stands", |event| event["type"] == "interim")?;
        let so_far = interim["probes"]["sent"].as_u64().context("sent")?;
        ensure!(so_far > 0, "{interim}");
        let further = |event: &Value| event["index"].as_u64().is_some_and(|index| index > so_far);
        running.wait_for("it to go on", further)?;
    }
    running.signal(Signal::SIGINT)?;
    let finished = running.finish()?;
    finished.expect_status(0)?;
    let last = finished.events.last().context("no output")?;
    ensure!(last["type"] == "summary" && last["interrupted"] == true, "{}", finished.account());
    ensure_accounted(&finished, finished.of_type("probe").count())?;
    ensure_nothing_half_open(&topology, &server)?;
    for record in finished.of_type("probe") {
        let source = SocketAddr::new(topology.client_address(Family::V4), key_of(record)?.0);
        servers::ensure_free(&topology.client, source)?;
    }
    Ok(())
}

/// Answers that come when nobody is there any more: the kernel's own reset ends them.
fn interrupted_in_flight() -> Result<()> {
    let relay = Relay::start(Box::new(|to_server, seen| {
        let slow = !to_server && seen.has(SYN);
        vec![Duration::from_millis(if slow { 300 } else { 0 })]
    }))?;
    let topology = &relay.topology;
    let server = Server::start(topology, Family::V4, Habit::Echo)?;
    let target = server.address.to_string();
    let arguments = ["rtt", &target, "--json", "-i", "5ms", "-w", "15s"];
    let mut running = Running::start(&topology.client, Privilege::All, &arguments)?;
    running.wait_for("an answer", |event| is(event, "probe", "answered"))?;
    running.signal(Signal::SIGINT)?;
    let finished = running.finish()?;
    finished.expect_status(0)?;
    ensure_accounted(&finished, finished.of_type("probe").count())?;
    let probes = &statistics(&finished, "handshake")?["probes"];
    // Neither lost nor answered.
    ensure!(probes["in_flight"].as_u64().is_some_and(|it| it > 0), "{probes}");
    ensure!(probes["lost"] == 0 && probes["lost_percent"].as_f64() == Some(0.0), "{probes}");
    for record in finished.of_type("probe").filter(|record| record["fate"] == "in-flight") {
        ensure!(record["outcome"] == "interrupted" && record["rtt_ns"].is_null(), "{record}");
    }
    ensure_nothing_half_open(topology, &server)
}

/// Whoever reads no further ends the run.
fn closed_pipe() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, Family::V4, Habit::Echo)?;
    let target = server.address.to_string();
    for arguments in [&["rtt", &target, "-i", "2ms"][..], &["rtt", &target, "-i", "2ms", "--json"]]
    {
        let mut child = run::spawn(&topology.client, Privilege::All, arguments, Stdio::piped())?;
        let mut stdout = BufReader::new(child.stdout.take().context("its stdout")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        drop(stdout);
        let status = child.wait()?;
        let mut stderr = String::new();
        child.stderr.take().context("its stderr")?.read_to_string(&mut stderr)?;
        ensure!(status.code() == Some(0) && stderr.is_empty(), "{status}: {line}{stderr}");
        ensure_nothing_half_open(&topology, &server)?;
    }
    Ok(())
}

/// The run goes on without the rows, says so once, and exits with 2; the rows that there are are whole.
fn full_disk() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, Family::V4, Habit::Echo)?;
    let disk = tempfile::tempdir()?;
    // A single page, in a mount that only this process sees.
    mount(Some("none"), disk.path(), Some("tmpfs"), MsFlags::empty(), Some("size=4k"))
        .context("tmpfs")?;
    let file = disk.path().join("rows.csv");
    let (target, path) = (server.address.to_string(), file.to_string_lossy().into_owned());
    // Rows become final when nothing is to be expected any more: all of them at the end.
    let arguments = ["rtt", &target, "--json", "-i", "1ms", "-c", "100", "--csv", &path];
    let checked = run::run(&topology.client, &arguments).and_then(|finished| {
        finished.expect_status(2)?;
        ensure!(finished.outcome()? == "open", "{}", finished.account());
        ensure!(finished.of_type("probe").count() == 100, "{}", finished.account());
        ensure!(finished.stderr.lines().count() == 1, "{}", finished.stderr);
        for words in [&path, "No space left on device"] {
            ensure!(finished.stderr.contains(words), "{}", finished.stderr);
        }
        let text = fs::read_to_string(&file)?;
        ensure!(text.ends_with('\n') && text.lines().count() > 10, "{text}");
        let columns = |line: &str| line.split(',').count();
        let heading = text.lines().next().map_or(0, columns);
        ensure!(text.lines().all(|line| columns(line) == heading), "{text}");
        Ok(())
    });
    nix::mount::umount(disk.path()).context("umount")?;
    checked
}

/// Each bad line of a long list is named by its number, and the others are probed.
fn list_with_mistakes() -> Result<()> {
    const LINES: usize = 20_000;
    const BAD: [&str; 4] = ["no-port", "192.0.2.999:80", "192.0.2.2:99999", "[2001:db8::1:80"];
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, Family::V4, Habit::Echo)?;
    let closed = servers::closed_port(&topology, Family::V4);
    let (mut text, mut bad, mut good) = (String::new(), Vec::new(), 0);
    for number in 1..=LINES {
        match number % 20 {
            0 => {
                bad.push(number);
                writeln!(text, "{}", BAD[number / 20 % BAD.len()])?;
            }
            1 => {
                good += 1;
                writeln!(text, "{} # open", server.address)?;
            }
            2 if number % 40 == 2 => {
                good += 1;
                writeln!(text, "\t{closed}  ")?;
            }
            _ => writeln!(text, "# {number}")?,
        }
    }
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), text)?;
    let path = file.path().to_string_lossy().into_owned();
    let arguments = ["rtt", "--targets", &path, "--json", "-c", "1", "-i", "2s", "-W", "2s"];
    let finished = run::run(&topology.client, &arguments)?;
    finished.expect_status(2)?;
    let named: Vec<usize> = finished
        .stderr
        .lines()
        .filter_map(|line| line.split_once("line ")?.1.split_once(':')?.0.parse().ok())
        .collect();
    ensure!(named == bad, "{named:?}\n{}", finished.stderr);
    ensure!(finished.stderr.lines().count() == bad.len(), "{}", finished.stderr);
    let probed: HashSet<u64> =
        finished.of_type("probe").filter_map(|record| record["target_index"].as_u64()).collect();
    ensure!(probed.len() == good, "{} of {good} were probed", probed.len());
    let settled = |record: &Value| matches!(record["fate"].as_str(), Some("answered" | "refused"));
    ensure!(finished.of_type("probe").all(settled), "{}", finished.account());
    Ok(())
}
