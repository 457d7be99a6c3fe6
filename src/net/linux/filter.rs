//! The capture's filter: a classic BPF program that lets through our connections' segments and the
//! ICMP errors that may be about them.
//!
//! The packet socket hears every interface, and the program narrows that down to ours and the
//! loopback: an error that our own kernel reports (the neighbour does not answer ARP) reaches us
//! there. A socket bound to one interface would miss those, and would be closed down with
//! `ENETDOWN` by the first flap of the link.
//!
//! Loopback shows every packet twice, leaving and arriving. The program takes from us only what
//! leaves, and to us only what arrives, so each comes once.

use std::collections::BTreeSet;
use std::net::IpAddr;

use socket2::SockFilter;

/// Up to this many ports are compared one by one in the kernel; beyond, it compares with their
/// range, and the capture does the rest. A conditional jump reaches 255 instructions at most.
const EXACT_PORTS: usize = 48;
/// A range is widened to multiples of this, so that one more port rarely needs another program.
const RANGE_STEP: u16 = 4096;

pub(super) const ACCEPT: u32 = 0x4_0000;

pub(super) const LOAD_BYTE: u16 = code(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS);
pub(super) const LOAD_HALF: u16 = code(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS);
pub(super) const LOAD_WORD: u16 = code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS);
const LOAD_BYTE_X: u16 = code(libc::BPF_LD | libc::BPF_B | libc::BPF_IND);
const LOAD_HALF_X: u16 = code(libc::BPF_LD | libc::BPF_H | libc::BPF_IND);
const LOAD_X_IHL: u16 = code(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH);
const SET_X: u16 = code(libc::BPF_LDX | libc::BPF_IMM);
const JUMP: u16 = code(libc::BPF_JMP | libc::BPF_JA);
pub(super) const IF_EQUAL: u16 = code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K);
const IF_AT_LEAST: u16 = code(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K);
const IF_ABOVE: u16 = code(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K);
const IF_BITS: u16 = code(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K);
const RETURN: u16 = code(libc::BPF_RET | libc::BPF_K);

pub(super) const PACKET_TYPE: u32 = ancillary(libc::SKF_AD_PKTTYPE);
const INTERFACE: u32 = ancillary(libc::SKF_AD_IFINDEX);
const ETHER_TYPE: u32 = ancillary(libc::SKF_AD_PROTOCOL);

const fn code(bits: u32) -> u16 {
    bits as u16
}

/// Where classic BPF keeps what is not in the packet.
const fn ancillary(what: i32) -> u32 {
    (libc::SKF_AD_OFF + what).cast_unsigned()
}

/// One instruction of classic BPF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instruction {
    /// The operation.
    pub code: u16,
    /// Instructions to skip where the condition holds.
    pub yes: u8,
    /// Instructions to skip where it does not.
    pub no: u8,
    /// The operand.
    pub operand: u32,
}

impl From<Instruction> for SockFilter {
    fn from(from: Instruction) -> Self {
        Self::new(from.code, from.yes, from.no, from.operand)
    }
}

/// Which of our ports the program knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Coverage {
    /// Exactly these.
    Exact(Vec<u16>),
    /// All from the first to the second, both included.
    Range(u16, u16),
}

impl Coverage {
    /// The tightest coverage of `ports` that the kernel compares cheaply.
    #[must_use]
    pub fn of(ports: &BTreeSet<u16>) -> Self {
        match (ports.first(), ports.last()) {
            (Some(&low), Some(&high)) if ports.len() > EXACT_PORTS => {
                Self::Range(low - low % RANGE_STEP, high | (RANGE_STEP - 1))
            }
            _ => Self::Exact(ports.iter().copied().collect()),
        }
    }

    /// Whether segments of `port` pass.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        match self {
            Self::Exact(ports) => ports.contains(&port),
            Self::Range(low, high) => (*low..=*high).contains(&port),
        }
    }
}

/// The program for segments between `sources`, at the ports of `coverage`, and anybody, on the
/// interfaces with these indexes; on all where there are none. An unspecified source stands for
/// every address of its family.
#[must_use]
pub fn program(
    interfaces: &[u32],
    sources: &BTreeSet<IpAddr>,
    coverage: &Coverage,
) -> Vec<Instruction> {
    whole(interfaces, sources, coverage, Leaving::All)
}

/// The program of a sweep: the same, but of what leaves only RSTs whose window is zero, as the
/// kernel's own are. Ours, told apart by another window, would double the load.
#[must_use]
pub fn sweep_program(
    interfaces: &[u32],
    sources: &BTreeSet<IpAddr>,
    coverage: &Coverage,
) -> Vec<Instruction> {
    whole(interfaces, sources, coverage, Leaving::Resets)
}

/// What is wanted of the packets that leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leaving {
    All,
    Resets,
}

fn whole(
    interfaces: &[u32],
    sources: &BTreeSet<IpAddr>,
    coverage: &Coverage,
    leaving: Leaving,
) -> Vec<Instruction> {
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = sources.iter().partition(|it| it.is_ipv4());
    let mut program = Assembler::default();
    if !interfaces.is_empty() {
        program.load(LOAD_WORD, INTERFACE);
        program.accept_only(interfaces.iter().copied());
    }
    program.load(LOAD_WORD, ETHER_TYPE);
    let v4 = block(|program| family_v4(program, &v4, coverage, leaving));
    program.when(IF_EQUAL, libc::ETH_P_IP.cast_unsigned(), &v4);
    let v6 = block(|program| family_v6(program, &v6, coverage, leaving));
    program.when(IF_EQUAL, libc::ETH_P_IPV6.cast_unsigned(), &v6);
    program.done(0);
    program.0
}

fn family_v4(program: &mut Assembler, sources: &[IpAddr], coverage: &Coverage, leaving: Leaving) {
    const PROTOCOL: u32 = 9;
    const FRAGMENT: u32 = 6;
    const SRC: u32 = 12;
    const DST: u32 = 16;
    let tcp = block(|program| {
        program.load(LOAD_HALF, FRAGMENT);
        // No ports behind the first fragment: to user space, which shows it as what it is.
        program.when(
            IF_BITS,
            0x1fff,
            &block(|program| any_port(program, sources, [SRC, DST], leaving)),
        );
        segments(program, sources, coverage, [SRC, DST], leaving);
    });
    let icmp = block(|program| {
        program.load(LOAD_WORD, PACKET_TYPE);
        program.when(
            IF_EQUAL,
            u32::from(libc::PACKET_HOST),
            &block(|program| {
                program.load(LOAD_BYTE_X, 0);
                // Unreachable, source quench, redirect, time exceeded, parameter problem (RFC 792).
                program.accept_only([3, 4, 5, 11, 12].into_iter());
                addressed(program, sources, DST);
            }),
        );
        program.done(0);
    });
    program.load(LOAD_X_IHL, 0);
    program.load(LOAD_BYTE, PROTOCOL);
    program.when(IF_EQUAL, libc::IPPROTO_TCP.cast_unsigned(), &tcp);
    program.when(IF_EQUAL, libc::IPPROTO_ICMP.cast_unsigned(), &icmp);
    program.done(0);
}

fn family_v6(program: &mut Assembler, sources: &[IpAddr], coverage: &Coverage, leaving: Leaving) {
    const NEXT_HEADER: u32 = 6;
    const SRC: u32 = 8;
    const DST: u32 = 24;
    const HEADER: u32 = 40;
    let tcp = block(|program| segments(program, sources, coverage, [SRC, DST], leaving));
    let icmp = block(|program| {
        program.load(LOAD_WORD, PACKET_TYPE);
        program.when(
            IF_EQUAL,
            u32::from(libc::PACKET_HOST),
            &block(|program| {
                program.load(LOAD_BYTE_X, 0);
                // Below 128 are errors (RFC 4443 §2.1).
                program.when(IF_AT_LEAST, 128, &block(|program| program.done(0)));
                addressed(program, sources, DST);
            }),
        );
        program.done(0);
    });
    program.load(SET_X, HEADER);
    program.load(LOAD_BYTE, NEXT_HEADER);
    program.when(IF_EQUAL, libc::IPPROTO_TCP.cast_unsigned(), &tcp);
    program.when(IF_EQUAL, libc::IPPROTO_ICMPV6.cast_unsigned(), &icmp);
    // Behind extension headers and in fragments classic BPF cannot find the ports: it has no loops.
    let others = [
        libc::IPPROTO_HOPOPTS,
        libc::IPPROTO_ROUTING,
        libc::IPPROTO_FRAGMENT,
        libc::IPPROTO_DSTOPTS,
    ];
    program.accept_only(others.into_iter().map(i32::cast_unsigned));
    any_port(program, sources, [SRC, DST], leaving);
}

/// Ends with a verdict on a TCP segment whose header X points at, and whose addresses are at the
/// two offsets.
fn segments(
    program: &mut Assembler,
    sources: &[IpAddr],
    coverage: &Coverage,
    [src, dst]: [u32; 2],
    leaving: Leaving,
) {
    const FLAGS: u32 = 13;
    const RST: u32 = 4;
    const WINDOW: u32 = 14;
    // The port first: then the program grows by the sum of ports and addresses, not their product.
    let side = |address, port| {
        block(|program| {
            program.load(LOAD_HALF_X, port);
            program.ports(coverage);
            addressed(program, sources, address);
        })
    };
    let from_us = match leaving {
        Leaving::All => side(src, 0),
        Leaving::Resets => block(|program| {
            program.load(LOAD_BYTE_X, FLAGS);
            let reset = block(|program| {
                program.load(LOAD_HALF_X, WINDOW);
                program.when(IF_EQUAL, 0, &side(src, 0));
            });
            program.when(IF_BITS, RST, &reset);
            program.done(0);
        }),
    };
    by_direction(program, &from_us, &side(dst, 2));
}

/// Ends with a verdict on a packet whose ports cannot be read.
fn any_port(program: &mut Assembler, sources: &[IpAddr], [src, dst]: [u32; 2], leaving: Leaving) {
    let side = |address| block(|program| addressed(program, sources, address));
    let from_us = match leaving {
        Leaving::All => side(src),
        Leaving::Resets => block(|program| program.done(0)),
    };
    by_direction(program, &from_us, &side(dst));
}

fn by_direction(program: &mut Assembler, leaving: &[Instruction], arriving: &[Instruction]) {
    program.load(LOAD_WORD, PACKET_TYPE);
    program.when(IF_EQUAL, u32::from(libc::PACKET_OUTGOING), leaving);
    program.when(IF_EQUAL, u32::from(libc::PACKET_HOST), arriving);
    program.done(0);
}

/// Ends by accepting where the address at `offset` is one of `sources`, or else with a drop.
fn addressed(program: &mut Assembler, sources: &[IpAddr], offset: u32) {
    if sources.iter().any(IpAddr::is_unspecified) {
        return program.done(ACCEPT);
    }
    for source in sources {
        let octets = match source {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let words = octets
            .chunks_exact(4)
            .map(|word| word.iter().fold(0, |sum, &byte: &u8| sum << 8 | u32::from(byte)));
        // The last word's comparison guards the verdict, and every other one the next.
        let steps: Vec<_> = (offset..).step_by(4).zip(words).collect();
        let accept = block(|program| program.done(ACCEPT));
        let guarded = steps.into_iter().rev().fold(accept, |inner, (at, word)| {
            block(|program| {
                program.load(LOAD_WORD, at);
                program.when(IF_EQUAL, word, &inner);
            })
        });
        program.0.extend(guarded);
    }
    program.done(0);
}

pub(super) fn block(fill: impl FnOnce(&mut Assembler)) -> Vec<Instruction> {
    let mut assembler = Assembler::default();
    fill(&mut assembler);
    assembler.0
}

/// Puts instructions one after another. Blocks are position-independent, since classic BPF jumps
/// by distance and forwards only.
#[derive(Default)]
pub(super) struct Assembler(pub(super) Vec<Instruction>);

impl Assembler {
    fn push(&mut self, code: u16, operand: u32, yes: u8, no: u8) {
        self.0.push(Instruction { code, yes, no, operand });
    }

    pub(super) fn load(&mut self, code: u16, operand: u32) {
        self.push(code, operand, 0, 0);
    }

    pub(super) fn done(&mut self, verdict: u32) {
        self.push(RETURN, verdict, 0, 0);
    }

    /// Runs `then` where A compares with `operand`, or else goes on behind it. An unconditional
    /// jump crosses `then`, since a conditional one reaches only 255 instructions.
    pub(super) fn when(&mut self, comparison: u16, operand: u32, then: &[Instruction]) {
        self.push(comparison, operand, 1, 0);
        self.load(JUMP, u32::try_from(then.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(then);
    }

    /// Goes on where A is one of `values`, or else drops.
    fn accept_only(&mut self, values: impl ExactSizeIterator<Item = u32>) {
        let count = values.len();
        for (index, value) in values.enumerate() {
            // Over the rest of the comparisons and the drop.
            let yes = u8::try_from(count - index).unwrap_or(u8::MAX);
            self.push(IF_EQUAL, value, yes, 0);
        }
        self.done(0);
    }

    /// Goes on where the port in A is covered, or else drops.
    fn ports(&mut self, coverage: &Coverage) {
        match coverage {
            Coverage::Exact(ports) => self.accept_only(ports.iter().map(|&port| u32::from(port))),
            Coverage::Range(low, high) => {
                self.push(IF_AT_LEAST, u32::from(*low), 1, 0);
                self.done(0);
                self.push(IF_ABOVE, u32::from(*high), 0, 1);
                self.done(0);
            }
        }
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
pub(super) mod tests;
