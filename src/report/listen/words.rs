//! What is said of one client, and of all of them.

use std::time::Duration;

use crate::event::{
    ClientReport, ClientStage, CloseShape, HalfClose, ListenReport, Offer, Outcome,
};
use crate::report::human::paint::{Paint, Span};
use crate::report::human::{Lines, Style, plain};
use crate::report::units::{brief, count, duration};

/// `#1 192.0.2.1:50000 opened, rtt 0.021 ms, ttl 64, <mss 1460,…>, maybe Linux or Android`.
pub(in crate::report) fn opened(report: &ClientReport, style: &Style) -> Lines {
    let mut facts = vec![match report.rtt {
        Some(rtt) => format!("rtt {}", duration(rtt.value, style.unicode)),
        None => "rtt unknown".to_owned(),
    }];
    match &report.offered {
        Some(offer) => {
            facts.push(format!("ttl {}", offer.ttl));
            facts.push(options(report, offer));
        }
        None => facts.push("by a SYN cookie".to_owned()),
    }
    facts.extend(report.suspect.map(|name| format!("maybe {name}")));
    facts.extend(again("SYN", &report.syn_gaps, style));
    line(report, ("opened", Paint::Opening), facts, style)
}

/// `win 64240 <mss 1460,sackOK,TS,nop,wscale 7>`, in the client's order.
fn options(report: &ClientReport, offer: &Offer) -> String {
    // The clock in a timestamp is no offer.
    let name =
        |option: &String| if option.starts_with("TS val") { "TS".into() } else { option.clone() };
    let options: Vec<String> = report.options.iter().map(name).collect();
    format!("win {} <{}>", offer.window, options.join(","))
}

/// How often a segment came again, and after what times.
fn again(what: &str, gaps: &[Duration], style: &Style) -> Option<String> {
    /// Times that are told one by one.
    const TOLD: usize = 4;
    if gaps.is_empty() {
        return None;
    }
    let times: Vec<String> =
        gaps.iter().take(TOLD).map(|gap| duration(*gap, style.unicode)).collect();
    let more = if gaps.len() > TOLD { " and so on" } else { "" };
    Some(format!("{what} again after {}{more}", times.join(", ")))
}

/// `#1 192.0.2.1:50000 closed, they first by FIN, 12 bytes in, 12 out, 1.203 ms`.
pub(in crate::report) fn ended(report: &ClientReport, style: &Style) -> Lines {
    let mut facts = Vec::new();
    facts.extend(how(report).map(str::to_owned));
    if report.established {
        facts.push(format!("{} in, {} out", count(report.received, "byte"), report.acknowledged));
    } else {
        let offer = report.offered.as_ref();
        facts.extend(offer.map(|offer| format!("ttl {}", offer.ttl)));
        facts.extend(offer.map(|offer| options(report, offer)));
        facts.extend(report.suspect.map(|name| format!("maybe {name}")));
        facts.extend(again("SYN", &report.syn_gaps, style));
    }
    if report.resent > 0 {
        facts.push(format!("{} sent again", count(report.resent.into(), "segment")));
    }
    if report.repeated > 0 {
        facts.push(format!("{} of its data came again", count(report.repeated.into(), "segment")));
    }
    facts.extend(report.idle.map(|idle| format!("nothing had moved for {}", brief(idle))));
    if let Some(close) = &report.close
        && close.bytes_after_fin > 0
    {
        facts.push(format!("{} after our FIN", count(close.bytes_after_fin, "byte")));
    }
    facts.extend(report.after_its_fin.map(|verdict| half_close(verdict).to_owned()));
    facts.extend(again("FIN", &report.fin_gaps, style));
    facts.push(format!("lasted {}", duration(report.lasted, style.unicode)));
    let paint = match report.outcome {
        Outcome::Closed => Paint::Closing,
        Outcome::Reset | Outcome::TimedOut | Outcome::LocalInterference => Paint::Bad,
        _ => Paint::Warn,
    };
    line(report, (word(report.outcome), paint), facts, style)
}

/// The outcome of a client in a word or two.
const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Filtered => "half-open",
        Outcome::Interrupted => "left by us",
        Outcome::Aborted => "reset by us",
        Outcome::Reset => "reset by them",
        Outcome::TimedOut => "fell silent",
        other => other.name(),
    }
}

fn how(report: &ClientReport) -> Option<&'static str> {
    match (report.outcome, report.close.as_ref().and_then(|close| close.took_place)) {
        (Outcome::Closed, Some(CloseShape::Passive)) => Some("they first, by FIN"),
        (Outcome::Closed, Some(CloseShape::Simultaneous)) => Some("both at once: the FINs crossed"),
        (Outcome::Closed, Some(_)) => Some("we first, by FIN"),
        (Outcome::Filtered, _) => Some("our SYN-ACK was never acknowledged"),
        (Outcome::StillOpen, _) => Some("it acknowledged our FIN and never sent its own"),
        _ => None,
    }
}

const fn half_close(verdict: HalfClose) -> &'static str {
    match verdict {
        HalfClose::Reset => "behind its own FIN it answered our data by RST",
        _ => "behind its own FIN it still took our data",
    }
}

fn line(
    report: &ClientReport,
    (word, paint): (&str, Paint),
    facts: Vec<String>,
    style: &Style,
) -> Lines {
    let facts: Vec<String> = facts.iter().map(|fact| style.safe(fact)).collect();
    let head = vec![
        Span::new(format!("#{} ", report.number), Paint::Dim),
        Span::new(format!("{} ", report.client), Paint::Bold),
        Span::new(word.to_owned(), paint),
    ];
    // Whoever reads lines with a program finds each client's news on one.
    let rest = Span::plain(format!(": {}", facts.join(", ")));
    vec![head.into_iter().chain([rest]).collect()]
}

/// The end of the run.
pub(in crate::report) fn summary(report: &ListenReport, style: &Style) -> Lines {
    let clients: u64 = report.outcomes.iter().map(|(_, number)| *number).sum();
    let mut words = vec![count(clients, "client")];
    words.extend(report.outcomes.iter().map(|(it, number)| format!("{number} {}", word(*it))));
    let mut rows = vec![
        ("clients", words.join(", ")),
        ("opened", format!("{}, {} at a time at most", report.opened, report.most)),
        ("data", format!("{} in, {} out", count(report.received, "byte"), report.acknowledged)),
    ];
    if report.cookies > 0 {
        rows.push((
            "cookies",
            format!(
                "{} answered by a SYN cookie, {} of them came back, {} half-open given up for them",
                count(report.cookies, "SYN"),
                report.cookies_redeemed,
                report.evicted
            ),
        ));
    }
    let strays = count(report.strays, "segment");
    for (number, label, text) in [
        (report.turned_away, "refused", count(report.turned_away, "SYN") + " beyond the table"),
        (
            report.idle,
            "idle",
            count(report.idle, "client") + " on which nothing moved for too long",
        ),
        (report.strays, "strays", strays + " of no connection, answered by RST"),
        (report.overflow, "dropped", count(report.overflow, "segment") + ": too many at once"),
        (report.unsent, "not sent", count(report.unsent, "packet") + " that this host refused"),
    ] {
        if number > 0 {
            rows.push((label, text));
        }
    }
    rows.into_iter().flat_map(|(label, text)| plain(label, text, style)).collect()
}

/// A client's line.
pub(super) fn of(report: &ClientReport, style: &Style) -> Lines {
    match report.stage {
        ClientStage::Opened => opened(report, style),
        ClientStage::Ended => ended(report, style),
    }
}
