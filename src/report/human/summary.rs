//! The report at the end of a run: how it ended, what was found out, what went over the wire.

use super::paint::{Paint, Span, blank, wrap_text};
use super::{Lines, Style, close, handshake, hang, probe, target};
use crate::event::{Measured, Outcome, Run, Summary, Traffic};
use crate::report::units::{count, duration};
use crate::report::{listen, request};
use crate::tcp::state::End;

/// Columns of the names on the left of the report.
pub(super) const LABEL: usize = 12;

/// The whole report. `run` is the first of the run's flows.
pub(super) fn lines(
    summary: &Summary,
    run: Option<&Run>,
    told: &request::Told,
    style: &Style,
) -> Lines {
    if style.quiet && !summary.probes.is_empty() {
        return Vec::new();
    }
    if let Some(report) = &summary.listen {
        let mut lines = vec![Vec::new()];
        lines.extend(listen::summary(report, style));
        lines.extend(footer(summary, style));
        return lines;
    }
    let mut lines = if style.quiet { Vec::new() } else { vec![Vec::new()] };
    lines.extend(run.map(|run| title(run, style)).into_iter().flatten());
    if summary.probes.is_empty() {
        lines.extend(row("outcome", outcome(summary, style), style));
    } else {
        lines.push(probe::counts(&summary.probes));
    }
    if let Some(report) = &summary.requests {
        lines.extend(told.lines(report, style));
    }
    if let Some(report) = &summary.handshake {
        lines.extend(handshake::lines(report, run, style));
    }
    if let Some(report) = &summary.close {
        lines.extend(close::lines(report, summary.outcome, End::Client, style));
    }
    lines.extend(footer(summary, style));
    lines
}

/// `--- example.org (192.0.2.7:443) handshake report ---`, in ping's manner.
fn title(run: &Run, style: &Style) -> Lines {
    let mut words = vec!["---".to_owned()];
    // A run of probes may have had many targets.
    if run.command != "probe" {
        words.extend(target(run, true, style));
    }
    words.push(format!("{} report ---", run.command));
    let text = words.join(" ");
    if style.is_narrow() {
        return wrap_text(&text, Paint::Bold, style.text_columns());
    }
    vec![vec![Span::new(text, Paint::Bold)]]
}

/// A line of the report: its name, and a text that wraps beside it.
pub(in crate::report) fn row(label: &str, (text, paint): (String, Paint), style: &Style) -> Lines {
    let columns = style.text_columns() - LABEL;
    let mut lines = wrap_text(&text, paint, columns);
    if let Some(first) = lines.first_mut() {
        first.insert(0, Span::new(format!("{label:<LABEL$}"), Paint::Dim));
    }
    hang(lines, LABEL)
}

/// A row in plain print.
pub(in crate::report) fn plain(label: &str, text: String, style: &Style) -> Lines {
    row(label, (text, Paint::Plain), style)
}

/// `11.102 ms (kernel clock)`.
pub(super) fn measured(measured: Measured, style: &Style) -> String {
    format!("{} ({} clock)", duration(measured.value, style.unicode), measured.clock)
}

fn outcome(summary: &Summary, style: &Style) -> (String, Paint) {
    let name = summary.outcome.name();
    let wish = if summary.as_expected { "as expected" } else { "not as expected" };
    let cut = if summary.interrupted && summary.outcome != Outcome::Interrupted {
        "; cut short by the user"
    } else {
        ""
    };
    let paint = if summary.as_expected { Paint::Good } else { Paint::Bad };
    (format!("{name}: {} ({wish}{cut})", reason(summary, style)), paint)
}

/// What a run of requests has found out, or what the outcome means.
fn reason(summary: &Summary, style: &Style) -> String {
    let requests = summary.requests.as_ref().filter(|report| !report.compared);
    let finding = requests.and_then(|report| report.courses.first()?.finding.as_ref());
    finding.map_or_else(|| in_words(summary.outcome).to_owned(), |text| style.safe(text))
}

/// An outcome as a sentence about the peer, the path or ourselves.
const fn in_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Open => "the handshake completed",
        Outcome::Refused => "a RST answered our SYN",
        Outcome::Filtered => "nothing answered any of our SYNs",
        Outcome::Unreachable => "ICMP says that the packet could not be delivered",
        Outcome::Prohibited => "ICMP says that a firewall forbids it",
        Outcome::Invalid => "what answered cannot be an answer to what we sent",
        Outcome::Closed => "both ends sent a FIN, and both were acknowledged",
        Outcome::Reset => "the peer ended the open connection by RST",
        Outcome::TimedOut => "the connection was open, then the peer fell silent",
        Outcome::StillOpen => {
            "the peer acknowledged our FIN and never sent its own: it was still in CLOSE-WAIT at \
             the deadline"
        }
        Outcome::OtherShape => "the close did not take the shape that was asked for",
        Outcome::Interrupted => "the user cut the run short",
        Outcome::Aborted => "we reset the open connection, as asked",
        Outcome::Answered => "every request was answered to its end",
        Outcome::Declined => "the server does not speak the version of HTTP that was asked for",
        Outcome::Untrusted => "TLS did not come about",
        Outcome::BadStatus => "a request was answered by a status of 400 or more",
        Outcome::LocalInterference => "our own kernel interfered: nothing can be said of the peer",
    }
}

fn footer(summary: &Summary, style: &Style) -> Lines {
    let Traffic { sent, received, retransmitted, rejected } = summary.traffic;
    let text = format!(
        "{} sent ({retransmitted} retransmitted), {received} received ({rejected} rejected), \
         time {}",
        count(sent, "segment"),
        duration(summary.elapsed, style.unicode),
    );
    wrap_text(&text, Paint::Plain, style.text_columns())
}

/// A column of the report's tables: padded to `columns`, at least one blank behind.
pub(super) fn cell(span: Span, columns: usize) -> [Span; 2] {
    let gap = blank(columns.saturating_sub(span.width()).max(1));
    [span, gap]
}
