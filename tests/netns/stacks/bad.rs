//! Targets that are none: the report is clear, comes in bounded time, and has the right exit status.

use super::side_by_side;
use crate::firewall;
use crate::namespace::{Family, Link, SERVER_VETH, Topology};
use crate::run::{Finished, Privilege, Running};
use crate::servers::{Habit, Server, SilentPort, closed_port};
use crate::{Case, case, netlink, patience};
use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// No run may take longer. Most of it is the patience for a host that may be slow.
const BOUND: Duration = Duration::from_secs(120);

/// A target that is none, and what is expected of a run.
type Bad = (&'static str, fn(Family) -> Result<()>);

const BAD: [Bad; 7] = [
    ("closed", closed),
    ("filtered", filtered),
    ("prohibited", prohibited),
    ("link down midway", |family| goes_away(family, true)),
    ("filtered midway", |family| goes_away(family, false)),
    ("resets all", resets_all),
    ("tarpit", tarpit),
];

pub(super) fn cases() -> Vec<Case> {
    let of = |family: Family| {
        case(format!("check/bad/{}", family.name()), move || all(family)).needing(&["nft"])
    };
    Family::BOTH.map(of).into()
}

/// All at the same time, each in a network of its own: most of it is waiting.
fn all(family: Family) -> Result<()> {
    let named = BAD.map(|(name, work)| (name.to_owned(), move || work(family)));
    side_by_side(named)
}

/// Starts the battery.
fn start(topology: &Topology, target: &str) -> Result<Running> {
    start_with(topology, target, &[])
}

/// Starts it with more options.
fn start_with(topology: &Topology, target: &str, options: &[&str]) -> Result<Running> {
    let arguments = [&["check", target, "--json", "--quiet"], options].concat();
    Ok(Running::start(&topology.client, Privilege::All, &arguments)?.with_pauses(BOUND))
}

/// Its summary, after it came to this outcome in bounded time, with exit status 1.
fn expect(finished: &Finished, outcome: &str) -> Result<String> {
    let summary = finished.first("summary")?;
    let account = || finished.account();
    ensure!(summary["outcome"] == outcome, "wanted {outcome}: {}", account());
    let elapsed = Duration::from_nanos(summary["elapsed_ns"].as_u64().context("elapsed_ns")?);
    ensure!(elapsed < BOUND, "it took {elapsed:?}: {}", account());
    let fails = finished.of_type("check").filter(|check| check["verdict"] == "fail");
    ensure!(fails.count() == 0, "nothing was proved against the target: {}", account());
    finished.expect_status(1)?;
    Ok(summary["reason"].as_str().unwrap_or_default().to_owned())
}

fn no_target(topology: &Topology, target: &str, word: &str) -> Result<()> {
    let finished = start(topology, target)?.finish()?;
    let reason = expect(&finished, "no-target")?;
    ensure!(reason.contains(word), "wanted {word}: {reason}");
    ensure!(finished.of_type("check").count() == 0, "{}", finished.account());
    Ok(())
}

fn closed(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    no_target(&topology, &closed_port(&topology, family).to_string(), "the port is closed")
}

fn filtered(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let port = SilentPort::start(&topology, family)?;
    no_target(&topology, &port.address.to_string(), "does not answer")
}

fn prohibited(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let address = closed_port(&topology, family);
    firewall::on_arrival(&topology.server, address.port(), "", firewall::Fate::Prohibited)?;
    no_target(&topology, &address.to_string(), "")
}

/// The first verdicts are there, and then nothing answers any more.
fn goes_away(family: Family, link_down: bool) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let mut running = start(&topology, &server.address.to_string())?;
    running.wait_for("a verdict", |event| event["type"] == "check")?;
    if link_down {
        topology.server.within(|| netlink::set_down(SERVER_VETH))?;
    } else {
        let port = server.address.port();
        firewall::on_arrival(&topology.server, port, "", firewall::Fate::AllLost)?;
    }
    let finished = running.finish()?;
    let reason = expect(&finished, "died")?;
    ensure!(reason.contains("stopped answering"), "{reason}");
    Ok(())
}

/// Every segment, SYNs apart, is reset: the handshake is all that works.
fn resets_all(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let port = server.address.port();
    let rules = format!(
        "table inet trial {{\n chain arrival {{\n type filter hook input priority 0;\n \
         tcp dport {port} tcp flags & (syn | rst) == 0 reject with tcp reset\n }}\n }}\n"
    );
    firewall::load(&topology.server, &rules)?;
    let finished = start(&topology, &server.address.to_string())?.finish()?;
    let verdict = |id: &str| {
        let found = finished.of_type("check").find(|check| check["id"] == id);
        found.map(|check| check["verdict"].as_str().unwrap_or_default().to_owned())
    };
    // What works before a connection is open is decided, and the rest is not passed.
    let decided = [verdict("synack-basic"), verdict("fin-acked")];
    let account = || format!("{decided:?}: {}", finished.account());
    ensure!(decided[0].as_deref() == Some("pass"), "{}", account());
    ensure!(decided[1].as_deref().is_some_and(|verdict| verdict != "pass"), "{}", account());
    Ok(())
}

/// A byte a second, for ever.
fn tarpit(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::Tarpit)?;
    let begun = patience::now()?;
    let finished =
        start_with(&topology, &server.address.to_string(), &["--group", "fin"])?.finish()?;
    ensure!(patience::now()?.saturating_sub(begun) < BOUND, "{}", finished.account());
    let summary = finished.first("summary")?;
    ensure!(summary["outcome"] == "complete", "{}", finished.account());
    let failed = finished.of_type("check").filter(|check| check["verdict"] == "fail");
    ensure!(failed.count() == 0, "{}", finished.account());
    finished.expect_status(0)
}
