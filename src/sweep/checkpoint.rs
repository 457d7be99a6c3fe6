//! A sweep that can be continued: what is kept of it, and whether it is the same sweep.
//!
//! A checkpoint is taken of the ledger and the output together: every record of an answer that the
//! ledger has credited lies before [`Checkpoint::output`], and none of any other. Who resumes cuts
//! the output to that length first, so that what came after the checkpoint is forgotten on both
//! sides. Targets are never lost and never counted twice; the targets of the blocks that were open
//! and silent then are asked once more, because their answers may have come while nobody listened.
//!
//! The file holds the cookie's secret: it must be readable by its owner only.

use std::io::{self, Write};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::account::PassCount;
use super::packed::Packed;

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// Why a checkpoint cannot be continued from.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It is no checkpoint, or half of one.
    #[error("this is no checkpoint of a sweep, or it is damaged: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Another version of this program wrote it.
    #[error(
        "it has format {0}; this program reads format {VERSION}: use the version that wrote it"
    )]
    OtherVersion(u32),
    /// The targets differ.
    #[error("it is of another sweep: other targets")]
    OtherTargets,
    /// The seed of the walk differs.
    #[error("it is of another sweep: its seed is {0}")]
    OtherSeed(u64),
    /// The shard differs.
    #[error("it is of another sweep: its shard is {}/{}", .0.index, .0.count)]
    OtherShard(ShardOf),
    /// Options that change what is sent or recorded differ.
    #[error("it is of another sweep: other options that change what is sent or recorded")]
    OtherOptions,
    /// The positions, passes or block size differ.
    #[error("it is of another sweep: other {0}")]
    OtherPlan(&'static str),
    /// It contradicts itself.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}

/// A part of the walk: `index` of `count`, as on the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ShardOf {
    /// Which part.
    pub index: u64,
    /// Of how many.
    pub count: u64,
}

/// The cookie's secret, in hexadecimal digits. Never shown by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 16]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:032x}", u128::from_be_bytes(self.0)))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = u128::from_str_radix(&text, 16).ok().filter(|_| digits);
        value
            .map(|value| Self(value.to_be_bytes()))
            .ok_or_else(|| de::Error::custom("a secret that is not 32 hexadecimal digits"))
    }
}

/// Which sweep it is: all that must be the same for positions to mean the same targets and for
/// records to belong together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// The fingerprint of the space of targets.
    pub space: u64,
    /// The seed of the walk.
    pub seed: u64,
    /// The shard; 0 of 1 is the whole.
    pub shard: ShardOf,
    /// A hash of the options that change what is sent or recorded.
    pub options: u64,
}

/// One block that was open.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HeldBlock {
    /// Its place in the row of blocks.
    pub number: u64,
    /// The pass in which it stood, from 1; it is begun anew.
    pub pass: u8,
    /// Positions of it that had been drawn.
    pub reach: u32,
    /// What was known of each position.
    pub marks: Packed,
}

impl HeldBlock {
    /// Positions that had answered.
    pub(super) fn answered(&self) -> u64 {
        let low = |word: &u64| (word | word >> 1 | word >> 2) & 0x1111_1111_1111_1111;
        self.marks.words().iter().map(|word| u64::from(low(word).count_ones())).sum()
    }
}

/// All that a ledger knows.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Held {
    /// The first position of this shard.
    pub start: u64,
    /// The position after its last.
    pub end: u64,
    /// Positions in a block.
    pub block: u64,
    /// Passes in all.
    pub passes: u8,
    /// Blocks from this one on had not been begun; those before it that are not in `blocks` are
    /// done.
    pub next: u64,
    /// The blocks that were open.
    pub blocks: Vec<HeldBlock>,
    /// Targets of the blocks that are done, by mark.
    pub done: [u64; 8],
    /// SYNs and first answers, by pass.
    pub counts: Vec<PassCount>,
    /// Answers that told nothing new.
    pub duplicates: u64,
    /// Answers for blocks that were done.
    pub late: u64,
    /// Answers for positions that had not been asked.
    pub unasked: u64,
}

/// A sweep at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// [`VERSION`].
    pub version: u32,
    /// Which sweep.
    pub sweep: Identity,
    /// The secret of its cookies: answers to SYNs sent before still prove themselves.
    pub secret: Secret,
    /// The length of the output at that moment, in octets: it is cut to that.
    pub output: u64,
    /// The ledger at that moment.
    pub ledger: Held,
}

impl Checkpoint {
    /// A checkpoint of this version.
    #[must_use]
    pub const fn new(sweep: Identity, secret: Secret, output: u64, ledger: Held) -> Self {
        Self { version: VERSION, sweep, secret, output, ledger }
    }

    /// Reads one.
    ///
    /// # Errors
    /// It is none, it is damaged, or its format is another one.
    pub fn read(text: &[u8]) -> Result<Self, CheckpointError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_slice(text)?;
        if version != VERSION {
            return Err(CheckpointError::OtherVersion(version));
        }
        Ok(serde_json::from_slice(text)?)
    }

    /// Writes it as one line.
    ///
    /// # Errors
    /// Writing failed.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }

    /// Whether it is of this sweep.
    ///
    /// # Errors
    /// What does not fit.
    pub const fn check(&self, sweep: &Identity) -> Result<(), CheckpointError> {
        let held = self.sweep;
        if held.space != sweep.space {
            return Err(CheckpointError::OtherTargets);
        }
        if held.seed != sweep.seed {
            return Err(CheckpointError::OtherSeed(held.seed));
        }
        if held.shard.index != sweep.shard.index || held.shard.count != sweep.shard.count {
            return Err(CheckpointError::OtherShard(held.shard));
        }
        if held.options != sweep.options {
            return Err(CheckpointError::OtherOptions);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let shard = ShardOf { index: 3, count: 16 };
        let sweep = Identity { space: u64::MAX, seed: 7, shard, options: 9 };
        let marks = Packed::new(vec![0x21]);
        let ledger = Held {
            end: 64,
            block: 64,
            passes: 2,
            next: 1,
            blocks: vec![HeldBlock { number: 0, pass: 1, reach: 2, marks }],
            ..Held::default()
        };
        Checkpoint::new(sweep, Secret([0xab; 16]), 4711, ledger)
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let mut text = Vec::new();
        checkpoint().write(&mut text).unwrap();
        assert_eq!(Checkpoint::read(&text).unwrap(), checkpoint());
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains(r#""secret":"abababababababababababababababab""#), "{text}");
        assert!(text.ends_with("}\n"));
        assert!(!format!("{:?}", checkpoint()).contains("171"), "the secret stays out of logs");
    }

    #[test]
    fn half_a_file_and_other_formats_are_named() {
        let mut text = Vec::new();
        checkpoint().write(&mut text).unwrap();
        for length in 0..text.len() - 2 {
            let error = Checkpoint::read(&text[..length]).unwrap_err();
            assert!(matches!(error, CheckpointError::Unreadable(_)), "{length}: {error}");
        }
        let error = Checkpoint::read(br#"{"version":2,"all":"different"}"#).unwrap_err();
        assert!(matches!(error, CheckpointError::OtherVersion(2)), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let checkpoint = checkpoint();
        let ours = checkpoint.sweep;
        assert!(checkpoint.check(&ours).is_ok());
        let told = |sweep| checkpoint.check(&sweep).unwrap_err().to_string();
        let whole = ShardOf { index: 0, count: 1 };
        assert!(told(Identity { space: 1, ..ours }).ends_with("other targets"));
        assert!(told(Identity { seed: 1, ..ours }).ends_with("its seed is 7"));
        assert!(told(Identity { shard: whole, ..ours }).ends_with("its shard is 3/16"));
        assert!(told(Identity { options: 1, ..ours }).contains("other options"));
    }
}
