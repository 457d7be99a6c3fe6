//! The head of a report: whom it is about, and what the calibration found.

use crate::event::{CheckRun, PathProfile, ServerProfile, Trigger};
use crate::report::human::paint::{Paint, Span, wrap};
use crate::report::human::{Lines, Style, hang, named};
use crate::report::units::{count, duration};

/// `CHECK example.org (192.0.2.7:443) from 192.0.2.1 via eth0, 114 checks, …`.
pub(super) fn run(run: &CheckRun, style: &Style) -> Lines {
    let mut words = vec![Span::new("CHECK", Paint::Bold)];
    words
        .extend(named(&run.name, run.target, true, style).map(|word| Span::new(word, Paint::Bold)));
    let rest = [
        format!("from {}", run.source),
        format!("via {},", style.safe(&run.interface)),
        format!("{},", count(run.checks.len() as u64, "check")),
        format!("clock={},", run.clock),
        format!("guard={}", run.guard),
    ];
    words.extend(rest.map(Span::plain));
    hang(wrap(words, " ", style.columns() - 2), 2)
}

/// One line of the head: `path: this, that`.
fn line(name: &str, items: Vec<String>, style: &Style) -> Lines {
    let mut items: Vec<Span> = items.into_iter().map(Span::plain).collect();
    if let Some(first) = items.first_mut() {
        first.text.insert_str(0, &format!("{name}: "));
    }
    hang(wrap(items, ", ", style.columns() - 2), 2)
}

/// What the calibration found about the path.
pub(super) fn path(path: &PathProfile, style: &Style) -> Lines {
    let mut items = Vec::new();
    if let Some(rtt) = path.rtt {
        items.push(format!("round trip {}", duration(rtt, style.unicode)));
    }
    if path.asked > 0 {
        items.push(format!("{} of {} SYNs lost", path.unanswered, path.asked));
    }
    items.extend(path.stray_answered.map(|answered| treatment("stray ACKs", answered)));
    let outside = path.out_of_window_answered;
    items.extend(outside.map(|answered| treatment("segments out of the window", answered)));
    items.push(match path.closed_port {
        Some(closed) if closed.refuses => format!("closed port {} refuses", closed.port),
        Some(closed) => format!("port {} does not refuse", closed.port),
        None => "no closed port known".to_owned(),
    });
    items.extend(ttls(path.ttls));
    line("path", items, style)
}

fn treatment(what: &str, answered: bool) -> String {
    let how = if answered { "answered" } else { "swallowed, so silence proves nothing of them" };
    format!("{what} {how}")
}

/// The TTLs of three kinds of answers; where they differ, something else may have answered.
fn ttls([syn_ack, rst, ack]: [Option<u8>; 3]) -> Option<String> {
    let known: Vec<u8> = [syn_ack, rst, ack].into_iter().flatten().collect();
    let first = known.first()?;
    if known.iter().all(|ttl| ttl == first) {
        return Some(format!("TTL {first}"));
    }
    let named = [("SYN-ACK", syn_ack), ("RST", rst), ("ACK", ack)];
    let each = named.iter().filter_map(|(name, ttl)| Some(format!("{name} {}", (*ttl)?)));
    Some(format!("TTLs that differ: {}", each.collect::<Vec<_>>().join(" / ")))
}

/// What the server does.
pub(super) fn server(server: &ServerProfile, style: &Style) -> Lines {
    let mut items = Vec::new();
    if server.greets > 0 {
        items.push(format!("sends {} by itself", count(server.greets, "byte")));
    }
    if server.echoes {
        items.push("echoes".to_owned());
    } else if server.answers > 0 {
        items.push(format!("answers {}", count(server.answers, "byte")));
    } else if server.answers_after_eof > 0 {
        let bytes = count(server.answers_after_eof, "byte");
        items.push(format!("answers {bytes} after our FIN"));
    }
    items.push(match (server.closes_first, server.closes_after_fin) {
        (Some(Trigger::Connect), _) => "closes first".to_owned(),
        (Some(Trigger::Request), _) => "closes first, once it has answered".to_owned(),
        (None, Some(dwell)) if dwell.is_zero() => "closes at once after our FIN".to_owned(),
        (None, Some(dwell)) => format!("closes {} after our FIN", duration(dwell, style.unicode)),
        (None, None) if server.resets_all => "resets every connection".to_owned(),
        (None, None) if server.resets => "resets in place of closing".to_owned(),
        (None, None) => "does not close after our FIN".to_owned(),
    });
    let mut options = Vec::new();
    options.extend(server.mss.map(|mss| format!("MSS {mss}")));
    options.extend(server.window_scale.map(|shift| format!("window scale {shift}")));
    options.extend(server.sack.then(|| "SACK".to_owned()));
    options.extend(server.timestamps.then(|| "timestamps".to_owned()));
    if options.is_empty() {
        options.push("no options".to_owned());
    }
    items.extend(options);
    line("server", items, style)
}
