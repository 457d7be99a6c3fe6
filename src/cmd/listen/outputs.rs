//! Where a run is told: a table on a terminal, lines in a pipe, ladders on demand, JSON.

use std::collections::HashMap;
use std::io::{self, Write};

use crate::cli::ListenArgs;
use crate::cmd::capture::Capture;
use crate::cmd::{Environment, explain, session};
use crate::event::{Event, FlowId, Sink};
use crate::report::PipeWriter;
use crate::report::human::{HumanReporter, Style};
use crate::report::json::JsonReporter;
use crate::report::listen::{LinesReporter, LiveReporter};
use crate::report::rtt::Size;

/// Notices of one kind that are told: a flood would have very many to tell.
const MOST_NOTICES: u32 = 5;

/// Whoever hears of the run, and whether it is a table that is drawn in place.
pub(super) fn reporter(
    args: &ListenArgs,
    environment: &Environment,
    capture: &mut Capture,
) -> (Box<dyn Sink>, bool) {
    let on_stderr = capture.is_on_stdout();
    let is_terminal =
        if on_stderr { environment.stderr_is_terminal } else { environment.stdout_is_terminal };
    let environment = Environment { stdout_is_terminal: is_terminal, ..*environment };
    let out = PipeWriter::new(if on_stderr {
        Box::new(io::stderr()) as Box<dyn Write>
    } else {
        Box::new(io::stdout())
    });
    let output = &args.output;
    let lang = explain::of_run(&args.explain, &environment);
    let style = Style { explain: lang, ..session::style(output, &environment) };
    let ladders =
        output.verbose > 0 || lang.is_some() || args.limit.count == Some(1) && !output.quiet;
    let live = is_terminal && !environment.dumb && !output.quiet && !output.json && !ladders;
    let report: Box<dyn Sink> = if output.json {
        let segments = output.verbose > 0 || lang.is_some();
        Box::new(Brief::new(JsonReporter::new(out).explaining(lang), segments))
    } else if ladders {
        Box::new(HumanReporter::new(out, style))
    } else if live {
        Box::new(LiveReporter::new(out, style, move || {
            let size = if on_stderr {
                terminal_size::terminal_size_of(io::stderr())
            } else {
                terminal_size::terminal_size_of(io::stdout())
            };
            size.map(|(width, height)| Size { columns: width.0.into(), rows: height.0.into() })
        }))
    } else {
        Box::new(LinesReporter::new(out, style))
    };
    (capture.beside(Box::new(Calm { inner: report, told: HashMap::new() })), live)
}

/// Leaves the single segments out, unless they are asked for: a server has very many of them.
pub(in crate::cmd) struct Brief<S> {
    inner: S,
    segments: bool,
}

impl<S: Sink> Brief<S> {
    /// Tells `inner` of all but the segments, and of those too where `segments` are wanted.
    pub(in crate::cmd) const fn new(inner: S, segments: bool) -> Self {
        Self { inner, segments }
    }
}

impl<S: Sink> Sink for Brief<S> {
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        match event {
            Event::Segment(_) if !self.segments => Ok(()),
            _ => self.inner.record(flow, event),
        }
    }
}

/// Tells of a kind of notice so often and no oftener.
struct Calm {
    inner: Box<dyn Sink>,
    told: HashMap<&'static str, u32>,
}

impl Sink for Calm {
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        if let Event::Notice(notice) = event {
            let told = self.told.entry(notice.code).or_default();
            *told = told.saturating_add(1);
            if *told > MOST_NOTICES {
                return Ok(());
            }
        }
        self.inner.record(flow, event)
    }
}
