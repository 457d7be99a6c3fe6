//! `addr:port` lines for the next program of a pipe, and rows for a person.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use super::{BUFFER, ink};
use crate::event::{Found, SweepEnd, SweepOutcome, SweepRun, SweepSink};
use crate::report::human::Style;
use crate::report::human::paint::{Paint, Span, blank, cut, render, width};
use crate::report::sanitize;
use crate::report::units;

/// Writes `192.0.2.7:443` or `[2001:db8::7]:443` for each target, and nothing else.
#[derive(Debug)]
pub struct SweepPlain<W: Write> {
    out: BufWriter<W>,
    line: Vec<u8>,
}

impl<W: Write> SweepPlain<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out: BufWriter::with_capacity(BUFFER, out), line: Vec::new() }
    }

    /// The writer, for whoever wants what was written to memory.
    ///
    /// # Errors
    /// What was kept could not be written.
    pub fn into_inner(self) -> io::Result<W> {
        self.out.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl<W: Write> SweepSink for SweepPlain<W> {
    fn begin(&mut self, _: &SweepRun) -> io::Result<()> {
        Ok(())
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        self.line.clear();
        ink::endpoint(&mut self.line, found.addr, found.port);
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }

    fn end(&mut self, _: &SweepEnd) -> io::Result<()> {
        self.out.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes a row for each target, for a terminal: what it is, how long it took, what it said.
#[derive(Debug)]
pub struct SweepRows<W: Write> {
    out: BufWriter<W>,
    style: Style,
    /// Columns of the targets: those of the widest so far.
    widest: usize,
    line: Vec<u8>,
}

/// Columns of the longest outcome.
const OUTCOME: usize = 11;

impl<W: Write> SweepRows<W> {
    /// Writes to `out`.
    pub fn new(out: W, style: Style) -> Self {
        if style.color {
            // The style decides, not what `colored` makes of the environment.
            colored::control::set_override(true);
        }
        let out = BufWriter::with_capacity(BUFFER, out);
        Self { out, style, widest: "255.255.255.255:443".len(), line: Vec::new() }
    }

    /// The writer, for whoever wants what was written to memory.
    ///
    /// # Errors
    /// What was kept could not be written.
    pub fn into_inner(self) -> io::Result<W> {
        self.out.into_inner().map_err(io::IntoInnerError::into_error)
    }

    fn row(&mut self, found: &Found) -> String {
        self.line.clear();
        ink::endpoint(&mut self.line, found.addr, found.port);
        let target = String::from_utf8_lossy(&self.line).into_owned();
        self.widest = self.widest.max(target.len());
        let gap = self.widest - target.len() + 2;
        let word = found.outcome.name();
        let mut spans = vec![
            Span::plain(target),
            blank(gap),
            Span::new(word, paint(found.outcome)),
            blank(OUTCOME + 2 - word.len()),
        ];
        let nanos = found.rtt.map(|rtt| i64::try_from(rtt.nanos).unwrap_or(i64::MAX));
        let rtt = nanos.map(|nanos| units::column(nanos, self.style.unicode));
        spans.push(Span::plain(format!("{:>1$}", rtt.unwrap_or_default(), units::COLUMN)));
        spans.extend(self.details(found).into_iter().flat_map(|detail| [blank(2), detail]));
        let columns = self.style.width.max(40);
        if width(&spans) > columns {
            let mark = if self.style.unicode { "…" } else { "..." };
            spans = cut(spans, columns - mark.chars().count());
            spans.push(Span::new(mark, Paint::Dim));
        }
        let line = render(&spans, self.style.color);
        format!("{line}\n")
    }

    fn details(&self, found: &Found) -> Vec<Span> {
        let unicode = self.style.unicode;
        let shown = |nanos: u64| units::duration(Duration::from_nanos(nanos), unicode);
        let mut details = Vec::new();
        if let Some(icmp) = found.icmp {
            details.push(format!("says {}", icmp.by));
        }
        details.extend(found.pass.filter(|pass| *pass > 1).map(|pass| format!("pass {pass}")));
        let dim = |text| Span::new(text, Paint::Dim);
        let mut details: Vec<Span> = details.into_iter().map(dim).collect();
        details.extend(
            found
                .banner
                .as_deref()
                .map(|banner| Span::plain(sanitize::bytes(banner, self.style.charset()))),
        );
        // Last, for they are many columns: what they take from our FIN.
        let phases = [("ack", found.phases.ack_of_fin), ("FIN", found.phases.fin)];
        for (name, nanos) in phases {
            details.extend(nanos.map(|nanos| dim(format!("{name} {}", shown(nanos)))));
        }
        details
    }
}

fn paint(outcome: SweepOutcome) -> Paint {
    match outcome {
        SweepOutcome::Open | SweepOutcome::Closed => Paint::Good,
        SweepOutcome::Refused | SweepOutcome::Reset => Paint::Bad,
        _ => Paint::Warn,
    }
}

impl<W: Write> SweepSink for SweepRows<W> {
    fn begin(&mut self, _: &SweepRun) -> io::Result<()> {
        Ok(())
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        let row = self.row(found);
        self.out.write_all(row.as_bytes())
    }

    fn end(&mut self, _: &SweepEnd) -> io::Result<()> {
        self.out.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
