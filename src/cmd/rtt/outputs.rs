//! Where a run is told: the terminal or a pipe, and the files that were asked for.

use std::cell::Cell;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use anyhow::ensure;

use super::Listeners;
use crate::cli::shared::OutputArgs;
use crate::cli::{DisplayArg, RttArgs};
use crate::cmd::capture::Capture;
use crate::cmd::file::{self, WholeBlocks};
use crate::cmd::{Environment, ExitStatus, complain, session};
use crate::event::{Event, FlowId, RttEvent, RttSink, RttView, Sink};
use crate::report::PipeWriter;
use crate::report::json::JsonReporter;
use crate::report::plot::PlotSink;
use crate::report::rtt::{CsvSink, LinesReporter, LiveReporter, RttJsonReporter, Size};
use crate::time::Instant;

/// What the files are for, in messages.
const ROWS: &str = "the rows";
const PICTURE: &str = "the picture";

/// Everything that a run is told to.
pub(super) struct Outputs {
    output: OutputArgs,
    display: DisplayArg,
    environment: Environment,
    /// Standard output is taken by rows or packets.
    on_stderr: bool,
    files: Vec<Watched>,
    failed: Rc<Cell<bool>>,
}

impl Outputs {
    /// Opens the files, to be done before privileges are dropped: root without capabilities may not
    /// write into other users' directories.
    ///
    /// # Errors
    /// One of them cannot be written, or two are the same.
    pub(super) fn open(args: &RttArgs, environment: &Environment) -> anyhow::Result<Self> {
        let (csv, plot) = (args.results.csv.as_deref(), args.results.plot.as_deref());
        let named: Vec<&Path> =
            [csv, plot, args.output.pcap.as_deref()].into_iter().flatten().collect();
        for (place, path) in named.iter().enumerate() {
            ensure!(
                !named[..place].contains(path),
                "{} is named twice: rows, picture and capture need a file each",
                file::shown(path)
            );
        }
        let failed = Rc::<Cell<bool>>::default();
        let watched = |inner| Watched { inner, failed: Rc::clone(&failed) };
        let mut files = Vec::new();
        if let Some(path) = csv {
            files.push(watched(rows(path)?));
        }
        if let Some(path) = plot {
            files.push(watched(picture(path)?));
        }
        Ok(Self {
            output: args.output.clone(),
            display: args.results.display,
            environment: *environment,
            on_stderr: named.iter().any(|path| path.as_os_str() == "-"),
            files,
            failed,
        })
    }

    /// Whoever is to hear of the run of so many targets that begins at `start`.
    pub(super) fn listeners(
        &mut self,
        capture: &mut Capture,
        targets: usize,
        start: Instant,
    ) -> Listeners {
        let out = self.writer();
        let reader = out.closed();
        let segments: Box<dyn Sink> = if self.output.json && self.output.verbose > 0 {
            Box::new(Segments(JsonReporter::continuing(self.writer(), start)))
        } else {
            Box::new(Nobody)
        };
        let report: Box<dyn RttSink> = if self.output.json {
            Box::new(RttJsonReporter::new(out))
        } else {
            self.report_on(out, targets)
        };
        let out = Box::new(All { report, files: std::mem::take(&mut self.files) });
        Listeners { segments: capture.beside(segments), out, reader }
    }

    /// The report for a person: a table in place where that is wanted and can be.
    fn report_on(&self, out: PipeWriter<Box<dyn Write>>, targets: usize) -> Box<dyn RttSink> {
        let is_terminal = if self.on_stderr {
            self.environment.stderr_is_terminal
        } else {
            self.environment.stdout_is_terminal
        };
        let environment = Environment { stdout_is_terminal: is_terminal, ..self.environment };
        let style = session::style(&self.output, &environment);
        let wanted = match self.display {
            DisplayArg::Auto => targets > 1 && !style.quiet && style.verbosity == 0,
            DisplayArg::Lines => false,
            DisplayArg::Live => true,
        };
        if !wanted || !is_terminal || environment.dumb {
            return Box::new(LinesReporter::new(out, style));
        }
        let on_stderr = self.on_stderr;
        Box::new(LiveReporter::new(out, style, move || {
            let size = if on_stderr {
                terminal_size::terminal_size_of(io::stderr())
            } else {
                terminal_size::terminal_size_of(io::stdout())
            };
            size.map(|(width, height)| Size { columns: width.0.into(), rows: height.0.into() })
        }))
    }

    /// The exit status of a run that else has `status`: a file that is not whole is not what was
    /// asked for, whatever the peer did.
    pub(super) fn status(&self, status: ExitStatus) -> ExitStatus {
        if self.failed.get() { ExitStatus::NotMeasured } else { status }
    }

    fn writer(&self) -> PipeWriter<Box<dyn Write>> {
        PipeWriter::new(if self.on_stderr {
            Box::new(io::stderr())
        } else {
            Box::new(io::stdout())
        })
    }
}

/// A row for each probe, whole or not at all.
fn rows(path: &Path) -> anyhow::Result<Box<dyn RttSink>> {
    let (file, name) = if path.as_os_str() == "-" {
        (file::standard_output(ROWS)?, "standard output".to_owned())
    } else {
        (file::create(path, ROWS)?, file::shown(path))
    };
    Ok(Box::new(CsvSink::new(WholeBlocks(file), format!("{ROWS} to {name}"))))
}

/// The picture, drawn at the end. What is in the file stays there until then.
fn picture(path: &Path) -> anyhow::Result<Box<dyn RttSink>> {
    let mut file = file::open(path, PICTURE)?;
    let name = file::shown(path);
    Ok(Box::new(PlotSink::new(move |svg| {
        file::replace(&mut file, svg.as_bytes()).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write {PICTURE} to {name}: {error}"))
        })
    })))
}

/// A file whose failure is said once and does not end the run.
struct Watched {
    inner: Box<dyn RttSink>,
    failed: Rc<Cell<bool>>,
}

impl RttSink for Watched {
    fn hear(&mut self, event: &RttEvent<'_>, view: &RttView<'_>) -> io::Result<()> {
        match self.inner.hear(event, view) {
            Ok(()) => {}
            // Whoever closed the pipe has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                self.failed.set(true);
                let more =
                    if matches!(event, RttEvent::Ended(_)) { "" } else { "; the run goes on" };
                complain(&format!("{error}{more}"));
            }
        }
        Ok(())
    }
}

/// The report, and the files beside it.
struct All {
    report: Box<dyn RttSink>,
    files: Vec<Watched>,
}

impl RttSink for All {
    fn hear(&mut self, event: &RttEvent<'_>, view: &RttView<'_>) -> io::Result<()> {
        for file in &mut self.files {
            file.hear(event, view)?;
        }
        self.report.hear(event, view)
    }

    fn wake_at(&self) -> Option<Instant> {
        self.report.wake_at()
    }
}

/// Hears nothing.
struct Nobody;

impl Sink for Nobody {
    fn record(&mut self, _: FlowId, _: &Event) -> io::Result<()> {
        Ok(())
    }
}

/// The single segments for `--json -v`: runs, probes and summaries are told elsewhere.
struct Segments<W>(JsonReporter<W>);

impl<W: Write> Sink for Segments<W> {
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        match event {
            Event::Run(_) | Event::Probe(_) | Event::Summary(_) | Event::Packet(_) => Ok(()),
            _ => self.0.record(flow, event),
        }
    }
}
