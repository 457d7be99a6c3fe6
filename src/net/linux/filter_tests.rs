//! The capture's program, run by a small interpreter of classic BPF, and shown to the kernel.

use std::os::unix::net::UnixDatagram;

use super::*;
use crate::wire::{Flags, IpHeader, Packet, Segment};

const OUT: u8 = libc::PACKET_OUTGOING;
const IN: u8 = libc::PACKET_HOST;

/// A packet as the kernel's filter sees it.
pub(in crate::net::linux) struct Seen<'a> {
    pub(in crate::net::linux) bytes: &'a [u8],
    pub(in crate::net::linux) kind: u8,
    pub(in crate::net::linux) interface: u32,
}

/// Runs a program: the length that it accepts, 0 for a drop. `None` where the kernel would refuse
/// it, or it runs off its end.
pub(in crate::net::linux) fn run(program: &[Instruction], seen: &Seen<'_>) -> Option<u32> {
    let load = |at: u32, width: u32| -> Option<u32> {
        let at = usize::try_from(at).ok()?;
        let bytes = seen.bytes.get(at..at + usize::try_from(width).ok()?)?;
        Some(bytes.iter().fold(0, |sum, &byte| sum << 8 | u32::from(byte)))
    };
    let ether_type = match seen.bytes[0] >> 4 {
        4 => libc::ETH_P_IP,
        6 => libc::ETH_P_IPV6,
        _ => libc::ETH_P_ARP,
    };
    let (mut a, mut x, mut pc) = (0, 0, 0);
    loop {
        let Instruction { code, yes, no, operand } = *program.get(pc)?;
        pc += 1;
        let branch = |holds: bool| usize::from(if holds { yes } else { no });
        let loaded = match code {
            LOAD_WORD if operand == PACKET_TYPE => Some(u32::from(seen.kind)),
            LOAD_WORD if operand == INTERFACE => Some(seen.interface),
            LOAD_WORD if operand == ETHER_TYPE => Some(ether_type.cast_unsigned()),
            LOAD_WORD => load(operand, 4),
            LOAD_HALF => load(operand, 2),
            LOAD_BYTE => load(operand, 1),
            LOAD_HALF_X => load(operand + x, 2),
            LOAD_BYTE_X => load(operand + x, 1),
            LOAD_X_IHL => {
                x = 4 * (load(operand, 1)? & 0xf);
                continue;
            }
            SET_X => {
                x = operand;
                continue;
            }
            JUMP => {
                pc += usize::try_from(operand).ok()?;
                continue;
            }
            IF_EQUAL => {
                pc += branch(a == operand);
                continue;
            }
            IF_AT_LEAST => {
                pc += branch(a >= operand);
                continue;
            }
            IF_ABOVE => {
                pc += branch(a > operand);
                continue;
            }
            IF_BITS => {
                pc += branch(a & operand != 0);
                continue;
            }
            RETURN => return Some(operand),
            _ => return None,
        };
        match loaded {
            Some(value) => a = value,
            // The kernel drops a packet that a program reads beyond the end of.
            None => return Some(0),
        }
    }
}

fn passes(program: &[Instruction], bytes: &[u8], kind: u8) -> bool {
    run(program, &Seen { bytes, kind, interface: 7 }).unwrap() > 0
}

fn sources() -> BTreeSet<IpAddr> {
    ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|text| text.parse().unwrap()).into()
}

fn filter(ports: impl IntoIterator<Item = u16>) -> Vec<Instruction> {
    let coverage = Coverage::of(&ports.into_iter().collect());
    program(&[7, 1], &sources(), &coverage)
}

fn segment(src: &str, src_port: u16, dst: &str, dst_port: u16) -> Vec<u8> {
    let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
    let ip = IpHeader { src, dst, ttl: 64, tos: 0, id: 0, dont_fragment: true, flow_label: 0 };
    let segment = Segment { src_port, dst_port, flags: Flags::SYN, ..Segment::default() };
    Packet { ip, segment }.emit().unwrap()
}

/// The same addresses, another protocol and payload.
fn with_payload(mut packet: Vec<u8>, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let v4 = packet[0] >> 4 == 4;
    packet[if v4 { 9 } else { 6 }] = protocol;
    packet.truncate(if v4 { 20 } else { 40 });
    packet.extend(payload);
    packet
}

#[test]
fn our_ports_pass_in_the_right_direction_only() {
    let program = filter([40000, 40001]);
    for (ours, theirs) in
        [("192.0.2.1", "198.51.100.7"), ("192.0.2.2", "192.0.2.1"), ("2001:db8::1", "2001:db8::7")]
    {
        for port in [40000, 40001] {
            let (out, back) = (segment(ours, port, theirs, 443), segment(theirs, 443, ours, port));
            assert!(passes(&program, &out, OUT) && passes(&program, &back, IN), "{ours} {port}");
            assert!(!passes(&program, &out, IN) && !passes(&program, &back, OUT), "{ours} {port}");
            assert!(!passes(&program, &back, libc::PACKET_OTHERHOST), "{ours} {port}");
        }
        for port in [39999, 40002, 443] {
            assert!(!passes(&program, &segment(ours, port, theirs, 443), OUT), "{ours} {port}");
            assert!(!passes(&program, &segment(theirs, 443, ours, port), IN), "{ours} {port}");
        }
    }
    let strangers = segment("192.0.2.9", 40000, "198.51.100.7", 40000);
    assert!(!passes(&program, &strangers, OUT) && !passes(&program, &strangers, IN));
    let almost = segment("2001:db8::7", 443, "2001:db8:0:1::1", 40000);
    assert!(!passes(&program, &almost, IN), "only the last address word is ours");
}

#[test]
fn ports_are_found_behind_ip_options() {
    let program = filter([40000]);
    let mut packet = segment("198.51.100.7", 443, "192.0.2.1", 40000);
    packet[0] = 0x46;
    packet.splice(20..20, [1; 4]);
    assert!(passes(&program, &packet, IN));
}

#[test]
fn only_our_interface_and_the_loopback_are_heard() {
    let (program, back) = (filter([40000]), segment("198.51.100.7", 443, "192.0.2.1", 40000));
    for (interface, heard) in [(7, true), (1, true), (2, false)] {
        let verdict = run(&program, &Seen { bytes: &back, kind: IN, interface }).unwrap();
        assert_eq!(verdict > 0, heard, "{interface}");
    }
}

#[test]
fn many_ports_are_covered_by_their_range() {
    let ports = (40000..50000).step_by(7);
    let program = filter(ports.clone());
    for port in ports {
        assert!(passes(&program, &segment("198.51.100.7", 443, "192.0.2.1", port), IN), "{port}");
    }
    assert!(!passes(&program, &segment("198.51.100.7", 443, "192.0.2.1", 22), IN));
    let all = filter(0..=u16::MAX);
    for port in [0, 1, u16::MAX] {
        assert!(passes(&all, &segment("192.0.2.1", port, "198.51.100.7", 443), OUT), "{port}");
    }
}

#[test]
fn icmp_errors_to_us_pass_and_other_icmp_does_not() {
    let program = filter([40000]);
    let v4 = || segment("203.0.113.1", 0, "192.0.2.1", 0);
    for (kind, passed) in [(0, false), (3, true), (8, false), (11, true), (12, true), (13, false)] {
        let error = with_payload(v4(), 1, &[kind, 1, 0, 0]);
        assert_eq!(passes(&program, &error, IN), passed, "ICMP type {kind}");
        assert!(!passes(&program, &error, OUT), "the loopback's other copy");
    }
    let v6 = || segment("2001:db8::9", 0, "2001:db8::1", 0);
    for (kind, passed) in [(1, true), (2, true), (3, true), (4, true), (128, false), (135, false)] {
        let error = with_payload(v6(), 58, &[kind, 0, 0, 0]);
        assert_eq!(passes(&program, &error, IN), passed, "ICMPv6 type {kind}");
    }
    let elsewhere = with_payload(segment("203.0.113.1", 0, "192.0.2.9", 0), 1, &[3, 1, 0, 0]);
    assert!(!passes(&program, &elsewhere, IN));
}

#[test]
fn fragments_and_extension_headers_are_left_to_user_space() {
    let program = filter([40000]);
    let mut later = segment("198.51.100.7", 443, "192.0.2.1", 9);
    later[6..8].copy_from_slice(&[0x00, 0x10]);
    assert!(passes(&program, &later, IN) && !passes(&program, &later, OUT));
    for header in [0, 43, 44, 60] {
        let packet = with_payload(segment("2001:db8::7", 1, "2001:db8::1", 9), header, &[6, 0]);
        assert!(passes(&program, &packet, IN), "next header {header}");
    }
    let udp = with_payload(segment("2001:db8::7", 1, "2001:db8::1", 9), 17, &[0; 8]);
    assert!(!passes(&program, &udp, IN));
}

#[test]
fn no_cut_of_a_packet_upsets_the_program() {
    let program = filter([40000]);
    for whole in
        [segment("198.51.100.7", 443, "192.0.2.1", 40000), segment("2001:db8::7", 1, "::1", 2)]
    {
        for len in 1..whole.len() {
            let cut = &whole[..len];
            let ports_there = whole[0] >> 4 == 4 && len >= 24;
            assert_eq!(passes(&program, cut, IN), ports_there, "{len}");
        }
    }
}

#[test]
fn the_kernel_takes_every_program() {
    let (socket, _peer) = UnixDatagram::pair().unwrap();
    let socket = socket2::SockRef::from(&socket);
    let many: BTreeSet<IpAddr> = (0..20).map(|n| IpAddr::from([10, 0, 0, n])).collect();
    let ports = |count| Coverage::of(&(1..=count).collect());
    for (sources, coverage) in [
        (BTreeSet::new(), Coverage::Exact(vec![])),
        (sources(), Coverage::Exact((1..=48).collect())),
        (many.clone(), ports(48)),
        (many.clone(), ports(60000)),
    ] {
        let program = program(&[7, 8, 9, 1], &sources, &coverage);
        let program: Vec<SockFilter> = program.into_iter().map(Into::into).collect();
        socket.attach_filter(&program).unwrap();
    }
}

#[test]
fn of_what_leaves_in_a_sweep_only_the_kernels_resets_pass() {
    let coverage = Coverage::of(&[40000].into());
    let program = sweep_program(&[7, 1], &sources(), &coverage);
    for (ours, theirs) in [("192.0.2.1", "198.51.100.7"), ("2001:db8::1", "2001:db8::7")] {
        let back = segment(theirs, 443, ours, 40000);
        assert!(passes(&program, &back, IN) && !passes(&program, &back, OUT), "{ours}");
        let probe = segment(ours, 40000, theirs, 443);
        assert!(!passes(&program, &probe, OUT) && !passes(&program, &probe, IN), "{ours}");
        let reset = |window: u8, port| {
            let mut reset = segment(ours, port, theirs, 443);
            let tcp = if reset[0] >> 4 == 4 { 20 } else { 40 };
            (reset[tcp + 13], reset[tcp + 14], reset[tcp + 15]) = (0x14, 0, window);
            reset
        };
        assert!(passes(&program, &reset(0, 40000), OUT), "{ours}: the kernel's");
        assert!(!passes(&program, &reset(1, 40000), OUT), "{ours}: our own");
        assert!(!passes(&program, &reset(0, 40001), OUT), "{ours}: another program's");
        assert!(!passes(&program, &reset(0, 40000), IN), "{ours}");
    }
    let mut fragment = segment("192.0.2.1", 40000, "198.51.100.7", 443);
    fragment[7] = 1;
    assert!(!passes(&program, &fragment, OUT));
}
