//! Truth: as many connections as were told of, and of each what the server's kernel did.

use super::servers::{BIG, Kind, PAGE, Web};
use super::{ask, connections, courses, ensure_answered, trust};
use crate::namespace::{Family, Link, Topology};
use crate::oracle::Oracle;
use crate::run::{Finished, Privilege};
use crate::shapes::places;
use crate::sniffer::{RST, Seen, Sniffer};
use crate::sockets::KernelState;
use crate::{Case, case};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// What is asked of whom.
#[derive(Clone, Copy)]
struct Visit {
    name: &'static str,
    kind: Kind,
    http: &'static str,
    count: usize,
    connections: usize,
    closed_by: &'static str,
}

const VISITS: [Visit; 8] = [
    visit("http_1_0_python", Kind::Python, "1.0", 3, 3, "them"),
    visit("http_1_0_nginx", Kind::Nginx, "1.0", 3, 3, "them"),
    visit("http_1_1_nginx", Kind::Nginx, "1.1", 5, 1, "us"),
    visit("http_1_1_hasty_nginx", Kind::HastyNginx, "1.1", 4, 2, "them"),
    visit("http_2_nginx", Kind::NginxTwo, "2", 20, 1, "us"),
    visit("http_2_nghttpd", Kind::Nghttpd, "2", 20, 1, "us"),
    visit("tls_1_1_nginx", Kind::NginxTls, "1.1", 5, 1, "us"),
    visit("tls_2_nghttpd", Kind::NghttpdTls, "2", 20, 1, "us"),
];

const fn visit(
    name: &'static str,
    kind: Kind,
    http: &'static str,
    count: usize,
    connections: usize,
    closed_by: &'static str,
) -> Visit {
    Visit { name, kind, http, count, connections, closed_by }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (link, family, place) in places() {
        for visit in VISITS {
            let name = format!("request/truth_{}/{place}", visit.name);
            let work = move || states_agree(visit, link, family);
            cases.push(case(name, work).needing(visit.kind.needs()));
        }
    }
    for family in Family::BOTH {
        let name = |what: &str| format!("request/{what}/{}", family.name());
        let clear = move || all_versions_side_by_side(family, Kind::Apache, "http");
        cases.push(case(name("compare_apache"), clear).needing(Kind::Apache.needs()));
        let secure = move || all_versions_side_by_side(family, Kind::NginxTls, "https");
        cases.push(case(name("compare_tls_nginx"), secure).needing(Kind::NginxTls.needs()));
        let much = move || much_arrives_whole(family, Kind::Nginx, "http", "1.1");
        cases.push(case(name("much_by_http_1_1"), much).needing(Kind::Nginx.needs()));
        let much = move || much_arrives_whole(family, Kind::NghttpdTls, "https", "2");
        cases.push(case(name("much_by_tls_and_http_2"), much).needing(Kind::NghttpdTls.needs()));
        for guard in ["auto", "minttl"] {
            let quiet = move || no_stray_reset(family, guard);
            let named = name(&format!("no_stray_reset_{guard}"));
            cases.push(case(named, quiet).needing(Kind::Nginx.needs()));
        }
    }
    cases
}

/// The connections, the states of each, and their number are those of the server's kernel.
fn states_agree(visit: Visit, link: Link, family: Family) -> Result<()> {
    let topology = Topology::new(link)?;
    let web = Web::start(&topology, family, visit.kind)?;
    let mut oracle = Oracle::start(&topology.server, web.address.port())?;
    let secure = visit.name.starts_with("tls");
    let url = web.url(if secure { "https" } else { "http" }, "/");
    let count = visit.count.to_string();
    let trusted = trust(&web);
    let mut options = vec!["--http", visit.http, "-c", &count];
    if secure {
        options.extend(trusted.iter().map(String::as_str));
    }
    let finished = ask(&topology, Privilege::All, &url, &options, 0)?;
    ensure_answered(&finished, visit.count, PAGE)?;
    let told = connections(&finished);
    ensure!(told.len() == visit.connections, "{} of them: {}", told.len(), finished.account());
    for connection in &told {
        ensure!(connection["closed_by"] == visit.closed_by, "{}", finished.account());
        ensure!(connection["outcome"] == "closed", "{}", finished.account());
        same_states(&mut oracle, &finished, connection)?;
    }
    // Those that the kernel knows of are those that were told of.
    let opened = oracle.all_moves()?.iter().filter(|step| step.to == KernelState::Established);
    let mut ports: Vec<u16> = opened.map(|step| step.client_port).collect();
    ports.sort_unstable();
    ports.dedup();
    ensure!(
        ports.len() == visit.connections || !oracle.is_complete(),
        "the kernel opened {ports:?}"
    );
    Ok(())
}

fn same_states(oracle: &mut Oracle, finished: &Finished, connection: &Value) -> Result<()> {
    let flow = connection["flow"].clone();
    let reported = finished.states_of("server", |event: &Value| event["flow"] == flow);
    let port = connection["source"]["port"].as_u64().context("a port")?;
    oracle.check(&reported, u16::try_from(port)?).with_context(|| finished.account())
}

/// N requests are N connections by HTTP/1.0 and one by the others, and what that costs is counted.
fn all_versions_side_by_side(family: Family, kind: Kind, scheme: &str) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let web = Web::start(&topology, family, kind)?;
    let har = web.directory.path().join("run.har");
    let har = har.to_str().context("a path")?;
    let trusted = trust(&web);
    let mut options = vec!["--compare", "--rounds", "2", "-c", "4", "--har", har];
    if scheme == "https" {
        options.extend(trusted.iter().map(String::as_str));
    }
    let finished = ask(&topology, Privilege::All, &web.url(scheme, "/page"), &options, 0)?;
    ensure_answered(&finished, 24, PAGE)?;
    let courses = courses(&finished)?;
    let order: Vec<_> = courses.iter().filter_map(|course| course["http"].as_str()).collect();
    ensure!(order == ["1.0", "1.1", "2", "1.1", "2", "1.0"], "interleaved: {order:?}");
    for course in &courses {
        let wanted: u64 = if course["http"] == "1.0" { 4 } else { 1 };
        ensure!(course["connections"] == wanted, "{course}");
        let costs = &course["costs"];
        // SYN, SYN-ACK, ACK: nothing was lost on this link.
        ensure!(costs["opening"]["segments"] == 3 * wanted, "{course}");
        let close = costs["closing"]["segments"].as_u64().unwrap_or(0);
        ensure!((2 * wanted..=5 * wanted).contains(&close), "{course}");
        let tls = costs["tls"]["segments"].as_u64().unwrap_or(0);
        ensure!((tls > 0) == (scheme == "https"), "{course}");
        ensure!((course["saved_ns"].as_u64() > Some(0)) == (wanted == 1), "{course}");
    }
    let archive: Value = serde_json::from_slice(&std::fs::read(har)?)?;
    let entries = archive["log"]["entries"].as_array().context("entries")?;
    ensure!(entries.len() == 24, "{archive}");
    let connected = entries.iter().filter(|entry| entry["timings"]["connect"] != -1.0);
    ensure!(connected.count() == 12, "each connection is in the archive once");
    Ok(())
}

fn much_arrives_whole(family: Family, kind: Kind, scheme: &str, http: &str) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let web = Web::start(&topology, family, kind)?;
    let trusted = trust(&web);
    let mut options = vec!["--http", http, "-c", "2"];
    if scheme == "https" {
        options.extend(trusted.iter().map(String::as_str));
    }
    let finished = ask(&topology, Privilege::All, &web.url(scheme, "/big"), &options, 0)?;
    ensure_answered(&finished, 2, BIG)
}

/// With either guard and `CAP_NET_RAW` alone, nobody but us and the server speaks, and neither
/// resets.
fn no_stray_reset(family: Family, guard: &str) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let web = Web::start(&topology, family, Kind::Nginx)?;
    let mut sniffer = Sniffer::start(&topology)?;
    for http in ["1.0", "1.1"] {
        let options = ["--http", http, "-c", "3", "--guard", guard];
        let finished = ask(&topology, Privilege::RawOnly, &web.url("http", "/"), &options, 0)?;
        ensure_answered(&finished, 3, PAGE)?;
        let used = &finished.first("run")?["guard"];
        ensure!(used == guard || guard == "auto", "{}", finished.account());
    }
    let segments = sniffer.segments()?;
    // The server's own host has looked whether it listens.
    let client = topology.client_address(family);
    let ours = |seen: &&Seen| [seen.from.ip(), seen.to.ip()].contains(&client);
    let resets: Vec<_> = segments.iter().filter(ours).filter(|seen| seen.has(RST)).collect();
    ensure!(resets.is_empty(), "{resets:?}");
    Ok(())
}
