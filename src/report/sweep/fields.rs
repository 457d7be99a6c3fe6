//! The fields of a target, by name, and their choice.

use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

use crate::event::{Found, RttBy, SweepOutcome};
use crate::wire::IcmpKind;

/// A field of a target that answered. What each holds is in the [schema](super).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)] // the schema says it
pub enum Field {
    Addr,
    Port,
    Outcome,
    Rtt,
    RttBy,
    RttError,
    Pass,
    Ttl,
    Win,
    Mss,
    Wscale,
    Sack,
    Timestamps,
    IcmpType,
    IcmpCode,
    IcmpKind,
    IcmpFrom,
    Handshake,
    AckOfFin,
    Fin,
    Banner,
    BannerHex,
    Unix,
}

/// What sort of values a field holds, whoever answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    /// At most 31 bits.
    Small,
    /// At most 63 bits.
    Large,
    /// Nanoseconds since the Unix epoch.
    Time,
    Bool,
    Text,
}

/// What a field holds of one target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Value<'a> {
    Number(u64),
    Signed(i64),
    Bool(bool),
    /// One of our own words: nothing in it needs to be escaped.
    Word(&'static str),
    Addr(IpAddr),
    /// Anything whatever.
    Text(&'a str),
    Hex(&'a [u8]),
}

impl Field {
    /// Every field, in the order in which they stand where nobody chose.
    pub const ALL: [Self; 23] = [
        Self::Addr,
        Self::Port,
        Self::Outcome,
        Self::Rtt,
        Self::RttBy,
        Self::RttError,
        Self::Pass,
        Self::Ttl,
        Self::Win,
        Self::Mss,
        Self::Wscale,
        Self::Sack,
        Self::Timestamps,
        Self::IcmpType,
        Self::IcmpCode,
        Self::IcmpKind,
        Self::IcmpFrom,
        Self::Handshake,
        Self::AckOfFin,
        Self::Fin,
        Self::Banner,
        Self::BannerHex,
        Self::Unix,
    ];

    /// The name, the same in every report and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Addr => "addr",
            Self::Port => "port",
            Self::Outcome => "outcome",
            Self::Rtt => "rtt_ns",
            Self::RttBy => "rtt_by",
            Self::RttError => "rtt_error_ns",
            Self::Pass => "pass",
            Self::Ttl => "ttl",
            Self::Win => "win",
            Self::Mss => "mss",
            Self::Wscale => "wscale",
            Self::Sack => "sack",
            Self::Timestamps => "timestamps",
            Self::IcmpType => "icmp_type",
            Self::IcmpCode => "icmp_code",
            Self::IcmpKind => "icmp_kind",
            Self::IcmpFrom => "icmp_from",
            Self::Handshake => "handshake_ns",
            Self::AckOfFin => "ack_of_fin_ns",
            Self::Fin => "fin_ns",
            Self::Banner => "banner",
            Self::BannerHex => "banner_hex",
            Self::Unix => "unix_ns",
        }
    }

    pub(super) const fn sort(self) -> Sort {
        match self {
            Self::Addr
            | Self::Outcome
            | Self::RttBy
            | Self::IcmpKind
            | Self::IcmpFrom
            | Self::Banner
            | Self::BannerHex => Sort::Text,
            Self::Rtt | Self::RttError | Self::Handshake | Self::AckOfFin | Self::Fin => {
                Sort::Large
            }
            Self::Sack | Self::Timestamps => Sort::Bool,
            Self::Unix => Sort::Time,
            Self::Port
            | Self::Pass
            | Self::Ttl
            | Self::Win
            | Self::Mss
            | Self::Wscale
            | Self::IcmpType
            | Self::IcmpCode => Sort::Small,
        }
    }

    /// What it holds of `found`; absent where that is not known.
    pub(super) fn of(self, found: &Found) -> Option<Value<'_>> {
        let small = |number: u16| Value::Number(number.into());
        Some(match self {
            Self::Addr => Value::Addr(found.addr),
            Self::Port => small(found.port),
            Self::Outcome => Value::Word(found.outcome.name()),
            Self::Rtt => Value::Number(found.rtt?.nanos),
            Self::RttBy => Value::Word(found.rtt?.by.name()),
            Self::RttError => Value::Number(found.rtt?.error_nanos),
            Self::Pass => small(found.pass?.into()),
            Self::Ttl => small(found.ttl?.into()),
            Self::Win => small(found.offer?.window),
            Self::Mss => small(found.offer?.mss?),
            Self::Wscale => small(found.offer?.wscale?.into()),
            Self::Sack => Value::Bool(found.offer?.sack),
            Self::Timestamps => Value::Bool(found.offer?.timestamps),
            Self::IcmpType => small(found.icmp?.number?.0.into()),
            Self::IcmpCode => small(found.icmp?.number?.1.into()),
            Self::IcmpKind => Value::Word(icmp_kind(found.icmp?.kind)),
            Self::IcmpFrom => Value::Addr(found.icmp?.by),
            Self::Handshake => Value::Number(found.phases.handshake?),
            Self::AckOfFin => Value::Number(found.phases.ack_of_fin?),
            Self::Fin => Value::Number(found.phases.fin?),
            Self::Banner => Value::Text(std::str::from_utf8(found.banner.as_deref()?).ok()?),
            Self::BannerHex => {
                let banner = found.banner.as_deref()?;
                if std::str::from_utf8(banner).is_ok() {
                    return None;
                }
                Value::Hex(banner)
            }
            Self::Unix => Value::Signed(found.unix_ns?),
        })
    }
}

/// The word for a kind of ICMP error, as in other JSON records.
const fn icmp_kind(kind: IcmpKind) -> &'static str {
    match kind {
        IcmpKind::Unreachable => "unreachable",
        IcmpKind::PortUnreachable => "port-unreachable",
        IcmpKind::Prohibited => "prohibited",
        IcmpKind::TimeExceeded => "time-exceeded",
        IcmpKind::TooBig(_) => "too-big",
        IcmpKind::ParameterProblem => "parameter-problem",
        IcmpKind::Other => "other",
    }
}

/// The kind that a word stands for; the MTU of a packet that is too big is not in it.
pub(super) fn icmp_kind_named(name: &str) -> Option<IcmpKind> {
    let kinds = [
        IcmpKind::Unreachable,
        IcmpKind::PortUnreachable,
        IcmpKind::Prohibited,
        IcmpKind::TimeExceeded,
        IcmpKind::TooBig(0),
        IcmpKind::ParameterProblem,
        IcmpKind::Other,
    ];
    kinds.into_iter().find(|kind| icmp_kind(*kind) == name)
}

pub(super) fn outcome_named(name: &str) -> Option<SweepOutcome> {
    SweepOutcome::ALL.into_iter().find(|outcome| outcome.name() == name)
}

pub(super) fn rtt_by_named(name: &str) -> Option<RttBy> {
    [RttBy::Timestamp, RttBy::Log].into_iter().find(|by| by.name() == name)
}

/// The fields that a report shows, in its order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fields(Vec<Field>);

/// Why a choice of fields is none.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum FieldsError {
    /// There is no such field.
    #[error(
        "unknown field '{}': {}the fields are {}",
        .name.escape_debug(),
        .nearest.map(|nearest| format!("did you mean '{nearest}'? ")).unwrap_or_default(),
        Field::ALL.map(Field::name).join(", ")
    )]
    Unknown {
        /// As it was written.
        name: String,
        /// The field that it may have meant.
        nearest: Option<&'static str>,
    },
    /// A field is named more than once.
    #[error("field '{0}' is named twice: a record has each field once")]
    Twice(&'static str),
    /// None is named.
    #[error("no field is named: the fields are {}", Field::ALL.map(Field::name).join(", "))]
    None,
}

/// How alike two names are, from 0 to 1, if one may have been meant by the other.
const ALIKE: f64 = 0.7;

impl Fields {
    /// The fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = Field> + '_ {
        self.0.iter().copied()
    }
}

impl Default for Fields {
    /// All of them.
    fn default() -> Self {
        Self(Field::ALL.to_vec())
    }
}

/// `addr,port,rtt_ns`.
impl FromStr for Fields {
    type Err = FieldsError;

    fn from_str(text: &str) -> Result<Self, FieldsError> {
        let mut fields = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let field = Field::ALL.into_iter().find(|field| field.name() == name);
            let field = field.ok_or_else(|| FieldsError::Unknown {
                name: name.to_owned(),
                nearest: nearest(name),
            })?;
            if fields.contains(&field) {
                return Err(FieldsError::Twice(field.name()));
            }
            fields.push(field);
        }
        if fields.is_empty() { Err(FieldsError::None) } else { Ok(Self(fields)) }
    }
}

fn nearest(name: &str) -> Option<&'static str> {
    let likeness = |known: &'static str| (strsim::jaro_winkler(name, known), known);
    let best = Field::ALL.map(Field::name).map(likeness);
    // Of equals the first.
    let best = best.into_iter().rev().max_by(|left, right| left.0.total_cmp(&right.0));
    best.filter(|(likeness, _)| *likeness >= ALIKE).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_keeps_its_order_and_names_what_is_wrong() {
        let chosen: Fields = "port, addr,rtt_ns".parse().unwrap();
        assert_eq!(chosen.iter().collect::<Vec<_>>(), [Field::Port, Field::Addr, Field::Rtt]);
        let refused = |text: &str| text.parse::<Fields>().unwrap_err();
        assert_eq!(refused("addr,addr"), FieldsError::Twice("addr"));
        assert_eq!(refused(" ,"), FieldsError::None);
        let said = refused("addr,rtt").to_string();
        assert!(
            said.starts_with("unknown field 'rtt': did you mean 'rtt_ns'? the fields are addr")
        );
        assert!(said.ends_with("banner_hex, unix_ns"), "{said}");
        assert!(!said.contains('\n'));
        let hostile = refused("\x1b[2J").to_string();
        assert!(hostile.starts_with("unknown field '\\u{1b}[2J': the fields are"), "{hostile}");
    }

    #[test]
    fn names_are_unique_and_read_back() {
        for field in Field::ALL {
            assert_eq!(field.name().parse(), Ok(Fields(vec![field])));
        }
        for outcome in SweepOutcome::ALL {
            assert_eq!(outcome_named(outcome.name()), Some(outcome));
        }
    }
}
