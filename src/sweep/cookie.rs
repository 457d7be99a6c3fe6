//! The keyed hash that stands for the memory of a probe.

use std::fmt;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use super::space::Target;
use crate::wire::SeqNum;

/// Bytes of the longest thing that is hashed: two IPv6 addresses and two ports.
const LONGEST: usize = 36;

/// What makes the initial sequence number of every probe a proof that the probe was ours.
///
/// The ISN is a SipHash-2-4 of the four-tuple under 16 secret bytes, which is what RFC 6528 §3 asks
/// of an ISN, less its clock: a probe that is repeated has the same one, so that an answer to any of
/// them proves itself. Whoever does not see our packets cannot do better than guess: 32 bits for an
/// acknowledgment of the SYN, whatever else it has seen of other targets.
#[derive(Clone)]
pub struct Cookie(SipHasher24);

impl Cookie {
    /// Cookies under this secret. Draw it from the kernel's randomness.
    #[must_use]
    pub fn new(secret: [u8; 16]) -> Self {
        Self(SipHasher24::new_with_key(&secret))
    }

    /// The initial sequence number of the probe from this source to this target.
    #[must_use]
    pub fn isn(&self, source: IpAddr, source_port: u16, target: Target) -> SeqNum {
        let mut tuple = Tuple::new();
        tuple.address(source);
        tuple.address(target.addr);
        tuple.ports(source_port, target.port);
        let [_, _, _, _, a, b, c, d] = self.0.hash(tuple.bytes()).to_be_bytes();
        SeqNum(u32::from_be_bytes([a, b, c, d]))
    }

    /// Which of `n` source ports the target is asked from; 0 where there is none.
    ///
    /// It is hashed apart from the ISN: whoever knows the one has learnt nothing of the other.
    #[must_use]
    pub fn pick(&self, target: Target, n: usize) -> usize {
        if n < 2 {
            return 0;
        }
        // The lengths 8 and 20 keep this apart from the tuples of 12 and 36: SipHash hashes the length.
        let mut tuple = Tuple::new();
        tuple.address(target.addr);
        tuple.ports(target.port, 0);
        // The high half of the product: no division, and a bias of n / 2^64.
        let product = u128::from(self.0.hash(tuple.bytes())) * n as u128;
        usize::try_from(product >> 64).unwrap_or(0)
    }
}

/// Says nothing of the secret.
impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie")
    }
}

/// Bytes to be hashed.
struct Tuple {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Tuple {
    const fn new() -> Self {
        Self { bytes: [0; LONGEST], len: 0 }
    }

    fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.push(address.octets()),
            IpAddr::V6(address) => self.push(address.octets()),
        }
    }

    fn ports(&mut self, first: u16, second: u16) {
        let [[a, b], [c, d]] = [first.to_be_bytes(), second.to_be_bytes()];
        self.push([a, b, c, d]);
    }

    fn push<const N: usize>(&mut self, more: [u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(&more);
        self.len += N;
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn target(addr: &str, port: u16) -> Target {
        Target { addr: addr.parse().unwrap(), port }
    }

    #[test]
    fn every_part_of_the_tuple_and_the_secret_count() {
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        let base = target("198.51.100.7", 443);
        let cookie = Cookie::new([7; 16]);
        let isn = cookie.isn(here, 40000, base);
        assert_eq!(isn, Cookie::new([7; 16]).isn(here, 40000, base), "the same for the same");
        let others = [
            Cookie::new([8; 16]).isn(here, 40000, base),
            cookie.isn("192.0.2.2".parse().unwrap(), 40000, base),
            cookie.isn(here, 40001, base),
            cookie.isn(here, 40000, target("198.51.100.8", 443)),
            cookie.isn(here, 40000, target("198.51.100.7", 444)),
            cookie.isn(here, 443, target("198.51.100.7", 40000)),
            cookie.isn(base.addr, 40000, Target { addr: here, port: 443 }),
        ];
        assert!(others.iter().all(|other| *other != isn), "{others:?} {isn}");
    }

    #[test]
    fn isns_of_neighbours_are_spread() {
        let cookie = Cookie::new(*b"0123456789abcdef");
        for (here, prefix) in [("192.0.2.1", "10.0.0."), ("2001:db8::1", "2001:db8:1::")] {
            let here = here.parse().unwrap();
            let isns: HashSet<_> = (0..=99)
                .flat_map(|host| (1..=100).map(move |port| (host, port)))
                .map(|(host, port)| {
                    cookie.isn(here, 40000, target(&format!("{prefix}{host}"), port))
                })
                .collect();
            // Of 10,000 draws from 2^32, 0.01 are expected to meet another.
            assert!(isns.len() >= 9998, "{}", isns.len());
        }
    }

    #[test]
    fn source_ports_are_shared_out_evenly() {
        let cookie = Cookie::new([1; 16]);
        let mut counts = [0_u32; 7];
        for port in 0..7000 {
            counts[cookie.pick(target("2001:db8::5", port), 7)] += 1;
        }
        // 1000 each, with a standard deviation of 29.
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        assert_eq!(cookie.pick(target("192.0.2.1", 1), 1), 0);
        assert_eq!(cookie.pick(target("192.0.2.1", 1), 0), 0);
    }

    #[test]
    fn the_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Cookie::new([9; 16])), "Cookie");
    }
}
