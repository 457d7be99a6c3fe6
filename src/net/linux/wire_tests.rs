use super::super::namespace::enter_network_only;
use super::super::route::{RouteOptions, route_to};
use super::*;
use crate::net::Dir;
use crate::wire::{Flags, IpHeader, Packet, Segment};

#[test]
fn addresses_are_read_from_broken_packets_too() {
    let mut v4 = vec![0x45; 20];
    v4[12..].copy_from_slice(&[192, 0, 2, 1, 198, 51, 100, 7]);
    let expected = ("192.0.2.1".parse().unwrap(), "198.51.100.7".parse().unwrap());
    assert_eq!(addresses(&v4), Some(expected), "its length field says 0x4545");
    assert_eq!(addresses(&v4[..19]), None);
    let mut v6 = vec![0x60; 40];
    v6[8..].fill(0);
    (v6[23], v6[39]) = (1, 2);
    assert_eq!(addresses(&v6), Some(("::1".parse().unwrap(), "::2".parse().unwrap())));
    assert_eq!(addresses(&[0x10; 40]), None);
}

/// Where nobody listens.
const NOWHERE: u16 = 9;

/// A wire over the loopback of a network of its own, whose stamps of leaving are treated as the
/// hardware's. They are the driver's, if they are `asked` for; no hardware is there to give others.
fn with_a_pretended_card(asked: bool) -> LinuxWire {
    let route = route_to(Ipv4Addr::LOCALHOST.into(), &RouteOptions::default()).unwrap();
    let guard = GuardChoice::Auto;
    let clock = ClockChoice::Kernel;
    let plan = OpenPlan { route, source_port: None, guard, clock, ports: 1, signals: false };
    let mut wire = LinuxWire::open(&plan).unwrap();
    let mut cards = Cards::new();
    cards.add(wire.lanes[0].interface);
    wire.cards = Some(cards);
    wire.lanes[0].stamped = true;
    if asked {
        wire.lanes[0].sender.ask_for_departures(DepartureClock::Driver).unwrap();
    }
    wire
}

fn send_syn(wire: &mut LinuxWire, id: u16) {
    let (src, dst) = (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into());
    let ip = IpHeader { src, dst, ttl: 64, tos: 0, id, dont_fragment: true, flow_label: 0 };
    let (src_port, flags) = (wire.source().port(), Flags::SYN);
    let segment = Segment { src_port, dst_port: NOWHERE, flags, ..Segment::default() };
    wire.send(&Packet { ip, segment }.emit().unwrap()).unwrap();
}

/// The copy of a packet that has just been sent, by only looking: it is there, though its stamp is
/// perhaps not yet; and then the answer to it.
fn copy_and_answer(wire: &mut LinuxWire) -> (Frame, Frame) {
    let copy = wire.receive(Instant::ZERO).unwrap();
    // The limit is for a kernel that does not answer at all.
    let answer = wire.receive(clock::now() + std::time::Duration::from_secs(60)).unwrap();
    match (copy, answer) {
        (Received::Frame(copy), Received::Frame(answer)) => (copy, answer),
        other => panic!("{other:?}"),
    }
}

/// In a network of its own, which needs privileges; says so where it has none.
fn in_private(test: impl FnOnce() + Send + 'static) {
    let work = || match enter_network_only() {
        Ok(()) => test(),
        Err(error) => eprintln!("NOT RUN: {error}"),
    };
    std::thread::spawn(work).join().unwrap();
}

#[test]
fn a_copy_gets_the_stamp_of_its_own_departure_and_the_answer_comes_behind_it() {
    in_private(|| {
        let stamping = super::super::Stamping::request().unwrap();
        assert!(stamping.wait(std::time::Duration::from_secs(60)));
        for _ in 0..3 {
            let mut wire = with_a_pretended_card(true);
            for id in 1..=10u16 {
                send_syn(&mut wire, id);
                let (copy, answer) = copy_and_answer(&mut wire);
                assert_eq!((copy.dir, answer.dir), (Dir::Tx, Dir::Rx));
                assert_eq!(copy.bytes[4..6], id.to_be_bytes());
                // Later ones are judged by how far the first stamp was from the kernel's.
                assert!(id > 1 || copy.stamp.clock == Clock::Hardware, "{copy:?}");
                assert_eq!(answer.stamp.clock, Clock::Kernel, "the loopback's has no other");
            }
        }
    });
}

#[test]
fn a_copy_whose_stamp_never_comes_goes_on_with_the_kernels() {
    in_private(|| {
        let mut wire = with_a_pretended_card(false);
        let stamping = super::super::Stamping::request().unwrap();
        assert!(stamping.wait(std::time::Duration::from_secs(60)));
        send_syn(&mut wire, 1);
        let (copy, answer) = copy_and_answer(&mut wire);
        assert_eq!((copy.dir, copy.stamp.clock), (Dir::Tx, Clock::Kernel));
        assert_eq!((answer.dir, answer.stamp.clock), (Dir::Rx, Clock::Kernel));
    });
}
