//! A run on a terminal: a table with a line for each target, updated in place.

mod cell;
mod rows;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use self::cell::{Cell, Mark};
use super::lines::text;
use super::summary;
use crate::event::{RttEvent, RttProbe, RttSink, RttView};
use crate::report::human::Style;
use crate::report::human::paint::{Span, cut, render, width};
use crate::time::Instant;

/// From one drawing to the next at least.
const REFRESH: Duration = Duration::from_millis(200);

/// The screen where nobody knows it.
const UNKNOWN: Size = Size { columns: 80, rows: 24 };

/// Columns and rows of a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Columns.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
}

/// Shows a run as a table that fits the terminal, at most five times a second, and at its end the
/// same statistics as [`super::LinesReporter`] in its place.
///
/// An event costs the same however many targets there are; a drawing looks at all of them only where
/// not all have a row.
pub struct LiveReporter<'a, W> {
    out: W,
    style: Style,
    size: Box<dyn Fn() -> Option<Size> + 'a>,
    cells: Vec<Cell>,
    /// Columns of each line that stands on the screen.
    drawn: Vec<usize>,
    /// When the next drawing may be.
    next: Instant,
    /// Something has changed since the last one.
    stale: bool,
}

impl<'a, W: Write> LiveReporter<'a, W> {
    /// Draws on the terminal behind `out`, whose size `size` says whenever it is asked, none where it
    /// is not known. The width in `style` holds for the statistics at the end; with
    /// [`Style::quiet`] there is nothing but those.
    pub fn new(out: W, style: Style, size: impl Fn() -> Option<Size> + 'a) -> Self {
        if style.color {
            // The crate would ask the environment again; whoever made the style has decided.
            colored::control::set_override(true);
        }
        Self {
            out,
            style,
            size: Box::new(size),
            cells: Vec::new(),
            drawn: Vec::new(),
            next: Instant::ZERO,
            stale: false,
        }
    }

    /// The writer, for whoever wants what was written to memory.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn take(&mut self, event: &RttEvent<'_>, view: &RttView<'_>) {
        match event {
            RttEvent::Began => {
                self.cells = vec![Cell::default(); view.run.targets.len()];
            }
            RttEvent::Probe(probe) => self.mark(probe, Mark::of(probe)),
            RttEvent::Late(probe) => self.mark(probe, Some(Mark::Late)),
            RttEvent::Tick => return,
            _ => {}
        }
        self.stale = true;
    }

    fn mark(&mut self, probe: &RttProbe, mark: Option<Mark>) {
        if let (Some(cell), Some(mark)) = (self.cells.get_mut(probe.target as usize), mark) {
            cell.push(mark, probe);
        }
    }

    /// What takes the table off the screen and leaves the cursor where it began.
    fn erasure(&mut self, columns: usize) -> String {
        // A terminal that became narrower has broken what was too long for it.
        let rows: usize = self.drawn.iter().map(|width| width.div_ceil(columns).max(1)).sum();
        self.drawn.clear();
        if rows == 0 {
            return String::new();
        }
        // Row by row: a terminal that is told to clear its whole screen at once may keep what stood
        // there in its history, and there would be one more table with each drawing. The cursor's
        // own row may hold what the user typed.
        let up = format!("\x1b[{rows}A");
        format!("\r{up}{}\x1b[2K{up}", "\x1b[2K\x1b[1B".repeat(rows))
    }

    fn draw(&mut self, view: &RttView<'_>, size: Size) -> String {
        let lines = rows::table(view, &self.cells, size, &self.style);
        let mut out = String::new();
        for line in lines {
            // The last column stays free: some terminals break there already.
            let line = cut(line, size.columns.saturating_sub(1).max(1));
            self.drawn.push(width(&line));
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{}", render(&line, self.style.color));
        }
        self.next = view.now + REFRESH;
        self.stale = false;
        out
    }

    fn show(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        // Synchronized update: a terminal that knows it shows the old screen or the new one, never
        // half of each; any other passes it over.
        let framed = format!("\x1b[?2026h{text}\x1b[?2026l");
        self.out.write_all(framed.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> RttSink for LiveReporter<'_, W> {
    fn hear(&mut self, event: &RttEvent<'_>, view: &RttView<'_>) -> io::Result<()> {
        self.take(event, view);
        let above = match event {
            RttEvent::Notice(notice) => text(&self.style.notice(notice), &self.style),
            RttEvent::Interim => summary::interim(view, &self.style),
            RttEvent::Ended(_) => summary::ended(view, &self.style),
            _ => String::new(),
        };
        let is_over = matches!(event, RttEvent::Ended(_));
        if self.style.quiet {
            return self.out.write_all(above.as_bytes()).and_then(|()| self.out.flush());
        }
        if above.is_empty() && (!self.stale || view.now < self.next) {
            return Ok(());
        }
        let size = (self.size)().unwrap_or(UNKNOWN);
        let size = Size { columns: size.columns.max(1), rows: size.rows.max(1) };
        let mut screen = self.erasure(size.columns);
        screen += &above;
        if is_over {
            self.stale = false;
        } else {
            screen += &self.draw(view, size);
        }
        self.show(&screen)
    }

    fn wake_at(&self) -> Option<Instant> {
        (self.stale && !self.style.quiet).then_some(self.next)
    }
}

impl<W> std::fmt::Debug for LiveReporter<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveReporter").field("drawn", &self.drawn.len()).finish_non_exhaustive()
    }
}

/// Columns of a text.
fn columns(text: &str) -> usize {
    text.width()
}

/// A span without colour.
fn plain(text: impl Into<String>) -> Span {
    Span::plain(text)
}
