//! Which of the three ways to send there are here. Which is the fastest, real probes tell.

use std::io;
use std::net::IpAddr;

use super::link::{Headers, NoFrames, headers};
use super::packet::PacketPath;
use super::raw::RawPath;
use super::routes::Survey;
use super::xdp::{Sending, XdpPath};
use crate::net::bulk::Transmit;
use crate::net::linux::Route;
use crate::net::linux::privilege::PrivilegeError;

/// The names of all ways, fastest first where all are to be had.
pub const NAMES: [&str; 3] = ["af_xdp", "af_packet", "raw"];

/// Where packets are to go.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// The way to one target of each IP version that is sent, all out of one interface.
    pub routes: &'a [&'a Route],
    /// The ways of all targets.
    pub survey: &'a Survey,
    /// The target, where all have one address.
    pub target: Option<IpAddr>,
}

/// The ways to send that were opened, and why the others were not.
#[derive(Default)]
pub struct Paths {
    open: Vec<Box<dyn Transmit>>,
    closed: Vec<(&'static str, String)>,
}

impl Paths {
    /// Opens what can be had of `names`, in that order. Where frames are among them, the next
    /// stations' hardware addresses are looked up, which may take seconds when they do not answer.
    /// AF_XDP sends by `sending` where that is there: its queue has no place for another socket.
    ///
    /// # Errors
    /// `CAP_NET_RAW` is missing.
    pub fn available(
        demand: &Demand<'_>,
        names: &[&str],
        mut sending: Option<Sending>,
    ) -> Result<Self, PrivilegeError> {
        let mut paths = Self::default();
        let wants = |name| names.contains(&name);
        let found = (wants("af_xdp") || wants("af_packet")).then(|| {
            demand.survey.one_station(demand.target.is_some())?;
            headers(demand.routes, demand.target)
        });
        for name in NAMES.into_iter().filter(|name| wants(name)) {
            match open(name, demand, found.as_ref(), &mut sending) {
                Ok(path) => paths.open.push(path),
                Err(Closed::Privilege) => return Err(PrivilegeError::missing_net_raw()),
                Err(Closed::Because(reason)) => paths.closed.push((name, reason)),
            }
        }
        let place = |name: &str| names.iter().position(|it| *it == name);
        paths.open.sort_by_key(|path| place(path.name()));
        Ok(paths)
    }

    /// The ways that are open.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Box<dyn Transmit>> {
        self.open.iter_mut()
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there is no way to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The ways that are not, each with its reason in one line.
    pub fn closed(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.closed.iter().map(|(name, reason)| (*name, reason.as_str()))
    }

    /// All that are open.
    #[must_use]
    pub fn into_all(self) -> Vec<Box<dyn Transmit>> {
        self.open
    }

    /// Keeps the way of this name, and closes the others.
    #[must_use]
    pub fn choose(self, name: &str) -> Option<Box<dyn Transmit>> {
        self.open.into_iter().find(|path| path.name() == name)
    }
}

enum Closed {
    Privilege,
    Because(String),
}

fn open(
    name: &str,
    demand: &Demand<'_>,
    found: Option<&Result<Headers, NoFrames>>,
    sending: &mut Option<Sending>,
) -> Result<Box<dyn Transmit>, Closed> {
    let because = |error: &dyn std::fmt::Display| Closed::Because(error.to_string());
    let refused = |error: io::Error| match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Closed::Privilege,
        _ => Closed::Because(format!("cannot open a socket for it: {error}")),
    };
    if name == "raw" {
        return Ok(Box::new(RawPath::open(demand.routes).map_err(refused)?));
    }
    let (Some(found), Some(route)) = (found, demand.routes.first()) else {
        return Err(Closed::Because("there is no route".to_owned()));
    };
    let headers = found.as_ref().map_err(|error| because(error))?;
    if name == "af_xdp" {
        let opened = match sending.take() {
            Some(sending) => XdpPath::with(sending, &route.interface, headers),
            None => XdpPath::open(&route.interface, headers),
        };
        return match opened {
            Ok(path) => Ok(Box::new(path)),
            Err(super::xdp::XdpError::Privilege(_)) => Err(Closed::Privilege),
            Err(error) => Err(because(&error)),
        };
    }
    Ok(Box::new(PacketPath::open(&route.interface, headers).map_err(refused)?))
}
