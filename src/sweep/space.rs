//! The space of a sweep: every port of every host, numbered.

use std::fmt;
use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use super::hosts::HostSet;
use super::ports::PortSet;

/// The most targets of a space, so that arithmetic on positions never comes near the end of a u64.
pub const MAX_TARGETS: u64 = 1 << 62;

/// One port of one host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Target {
    /// The host.
    pub addr: IpAddr,
    /// The port, from 1.
    pub port: u16,
}

/// `192.0.2.1:80`, `[2001:db8::1]:80`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.addr {
            IpAddr::V4(addr) => write!(f, "{addr}:{}", self.port),
            IpAddr::V6(addr) => write!(f, "[{addr}]:{}", self.port),
        }
    }
}

/// Why hosts and ports make no space.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SpaceError {
    /// No host is left.
    #[error("no host is left to sweep: what was named is excluded or reserved")]
    NoHosts,
    /// There is no port.
    #[error("there is no port to sweep: name some, as in -p 443")]
    NoPorts,
    /// More than [`MAX_TARGETS`].
    #[error(
        "{hosts} addresses × {ports} ports are more targets than one sweep can number (2^62): name a smaller range"
    )]
    TooLarge {
        /// Addresses.
        hosts: u128,
        /// Ports of each.
        ports: u32,
    },
}

/// Hosts × ports, each target with its number: `host × ports + port`, hosts and ports counted from 0
/// in ascending order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Space {
    hosts: HostSet,
    ports: PortSet,
    host_count: u64,
}

impl Space {
    /// The space of every port in `ports` of every host in `hosts`.
    ///
    /// # Errors
    /// It would be empty, or have more than [`MAX_TARGETS`] targets.
    pub fn new(hosts: HostSet, ports: PortSet) -> Result<Self, SpaceError> {
        if hosts.is_empty() {
            return Err(SpaceError::NoHosts);
        }
        if ports.count() == 0 {
            return Err(SpaceError::NoPorts);
        }
        let too_large = SpaceError::TooLarge { hosts: hosts.count(), ports: ports.count() };
        let host_count = u64::try_from(hosts.count()).map_err(|_| too_large)?;
        match host_count.checked_mul(ports.count().into()) {
            Some(len) if len <= MAX_TARGETS => Ok(Self { hosts, ports, host_count }),
            _ => Err(too_large),
        }
    }

    /// How many targets there are; at least one.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.host_count * u64::from(self.ports())
    }

    /// Never: a space has at least one target.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.host_count == 0
    }

    /// How many hosts there are.
    #[must_use]
    pub const fn hosts(&self) -> u64 {
        self.host_count
    }

    /// How many ports of each host there are.
    #[must_use]
    pub fn ports(&self) -> u32 {
        self.ports.count()
    }

    /// The hosts.
    #[must_use]
    pub const fn host_set(&self) -> &HostSet {
        &self.hosts
    }

    /// The ports of each host.
    #[must_use]
    pub const fn port_set(&self) -> &PortSet {
        &self.ports
    }

    /// The target with number `index`, which must be below [`Space::len`]; numbers behind it count as
    /// the last one.
    #[must_use]
    #[inline]
    pub fn target(&self, index: u64) -> Target {
        debug_assert!(index < self.len(), "index {index} of {}", self.len());
        let ports = u64::from(self.ports());
        let index = index.min(self.len() - 1);
        let (host, port) = if ports == 1 { (index, 0) } else { (index / ports, index % ports) };
        // Both are in range by what `new` checked.
        let addr = self.hosts.nth(host).unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        Target { addr, port: self.ports.as_slice()[port as usize] }
    }

    /// The number of `target`; absent where it does not belong to the space.
    #[must_use]
    #[inline]
    pub fn index_of(&self, target: Target) -> Option<u64> {
        let port = self.ports.index_of(target.port)?;
        Some(self.hosts.index_of(target.addr)? * u64::from(self.ports()) + u64::from(port))
    }

    /// The disjoint ranges of hosts, ascending, each by its first and last address.
    pub fn ranges(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> + '_ {
        self.hosts.ranges().map(|range| (range.first(), range.last()))
    }

    /// A fingerprint of the set of targets, the same on every machine and in every version, however
    /// the set was written.
    ///
    /// It is SipHash-2-4 with a key of sixteen zero bytes of this text, all numbers big-endian:
    ///
    /// 1. the 16 bytes `shakedown space1`;
    /// 2. the number of IPv4 ranges in 8 bytes; of each its first and last address, in 4 bytes each;
    /// 3. the number of IPv6 ranges in 8 bytes; of each its first and last address, in 16 bytes each;
    /// 4. the number of ports in 8 bytes; each port in 2 bytes.
    ///
    /// Ranges are as long as possible, so that no two overlap or touch; ranges and ports ascend.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hash = SipHasher24::new_with_keys(0, 0);
        hash.write(b"shakedown space1");
        for v4 in [true, false] {
            let ranges = || self.ranges().filter(|(first, _)| first.is_ipv4() == v4);
            hash.write(&(ranges().count() as u64).to_be_bytes());
            for end in ranges().flat_map(|(first, last)| [first, last]) {
                match end {
                    IpAddr::V4(addr) => hash.write(&addr.octets()),
                    IpAddr::V6(addr) => hash.write(&addr.octets()),
                }
            }
        }
        hash.write(&u64::from(self.ports()).to_be_bytes());
        for port in self.ports.as_slice() {
            hash.write(&port.to_be_bytes());
        }
        hash.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::hosts::AddrRange;

    fn space(ranges: &[(&str, &str)], ports: &[u16]) -> Result<Space, SpaceError> {
        let addr = |text: &str| text.parse::<IpAddr>().unwrap();
        let ranges =
            ranges.iter().map(|(first, last)| AddrRange::new(addr(first), addr(last)).unwrap());
        Space::new(ranges.collect(), ports.iter().copied().collect())
    }

    #[test]
    fn every_target_has_its_number() {
        let space = space(&[("10.0.0.1", "10.0.0.3"), ("::1", "::2")], &[443, 80]).unwrap();
        assert_eq!((space.len(), space.hosts(), space.ports()), (10, 5, 2));
        let all: Vec<_> = (0..10).map(|index| space.target(index).to_string()).collect();
        assert_eq!(all[..3], ["10.0.0.1:80", "10.0.0.1:443", "10.0.0.2:80"]);
        assert_eq!(all[9], "[::2]:443");
        for index in 0..10 {
            assert_eq!(space.index_of(space.target(index)), Some(index));
        }
        let other = |addr: &str, port| Target { addr: addr.parse().unwrap(), port };
        for foreign in [other("10.0.0.4", 80), other("10.0.0.1", 81), other("::3", 80)] {
            assert_eq!(space.index_of(foreign), None, "{foreign}");
        }
        assert_eq!(space.ranges().count(), 2);
    }

    #[test]
    fn what_is_no_space_says_why() {
        let why = |space: Result<Space, SpaceError>| space.unwrap_err().to_string();
        assert!(why(space(&[], &[80])).starts_with("no host is left"));
        assert!(why(space(&[("::1", "::1")], &[])).starts_with("there is no port"));
        let most = ("2001:db8::", "2001:db8::3fff:ffff:ffff:ffff");
        assert_eq!(space(&[most], &[80]).map(|space| space.len()), Ok(MAX_TARGETS));
        assert_eq!(
            why(space(&[most], &[80, 81])),
            "4611686018427387904 addresses × 2 ports are more targets than one sweep can number \
             (2^62): name a smaller range"
        );
        let all = ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        assert!(why(space(&[all], &[80])).ends_with("name a smaller range"));
    }

    #[test]
    fn the_fingerprint_is_of_the_set_and_never_changes() {
        let ranges = [("10.0.0.0", "10.0.0.255"), ("2001:db8::1", "2001:db8::9")];
        let space_of = |ranges: &[_], ports: &[_]| space(ranges, ports).unwrap().fingerprint();
        let pinned = space_of(&ranges, &[80, 443]);
        let parts = [
            ("2001:db8::4", "2001:db8::9"),
            ("10.0.0.128", "10.0.0.255"),
            ("10.0.0.0", "10.0.0.200"),
            ("2001:db8::1", "2001:db8::3"),
        ];
        assert_eq!(space_of(&parts, &[443, 80, 80]), pinned, "however it is written");
        // By the definition, in one piece.
        let mut text = b"shakedown space1".to_vec();
        text.extend([0, 0, 0, 0, 0, 0, 0, 1, 10, 0, 0, 0, 10, 0, 0, 255]);
        text.extend([0, 0, 0, 0, 0, 0, 0, 1]);
        for end in [1, 9] {
            text.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
        }
        text.extend([0, 0, 0, 0, 0, 0, 0, 2, 0, 80, 1, 187]);
        assert_eq!(SipHasher24::new_with_keys(0, 0).hash(&text), pinned);
        assert_eq!(
            pinned, 16_259_387_870_416_814_819,
            "reports and checkpoints of older versions carry it"
        );
        for other in [
            space_of(&ranges, &[80, 444]),
            space_of(&ranges[..1], &[80, 443]),
            space_of(&ranges, &[80]),
        ] {
            assert_ne!(other, pinned);
        }
    }
}
