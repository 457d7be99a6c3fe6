//! Where a run is told: standard output, and the archive.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::rc::Rc;

use crate::cli::RequestArgs;
use crate::cmd::capture::Capture;
use crate::cmd::ground::Ground;
use crate::cmd::listen::Brief;
use crate::cmd::{Environment, ExitStatus, complain, explain, file, session};
use crate::event::Sink;
use crate::report::human::{HumanReporter, Style};
use crate::report::json::JsonReporter;
use crate::report::request::HarSink;
use crate::report::{Fan, PipeWriter};

/// What the file is for, in messages.
const WHAT: &str = "the HTTP archive";

/// Everything that a run is told to.
pub(super) struct Outputs {
    args: RequestArgs,
    environment: Environment,
    archive: Option<Box<dyn Sink>>,
    archive_on_stdout: bool,
    failed: Rc<Cell<bool>>,
}

impl Outputs {
    /// Opens the files, to be done before privileges are dropped: root without capabilities may not
    /// write into other users' directories.
    ///
    /// # Errors
    /// One of them cannot be written.
    pub(super) fn open(
        args: &RequestArgs,
        environment: &Environment,
        ground: &Ground,
    ) -> anyhow::Result<Self> {
        let failed = Rc::<Cell<bool>>::default();
        let mut on_stdout = false;
        let archive = match args.har.as_deref() {
            None => None,
            Some(path) => {
                // A run that cannot be should not touch the file of the one before.
                ground.ensure_permitted()?;
                on_stdout = path.as_os_str() == "-";
                let taken = args.output.json || args.output.pcap.as_deref() == Some(path);
                anyhow::ensure!(
                    !(on_stdout && taken),
                    "standard output cannot take two reports: give --har a file"
                );
                let (file, name) = if on_stdout {
                    (file::standard_output(WHAT)?, "standard output".to_owned())
                } else {
                    (file::open(path, WHAT)?, file::shown(path))
                };
                let file = RefCell::new(file);
                let failed = Rc::clone(&failed);
                let write = move |bytes: &[u8]| match file::replace(&mut file.borrow_mut(), bytes) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                    Err(error) => {
                        failed.set(true);
                        complain(&format!("cannot write {WHAT} to {name}: {error}"));
                    }
                };
                Some(Box::new(HarSink::new(env!("CARGO_PKG_VERSION"), write)) as Box<dyn Sink>)
            }
        };
        let args = args.clone();
        let environment = *environment;
        Ok(Self { args, environment, archive, archive_on_stdout: on_stdout, failed })
    }

    /// Whoever hears of the run.
    pub(super) fn reporter(&mut self, capture: &mut Capture) -> Box<dyn Sink> {
        let on_stderr = capture.is_on_stdout() || self.archive_on_stdout;
        let environment = Environment {
            stdout_is_terminal: if on_stderr {
                self.environment.stderr_is_terminal
            } else {
                self.environment.stdout_is_terminal
            },
            ..self.environment
        };
        let out = PipeWriter::new(if on_stderr {
            Box::new(io::stderr()) as Box<dyn Write>
        } else {
            Box::new(io::stdout())
        });
        let output = &self.args.output;
        let lang = explain::of_run(&self.args.explain, &environment);
        let report: Box<dyn Sink> = if output.json {
            let segments = output.verbose > 0 || lang.is_some();
            Box::new(Brief::new(JsonReporter::new(out).explaining(lang), segments))
        } else {
            let style = Style { explain: lang, ..session::style(output, &environment) };
            Box::new(HumanReporter::new(out, style))
        };
        let report = match self.archive.take() {
            Some(archive) => Box::new(Fan::new().with(report).with(archive)),
            None => report,
        };
        capture.beside(report)
    }

    /// The exit status of a run that else has `status`: a file that is not whole is not what was
    /// asked for, whatever the peer did.
    pub(super) fn status(&self, status: ExitStatus) -> ExitStatus {
        if self.failed.get() { ExitStatus::NotMeasured } else { status }
    }
}
