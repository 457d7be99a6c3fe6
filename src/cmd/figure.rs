//! `--figure`: the file that a picture goes to, and what becomes of the run when it cannot be written.

use std::cell::Cell;
use std::io::{self, Write as _};
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context as _, ensure};

use super::file::shown;
use super::ground::Ground;
use super::{ExitStatus, complain};
use crate::cli::shared::{FigureArgs, FigureScaleArg, OutputArgs};
use crate::event::{Event, FlowId, Sink};
use crate::net::linux::privilege;
use crate::report::Fan;
use crate::report::figure::{FigureSink, Look, Scale};
use crate::report::sweep::WholeFile;

/// What the file is for, in messages.
const WHAT: &str = "the figure";

/// The figure that a run was asked for, if it was.
#[derive(Default)]
pub(crate) struct Figure {
    sink: Option<Watched>,
    asked: bool,
    outcome: Rc<Cell<Drawn>>,
}

/// What has become of it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Drawn {
    #[default]
    NotYet,
    Whole,
    Failed,
}

impl Figure {
    /// Begins the file of `--figure`, beside the name that it is to have: to be done before
    /// privileges are dropped, since root without capabilities may not write into other users'
    /// directories.
    ///
    /// # Errors
    /// The file cannot be written, or is none that should be: a device, a pipe.
    pub(crate) fn open(
        args: &FigureArgs,
        output: &OutputArgs,
        ground: &Ground,
    ) -> anyhow::Result<Self> {
        let Some(path) = args.figure.as_deref() else { return Ok(Self::default()) };
        ground.ensure_permitted()?;
        privilege::keep_to_directory_of(path);
        let outcome = Rc::default();
        let look = Look {
            scale: match args.figure_scale {
                FigureScaleArg::Time => Scale::Time,
                FigureScaleArg::Even => Scale::Even,
            },
            absolute: output.absolute,
        };
        let inner = FigureSink::new(look, keeper(path, Rc::clone(&outcome))?);
        let sink = Watched { inner, outcome: Rc::clone(&outcome) };
        Ok(Self { sink: Some(sink), asked: true, outcome })
    }

    /// Checks that the figure can have a file of its own: to be done before any file is emptied.
    ///
    /// # Errors
    /// It is the capture's, or standard output.
    pub(crate) fn ensure_apart(args: &FigureArgs, output: &OutputArgs) -> anyhow::Result<()> {
        let Some(path) = args.figure.as_deref() else { return Ok(()) };
        ensure!(
            path.as_os_str() != "-",
            "{WHAT} needs a file of its own: standard output has the report"
        );
        ensure!(
            output.pcap.as_deref() != Some(path),
            "{} is named twice: figure and capture need a file each",
            shown(path)
        );
        Ok(())
    }

    /// `reporter`, and the figure beside it.
    pub(crate) fn beside(&mut self, reporter: Box<dyn Sink>) -> Box<dyn Sink> {
        match self.sink.take() {
            Some(sink) => Box::new(Fan::new().with(reporter).with(sink)),
            None => reporter,
        }
    }

    /// The exit status of a run that else has `status`: without the figure that was asked for it is
    /// not what was asked for, whatever the peer did. Where nobody came, there is nothing to draw.
    pub(crate) fn status(&self, status: ExitStatus) -> ExitStatus {
        match self.outcome.get() {
            Drawn::NotYet if self.asked => {
                complain("no figure was drawn: there was no segment to draw");
                status
            }
            Drawn::Failed => ExitStatus::NotMeasured,
            _ => status,
        }
    }
}

/// What puts the whole picture under its name.
fn keeper(
    path: &Path,
    outcome: Rc<Cell<Drawn>>,
) -> anyhow::Result<impl FnMut(&str) -> io::Result<()> + 'static> {
    let name = shown(path);
    let file = WholeFile::create(path).with_context(|| format!("cannot write {WHAT} to {name}"))?;
    let mut file = Some(file);
    Ok(move |svg: &str| {
        let Some(mut file) = file.take() else { return Ok(()) };
        let written = file.write_all(svg.as_bytes()).and_then(|()| file.publish());
        outcome.set(if written.is_ok() { Drawn::Whole } else { Drawn::Failed });
        written.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write {WHAT} to {name}: {error}"))
        })
    })
}

/// A figure whose failure is said once and does not end the run.
struct Watched {
    inner: FigureSink<'static>,
    outcome: Rc<Cell<Drawn>>,
}

impl Sink for Watched {
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        if let Err(error) = self.inner.record(flow, event) {
            self.outcome.set(Drawn::Failed);
            complain(&error.to_string());
        }
        Ok(())
    }
}
