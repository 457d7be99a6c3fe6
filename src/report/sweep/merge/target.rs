//! A target as it stands in a report.

use std::net::IpAddr;

use serde::Deserialize;

use crate::event::{Found, SweepIcmp, SweepOffer, SweepPhases, SweepRtt};
use crate::report::sweep::fields::{icmp_kind_named, outcome_named, rtt_by_named};

#[derive(Deserialize)]
struct Target<'a> {
    addr: Option<IpAddr>,
    port: Option<u16>,
    outcome: Option<&'a str>,
    rtt_ns: Option<u64>,
    rtt_by: Option<&'a str>,
    rtt_error_ns: Option<u64>,
    pass: Option<u8>,
    ttl: Option<u8>,
    win: Option<u16>,
    mss: Option<u16>,
    wscale: Option<u8>,
    sack: Option<bool>,
    timestamps: Option<bool>,
    icmp_type: Option<u8>,
    icmp_code: Option<u8>,
    icmp_kind: Option<&'a str>,
    icmp_from: Option<IpAddr>,
    handshake_ns: Option<u64>,
    ack_of_fin_ns: Option<u64>,
    fin_ns: Option<u64>,
    banner: Option<String>,
    banner_hex: Option<&'a str>,
    unix_ns: Option<i64>,
}

/// The target that a line holds. A group of fields of which the report was made without one (`rtt_ns`
/// without `rtt_by`) is not known.
pub(super) fn read(line: &[u8]) -> Result<Found, String> {
    let target: Target<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let missing = |name| format!("it has no '{name}'; make the report with it among its --fields");
    let addr = target.addr.ok_or_else(|| missing("addr"))?;
    let port = target.port.ok_or_else(|| missing("port"))?;
    let outcome = target.outcome.ok_or_else(|| missing("outcome"))?;
    let unknown = || format!("its outcome '{outcome}' is not known");
    let outcome = outcome_named(outcome).ok_or_else(unknown)?;
    Ok(Found {
        pass: target.pass,
        rtt: rtt(&target),
        ttl: target.ttl,
        offer: offer(&target),
        icmp: icmp(&target),
        phases: SweepPhases {
            handshake: target.handshake_ns,
            ack_of_fin: target.ack_of_fin_ns,
            fin: target.fin_ns,
        },
        unix_ns: target.unix_ns,
        banner: banner(target)?,
        ..Found::new(addr, port, outcome)
    })
}

fn rtt(target: &Target<'_>) -> Option<SweepRtt> {
    Some(SweepRtt {
        nanos: target.rtt_ns?,
        by: rtt_by_named(target.rtt_by?)?,
        error_nanos: target.rtt_error_ns?,
    })
}

fn offer(target: &Target<'_>) -> Option<SweepOffer> {
    Some(SweepOffer {
        window: target.win?,
        mss: target.mss,
        wscale: target.wscale,
        sack: target.sack?,
        timestamps: target.timestamps?,
    })
}

fn icmp(target: &Target<'_>) -> Option<SweepIcmp> {
    Some(SweepIcmp {
        kind: icmp_kind_named(target.icmp_kind?)?,
        by: target.icmp_from?,
        number: target.icmp_type.zip(target.icmp_code),
    })
}

fn banner(target: Target<'_>) -> Result<Option<Box<[u8]>>, String> {
    if let Some(text) = target.banner {
        return Ok(Some(text.into_bytes().into()));
    }
    let Some(hex) = target.banner_hex else { return Ok(None) };
    let bytes: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(byte).collect();
    bytes
        .map(|bytes| Some(bytes.into()))
        .ok_or_else(|| "its banner_hex is not hexadecimal".to_owned())
}

fn byte(pair: &[u8]) -> Option<u8> {
    let &[high, low] = pair else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}
