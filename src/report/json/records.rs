//! The records of single steps. Field by field what the schema in [`super`] says.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::event;
use crate::report::explain::Paragraph;
use crate::tcp::state;
use crate::time::{Instant, Stamp};
use crate::wire::{IcmpError, IcmpKind};

/// What every record has, and the record.
#[derive(Serialize)]
pub(super) struct Line<T> {
    pub(super) v: u8,
    #[serde(rename = "type")]
    pub(super) name: &'static str,
    pub(super) flow: u32,
    #[serde(flatten)]
    pub(super) record: T,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) explain: Vec<Explanation>,
}

/// A paragraph of what a step means.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    #[serde(skip_serializing_if = "Option::is_none")]
    term: Option<String>,
    text: String,
}

impl From<Paragraph> for Explanation {
    fn from(paragraph: Paragraph) -> Self {
        Self { term: paragraph.term, text: paragraph.text }
    }
}

#[derive(Serialize)]
pub(super) struct Run {
    at_ns: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    unix_ns: Option<i64>,
    command: &'static str,
    version: &'static str,
    target: Target,
    source: Endpoint,
    interface: String,
    clock: &'static str,
    guard: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<&'static str>,
}

#[derive(Serialize)]
pub(in crate::report) struct Target {
    pub(in crate::report) name: String,
    #[serde(flatten)]
    pub(in crate::report) endpoint: Endpoint,
}

#[derive(Serialize)]
pub(in crate::report) struct Endpoint {
    addr: IpAddr,
    port: u16,
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { addr: address.ip(), port: address.port() }
    }
}

impl Run {
    pub(super) fn new(run: &event::Run, origin: Instant) -> Self {
        Self {
            at_ns: run.at.signed_nanos_since(origin),
            unix_ns: run.unix_ns,
            command: run.command,
            version: env!("CARGO_PKG_VERSION"),
            target: Target { name: run.name.clone(), endpoint: run.target.into() },
            source: run.source.into(),
            interface: run.interface.clone(),
            clock: run.clock.name(),
            guard: run.guard.name(),
            end: (run.end == state::End::Server).then(|| run.end.name()),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Transition {
    end: &'static str,
    from: &'static str,
    to: &'static str,
    at_ns: i64,
    cause: String,
    known: &'static str,
}

impl Transition {
    pub(super) fn new(moved: &state::Transition, origin: Instant) -> Self {
        Self {
            end: moved.end.name(),
            from: moved.from.name(),
            to: moved.to.name(),
            at_ns: moved.at.signed_nanos_since(origin),
            cause: moved.cause.to_string(),
            known: moved.known.name(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Confirmed {
    pub(super) at_ns: i64,
    pub(super) end: &'static str,
    pub(super) state: &'static str,
    pub(super) cause: String,
    pub(super) known: &'static str,
}

#[derive(Serialize)]
pub(super) struct Retracted {
    pub(super) at_ns: i64,
    pub(super) end: &'static str,
    pub(super) believed: &'static str,
    pub(super) state: &'static str,
    pub(super) cause: String,
}

#[derive(Serialize)]
pub(in crate::report) struct Notice {
    at_ns: i64,
    severity: &'static str,
    code: &'static str,
    text: String,
}

impl Notice {
    pub(in crate::report) fn new(notice: &event::Notice, origin: Instant) -> Self {
        Self {
            at_ns: notice.at.signed_nanos_since(origin),
            severity: match notice.severity {
                event::Severity::Info => "info",
                event::Severity::Warning => "warning",
                event::Severity::Error => "error",
            },
            code: notice.code,
            text: notice.text.clone(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Icmp {
    at_ns: i64,
    clock: &'static str,
    #[serde(flatten)]
    error: Error,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<&'static str>,
}

impl Icmp {
    pub(super) fn new(
        stamp: Stamp,
        error: &IcmpError,
        rejected: Option<&'static str>,
        origin: Instant,
    ) -> Self {
        Self {
            at_ns: stamp.at.signed_nanos_since(origin),
            clock: stamp.clock.name(),
            error: error.into(),
            rejected,
        }
    }
}

/// An ICMP error, in a record of its own or inside a result.
#[derive(Serialize)]
pub(super) struct Error {
    from: IpAddr,
    ttl: u8,
    icmp_type: u8,
    code: u8,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    description: &'static str,
    quote: Quote,
}

#[derive(Serialize)]
struct Quote {
    src: IpAddr,
    src_port: u16,
    dst: IpAddr,
    dst_port: u16,
    seq: u32,
}

impl From<&IcmpError> for Error {
    fn from(error: &IcmpError) -> Self {
        let (kind, mtu) = match error.kind {
            IcmpKind::Unreachable => ("unreachable", None),
            IcmpKind::PortUnreachable => ("port-unreachable", None),
            IcmpKind::Prohibited => ("prohibited", None),
            IcmpKind::TimeExceeded => ("time-exceeded", None),
            // 0 is how an old router says that it does not say.
            IcmpKind::TooBig(0) => ("too-big", None),
            IcmpKind::TooBig(mtu) => ("too-big", Some(mtu)),
            IcmpKind::ParameterProblem => ("parameter-problem", None),
            IcmpKind::Other => ("other", None),
        };
        let quote = &error.quote;
        Self {
            from: error.from,
            ttl: error.ttl,
            icmp_type: error.icmp_type,
            code: error.code,
            kind,
            mtu,
            description: error.describe(),
            quote: Quote {
                src: quote.src,
                src_port: quote.src_port,
                dst: quote.dst,
                dst_port: quote.dst_port,
                seq: quote.seq.0,
            },
        }
    }
}
