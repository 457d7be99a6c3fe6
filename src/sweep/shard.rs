//! Shards: one sweep divided among many processes or machines.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::parse::shown;

/// One of the equal parts of a walk, written `I/N` and counted from 0: `0/16` to `15/16`, as Slurm
/// job arrays and indexed jobs of Kubernetes count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Shard {
    index: u32,
    count: u32,
}

/// Why a text names no shard, in one line for the user.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ShardError {
    #[error("'{0}' is no shard: write its number and how many there are, as in 0/16")]
    Malformed(String),
    #[error("{0} is more than shards can be numbered by: write at most 4294967295")]
    TooLarge(String),
    #[error("a sweep cannot be divided into 0 shards: write 0/1 for the whole")]
    None,
    #[error("there is no shard {index}/{count}: shards are counted from 0, so the last one is {}/{count}", .count - 1)]
    Behind { index: u32, count: u32 },
}

impl Shard {
    /// The whole of a sweep.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Shard `index` of `count`.
    ///
    /// # Errors
    /// There is none of that number.
    pub const fn new(index: u32, count: u32) -> Result<Self, ShardError> {
        if count == 0 {
            return Err(ShardError::None);
        }
        if index >= count {
            return Err(ShardError::Behind { index, count });
        }
        Ok(Self { index, count })
    }

    /// Its number, from 0.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// How many shards there are.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// The shard's positions in a walk of `len`: one run without gaps. The runs of all shards follow
    /// each other and cover the walk; the first ones are longer by one where it does not divide
    /// evenly. There may be none if there are more shards than positions.
    #[must_use]
    pub fn positions(self, len: u64) -> Range<u64> {
        let (index, count) = (u64::from(self.index), u64::from(self.count));
        let (each, longer) = (len / count, len % count);
        // The numbers of shards are no larger than len where they count.
        let start = |index: u64| index * each + index.min(longer);
        start(index)..start(index + 1)
    }
}

/// `3/16`.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let malformed = || ShardError::Malformed(shown(text));
        let (index, count) = text.split_once('/').ok_or_else(malformed)?;
        let number = |digits: &str| {
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(malformed());
            }
            digits.parse().map_err(|_| ShardError::TooLarge(shown(digits)))
        };
        Self::new(number(index)?, number(count)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_read_as_it_is_written() {
        for text in ["0/1", "3/16", "4294967294/4294967295"] {
            assert_eq!(text.parse::<Shard>().map(|shard| shard.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("0/1".parse(), Ok(Shard::WHOLE));
        assert_eq!(Shard::WHOLE.positions(u64::MAX), 0..u64::MAX);
    }

    #[test]
    fn what_is_no_shard_says_why() {
        let malformed = "is no shard: write its number and how many there are, as in 0/16";
        for (text, reason) in [
            ("3", format!("'3' {malformed}")),
            ("", format!("'' {malformed}")),
            ("/4", format!("'/4' {malformed}")),
            ("1/", format!("'1/' {malformed}")),
            ("-1/4", format!("'-1/4' {malformed}")),
            ("1/2/4", format!("'1/2/4' {malformed}")),
            ("1 / 4", format!("'1 / 4' {malformed}")),
            ("0/0", "a sweep cannot be divided into 0 shards: write 0/1 for the whole".to_owned()),
            (
                "16/16",
                "there is no shard 16/16: shards are counted from 0, so the last one is 15/16"
                    .to_owned(),
            ),
            (
                "1/4294967296",
                "4294967296 is more than shards can be numbered by: write at most 4294967295"
                    .to_owned(),
            ),
        ] {
            assert_eq!(text.parse::<Shard>().map_err(|why| why.to_string()), Err(reason));
        }
    }

    proptest! {
        #[test]
        fn all_shards_cover_every_position_once(
            len in prop_oneof![0_u64..2000, any::<u64>()], count in 1_u32..1500,
        ) {
            let mut next = 0;
            for index in 0..count {
                let positions = Shard::new(index, count).unwrap().positions(len);
                prop_assert_eq!(positions.start, next);
                let length = positions.end - positions.start;
                prop_assert!((len / u64::from(count)..=len.div_ceil(count.into())).contains(&length));
                next = positions.end;
            }
            prop_assert_eq!(next, len);
        }

        #[test]
        fn any_two_shards_in_a_row_meet(len: u64, count in 2_u32.., index: u32) {
            let index = index % (count - 1);
            let of = |index| Shard::new(index, count).unwrap().positions(len);
            prop_assert_eq!(of(index).end, of(index + 1).start);
            prop_assert_eq!((of(0).start, of(count - 1).end), (0, len));
        }
    }
}
