//! The order in which targets are visited: a keyed pseudo-random permutation of 0..n, both ways in
//! constant time and memory.
//!
//! # Neighbours never in a row
//! The numbers 0..n, which go through the hosts in ascending order, are cut into parts of equal
//! length. Consecutive positions belong to different parts, in an order that goes round and round and
//! in which no part follows itself or a neighbour: with five parts 0 2 4 1 3, then 0 again. Between
//! two positions in a row there lies at least a whole part; what is drawn within the parts does not
//! matter. So there is nothing to check and nothing to repair:
//!
//! | hosts | parts | two positions in a row are |
//! |---|---|---|
//! | 10 and more | 5, cut anywhere | never the same host, never adjacent ones |
//! | 5 to 9 | one for each host | never the same host, never adjacent ones |
//! | 4 | one for each host | never the same host; adjacent ones once in four steps, not at all with one port |
//! | 2, 3 | one for each host | never the same host |
//! | 1 | as above, its ports in the place of hosts | never adjacent ports, from 4 ports on |
//!
//! Hosts are adjacent that are so in the list of those to visit, hence also those whose addresses are.
//! Five is the smallest number of hosts for which this can hold while all hosts are visited evenly:
//! four in a circle, none beside its neighbour, do not exist. With three hosts the middle one is
//! everybody's neighbour.
//!
//! A part is not only another one than its predecessor's: every fifth of the space (or every host, if
//! there are few) gets its share of every run of positions, which makes the walk more even than chance.
//!
//! # Within a part
//! Each part is walked by a Feistel network of its own: eight rounds, in turn over the high and the
//! low half of the smallest number of bits that holds the part (at least four; the high half is the
//! longer one), with a folded 64 × 64 multiplication as the round function. A result outside the part
//! is fed in again until it lies inside, which keeps it a permutation and takes fewer than two turns
//! on average from nine targets on.
//!
//! The keys are the output of SplitMix64 started with the seed, drawn in this order: one that turns
//! the order of the parts, then for each part, in that order, two for each round. Only the seed and
//! the numbers of hosts and ports enter, and only integer arithmetic is used: the walk is the same on
//! every machine. It is not meant to withstand somebody who wants to predict it; no cookie depends on
//! it.

use super::space::Space;

/// Rounds of a Feistel network, each of which changes one half.
const ROUNDS: usize = 8;

/// Hosts from which five parts, wherever they are cut, keep neighbours apart: a part is then at least
/// two hosts long.
const MANY: u64 = 10;

/// A keyed permutation of the targets of a space; see the [module](self).
#[derive(Clone, Debug)]
pub struct Walk {
    len: u64,
    /// In the order in which positions go round them.
    parts: Vec<Part>,
}

/// Consecutive numbers that are walked by a network of their own.
#[derive(Clone, Debug)]
struct Part {
    first: u64,
    network: Network,
}

impl Walk {
    /// The walk over `space` that belongs to `seed`.
    #[must_use]
    pub fn new(space: &Space, seed: u64) -> Self {
        Self::over(space.hosts(), u64::from(space.ports()), seed)
    }

    /// The walk over `hosts` × `ports` targets, which must be 2^62 at most; nothing counts as one.
    fn over(hosts: u64, ports: u64, seed: u64) -> Self {
        let (hosts, ports) = (hosts.max(1), ports.max(1));
        let len = hosts.saturating_mul(ports);
        // Where there is one host, its ports take the place of hosts.
        let units = if hosts == 1 { ports } else { hosts };
        let mut keys = SplitMix64(seed);
        let order = rounds_of_parts(units, &mut keys);
        let count = order.len() as u64;
        let (length, longer) = (len / count, len % count);
        let lengths: Vec<_> = (0..count).map(|slot| length + u64::from(slot < longer)).collect();
        // The part with number k begins where those with smaller numbers end.
        let first = |number: u8| {
            let before = order.iter().zip(&lengths).filter(|(other, _)| **other < number);
            before.map(|(_, length)| length).sum()
        };
        let parts = order.iter().zip(&lengths).map(|(number, length)| Part {
            first: first(*number),
            network: Network::new(*length, &mut keys),
        });
        Self { len, parts: parts.collect() }
    }

    /// How many positions there are.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Never: there is at least one position.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of the target at `position`, which must be below [`Walk::len`]; positions behind
    /// it count as the last one.
    #[must_use]
    #[inline]
    pub fn index_at(&self, position: u64) -> u64 {
        debug_assert!(position < self.len, "position {position} of {}", self.len);
        let position = position.min(self.len - 1);
        let (turn, slot) = match self.parts.len() as u64 {
            // A constant divisor is a multiplication.
            5 => (position / 5, position % 5),
            count => (position / count, position % count),
        };
        let part = &self.parts[slot as usize];
        part.first + part.network.forward(turn)
    }

    /// The position of the target with number `index`, which must be below [`Walk::len`]; numbers
    /// behind it count as the last one.
    #[must_use]
    #[inline]
    pub fn position_of(&self, index: u64) -> u64 {
        debug_assert!(index < self.len, "index {index} of {}", self.len);
        let index = index.min(self.len - 1);
        let mut at = (0, u64::MAX);
        for (slot, part) in (0..).zip(&self.parts) {
            // The part that begins last, of those that have begun.
            let offset = index.wrapping_sub(part.first);
            if part.first <= index && offset < at.1 {
                at = (slot, offset);
            }
        }
        let (slot, offset) = at;
        self.parts[slot].network.backward(offset) * self.parts.len() as u64 + slot as u64
    }
}

/// The numbers of the parts in the order in which positions go round them, from a start and in a
/// direction that the key decides.
fn rounds_of_parts(units: u64, keys: &mut SplitMix64) -> Vec<u8> {
    let count = match u8::try_from(units) {
        Ok(few) if units < MANY => few,
        _ => 5,
    };
    // First the even numbers, then the odd ones: all steps are 2, except the one in the middle, which
    // is at least 2 from five parts on, and the one from the last to the first.
    let mut order: Vec<_> = (0..count).step_by(2).chain((1..count).step_by(2)).collect();
    let key = keys.next();
    if count == 4 {
        // The only way through four, if it need not lead back to its start.
        order = vec![2, 0, 3, 1];
    } else if count > 0 {
        order.rotate_left((key >> 1) as usize % usize::from(count));
    }
    if key & 1 == 1 {
        order.reverse();
    }
    order
}

/// A permutation of 0..`len`.
#[derive(Clone, Debug)]
struct Network {
    len: u64,
    low_bits: u32,
    low_mask: u64,
    high_mask: u64,
    keys: [[u64; 2]; ROUNDS],
}

impl Network {
    fn new(len: u64, keys: &mut SplitMix64) -> Self {
        // Of fewer than four bits there are not enough permutations to choose from.
        let bits = (u64::BITS - len.saturating_sub(1).leading_zeros()).max(4);
        let low_bits = bits / 2;
        let mask = |bits: u32| (1_u64 << bits) - 1;
        let keys = std::array::from_fn(|_| [keys.next(), keys.next() | 1]);
        Self { len, low_bits, low_mask: mask(low_bits), high_mask: mask(bits - low_bits), keys }
    }

    /// Where `x` goes, which is below `len`.
    #[inline]
    fn forward(&self, mut x: u64) -> u64 {
        loop {
            let (mut low, mut high) = self.halves(x);
            for pair in self.keys.chunks_exact(2) {
                high ^= mix(low, pair[0]) & self.high_mask;
                low ^= mix(high, pair[1]) & self.low_mask;
            }
            x = high << self.low_bits | low;
            if x < self.len {
                return x;
            }
        }
    }

    /// What goes to `x`, which is below `len`.
    #[inline]
    fn backward(&self, mut x: u64) -> u64 {
        loop {
            let (mut low, mut high) = self.halves(x);
            for pair in self.keys.chunks_exact(2).rev() {
                low ^= mix(high, pair[1]) & self.low_mask;
                high ^= mix(low, pair[0]) & self.high_mask;
            }
            x = high << self.low_bits | low;
            if x < self.len {
                return x;
            }
        }
    }

    const fn halves(&self, x: u64) -> (u64, u64) {
        (x & self.low_mask, x >> self.low_bits)
    }
}

/// The round function: both halves of the product of the keyed input and an odd key.
#[inline]
fn mix(x: u64, key: [u64; 2]) -> u64 {
    let product = u128::from(x ^ key[0]) * u128::from(key[1]);
    (product >> 64) as u64 ^ product as u64
}

/// Steele, Lea and Flood's generator (OOPSLA 2014), for keys.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
