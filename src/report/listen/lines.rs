//! Clients as lines: one when a client has opened, one at its end, the summary.

use std::io::{self, Write};

use super::words;
use crate::event::{Event, FlowId, Run, Sink};
use crate::report::human::paint::{Paint, Span, render};
use crate::report::human::{Lines, Style};

/// Prints a line for each client that opens or ends, the moment it does. Needs no terminal.
#[derive(Debug)]
pub struct LinesReporter<W> {
    out: W,
    style: Style,
    begun: bool,
}

impl<W: Write> LinesReporter<W> {
    /// Writes to `out` in `style`. With [`Style::quiet`] there is nothing but the summary.
    pub fn new(out: W, style: Style) -> Self {
        if style.color {
            // The crate would ask the environment again; whoever made the style has decided.
            colored::control::set_override(true);
        }
        Self { out, style, begun: false }
    }

    /// The writer, for whoever wants what was written to memory.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn lines(&mut self, event: &Event) -> Lines {
        match event {
            Event::Run(run) if !std::mem::replace(&mut self.begun, true) => {
                if self.style.quiet {
                    Vec::new()
                } else {
                    vec![header(run, &self.style)]
                }
            }
            Event::Client(report) if !self.style.quiet => words::of(report, &self.style),
            Event::Notice(notice) => self.style.notice(notice),
            Event::Summary(summary) => {
                let report = summary.listen.as_ref();
                report.map_or_else(Vec::new, |report| words::summary(report, &self.style))
            }
            _ => Vec::new(),
        }
    }
}

/// `LISTEN 8080 (0.0.0.0:8080) via any, clock=kernel, guard=filter`.
pub(super) fn header(run: &Run, style: &Style) -> Vec<Span> {
    let name = style.safe(&run.name);
    let address = run.source.to_string();
    let address = if name == address { String::new() } else { format!(" ({address})") };
    let via = style.safe(&run.interface);
    vec![
        Span::new("LISTEN ", Paint::Bold),
        Span::new(name, Paint::Bold),
        Span::plain(format!("{address} via {via}, clock={}, guard={}", run.clock, run.guard)),
    ]
}

impl<W: Write> Sink for LinesReporter<W> {
    fn record(&mut self, _: FlowId, event: &Event) -> io::Result<()> {
        let lines = self.lines(event);
        if lines.is_empty() {
            return Ok(());
        }
        let text: String = lines.iter().map(|line| render(line, self.style.color) + "\n").collect();
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}
