//! What a person reads: the ladder as it happens, and the report at its end.

mod close;
mod explain;
mod handshake;
mod icmp;
mod label;
mod ladder;
pub(super) mod paint;
mod probe;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use self::ladder::Ladder;
use self::paint::{Paint, Span, blank, render, wrap, wrap_text};
pub(super) use self::summary::{plain, row};
use super::explain::{Lang, Narrator};
use super::sanitize::{self, Charset};
use super::{listen, request};
use crate::event::{ClientReport, ClientStage, Event, FlowId, Notice, Run, Severity, Sink};
use crate::tcp::state::End;

/// Columns of the narrowest ladder.
const LADDER: usize = 80;
/// The narrowest that text is set: a report's names and a word beside them.
const NARROWEST: usize = 32;

/// How the output looks. Decided by whoever knows the terminal; the reporter asks nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
    /// Whether to colour. Nothing is told by colour alone.
    pub color: bool,
    /// Columns of the terminal; the output takes up to 120 of them. With fewer than 80 the ladder is
    /// written, not drawn.
    pub width: usize,
    /// Raw sequence and acknowledgment numbers instead of those counted from the initial ones.
    pub absolute: bool,
    /// 1 shows a probe's ladder, the beginning of payloads and the IP header's small fields; 2 all of
    /// a reply that was kept.
    pub verbosity: u8,
    /// Results only: no ladder and no header; of many probes no counts.
    pub quiet: bool,
    /// Whether the locale is UTF-8; ASCII drawings otherwise.
    pub unicode: bool,
    /// The language in which each step is explained below it; none: it is not.
    pub explain: Option<Lang>,
}

impl Default for Style {
    /// For a pipe: no colour, 100 columns, UTF-8.
    fn default() -> Self {
        Self {
            color: false,
            width: 100,
            absolute: false,
            verbosity: 0,
            quiet: false,
            unicode: true,
            explain: None,
        }
    }
}

impl Style {
    /// Columns used by what needs its columns: drawings, tables.
    pub(super) fn columns(&self) -> usize {
        self.width.clamp(LADDER, 120)
    }

    /// Columns used by text that wraps.
    pub(super) fn text_columns(&self) -> usize {
        if self.is_narrow() { self.width.max(NARROWEST) } else { self.columns() }
    }

    /// Whether there is no room for the ladder: each step is then written instead of drawn.
    pub(super) const fn is_narrow(&self) -> bool {
        self.width < LADDER
    }

    pub(super) fn charset(&self) -> Charset {
        if self.unicode { Charset::Unicode } else { Charset::Ascii }
    }

    /// `text` from outside, made safe.
    pub(super) fn safe(&self, text: &str) -> String {
        sanitize::text(text, self.charset())
    }

    /// A reason in our own words, which may cite a clause.
    pub(super) fn reason(&self, text: &str) -> String {
        if self.unicode { text.to_owned() } else { self.safe(&text.replace('§', "section ")) }
    }

    /// A notice, in lines.
    pub(super) fn notice(&self, notice: &Notice) -> Lines {
        let (word, paint) = match notice.severity {
            Severity::Info if self.quiet => return Vec::new(),
            Severity::Info => ("note", Paint::Bold),
            Severity::Warning => ("warning", Paint::Warn),
            Severity::Error => ("error", Paint::Bad),
        };
        let text = format!("{word}: {}", self.safe(&notice.text));
        hang(wrap_text(&text, paint, self.text_columns() - 2), 2)
    }

    /// The direction of a segment where none is drawn.
    const fn towards(&self, server: bool) -> &'static str {
        match (self.unicode, server) {
            (true, true) => "→",
            (true, false) => "←",
            (false, true) => "->",
            (false, false) => "<-",
        }
    }

    /// The arrow in `CLOSED → SYN-SENT`.
    const fn becomes(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }
}

/// Lines of one event.
pub(super) type Lines = Vec<Vec<Span>>;

/// Prints events for a person, each the moment it comes.
#[derive(Debug)]
pub struct HumanReporter<W> {
    out: W,
    style: Style,
    /// The flows whose ladders are drawn.
    flows: BTreeMap<FlowId, Flow>,
    /// Hosts whose header was printed: many probes of one share it.
    hosts: BTreeSet<IpAddr>,
    /// Whose ladder was last drawn.
    drawn: Option<FlowId>,
    /// The run that names the report at the end.
    first: Option<Run>,
    /// Who explains the steps, where they are to be explained.
    narrator: Option<Narrator>,
    /// Whether an explanation was drawn in a ladder and the gap behind it was not.
    gap: bool,
    /// What was told of requests.
    requests: request::Told,
}

#[derive(Debug)]
struct Flow {
    run: Run,
    ladder: Ladder,
}

impl<W: Write> HumanReporter<W> {
    /// Writes to `out` in `style`.
    pub fn new(out: W, style: Style) -> Self {
        if style.color {
            // The crate would ask the environment again; whoever made the style has decided.
            colored::control::set_override(true);
        }
        Self {
            out,
            style,
            flows: BTreeMap::new(),
            hosts: BTreeSet::new(),
            drawn: None,
            first: None,
            narrator: style
                .explain
                .filter(|_| !style.quiet)
                .map(|lang| Narrator::new(lang).writing(style.absolute, style.unicode)),
            gap: false,
            requests: request::Told::default(),
        }
    }

    /// The writer, for whoever wants what was written to memory.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn lines(&mut self, flow: FlowId, event: &Event) -> Lines {
        match event {
            Event::Run(run) => self.begin(flow, run),
            Event::Probe(result) => probe::lines(result, &self.style),
            Event::Notice(notice) => self.style.notice(notice),
            Event::Packet(_) | Event::Tick(_) => Vec::new(),
            Event::Client(report) => self.client(flow, report),
            Event::Request(_) | Event::Connection(_) => self.request(flow, event),
            Event::Summary(summary) => {
                let told = &self.requests;
                summary::lines(summary, self.first.as_ref(), told, &self.style)
            }
            _ => self.step(flow, event),
        }
    }

    /// What `event`, of which so many lines were printed, means.
    fn explanation(&mut self, flow: FlowId, event: &Event, printed: usize) -> Lines {
        let Some(narrator) = &mut self.narrator else { return Vec::new() };
        let paragraphs = narrator.hear(flow, event);
        if paragraphs.is_empty() || printed == 0 {
            return Vec::new();
        }
        match event {
            Event::Probe(_) | Event::Client(_) | Event::Summary(_) => {
                explain::below(&paragraphs, &self.style)
            }
            _ => {
                self.gap = true;
                explain::in_ladder(&paragraphs, &self.style)
            }
        }
    }

    /// The header of a flow, and of its ladder.
    fn begin(&mut self, id: FlowId, run: &Run) -> Lines {
        self.first.get_or_insert_with(|| run.clone());
        let new_host = self.hosts.insert(run.target.ip());
        if self.style.quiet {
            return Vec::new();
        }
        if run.command == "listen" && self.first.as_ref().is_some_and(|it| it.at == run.at) {
            // The listener itself, before there is a client.
            return self.header(run, true);
        }
        if !self.draws(run) {
            return if new_host { self.header(run, false) } else { Vec::new() };
        }
        let mut lines = if self.flows.is_empty() { Vec::new() } else { vec![Vec::new()] };
        self.flows.insert(id, Flow { run: run.clone(), ladder: Ladder::new(run.at) });
        self.drawn = Some(id);
        lines.extend(self.header(run, true));
        lines.push(Vec::new());
        lines.extend(ladder::heading(&self.style));
        lines
    }

    /// In ping's manner; words that do not fit go to the next line. Without ports where the header
    /// is for many of them.
    fn header(&self, run: &Run, ports: bool) -> Lines {
        let mut words = vec![Span::new(run.command.to_uppercase(), Paint::Bold)];
        words.extend(target(run, ports, &self.style).map(Span::plain));
        words[1].paint = Paint::Bold;
        let source = if ports { run.source.to_string() } else { run.source.ip().to_string() };
        let from = match run.end {
            End::Client => format!("from {source}"),
            // The listener itself, before there is a client.
            End::Server if run.source == run.target => String::new(),
            End::Server => format!("at {source}"),
        };
        let rest = [
            from,
            format!("via {},", self.style.safe(&run.interface)),
            format!("clock={},", run.clock),
            format!("guard={}", run.guard),
        ];
        words.extend(rest.into_iter().filter(|word| !word.is_empty()).map(Span::plain));
        hang(wrap(words, " ", self.style.text_columns() - 2), 2)
    }

    /// Whether a run's ladder is drawn: of many probes or requests at once only on demand.
    fn draws(&self, run: &Run) -> bool {
        let on_demand = matches!(run.command, "probe" | "request");
        !self.style.quiet
            && (!on_demand || self.style.verbosity > 0 || self.style.explain.is_some())
    }

    /// What a client of ours did, and the end of its ladder.
    fn client(&mut self, id: FlowId, report: &ClientReport) -> Lines {
        let style = self.style;
        if style.quiet {
            return Vec::new();
        }
        if report.stage == ClientStage::Opened {
            return Vec::new();
        }
        let Some(flow) = self.flows.remove(&id) else { return listen::ended(report, &style) };
        let mut lines = self.switch_to(id, &flow.run);
        lines.push(Vec::new());
        if report.established {
            lines.extend(listen::opened(report, &style));
        }
        lines.extend(listen::ended(report, &style));
        if let Some(close) = &report.close {
            lines.extend(close::lines(close, report.outcome, flow.run.end, &style));
        }
        lines
    }

    /// A request or its connection has come to its end.
    fn request(&mut self, id: FlowId, event: &Event) -> Lines {
        let style = self.style;
        let drawn = self.flows.contains_key(&id);
        let mut lines = match self.flows.get(&id).map(|flow| flow.run.clone()) {
            Some(run) => self.switch_to(id, &run),
            None => Vec::new(),
        };
        match event {
            Event::Request(report) => {
                self.requests.request(report);
                if report.compared && !drawn {
                    // The balance tells what came of them, and why.
                    return Vec::new();
                }
                lines.extend(request::request(report, &style));
            }
            Event::Connection(report) => {
                self.requests.connection(report);
                self.flows.remove(&id);
                if report.compared && report.remark.is_none() && !drawn {
                    return Vec::new();
                }
                lines.extend(request::connection(report, &style));
            }
            _ => {}
        }
        if style.quiet { Vec::new() } else { lines }
    }

    /// A step of the protocol.
    fn step(&mut self, id: FlowId, event: &Event) -> Lines {
        let style = self.style;
        let Some(run) = self.flows.get(&id).map(|flow| flow.run.clone()) else {
            return Vec::new();
        };
        if !self.draws(&run) {
            return Vec::new();
        }
        let mut lines = self.switch_to(id, &run);
        if let Some(flow) = self.flows.get_mut(&id) {
            lines.extend(flow.ladder.draw(event, &run, &style));
        }
        lines
    }

    /// Says whose ladder goes on, where several are drawn at once.
    fn switch_to(&mut self, id: FlowId, run: &Run) -> Lines {
        if self.drawn.replace(id) == Some(id) {
            return Vec::new();
        }
        let target: Vec<String> = target(run, true, &self.style).collect();
        let mut text = format!("{} {}", run.command, target.join(" "));
        if run.command == "request" {
            // Its connections all go to the same place.
            text = format!("{text} from {}", run.source);
        }
        if self.style.is_narrow() {
            return wrap_text(&text, Paint::Dim, self.style.text_columns());
        }
        vec![vec![Span::new(text, Paint::Dim)]]
    }
}

/// `example.org` and `(192.0.2.7:443)`; one word where the user named the address itself.
fn target(run: &Run, ports: bool, style: &Style) -> impl Iterator<Item = String> {
    named(&run.name, run.target, ports, style)
}

/// The same of a name with its port, and its address.
pub(super) fn named(
    name: &str,
    to: SocketAddr,
    ports: bool,
    style: &Style,
) -> impl Iterator<Item = String> {
    let port = format!(":{}", to.port());
    let host = name.strip_suffix(&port).unwrap_or(name);
    let ip = to.ip().to_string();
    let address = if ports { to.to_string() } else { ip.clone() };
    let named = host.trim_matches(['[', ']']) != ip;
    let (first, second) =
        if named { (style.safe(host), Some(format!("({address})"))) } else { (address, None) };
    std::iter::once(first).chain(second)
}

/// `lines` with all but the first moved right.
pub(super) fn hang(lines: Lines, indent: usize) -> Lines {
    let mut lines = lines;
    for line in lines.iter_mut().skip(1) {
        line.insert(0, blank(indent));
    }
    lines
}

impl<W: Write> Sink for HumanReporter<W> {
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        let same_flow = self.drawn == Some(flow);
        let mut lines = self.lines(flow, event);
        // What a segment carried belongs to that segment; everything else is another step.
        let belongs = same_flow && matches!(event, Event::Http(_));
        let gap = self.gap && !belongs && !lines.is_empty();
        self.gap &= !gap;
        lines.extend(self.explanation(flow, event, lines.len()));
        if gap {
            lines.splice(0..0, explain::gap(&self.style));
        }
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        for line in &lines {
            text.push_str(&render(line, self.style.color));
            text.push('\n');
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}
