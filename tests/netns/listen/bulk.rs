//! Many clients and much data: nothing is lost, whatever the network loses.
//!
//! `SHAKEDOWN_LISTEN_MB` sets the size of the file that curl fetches (8), `SHAKEDOWN_LISTEN_CLIENTS`
//! the number of clients at a time (1000).

use super::Listener;
use super::client::rest;
use crate::firewall;
use crate::namespace::{Family, Link, Topology};
use crate::run::Privilege;
use crate::silence::Random;
use crate::{Case, case, patience};
use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("listen/curl_fetches_a_file_through_loss", curl).needing(&["nft", "curl"]),
        case("listen/an_upload_through_loss_is_echoed_whole", upload).needing(&["nft"]),
        case("listen/a_thousand_clients_lose_no_byte", thousand),
    ]
}

fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn noise(length: usize) -> Vec<u8> {
    let mut random = Random(7);
    std::iter::repeat_with(|| random.below(256) as u8).take(length).collect()
}

/// One of a hundred segments is lost, in each direction.
fn lose(topology: &Topology, port: u16) -> Result<()> {
    let rules = format!(
        "table inet trial {{\n chain arrival {{\n type filter hook input priority -300;\n \
         tcp sport {port} numgen random mod 100 == 0 drop\n }}\n \
         chain leaving {{\n type filter hook output priority -300;\n \
         tcp dport {port} numgen random mod 100 == 0 drop\n }}\n }}\n"
    );
    firewall::load(&topology.client, &rules)
}

fn curl() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let directory = tempfile::tempdir()?;
    let (file, fetched) = (directory.path().join("file"), directory.path().join("fetched"));
    let body = noise(setting("SHAKEDOWN_LISTEN_MB", 8) << 20);
    let header = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    std::fs::write(&file, [header.as_bytes(), &body].concat())?;
    let path = file.to_str().context("a path")?;
    let options = ["--reply", path, "-c", "1", "--msl", "20ms"];
    let mut listener = Listener::start(&topology, Family::V4, Privilege::All, &options)?;
    listener.running = listener.running.with_pauses(Duration::from_secs(300));
    lose(&topology, listener.address.port())?;
    let url = format!("http://{}/", listener.address);
    let output = topology.client.within(|| {
        let mut command = Command::new("curl");
        command.args(["-sS", "-m", "280", "-o"]).arg(&fetched).arg(&url);
        command.output().context("curl")
    })?;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{complaint}");
    ensure!(std::fs::read(&fetched)? == body, "not what was sent");
    let finished = listener.finish(0)?;
    let end = finished.of_type("client").last().context("a client")?;
    ensure!(end["resent"].as_u64().is_some_and(|count| count > 0), "nothing was lost: {end}");
    Ok(())
}

fn upload() -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let options = ["--echo", "-c", "1", "--msl", "20ms"];
    let mut listener = Listener::start(&topology, Family::V6, Privilege::All, &options)?;
    listener.running = listener.running.with_pauses(Duration::from_secs(120));
    lose(&topology, listener.address.port())?;
    let mut stream = topology.client.within(|| Ok(TcpStream::connect(listener.address)?))?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let data = noise(4 << 20);
    let mut writer = stream.try_clone()?;
    let sent = data.clone();
    let writing = std::thread::spawn(move || -> Result<()> {
        writer.write_all(&sent)?;
        Ok(writer.shutdown(Shutdown::Write)?)
    });
    let echoed = rest(&mut stream)?;
    ensure!(writing.join().is_ok_and(|written| written.is_ok()), "the upload failed");
    ensure!(echoed == data, "{} of {} bytes, or others", echoed.len(), data.len());
    listener.finish(0)?;
    Ok(())
}

/// All of them are open before the first says anything, and each has data of its own.
fn thousand() -> Result<()> {
    let clients = setting("SHAKEDOWN_LISTEN_CLIENTS", 1000);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let needed = clients as u64 + 200;
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(needed), hard.max(needed))?;
    let topology = Topology::new(Link::Veth)?;
    let count = clients.to_string();
    let options = ["--echo", "-c", &count, "--max-connections", &count, "--msl", "20ms"];
    let mut listener = Listener::start(&topology, Family::V4, Privilege::All, &options)?;
    listener.running = listener.running.with_pauses(patience::LONGEST * 3);
    let mut streams: Vec<TcpStream> = topology
        .client
        .within(|| (0..clients).map(|_| Ok(TcpStream::connect(listener.address)?)).collect())?;
    let data = noise(2000 + clients);
    for (number, stream) in streams.iter_mut().enumerate() {
        stream.set_read_timeout(Some(patience::LONGEST * 3))?;
        stream.write_all(&data[number..number + 2000])?;
        stream.shutdown(Shutdown::Write)?;
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        let echoed = rest(stream)?;
        ensure!(echoed == data[number..number + 2000], "client {number}: {} bytes", echoed.len());
    }
    let finished = listener.finish(0)?;
    let summary = &finished.first("summary")?["listen"];
    ensure!(summary["outcomes"]["closed"] == clients, "{summary}");
    ensure!(summary["most"] == clients, "{summary}");
    Ok(())
}
