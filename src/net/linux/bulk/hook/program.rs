//! The program at the interface: which packets are taken before the kernel's own TCP sees them.
//!
//! It takes TCP to one of our addresses and ports, and nothing else: fragments, headers with IP
//! options, other protocols and everybody else's packets go on as if it were not there.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::os::fd::RawFd;

use crate::net::linux::bulk::link;

/// An instruction of eBPF, as the kernel reads it.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Instruction {
    code: u8,
    /// Destination in the lower half, source in the upper one.
    registers: u8,
    offset: i16,
    operand: i32,
}

/// Sizes of a load, as in its code.
const WORD: u8 = 0x61;
const HALF: u8 = 0x69;
const BYTE: u8 = 0x71;

/// `struct xdp_md`.
const DATA: i16 = 0;
const DATA_END: i16 = 4;
const QUEUE: i16 = 16;

/// What the program may say, and what redirecting says.
const PASS: i32 = 2;
const REDIRECT: i32 = 4;

/// Functions of the kernel.
const KTIME_GET_NS: i32 = 5;
const REDIRECT_MAP: i32 = 51;

const ETHERNET: i16 = link::ETHERNET as i16;
const TCP: i32 = 6;

/// Places in the program that are jumped to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Label {
    V6,
    Port,
    Pass,
}

/// A program that is being written. Registers: 2 is where the packet begins, 3 where it ends, 5 what was
/// read of it; 6 and 7 keep the context and the beginning across calls.
#[derive(Default)]
struct Writer {
    code: Vec<Instruction>,
    jumps: Vec<(usize, Label)>,
    places: Vec<(Label, usize)>,
}

impl Writer {
    fn put(&mut self, code: u8, to: u8, from: u8, offset: i16, operand: i32) {
        self.code.push(Instruction { code, registers: from << 4 | to, offset, operand });
    }

    fn here(&mut self, label: Label) {
        self.places.push((label, self.code.len()));
    }

    fn jump(&mut self, code: u8, left: u8, right: u8, operand: i32, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.put(code, left, right, 0, operand);
    }

    fn copy(&mut self, to: u8, from: u8) {
        self.put(0xbf, to, from, 0, 0);
    }

    fn set(&mut self, to: u8, operand: i32) {
        self.put(0xb7, to, 0, 0, operand);
    }

    fn call(&mut self, function: i32) {
        self.put(0x85, 0, 0, 0, function);
    }

    fn exit(&mut self) {
        self.put(0x95, 0, 0, 0, 0);
    }

    /// Passes on what is shorter than `len` bytes: the kernel lets nothing be read that was not shown to
    /// be there.
    fn demand(&mut self, len: i16) {
        self.copy(4, 2);
        self.put(0x07, 4, 0, 0, len.into());
        self.jump(0x2d, 4, 3, 0, Label::Pass);
    }

    /// Reads from the packet.
    fn read(&mut self, size: u8, at: i16) {
        self.put(size, 5, 2, at, 0);
    }

    /// Goes elsewhere unless what was read is this, byte for byte.
    fn unless(&mut self, bytes: [u8; 4], label: Label) {
        self.jump(0x56, 5, 0, i32::from_ne_bytes(bytes), label);
    }

    /// Reads a byte, and passes on whatever has another.
    fn want_byte(&mut self, at: i16, wanted: i32) {
        self.read(BYTE, at);
        self.jump(0x56, 5, 0, wanted, Label::Pass);
    }

    /// Where the jumps go is only known at the end.
    fn finish(mut self) -> Vec<Instruction> {
        for (from, label) in self.jumps {
            let place = self.places.iter().find(|(it, _)| *it == label).map_or(from, |it| it.1);
            // From the instruction behind it; a hundred at most.
            self.code[from].offset = i16::try_from(place.saturating_sub(from + 1)).unwrap_or(0);
        }
        self.code
    }
}

/// The first two bytes of a word that was read as half of one.
fn half(value: u16) -> [u8; 4] {
    u32::from(u16::from_ne_bytes(value.to_be_bytes())).to_ne_bytes()
}

/// The program that gives what is for `sources` and `ports` to the socket in `map` that listens at the
/// queue, and writes the time into the first eight bytes of the frame, nanoseconds of the monotonic
/// clock: addresses of the link, which nobody needs any more. A queue without a socket keeps its
/// packets.
pub(super) fn program(
    map: RawFd,
    sources: &[IpAddr],
    ports: &RangeInclusive<u16>,
) -> Vec<Instruction> {
    let mut write = Writer::default();
    write.copy(6, 1);
    write.put(WORD, 2, 1, DATA, 0);
    write.put(WORD, 3, 1, DATA_END, 0);
    // The shorter of the two: Ethernet, IPv4 and TCP.
    write.demand(ETHERNET + 20 + 20);
    write.read(HALF, 12);
    write.unless(half(0x0800), Label::V6);
    for source in sources {
        let IpAddr::V4(source) = source else { continue };
        // No options, no fragment.
        write.want_byte(ETHERNET, 0x45);
        write.read(HALF, ETHERNET + 6);
        write.put(0x57, 5, 0, 0, i32::from_ne_bytes(half(0x3fff)));
        write.unless(half(0), Label::Pass);
        write.want_byte(ETHERNET + 9, TCP);
        write.read(WORD, ETHERNET + 16);
        write.unless(source.octets(), Label::Pass);
        write.read(HALF, ETHERNET + 20 + 2);
        write.jump(0x05, 0, 0, 0, Label::Port);
    }
    if !sources.iter().any(IpAddr::is_ipv4) {
        write.jump(0x05, 0, 0, 0, Label::Pass);
    }
    write.here(Label::V6);
    for source in sources {
        let IpAddr::V6(source) = source else { continue };
        write.unless(half(0x86dd), Label::Pass);
        write.demand(ETHERNET + 40 + 20);
        write.want_byte(ETHERNET + 6, TCP);
        for (place, word) in (ETHERNET + 24..).step_by(4).zip(source.octets().chunks_exact(4)) {
            write.read(WORD, place);
            write.unless([word[0], word[1], word[2], word[3]], Label::Pass);
        }
        write.read(HALF, ETHERNET + 40 + 2);
    }
    // The kernel takes no program with a part that cannot be reached.
    if !sources.iter().any(IpAddr::is_ipv6) {
        write.jump(0x05, 0, 0, 0, Label::Pass);
    }
    write.here(Label::Port);
    // To host order.
    write.put(0xdc, 5, 0, 0, 16);
    write.jump(0xa5, 5, 0, i32::from(*ports.start()), Label::Pass);
    write.jump(0x25, 5, 0, i32::from(*ports.end()), Label::Pass);
    write.copy(7, 2);
    // The map's descriptor takes two instructions.
    write.put(0x18, 1, 1, 0, map);
    write.put(0, 0, 0, 0, 0);
    write.put(WORD, 2, 6, QUEUE, 0);
    // What it says where the queue has no socket.
    write.set(3, PASS);
    write.call(REDIRECT_MAP);
    write.jump(0x55, 0, 0, REDIRECT, Label::Pass);
    write.call(KTIME_GET_NS);
    write.put(0x7b, 7, 0, 0, 0);
    write.set(0, REDIRECT);
    write.exit();
    write.here(Label::Pass);
    write.set(0, PASS);
    write.exit();
    write.finish()
}
