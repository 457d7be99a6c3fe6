//! Where a sweep stands, in one line that is drawn again and again below the report.

use std::io::{self, Write};
use std::time::Duration;

use crate::event::{Found, Notice, SweepEnd, SweepProgress, SweepRun, SweepSink, SweepStage};
use crate::report::human::paint::{Span, cut};
use crate::time::Instant;

/// Columns where the terminal does not say.
const UNKNOWN: usize = 80;

/// How often the line is drawn at most, for the sake of who reads it.
const PAUSE: Duration = Duration::from_millis(200);

/// How many targets are kept from the report until it is told them together. The reporters keep more
/// by themselves, so that nothing is written behind this line's back.
const KEPT: u32 = 256;

/// A report with a line of progress below it, on a terminal: erased before the report says anything,
/// and drawn again after it.
///
/// The report may share the terminal or not. It is only heard of what it writes where the line has
/// been erased, therefore targets are flushed out of it in heaps: with each line that is drawn, and
/// every 256 of them.
pub struct SweepWithProgress<'a, W> {
    report: Box<dyn SweepSink + Send + 'a>,
    out: W,
    columns: Box<dyn Fn() -> Option<usize> + Send + 'a>,
    line: String,
    drawn: bool,
    drawn_at: Option<Instant>,
    kept: u32,
    /// Whether another program writes what the report tells, maybe to the same terminal.
    piped: bool,
    /// Whether the line is to be drawn once that program has written.
    owed: bool,
}

impl<'a, W: Write> SweepWithProgress<'a, W> {
    /// Draws on the terminal behind `out`, whose width `columns` says whenever it is asked.
    pub fn new(
        report: impl SweepSink + Send + 'a,
        out: W,
        columns: impl Fn() -> Option<usize> + Send + 'a,
    ) -> Self {
        Self {
            report: Box::new(report),
            out,
            columns: Box::new(columns),
            line: String::new(),
            drawn: false,
            drawn_at: None,
            kept: 0,
            piped: false,
            owed: false,
        }
    }

    /// The same for a report that another program reads. That may write to this terminal, a moment
    /// later: the line stays away until the next progress, and what is new then waits for the one after.
    #[must_use]
    pub fn piped(self, piped: bool) -> Self {
        Self { piped, ..self }
    }

    /// The writer, for whoever wants what was written to memory.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Takes the line off the screen.
    fn erase(&mut self) {
        if std::mem::take(&mut self.drawn) {
            // A terminal that is gone is no reason to end the run.
            let _ = self.out.write_all(b"\r\x1b[2K").and_then(|()| self.out.flush());
        }
    }

    fn draw(&mut self) {
        let columns = (self.columns)().unwrap_or(UNKNOWN);
        // The last column stays free: some terminals break there already.
        let line = cut(vec![Span::plain(self.line.as_str())], columns.saturating_sub(1));
        let line: String = line.into_iter().map(|span| span.text).collect();
        if !line.is_empty() {
            let _ = self.out.write_all(line.as_bytes()).and_then(|()| self.out.flush());
            self.drawn = true;
        }
    }

    /// Lets the report say what it has kept.
    fn show(&mut self) -> io::Result<()> {
        self.owed = self.piped && self.kept > 0;
        self.kept = 0;
        self.erase();
        let shown = self.report.flush();
        if !self.owed {
            self.draw();
        }
        shown
    }
}

impl<W: Write> SweepSink for SweepWithProgress<'_, W> {
    fn begin(&mut self, run: &SweepRun) -> io::Result<()> {
        self.report.begin(run)
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        self.report.found(found)?;
        self.kept += 1;
        if self.kept >= KEPT { self.show() } else { Ok(()) }
    }

    fn progress(&mut self, progress: &SweepProgress) -> io::Result<()> {
        self.report.progress(progress)?;
        if self.drawn_at.is_some_and(|at| progress.now.since(at) < PAUSE) {
            return Ok(());
        }
        self.drawn_at = Some(progress.now);
        self.line = line(progress);
        if std::mem::take(&mut self.owed) {
            self.erase();
            self.draw();
            return Ok(());
        }
        self.show()
    }

    fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        self.erase();
        self.report.flush()?;
        let said = self.report.notice(notice);
        self.draw();
        said
    }

    fn end(&mut self, end: &SweepEnd) -> io::Result<()> {
        self.erase();
        self.line.clear();
        self.report.end(end)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.kept > 0 { self.show() } else { self.report.flush() }
    }
}

impl<W> std::fmt::Debug for SweepWithProgress<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SweepWithProgress").field("line", &self.line).finish_non_exhaustive()
    }
}

/// `12.3 % of 65536 targets, 8060 SYNs, 50000/s, 1200 open, 6800 refused, loss 0.43 %, 2 s left`.
fn line(progress: &SweepProgress) -> String {
    let p = progress;
    let mut line = p.share();
    // Before all else, for a narrow terminal cuts the end.
    if p.drops > 0 {
        line += &format!(", {} DROPPED BY THIS HOST", p.drops);
    }
    line += &format!(", {} SYNs", p.sent);
    match p.stage {
        SweepStage::Sending => line += &format!(", {}/s", p.rate),
        SweepStage::CoolingDown => line += ", late answers",
    }
    line += &format!(", {} open, {} refused", p.open, p.refused);
    if p.unreachable > 0 {
        line += &format!(", {} unreachable", p.unreachable);
    }
    if let Some(loss) = p.loss {
        let hundredths = (loss.ppm + 50) / 100;
        line += &format!(", loss {}.{:02} %", hundredths / 100, hundredths % 100);
    }
    if let Some(eta) = p.eta {
        line += &format!(", {} left", clock(eta));
    }
    line
}

/// `42 s`, `12:05`, `3:00:07`, `2 d 03:10:00`.
fn clock(duration: Duration) -> String {
    let all = duration.as_secs();
    let (days, hours) = (all / 86_400, all / 3600 % 24);
    let (minutes, seconds) = (all / 60 % 60, all % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes}:{seconds:02}"),
        (0, ..) => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{days} d {hours:02}:{minutes:02}:{seconds:02}"),
    }
}
