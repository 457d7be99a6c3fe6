//! `--expect`: which answers count as success.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// An answer that the user may want.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Expect {
    /// The handshake completes, or a SYN-ACK shows that it would.
    Open,
    /// A RST answers the SYN.
    Refused,
    /// Nothing answers.
    Filtered,
    /// An ICMP error answers, whichever.
    Unreachable,
    /// A firewall's ICMP error answers.
    Prohibited,
    /// Both ends close by FIN, in the shape asked for.
    Closed,
    /// The peer resets the open connection.
    Reset,
    /// The peer goes silent after the connection is open.
    Timeout,
    /// The peer acknowledges our FIN and never sends its own.
    StillOpen,
    /// The close takes another shape than the one asked for.
    OtherShape,
    /// Something answers that is no answer to what was sent.
    Invalid,
}

/// Every word of `--expect`.
const WORDS: [(&str, Expect); 11] = [
    ("open", Expect::Open),
    ("refused", Expect::Refused),
    ("filtered", Expect::Filtered),
    ("unreachable", Expect::Unreachable),
    ("prohibited", Expect::Prohibited),
    ("closed", Expect::Closed),
    ("reset", Expect::Reset),
    ("timeout", Expect::Timeout),
    ("still-open", Expect::StillOpen),
    ("other-shape", Expect::OtherShape),
    ("invalid", Expect::Invalid),
];

/// What a handshake may be expected to end with.
pub(super) const OF_HANDSHAKE: &[&str] =
    &["open", "refused", "filtered", "unreachable", "prohibited", "reset", "timeout", "invalid"];

/// What a close may be expected to end with.
pub(super) const OF_CLOSE: &[&str] = &[
    "closed",
    "refused",
    "filtered",
    "unreachable",
    "prohibited",
    "reset",
    "timeout",
    "still-open",
    "other-shape",
    "invalid",
];

/// What a probe may be expected to end with.
pub(super) const OF_PROBE: &[&str] =
    &["open", "refused", "filtered", "unreachable", "prohibited", "invalid"];

/// Reads one of `words`.
pub(super) fn parser(words: &'static [&'static str]) -> impl TypedValueParser<Value = Expect> {
    PossibleValuesParser::new(words.iter().map(|word| PossibleValue::new(*word))).try_map(|word| {
        let known = WORDS.iter().find(|(name, _)| *name == word);
        known.map(|(_, expect)| *expect).ok_or("no such answer")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_that_is_offered_means_something() {
        for word in [OF_HANDSHAKE, OF_CLOSE, OF_PROBE].concat() {
            assert!(WORDS.iter().any(|(name, _)| *name == word), "{word} means nothing");
        }
    }
}
