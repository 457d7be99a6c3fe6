//! The handshake's part of the report.

use super::paint::{Paint, Span};
use super::summary::{LABEL, cell, measured, plain, row};
use super::{Lines, Style};
use crate::event::{Exchange, HandshakeReport, Offer, Run};
use crate::report::sanitize;
use crate::report::units::count;

/// The largest shift that has a meaning (RFC 7323 §2.3): a larger one counts as this.
const MAX_SHIFT: u8 = 14;
/// Bytes of a reply that are shown without `-vv`.
const PREVIEW: usize = 240;

/// RTT, who answered, the table of offers, the data. A close leaves the table to `-v`.
pub(super) fn lines(report: &HandshakeReport, run: Option<&Run>, style: &Style) -> Lines {
    let mut lines = row("rtt", rtt(report, style), style);
    if let Some(from) = &report.answered_by {
        let distance = match from.hops() {
            0 => "likely no router in between".to_owned(),
            hops => format!("likely {} away", count(hops.into(), "hop")),
        };
        let (ttl, initial) = (from.ttl, from.initial_ttl);
        // Its own kernel tells a host of a neighbour that does not answer.
        let ourselves = run
            .is_some_and(|run| run.source.ip() == from.address && run.target.ip() != from.address);
        let text = if ourselves {
            format!("{}, this host itself: no neighbour answers for the next hop", from.address)
        } else {
            format!("{}, ttl {ttl}: {distance} (initial ttl {initial})", from.address)
        };
        lines.extend(plain("answered by", text, style));
    }
    if let Some(error) = &report.icmp {
        lines.extend(row("icmp", (error.to_string(), Paint::Bad), style));
    }
    let closing = run.is_some_and(|run| run.command == "close");
    if let Some(granted) = &report.granted
        && (!closing || style.verbosity > 0)
    {
        let header = if run.is_some_and(|run| run.target.is_ipv6()) { 60 } else { 40 };
        lines.extend(table(&report.offered, granted, header, style));
    }
    if let Some(exchange) = &report.exchange {
        lines.extend(data(exchange, style));
    }
    lines
}

fn rtt(report: &HandshakeReport, style: &Style) -> (String, Paint) {
    let tries = match report.attempts {
        1 => String::new(),
        attempts => format!(", {}", count(attempts.into(), "SYN")),
    };
    match (report.rtt, report.rtt_absent) {
        (Some(rtt), _) => (format!("{}{tries}", measured(rtt, style)), Paint::Bold),
        (None, Some(reason)) => (format!("none: {}{tries}", style.reason(reason)), Paint::Warn),
        (None, None) if report.icmp.is_some() => {
            ("none: an ICMP error was the answer".to_owned(), Paint::Warn)
        }
        (None, None) if report.answered_by.is_some() => {
            (format!("none: not measured{tries}"), Paint::Warn)
        }
        (None, None) => {
            (format!("none: no answer to {}", count(report.attempts.into(), "SYN")), Paint::Warn)
        }
    }
}

/// What each end offered and what is in effect of it.
fn table(offered: &Offer, granted: &Offer, header: u32, style: &Style) -> Lines {
    let heading = ["", "offered", "granted", "in effect"].map(str::to_owned);
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let on = |both: bool| if both { "on" } else { "off" }.to_owned();
    let feature = |name: &str, ours: bool, theirs: bool| {
        [name.to_owned(), yes(ours), yes(theirs), on(ours && theirs)]
    };
    let rows = [
        [
            "mss".to_owned(),
            mss(offered, header),
            mss(granted, header),
            mss_in_effect(offered, granted),
        ],
        ["window".to_owned(), window(offered), window(granted), window_in_effect(offered, granted)],
        [
            "scale".to_owned(),
            scale(offered),
            scale(granted),
            scale_in_effect(offered, granted, style),
        ],
        feature("sack", offered.sack, granted.sack),
        feature("timestamps", offered.timestamps.is_some(), granted.timestamps.is_some()),
        feature("ecn", offered.ecn, granted.ecn),
        [
            "fast open".to_owned(),
            cookie(offered),
            cookie(granted),
            fast_open_in_effect(offered, granted),
        ],
    ];
    // The last column is the widest: `max 512 KiB out, 1024 MiB in`.
    let columns = if style.columns() < 100 { 20 } else { 24 };
    let set = |texts: [String; 4], paint: Paint| -> Vec<Span> {
        let [label, cells @ ..] = texts;
        let mut line = cell(Span::new(label, Paint::Dim), LABEL).to_vec();
        line.extend(cells.into_iter().flat_map(|text| cell(Span::new(text, paint), columns)));
        line
    };
    if style.is_narrow() {
        let beside = |[label, offered, granted, effect]: [String; 4]| {
            plain(&label, format!("offered {offered}, granted {granted}: {effect}"), style)
        };
        return rows.into_iter().flat_map(beside).collect();
    }
    let mut lines = vec![set(heading, Paint::Dim)];
    lines.extend(rows.map(|texts| set(texts, Paint::Plain)));
    lines
}

/// The MSS and the MTU that it implies.
fn mss(offer: &Offer, header: u32) -> String {
    offer
        .mss
        .map_or_else(|| "none".to_owned(), |mss| format!("{mss} (MTU {})", u32::from(mss) + header))
}

/// Each end may send what the other granted; 536 where nothing was said is for the sender to assume
/// (RFC 9293 §3.7.1, MUST-15), so it is not claimed here.
fn mss_in_effect(offered: &Offer, granted: &Offer) -> String {
    let limit =
        |offer: &Offer| offer.mss.map_or_else(|| "default".to_owned(), |mss| mss.to_string());
    format!("{} out, {} in", limit(granted), limit(offered))
}

fn window(offer: &Offer) -> String {
    format!("{} bytes", offer.window)
}

/// The largest window that each end can announce from now on.
fn window_in_effect(offered: &Offer, granted: &Offer) -> String {
    let both = offered.window_scale.is_some() && granted.window_scale.is_some();
    let limit = |offer: &Offer| {
        let shift = if both { offer.window_scale.unwrap_or(0).min(MAX_SHIFT) } else { 0 };
        let bytes = 65_535_u64 << shift;
        if shift < 4 {
            format!("{} KiB", bytes.div_ceil(1024))
        } else {
            format!("{} MiB", bytes.div_ceil(1 << 20))
        }
    };
    format!("max {} out, {} in", limit(granted), limit(offered))
}

fn scale(offer: &Offer) -> String {
    match offer.window_scale {
        None => "none".to_owned(),
        Some(shift) if shift > MAX_SHIFT => format!("{shift} (counts as {MAX_SHIFT})"),
        Some(shift) => shift.to_string(),
    }
}

fn scale_in_effect(offered: &Offer, granted: &Offer, style: &Style) -> String {
    let times = if style.unicode { "×" } else { "*" };
    match (offered.window_scale, granted.window_scale) {
        (Some(ours), Some(theirs)) => {
            let factor = |shift: u8| 1_u32 << shift.min(MAX_SHIFT);
            format!("{times}{} out, {times}{} in", factor(theirs), factor(ours))
        }
        _ => "off".to_owned(),
    }
}

fn cookie(offer: &Offer) -> String {
    match offer.fast_open.as_deref() {
        None => "no".to_owned(),
        Some([]) => "cookie request".to_owned(),
        Some(cookie) => format!("cookie, {}", count(cookie.len() as u64, "byte")),
    }
}

fn fast_open_in_effect(offered: &Offer, granted: &Offer) -> String {
    match (offered.fast_open.as_deref(), granted.fast_open.as_deref()) {
        (Some(_), Some([_, ..])) => "cookie for next time",
        (Some([_, ..]), _) => "cookie presented",
        _ => "off",
    }
    .to_owned()
}

/// Data sent, acknowledged and received.
fn data(exchange: &Exchange, style: &Style) -> Lines {
    let delay = exchange
        .ack_delay
        .map_or_else(String::new, |delay| format!(", all of it after {}", measured(delay, style)));
    let sent =
        format!("{}, {} acknowledged{delay}", count(exchange.sent, "byte"), exchange.acknowledged);
    let whole = exchange.acknowledged >= exchange.sent;
    let paint = if whole { Paint::Plain } else { Paint::Warn };
    let mut lines = Vec::new();
    if exchange.sent > 0 {
        lines.extend(row("data sent", (sent, paint), style));
    }
    lines.extend(plain("received", count(exchange.received, "byte"), style));
    let limit = if style.verbosity > 1 { exchange.reply.len() } else { PREVIEW };
    let shown = &exchange.reply[..exchange.reply.len().min(limit)];
    if shown.is_empty() {
        return lines;
    }
    let more = exchange.received.saturating_sub(shown.len() as u64);
    let more = if more > 0 { format!(" and {} more", count(more, "byte")) } else { String::new() };
    let text = format!("\"{}\"{more}", sanitize::bytes(shown, style.charset()));
    lines.extend(plain("", text, style));
    lines
}
