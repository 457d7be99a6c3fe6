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

/// Every word of `--expect`, and what it means to the user.
const WORDS: [(&str, Expect, &str); 11] = [
    ("open", Expect::Open, "the handshake completes, or a SYN-ACK shows that it would"),
    ("refused", Expect::Refused, "a RST answers the SYN"),
    ("filtered", Expect::Filtered, "nothing answers"),
    ("unreachable", Expect::Unreachable, "an ICMP error answers, prohibitions included"),
    ("prohibited", Expect::Prohibited, "a firewall forbids it by an ICMP error"),
    ("closed", Expect::Closed, "both ends close by FIN, in the shape asked for"),
    ("reset", Expect::Reset, "the peer resets the open connection"),
    ("timeout", Expect::Timeout, "the peer goes silent once the connection is open"),
    ("still-open", Expect::StillOpen, "the peer acknowledges our FIN and never sends its own"),
    ("other-shape", Expect::OtherShape, "the close takes another shape than the one asked for"),
    ("invalid", Expect::Invalid, "something answers that is no answer to what was sent"),
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

/// What a client may be expected to end with.
pub(super) const OF_LISTEN: &[&str] = &["open", "closed", "refused", "reset", "timeout"];

/// Reads one of `words`.
pub(super) fn parser(words: &'static [&'static str]) -> impl TypedValueParser<Value = Expect> {
    let offered = WORDS.iter().filter(|(name, ..)| words.contains(name));
    let offered = offered.map(|(name, _, meaning)| PossibleValue::new(*name).help(*meaning));
    PossibleValuesParser::new(offered).try_map(|word| {
        let known = WORDS.iter().find(|(name, ..)| *name == word);
        known.map(|(_, expect, _)| *expect).ok_or("no such answer")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_that_is_offered_means_something() {
        for word in [OF_HANDSHAKE, OF_CLOSE, OF_PROBE, OF_LISTEN].concat() {
            assert!(WORDS.iter().any(|(name, ..)| *name == word), "{word} means nothing");
        }
    }
}
