//! A simulated network behind the real program, for tests: deterministic, in virtual time, without
//! privilege and without a single real packet.
//!
//! Hidden, and asked for by the environment variable `SHAKEDOWN_SIM`:
//!
//! ```text
//! SHAKEDOWN_SIM=BEHAVIOUR[:KEY=VALUE,...]
//! ```
//!
//! | behaviour | the far end |
//! |---|---|
//! | `echo` | sends back what it gets, closes after us |
//! | `greet` | says a line and closes first |
//! | `stubborn` | never closes |
//! | `answer` | reads to the end, then answers, then closes |
//! | `bulk` | says 6,000 bytes, closes after us |
//! | `page` | answers a request that ends with an empty line by 6,000 bytes, and closes first |
//! | `web`, `web-twice` | answers HTTP/1: keeps the connection behind HTTP/1.1, the latter for two requests |
//! | `reset` | resets as soon as it reads anything |
//! | `call`, `hold`, `call-twice` | for `listen`: connects to us, says a line, and closes when it is answered or we close; only after us; two of them |
//! | `closed`, `silent`, `unreachable`, `prohibited` | RST, nothing, ICMP errors |
//!
//! | key | meaning | default |
//! |---|---|---|
//! | `seed` | of ISNs, ports, timestamps, and of what the links do | 1 |
//! | `delay`, `jitter` | of each direction | `10ms`, `0s` |
//! | `loss`, `duplicate`, `corrupt`, `reorder` | probabilities, 0 to 1; a reordered packet is 15 ms late | 0 |
//! | `dwell` | how long the application takes to act on our end of file | `0s` |
//! | `msl` | the host's maximum segment lifetime | `1s` |
//! | `ports` | where the behaviour is, as `22/80`; other ports are closed | all |
//! | `drop` | packets lost for certain, as `tx1/rx2`: our first, their second | |
//! | `interrupt` | when Ctrl-C comes | never |
//!
//! Targets must be addresses, or names that resolve; where they really lead does not matter. The
//! output says `sim0` and the clock `virtual`, and bears no wall-clock time, so that nobody takes it
//! for a measurement.

mod host;
#[cfg(test)]
pub(crate) mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};

pub(crate) use host::{Behaviour, Host};

use crate::net::Dir;
use crate::net::linux::{Interface, LinkKind, Route};
use crate::net::sim::{Link, Rng, SimWire};
use crate::time::Instant;

/// The variable that asks for a simulation.
const VARIABLE: &str = "SHAKEDOWN_SIM";
/// How late a reordered packet is.
const REORDER_BY: Duration = Duration::from_millis(15);
/// What the simulated wire carries at most.
const MTU: u32 = 1500;
/// Our addresses: those for documentation (RFC 5737, RFC 3849).
const SOURCE_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100));
const SOURCE_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100));

/// What is to be simulated.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Simulation {
    behaviour: Behaviour,
    seed: u64,
    link: Link,
    dwell: Duration,
    msl: Duration,
    ports: Vec<u16>,
    drops: Vec<(Dir, u64)>,
    interrupt: Option<Duration>,
    /// Ports given out by [`take_port`](Self::take_port).
    taken: u16,
}

impl Simulation {
    /// The simulation that the environment asks for, which is hardly ever one.
    ///
    /// # Errors
    /// The variable makes no sense.
    pub(crate) fn asked_for() -> anyhow::Result<Option<Self>> {
        let Some(text) = std::env::var_os(VARIABLE) else { return Ok(None) };
        let text = text.to_string_lossy();
        Self::parse(&text).with_context(|| format!("{VARIABLE}={text}")).map(Some)
    }

    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let (name, settings) = text.split_once(':').unwrap_or((text, ""));
        let known = Behaviour::ALL.iter().find(|(known, _)| *known == name);
        let &(_, behaviour) = known.with_context(|| format!("no behaviour is called '{name}'"))?;
        let mut simulation = Self {
            behaviour,
            seed: 1,
            link: Link { reorder_by: REORDER_BY, ..Link::delayed(Duration::from_millis(10)) },
            dwell: Duration::ZERO,
            msl: Duration::from_secs(1),
            ports: Vec::new(),
            drops: Vec::new(),
            interrupt: None,
            taken: 0,
        };
        for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
            let (key, value) = setting.split_once('=').context("settings are KEY=VALUE")?;
            simulation.set(key, value).with_context(|| format!("'{setting}'"))?;
        }
        Ok(simulation)
    }

    fn set(&mut self, key: &str, value: &str) -> anyhow::Result<()> {
        let link = &mut self.link;
        match key {
            "seed" => self.seed = value.parse()?,
            "delay" => link.delay = humantime::parse_duration(value)?,
            "jitter" => link.jitter = humantime::parse_duration(value)?,
            "loss" => link.loss = probability(value)?,
            "duplicate" => link.duplicate = probability(value)?,
            "corrupt" => link.corrupt = probability(value)?,
            "reorder" => link.reorder = probability(value)?,
            "dwell" => self.dwell = humantime::parse_duration(value)?,
            "msl" => self.msl = humantime::parse_duration(value)?,
            "interrupt" => self.interrupt = Some(humantime::parse_duration(value)?),
            "ports" => {
                self.ports = value.split('/').map(str::parse).collect::<Result<_, _>>()?;
            }
            "drop" => {
                self.drops = value.split('/').map(which_packet).collect::<anyhow::Result<_>>()?;
            }
            _ => bail!("there is no such setting"),
        }
        Ok(())
    }

    /// The wire to the simulated far end.
    pub(crate) fn wire(&self) -> SimWire<Host> {
        let host = Host::new(self.behaviour, self.ports.clone(), self.dwell, !self.seed);
        let host = host.with_msl(self.msl);
        let mut wire = SimWire::new(self.seed, self.link, self.link, host);
        for &(dir, nth) in &self.drops {
            wire.drop_nth(dir, nth);
        }
        if let Some(after) = self.interrupt {
            wire.interrupt_at(Instant::ZERO + after);
        }
        wire
    }

    /// The wire to a far end that calls us at the first of `ours` that it can reach.
    pub(crate) fn wire_from(&self, ours: &[SocketAddr]) -> SimWire<Host> {
        let mut wire = self.wire();
        let family = |v4: bool| ours.iter().find(|address| address.is_ipv4() == v4);
        if let Some(address) = family(true).or_else(|| family(false)) {
            let source = if address.is_ipv4() { SOURCE_V4 } else { SOURCE_V6 };
            let called = if address.ip().is_unspecified() { source } else { address.ip() };
            wire.peer_mut().call(SocketAddr::new(called, address.port()));
        }
        wire
    }

    /// The way to `remote`, over an interface that does not exist.
    pub(crate) fn route(&self, remote: IpAddr) -> Route {
        let interface = Interface {
            name: "sim0".to_owned(),
            index: 0,
            mtu: MTU,
            is_loopback: false,
            link: LinkKind::RawIp,
            mac: None,
        };
        Route {
            destination: remote,
            source: if remote.is_ipv4() { SOURCE_V4 } else { SOURCE_V6 },
            interface,
            gateway: None,
            mtu: MTU,
            scope_id: 0,
            pinned: false,
        }
    }

    /// Our end: the port asked for, or one by the seed; the `nth` behind it, from 0.
    pub(crate) fn source(&self, address: IpAddr, port: Option<u16>, nth: usize) -> SocketAddr {
        let port = port.unwrap_or(40_000 + (Rng::new(self.seed).below(10_000) as u16));
        SocketAddr::new(address, port.wrapping_add(nth as u16).max(1))
    }

    /// Another port of ours: that asked for, or the next one by the seed.
    pub(crate) fn take_port(&mut self, port: Option<u16>) -> u16 {
        self.taken = (self.taken + 1) % 10_000;
        let fresh = || self.source(SOURCE_V4, None, usize::from(self.taken)).port();
        port.unwrap_or_else(fresh)
    }

    /// Numbers that nobody can predict who does not know the seed.
    pub(crate) const fn dice(&self) -> Rng {
        Rng::new(self.seed.rotate_left(32))
    }
}

fn probability(text: &str) -> anyhow::Result<f64> {
    let value: f64 = text.parse()?;
    anyhow::ensure!((0.0..=1.0).contains(&value), "a probability is 0 to 1");
    Ok(value)
}

/// `tx1`: our first packet.
fn which_packet(text: &str) -> anyhow::Result<(Dir, u64)> {
    let (dir, number) = match (text.strip_prefix("tx"), text.strip_prefix("rx")) {
        (Some(number), _) => (Dir::Tx, number),
        (_, Some(number)) => (Dir::Rx, number),
        _ => bail!("packets are called tx1, rx2 and so on"),
    };
    Ok((dir, number.parse()?))
}
