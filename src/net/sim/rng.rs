//! The simulator's random numbers: the same for the same seed, on every machine, for ever.

/// splitmix64 (Steele, Lea, Flood 2014): 64 bits of state, full period, and good enough in every bit
/// to draw losses from. Written out here because a crate may change its stream between releases,
/// and a seed in a bug report has to mean the same run next year.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The stream of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..bound`; 0 where `bound` is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product: no division, and a bias below bound / 2^64.
        ((self.bits() as u128 * bound as u128) >> 64) as u64
    }

    /// A number in `0.0..1.0`, a multiple of 2^-53.
    pub const fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_splitmix64s() {
        let mut rng = Rng::new(1_234_567);
        let stream = [rng.bits(), rng.bits(), rng.bits()];
        assert_eq!(stream, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
    }

    #[test]
    fn draws_stay_below_their_bound() {
        let mut rng = Rng::new(1);
        assert!((0..1000).all(|_| rng.below(7) < 7 && rng.unit() < 1.0));
        assert_eq!(rng.below(0), 0);
    }
}
