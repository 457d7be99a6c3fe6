//! Addresses at which there never is a host that could complete a handshake.
//!
//! After the IANA registries of special-purpose addresses (RFC 6890, RFC 8190; their column
//! "Destination"), of multicast addresses and of the IPv6 address space. Private, shared, loopback,
//! link-local, benchmarking and documentation addresses are not among them: laboratories live there,
//! and whoever names them means them. Nor are the first and last address of a network, which are
//! hosts' in networks of other sizes (RFC 3021, RFC 4632).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::hosts::{AddrRange, HostSet};

/// A run of addresses without hosts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    first: IpAddr,
    last: IpAddr,
    /// What the addresses are, as in "10.0.0.0/8 is ...".
    pub what: &'static str,
    /// Where that is laid down.
    pub source: &'static str,
}

const fn v4(first: u32, last: u32, what: &'static str, source: &'static str) -> Block {
    let (first, last) = (Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last));
    Block { first: IpAddr::V4(first), last: IpAddr::V4(last), what, source }
}

const fn v6(first: u128, last: u128, what: &'static str, source: &'static str) -> Block {
    let (first, last) = (Ipv6Addr::from_bits(first), Ipv6Addr::from_bits(last));
    Block { first: IpAddr::V6(first), last: IpAddr::V6(last), what, source }
}

/// Every reserved block, in ascending order; no two overlap.
pub const BLOCKS: [Block; 13] = [
    v4(0, 0, "the unspecified address", "RFC 1122 §3.2.1.3"),
    v4(1, 0x00ff_ffff, "of 'this network'", "RFC 791 §3.2"),
    v4(0xc000_0008, 0xc000_0008, "the dummy address", "RFC 7600"),
    v4(0xc000_00aa, 0xc000_00ab, "for the discovery of NAT64", "RFC 8880"),
    v4(0xe000_0000, 0xefff_ffff, "multicast", "RFC 5771"),
    v4(0xf000_0000, 0xffff_fffe, "reserved for the future", "RFC 1112 §4"),
    v4(u32::MAX, u32::MAX, "the broadcast address", "RFC 919 §7"),
    v6(0, 0, "the unspecified address", "RFC 4291 §2.5.2"),
    // Between them lies ::1.
    v6(2, 0xffff_ffff, "IPv4-compatible, which is obsolete", "RFC 4291 §2.5.5.1"),
    v6(0xffff << 32, (1 << 48) - 1, "IPv4-mapped and never on the wire", "RFC 4291 §2.5.5.2"),
    v6(0x100 << 112, (0x100 << 112) + LOW_64, "for discarding", "RFC 6666"),
    v6(
        (0x100 << 112) + (1 << 64),
        (0x100 << 112) + (1 << 64) + LOW_64,
        "the dummy prefix",
        "RFC 9780",
    ),
    v6(0xff00 << 112, u128::MAX, "multicast", "RFC 4291 §2.7"),
];

const LOW_64: u128 = (1 << 64) - 1;

impl Block {
    /// Its addresses.
    #[must_use]
    pub fn range(&self) -> Option<AddrRange> {
        AddrRange::new(self.first, self.last)
    }
}

/// `224.0.0.0/4 (multicast, RFC 5771)`.
impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(range) = self.range() {
            write!(f, "{range} ")?;
        }
        write!(f, "({}, {})", self.what, self.source)
    }
}

/// The block in which all of `range` lies, or in which it begins where it lies in several that touch
/// each other; absent where the range has an address that may be a host's.
#[must_use]
pub fn wholly(range: AddrRange) -> Option<&'static Block> {
    let mut blocks = BLOCKS.iter().filter_map(|block| Some((block, block.range()?)));
    let (block, begins) = blocks.find(|(_, other)| other.contains(range.first()))?;
    let mut reached = begins.last();
    while reached < range.last() {
        let (_, next) = blocks.next().filter(|(_, next)| next.follows(reached))?;
        reached = next.last();
    }
    Some(block)
}

/// What was left out of a set of hosts because nothing can answer there.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Cut(Vec<(&'static Block, u128)>);

impl Cut {
    /// Each block that the set reached into, with the number of its addresses that were left out.
    #[must_use]
    pub fn blocks(&self) -> &[(&'static Block, u128)] {
        &self.0
    }

    /// How many addresses were left out.
    #[must_use]
    pub fn count(&self) -> u128 {
        self.0.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Whether nothing was left out.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One line: `16777216 addresses that are no host's: 0.0.0.0/8 (...), ...`.
impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.count() == 1 { "address that is" } else { "addresses that are" };
        write!(f, "{} {noun} no host's: ", self.count())?;
        for (at, (block, count)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{count} of {block}")?;
        }
        Ok(())
    }
}

/// `hosts` without what is reserved, and what that was.
#[must_use]
pub fn cut(hosts: &HostSet) -> (HostSet, Cut) {
    let ranges = || BLOCKS.iter().filter_map(|block| Some((block, block.range()?)));
    let counted = ranges().map(|(block, range)| (block, hosts.count_within(range)));
    let cut = Cut(counted.filter(|(_, count)| *count > 0).collect());
    if cut.is_empty() {
        return (hosts.clone(), cut);
    }
    (hosts.without(&ranges().map(|(_, range)| range).collect()), cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: &str, last: &str) -> AddrRange {
        AddrRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
    }

    fn single(addr: &str) -> AddrRange {
        AddrRange::single(addr.parse().unwrap())
    }

    #[test]
    fn blocks_are_in_order_and_whole() {
        let ranges: Vec<_> = BLOCKS.iter().map(|block| block.range().unwrap()).collect();
        for pair in ranges.windows(2) {
            assert!(pair[0].last() < pair[1].first(), "{pair:?}");
        }
        let shown: Vec<_> = BLOCKS.iter().map(ToString::to_string).collect();
        assert!(shown.contains(&"224.0.0.0/4 (multicast, RFC 5771)".to_owned()), "{shown:#?}");
        assert!(shown.contains(&"ff00::/8 (multicast, RFC 4291 §2.7)".to_owned()));
        assert!(shown.iter().any(|block| block.starts_with("::ffff:0.0.0.0/96 ")), "{shown:#?}");
        assert!(shown.iter().any(|block| block.starts_with("100::/64 ")));
        assert!(shown.iter().any(|block| block.starts_with("100:0:0:1::/64 ")));
    }

    #[test]
    fn what_never_is_a_host_is_known_with_its_reason() {
        for (addr, what) in [
            ("0.0.0.0", "the unspecified address"),
            ("0.1.2.3", "of 'this network'"),
            ("192.0.0.8", "the dummy address"),
            ("192.0.0.170", "for the discovery of NAT64"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("240.0.0.1", "reserved for the future"),
            ("255.255.255.255", "the broadcast address"),
            ("::", "the unspecified address"),
            ("::192.0.2.1", "IPv4-compatible, which is obsolete"),
            ("::ffff:192.0.2.1", "IPv4-mapped and never on the wire"),
            ("100::1", "for discarding"),
            ("100:0:0:1::1", "the dummy prefix"),
            ("ff02::1", "multicast"),
        ] {
            assert_eq!(wholly(single(addr)).map(|block| block.what), Some(what), "{addr}");
        }
        assert_eq!(wholly(range("224.0.0.0", "255.255.255.255")).unwrap().what, "multicast");
        assert_eq!(wholly(range("0.0.0.0", "0.255.255.255")).unwrap().source, "RFC 1122 §3.2.1.3");
    }

    #[test]
    fn whatever_somebody_may_live_at_is_allowed() {
        for addr in [
            "1.0.0.0",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "192.0.0.1",
            "192.0.0.9",
            "192.0.2.1",
            "192.168.0.255",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "223.255.255.255",
            "::1",
            "64:ff9b::1",
            "100:0:0:2::",
            "2001:db8::1",
            "3fff::1",
            "fd00::1",
            "fe80::1",
            "feff::1",
            "::1:0:0",
        ] {
            assert_eq!(wholly(single(addr)), None, "{addr}");
        }
        for (first, last) in [("223.0.0.0", "239.0.0.0"), ("::", "::2"), ("fe00::", "ffff::")] {
            assert_eq!(wholly(range(first, last)), None, "{first}-{last}");
        }
    }

    #[test]
    fn a_larger_range_is_cut_and_the_cut_is_told() {
        let (left, gone) = cut(&[range("0.0.0.0", "255.255.255.255")].into_iter().collect());
        assert_eq!(left.count() + gone.count(), 1 << 32);
        assert_eq!(left.count(), (1 << 32) - (1 << 24) - (1 << 29) - 3);
        assert_eq!(left.nth(0), Some("1.0.0.0".parse().unwrap()));

        let hosts: HostSet =
            [range("223.255.255.254", "224.0.0.1"), range("::", "::1")].into_iter().collect();
        let (left, gone) = cut(&hosts);
        let shown: Vec<_> = left.ranges().map(|range| range.to_string()).collect();
        assert_eq!(shown, ["223.255.255.254/31", "::1"]);
        assert_eq!(
            gone.to_string(),
            "3 addresses that are no host's: 2 of 224.0.0.0/4 (multicast, RFC 5771), \
             1 of :: (the unspecified address, RFC 4291 §2.5.2)"
        );

        let private: HostSet = [range("10.0.0.0", "10.0.0.255")].into_iter().collect();
        let (left, gone) = cut(&private);
        assert_eq!(left, private);
        assert!(gone.is_empty());
        assert_eq!(gone.count(), 0);
    }
}
