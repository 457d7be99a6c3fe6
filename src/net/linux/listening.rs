//! A wire that waits for others to open.
//!
//! It hears everything that comes to its port, on any interface; what it sends bears whatever source
//! the driver wrote, which is the address to which the far end's SYN came.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::capture::{Capture, View};
use super::choice::ClockChoice;
use super::clock::{ClockMap, Sample};
use super::guard::{Guard, GuardChoice};
use super::places::{self, Place};
use super::route::{Interface, LinkKind, Route};
use super::signals::Signals;
use super::wire::{Lane, LinuxWire, OpenError};
use crate::net::Facts;
use crate::time::Clock;

/// Raw sockets that are opened beforehand, one for each address of this host: privileges are dropped
/// before the first client comes. More addresses than that share the socket of their family.
const MOST_LANES: usize = 256;
/// The MTU where an interface does not say: RFC 8200's least for IPv6, which IPv4 takes too.
const MODEST_MTU: u32 = 1280;

/// Where to listen.
#[derive(Clone, Debug)]
pub struct ListenPlan {
    /// The addresses, from one; unspecified ones stand for all of their family. All have the port of
    /// the first, or, where that is 0, the same unpredictable one.
    pub addresses: Vec<SocketAddr>,
    /// Only what comes by this interface, or by the loopback.
    pub interface: Option<Interface>,
    /// How to keep the kernel silent.
    pub guard: GuardChoice,
}

impl LinuxWire {
    /// Opens the sockets, and guards the port at each address. Needs `CAP_NET_RAW` in effect;
    /// nothing that comes after needs a privilege. SIGINT and its family become events.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn listen(plan: &ListenPlan) -> Result<(Self, Vec<SocketAddr>), OpenError> {
        let signals = Signals::take().map_err(OpenError::of("a signal descriptor"))?;
        let mut port = plan.addresses.first().map(SocketAddr::port).filter(|port| *port != 0);
        let mut guards = BTreeMap::new();
        let mut bound = Vec::new();
        let mut kind = None;
        for address in &plan.addresses {
            let scope_id = match address {
                SocketAddr::V6(v6) => v6.scope_id(),
                SocketAddr::V4(_) => 0,
            };
            let guard = Guard::take(address.ip(), port, scope_id, plan.guard)?;
            port = Some(guard.port());
            kind.get_or_insert(guard.kind());
            bound.push(guard.address());
            guards.insert((address.ip(), guard.port()), guard);
        }
        let (Some(port), Some(kind)) = (port, kind) else {
            return Err(OpenError::of("a listener")(std::io::ErrorKind::InvalidInput.into()));
        };
        let lanes = lanes(&bound)?;
        // Before the first packet: no stamp may be older by much.
        let map = ClockMap::new(Sample::careful());
        let interfaces = plan.interface.iter().map(|interface| interface.index).collect();
        let view = View::listening(interfaces, bound.iter().map(SocketAddr::ip), port);
        let capture = Capture::of(view, Clock::Kernel).map_err(OpenError::of("a packet socket"))?;
        let name = match (&plan.interface, lanes.as_slice()) {
            (Some(interface), _) => interface.name.clone(),
            (None, [only]) => only.1.interface.name.clone(),
            _ => "any".to_owned(),
        };
        let mtu = lanes.first().map_or(MODEST_MTU, |(_, route)| route.mtu);
        let facts = Facts { interface: name, mtu, clock: Clock::Kernel, guard: kind };
        let wire = Self {
            capture,
            signals: Some(signals),
            lanes: lanes.into_iter().map(|(lane, _)| lane).collect(),
            targets: BTreeMap::new(),
            guards,
            choice: plan.guard,
            clock: ClockChoice::Kernel,
            cards: None,
            map,
            steps: Vec::new(),
            facts,
        };
        Ok((wire, bound))
    }
}

/// A way out for each address of this host at which `bound` listens, and one for each family, for
/// those that are added later.
fn lanes(bound: &[SocketAddr]) -> Result<Vec<(Lane, Route)>, OpenError> {
    let host = places::of_this_host();
    let mut lanes = Vec::new();
    for address in bound {
        let ip = address.ip();
        let here: Vec<(IpAddr, Option<&Place>)> = if ip.is_unspecified() {
            let family = host.iter().filter(|(it, _)| it.is_ipv4() == ip.is_ipv4());
            family.map(|(it, place)| (*it, Some(place))).chain([(ip, None)]).collect()
        } else {
            vec![(ip, host.get(&ip))]
        };
        for (source, place) in here {
            if lanes.len() < MOST_LANES || source.is_unspecified() {
                let route = way_out(source, place);
                let lane =
                    Lane::open(&route, SocketAddr::new(source, address.port()), Clock::Kernel)?;
                lanes.push((lane, route));
            }
        }
    }
    Ok(lanes)
}

/// A route as far as it concerns the sending end.
fn way_out(source: IpAddr, place: Option<&Place>) -> Route {
    let interface = place.and_then(Place::look).unwrap_or_else(|| Interface {
        name: "any".to_owned(),
        index: 0,
        mtu: MODEST_MTU,
        is_loopback: false,
        link: LinkKind::RawIp,
        mac: None,
    });
    Route {
        destination: source,
        source,
        mtu: interface.mtu,
        interface,
        gateway: None,
        scope_id: place.map_or(0, |place| place.scope_id),
        pinned: false,
    }
}
