//! Clients on a terminal: a table of those that are there, drawn in place.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use super::{lines, words};
use crate::event::{ClientStage, Event, FlowId, Run, Sink};
use crate::net::Dir;
use crate::report::human::Style;
use crate::report::human::paint::{Paint, Span, render};
use crate::report::rtt::Size;
use crate::report::screen::{Screen, framed};
use crate::report::units::count;
use crate::tcp::state::{End, Known, State};
use crate::time::Instant;

/// From one drawing to the next at least.
const REFRESH: Duration = Duration::from_millis(200);
/// The screen where nobody knows it.
const UNKNOWN: Size = Size { columns: 80, rows: 24 };
/// Columns of the longest state, `SYN-RECEIVED`, and a mark.
const STATE: usize = 14;

/// Shows the clients that are there as a table that fits the terminal, at most five times a second;
/// those that have come to their end stand above it, a line each.
pub struct LiveReporter<'a, W> {
    out: W,
    style: Style,
    size: Box<dyn Fn() -> Option<Size> + 'a>,
    host: Option<Run>,
    clients: BTreeMap<FlowId, Client>,
    opened: u64,
    ended: u64,
    screen: Screen,
    /// What is to stand above the table and is not on the screen yet.
    above: String,
    /// The latest time heard of, and when the next drawing may be.
    now: Instant,
    next: Instant,
}

/// A client that is there.
#[derive(Debug)]
struct Client {
    name: String,
    since: Instant,
    client: (State, Known),
    server: State,
    received: u64,
    sent: u64,
}

impl<'a, W: Write> LiveReporter<'a, W> {
    /// Draws on the terminal behind `out`, whose size `size` says whenever it is asked, none where it
    /// is not known.
    pub fn new(out: W, style: Style, size: impl Fn() -> Option<Size> + 'a) -> Self {
        if style.color {
            // The crate would ask the environment again; whoever made the style has decided.
            colored::control::set_override(true);
        }
        Self {
            out,
            style,
            size: Box::new(size),
            host: None,
            clients: BTreeMap::new(),
            opened: 0,
            ended: 0,
            screen: Screen::default(),
            above: String::new(),
            now: Instant::ZERO,
            next: Instant::ZERO,
        }
    }

    /// The writer, for whoever wants what was written to memory.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Takes an event in; whether it is the last.
    fn take(&mut self, id: FlowId, event: &Event) -> bool {
        match event {
            Event::Run(run) if self.host.is_none() => {
                self.say(vec![lines::header(run, &self.style)]);
                self.see(run.at);
                self.host = Some(run.clone());
            }
            Event::Run(run) => {
                self.see(run.at);
                let client = Client {
                    name: run.target.to_string(),
                    since: run.at,
                    client: (State::Closed, Known::Assumed),
                    server: State::Listen,
                    received: 0,
                    sent: 0,
                };
                self.clients.insert(id, client);
            }
            Event::Transition(moved) => {
                if let Some(client) = self.clients.get_mut(&id) {
                    match moved.end {
                        End::Client => client.client = (moved.to, moved.known),
                        End::Server => client.server = moved.to,
                    }
                }
            }
            Event::Confirmed { state, known, .. } => {
                if let Some(client) = self.clients.get_mut(&id)
                    && client.client.0 == *state
                {
                    client.client.1 = *known;
                }
            }
            Event::Retracted { state, .. } => {
                if let Some(client) = self.clients.get_mut(&id) {
                    client.client = (*state, Known::Proved);
                }
            }
            Event::Segment(segment) => {
                self.see(segment.stamp.at);
                if let Some(client) = self.clients.get_mut(&id) {
                    let bytes = segment.packet.segment.payload.len() as u64;
                    let carried = match segment.dir {
                        Dir::Rx => &mut client.received,
                        Dir::Tx => &mut client.sent,
                    };
                    *carried += bytes;
                }
            }
            Event::Client(report) => {
                self.see(report.at);
                match report.stage {
                    ClientStage::Opened => self.opened += 1,
                    ClientStage::Ended => {
                        self.ended += 1;
                        self.clients.remove(&id);
                        let lines = words::of(report, &self.style);
                        self.say(lines);
                    }
                }
            }
            Event::Notice(notice) => {
                self.see(notice.at);
                let lines = self.style.notice(notice);
                self.say(lines);
            }
            Event::Tick(now) => self.see(*now),
            Event::Summary(summary) => {
                if let Some(report) = &summary.listen {
                    let lines = words::summary(report, &self.style);
                    self.say(lines);
                }
                return true;
            }
            _ => {}
        }
        false
    }

    fn see(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn say(&mut self, lines: Vec<Vec<Span>>) {
        for line in lines {
            self.above += &render(&line, self.style.color);
            self.above.push('\n');
        }
    }

    /// The table, at most one line less than the screen has.
    fn table(&self, size: Size) -> Vec<Vec<Span>> {
        let title = format!(
            "{} now, {} opened, {} ended; Ctrl-C ends",
            count(self.clients.len() as u64, "client"),
            self.opened,
            self.ended
        );
        let mut table = vec![vec![Span::new(title, Paint::Bold)]];
        let room = size.rows.saturating_sub(3).max(1);
        if self.clients.is_empty() {
            return table;
        }
        let width = self.clients.values().map(|client| client.name.len()).max().unwrap_or(0);
        let width = width.clamp(12, 47);
        let head = format!(
            "{:<width$}  {:<STATE$} {:<STATE$} {:>10} {:>10} {:>7}",
            "client", "it", "we", "in", "out", "for"
        );
        table.push(vec![Span::new(head, Paint::Dim)]);
        let shown = if self.clients.len() > room { room.saturating_sub(1).max(1) } else { room };
        // The newest: of many, those that move.
        for client in self.clients.values().rev().take(shown) {
            table.push(self.row(client, width));
        }
        if self.clients.len() > shown {
            let text = format!("and {} more", self.clients.len() - shown);
            table.push(vec![Span::new(text, Paint::Dim)]);
        }
        table
    }

    fn row(&self, client: &Client, width: usize) -> Vec<Span> {
        let (state, known) = client.client;
        // As in the ladder: a question where the state is not proved.
        let mark = if matches!(known, Known::Proved | Known::Own) { "" } else { "?" };
        let paint = |state: State| match state {
            State::Established => Paint::Good,
            State::Closed => Paint::Dim,
            _ => Paint::Warn,
        };
        let age = self.now.since(client.since).as_secs();
        vec![
            Span::new(format!("{:<width$}  ", client.name), Paint::Plain),
            Span::new(format!("{:<STATE$} ", format!("{state}{mark}")), paint(state)),
            Span::new(format!("{:<STATE$} ", client.server), paint(client.server)),
            Span::plain(format!("{:>10} {:>10} {:>6}s", client.received, client.sent, age)),
        ]
    }
}

impl<W: Write> Sink for LiveReporter<'_, W> {
    fn record(&mut self, id: FlowId, event: &Event) -> io::Result<()> {
        let is_over = self.take(id, event);
        if !is_over && self.now < self.next {
            return Ok(());
        }
        let size = (self.size)().unwrap_or(UNKNOWN);
        let size = Size { columns: size.columns.max(1), rows: size.rows.max(1) };
        let mut text = self.screen.erasure(size.columns);
        text += &std::mem::take(&mut self.above);
        if !is_over {
            let table = self.table(size);
            text += &self.screen.draw(table, size.columns, self.style.color);
        }
        self.next = self.now + REFRESH;
        self.out.write_all(framed(&text).as_bytes())?;
        self.out.flush()
    }
}

impl<W> std::fmt::Debug for LiveReporter<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveReporter").field("clients", &self.clients.len()).finish_non_exhaustive()
    }
}
