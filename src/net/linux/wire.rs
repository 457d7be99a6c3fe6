//! The real network as a [`Wire`].
//!
//! One wire serves any number of targets in one thread, over both families and several interfaces:
//! [`LinuxWire::add_route`] gives it another way out, and everything arrives at the one capture.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::capture::{Capture, Caught, DropCounter};
use super::cards::Cards;
use super::choice::{ClockChoice, ClockError};
use super::clock::{self, ClockMap, ClockStep, Sample};
use super::guard::{Guard, GuardChoice, GuardError};
use super::privilege::PrivilegeError;
use super::raw::{DepartureClock, Sender};
use super::route::Route;
use super::signals::{Request, Signals};
use crate::net::{Facts, Frame, Received, Wire};
use crate::time::{Clock, Instant, Stamp};

/// What to open.
#[derive(Clone, Debug)]
pub struct OpenPlan {
    /// The way to the first target.
    pub route: Route,
    /// The first source port; `None` or 0 for unpredictable ones.
    pub source_port: Option<u16>,
    /// How to keep the kernel silent.
    pub guard: GuardChoice,
    /// Which clock is to stamp packets.
    pub clock: ClockChoice,
    /// How many ports to guard, from 1; with a `source_port`, that one and those above it.
    pub ports: u16,
    /// Whether SIGINT and its family become events. They then stay blocked for the wire's life.
    pub signals: bool,
}

/// Why the network cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A capability is missing.
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    /// The source port cannot be guarded.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The clock that is asked for cannot be had.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The kernel refuses something else.
    #[error("cannot open {what}: {source}")]
    Io {
        /// What was to be opened.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl OpenError {
    pub(super) fn of(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::Privilege(PrivilegeError::missing_net_raw()),
            _ => Self::Io { what, source },
        }
    }
}

/// One source address on one interface.
#[derive(Debug)]
pub(super) struct Lane {
    source: IpAddr,
    interface: u32,
    scope_id: u32,
    pinned: bool,
    sender: Sender,
    /// Whether the hardware stamps what it sends.
    stamped: bool,
    /// The port that was guarded when the lane was opened.
    address: SocketAddr,
}

impl Lane {
    /// The lane of `route`, whose packets bear the guarded `address` and are stamped by `clock`.
    pub(super) fn open(
        route: &Route,
        address: SocketAddr,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        let sender = Sender::open(route).map_err(OpenError::of("a raw socket"))?;
        let stamped = clock == Clock::Hardware;
        if stamped {
            sender
                .ask_for_departures(DepartureClock::Hardware)
                .map_err(OpenError::of("hardware time stamps"))?;
        }
        Ok(Self {
            source: route.source,
            interface: route.interface.index,
            scope_id: route.scope_id,
            pinned: route.pinned,
            sender,
            stamped,
            address,
        })
    }
}

/// The real network.
#[derive(Debug)]
pub struct LinuxWire {
    pub(super) capture: Capture,
    pub(super) signals: Option<Signals>,
    pub(super) lanes: Vec<Lane>,
    /// Which lane leads to a target.
    pub(super) targets: BTreeMap<IpAddr, usize>,
    pub(super) guards: BTreeMap<(IpAddr, u16), Guard>,
    pub(super) choice: GuardChoice,
    pub(super) clock: ClockChoice,
    /// Where the hardware stamps.
    pub(super) cards: Option<Cards>,
    pub(super) map: ClockMap,
    pub(super) steps: Vec<ClockStep>,
    pub(super) facts: Facts,
}

impl LinuxWire {
    /// Opens the sockets and guards the ports. Needs `CAP_NET_RAW` in effect; nothing that comes
    /// after needs a privilege, except another lane and ports below 1024.
    ///
    /// # Errors
    /// [`OpenError`].
    ///
    /// Ask for [`Stamping`](super::Stamping) before, and wait for it after, where the first
    /// packet must have the kernel's stamp.
    pub fn open(plan: &OpenPlan) -> Result<Self, OpenError> {
        let signals = if plan.signals {
            Some(Signals::take().map_err(OpenError::of("a signal descriptor"))?)
        } else {
            None
        };
        // The default slack lets a wait of 1 ms last 50 µs longer. Without effect, no harm.
        let _ = nix::sys::prctl::set_timerslack(1);
        let Route { interface, mtu, source, scope_id, .. } = &plan.route;
        let clock = plan.clock.settle(&interface.name)?;
        let guard = Guard::take(*source, plan.source_port, *scope_id, plan.guard)?;
        let lane = Lane::open(&plan.route, guard.address(), clock)?;
        // Before the first packet: no stamp may be older by much.
        let map = ClockMap::new(Sample::careful());
        let capture = Capture::open(*source, interface.index, guard.port(), clock)
            .map_err(OpenError::of("a packet socket"))?;
        let cards = (clock == Clock::Hardware).then(|| {
            let mut cards = Cards::new();
            cards.add(interface.index);
            cards
        });
        let facts =
            Facts { interface: interface.name.clone(), mtu: *mtu, clock, guard: guard.kind() };
        let mut wire = Self {
            capture,
            signals,
            lanes: vec![lane],
            targets: [(plan.route.destination, 0)].into(),
            guards: [((*source, guard.port()), guard)].into(),
            choice: plan.guard,
            clock: plan.clock,
            cards,
            map,
            steps: Vec::new(),
            facts,
        };
        for offset in 1..plan.ports {
            let port = plan.source_port.filter(|&port| port != 0);
            let port = port.map(|port| port.saturating_add(offset));
            wire.install(Guard::take(*source, port, *scope_id, plan.guard)?)?;
        }
        Ok(wire)
    }

    /// Makes the target of `route` reachable, and says from which address and guarded port.
    ///
    /// Targets behind the same source address and interface share sockets and that port. A new pair
    /// gets its own raw socket, which needs `CAP_NET_RAW`; a new source address its own port: `port`,
    /// or an unpredictable one. With [`ClockChoice::Auto`], an interface without hardware stamps
    /// beside one that has them gives the kernel's, which each stamp says.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn add_route(&mut self, route: &Route, port: Option<u16>) -> Result<SocketAddr, OpenError> {
        let same = |lane: &Lane| {
            (lane.source, lane.interface, lane.pinned)
                == (route.source, route.interface.index, route.pinned)
        };
        if let Some(index) = self.lanes.iter().position(same) {
            self.targets.insert(route.destination, index);
            return Ok(self.lanes[index].address);
        }
        let sibling = self
            .lanes
            .iter()
            .find(|lane| (lane.source, lane.scope_id) == (route.source, route.scope_id));
        let (address, guard) = match sibling {
            // A guard serves its address on every interface; a second one would find the port taken.
            Some(lane) => (lane.address, None),
            None => {
                let guard = Guard::take(route.source, port, route.scope_id, self.choice)?;
                (guard.address(), Some(guard))
            }
        };
        let clock = self.clock_of(route)?;
        let lane = Lane::open(route, address, clock)?;
        self.capture
            .add_source(route.source, route.interface.index)
            .map_err(OpenError::of("the capture filter"))?;
        if let Some(guard) = guard {
            self.install(guard)?;
        }
        if let Some(cards) = self.cards.as_mut().filter(|_| lane.stamped) {
            cards.add(lane.interface);
        }
        self.targets.insert(route.destination, self.lanes.len());
        self.lanes.push(lane);
        Ok(address)
    }

    /// The clock of another route's interface: no better one than the first route's.
    fn clock_of(&self, route: &Route) -> Result<Clock, ClockError> {
        match self.facts.clock {
            Clock::Hardware => self.clock.settle(&route.interface.name),
            clock => Ok(clock),
        }
    }

    /// The first guarded address and port.
    #[must_use]
    pub fn source(&self) -> SocketAddr {
        self.lanes.first().map_or((Ipv4Addr::UNSPECIFIED, 0).into(), |lane| lane.address)
    }

    /// Guards another port of the first source address, an unpredictable one for `None`, and
    /// hears it from now on. Give it back with [`release_port`](Self::release_port).
    ///
    /// # Errors
    /// [`GuardError`].
    pub fn take_port(&mut self, port: Option<u16>) -> Result<u16, GuardError> {
        self.take_port_of(self.source().ip(), port)
    }

    /// As [`take_port`](Self::take_port), of a source address that a route has brought.
    ///
    /// # Errors
    /// [`GuardError`].
    pub fn take_port_of(&mut self, source: IpAddr, port: Option<u16>) -> Result<u16, GuardError> {
        let scope = self.lanes.iter().find(|lane| lane.source == source);
        let guard = Guard::take(source, port, scope.map_or(0, |lane| lane.scope_id), self.choice)?;
        self.install(guard)
    }

    fn install(&mut self, guard: Guard) -> Result<u16, GuardError> {
        let (address, port) = (guard.address().ip(), guard.port());
        self.capture.add_port(port).map_err(|source| GuardError::Io { port, address, source })?;
        self.guards.insert((address, port), guard);
        Ok(port)
    }

    /// Lets go of a guarded port of the first source address. From now on the kernel answers for
    /// it: late segments are reset.
    pub fn release_port(&mut self, port: u16) {
        self.release_port_of(self.source().ip(), port);
    }

    /// As [`release_port`](Self::release_port), of a source address that a route has brought.
    pub fn release_port_of(&mut self, source: IpAddr, port: u16) {
        self.guards.remove(&(source, port));
        let elsewhere = |lane: &Lane| self.guards.contains_key(&(lane.source, port));
        if !self.lanes.iter().any(elsewhere) {
            self.capture.remove_port(port);
        }
    }

    /// The steps of the wall clock that were noticed since the last call.
    pub fn clock_steps(&mut self) -> impl Iterator<Item = ClockStep> {
        std::mem::take(&mut self.steps).into_iter()
    }

    /// Captured packets that the kernel has dropped because we did not fetch them in time.
    #[must_use]
    pub fn drops(&self) -> u64 {
        self.capture.drops()
    }

    /// Counts them, wherever the wire itself has been moved to. To be let go of before the wire.
    #[must_use]
    pub fn drop_counter(&self) -> DropCounter {
        self.capture.drop_counter()
    }

    /// The wall-clock time of a point in time, nanoseconds since 1970.
    #[must_use]
    pub const fn unix_ns(&self, at: Instant) -> u64 {
        self.map.unix_ns(at)
    }

    /// The lane for a packet from `source` to `destination`.
    fn lane(&self, source: IpAddr, destination: IpAddr) -> Option<usize> {
        let first = |wanted: &dyn Fn(&Lane) -> bool| self.lanes.iter().position(wanted);
        let exact = self.targets.get(&destination).copied();
        exact
            .filter(|&index| self.lanes.get(index).is_some_and(|lane| lane.source == source))
            // An answer to somebody who is no target of ours, or a forged source: by the family.
            .or_else(|| first(&|lane| lane.source == source))
            .or_else(|| first(&|lane| lane.source.is_ipv4() == source.is_ipv4()))
    }

    /// All that can wake us up.
    fn watched(&self) -> Vec<PollFd<'_>> {
        let mut set = vec![PollFd::new(self.capture.as_fd(), PollFlags::POLLIN)];
        if let Some(signals) = &self.signals {
            set.push(PollFd::new(signals.as_fd(), PollFlags::POLLIN));
        }
        // A stamp of leaving shows as an error, which is always reported.
        let stamped = self.lanes.iter().filter(|lane| lane.stamped);
        set.extend(stamped.map(|lane| PollFd::new(lane.sender.as_fd(), PollFlags::empty())));
        set
    }

    /// What woke us up, or `None` for something that was not for us.
    fn fetch(&mut self) -> io::Result<Option<Received>> {
        if let Some(signals) = &mut self.signals {
            match signals.read()? {
                Some(Request::End) => return Ok(Some(Received::Interrupted)),
                Some(Request::Status) => return Ok(Some(Received::StatusRequested)),
                None => {}
            }
        }
        if let Some(cards) = &mut self.cards {
            let stamped = |(_, lane): &(usize, &Lane)| lane.stamped;
            for (index, lane) in self.lanes.iter().enumerate().filter(stamped) {
                cards.fetch(index, &lane.sender)?;
            }
        }
        let caught = self.capture.receive().map_err(|error| self.explain(error))?;
        let Some(caught) = caught else { return Ok(None) };
        let frame = self.frame(&caught);
        match &mut self.cards {
            Some(cards) => {
                cards.push(frame, &caught, clock::now());
                Ok(self.released())
            }
            None => Ok(Some(Received::Frame(frame))),
        }
    }

    /// The next packet that waits for no stamp of the hardware any longer.
    fn released(&mut self) -> Option<Received> {
        let (frame, step) = self.cards.as_mut()?.next(clock::now())?;
        self.steps.extend(step);
        Some(Received::Frame(frame))
    }

    fn frame(&mut self, caught: &Caught) -> Frame {
        // After the packet was fetched: see ClockMap::check.
        let read = self.check_clock();
        let stamp = match caught.wall.and_then(|wall| self.map.instant(wall, read)) {
            Some(at) => Stamp { at, clock: Clock::Kernel },
            None => Stamp { at: read, clock: Clock::User },
        };
        let bytes = self.capture.bytes(caught).to_vec();
        Frame { dir: caught.dir, stamp, bytes, checksum: caught.checksum }
    }

    /// Looks for a step of the wall clock; says what time it is.
    fn check_clock(&mut self) -> Instant {
        let sample = Sample::take();
        let best = if self.map.agrees(sample) { sample } else { Sample::careful() };
        self.steps.extend(self.map.check(best));
        Instant::from_nanos(sample.before)
    }

    fn explain(&self, error: io::Error) -> io::Error {
        let interface = &self.facts.interface;
        let text = match error.raw_os_error() {
            Some(libc::ENETDOWN) => {
                format!("interface {interface} went down; `ip link set {interface} up` revives it")
            }
            Some(libc::ENODEV | libc::ENXIO) => format!("interface {interface} is gone"),
            _ => format!("cannot capture on {interface}: {error}"),
        };
        io::Error::new(error.kind(), text)
    }
}

impl Wire for LinuxWire {
    fn now(&self) -> Instant {
        clock::now()
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        let invalid = |text| io::Error::new(io::ErrorKind::InvalidInput, text);
        let (source, destination) =
            addresses(packet).ok_or_else(|| invalid("a packet without an IP header"))?;
        let index = self
            .lane(source, destination)
            .ok_or_else(|| invalid("a packet of an IP version that no route was opened for"))?;
        let lane = &self.lanes[index];
        let sent = lane.sender.send(packet, destination);
        if let Some(cards) = self.cards.as_mut().filter(|_| lane.stamped) {
            cards.sent(index, packet, sent.is_ok());
        }
        sent
    }

    fn receive(&mut self, until: Instant) -> io::Result<Received> {
        // Who only looks, and finds a packet that waits for its stamp, waits with it: the packet has
        // left already.
        let looks = self.cards.is_some() && until <= clock::now();
        loop {
            if let Some(received) = self.released() {
                return Ok(received);
            }
            let wake = match self.cards.as_ref().and_then(Cards::deadline) {
                Some(deadline) if looks => deadline,
                Some(deadline) => deadline.min(until),
                None => until,
            };
            let left = wake.since(clock::now());
            match ppoll(&mut self.watched(), Some(TimeSpec::from_duration(left)), None) {
                Ok(0) if left.is_zero() && wake == until => {
                    // While there is time: the oftener, the surer a step's place.
                    self.check_clock();
                    return Ok(Received::Timeout);
                }
                // Woken by the time; another look, since the clock decides.
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => {
                    if let Some(received) = self.fetch()? {
                        return Ok(received);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// The two addresses in an IP header, whatever the rest of the packet is.
fn addresses(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match packet.first()? >> 4 {
        4 => {
            let at = |from: usize| {
                let octets: [u8; 4] = packet.get(from..from + 4)?.try_into().ok()?;
                Some(IpAddr::from(Ipv4Addr::from(octets)))
            };
            Some((at(12)?, at(16)?))
        }
        6 => {
            let at = |from: usize| {
                let octets: [u8; 16] = packet.get(from..from + 16)?.try_into().ok()?;
                Some(IpAddr::from(Ipv6Addr::from(octets)))
            };
            Some((at(8)?, at(24)?))
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
