//! The real network.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::{TimeSpec, TimeValLike};

use super::capture::Capture;
use super::clock::{self, ClockStep};
use super::guard::{Guard, GuardChoice, GuardError};
use super::raw::Sender;
use super::route::{LOOPBACK, Route};
use super::signals::Signals;
use super::{Facts, Received, Wire, stamping};
use crate::time::{Clock, Instant};

/// What is to be opened.
#[derive(Clone, Debug)]
pub struct OpenPlan {
    /// The ways to all targets: at least one.
    pub routes: Vec<Route>,
    /// Our port; absent for an unpredictable free one.
    pub source_port: Option<u16>,
    /// Which guard is wanted.
    pub guard: GuardChoice,
    /// Whether signals end the run politely instead of killing it.
    pub signals: bool,
}

/// Why a wire could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A port could not be guarded.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// A socket could not be opened.
    #[error("cannot open {what}: see 'shakedown doctor'")]
    Socket {
        /// What it is for.
        what: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
    /// There is nothing to open.
    #[error("no target has a route")]
    NoRoute,
}

/// One source address on one interface: what targets with the same way out share.
#[derive(Debug)]
struct Leg {
    source: IpAddr,
    scope_id: u32,
    facts: Facts,
    capture: Capture,
    sender: Sender,
    guards: Vec<Guard>,
    choice: GuardChoice,
}

/// The real network: a capture, a raw sender and guarded ports for each way out.
///
/// Several targets may need several ways out, over one interface or another, in IPv4 or IPv6. One
/// thread serves them all. The order of packets holds for each way by itself.
#[derive(Debug)]
pub struct LinuxWire {
    legs: Vec<Leg>,
    signals: Option<Signals>,
    steps: Vec<ClockStep>,
    /// Where to look first for the next packet, so that one busy way cannot starve another.
    turn: usize,
}

impl LinuxWire {
    /// Opens everything that the routes need. Needs CAP_NET_RAW, which may be dropped afterwards.
    ///
    /// # Errors
    /// [`OpenError`], each in one line with its remedy.
    pub fn open(plan: &OpenPlan) -> Result<Self, OpenError> {
        let mut legs: Vec<Leg> = Vec::new();
        for route in &plan.routes {
            let same =
                |leg: &Leg| leg.source == route.source && leg.facts.interface == route.interface;
            match legs.iter_mut().find(|leg| same(leg)) {
                Some(leg) => leg.facts.mtu = leg.facts.mtu.min(route.mtu),
                None => legs.push(Leg::open(route, plan)?),
            }
        }
        if legs.is_empty() {
            return Err(OpenError::NoRoute);
        }
        // Failing is harmless: a packet without the kernel's stamp says so.
        stamping::wait_until_on(super::capture::STAMPS).ok();
        let signals = plan.signals.then(Signals::open).transpose();
        let signals = signals.map_err(|source| OpenError::Socket { what: "signals", source })?;
        Ok(Self { legs, signals, steps: Vec::new(), turn: 0 })
    }

    /// Our address for packets to `target`, with the first guarded port of its way out.
    #[must_use]
    pub fn source_for(&self, target: &Route) -> SocketAddr {
        self.leg(target).map_or(SocketAddr::new(target.source, 0), |leg| {
            leg.address(leg.guards.first().map_or(0, Guard::port))
        })
    }

    /// The facts of the way out to `target`.
    #[must_use]
    pub fn facts_for(&self, target: &Route) -> &Facts {
        self.leg(target).map_or(&self.legs[0].facts, |leg| &leg.facts)
    }

    fn leg(&self, target: &Route) -> Option<&Leg> {
        self.legs
            .iter()
            .find(|leg| leg.source == target.source && leg.facts.interface == target.interface)
    }

    /// Guards another port of the way out to `target`, and captures for it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn take_port(
        &mut self,
        target: &Route,
        port: Option<u16>,
    ) -> Result<SocketAddr, OpenError> {
        let leg = self
            .legs
            .iter_mut()
            .find(|leg| leg.source == target.source && leg.facts.interface == target.interface)
            .ok_or(OpenError::NoRoute)?;
        let guard = Guard::take(leg.source, port, leg.scope_id, leg.choice)?;
        let port = guard.port();
        leg.guards.push(guard);
        leg.watch(false)?;
        Ok(leg.address(port))
    }

    /// Steps of the wall clock since the last call.
    pub fn clock_steps(&mut self) -> Vec<ClockStep> {
        std::mem::take(&mut self.steps)
    }

    /// Packets that the kernel had no room for, since the beginning.
    pub fn drops(&mut self) -> u64 {
        self.legs.iter_mut().map(|leg| leg.capture.drops()).sum()
    }

    /// Wall-clock nanoseconds since the Unix epoch at `at`.
    #[must_use]
    pub fn unix_ns(&self, at: Instant) -> i64 {
        self.legs.first().map_or(0, |leg| leg.capture.wall(at))
    }

    /// The next thing that is there already.
    fn ready(&mut self) -> io::Result<Option<Received>> {
        let count = self.legs.len();
        for offset in 0..count {
            let index = (self.turn + offset) % count;
            if let Some(frame) = self.legs[index].capture.next()? {
                self.turn = index;
                return Ok(Some(Received::Frame(frame)));
            }
        }
        self.turn = (self.turn + 1) % count;
        self.signals.as_mut().map_or(Ok(None), Signals::next)
    }

    fn wait(&self, until: Instant) -> io::Result<()> {
        let left = i64::try_from(clock::left(until).as_nanos()).unwrap_or(i64::MAX);
        let mut fds: Vec<PollFd<'_>> = self
            .legs
            .iter()
            .map(|leg| leg.capture.as_fd())
            .chain(self.signals.as_ref().map(AsFd::as_fd))
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        match ppoll(&mut fds, Some(TimeSpec::nanoseconds(left)), None) {
            Ok(_) | Err(nix::Error::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Wire for LinuxWire {
    fn now(&self) -> Instant {
        clock::now()
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        let (from, to) = super::capture::ends(packet)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not an IP packet"))?;
        let leg = self
            .legs
            .iter()
            .filter(|leg| leg.source == from)
            .max_by_key(|leg| {
                leg.scope_id == 0 || matches!(to, IpAddr::V6(v6) if v6.is_unicast_link_local())
            })
            .ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "not our address"))?;
        leg.sender.send(packet, to)
    }

    fn receive(&mut self, until: Instant) -> io::Result<Received> {
        loop {
            if let Some(received) = self.ready()? {
                return Ok(received);
            }
            let now = clock::now();
            for leg in &mut self.legs {
                self.steps.extend(leg.capture.check_clock(now));
            }
            if now >= until {
                return Ok(Received::Timeout);
            }
            self.wait(until)?;
        }
    }

    fn facts(&self) -> &Facts {
        &self.legs[0].facts
    }
}

impl Leg {
    fn open(route: &Route, plan: &OpenPlan) -> Result<Self, OpenError> {
        let failed = |what| move |source| OpenError::Socket { what, source };
        // First of all: the kernel switches time stamps on in its own time, while we go on.
        let capture = Capture::open(route.source, route.index, LOOPBACK)
            .map_err(failed("the capture (AF_PACKET)"))?;
        let guard = Guard::take(route.source, plan.source_port, route.scope_id, plan.guard)?;
        let sender = Sender::open(route.source, &route.interface, route.scope_id)
            .map_err(failed("the raw sender (IPPROTO_RAW)"))?;
        let facts = Facts {
            interface: route.interface.clone(),
            mtu: route.mtu,
            clock: Clock::Kernel,
            guard: guard.kind(),
        };
        let mut leg = Self {
            source: route.source,
            scope_id: route.scope_id,
            facts,
            capture,
            sender,
            guards: vec![guard],
            choice: plan.guard,
        };
        leg.watch(true)?;
        Ok(leg)
    }

    /// Captures for the ports that are guarded now.
    fn watch(&mut self, start: bool) -> Result<(), OpenError> {
        let ports: Vec<u16> = self.guards.iter().map(Guard::port).collect();
        let what = "the capture's filter";
        self.capture.set_ports(&ports, start).map_err(|source| OpenError::Socket { what, source })
    }

    fn address(&self, port: u16) -> SocketAddr {
        match self.source {
            IpAddr::V4(_) => SocketAddr::new(self.source, port),
            // The scope is the socket's business; a flow is told apart by address and port.
            IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, 0).into(),
        }
    }
}
