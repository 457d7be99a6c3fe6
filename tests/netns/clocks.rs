//! Clocks and links: stamps that belong to the right packets, and an interface that goes down and
//! comes back under a wire that is in use.

use crate::namespace::{CLIENT_VETH, Family, Link, Topology};
use crate::{Case, case, firewall, netlink, patience};
use anyhow::{Context, Result, bail, ensure};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use shakedown::net::linux::departures::Departures;
use shakedown::net::linux::guard::GuardChoice;
use shakedown::net::linux::raw::{DepartureClock, Sender};
use shakedown::net::linux::{
    ClockChoice, LinuxWire, OpenPlan, RouteOptions, Stamping, privilege, route_to,
};
use shakedown::net::{Dir, Frame, Received, SendTrouble, Wire};
use shakedown::time::{Clock, Instant};
use shakedown::wire::{Flags, IpHeader, Packet, Segment, SeqNum};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in Family::BOTH {
        for link in Link::BOTH {
            let name =
                format!("clocks/departures_find_their_packets/{}-{}", link.name(), family.name());
            cases.push(case(name, move || departures_find_their_packets(link, family)));
            let name =
                format!("clocks/each_choice_says_its_clock/{}-{}", link.name(), family.name());
            cases.push(case(name, move || each_choice_says_its_clock(link, family)));
        }
    }
    for family in Family::BOTH {
        for pinned in [false, true] {
            let how = if pinned { "pinned" } else { "routed" };
            let name = format!("clocks/link_down_and_up/{how}-{}", family.name());
            cases.push(case(name, move || link_down_and_up(family, pinned)));
        }
        let name = format!("clocks/a_refused_packet_shifts_no_stamp/{}", family.name());
        cases.push(case(name, move || refused_packets_shift_no_stamp(family)).needing(&["nft"]));
    }
    cases
}

/// A SYN to a port that nobody listens on: the answer is a RST.
fn syn(from: SocketAddr, to: SocketAddr, number: u16) -> Result<Vec<u8>> {
    let ip = IpHeader {
        src: from.ip(),
        dst: to.ip(),
        ttl: 64,
        tos: 0,
        id: if from.is_ipv4() { number } else { 0 },
        dont_fragment: true,
        flow_label: 0,
    };
    let segment = Segment {
        src_port: from.port(),
        dst_port: to.port(),
        seq: SeqNum(u32::from(number)),
        flags: Flags::SYN,
        ..Segment::default()
    };
    Ok(Packet { ip, segment }.emit()?)
}

fn open(topology: &Topology, family: Family, clock: ClockChoice) -> Result<LinuxWire> {
    open_over(None, topology.address(family), clock)
}

fn open_over(interface: Option<&str>, to: IpAddr, clock: ClockChoice) -> Result<LinuxWire> {
    let interface = interface.map(str::to_owned);
    let route = route_to(to, &RouteOptions { interface, ..RouteOptions::default() })?;
    let guard = GuardChoice::Auto;
    let plan = OpenPlan { route, source_port: None, guard, clock, ports: 1, signals: false };
    Ok(LinuxWire::open(&plan)?)
}

/// Where nobody listens.
const NOWHERE: u16 = 9;

fn departures_find_their_packets(link: Link, family: Family) -> Result<()> {
    const PACKETS: u16 = 50;
    let topology = Topology::new(link)?;
    topology.client.within(|| {
        let to: IpAddr = topology.address(family);
        let route = route_to(to, &RouteOptions::default())?;
        let sender = Sender::open(&route)?;
        sender.ask_for_departures(DepartureClock::Driver)?;
        let (from, target) = (SocketAddr::new(route.source, 40_000), SocketAddr::new(to, NOWHERE));
        let mut departures = Departures::default();
        for number in 1..=PACKETS {
            let packet = syn(from, target, number)?;
            sender.send(&packet, to)?;
            departures.sent(0, &packet);
            if number % 10 == 0 {
                // Refused before it gets a number, as its length shows at once.
                let long = [packet.clone(), vec![0; 1 << 16]].concat();
                ensure!(sender.send(&long, to).is_err(), "a packet of more than 64 KiB left");
                departures.refused(0);
            }
            departures.copied(number, &packet, Instant::ZERO);
        }
        collect(&sender, &mut departures, PACKETS.into())?;
        let mut last = 0;
        for number in 1..=PACKETS {
            let (found, stamp) = departures.next(Instant::ZERO).context("a packet that waits")?;
            let stamp = stamp.context("no stamp")?;
            ensure!(found == number, "{found} before {number}");
            // One queue: they left in the order in which they were sent.
            ensure!(stamp >= last, "packet {number} left {} ns before the last", last - stamp);
            last = stamp;
        }
        Ok(())
    })
}

/// Waits for this many stamps, each of which must find its packet.
fn collect(sender: &Sender, departures: &mut Departures<u16>, count: usize) -> Result<()> {
    let mut buffer = vec![0; 1 << 17];
    for _ in 0..count {
        let departure = loop {
            if let Some(departure) = sender.departure(&mut buffer)? {
                break departure;
            }
            let mut set = [PollFd::new(sender.as_fd(), PollFlags::empty())];
            let patience = TimeSpec::from_duration(patience::LONGEST);
            ensure!(ppoll(&mut set, Some(patience), None)? == 1, "a stamp did not come");
        };
        ensure!(departures.departed(0, &departure), "whose is {departure:?}?");
    }
    Ok(())
}

/// The next packet of ours that goes this way.
fn await_frame(wire: &mut LinuxWire, dir: Dir) -> Result<Frame> {
    let until = wire.now() + patience::LONGEST;
    loop {
        match wire.receive(until)? {
            Received::Frame(frame) if frame.dir == dir => return Ok(frame),
            Received::Timeout => bail!("no packet {dir:?} in time"),
            _ => {}
        }
    }
}

fn each_choice_says_its_clock(link: Link, family: Family) -> Result<()> {
    let topology = Topology::new(link)?;
    topology.client.within(|| {
        privilege::ensure_net_raw()?;
        let stamping = Stamping::request()?;
        ensure!(stamping.wait(patience::LONGEST), "no stamps");
        let to = SocketAddr::new(topology.address(family), NOWHERE);
        let choices = [
            (ClockChoice::Auto, Clock::Kernel),
            (ClockChoice::Kernel, Clock::Kernel),
            (ClockChoice::User, Clock::User),
        ];
        for (choice, clock) in choices {
            let mut wire = open(&topology, family, choice)?;
            ensure!(wire.facts().clock == clock, "{choice:?}: {:?}", wire.facts());
            let before = wire.now();
            wire.send(&syn(wire.source(), to, 1)?)?;
            let sent = await_frame(&mut wire, Dir::Tx)?.stamp;
            let answered = await_frame(&mut wire, Dir::Rx)?.stamp;
            ensure!((sent.clock, answered.clock) == (clock, clock), "{sent:?}, {answered:?}");
            let slack = Duration::from_micros(2);
            ensure!(before <= sent.at + slack, "{sent:?} before {before:?}");
            ensure!(sent.at <= answered.at + slack, "{answered:?} before {sent:?}");
            ensure!(answered.at <= wire.now() + slack, "{answered:?} is to come");
        }
        let refused = open(&topology, family, ClockChoice::Hardware).err();
        let said = refused.context("hardware stamps on a virtual link")?.to_string();
        let wanted = "cannot stamp packets by its hardware; use --clock kernel";
        ensure!(said.ends_with(wanted), "{said}");
        Ok(())
    })
}

/// Down takes IPv6 addresses away for good: whoever manages the interface gives them back.
fn link_down_and_up(family: Family, pinned: bool) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let (ours, theirs) = (topology.client_address(family), topology.address(family));
    topology.client.within(|| {
        privilege::ensure_net_raw()?;
        let interface = pinned.then_some(CLIENT_VETH);
        let mut wire = open_over(interface, theirs, ClockChoice::Kernel)?;
        let to = SocketAddr::new(theirs, NOWHERE);
        let round_trip = |wire: &mut LinuxWire, number: u16| -> Result<()> {
            let sent = syn(wire.source(), to, number)?;
            wire.send(&sent)?;
            let copy = await_frame(wire, Dir::Tx)?;
            ensure!(copy.bytes[..] == sent[..], "the copy of another packet: {copy:?}");
            await_frame(wire, Dir::Rx).map(drop)
        };
        round_trip(&mut wire, 1)?;
        for number in [2, 3] {
            netlink::set_down(CLIENT_VETH)?;
            let refused = wire.send(&syn(wire.source(), to, 100 + number)?);
            let error = refused.err().context("a packet left by an interface that is down")?;
            let trouble = SendTrouble::of(&error);
            ensure!(
                matches!(trouble, Some(SendTrouble::InterfaceDown | SendTrouble::NoRoute)),
                "{trouble:?}: {error}"
            );
            // Nothing to hear, and no error.
            let silence = wire.receive(wire.now())?;
            ensure!(silence == Received::Timeout, "{silence:?}");
            netlink::set_up(CLIENT_VETH)?;
            if let IpAddr::V6(address) = ours {
                netlink::add_address(CLIENT_VETH, ours, 64)?;
                netlink::await_ready(CLIENT_VETH, address)?;
            }
            netlink::await_carrier(CLIENT_VETH)?;
            round_trip(&mut wire, number).context("after it came back")?;
        }
        Ok(())
    })
}

/// A firewall of our own refuses a packet that the kernel has numbered already: those behind it are
/// still told apart.
fn refused_packets_shift_no_stamp(family: Family) -> Result<()> {
    const PACKETS: u16 = 20;
    let topology = Topology::new(Link::Veth)?;
    let rules = "table inet trial {\n chain out {\n type filter hook output priority 0;\n \
                 tcp sequence { 5, 12 } drop\n }\n }\n";
    firewall::load(&topology.client, rules)?;
    topology.client.within(|| {
        let to: IpAddr = topology.address(family);
        let route = route_to(to, &RouteOptions::default())?;
        let sender = Sender::open(&route)?;
        sender.ask_for_departures(DepartureClock::Driver)?;
        let (from, target) = (SocketAddr::new(route.source, 40_000), SocketAddr::new(to, NOWHERE));
        let mut departures = Departures::default();
        let mut left = Vec::new();
        for number in 1..=PACKETS {
            let packet = syn(from, target, number)?;
            match sender.send(&packet, to) {
                Ok(()) => {
                    departures.sent(0, &packet);
                    departures.copied(number, &packet, Instant::ZERO);
                    left.push(number);
                }
                Err(error) => {
                    let trouble = SendTrouble::of(&error);
                    ensure!(trouble == Some(SendTrouble::Firewall), "{trouble:?}: {error}");
                    departures.refused(0);
                }
            }
        }
        ensure!(left.len() == usize::from(PACKETS) - 2, "only {left:?} left");
        collect(&sender, &mut departures, left.len())?;
        for number in left {
            let (found, stamp) = departures.next(Instant::ZERO).context("a packet that waits")?;
            ensure!(found == number && stamp.is_some(), "{found}: {stamp:?}, not {number}");
        }
        Ok(())
    })
}
