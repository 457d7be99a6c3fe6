//! Where a run stands, in one line that is drawn again and again below the report.

use std::io::{self, Write};

use crate::event::{CheckEvent, CheckInfo, CheckSink, Cost, Verdict};
use crate::report::human::paint::{Span, cut};

/// Columns where the terminal does not say.
const UNKNOWN: usize = 80;

/// A report with a line of progress below it, on a terminal: erased before the report says anything,
/// and drawn again after it.
pub struct WithProgress<'a, W> {
    report: Box<dyn CheckSink + 'a>,
    out: W,
    columns: Box<dyn Fn() -> Option<usize> + 'a>,
    standing: Standing,
    drawn: String,
}

/// How a run stands.
#[derive(Debug, Default)]
struct Standing {
    began: bool,
    over: bool,
    calibrated: bool,
    planned: usize,
    done: usize,
    failed: usize,
    running: Vec<&'static CheckInfo>,
    confirming: Vec<&'static str>,
}

impl<'a, W: Write> WithProgress<'a, W> {
    /// Draws on the terminal behind `out`, whose width `columns` says whenever it is asked.
    pub fn new(
        report: Box<dyn CheckSink + 'a>,
        out: W,
        columns: impl Fn() -> Option<usize> + 'a,
    ) -> Self {
        let (columns, standing) = (Box::new(columns), Standing::default());
        Self { report, out, columns, standing, drawn: String::new() }
    }

    /// The writer, for whoever wants what was written to memory.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Takes the line off the screen.
    fn erase(&mut self) {
        if !std::mem::take(&mut self.drawn).is_empty() {
            // A terminal that is gone is no reason to end the run.
            let _ = self.out.write_all(b"\r\x1b[2K").and_then(|()| self.out.flush());
        }
    }

    fn draw(&mut self) {
        let columns = (self.columns)().unwrap_or(UNKNOWN);
        // The last column stays free: some terminals break there already.
        let line = cut(vec![Span::plain(self.standing.line())], columns.saturating_sub(1));
        let line: String = line.into_iter().map(|span| span.text).collect();
        if !line.is_empty() {
            let _ = self.out.write_all(line.as_bytes()).and_then(|()| self.out.flush());
        }
        self.drawn = line;
    }
}

impl Standing {
    fn take(&mut self, event: &CheckEvent) {
        match event {
            CheckEvent::Run(run) => {
                self.began = true;
                self.planned = run.checks.len();
            }
            CheckEvent::Server(_) => self.calibrated = true,
            CheckEvent::Started(info) => self.running.push(info),
            CheckEvent::Confirming(info, _) => self.confirming.push(info.id),
            CheckEvent::Result(result) => {
                let id = result.info.id;
                self.done += 1;
                self.failed += usize::from(result.finding.verdict == Verdict::Fail);
                self.running.retain(|info| info.id != id);
                self.confirming.retain(|other| *other != id);
            }
            CheckEvent::End(_) => self.over = true,
            CheckEvent::Path(_) => {}
        }
    }

    fn line(&self) -> String {
        if !self.began || self.over {
            return String::new();
        }
        if !self.calibrated {
            return "finding out what the path and the server do ...".to_owned();
        }
        let mut line = format!("{} of {} done, {} failed", self.done, self.planned, self.failed);
        if !self.confirming.is_empty() {
            line += &format!("; repeating {}", self.confirming.join(", "));
        }
        let confirming = |info: &&&CheckInfo| self.confirming.contains(&info.id);
        // Those that take long first: they are what the user waits for.
        let (slow, quick): (Vec<&&CheckInfo>, Vec<_>) = self
            .running
            .iter()
            .filter(|info| !confirming(info))
            .partition(|info| info.cost == Cost::Slow);
        let names = |all: Vec<&&CheckInfo>| all.iter().map(|info| info.id).collect::<Vec<_>>();
        if !slow.is_empty() {
            line += &format!("; slow: {}", names(slow).join(", "));
        }
        if !quick.is_empty() {
            line += &format!("; running: {}", names(quick).join(", "));
        }
        line
    }
}

impl<W: Write> CheckSink for WithProgress<'_, W> {
    fn record(&mut self, event: &CheckEvent) -> io::Result<()> {
        self.standing.take(event);
        self.erase();
        self.report.record(event)?;
        self.draw();
        Ok(())
    }
}

impl<W> std::fmt::Debug for WithProgress<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WithProgress").field("standing", &self.standing).finish_non_exhaustive()
    }
}
