//! Versions side by side.

use std::time::Duration;

use super::Told;
use super::waterfall::millis;
use crate::event::{ClosedBy, CourseReport, HttpVersion, Load, RequestsReport};
use crate::report::human::paint::{Paint, Span};
use crate::report::human::{Lines, Style};

/// Columns of the names on the left, and of each version.
const LABEL: usize = 30;
const CELL: usize = 15;
/// Columns of each version where there is little room.
const NARROW: usize = 12;

/// What something took in a course.
type LoadOf = fn(&CourseReport) -> Load;

/// Of each version the course whose time is the median of its rounds; one that failed only where
/// none succeeded.
pub(super) fn typical(report: &RequestsReport) -> Vec<&CourseReport> {
    HttpVersion::ALL
        .into_iter()
        .filter_map(|version| {
            let mut courses = good(report, version);
            courses.sort_by_key(|course| course.total);
            let any = || report.courses.iter().find(|course| course.version == version);
            courses.get(courses.len().saturating_sub(1) / 2).copied().or_else(any)
        })
        .collect()
}

fn good(report: &RequestsReport, version: HttpVersion) -> Vec<&CourseReport> {
    let is = |course: &&CourseReport| course.version == version && course.answered == course.asked;
    report.courses.iter().filter(is).collect()
}

/// The middle one; of an even number the lower of the two.
fn median<T: Ord + Copy>(values: impl IntoIterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// The table of all versions.
pub(super) fn table(told: &Told, report: &RequestsReport, style: &Style) -> Lines {
    let versions: Vec<HttpVersion> = HttpVersion::ALL
        .into_iter()
        .filter(|version| report.courses.iter().any(|course| course.version == *version))
        .collect();
    let rounds = report.courses.iter().map(|course| course.round).max().unwrap_or(1);
    let name = if rounds > 1 { format!("median of {rounds} rounds") } else { String::new() };
    let mut lines = row(&name, versions.iter().map(ToString::to_string), Paint::Bold, style);
    let each = |label: &str, cell: &dyn Fn(HttpVersion) -> Option<String>| {
        let none = if style.unicode { "–" } else { "-" };
        let cells =
            versions.iter().map(|version| cell(*version).unwrap_or_else(|| none.to_owned()));
        row(label, cells, Paint::Plain, style)
    };
    let number = |of: fn(&CourseReport) -> u64| {
        move |version| median(good(report, version).into_iter().map(of)).map(|it| it.to_string())
    };
    let time = |of: fn(&CourseReport) -> Option<Duration>| {
        move |version| {
            let values = good(report, version).into_iter().filter_map(of);
            median(values).map(|value| millis(Some(value), style))
        }
    };
    lines.extend(each("requests answered", &|version| {
        let mut courses = report.courses.iter().filter(|course| course.version == version);
        let first = courses.next()?;
        let least = courses.map(|course| course.answered).chain([first.answered]).min()?;
        Some(format!("{least} of {}", first.asked))
    }));
    lines.extend(each("connections opened", &number(|course| course.connections.into())));
    let loads: [(&str, LoadOf); 4] = [
        ("opening", |course| course.costs.opening),
        ("TLS handshake", |course| course.costs.tls),
        ("requests and responses", |course| course.costs.exchange),
        ("closing", |course| course.costs.closing),
    ];
    for (label, load) in loads {
        let secure = report.courses.iter().any(|course| course.costs.tls.segments > 0);
        if label == "TLS handshake" && !secure {
            continue;
        }
        let segments = |version| {
            let values = good(report, version).into_iter().map(|it| load(it).segments);
            median(values).map(|it| it.to_string())
        };
        let bytes = |version| {
            let values = good(report, version).into_iter().map(|it| load(it).bytes);
            median(values).map(|it| it.to_string())
        };
        lines.extend(each(&format!("{label}: segments"), &segments));
        lines.extend(each(&format!("{label}: bytes"), &bytes));
    }
    lines.extend(each("handshakes of a connection, ms", &time(|course| course.opening)));
    lines.extend(each("wait for a first byte, ms", &|version| {
        let waits = told.courses_of(report, version).flat_map(|course| course.waits.clone());
        median(waits).map(|value| millis(Some(value), style))
    }));
    lines.extend(each("all requests, ms", &time(|course| Some(course.total))));
    lines.extend(each("saved by reuse, ms", &time(|course| Some(course.saved))));
    let old = median(good(report, HttpVersion::Http10).into_iter().map(|course| course.total));
    lines.extend(each("less than HTTP/1.0, ms", &|version| {
        let own = median(good(report, version).into_iter().map(|course| course.total))?;
        let old = old.filter(|_| version != HttpVersion::Http10)?;
        let sign = if own > old { "-" } else { "" };
        Some(format!("{sign}{}", millis(Some(own.abs_diff(old)), style)))
    }));
    lines.extend(each("closed by", &|version| closed_by(told, report, version)));
    lines
}

fn closed_by(told: &Told, report: &RequestsReport, version: HttpVersion) -> Option<String> {
    let all: Vec<ClosedBy> =
        told.courses_of(report, version).flat_map(|course| course.closed_by.clone()).collect();
    let first = *all.first()?;
    if all.iter().any(|other| *other != first) {
        return Some("several".to_owned());
    }
    let text = match first {
        ClosedBy::Us => "us",
        ClosedBy::Them => "the server",
        ClosedBy::Both => "both",
        ClosedBy::TheirReset => "its reset",
        ClosedBy::OurReset => "our reset",
        ClosedBy::Nobody => "nobody",
    };
    Some(text.to_owned())
}

/// A row: its name, and beside it, or below it where there is little room, a cell for each version.
fn row(label: &str, cells: impl Iterator<Item = String>, paint: Paint, style: &Style) -> Lines {
    let name = Span::new(format!("{label:<LABEL$}"), Paint::Dim);
    if style.is_narrow() {
        let cells = cells.map(|cell| Span::new(format!("{cell:>NARROW$}"), paint)).collect();
        return if label.is_empty() { vec![cells] } else { vec![vec![name], cells] };
    }
    vec![
        std::iter::once(name)
            .chain(cells.map(|it| Span::new(format!("{it:>CELL$}"), paint)))
            .collect(),
    ]
}
