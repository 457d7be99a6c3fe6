//! Capture files: tshark reads what `--pcap` writes, and finds in it what the report says.

use crate::firewall::{self, Fate};
use crate::forge::Forger;
use crate::namespace::{Family, Link, Topology};
use crate::run::{self, Finished, Privilege, Running, is_move_to};
use crate::servers::{self, Habit, Server};
use crate::shapes::places;
use crate::sniffer::{ACK, RST, Sniffer};
use crate::{Case, case};
use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut filtered = Vec::new();
    for (link, family, place) in places() {
        let work = move || agrees(link, family);
        cases.push(case(format!("capture/agrees_with_the_report/{place}"), work));
    }
    for family in Family::BOTH {
        let name = |what: &str| format!("capture/{what}/{}", family.name());
        cases.push(case(name("killed"), move || killed(family)));
        cases.push(case(name("rejected_and_malformed"), move || rejected(family)));
        filtered.push(case(name("retransmission_and_icmp"), move || lost_and_prohibited(family)));
    }
    cases.push(case("capture/several_at_once", several));
    cases.push(case("capture/standard_output", standard_output));
    cases.push(case("capture/full_disk", full_disk));
    cases.push(case("capture/no_permission", no_permission));
    let cases = cases.into_iter().map(|case| case.needing(&["tshark"]));
    cases.chain(filtered.into_iter().map(|case| case.needing(&["tshark", "nft"]))).collect()
}

/// A packet, as tshark reads it.
#[derive(Debug)]
pub(crate) struct Row {
    /// Nanoseconds since the Unix epoch.
    pub(crate) unix_ns: i64,
    pub(crate) dir: &'static str,
    pub(crate) interface: String,
    pub(crate) protocols: String,
    pub(crate) flags: String,
    pub(crate) comment: String,
}

/// Every packet of a file, in which tshark must find nothing to complain about.
pub(crate) fn read(path: &Path) -> Result<Vec<Row>> {
    let home = tempfile::tempdir()?;
    let fields = [
        "frame.time_epoch",
        "frame.packet_flags_direction",
        "frame.interface_name",
        "frame.protocols",
        "tcp.flags",
        "frame.comment",
    ];
    let output = Command::new("tshark")
        .env("HOME", home.path())
        .env_remove("XDG_CONFIG_HOME")
        .args(["-n", "-T", "fields"])
        .args(fields.iter().flat_map(|field| ["-e", field]))
        .arg("-r")
        .arg(path)
        .output()
        .context("tshark")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let complaints = stderr.lines().filter(|line| !line.starts_with("Running as user"));
    ensure!(output.status.success() && complaints.count() == 0, "tshark: {stderr}");
    String::from_utf8(output.stdout)?.lines().map(row).collect()
}

fn row(line: &str) -> Result<Row> {
    let fields: Vec<&str> = line.split('\t').collect();
    let &[time, direction, interface, protocols, flags, comment] = &fields[..] else {
        anyhow::bail!("{} fields: {line}", fields.len());
    };
    let (seconds, nanos) = time.split_once('.').context("no fraction")?;
    ensure!(nanos.len() == 9, "not in nanoseconds: {time}");
    Ok(Row {
        unix_ns: seconds.parse::<i64>()? * 1_000_000_000 + nanos.parse::<i64>()?,
        dir: match direction {
            "0x00000001" => "rx",
            "0x00000002" => "tx",
            other => anyhow::bail!("direction {other}"),
        },
        interface: interface.to_owned(),
        protocols: protocols.to_owned(),
        flags: flags.to_owned(),
        comment: comment.to_owned(),
    })
}

/// The sum of the flags of a segment event.
fn flags_of(event: &Value) -> String {
    let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"];
    let set = |name: &&str| run::has_flag(event, name);
    let bits: u32 =
        names.iter().enumerate().filter(|(_, name)| set(name)).map(|(bit, _)| 1 << bit).sum();
    format!("0x{bits:04x}")
}

/// Fails unless the file has the very segments of the report, at the very times, in its order.
fn ensure_agrees(rows: &[Row], finished: &Finished) -> Result<()> {
    let run = finished.first("run")?;
    let start = run["unix_ns"].as_i64().context("unix_ns")?;
    let segments: Vec<&Value> = finished.of_type("segment").collect();
    ensure!(rows.len() == segments.len(), "{rows:#?}\n{}", finished.account());
    for (row, segment) in rows.iter().zip(segments) {
        let at = start + segment["at_ns"].as_i64().context("at_ns")?;
        ensure!(row.unix_ns == at, "{row:?} is not at {at}: {segment}");
        ensure!(segment["dir"] == row.dir && flags_of(segment) == row.flags, "{row:?}: {segment}");
        ensure!(run["interface"] == *row.interface, "{row:?}: {run}");
        ensure!(row.protocols.starts_with("raw:ip"), "{row:?}");
        let note = segment["note"].as_str().unwrap_or_default();
        ensure!(row.comment.contains(note), "no {note} in {row:?}");
    }
    for event in finished.of_type("transition") {
        let text = |field: &str| event[field].as_str().unwrap_or("?");
        let words = format!("{} {} -> {}: ", text("end"), text("from"), text("to"));
        let told = rows.iter().filter(|row| row.comment.contains(&words)).count();
        let moves = finished.of_type("transition");
        let same = moves
            .filter(|other| ["end", "from", "to"].iter().all(|field| other[field] == event[field]));
        ensure!(told >= 1 && told <= same.count(), "{words:?} is told {told} times: {rows:#?}");
    }
    Ok(())
}

fn agrees(link: Link, family: Family) -> Result<()> {
    let topology = Topology::new(link)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("c.pcapng");
    let (target, path) = (server.address.to_string(), file.to_string_lossy().into_owned());
    fs::write(&file, [0xaa; 10_000])?;
    let arguments = ["close", &target, "--msl", "10ms", "--send", "hello", "--json", "--pcap"];
    let finished = run::run(&topology.client, &[&arguments[..], &[&path]].concat())?;
    finished.expect_status(0)?;
    ensure!(finished.stderr.is_empty(), "{}", finished.stderr);
    ensure_agrees(&read(&file)?, &finished)
}

/// What was complete when the process was killed is there, and nothing else.
fn killed(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("c.pcapng");
    let (target, path) = (server.address.to_string(), file.to_string_lossy().into_owned());
    let arguments = ["handshake", &target, "--then", "hold=1h", "--json", "--pcap", &path];
    let mut running = Running::start(&topology.client, Privilege::All, &arguments)?;
    running.wait_for("the ACK", |event| is_move_to(event, "server", "ESTABLISHED"))?;
    running.signal(Signal::SIGKILL)?;
    running.finish_killed()?;
    let rows = read(&file)?;
    let flags: Vec<&str> = rows.iter().map(|row| &*row.flags).collect();
    ensure!(flags == ["0x0002", "0x0012"], "{rows:#?}");
    ensure!(rows[0].comment.contains("client CLOSED -> SYN-SENT"), "{rows:#?}");
    ensure!(rows[1].comment.contains("client SYN-SENT -> ESTABLISHED"), "{rows:#?}");
    Ok(())
}

/// What was not accepted is in the file as it came, with the reason.
fn rejected(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let client = SocketAddr::new(topology.client_address(family), servers::fresh_port());
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("c.pcapng");
    let (target, path) = (server.address.to_string(), file.to_string_lossy().into_owned());
    let port = client.port().to_string();
    let arguments =
        ["handshake", &target, "-g", &port, "--then", "hold=1h", "--json", "--pcap", &path];
    let mut running = Running::start(&topology.client, Privilege::All, &arguments)?;
    running.wait_for("ESTABLISHED", |event| is_move_to(event, "client", "ESTABLISHED"))?;
    let forger = Forger::new(&topology.server, server.address, client)?;
    let mut short = forger.header(1, 2, ACK);
    short[12] = 0x40;
    forger.send(&short)?;
    running.wait_for("the malformed one", |event| event["code"] == "malformed")?;
    let mut wrong = forger.header(1, 2, RST);
    wrong[16..18].copy_from_slice(&[0xba, 0xd1]);
    forger.send(&wrong)?;
    running.wait_for("the wrong checksum", |event| event["note"] == "rejected")?;
    running.signal(Signal::SIGINT)?;
    running.finish()?.expect_status(0)?;
    let rows = read(&file)?;
    let told =
        |words: &[&str]| rows.iter().any(|row| words.iter().all(|word| row.comment.contains(word)));
    ensure!(told(&["rejected: malformed", "data offset"]), "{rows:#?}");
    ensure!(told(&["rejected: wrong checksum"]), "{rows:#?}");
    let bytes = fs::read(&file)?;
    for forged in [&short, &wrong] {
        ensure!(bytes.windows(20).any(|window| window == forged.as_slice()), "{forged:x?}");
    }
    Ok(())
}

fn lost_and_prohibited(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("c.pcapng");
    let path = file.to_string_lossy().into_owned();

    let server = Server::start(&topology, family, Habit::Echo)?;
    let first = "tcp flags & (syn|ack) == syn";
    firewall::on_arrival(&topology.server, server.address.port(), first, Fate::FirstLost)?;
    let target = server.address.to_string();
    let finished = run::run(&topology.client, &["handshake", &target, "--json", "--pcap", &path])?;
    finished.expect_status(0)?;
    let rows = read(&file)?;
    ensure_agrees(&rows, &finished)?;
    let repeated = rows.iter().filter(|row| row.comment.starts_with("retransmission 1"));
    ensure!(repeated.map(|row| &*row.flags).eq(["0x0002"]), "{rows:#?}");

    let closed = servers::closed_port(&topology, family);
    firewall::load(&topology.server, "delete table inet trial")?;
    firewall::on_arrival(&topology.server, closed.port(), "", Fate::Prohibited)?;
    let target = closed.to_string();
    let finished = run::run(&topology.client, &["handshake", &target, "--json", "--pcap", &path])?;
    finished.expect_status(1)?;
    ensure!(finished.outcome()? == "prohibited", "{}", finished.account());
    let rows = read(&file)?;
    // tshark names the quoted packet's protocols behind that of the error.
    let errors = rows.iter().filter(|row| row.protocols.contains(":icmp"));
    let errors: Vec<&Row> = errors.collect();
    ensure!(errors.len() == 1 && errors[0].dir == "rx", "{rows:#?}");
    let at = finished.first("run")?["unix_ns"].as_i64().context("unix_ns")?
        + finished.first("icmp")?["at_ns"].as_i64().context("at_ns")?;
    ensure!(errors[0].unix_ns == at, "{rows:#?}\n{}", finished.account());
    Ok(())
}

/// Many probes at a time, on both families: each packet once, remarks with the right flow.
fn several() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("c.pcapng");
    let path = file.to_string_lossy().into_owned();
    let mut arguments = vec!["probe".to_owned()];
    let mut kept = Vec::new();
    for family in Family::BOTH {
        for _ in 0..4 {
            let server = Server::start(&topology, family, Habit::Echo)?;
            arguments.push(server.address.to_string());
            kept.push(server);
            arguments.push(servers::closed_port(&topology, family).to_string());
        }
    }
    arguments.extend(["--json", "--pcap", &path].map(str::to_owned));
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let finished = run::run(&topology.client, &words)?;
    finished.expect_status(1)?;
    let rows = read(&file)?;
    ensure!(rows.len() == finished.of_type("segment").count(), "{rows:#?}");
    let count = |flags: &str, words: &str| {
        rows.iter().filter(|row| row.flags == flags && row.comment.contains(words)).count()
    };
    ensure!(count("0x0002", "client CLOSED -> SYN-SENT") == 16, "{rows:#?}");
    ensure!(count("0x0012", "client SYN-SENT -> ESTABLISHED") == 8, "{rows:#?}");
    ensure!(count("0x0014", "client SYN-SENT -> CLOSED: RST+ACK received") == 8, "{rows:#?}");
    ensure!(count("0x0004", "client ESTABLISHED -> CLOSED: abort") == 8, "{rows:#?}");
    Ok(())
}

/// The capture has standard output for itself, and the report goes to standard error.
fn standard_output() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, Family::V4, Habit::Echo)?;
    let target = server.address.to_string();
    let arguments = ["handshake", &target, "--json", "--pcap", "-"];
    let child = run::spawn(&topology.client, Privilege::All, &arguments, Stdio::piped())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{output:?}");
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), &output.stdout)?;
    let rows = read(file.path())?;
    let report = String::from_utf8(output.stderr)?;
    let events: Vec<Value> = report.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let events = events.iter().filter(|event| event["type"] == "segment").count();
    ensure!(events >= 5 && events == rows.len(), "{rows:#?}\n{report}");
    Ok(())
}

/// The run goes on without the capture, says so once, and exits with 2; the file ends with the last
/// packet that found room.
fn full_disk() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, Family::V4, Habit::Echo)?;
    let disk = tempfile::tempdir()?;
    // A single page, in a mount that only this process sees.
    mount(Some("none"), disk.path(), Some("tmpfs"), MsFlags::empty(), Some("size=4k"))
        .context("tmpfs")?;
    let file = disk.path().join("c.pcapng");
    let (target, path) = (server.address.to_string(), file.to_string_lossy().into_owned());
    let text = "x".repeat(3000);
    let arguments = ["close", &target, "--msl", "10ms", "--send", &text, "--json", "--pcap", &path];
    let checked = run::run(&topology.client, &arguments).and_then(|finished| {
        finished.expect_status(2)?;
        ensure!(finished.outcome()? == "closed", "{}", finished.account());
        ensure!(finished.stderr.lines().count() == 1, "{}", finished.stderr);
        for words in [&path, "the run goes on", "No space left on device"] {
            ensure!(finished.stderr.contains(words), "{}", finished.stderr);
        }
        let rows = read(&file)?;
        let segments = finished.of_type("segment").count();
        ensure!(rows.len() >= 3 && rows.len() < segments, "{} of {segments}", rows.len());
        Ok(())
    });
    nix::mount::umount(disk.path()).context("umount")?;
    checked
}

/// A file that cannot be written is one line and exit status 2, before any packet; and it is opened
/// with the privileges that there are, which the run drops.
fn no_permission() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, Family::V4, Habit::Echo)?;
    let mut sniffer = Sniffer::start(&topology)?;
    let directory = tempfile::tempdir()?;
    fs::set_permissions(directory.path(), Permissions::from_mode(0o555))?;
    let file = directory.path().join("c.pcapng");
    let (target, path) = (server.address.to_string(), file.to_string_lossy().into_owned());
    for command in ["handshake", "close", "probe"] {
        let arguments = [command, &target, "--json", "--pcap", &path];
        let finished = run::run_with(&topology.client, Privilege::RawOnly, &arguments)?;
        finished.expect_status(2)?;
        let line = format!(
            "shakedown: cannot write the capture to '{path}': Permission denied (os error 13)\n"
        );
        ensure!(finished.stderr == line, "{}", finished.stderr);
    }
    ensure!(sniffer.segments()?.is_empty(), "a packet left: {:?}", sniffer.segments()?);
    let arguments = ["handshake", &target, "--json", "--pcap", &path];
    let finished = run::run(&topology.client, &arguments)?;
    finished.expect_status(0)?;
    ensure_agrees(&read(&file)?, &finished)
}
