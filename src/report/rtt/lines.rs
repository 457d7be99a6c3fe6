//! A run as lines: one for each probe, the statistics at the end.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::line::{self, Why, Wording};
use super::summary;
use crate::event::{RttEvent, RttProbe, RttRun, RttSink, RttView};
use crate::net::GuardKind;
use crate::report::human::paint::{Paint, Span, render, width, wrap, wrap_text};
use crate::report::human::{Lines, Style, hang, named};
use crate::report::units;
use crate::stats::Answer;

/// Columns of the longest target's name to which shorter ones are filled up.
const NAME: usize = 24;

/// Prints each probe on its line the moment its fate is known, and the statistics at the end. Needs
/// no terminal.
#[derive(Debug)]
pub struct LinesReporter<W> {
    out: W,
    style: Style,
    /// Whether it was said what a RST times.
    explained: bool,
    /// Columns of the target's name before each line, where there are several.
    name: usize,
}

impl<W: Write> LinesReporter<W> {
    /// Writes to `out` in `style`. With [`Style::quiet`] there is nothing but the statistics;
    /// [`Style::verbosity`] adds to each line when the probe was due and left, its initial sequence
    /// number, its clock and its attempts, and for several targets the full statistics of each.
    pub fn new(out: W, style: Style) -> Self {
        if style.color {
            // The crate would ask the environment again; whoever made the style has decided.
            colored::control::set_override(true);
        }
        Self { out, style, explained: false, name: 0 }
    }

    /// The writer, for whoever wants what was written to memory.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn begin(&mut self, run: &RttRun) -> String {
        if run.targets.len() > 1 {
            let widths = run.targets.iter().map(|target| self.style.safe(&target.name).width());
            self.name = widths.max().unwrap_or(0).min(NAME);
        }
        if self.style.quiet { String::new() } else { text(&header(run, &self.style), &self.style) }
    }

    fn probe(&mut self, probe: &RttProbe, why: Why, run: &RttRun) -> String {
        if self.style.quiet {
            return String::new();
        }
        let refused = probe.answer == Some(Answer::Refused);
        let explain = refused && !self.explained;
        self.explained |= refused;
        let columns = self.style.columns() - 2;
        let mut wording = Wording { explain, peer: self.name == 0 };
        let mut words = line::words(probe, why, run, wording, &self.style);
        // Whoever reads lines with a program had better find each on one.
        if wording.peer && width(&words) + words.len() > columns {
            wording.peer = false;
            words = line::words(probe, why, run, wording, &self.style);
        }
        if self.name > 0 {
            let name = run.targets.get(probe.target as usize).map_or("", |target| &target.name);
            let name = self.style.safe(name);
            let gap = " ".repeat(self.name.saturating_sub(name.width()));
            words.insert(0, Span::new(name + &gap, Paint::Bold));
        }
        text(&hang(wrap(words, " ", columns), 2), &self.style)
    }
}

impl<W: Write> RttSink for LinesReporter<W> {
    fn hear(&mut self, event: &RttEvent<'_>, view: &RttView<'_>) -> io::Result<()> {
        let text = match event {
            RttEvent::Began => self.begin(view.run),
            RttEvent::Probe(probe) => self.probe(probe, Why::Settled, view.run),
            RttEvent::Late(probe) => self.probe(probe, Why::Late, view.run),
            RttEvent::Duplicate(probe, stamp) => {
                self.probe(probe, Why::Duplicate(*stamp), view.run)
            }
            RttEvent::Notice(notice) => text(&self.style.notice(notice), &self.style),
            RttEvent::Interim => summary::interim(view, &self.style),
            RttEvent::Ended(_) => summary::ended(view, &self.style),
            RttEvent::Final(_) | RttEvent::Tick => String::new(),
        };
        if text.is_empty() {
            return Ok(());
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

/// Lines as text, each with its end.
pub(super) fn text(lines: &Lines, style: &Style) -> String {
    lines.iter().map(|line| render(line, style.color) + "\n").collect()
}

/// `RTT example.org (192.0.2.1:443) from 192.0.2.9:* via eth0, syn every 1 s, kernel clock, …`.
fn header(run: &RttRun, style: &Style) -> Lines {
    let mut who = match run.targets.as_slice() {
        [one] => named(&one.name, one.to, true, style).collect::<Vec<_>>().join(" "),
        several => format!("{} targets", several.len()),
    };
    // Said once where it is the same for all.
    let first = run.targets.first();
    let same = |part: fn(&crate::event::RttTarget) -> String| {
        let shared = first.map(part)?;
        run.targets.iter().all(|target| part(target) == shared).then_some(shared)
    };
    if let Some(from) = same(|target| match target.from.ip() {
        std::net::IpAddr::V4(ip) => ip.to_string(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
    }) {
        who += &format!(" from {from}:{}", ports(run));
    }
    if let Some(interface) = same(|target| target.interface.to_string()) {
        who += &format!(" via {}", style.safe(&interface));
    }
    let text = format!("RTT {who}, {}", how(run));
    wrap_text(&text, Paint::Bold, style.columns() - 2).into_iter().enumerate().fold(
        Vec::new(),
        |mut lines, (number, mut line)| {
            if number > 0 {
                line.insert(0, Span::plain("  "));
            }
            lines.push(line);
            lines
        },
    )
}

/// `syn every 1 s, kernel clock, guard filter`.
pub(super) fn how(run: &RttRun) -> String {
    let mut text = format!("{} every {}", run.method.name(), units::brief(run.interval));
    if let Some(count) = run.count {
        text += &format!(", {count} each");
    }
    if run.warm_up > 0 {
        text += &format!(" after {} to warm up", run.warm_up);
    }
    text += &format!(", {} clock", run.clock);
    if run.guard != GuardKind::Unneeded {
        text += &format!(", guard {}", run.guard);
    }
    text
}

/// `*` where each probe has a fresh port, else `40000` or `40000-40003` or `40000,40007`.
fn ports(run: &RttRun) -> String {
    let fixed = &run.fixed_ports;
    let follow = fixed.windows(2).all(|pair| pair[1].checked_sub(1) == Some(pair[0]));
    match (fixed.as_slice(), follow) {
        ([], _) => "*".to_owned(),
        ([first, .., last], true) => format!("{first}-{last}"),
        _ => fixed.iter().map(u16::to_string).collect::<Vec<_>>().join(","),
    }
}
