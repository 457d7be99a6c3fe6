//! Requests and their connections, for a person and as an HTTP archive.
//!
//! The human reporter shows each request when it has come to its end, and draws up the balance at
//! the end of the run: where the time of each request went, in figures and as a waterfall, what the
//! connections cost, and, where versions were compared, one beside the other.

mod compare;
mod har;
#[cfg(test)]
mod tests;
mod waterfall;
mod words;

use std::collections::BTreeMap;

pub use har::HarSink;

use super::human::paint::{Paint, Span};
use super::human::{Lines, Style};
use crate::event::{
    ConnectionReport, HttpVersion, Outcome, RequestReport, RequestTimes, RequestsReport,
};
use crate::time::Instant;

pub(super) use words::{cargo, connection, request};

/// The requests of one course that are kept for its waterfall; of more, these many.
const KEPT: usize = 32;

/// What the report at the end needs of one request.
#[derive(Clone, Debug)]
struct Row {
    number: u32,
    connection: u32,
    moments: crate::event::RequestMoments,
    complete: bool,
}

impl Row {
    fn times(&self) -> RequestTimes {
        self.moments.times()
    }
}

/// One course, as far as it was told.
#[derive(Clone, Debug, Default)]
struct Course {
    rows: Vec<Row>,
    /// Requests that are not among the rows.
    more: u64,
    /// When each connection's close began and ended.
    closes: BTreeMap<u32, (Instant, Instant)>,
    /// Waits for the first byte, of all requests.
    waits: Vec<std::time::Duration>,
    closed_by: Vec<crate::event::ClosedBy>,
    version: Option<HttpVersion>,
}

/// What was told of requests and connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    courses: BTreeMap<u32, Course>,
}

impl Told {
    /// Takes a request down.
    pub(super) fn request(&mut self, report: &RequestReport) {
        let course = self.courses.entry(report.course).or_default();
        course.version = Some(report.asked);
        course.waits.extend(report.moments.times().wait);
        if course.rows.len() == KEPT {
            course.more += 1;
            return;
        }
        course.rows.push(Row {
            number: report.number,
            connection: report.connection,
            moments: report.moments,
            complete: report.complete,
        });
    }

    /// Takes a connection down.
    pub(super) fn connection(&mut self, report: &ConnectionReport) {
        let course = self.courses.entry(report.course).or_default();
        course.closed_by.push(report.closed_by);
        if let Some(closing) = report.closing {
            course.closes.insert(report.number, closing);
        }
    }

    /// The balance: of each version the course whose time was the median, drawn; then all of them
    /// side by side where they were compared.
    pub(super) fn lines(&self, report: &RequestsReport, style: &Style) -> Lines {
        let mut lines = Vec::new();
        let typical = compare::typical(report);
        let drawn: Vec<_> = typical
            .into_iter()
            .filter_map(|course| Some((course, self.courses.get(&course.number)?)))
            .filter(|(_, told)| !told.rows.is_empty() && !style.quiet)
            .collect();
        // One scale for all of them, or they could not be compared.
        let spans = drawn.iter().filter_map(|(_, told)| waterfall::span(told));
        let whole = spans.map(|(_, span)| span).max().unwrap_or_default();
        for (course, told) in &drawn {
            lines.push(Vec::new());
            lines.push(vec![Span::new(heading(report, course.version, course.round), Paint::Bold)]);
            lines.extend(waterfall::table(told, style));
            lines.extend(waterfall::draw(told, whole, style));
        }
        if !drawn.is_empty() {
            lines.extend(waterfall::legend(style));
        }
        if !style.quiet {
            lines.push(Vec::new());
        }
        // Of a run in one version it stands in the place of the outcome.
        for course in report.courses.iter().filter(|_| report.compared) {
            if let Some(text) = &course.finding {
                lines.extend(words::finding(course, text, style));
            }
        }
        lines.extend(if report.compared {
            compare::table(self, report, style)
        } else {
            words::balance(report, style)
        });
        lines
    }

    fn courses_of<'a>(
        &'a self,
        report: &'a RequestsReport,
        version: HttpVersion,
    ) -> impl Iterator<Item = &'a Course> {
        let of = move |course: &&crate::event::CourseReport| {
            course.version == version && course.outcome == Outcome::Answered
        };
        report.courses.iter().filter(of).filter_map(|course| self.courses.get(&course.number))
    }
}

fn heading(report: &RequestsReport, version: HttpVersion, round: u32) -> String {
    let rounds = report.courses.iter().map(|course| course.round).max().unwrap_or(1);
    if rounds > 1 {
        format!("{version}, round {round} of {rounds}: its time is the median")
    } else {
        version.to_string()
    }
}
