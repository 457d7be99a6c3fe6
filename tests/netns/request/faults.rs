//! Servers that decline, are not trusted, close when they like, or do not answer.

use super::servers::{BIG, Kind, PAGE, Web};
use super::{ask, connections, courses, ensure_answered, trust};
use crate::firewall;
use crate::namespace::{Family, Link, Topology};
use crate::run::{Privilege, Running};
use crate::servers::{Habit, Server, closed_port};
use crate::sniffer::{RST, Sniffer};
use crate::{Case, case};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in Family::BOTH {
        let name = |what: &str| format!("request/{what}/{}", family.name());
        let work = move || http_2_is_declined(family);
        cases.push(case(name("http_2_is_declined"), work).needing(Kind::NginxTlsOne.needs()));
        let work = move || nobody_is_trusted_unseen(family);
        cases.push(case(name("nobody_is_trusted_unseen"), work).needing(Kind::NginxTls.needs()));
        let work = move || an_idle_connection_is_timed(family);
        cases.push(
            case(name("an_idle_connection_is_timed"), work).needing(Kind::HastyNginx.needs()),
        );
        let work = move || a_redirect_is_told(family);
        cases.push(case(name("a_redirect_is_told"), work).needing(Kind::Nginx.needs()));
        let work = move || ctrl_c_leaves_politely(family);
        cases.push(case(name("ctrl_c_leaves_politely"), work).needing(Kind::Nginx.needs()));
        let work = move || tls_comes_through_loss(family);
        let needs = &["/usr/sbin/nginx", "openssl", "nft"];
        cases.push(case(name("tls_comes_through_loss"), work).needing(needs));
        let work = move || what_runs_the_connection_is_named(family);
        let named = name("what_runs_the_connection_is_named");
        cases.push(case(named, work).needing(Kind::NginxTls.needs()));
        cases.push(case(name("nobody_answers"), move || nobody_answers(family)));
    }
    cases
}

/// One clear line, and exit status 1.
fn http_2_is_declined(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    for (kind, scheme, said) in [
        (Kind::Nginx, "http", "it answered in HTTP/1"),
        (Kind::NginxTlsOne, "https", "offered h2 by ALPN"),
    ] {
        let web = Web::start(&topology, family, kind)?;
        let trusted = trust(&web);
        let mut options = vec!["--http", "2"];
        if scheme == "https" {
            options.extend(trusted.iter().map(String::as_str));
        }
        let finished = ask(&topology, Privilege::All, &web.url(scheme, "/"), &options, 1)?;
        ensure!(finished.outcome()? == "declined", "{}", finished.account());
        let finding = courses(&finished)?[0]["finding"].as_str().unwrap_or_default().to_owned();
        ensure!(finding.contains(said), "{finding}");
    }
    Ok(())
}

/// One of 33 segments is lost in each direction, counted and not drawn, so that some always are: all TLS
/// handshake, request and close still comes to its end, and a large body arrives whole.
fn tls_comes_through_loss(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let web = Web::start(&topology, family, Kind::NginxTls)?;
    let port = web.address.port();
    let rules = format!(
        "table inet trial {{\n chain arrival {{\n type filter hook input priority -300;\n \
         tcp dport {port} numgen inc mod 33 == 7 drop\n }}\n \
         chain leaving {{\n type filter hook output priority -300;\n \
         tcp sport {port} numgen inc mod 33 == 7 drop\n }}\n }}\n"
    );
    firewall::load(&topology.server, &rules)?;
    let trusted = trust(&web);
    let trusted: Vec<&str> = trusted.iter().map(String::as_str).collect();
    let options = [&["--http", "1.0", "-c", "30"], trusted.as_slice()].concat();
    let finished = ask(&topology, Privilege::All, &web.url("https", "/"), &options, 0)?;
    ensure_answered(&finished, 30, PAGE)?;
    let traffic = &finished.first("summary")?["traffic"];
    ensure!(traffic["retransmitted"].as_u64() > Some(0), "nothing was lost: {traffic}");
    for connection in connections(&finished) {
        ensure!(connection["tls"]["verified"] == true, "{connection}");
    }
    let options = [&["--http", "2"], trusted.as_slice()].concat();
    let finished = ask(&topology, Privilege::All, &web.url("https", "/big"), &options, 0)?;
    ensure_answered(&finished, 1, BIG)
}

/// Behind the segment that carried it, in both directions: frames that are of no request, and TLS.
fn what_runs_the_connection_is_named(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let web = Web::start(&topology, family, Kind::NginxTls)?;
    let trusted = trust(&web);
    let trusted: Vec<&str> = trusted.iter().map(String::as_str).collect();
    let options = [&["--http", "2", "-v"], trusted.as_slice()].concat();
    let finished = ask(&topology, Privilege::All, &web.url("https", "/"), &options, 0)?;
    let frames = |dir: &str| -> Vec<String> {
        let of = finished.of_type("http").filter(|it| it["what"] == "frames" && it["dir"] == dir);
        let names = of.filter_map(|it| it["frames"].as_array()).flatten();
        names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let (sent, came) = (frames("tx"), frames("rx"));
    ensure!(sent[..2] == ["connection preface", "SETTINGS"], "{sent:?}");
    ensure!(sent.last().is_some_and(|last| last == "GOAWAY"), "{sent:?}");
    for name in ["SETTINGS", "SETTINGS ACK"] {
        ensure!(came.iter().any(|it| it == name), "{came:?}");
        ensure!(sent.iter().any(|it| it == name), "{sent:?}");
    }
    let goodbye = finished.of_type("http").find(|it| it["what"] == "close-notify");
    ensure!(goodbye.is_some_and(|it| it["dir"] == "tx"), "{}", finished.account());
    Ok(())
}

fn nobody_is_trusted_unseen(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let web = Web::start(&topology, family, Kind::NginxTls)?;
    let url = web.url("https", "/");
    let stranger = Web::start(&topology, family, Kind::NginxTls)?;
    let foreign = trust(&stranger);
    let foreign: Vec<&str> = foreign.iter().map(String::as_str).collect();
    let finished = ask(&topology, Privilege::All, &url, &foreign, 1)?;
    ensure!(finished.outcome()? == "untrusted", "{}", finished.account());
    ensure!(finished.of_type("request").count() == 0, "nothing was asked");
    let finished = ask(&topology, Privilege::All, &url, &["-k"], 0)?;
    ensure_answered(&finished, 1, PAGE)?;
    let notice = finished.of_type("notice").find(|notice| notice["code"] == "insecure");
    ensure!(notice.is_some_and(|it| it["severity"] == "warning"), "{}", finished.account());
    ensure!(connections(&finished)[0]["tls"]["verified"] == false, "{}", finished.account());
    let own = trust(&web);
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let finished = ask(&topology, Privilege::All, &url, &own, 0)?;
    let tls = &connections(&finished)[0]["tls"];
    ensure!(tls["verified"] == true && tls["alpn"] == "h2", "{}", finished.account());
    ensure!(finished.first("request")?["answered_in"] == "2", "{}", finished.account());
    Ok(())
}

/// The server's keep-alive time-out is a second: its FIN cannot come earlier.
fn an_idle_connection_is_timed(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let web = Web::start(&topology, family, Kind::HastyNginx)?;
    let finished = ask(&topology, Privilege::All, &web.url("http", "/"), &["--idle=15s"], 0)?;
    ensure_answered(&finished, 1, PAGE)?;
    let [connection] = connections(&finished)[..] else { anyhow::bail!("{}", finished.account()) };
    let idle = connection["idle_ns"].as_u64().with_context(|| finished.account())?;
    ensure!(idle >= 900_000_000, "{idle}");
    ensure!(connection["closed_by"] == "them", "{connection}");
    // One that stays for longer than we wait is closed by us, and that is said.
    let finished = ask(&topology, Privilege::All, &web.url("http", "/"), &["--idle=100ms"], 0)?;
    let connection = connections(&finished)[0];
    ensure!(connection["closed_by"] == "us" && connection["idle_ns"].is_null(), "{connection}");
    let remark = connection["remark"].as_str().unwrap_or_default();
    ensure!(remark.contains("kept the idle connection open"), "{remark}");
    Ok(())
}

fn a_redirect_is_told(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let web = Web::start(&topology, family, Kind::Nginx)?;
    let finished = ask(&topology, Privilege::All, &web.url("http", "/moved"), &[], 0)?;
    let request = finished.first("request")?;
    ensure!(request["status"] == 302, "{request}");
    let location = request["location"].as_str().unwrap_or_default();
    ensure!(location.ends_with("/page"), "{request}");
    ensure!(finished.of_type("request").count() == 1, "it was not followed");
    let finished = ask(&topology, Privilege::All, &web.url("http", "/none"), &["--fail"], 1)?;
    ensure!(finished.outcome()? == "bad-status", "{}", finished.account());
    ask(&topology, Privilege::All, &web.url("http", "/none"), &[], 0)?;
    Ok(())
}

/// While it waits for the server's FIN: our own goes out, and no reset.
fn ctrl_c_leaves_politely(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let web = Web::start(&topology, family, Kind::Nginx)?;
    let mut sniffer = Sniffer::start(&topology)?;
    let url = web.url("http", "/");
    let arguments = ["request", &url, "--json", "--idle=1m"];
    let mut running = Running::start(&topology.client, Privilege::All, &arguments)?;
    running.wait_for("the response", |event| event["type"] == "request")?;
    running.signal(Signal::SIGINT)?;
    let finished = running.finish()?;
    finished.expect_status(0)?;
    let summary = finished.first("summary")?;
    ensure!(summary["interrupted"] == true, "{summary}");
    ensure!(connections(&finished)[0]["closed_by"] == "us", "{}", finished.account());
    let client = topology.client_address(family);
    let segments = sniffer.segments()?;
    let resets = segments.iter().filter(|seen| seen.from.ip() == client && seen.has(RST)).count();
    ensure!(resets == 0, "{resets}");
    Ok(())
}

/// Refused, accepted and never answered, reset in place of an answer: each is told as what it is.
fn nobody_answers(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let closed = format!("http://{}/", closed_port(&topology, family));
    let finished = ask(&topology, Privilege::All, &closed, &[], 1)?;
    ensure!(finished.outcome()? == "refused", "{}", finished.account());
    let sink = Server::start(&topology, family, Habit::Sink)?;
    let url = format!("http://{}/", sink.address);
    let finished = ask(&topology, Privilege::All, &url, &["-W", "300ms"], 1)?;
    ensure!(finished.outcome()? == "timeout", "{}", finished.account());
    let failure = &finished.first("request")?["failure"];
    ensure!(failure.as_str().is_some_and(|text| text.contains("300ms")), "{failure}");
    let eager = Server::start(&topology, family, Habit::ClosesFirst(7))?;
    let url = format!("http://{}/", eager.address);
    let finished = ask(&topology, Privilege::All, &url, &[], 1)?;
    ensure!(
        ["invalid", "reset"].contains(&finished.outcome()?),
        "seven bytes of garbage: {}",
        finished.account()
    );
    Ok(())
}
