//! The close's part of the report.

use super::paint::Paint;
use super::summary::{measured, plain, row};
use super::{Lines, Style};
use crate::event::{CloseReport, CloseShape, HalfClose, Outcome};
use crate::report::units::{count, duration};
use crate::tcp::state::{End, State};

/// Shape, the peer's two answers to our FIN, the verdict on half-close, TIME-WAIT, final states.
pub(super) fn lines(report: &CloseReport, outcome: Outcome, ours: End, style: &Style) -> Lines {
    let mut lines = row("close", shape(report), style);
    lines.extend(segments(report).map(|text| plain("segments", text, style)).into_iter().flatten());
    let fin = ack_of_fin(report, outcome, style);
    lines.extend(fin.map(|row_text| row("ack of fin", row_text, style)).into_iter().flatten());
    let dwell = close_wait(report, outcome, style);
    lines.extend(dwell.map(|row_text| row("peer's fin", row_text, style)).into_iter().flatten());
    if report.bytes_after_fin > 0 || report.asked == CloseShape::Half {
        let text = format!("{} received after our FIN left", count(report.bytes_after_fin, "byte"));
        lines.extend(plain("after fin", text, style));
    }
    if let Some(verdict) = report.half_close {
        lines.extend(row("half-close", half_close(verdict, report.took_place.is_some()), style));
    }
    lines.extend(
        time_wait(report, style).map(|text| plain("time-wait", text, style)).into_iter().flatten(),
    );
    let (client, server) = match ours {
        End::Client => (report.our_state, report.peer_state),
        End::Server => (report.peer_state, report.our_state),
    };
    let states = format!("client {client}, server {server}");
    lines.extend(plain("states", states, style));
    lines
}

fn shape(report: &CloseReport) -> (String, Paint) {
    let asked = describe(report.asked);
    match report.took_place {
        Some(shape) if shape == report.asked => (format!("{asked}, as asked"), Paint::Good),
        Some(shape) => (format!("{}; asked was {asked}", describe(shape)), Paint::Warn),
        None => (format!("not completed; asked was {asked}"), Paint::Warn),
    }
}

const fn describe(shape: CloseShape) -> &'static str {
    match shape {
        CloseShape::Active => "active (we close first)",
        CloseShape::Passive => "passive (they close first)",
        CloseShape::Simultaneous => "simultaneous (both FINs crossed)",
        CloseShape::Half => "half (we close our direction and go on receiving)",
        CloseShape::Abort => "abort (by RST)",
    }
}

fn segments(report: &CloseReport) -> Option<String> {
    let merged = report.merged?;
    let text = if merged {
        "three: the peer's ACK of our FIN and its own FIN came as one"
    } else {
        "four: the peer's ACK of our FIN and its own FIN came apart"
    };
    Some(text.to_owned())
}

fn ack_of_fin(report: &CloseReport, outcome: Outcome, style: &Style) -> Option<(String, Paint)> {
    let tries = match report.fin_attempts {
        0 | 1 => String::new(),
        attempts => format!(", {} sent", count(attempts.into(), "FIN")),
    };
    match report.ack_of_fin {
        Some(delay) => {
            let text =
                format!("{} after our FIN{tries}: the peer's kernel", measured(delay, style));
            Some((text, Paint::Plain))
        }
        None if report.fin_attempts == 0 => None,
        None if outcome == Outcome::Reset => {
            Some((format!("none: the peer answered our FIN by RST{tries}"), Paint::Warn))
        }
        None => Some((format!("no time for it{tries}"), Paint::Warn)),
    }
}

fn close_wait(report: &CloseReport, outcome: Outcome, style: &Style) -> Option<(String, Paint)> {
    match report.close_wait {
        Some(_) if report.merged == Some(true) => {
            Some(("with that ACK: no time in CLOSE-WAIT to be seen".to_owned(), Paint::Plain))
        }
        Some(dwell) => {
            let text = format!(
                "{} after that ACK: its application, the time in CLOSE-WAIT",
                measured(dwell, style)
            );
            Some((text, Paint::Plain))
        }
        None if outcome == Outcome::StillOpen || report.peer_state == State::CloseWait => {
            Some(("never: still in CLOSE-WAIT at the deadline".to_owned(), Paint::Bad))
        }
        None if outcome == Outcome::Reset => {
            Some(("none: a RST came instead".to_owned(), Paint::Bad))
        }
        None => None,
    }
}

fn half_close(verdict: HalfClose, closed: bool) -> (String, Paint) {
    let (meaning, paint) = match verdict {
        HalfClose::Honoured if !closed => (
            "it acknowledged our FIN and was still sending when the time was over: end of file in \
             one direction leaves the other open",
            Paint::Good,
        ),
        HalfClose::Honoured => (
            "it acknowledged our FIN, went on sending, and closed in its own time: end of file in \
             one direction leaves the other open",
            Paint::Good,
        ),
        HalfClose::Collapsed => (
            "it closed at once: for its application our end of file ends the whole connection",
            Paint::Warn,
        ),
        HalfClose::Reset => {
            ("it reset the connection: what it had still to say is lost", Paint::Bad)
        }
        HalfClose::Ignored => (
            "its kernel acknowledged our FIN, its application neither sent nor closed until the \
             deadline",
            Paint::Warn,
        ),
    };
    (format!("{}: {meaning}", verdict.name()), paint)
}

fn time_wait(report: &CloseReport, style: &Style) -> Option<String> {
    let stay = report.time_wait?;
    let repeated = match report.fins_reacknowledged {
        0 => String::new(),
        number => {
            format!("; {} of the peer acknowledged again", count(number.into(), "repeated FIN"))
        }
    };
    Some(format!("{}: 2 MSL, shortened from 4 min{repeated}", duration(stay, style.unicode)))
}
