//! What a run stands on: this host's kernel, or a simulated network.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;

use super::sim::{Host, Simulation};
use super::target;
use crate::cli::shared::{ClockArg, GuardChoice as GuardArg, SourceArgs};
use crate::net::linux::{
    ClockChoice, ClockStep, DropCounter, GuardChoice, Interface, LinuxWire, ListenPlan, OpenPlan,
    Place, Route, RouteError, RouteOptions, Stamping, places, privilege, route_to,
};
use crate::net::sim::{Rng, SimWire};
use crate::net::{Facts, Received, Wire};
use crate::time::Instant;

/// How long the kernel may take to switch its time stamps on: 0.1 ms as a rule, some 20 ms on a busy
/// machine.
const STAMPING_PATIENCE: Duration = Duration::from_millis(100);

/// Where routes, wires and randomness come from.
pub(crate) enum Ground {
    /// This host. The time stamps asked for first, because switching them on takes a moment.
    Kernel(io::Result<Stamping>),
    /// A simulated network.
    Simulated(Simulation),
}

impl Ground {
    /// The kernel, unless the environment asks for a simulation.
    ///
    /// # Errors
    /// It asks for one that makes no sense.
    pub(crate) fn find() -> anyhow::Result<Self> {
        Ok(match Simulation::asked_for()? {
            Some(simulation) => Self::Simulated(simulation),
            None => Self::Kernel(Stamping::request()),
        })
    }

    /// The first of `addresses` to which there is a route, and the route.
    ///
    /// # Errors
    /// Why there is none to the last of them.
    pub(crate) fn reach(
        &self,
        addresses: &[SocketAddr],
        source: &SourceArgs,
    ) -> anyhow::Result<(SocketAddr, Route)> {
        let mut last: Option<RouteError> = None;
        for address in addresses {
            if let Self::Simulated(simulation) = self {
                return Ok((*address, simulation.route(address.ip())));
            }
            let address = target::on_interface(*address, source.interface.as_deref())?;
            let scope_id = match address {
                SocketAddr::V6(v6) => v6.scope_id(),
                SocketAddr::V4(_) => 0,
            };
            let options = RouteOptions {
                source: source.source,
                interface: source.interface.clone(),
                scope_id,
            };
            match route_to(address.ip(), &options) {
                Ok(route) => return Ok((address, route)),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) => Err(error.into()),
            None => anyhow::bail!("the name has no address"),
        }
    }

    /// Opens a wire over `routes`, whose packets will bear the stamps of `clock`. What privilege is
    /// left may be dropped once all ports are taken.
    ///
    /// # Errors
    /// A missing capability, a port that is taken: each with its remedy.
    pub(crate) fn open_wire(
        self,
        routes: &[&Route],
        source: &SourceArgs,
        clock: ClockArg,
    ) -> anyhow::Result<Carrier> {
        let stamping = match self {
            Self::Simulated(simulation) => {
                return Ok(Carrier::Simulated(Box::new(simulation.wire()), simulation));
            }
            Self::Kernel(stamping) => stamping,
        };
        privilege::ensure_net_raw()?;
        let guard = guard(source);
        let source_port = source.source_port;
        let [first, others @ ..] = routes else { anyhow::bail!("there is nothing to send to") };
        let route = Route::clone(first);
        let clock = match clock {
            ClockArg::Auto => ClockChoice::Auto,
            ClockArg::Hardware => ClockChoice::Hardware,
            ClockArg::Kernel => ClockChoice::Kernel,
            ClockArg::User => ClockChoice::User,
        };
        let plan = OpenPlan { route, source_port, guard, clock, ports: 1, signals: true };
        let mut wire = LinuxWire::open(&plan)?;
        for route in others {
            wire.add_route(route, source_port)?;
        }
        // Where the kernel's stamps cannot be had, each packet says that its time is ours.
        if let Ok(stamping) = stamping {
            let _ = stamping.wait(STAMPING_PATIENCE);
        }
        Ok(Carrier::Kernel(Box::new(wire)))
    }

    /// Opens a wire that listens at `addresses`, and says which they are: a port that was left open
    /// is chosen. What privilege is left may be dropped then.
    ///
    /// # Errors
    /// A missing capability, a port that is taken: each with its remedy.
    pub(crate) fn listen(
        self,
        addresses: &[SocketAddr],
        source: &SourceArgs,
    ) -> anyhow::Result<(Carrier, Vec<SocketAddr>)> {
        let stamping = match self {
            Self::Simulated(simulation) => {
                let bound = addresses.to_vec();
                let wire = simulation.wire_from(&bound);
                return Ok((Carrier::Simulated(Box::new(wire), simulation), bound));
            }
            Self::Kernel(stamping) => stamping,
        };
        privilege::ensure_net_raw()?;
        let interface = source.interface.as_deref().map(Interface::by_name).transpose()?;
        let plan = ListenPlan { addresses: addresses.to_vec(), interface, guard: guard(source) };
        let (wire, bound) = LinuxWire::listen(&plan)?;
        // Where the kernel's stamps cannot be had, each packet says that its time is ours.
        if let Ok(stamping) = stamping {
            let _ = stamping.wait(STAMPING_PATIENCE);
        }
        Ok((Carrier::Kernel(Box::new(wire)), bound))
    }

    /// Checks, before anything is changed on this host, that packets may be sent.
    ///
    /// # Errors
    /// What is missing, and the remedy.
    pub(crate) fn ensure_permitted(&self) -> anyhow::Result<()> {
        match self {
            Self::Kernel(_) => Ok(privilege::ensure_net_raw().map(drop)?),
            Self::Simulated(_) => Ok(()),
        }
    }

    /// Where ISNs and the like come from.
    pub(crate) const fn dice(&self) -> Dice {
        match self {
            Self::Kernel(_) => Dice::Kernel,
            Self::Simulated(simulation) => Dice::Seeded(simulation.dice()),
        }
    }
}

const fn guard(source: &SourceArgs) -> GuardChoice {
    match source.guard {
        GuardArg::Auto => GuardChoice::Auto,
        GuardArg::Filter => GuardChoice::Filter,
        GuardArg::Minttl => GuardChoice::MinTtl,
    }
}

/// The wire of a run.
pub(crate) enum Carrier {
    /// Packets.
    Kernel(Box<LinuxWire>),
    /// Make-believe.
    Simulated(Box<SimWire<Host>>, Simulation),
}

impl Carrier {
    /// Guards the port from which `route` is used: `port`, or one of our choice. The first one asked
    /// of a route is that which was taken when the wire was opened.
    ///
    /// # Errors
    /// The port is taken.
    pub(crate) fn first_port(
        &mut self,
        route: &Route,
        port: Option<u16>,
    ) -> anyhow::Result<SocketAddr> {
        Ok(match self {
            Self::Kernel(wire) => wire.add_route(route, port)?,
            Self::Simulated(_, simulation) => simulation.source(route.source, port, 0),
        })
    }

    /// Guards another port beside the `taken` ones of the same route.
    ///
    /// # Errors
    /// There is none left.
    pub(crate) fn next_port(
        &mut self,
        route: &Route,
        taken: &[SocketAddr],
    ) -> anyhow::Result<SocketAddr> {
        Ok(match self {
            Self::Kernel(wire) => {
                SocketAddr::new(route.source, wire.take_port_of(route.source, None)?)
            }
            Self::Simulated(_, simulation) => {
                let first = taken.first().map(SocketAddr::port);
                simulation.source(route.source, first, taken.len())
            }
        })
    }

    /// Guards `port` of `source`, or a fresh one that nobody can predict.
    ///
    /// # Errors
    /// The port is taken, or there is none left.
    pub(crate) fn take_port(&mut self, source: IpAddr, port: Option<u16>) -> anyhow::Result<u16> {
        match self {
            Self::Kernel(wire) => Ok(wire.take_port_of(source, port)?),
            Self::Simulated(_, simulation) => Ok(simulation.take_port(port)),
        }
    }

    /// Lets go of a guarded port: from now on the kernel answers for it.
    pub(crate) fn release_port(&mut self, source: IpAddr, port: u16) {
        match self {
            Self::Kernel(wire) => wire.release_port_of(source, port),
            Self::Simulated(..) => {}
        }
    }

    /// Where an address of this host is; `None` where it is not found.
    pub(crate) fn place(&self, address: IpAddr) -> Option<Place> {
        match self {
            Self::Kernel(_) => places::of_this_host().remove(&address),
            Self::Simulated(..) => None,
        }
    }

    /// How often the wall clock was set since the last call, with the last step.
    pub(crate) fn clock_steps(&mut self) -> (u32, Option<ClockStep>) {
        match self {
            Self::Kernel(wire) => {
                wire.clock_steps().fold((0, None), |(count, _), step| (count + 1, Some(step)))
            }
            Self::Simulated(..) => (0, None),
        }
    }

    /// Captured packets that the kernel has dropped so far.
    pub(crate) fn drops(&self) -> u64 {
        match self {
            Self::Kernel(wire) => wire.drops(),
            Self::Simulated(..) => 0,
        }
    }

    /// Tells what the kernel has dropped; nothing is dropped in a simulation.
    pub(crate) fn drop_counter(&self) -> Option<DropCounter> {
        match self {
            Self::Kernel(wire) => Some(wire.drop_counter()),
            Self::Simulated(..) => None,
        }
    }

    /// Wall-clock nanoseconds since the Unix epoch at `at`; nothing in virtual time.
    pub(crate) fn unix_ns(&self, at: Instant) -> Option<i64> {
        match self {
            Self::Kernel(wire) => i64::try_from(wire.unix_ns(at)).ok(),
            Self::Simulated(..) => None,
        }
    }
}

impl Wire for Carrier {
    fn now(&self) -> Instant {
        match self {
            Self::Kernel(wire) => wire.now(),
            Self::Simulated(wire, _) => wire.now(),
        }
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        match self {
            Self::Kernel(wire) => wire.send(packet),
            Self::Simulated(wire, _) => wire.send(packet),
        }
    }

    fn receive(&mut self, until: Instant) -> io::Result<Received> {
        match self {
            Self::Kernel(wire) => wire.receive(until),
            Self::Simulated(wire, _) => wire.receive(until),
        }
    }

    fn facts(&self) -> &Facts {
        match self {
            Self::Kernel(wire) => wire.facts(),
            Self::Simulated(wire, _) => wire.facts(),
        }
    }
}

/// Four numbers for a new connection, that nobody on the network can guess.
pub(crate) enum Dice {
    /// From the kernel.
    Kernel,
    /// The same in every run of a simulation.
    Seeded(Rng),
}

impl Dice {
    /// The next four.
    ///
    /// # Errors
    /// The kernel has no randomness to give.
    pub(crate) fn words(&mut self) -> anyhow::Result<[u32; 4]> {
        let mut bytes = [0; 16];
        match self {
            Self::Kernel => {
                getrandom::fill(&mut bytes).context("cannot get random numbers from the kernel")?
            }
            Self::Seeded(rng) => {
                for half in bytes.chunks_exact_mut(8) {
                    half.copy_from_slice(&rng.bits().to_le_bytes());
                }
            }
        }
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Ok([word(0), word(4), word(8), word(12)])
    }
}
