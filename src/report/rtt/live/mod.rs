//! A run on a terminal: a table with a line for each target, updated in place.

mod cell;
mod rows;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use self::cell::{Cell, Mark};
use super::lines::text;
use super::summary;
use crate::event::{RttEvent, RttProbe, RttSink, RttView};
use crate::report::human::Style;
use crate::report::human::paint::Span;
use crate::report::screen::{Screen, framed};
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
    screen: Screen,
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
            screen: Screen::default(),
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

    fn draw(&mut self, view: &RttView<'_>, size: Size) -> String {
        let lines = rows::table(view, &self.cells, size, &self.style);
        self.next = view.now + REFRESH;
        self.stale = false;
        self.screen.draw(lines, size.columns, self.style.color)
    }

    fn show(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.out.write_all(framed(text).as_bytes())?;
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
        let mut screen = self.screen.erasure(size.columns);
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
        f.debug_struct("LiveReporter").field("drawn", &self.screen.len()).finish_non_exhaustive()
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
