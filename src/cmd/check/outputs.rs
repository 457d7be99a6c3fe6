//! Where a run is told: standard output, and the files that were asked for.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, bail};

use crate::cli::{CheckArgs, CheckReportArgs};
use crate::cmd::capture::command_line;
use crate::cmd::file::{self, WholeBlocks};
use crate::cmd::{Environment, ExitStatus, complain, session};
use crate::event::{CheckEnd, CheckEvent, CheckInfo, CheckSink, CutShort, Verdict};
use crate::report::check::{
    Baseline, ChangeKind, CheckCaptures, CheckJsonReporter, CheckReporter, JunitSink, TapReporter,
    Verdicts, WithProgress,
};
use crate::report::{ClosedPipe, PcapngReporter, PipeWriter};

/// What the files are for, in messages.
const XML: &str = "the JUnit report";
const CAPTURES: &str = "captures";
const CAPTURE: &str = "the capture";

/// Everything that a run is told to, and what it comes to.
pub(super) struct Outputs {
    sink: Option<All>,
    failed: Rc<Cell<bool>>,
    verdicts: Rc<RefCell<Verdicts>>,
    baseline: Option<Baseline>,
    planned: Vec<&'static CheckInfo>,
}

/// The earlier run that this one is compared with.
///
/// # Errors
/// The file cannot be read, or is none.
pub(super) fn baseline(args: &CheckReportArgs) -> anyhow::Result<Option<Baseline>> {
    let Some(path) = &args.baseline else { return Ok(None) };
    let name = file::shown(path);
    let bytes = fs::read(path).with_context(|| format!("cannot read the baseline {name}"))?;
    let text = String::from_utf8_lossy(&bytes);
    Baseline::read(&name, &text).map(Some).map_err(anyhow::Error::msg)
}

impl Outputs {
    /// Opens the files, to be done before privileges are dropped: root without capabilities may not
    /// write into other users' directories.
    ///
    /// # Errors
    /// One of them cannot be written.
    pub(super) fn open(
        args: &CheckArgs,
        environment: &Environment,
        checks: &[&'static CheckInfo],
        baseline: Option<Baseline>,
        note: String,
    ) -> anyhow::Result<Self> {
        let failed = Rc::<Cell<bool>>::default();
        let watched = |inner| Watched { inner, failed: Rc::clone(&failed) };
        let mut files = Vec::new();
        let on_stdout = args.reports.junit.as_deref().is_some_and(|path| path.as_os_str() == "-");
        if on_stdout && (args.output.json || args.reports.tap) {
            bail!("standard output cannot take two reports: give --junit a file");
        }
        if let Some(path) = &args.reports.junit {
            files.push(watched(junit(path)?));
        }
        if let Some(directory) = &args.reports.pcap_dir {
            files.push(watched(Box::new(Captures::open(directory, checks)?)));
        }
        let out = PipeWriter::new(if on_stdout {
            Box::new(io::stderr()) as Box<dyn Write>
        } else {
            Box::new(io::stdout())
        });
        let reader = out.closed();
        let report = report(args, environment, out, baseline.clone(), note);
        let progress = environment.stderr_is_terminal
            && !environment.dumb
            && !args.output.quiet
            && !file::standard_output_is_a_pipe();
        let report: Box<dyn CheckSink> = if progress {
            let columns = || {
                let size = terminal_size::terminal_size_of(io::stderr());
                size.map(|(width, _)| usize::from(width.0))
            };
            Box::new(WithProgress::new(report, io::stderr(), columns))
        } else {
            report
        };
        let verdicts = Rc::<RefCell<Verdicts>>::default();
        let sink = All { report, files, reader, verdicts: Rc::clone(&verdicts) };
        Ok(Self { sink: Some(sink), failed, verdicts, baseline, planned: checks.to_vec() })
    }

    /// Who hears the run; nobody, if asked again.
    pub(super) fn listener(&mut self) -> Box<dyn CheckSink> {
        match self.sink.take() {
            Some(sink) => Box::new(sink),
            None => Box::new(Vec::new()),
        }
    }

    /// The exit status of a run that ended so.
    pub(super) fn status(&self, end: &CheckEnd) -> ExitStatus {
        if self.failed.get() {
            // A file that is not whole is not what was asked for, whatever the target did.
            return ExitStatus::NotMeasured;
        }
        let verdicts = self.verdicts.borrow();
        let is_worse = self.baseline.as_ref().is_some_and(|baseline| {
            let changes = baseline.changes(&self.planned, &verdicts);
            changes.iter().map(|change| change.kind).any(ChangeKind::is_worse)
        });
        status(end, is_worse)
    }
}

/// 1 where a MUST is broken, the target died or did not answer, or does worse than before; 2 where
/// the run ended before anything was known, or this host disturbed it.
fn status(end: &CheckEnd, is_worse: bool) -> ExitStatus {
    let fails = end.counts.iter().any(|(verdict, _)| *verdict == Verdict::Fail);
    match end.cut_short {
        Some(CutShort::LocalInterference) => ExitStatus::NotMeasured,
        Some(CutShort::NoTarget(_) | CutShort::Died(_)) => ExitStatus::Otherwise,
        _ if fails || is_worse => ExitStatus::Otherwise,
        Some(_) if end.counts.is_empty() => ExitStatus::NotMeasured,
        _ => ExitStatus::AsAsked,
    }
}

/// What goes to standard output.
fn report(
    args: &CheckArgs,
    environment: &Environment,
    out: PipeWriter<Box<dyn Write>>,
    baseline: Option<Baseline>,
    note: String,
) -> Box<dyn CheckSink> {
    let evidence = !args.output.quiet;
    if args.output.json {
        return Box::new(CheckJsonReporter::new(out, evidence).against(baseline));
    }
    if args.reports.tap {
        return Box::new(TapReporter::new(out, evidence).against(baseline));
    }
    let style = session::style(&args.output, environment);
    Box::new(CheckReporter::new(out, style).against(baseline).with_note(note))
}

/// The JUnit report, written at the end. What is in the file stays there until then.
fn junit(path: &Path) -> anyhow::Result<Box<dyn CheckSink>> {
    let (mut file, name) = if path.as_os_str() == "-" {
        (file::standard_output(XML)?, "standard output".to_owned())
    } else {
        (file::open(path, XML)?, file::shown(path))
    };
    Ok(Box::new(JunitSink::new(move |xml: &[u8]| {
        file::replace(&mut file, xml).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write {XML} to {name}: {error}"))
        })
    })))
}

/// A capture for each check. All are opened at the beginning; those of checks that sent nothing are
/// taken away again.
struct Captures {
    inner: CheckCaptures<WholeBlocks>,
    directory: PathBuf,
    empty: Vec<&'static str>,
}

impl Captures {
    fn open(directory: &Path, checks: &[&'static CheckInfo]) -> anyhow::Result<Self> {
        let name = file::shown(directory);
        if directory.exists() && !directory.is_dir() {
            bail!("cannot write {CAPTURES} into {name}: it is no directory");
        }
        let cannot = || format!("cannot write {CAPTURES} into {name}");
        fs::create_dir_all(directory).with_context(cannot)?;
        let application = concat!("shakedown ", env!("CARGO_PKG_VERSION"));
        let command_line = command_line();
        let mut files = Vec::new();
        for info in checks {
            let file: File = file::create(&path(directory, info.id), CAPTURE)?;
            let file = PcapngReporter::new(WholeBlocks(file), application, &command_line);
            files.push((info.id, file.with_context(cannot)?));
        }
        Ok(Self {
            inner: CheckCaptures::new(files),
            directory: directory.to_owned(),
            empty: checks.iter().map(|info| info.id).collect(),
        })
    }
}

fn path(directory: &Path, id: &str) -> PathBuf {
    directory.join(format!("{id}.pcapng"))
}

impl CheckSink for Captures {
    fn record(&mut self, event: &CheckEvent) -> io::Result<()> {
        let recorded = self.inner.record(event);
        match event {
            CheckEvent::Result(result) => {
                let id = result.info.id;
                if !result.trace.entries.is_empty() {
                    self.empty.retain(|other| *other != id);
                }
                let name = file::shown(&path(&self.directory, id));
                recorded.map_err(|error| {
                    let why = format!("cannot write {CAPTURE} to {name}: {error}");
                    io::Error::new(error.kind(), why)
                })
            }
            CheckEvent::End(_) => {
                for id in std::mem::take(&mut self.empty) {
                    // Where it cannot be taken away, it is whole and empty.
                    let _ = fs::remove_file(path(&self.directory, id));
                }
                recorded
            }
            _ => recorded,
        }
    }
}

/// A file whose failure is said and does not end the run.
struct Watched {
    inner: Box<dyn CheckSink>,
    failed: Rc<Cell<bool>>,
}

impl CheckSink for Watched {
    fn record(&mut self, event: &CheckEvent) -> io::Result<()> {
        match self.inner.record(event) {
            Ok(()) => {}
            // Whoever closed the pipe has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                self.failed.set(true);
                complain(&error.to_string());
            }
        }
        Ok(())
    }
}

/// The report, and the files beside it.
struct All {
    report: Box<dyn CheckSink>,
    files: Vec<Watched>,
    reader: ClosedPipe,
    verdicts: Rc<RefCell<Verdicts>>,
}

impl CheckSink for All {
    fn record(&mut self, event: &CheckEvent) -> io::Result<()> {
        if let CheckEvent::Result(result) = event {
            self.verdicts.borrow_mut().insert(result.info.id, result.finding.verdict);
        }
        for file in &mut self.files {
            file.record(event)?;
        }
        self.report.record(event)?;
        if self.reader.is_closed() && self.files.is_empty() {
            // Nobody is left to check for.
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn code(counts: &[(Verdict, u32)], cut_short: Option<CutShort>, is_worse: bool) -> u8 {
        let end = CheckEnd {
            elapsed: Duration::ZERO,
            counts: counts.to_vec(),
            not_run: 0,
            cut_short,
            sent: 0,
            received: 0,
        };
        status(&end, is_worse).code()
    }

    #[test]
    fn each_end_has_its_exit_status() {
        let good = [(Verdict::Pass, 3), (Verdict::Warn, 1), (Verdict::Inconclusive, 1)];
        let bad = [(Verdict::Pass, 3), (Verdict::Fail, 1)];
        assert_eq!(code(&good, None, false), 0);
        assert_eq!(code(&good, None, true), 1);
        assert_eq!(code(&bad, None, false), 1);
        assert_eq!(code(&good, Some(CutShort::Interrupted), false), 0);
        assert_eq!(code(&bad, Some(CutShort::Interrupted), false), 1);
        assert_eq!(code(&[], Some(CutShort::Interrupted), false), 2);
        assert_eq!(code(&[], Some(CutShort::Deadline), false), 2);
        assert_eq!(code(&good, Some(CutShort::Died(vec!["x"])), false), 1);
        assert_eq!(code(&bad, Some(CutShort::LocalInterference), false), 2);
        assert_eq!(code(&[], Some(CutShort::NoTarget(String::new())), false), 1);
    }
}
