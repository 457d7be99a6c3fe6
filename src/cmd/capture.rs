//! `--pcap`: the file that a capture goes to, and what becomes of the run when it cannot be written.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use anyhow::Context;

use super::file::{self, WholeBlocks};
use super::ground::Ground;
use super::line::escaped;
use super::{ExitStatus, complain};
use crate::cli::shared::OutputArgs;
use crate::event::{Event, FlowId, Sink};
use crate::net::linux::DropCounter;
use crate::report::{Fan, PcapngReporter};

/// What the file is for, in messages.
const WHAT: &str = "the capture";

/// The capture that a run was asked for, if it was.
#[derive(Default)]
pub(crate) struct Capture {
    writer: Option<Watched>,
    on_stdout: bool,
    failed: Rc<Cell<bool>>,
}

impl Capture {
    /// Opens the file of `--pcap`, to be done before privileges are dropped, since root without
    /// capabilities may not write into other users' directories; and before signals are held back,
    /// since a pipe is waited for until it has a reader.
    ///
    /// # Errors
    /// The file cannot be written, or is none that should be: a device, a terminal.
    pub(crate) fn open(output: &OutputArgs, ground: &Ground) -> anyhow::Result<Self> {
        let Some(path) = output.pcap.as_deref() else { return Ok(Self::default()) };
        // A run that cannot be should not empty the file of the one before.
        ground.ensure_permitted()?;
        let on_stdout = path.as_os_str() == "-";
        let file = if on_stdout { file::standard_output(WHAT)? } else { file::create(path, WHAT)? };
        let name = if on_stdout { "standard output".to_owned() } else { file::shown(path) };
        let application = concat!("shakedown ", env!("CARGO_PKG_VERSION"));
        let writer = PcapngReporter::new(WholeBlocks(file), application, &command_line())
            .with_context(|| format!("cannot write the capture to {name}"))?;
        let failed = Rc::default();
        let writer = Watched { inner: writer, name, failed: Rc::clone(&failed) };
        Ok(Self { writer: Some(writer), on_stdout, failed })
    }

    /// Has the statistics at the end say what the kernel has dropped.
    pub(crate) fn count_drops(&mut self, counter: Option<DropCounter>) {
        if let (Some(writer), Some(counter)) = (&mut self.writer, counter) {
            writer.inner.count_drops(Box::new(move || counter.read()));
        }
    }

    /// Whether standard output is taken.
    pub(crate) const fn is_on_stdout(&self) -> bool {
        self.on_stdout
    }

    /// `reporter`, and the capture beside it.
    pub(crate) fn beside(&mut self, reporter: Box<dyn Sink>) -> Box<dyn Sink> {
        match self.writer.take() {
            Some(writer) => Box::new(Fan::new().with(reporter).with(writer)),
            None => reporter,
        }
    }

    /// The exit status of a run that else has `status`: a capture that is not whole is not what was
    /// asked for, whatever the peer did.
    pub(crate) fn status(&self, status: ExitStatus) -> ExitStatus {
        if self.failed.get() { ExitStatus::NotMeasured } else { status }
    }
}

/// A capture whose failure is said once and does not end the run.
struct Watched {
    inner: PcapngReporter<WholeBlocks>,
    name: String,
    failed: Rc<Cell<bool>>,
}

impl Sink for Watched {
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        match self.inner.record(flow, event) {
            Ok(()) => {}
            // Whoever closed the pipe has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                self.failed.set(true);
                let name = &self.name;
                complain(&format!("the capture in {name} ends here, the run goes on: {error}"));
            }
        }
        Ok(())
    }
}

/// How this process was called.
pub(crate) fn command_line() -> String {
    let words: Vec<String> =
        std::env::args_os().map(|word| escaped(&word.to_string_lossy())).collect();
    words.join(" ")
}
