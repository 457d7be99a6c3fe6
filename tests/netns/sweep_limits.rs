//! `sweep --max-per-host` and `--max-per-net`: by the stamps of an independent witness, no window of a
//! second holds more SYNs than were permitted; and the round trips of what had to wait are true.

use crate::namespace::{Family, Topology};
use crate::run;
use crate::servers::{self, Habit, Server};
use crate::sniffer::{SYN, Seen, Sniffer};
use crate::sweep::{Truth, ensure_true, everywhere, field, host, hosts, target_of, truth};
use crate::{Case, case};
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in Family::BOTH {
        let name = |what: &str| format!("sweep/{what}/{}", family.name());
        cases.push(case(name("max_per_host"), move || per_host(family)));
        cases.push(case(name("max_per_net"), move || per_net(family)));
    }
    cases.push(case("sweep/rate_is_kept", rate));
    cases
}

/// Our SYNs as they left: by a way out on which the kernel shows and stamps them.
fn syns(sniffer: &mut Sniffer) -> Result<Vec<Seen>> {
    let segments = sniffer.segments()?;
    Ok(segments.into_iter().filter(|seen| seen.outgoing && seen.has(SYN)).collect())
}

/// No window of a second holds more than `limit`.
fn ensure_limit(stamps: &[i64], limit: usize) -> Result<()> {
    for window in stamps.windows(limit + 1) {
        let length = window[limit] - window[0];
        ensure!(length >= 1_000_000_000, "{} SYNs within {length} ns", limit + 1);
    }
    Ok(())
}

/// Stamps by what `of` makes of the address.
fn stamps_by<K: Ord>(syns: &[Seen], of: impl Fn(IpAddr) -> K) -> BTreeMap<K, Vec<i64>> {
    let mut stamps: BTreeMap<K, Vec<i64>> = BTreeMap::new();
    for seen in syns {
        stamps.entry(of(seen.to.ip())).or_default().push(seen.unix_ns());
    }
    stamps
}

/// Every round trip told, of answers that came when they say, began when the witness saw the SYN.
fn ensure_times(finished: &run::Finished, syns: &[Seen]) -> Result<()> {
    let left: HashMap<SocketAddr, i64> =
        syns.iter().map(|seen| (seen.to, seen.unix_ns())).collect();
    for record in finished.of_type("target") {
        let Some(rtt) = record["rtt_ns"].as_i64() else { continue };
        let number =
            |name: &str| record[name].as_i64().with_context(|| format!("{name}: {record}"));
        let (came, error) = (number("unix_ns")?, number("rtt_error_ns")?);
        let left = left.get(&target_of(record)?).context("no SYN was seen")?;
        let off = came - rtt - left;
        ensure!(off.abs() <= error, "its SYN left {off} ns beside what is told: {record}");
    }
    Ok(())
}

fn per_host(family: Family) -> Result<()> {
    const LIMIT: usize = 100;
    let topology = field()?;
    let server = everywhere(&topology.server, family, Habit::Echo)?;
    let open = server.address.port();
    let first = open - 100;
    let mut all = Truth::new();
    for n in 0..4 {
        for port in first..first + 200 {
            let word = if port == open { "open" } else { "refused" };
            all.insert(SocketAddr::new(host(family, n), port), word);
        }
    }
    let mut sniffer = Sniffer::at_client(&topology)?;
    let (hosts, ports) = (hosts(family, 2), format!("{first}-{}", first + 199));
    let limit = LIMIT.to_string();
    let arguments =
        [&hosts, "-p", &ports, "--transmit", "raw", "--rate", "5k", "--max-per-host", &limit]
            .map(str::to_owned);
    let finished = limited(&topology, &arguments)?;
    ensure_true(&finished, &all)?;
    let syns = syns(&mut sniffer)?;
    let stamps = stamps_by(&syns, |address| address);
    ensure!(stamps.len() == 4, "{} hosts", stamps.len());
    for stamps in stamps.values() {
        ensure!(stamps.len() == 200, "{} SYNs", stamps.len());
        ensure_limit(stamps, LIMIT)?;
    }
    ensure_times(&finished, &syns)
}

fn limited(topology: &Topology, arguments: &[String]) -> Result<run::Finished> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let finished = crate::sweep::sweep(&topology.client, &arguments)?;
    finished.expect_status(0)?;
    Ok(finished)
}

/// The four networks of 256 in IPv4; all are in one of 64 bits in IPv6.
fn per_net(family: Family) -> Result<()> {
    const LIMIT: usize = 200;
    let bits = if family == Family::V4 { 10 } else { 8 };
    let topology = field()?;
    let closed = servers::fresh_port();
    let mut sniffer = Sniffer::at_client(&topology)?;
    let (hosts, port) = (hosts(family, bits), closed.to_string());
    let limit = LIMIT.to_string();
    let arguments =
        [&hosts, "-p", &port, "--transmit", "raw", "--rate", "5k", "--max-per-net", &limit]
            .map(str::to_owned);
    let finished = limited(&topology, &arguments)?;
    ensure_true(&finished, &truth(family, bits, &[(closed, "refused")]))?;
    let net = |address| match address {
        IpAddr::V4(address) => address.octets()[2],
        IpAddr::V6(_) => 0,
    };
    let syns = syns(&mut sniffer)?;
    let stamps = stamps_by(&syns, net);
    ensure!(stamps.len() == if family == Family::V4 { 4 } else { 1 }, "{} nets", stamps.len());
    stamps.values().try_for_each(|stamps| ensure_limit(stamps, LIMIT))?;
    ensure_times(&finished, &syns)
}

/// Never more than a burst beyond it.
fn rate() -> Result<()> {
    const RATE: usize = 500;
    let topology = Topology::new(crate::namespace::Link::Veth)?;
    let server = Server::start(&topology, Family::V4, Habit::Echo)?;
    let first = server.address.port() - 500;
    let ports = format!("{first}-{}", first + 999);
    let mut sniffer = Sniffer::at_client(&topology)?;
    let host = server.address.ip().to_string();
    let rate = RATE.to_string();
    let arguments =
        [&host, "-p", &ports, "--transmit", "raw", "--rate", &rate].map(|text| text.to_owned());
    let finished = limited(&topology, &arguments)?;
    let syns = syns(&mut sniffer)?;
    let stamps: Vec<i64> = syns.iter().map(Seen::unix_ns).collect();
    ensure!(stamps.len() == 1000, "{} SYNs", stamps.len());
    ensure_limit(&stamps, RATE + 16)?;
    ensure_times(&finished, &syns)
}
