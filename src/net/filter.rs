//! Classic BPF programs, and the small assembler that makes them.

use std::collections::HashMap;
use std::net::IpAddr;

/// More ports than this are matched by address alone, and told apart by whoever receives: jumps of
/// classic BPF reach 255 instructions.
const MAX_EXACT_PORTS: usize = 64;
/// What a filter returns to keep a packet whole.
const KEEP: u32 = 0x0004_0000;
/// The kernel's extension that loads the number of the interface (`SKF_AD_OFF + SKF_AD_IFINDEX`).
const INTERFACE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_IFINDEX).cast_unsigned();

/// A place in a program.
type Label = &'static str;

/// Builds a program whose jumps are written as labels.
#[derive(Default)]
struct Assembler {
    code: Vec<(u32, u32, Option<(Label, Label)>)>,
    labels: HashMap<Label, usize>,
}

/// The label of the instruction that follows.
const NEXT: Label = "";

impl Assembler {
    fn statement(&mut self, code: u32, k: u32) -> &mut Self {
        self.code.push((code, k, None));
        self
    }

    fn word(&mut self, at: u32) -> &mut Self {
        self.statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at)
    }

    fn byte(&mut self, at: u32) -> &mut Self {
        self.statement(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, at)
    }

    /// Jumps to `yes` if the accumulator is `k`, else to `no`.
    fn equal(&mut self, k: u32, yes: Label, no: Label) -> &mut Self {
        self.code.push((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, k, Some((yes, no))));
        self
    }

    fn label(&mut self, label: Label) -> &mut Self {
        self.labels.insert(label, self.code.len());
        self
    }

    /// Compares the address at `at` with `address`: falls through if they are the same.
    fn address(&mut self, at: u32, address: IpAddr, no: Label) -> &mut Self {
        let octets = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        for (offset, word) in (at..).step_by(4).zip(octets.chunks_exact(4)) {
            let word = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
            self.word(offset).equal(word, NEXT, no);
        }
        self
    }

    /// Keeps the packet if the port at `at` behind the transport header's start is one of `ports`;
    /// an empty list stands for all.
    fn port(&mut self, load: u32, at: u32, ports: &[u16], no: Label) -> &mut Self {
        if ports.is_empty() || ports.len() > MAX_EXACT_PORTS {
            return self.statement(libc::BPF_RET | libc::BPF_K, KEEP);
        }
        self.statement(libc::BPF_LD | libc::BPF_H | load, at);
        let (last, others) = match ports.split_last() {
            Some(split) => split,
            None => return self,
        };
        for port in others {
            self.equal(u32::from(*port), "keep", NEXT);
        }
        self.equal(u32::from(*last), "keep", no)
    }

    fn finish(&self) -> Vec<libc::sock_filter> {
        let offset = |from: usize, label: Label| -> u8 {
            let to =
                if label == NEXT { from + 1 } else { self.labels.get(label).copied().unwrap_or(0) };
            // Every program here is far below 255 instructions; a test runs each of them.
            u8::try_from(to.saturating_sub(from + 1)).unwrap_or(u8::MAX)
        };
        let assemble = |(at, &(code, k, jump)): (usize, &(u32, u32, Option<(Label, Label)>))| {
            let (jt, jf) = jump.map_or((0, 0), |(yes, no)| (offset(at, yes), offset(at, no)));
            #[allow(clippy::cast_possible_truncation)] // all of BPF's codes are below 256
            let code = code as u16;
            libc::sock_filter { code, jt, jf, k }
        };
        self.code.iter().enumerate().map(assemble).collect()
    }
}

/// Drops everything: what makes a listening socket deaf.
pub(crate) fn deaf() -> Vec<libc::sock_filter> {
    Assembler::default().statement(libc::BPF_RET | libc::BPF_K, 0).finish()
}

/// Keeps, of a cooked capture of every interface, what concerns `local` and `ports`: TCP to and from
/// them on `interface`, and ICMP to `local` on it or on `loopback`, where our own kernel reports
/// a neighbour that does not answer.
pub(crate) fn capture(
    local: IpAddr,
    ports: &[u16],
    interface: u32,
    loopback: u32,
) -> Vec<libc::sock_filter> {
    let mut asm = Assembler::default();
    match local {
        IpAddr::V4(_) => capture_v4(&mut asm, local, ports, interface, loopback),
        IpAddr::V6(_) => capture_v6(&mut asm, local, ports, interface, loopback),
    }
    asm.label("keep").statement(libc::BPF_RET | libc::BPF_K, KEEP);
    asm.label("drop").statement(libc::BPF_RET | libc::BPF_K, 0);
    asm.finish()
}

fn capture_v4(asm: &mut Assembler, local: IpAddr, ports: &[u16], interface: u32, loopback: u32) {
    let header_length = libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH;
    asm.byte(0).statement(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 4).equal(4, NEXT, "drop");
    asm.byte(9).equal(libc::IPPROTO_ICMP.cast_unsigned(), "icmp", NEXT);
    asm.equal(libc::IPPROTO_TCP.cast_unsigned(), NEXT, "drop");
    asm.word(INTERFACE).equal(interface, NEXT, "drop");
    // From us: by its source port; to us: by its destination port. To ourselves: by either.
    asm.address(12, local, "to us").statement(header_length, 0);
    asm.port(libc::BPF_IND, 0, ports, "to us");
    asm.label("to us").address(16, local, "drop").statement(header_length, 0);
    asm.port(libc::BPF_IND, 2, ports, "drop");
    asm.label("icmp").word(INTERFACE).equal(interface, "icmp here", NEXT);
    asm.equal(loopback, NEXT, "drop");
    asm.label("icmp here").address(16, local, "drop").statement(header_length, 0);
    asm.statement(libc::BPF_LD | libc::BPF_B | libc::BPF_IND, 0);
    for icmp_type in [4, 5, 11, 12] {
        asm.equal(icmp_type, "keep", NEXT);
    }
    asm.equal(3, "keep", "drop");
}

fn capture_v6(asm: &mut Assembler, local: IpAddr, ports: &[u16], interface: u32, loopback: u32) {
    asm.byte(0).statement(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 4).equal(6, NEXT, "drop");
    asm.byte(6).equal(libc::IPPROTO_TCP.cast_unsigned(), "tcp", NEXT);
    asm.equal(libc::IPPROTO_ICMPV6.cast_unsigned(), "icmp", NEXT);
    // Extension headers: rare, and walked over by whoever receives.
    for header in [libc::IPPROTO_HOPOPTS, libc::IPPROTO_ROUTING, libc::IPPROTO_FRAGMENT] {
        asm.equal(header.cast_unsigned(), "to us, any", NEXT);
    }
    asm.equal(libc::IPPROTO_DSTOPTS.cast_unsigned(), "to us, any", "drop");
    asm.label("to us, any").word(INTERFACE).equal(interface, NEXT, "drop");
    asm.address(24, local, "drop").statement(libc::BPF_RET | libc::BPF_K, KEEP);
    asm.label("tcp").word(INTERFACE).equal(interface, NEXT, "drop");
    asm.address(8, local, "to us").port(libc::BPF_ABS, 40, ports, "to us");
    asm.label("to us").address(24, local, "drop").port(libc::BPF_ABS, 42, ports, "drop");
    asm.label("icmp").word(INTERFACE).equal(interface, "icmp here", NEXT);
    asm.equal(loopback, NEXT, "drop");
    asm.label("icmp here").address(24, local, "drop");
    // Types below 128 are errors (RFC 4443 §2.1); the rest is neighbour discovery and echo.
    asm.byte(40);
    asm.code.push((libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 128, Some(("drop", "keep"))));
}
