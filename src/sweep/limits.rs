//! How many SYNs a second one host, or one network, is sent at most: a hard limit in bounded memory.
//!
//! For each host and for each network (/24, or /64 in IPv6), SYNs leave at least one interval apart,
//! so that no window of a second holds more than the limit. What is remembered is when the next may
//! leave, in two places of a table of fixed size that a keyed hash chooses; the earlier of the two
//! counts, because both are at least as late as the truth. Where others share both places, a host
//! waits longer than it had to, never shorter. At the default of 2^18 places that happens to one SYN
//! of 100 when 25,000 hosts were sent to within one interval.
//!
//! Ask at the moment of sending: a place in line is no permission.

use std::net::IpAddr;
use std::time::Duration;

use crate::time::Instant;

/// Places of a table at the default, two instants each: 4 MiB.
pub const PLACES: usize = 1 << 18;

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Limits {
    hosts: Option<Table>,
    nets: Option<Table>,
}

impl Limits {
    /// At most so many SYNs a second to a host and to a network, where given; from 1. `key` is any
    /// random number.
    #[must_use]
    pub fn new(per_host: Option<u64>, per_net: Option<u64>, key: u64) -> Self {
        Self::with_places(per_host, per_net, key, PLACES)
    }

    /// The same, with tables of another size.
    #[must_use]
    pub fn with_places(
        per_host: Option<u64>,
        per_net: Option<u64>,
        key: u64,
        places: usize,
    ) -> Self {
        let table = |rate: u64, key| Table::new(rate, key, places);
        Self {
            hosts: per_host.map(|rate| table(rate, key)),
            nets: per_net.map(|rate| table(rate, !key)),
        }
    }

    /// Whether there is no limit at all.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.hosts.is_none() && self.nets.is_none()
    }

    /// When a SYN to `addr` may leave; not before `now`.
    #[must_use]
    pub fn earliest(&self, addr: IpAddr, now: Instant) -> Instant {
        let host = self.hosts.as_ref().map_or(now, |table| table.earliest(host_of(addr)));
        let net = self.nets.as_ref().map_or(now, |table| table.earliest(net_of(addr)));
        host.max(net).max(now)
    }

    /// Sends a SYN to `addr` now, if it may leave.
    ///
    /// # Errors
    /// It may not before then.
    pub fn take(&mut self, addr: IpAddr, now: Instant) -> Result<(), Instant> {
        let earliest = self.earliest(addr, now);
        if earliest > now {
            return Err(earliest);
        }
        self.left(addr, now);
        Ok(())
    }

    /// A SYN to `addr` that was taken has left by now, which may be a while after: the next waits for a
    /// whole interval from here.
    pub fn left(&mut self, addr: IpAddr, now: Instant) {
        if let Some(table) = &mut self.hosts {
            table.take(host_of(addr), now);
        }
        if let Some(table) = &mut self.nets {
            table.take(net_of(addr), now);
        }
    }

    /// A place in the line of those that wait for `addr`: a time at which it is worth asking again,
    /// each caller at another one. Only [`Limits::take`] decides.
    pub fn line_up(&mut self, addr: IpAddr, now: Instant) -> Instant {
        let mut at = self.earliest(addr, now);
        if let Some(table) = &mut self.hosts {
            at = table.line_up(host_of(addr), at);
        }
        if let Some(table) = &mut self.nets {
            at = table.line_up(net_of(addr), at);
        }
        at
    }
}

fn host_of(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => u128::from(addr.to_bits()),
        IpAddr::V6(addr) => addr.to_bits(),
    }
}

fn net_of(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => u128::from(addr.to_bits() >> 8),
        IpAddr::V6(addr) => addr.to_bits() >> 64,
    }
}

#[derive(Clone, Debug)]
struct Table {
    /// Between two SYNs.
    interval: Duration,
    key: u64,
    mask: usize,
    /// When the next may leave.
    next: Vec<Instant>,
    /// When the last of the line is to ask.
    line: Vec<Instant>,
}

impl Table {
    fn new(rate: u64, key: u64, places: usize) -> Self {
        let places = places.next_power_of_two().max(2);
        let rate = rate.clamp(1, 1_000_000_000);
        Self {
            interval: Duration::from_nanos(1_000_000_000_u64.div_ceil(rate)),
            key,
            mask: places - 1,
            next: vec![Instant::ZERO; places],
            line: vec![Instant::ZERO; places],
        }
    }

    /// The two places of a key.
    fn places(&self, key: u128) -> [usize; 2] {
        // The finaliser of MurmurHash3, keyed; two halves of one hash.
        let [low, high] = [key as u64, (key >> 64) as u64];
        let mut hash = low ^ self.key ^ high.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        for factor in [0xFF51_AFD7_ED55_8CCD, 0xC4CE_B9FE_1A85_EC53] {
            hash = (hash ^ hash >> 33).wrapping_mul(factor);
        }
        hash ^= hash >> 33;
        [hash as usize & self.mask, (hash >> 32) as usize & self.mask]
    }

    fn earliest(&self, key: u128) -> Instant {
        let [one, two] = self.places(key);
        self.next[one].min(self.next[two])
    }

    fn take(&mut self, key: u128, now: Instant) {
        let next = now + self.interval;
        for place in self.places(key) {
            self.next[place] = self.next[place].max(next);
        }
    }

    fn line_up(&mut self, key: u128, earliest: Instant) -> Instant {
        let places = self.places(key);
        let [one, two] = places.map(|place| self.line[place]);
        let at = one.min(two).max(earliest);
        for place in places {
            self.line[place] = self.line[place].max(at + self.interval);
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, VecDeque};

    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn a_network_is_a_24_or_a_64() {
        let mut limits = Limits::new(None, Some(10), 7);
        let mut take = |addr: &str| limits.take(addr.parse().unwrap(), at(SECOND)).is_ok();
        assert!(take("10.0.0.1") && !take("10.0.0.255") && take("10.0.1.0"));
        assert!(take("2001:db8::1") && !take("2001:db8::ffff:0:0:1") && take("2001:db8:0:1::1"));
        let none = Limits::new(None, None, 7);
        assert!(none.is_none());
        assert_eq!(none.earliest("10.0.0.1".parse().unwrap(), at(3)), at(3));
    }

    #[test]
    fn those_in_line_are_told_different_times() {
        let mut limits = Limits::new(Some(4), None, 7);
        let host = "10.0.0.1".parse().unwrap();
        assert_eq!(limits.take(host, at(SECOND)), Ok(()));
        assert_eq!(limits.take(host, at(SECOND)), Err(at(SECOND + SECOND / 4)));
        let times: Vec<_> = (0..3).map(|_| limits.line_up(host, at(SECOND))).collect();
        assert_eq!(times, [5, 6, 7].map(|quarters| at(quarters * SECOND / 4)));
        // Who comes late moves those behind, and does not let them come together.
        assert_eq!(limits.take(host, at(SECOND * 7 / 4)), Ok(()));
        assert!(limits.take(host, times[2]).is_err());
    }

    #[test]
    fn many_hosts_seldom_wait_for_each_other() {
        let mut limits = Limits::new(Some(1), None, 0x1234_5678_9ABC_DEF0);
        let waits = (0..25_000_u32)
            .filter(|host| {
                limits.take(IpAddr::V4((0x0A00_0000 + host).into()), at(SECOND)).is_err()
            })
            .count();
        assert!(waits < 500, "{waits} of 25,000");
    }

    proptest! {
        /// Whatever is asked and when, in tables so small that everybody shares.
        #[test]
        fn no_host_and_no_network_gets_more_than_its_limit_in_any_second(
            per_host in 1_u64..20, per_net in 1_u64..40, key: u64, places in 1_usize..64,
            asks in prop::collection::vec((0_u8..3, 0_u8..4, 0_u64..SECOND / 20), 1..400)
        ) {
            let mut limits = Limits::with_places(Some(per_host), Some(per_net), key, places);
            let mut sent: HashMap<u128, VecDeque<u64>> = HashMap::new();
            let (mut now, mut left) = (SECOND, 0);
            for (net, host, pass) in asks {
                now += pass;
                let addr = IpAddr::from([10, 0, net, host]);
                match limits.take(addr, at(now)) {
                    Err(earliest) => prop_assert!(earliest > at(now)),
                    Ok(()) => {
                        left += 1;
                        let counted =
                            [(host_of(addr) | 1 << 100, per_host), (net_of(addr), per_net)];
                        for (key, most) in counted {
                            let times = sent.entry(key).or_default();
                            times.push_back(now);
                            times.retain(|time| now - time < SECOND);
                            prop_assert!(times.len() as u64 <= most);
                        }
                    }
                }
            }
            prop_assert!(left > 0);
        }
    }
}
