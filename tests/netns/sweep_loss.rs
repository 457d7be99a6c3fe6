//! `sweep --passes` where the network loses packets: what reached its target is found, no more and no
//! less, and the share that the report calls lost is the one that the packet filter counted.

use crate::firewall;
use crate::namespace::{Family, Topology};
use crate::relay::Relay;
use crate::run::{self, Finished};
use crate::servers::Habit;
use crate::sniffer::SYN;
use crate::sweep::{ALL, everywhere, field, figure, give_hosts, hosts, sweep, told};
use crate::{Case, case};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in Family::BOTH {
        let name = |what: &str| format!("sweep/{what}/{}", family.name());
        cases.push(case(name("lost_syns"), move || lost_syns(family)).needing(&["nft"]));
    }
    // The peer's repetitions take their seconds.
    cases.push(case("sweep/lost_syn_acks/v4", || lost_syn_acks(Family::V4)));
    cases
}

/// Members of the set `reached`.
fn reached(topology: &Topology) -> Result<BTreeSet<IpAddr>> {
    topology.server.within(|| {
        let arguments = ["-j", "list", "set", "inet", "trial", "reached"];
        let output = Command::new("nft").args(arguments).output().context("nft")?;
        let listed: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let members = listed.pointer("/nftables/1/set/elem").and_then(serde_json::Value::as_array);
        let addresses = members.context("no members")?.iter().map(|member| {
            let text = member.as_str().context("a member that is no address")?;
            text.parse().with_context(|| text.to_owned())
        });
        addresses.collect()
    })
}

/// The estimate lies within four of its standard errors from the counters' share.
fn ensure_estimate(finished: &Finished, name: &str, lost: u64, all: u64) -> Result<()> {
    let summary = finished.first("summary")?;
    let said = &summary[name];
    let figure = |name: &str| said[name].as_f64().with_context(|| format!("{name}: {summary}"));
    let truth = f64::from(u32::try_from(lost)?) / f64::from(u32::try_from(all)?) * 1e6;
    let (share, error) = (figure("ppm")?, figure("error_ppm")?);
    ensure!((share - truth).abs() <= 4.0 * error, "{name} is {said}, counted: {truth} ppm");
    // And says something.
    ensure!(error < truth / 2.0, "{said}");
    Ok(())
}

fn lost_syns(family: Family) -> Result<()> {
    let topology = field()?;
    let server = everywhere(&topology.server, family, Habit::Echo)?;
    let port = server.address.port();
    let (word, kind) = match family {
        Family::V4 => ("ip", "ipv4_addr"),
        Family::V6 => ("ip6", "ipv6_addr"),
    };
    // Three of ten in turn: the same share whenever it runs.
    let rules = format!(
        "table inet trial {{\n counter lost {{ }}\n counter passed {{ }}\n \
         set reached {{\n type {kind}\n size 65536\n flags dynamic\n }}\n \
         chain arrival {{\n type filter hook input priority 0;\n \
         tcp dport {port} tcp flags & (syn|ack) == syn jump lossy\n }}\n \
         chain lossy {{\n numgen inc mod 10 < 3 counter name lost drop\n \
         counter name passed add @reached {{ {word} daddr }} accept\n }}\n }}\n"
    );
    firewall::load(&topology.server, &rules)?;
    let (hosts, text) = (hosts(family, ALL), port.to_string());
    let arguments = [&hosts, "-p", &text, "--passes", "3", "--rate", "5k"];
    let finished = sweep(&topology.client, &arguments)?;
    finished.expect_status(0)?;
    let found: BTreeSet<IpAddr> =
        told(finished.of_type("target"))?.keys().map(|target| target.ip()).collect();
    let reached = reached(&topology)?;
    let missing: Vec<_> = reached.difference(&found).collect();
    ensure!(missing.is_empty(), "reached and not found: {missing:?}");
    ensure!(found.len() == reached.len(), "{} found, {} reached", found.len(), reached.len());
    let summary = finished.first("summary")?;
    let silent = u64::try_from(1024 - reached.len())?;
    ensure!(figure(summary, "silent")? == silent, "{silent} were never reached: {summary}");
    let lost = firewall::counted(&topology.server, "lost")?;
    let passed = firewall::counted(&topology.server, "passed")?;
    ensure!(summary["sent"] == lost + passed, "{lost} + {passed} SYNs arrived: {summary}");
    // As many SYNs left in each pass as targets were silent after the one before.
    let mut silent = 1024;
    for pass in summary["passes"].as_array().context("passes")? {
        ensure!(pass["sent"] == silent, "{silent} are to be asked: {summary}");
        silent -= pass["answered"].as_u64().context("answered")?;
    }
    ensure_estimate(&finished, "loss", lost, lost + passed)
}

/// What is lost on the way back, the peer repeats: all that came through is found, and the share that
/// did not is told from who had to repeat.
fn lost_syn_acks(family: Family) -> Result<()> {
    let (lost, passed) = (Arc::<AtomicU32>::default(), Arc::<Mutex<BTreeSet<IpAddr>>>::default());
    let (counted, noted) = (Arc::clone(&lost), Arc::clone(&passed));
    let mut number = 0u32;
    // Not by the peer's packet filter: its kernel gives up a connection whose answer it cannot send.
    let relay = Relay::start(Box::new(move |to_server, seen| {
        if to_server || !seen.has(SYN) {
            return vec![Duration::ZERO];
        }
        number += 1;
        if number % 10 < 3 {
            counted.fetch_add(1, Ordering::Relaxed);
            return Vec::new();
        }
        noted.lock().unwrap_or_else(PoisonError::into_inner).insert(seen.from.ip());
        vec![Duration::ZERO]
    }))?;
    let topology = &relay.topology;
    give_hosts(topology)?;
    let server = everywhere(&topology.server, family, Habit::Echo)?;
    let (hosts, text) = (hosts(family, ALL), server.address.port().to_string());
    // The peer repeats after one second, two and four: neither of these is where the waiting ends.
    let cool = ["--cool-down", "6s"];
    let arguments = [&["sweep", "--json", &hosts, "-p", &text, "--rate", "5k"], &cool[..]].concat();
    let finished = run::run(&topology.client, &arguments)?;
    finished.expect_status(0)?;
    let found: BTreeSet<IpAddr> =
        told(finished.of_type("target"))?.keys().map(|target| target.ip()).collect();
    let passed = passed.lock().map_err(|_| anyhow::anyhow!("the relay panicked"))?.clone();
    ensure!(found == passed, "{} found, {} passed", found.len(), passed.len());
    // The first SYN-ACKs of all targets, before any repetition.
    ensure!(lost.load(Ordering::Relaxed) > 300, "{lost:?} were lost");
    ensure_estimate(&finished, "loss_back", 307, 1024)
}
