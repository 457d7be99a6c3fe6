//! Bad input: from the user, from the host, and from the network.

use crate::firewall::{self, Fate};
use crate::forge::Forger;
use crate::namespace::{Family, Link, Topology};
use crate::oracle::Oracle;
use crate::run::{self, Finished, Privilege, Running, is_move_to};
use crate::servers::{self, Habit, Server, SilentPort};
use crate::sniffer::{ACK, FIN, RST, SYN, Seen, Sniffer};
use crate::{Case, case, patience, sockets};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::Stdio;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("bad_input/unreachable_route", unreachable_route),
        case("bad_input/no_such_interface", no_such_interface),
        case("bad_input/source_is_not_ours", source_is_not_ours),
        case("bad_input/no_capability", no_capability),
        case("bad_input/ipv6_on_a_v4_only_host", ipv6_on_a_v4_only_host),
    ];
    for family in Family::BOTH {
        let name = |what: &str| format!("bad_input/{what}/{}", family.name());
        cases.push(case(name("closed_port_is_refused"), move || refused(family)));
        cases.push(case(name("silent_port_is_filtered"), move || filtered(family)));
        let work = move || prohibited(family);
        cases.push(case(name("rejected_port_is_prohibited"), work).needing(&["nft"]));
        cases.push(case(name("closed_pipe"), move || closed_pipe(family)));
        cases.push(case(name("garbage_at_our_port"), move || garbage(family)));
        cases.push(case(name("blind_resets"), move || blind_resets(family)));
    }
    cases
}

/// One line on stderr that names `words`, exit status 2, and nothing that looks like a crash.
pub(crate) fn ensure_one_line(finished: &Finished, words: &[&str]) -> Result<()> {
    finished.expect_status(2)?;
    let lines = finished.stderr.trim_end().lines().count();
    ensure!(lines == 1, "wanted one line: {}", finished.account());
    for word in words {
        ensure!(finished.stderr.contains(word), "no {word:?} in: {}", finished.stderr);
    }
    Ok(())
}

fn unreachable_route() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    for target in ["203.0.113.1:80", "[2001:db8:ffff::1]:80"] {
        let finished = run::run(&topology.client, &["handshake", target, "--json"])?;
        ensure_one_line(&finished, &["route"])?;
    }
    Ok(())
}

fn no_such_interface() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let arguments = ["handshake", "192.0.2.2:80", "--json", "-I", "nosuch0"];
    ensure_one_line(&run::run(&topology.client, &arguments)?, &["nosuch0"])
}

fn source_is_not_ours() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let arguments = ["handshake", "192.0.2.2:80", "--json", "-S", "198.51.100.7"];
    ensure_one_line(&run::run(&topology.client, &arguments)?, &["198.51.100.7"])
}

fn no_capability() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    for command in ["handshake", "close", "probe"] {
        let arguments = [command, "192.0.2.2:80", "--json"];
        let finished = run::run_with(&topology.client, Privilege::Nothing, &arguments)?;
        finished.expect_status(2)?;
        for word in ["CAP_NET_RAW", "setcap cap_net_raw+"] {
            ensure!(
                finished.stderr.to_lowercase().contains(&word.to_lowercase()),
                "no {word}: {}",
                finished.stderr
            );
        }
    }
    Ok(())
}

fn ipv6_on_a_v4_only_host() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    topology.client.within(|| {
        let setting = "/proc/sys/net/ipv6/conf/all/disable_ipv6";
        fs::write(setting, "1").context(setting)
    })?;
    let arguments = ["handshake", "[2001:db8::2]:80", "--json"];
    ensure_one_line(&run::run(&topology.client, &arguments)?, &[])
}

/// `probe` of a port that does not open: exit status 1, and 0 where that is what was expected.
fn ensure_outcome(topology: &Topology, target: SocketAddr, outcome: &str) -> Result<()> {
    let target = target.to_string();
    let base = ["probe", &target, "--json", "--retries", "0", "--timeout", "300ms"];
    let finished = run::run(&topology.client, &base)?;
    finished.expect_status(1)?;
    let got = &finished.first("probe")?["outcome"];
    ensure!(got == outcome, "wanted {outcome}, got {got}: {}", finished.account());
    let wanted = [&base[..], &["--expect", outcome]].concat();
    run::run(&topology.client, &wanted)?.expect_status(0)?;
    let handshake = [&["handshake"], &base[1..]].concat();
    let finished = run::run(&topology.client, &handshake)?;
    finished.expect_status(1)?;
    ensure!(finished.outcome()? == outcome, "wanted {outcome}: {}", finished.account());
    Ok(())
}

fn refused(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    ensure_outcome(&topology, servers::closed_port(&topology, family), "refused")
}

fn filtered(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let port = SilentPort::start(&topology, family)?;
    ensure_outcome(&topology, port.address, "filtered")
}

fn prohibited(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    topology.server.within(|| {
        // The kernel answers with one ICMP error a second to each host; here come three.
        fs::write("/proc/sys/net/ipv4/icmp_ratelimit", "0").context("icmp_ratelimit")?;
        fs::write("/proc/sys/net/ipv6/icmp/ratelimit", "0").context("icmp ratelimit")
    })?;
    let target = servers::closed_port(&topology, family);
    firewall::on_arrival(&topology.server, target.port(), "", Fate::Prohibited)?;
    ensure_outcome(&topology, target, "prohibited")
}

/// The reader of our output goes away after the first line: no complaint, and the peer is not left
/// hanging.
fn closed_pipe(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let port = servers::fresh_port();
    for mode in [&["--json"][..], &[]] {
        let (target, source) = (server.address.to_string(), port.to_string());
        let arguments = [&["close", &target, "-g", &source, "--msl", "20ms"], mode].concat();
        let mut child = run::spawn(&topology.client, Privilege::All, &arguments, Stdio::piped())?;
        let mut line = String::new();
        BufReader::with_capacity(1, child.stdout.take().context("stdout")?).read_line(&mut line)?;
        ensure!(!line.is_empty(), "no first line");
        let mut stderr = String::new();
        child.stderr.take().context("stderr")?.read_to_string(&mut stderr)?;
        let status = child.wait()?;
        ensure!(status.success(), "{status}: {stderr}");
        ensure!(stderr.is_empty(), "a complaint: {stderr}");
        // Whether it came to a connection or not, nothing of it is left at the server.
        patience::until("the server to be rid of the connection", || {
            let state = sockets::state_of(&topology.server, server.address.port(), port)?;
            Ok(state.is_none())
        })?;
    }
    Ok(())
}

/// A run that holds its connection, and a forger that knows everything of it.
struct Held {
    topology: Topology,
    _server: Server,
    sniffer: Sniffer,
    oracle: Oracle,
    running: Running,
    client: SocketAddr,
    forger: Forger,
    /// The next sequence number that the client expects, and the one that it sends.
    next: (u32, u32),
}

/// Opens a connection that stays open until a SIGINT.
fn hold(family: Family) -> Result<Held> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let mut sniffer = Sniffer::start(&topology)?;
    let oracle = Oracle::start(&topology.server, server.address.port())?;
    let client = SocketAddr::new(topology.client_address(family), servers::fresh_port());
    let (target, port) = (server.address.to_string(), client.port().to_string());
    let arguments = ["handshake", &target, "-g", &port, "--then", "hold=1h", "--json"];
    let mut running = Running::start(&topology.client, Privilege::All, &arguments)?;
    running.wait_for("ESTABLISHED", |event| is_move_to(event, "client", "ESTABLISHED"))?;
    let forger = Forger::new(&topology.server, server.address, client)?;
    let segments = sniffer.segments()?;
    let answer = segments.iter().find(|seen| seen.to == client && seen.has(SYN));
    let answer = answer.context("no SYN-ACK was seen")?;
    let next = (answer.seq.wrapping_add(1), answer.ack);
    Ok(Held { topology, _server: server, sniffer, oracle, running, client, forger, next })
}

impl Held {
    /// Ends the run and checks that it was unharmed: still open until we closed it, by FIN.
    fn finish(mut self) -> Result<(Finished, Vec<Seen>)> {
        let before = self.sniffer.segments()?;
        let gone = |seen: &&Seen| seen.from == self.client && (seen.has(FIN) || seen.has(RST));
        ensure!(!before.iter().any(|seen| gone(&seen)), "the run ended early: {before:?}");
        self.running.signal(nix::sys::signal::Signal::SIGINT)?;
        let finished = self.running.finish()?;
        finished.expect_status(0)?;
        let after = self.sniffer.segments()?;
        let resets = after.iter().filter(|seen| seen.from == self.client && seen.has(RST)).count();
        ensure!(resets == finished.sent_with("RST"), "a stray RST: {after:?}");
        let truth = self.oracle.path(self.client.port())?;
        ensure!(truth.last() == Some(&"CLOSED"), "{truth:?}");
        drop(self.topology);
        Ok((finished, after))
    }

    /// Waits until the run has reported a segment from the server that satisfies `wanted`.
    fn until_rejected(&mut self, what: &str) -> Result<()> {
        self.running.wait_for(what, |event| {
            event["type"] == "segment"
                && event["dir"] == "rx"
                && event["note"].to_string().contains("rejected")
        })?;
        Ok(())
    }
}

fn garbage(family: Family) -> Result<()> {
    let mut held = hold(family)?;
    let (seq, ack) = held.next;
    let whole = held.forger.header(seq, ack, ACK);
    // Cut off at every length, header and ports included.
    for length in 1..whole.len() {
        held.forger.send(&whole[..length])?;
    }
    // A data offset below the header, and one beyond the packet.
    for offset in [0x00, 0x40, 0xf0] {
        let mut lying = whole.clone();
        lying[12] = offset;
        let sum = held.forger.checksum(&lying);
        lying[16..18].copy_from_slice(&sum.to_be_bytes());
        held.forger.send(&lying)?;
    }
    // Options that lie: a length of zero, one beyond the end, a timestamp of three bytes.
    for options in [[2u8, 0, 5, 0xb4], [2, 40, 5, 0xb4], [8, 3, 1, 0], [255, 255, 255, 255]] {
        let mut lying = whole.clone();
        lying[12] = 0x60;
        lying.extend(options);
        let sum = held.forger.checksum(&lying);
        lying[16..18].copy_from_slice(&sum.to_be_bytes());
        held.forger.send(&lying)?;
    }
    // Every flag at once (far outside the window, for there is a RST among them), none at all, and a wrong checksum on a RST that would fit.
    held.forger.segment(seq.wrapping_add(0x4000_0000), ack, 0xff)?;
    held.forger.segment(seq, ack, 0)?;
    held.forger.send(&held.forger.header(seq, ack, RST))?;
    held.until_rejected("the RST with the wrong checksum")?;
    held.finish().map(drop)
}

/// RFC 5961 §3.2: a RST outside the window is dropped; one inside it that is not exactly the next
/// number is answered by a challenge ACK; neither ends the connection.
fn blind_resets(family: Family) -> Result<()> {
    let mut held = hold(family)?;
    let (seq, ack) = held.next;
    let client = held.client;
    for wrong in [seq.wrapping_sub(1), seq.wrapping_add(0x4000_0000), seq.wrapping_add(0x8000_0000)]
    {
        held.forger.segment(wrong, ack, RST)?;
        held.until_rejected("a RST outside the window")?;
    }
    let quiet = held.sniffer.segments()?;
    held.forger.segment(seq.wrapping_add(1), ack, RST)?;
    held.until_rejected("a RST inside the window")?;
    let (_, segments) = held.finish()?;
    let challenges = segments[quiet.len()..]
        .iter()
        .filter(|seen| seen.from == client && seen.flags == ACK && seen.length == 0)
        .filter(|seen| seen.seq == ack && seen.ack == seq);
    ensure!(challenges.count() >= 1, "no challenge ACK: {segments:?}");
    Ok(())
}
