//! The filter of a spare address: what is said about it, and nothing else. The sweep's own is
//! [`sweep_program`](crate::net::linux::filter::sweep_program).

use std::net::IpAddr;

use crate::net::linux::filter::{
    ACCEPT, Assembler, IF_EQUAL, Instruction, LOAD_BYTE, LOAD_WORD, block,
};

/// The program, for a cooked socket, that lets through the ARP packets which name a v4 address as
/// sender or target, and the neighbour solicitations and advertisements whose target is a v6 one.
#[must_use]
pub fn questions(address: IpAddr) -> Vec<Instruction> {
    block(|program| match address {
        IpAddr::V4(v4) => {
            for at in [14, 24] {
                program.load(LOAD_WORD, at);
                program.when(IF_EQUAL, v4.to_bits(), &accept());
            }
            program.done(0);
        }
        IpAddr::V6(v6) => {
            const NEXT_HEADER: u32 = 6;
            const TYPE: u32 = 40;
            const TARGET: u32 = 48;
            let words = v6.octets();
            let words = words
                .chunks_exact(4)
                .map(|word| word.iter().fold(0, |sum, &byte: &u8| sum << 8 | u32::from(byte)));
            let steps: Vec<_> = (TARGET..).step_by(4).zip(words).collect();
            let target = steps.into_iter().rev().fold(accept(), |inner, (at, word)| {
                block(|program| {
                    program.load(LOAD_WORD, at);
                    program.when(IF_EQUAL, word, &inner);
                })
            });
            program.load(LOAD_BYTE, NEXT_HEADER);
            let icmp = block(|program| {
                for kind in [135, 136] {
                    program.load(LOAD_BYTE, TYPE);
                    program.when(IF_EQUAL, kind, &target);
                }
            });
            program.when(IF_EQUAL, libc::IPPROTO_ICMPV6.cast_unsigned(), &icmp);
            program.done(0);
        }
    })
}

fn accept() -> Vec<Instruction> {
    block(|program: &mut Assembler| program.done(ACCEPT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::linux::bulk::questions::Message;
    use crate::net::linux::filter::tests::{Seen, run};

    fn passes(address: &str, bytes: &[u8]) -> bool {
        let program = questions(address.parse().unwrap());
        let kind = libc::PACKET_BROADCAST;
        run(&program, &Seen { bytes, kind, interface: 7 }).unwrap() > 0
    }

    #[test]
    fn what_names_the_address_passes_and_nothing_else() {
        for (ours, other) in [("192.0.2.9", "192.0.2.8"), ("2001:db8::9", "2001:db8:0:1::9")] {
            for message in [Message::probe, Message::announcement] {
                let about = message(ours.parse().unwrap(), [2; 6]).bytes;
                assert!(passes(ours, &about), "{ours}");
                assert!(!passes(other, &about), "{other}");
            }
            let mut segment = Message::probe(ours.parse().unwrap(), [2; 6]).bytes;
            if segment[0] >> 4 == 6 {
                segment[6] = 6;
                assert!(!passes(ours, &segment), "TCP");
                segment[6] = 58;
                segment[40] = 128;
                assert!(!passes(ours, &segment), "an echo request");
            }
            assert!(!passes(ours, &[0; 10]));
        }
    }
}
