//! What a person reads of a sweep: how it begins, and the account of all targets at its end.

use std::io::{self, Write};
use std::net::IpAddr;

use super::account;
use super::records::RING;
use crate::event::{Found, Notice, Severity, SweepEnd, SweepRate, SweepRun, SweepSink};
use crate::report::human::paint::{Paint, Span, render, wrap, wrap_text};
use crate::report::human::{Lines, Style, hang};
use crate::report::units;

/// Writes the header, notices, and the summary; the targets themselves are told elsewhere.
#[derive(Debug)]
pub struct SweepSummary<W> {
    out: W,
    style: Style,
    run: Option<SweepRun>,
}

impl<W: Write> SweepSummary<W> {
    /// Writes to `out`.
    pub fn new(out: W, style: Style) -> Self {
        if style.color {
            // The style decides, not what `colored` makes of the environment.
            colored::control::set_override(true);
        }
        Self { out, style, run: None }
    }

    /// The writer, for whoever wants what was written to memory.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn write(&mut self, lines: &Lines) -> io::Result<()> {
        let mut text = String::new();
        for line in lines {
            text.push_str(&render(line, self.style.color));
            text.push('\n');
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> SweepSink for SweepSummary<W> {
    fn begin(&mut self, run: &SweepRun) -> io::Result<()> {
        self.run = Some(run.clone());
        if self.style.quiet {
            return Ok(());
        }
        self.write(&header(run, &self.style))
    }

    fn found(&mut self, _: &Found) -> io::Result<()> {
        Ok(())
    }

    fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        if self.style.quiet && notice.severity == Severity::Info {
            return Ok(());
        }
        let paint = match notice.severity {
            Severity::Info => Paint::Dim,
            Severity::Warning => Paint::Warn,
            Severity::Error => Paint::Bad,
        };
        let text = self.style.safe(&notice.text);
        let lines = hang(wrap_text(&text, paint, self.style.columns() - 2), 2);
        self.write(&lines)
    }

    fn end(&mut self, end: &SweepEnd) -> io::Result<()> {
        let lines = account::lines(self.run.as_ref(), end, &self.style);
        self.write(&lines)
    }
}

/// In ping's manner; words that do not fit go to the next line.
fn header(run: &SweepRun, style: &Style) -> Lines {
    let mut words = vec![Span::new("SWEEP", Paint::Bold)];
    let space = format!(
        "{} ({} x {})",
        units::count(run.targets, "target"),
        units::count(run.hosts, "address").replace("addresss", "addresses"),
        units::count(run.ports.into(), "port"),
    );
    words.push(Span::new(space, Paint::Bold));
    for fact in facts(run, style) {
        // What is short stays together.
        if fact.len() > TOGETHER {
            words.extend(fact.split(' ').map(Span::plain));
        } else {
            words.push(Span::plain(fact));
        }
    }
    hang(wrap(words, " ", style.columns() - 2), 2)
}

/// Columns of a fact that is not broken.
const TOGETHER: usize = 60;

fn facts(run: &SweepRun, style: &Style) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(shard) = run.shard {
        let size = run.positions.end.saturating_sub(run.positions.start);
        facts.push(format!("shard {shard}: {} of them,", units::count(size, "target")));
    }
    if let Some(reports) = run.united {
        facts.push(format!("united from {},", units::count(reports.into(), "report")));
    }
    facts.push(format!("from {}", addresses(&run.sources)));
    facts.push(format!("via {},", style.safe(&run.interface)));
    facts.push(ports(&run.source_ports));
    facts.push(format!("{},", run.method.name()));
    facts.push(format!("rate={},", rate(run.rate)));
    facts.push(format!("passes={},", run.passes));
    let choice = run.transmit_choice.as_deref().map(|choice| format!(" ({})", style.safe(choice)));
    facts.push(format!("transmit={}{},", style.safe(&run.transmit), choice.unwrap_or_default()));
    if run.receive != RING {
        facts.push(format!("receive={},", style.safe(&run.receive)));
    }
    facts.push(format!("guard={},", run.guard));
    facts.push(format!("seed={}", run.seed));
    if run.resumed {
        facts.push("- continued".to_owned());
    }
    facts
}

/// How many of a list are shown.
const SHOWN: usize = 4;

fn addresses(all: &[IpAddr]) -> String {
    let shown: Vec<String> = all.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = all.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(" and "))
}

/// `port 40000,`, `ports 40000-40003,`.
fn ports(all: &[u16]) -> String {
    match (all.iter().min(), all.iter().max()) {
        (Some(low), Some(high)) if low == high => format!("port {low},"),
        (Some(low), Some(high)) if usize::from(high - low) + 1 == all.len() => {
            format!("ports {low}-{high},")
        }
        (Some(low), Some(high)) => format!("{} ports in {low}-{high},", all.len()),
        _ => "no port,".to_owned(),
    }
}

fn rate(rate: SweepRate) -> String {
    match rate {
        SweepRate::Fixed(rate) => format!("{rate}/s"),
        SweepRate::Auto(Some(most)) => format!("auto, at most {most}/s"),
        SweepRate::Auto(None) => "auto".to_owned(),
        SweepRate::Max => "max".to_owned(),
    }
}
