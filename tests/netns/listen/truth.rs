//! Truth: what is reported of a client is what its kernel did, run after run, in every shape of open
//! and close.

use super::client::{Unconnected, reset, rest};
use super::{Listener, ended};
use crate::namespace::{Family, Link, Topology};
use crate::oracle::Oracle;
use crate::run::Privilege;
use crate::shapes::places;
use crate::sniffer::{RST, Sniffer};
use crate::{Case, case};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

/// Runs of the whole comparison, all shapes and places together, unless `SHAKEDOWN_TRUTH_RUNS`
/// says otherwise.
const DEFAULT_RUNS: usize = 100;

/// How a connection goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    TheyFirst,
    WeFirst,
    BothAtOnce,
    OurHalf,
    TheirHalf,
    TheyReset,
    WeReset,
    Refused,
    OpenAtOnce,
    AllAtOnce,
}

impl Shape {
    const ALL: [Self; 10] = [
        Self::TheyFirst,
        Self::WeFirst,
        Self::BothAtOnce,
        Self::OurHalf,
        Self::TheirHalf,
        Self::TheyReset,
        Self::WeReset,
        Self::Refused,
        Self::OpenAtOnce,
        Self::AllAtOnce,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::TheyFirst => "they_close_first",
            Self::WeFirst => "we_close_first",
            Self::BothAtOnce => "both_close_at_once",
            Self::OurHalf => "our_half_close",
            Self::TheirHalf => "their_half_close",
            Self::TheyReset => "they_reset",
            Self::WeReset => "we_reset",
            Self::Refused => "refused",
            Self::OpenAtOnce => "both_open_at_once",
            Self::AllAtOnce => "both_open_and_close_at_once",
        }
    }

    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::TheyFirst | Self::TheyReset => &["--echo"],
            Self::WeFirst => &["--close-after", "0"],
            Self::BothAtOnce => &["--simultaneous-close"],
            Self::OurHalf => &["--close-after", "3B"],
            Self::TheirHalf => &["--reply", "/proc/self/status"],
            Self::WeReset => &["--rst-after", "3B"],
            Self::Refused => &["--refuse"],
            Self::OpenAtOnce => &["--echo", "--simultaneous-open"],
            Self::AllAtOnce => &["--simultaneous-open", "--simultaneous-close"],
        }
    }

    /// What must be said of the client at the end.
    const fn outcome(self) -> &'static str {
        match self {
            Self::TheyReset => "reset",
            Self::WeReset => "aborted",
            Self::Refused => "refused",
            _ => "closed",
        }
    }

    /// What the client does.
    fn act(self, client: Unconnected, to: std::net::SocketAddr) -> Result<()> {
        let connected = client.connect(to);
        if self == Self::Refused {
            ensure!(connected.is_err(), "it was let in");
            return Ok(());
        }
        let mut stream = connected?;
        match self {
            Self::TheyFirst | Self::OpenAtOnce => {
                echo(&mut stream)?;
                stream.shutdown(Shutdown::Write)?;
                ensure!(rest(&mut stream)?.is_empty(), "more than an echo");
            }
            Self::WeFirst => ensure!(rest(&mut stream)?.is_empty(), "data out of nothing"),
            Self::BothAtOnce | Self::AllAtOnce => {
                stream.shutdown(Shutdown::Write)?;
                ensure!(rest(&mut stream)?.is_empty(), "data out of nothing");
            }
            Self::OurHalf => {
                stream.write_all(b"one")?;
                ensure!(rest(&mut stream)?.is_empty(), "data out of nothing");
                stream.write_all(b"more")?;
            }
            Self::TheirHalf => {
                stream.shutdown(Shutdown::Write)?;
                ensure!(!rest(&mut stream)?.is_empty(), "no reply behind our FIN");
            }
            Self::TheyReset => {
                echo(&mut stream)?;
                reset(stream)?;
            }
            Self::WeReset => {
                stream.write_all(b"one")?;
                ensure!(stream.read(&mut [0]).is_err(), "no reset");
            }
            Self::Refused => {}
        }
        Ok(())
    }
}

fn echo(stream: &mut TcpStream) -> Result<()> {
    let mut heard = [0; 5];
    stream.write_all(b"hello")?;
    stream.read_exact(&mut heard).context("the echo")?;
    ensure!(&heard == b"hello", "{heard:?}");
    Ok(())
}

pub(super) fn cases() -> Vec<Case> {
    let wanted = std::env::var("SHAKEDOWN_TRUTH_RUNS").ok().and_then(|text| text.parse().ok());
    let each = wanted.unwrap_or(DEFAULT_RUNS).div_ceil(Shape::ALL.len() * places().count());
    let mut cases = Vec::new();
    for (link, family, place) in places() {
        for shape in Shape::ALL {
            let name = format!("listen/truth_{}/{place}", shape.name());
            cases.push(case(name, move || states_agree(shape, link, family, each)));
        }
        for (guard, privilege) in [("minttl", Privilege::RawOnly), ("auto", Privilege::RawOnly)] {
            let name = format!("listen/no_stray_reset_{guard}/{place}");
            cases.push(case(name, move || no_stray_reset(link, family, guard, privilege)));
        }
    }
    cases
}

fn states_agree(shape: Shape, link: Link, family: Family, runs: usize) -> Result<()> {
    let topology = Topology::new(link)?;
    let count = runs.to_string();
    let options = [shape.options(), &["--msl", "20ms", "-c", &count]].concat();
    let listener = Listener::start(&topology, family, Privilege::All, &options)?;
    let address = listener.address;
    let mut oracle = Oracle::of_clients(&topology.client, address.port())?;
    let mut ports = Vec::new();
    for _ in 0..runs {
        let client = Unconnected::new(&topology.client, topology.client_address(family))?;
        ports.push(client.port);
        shape.act(client, address)?;
    }
    let finished = listener.finish(0)?;
    for port in ports {
        let end = ended(&finished, port)?;
        ensure!(end["outcome"] == shape.outcome(), "{end}: {}", finished.account());
        let flow = end["flow"].clone();
        let reported = finished.states_of("client", |event: &Value| event["flow"] == flow);
        oracle.check(&reported, port).with_context(|| finished.account())?;
    }
    Ok(())
}

/// With either guard and `CAP_NET_RAW` alone, nobody but us answers: no RST leaves the port.
fn no_stray_reset(link: Link, family: Family, guard: &str, privilege: Privilege) -> Result<()> {
    let topology = Topology::new(link)?;
    let options = ["--echo", "-c", "2", "--msl", "20ms", "--guard", guard];
    let listener = Listener::start(&topology, family, privilege, &options)?;
    let address = listener.address;
    let mut sniffer = Sniffer::start(&topology)?;
    for _ in 0..2 {
        let client = Unconnected::new(&topology.client, topology.client_address(family))?;
        Shape::TheyFirst.act(client, address)?;
    }
    let finished = listener.finish(0)?;
    ensure!(finished.first("run")?["guard"] == guard || guard == "auto", "{}", finished.account());
    let segments = sniffer.segments()?;
    let resets: Vec<_> = segments.iter().filter(|seen| seen.has(RST)).collect();
    ensure!(resets.is_empty(), "{resets:?}");
    Ok(())
}
