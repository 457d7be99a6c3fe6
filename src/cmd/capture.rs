//! `--pcap`: the file that a capture goes to, and what becomes of the run when it cannot be written.

use std::cell::Cell;
use std::fs::{File, FileType};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, bail};

use super::ground::Ground;
use super::line::escaped;
use super::{ExitStatus, complain};
use crate::cli::shared::OutputArgs;
use crate::event::{Event, FlowId, Sink};
use crate::net::linux::DropCounter;
use crate::report::{Fan, PcapngReporter};

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
        let file = if on_stdout { standard_output()? } else { create(path)? };
        let name = if on_stdout { "standard output".to_owned() } else { shown(path) };
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

/// A file that takes a block whole or not at all.
struct WholeBlocks(File);

impl Write for WholeBlocks {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < block.len() {
            match self.0.write(&block[written..]) {
                Ok(0) => return self.undo(written, io::ErrorKind::WriteZero.into()),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.undo(written, error),
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WholeBlocks {
    /// Takes back what has been written of a block: a disk that fills up cuts it anywhere. What went
    /// into a pipe is gone.
    fn undo(&self, written: usize, error: io::Error) -> io::Result<usize> {
        if written > 0
            && let Ok(metadata) = self.0.metadata()
            && metadata.is_file()
        {
            let _ = self.0.set_len(metadata.len().saturating_sub(written as u64));
        }
        Err(error)
    }
}

/// Opens the file for writing, empty. Only a regular file or a pipe is taken as it is: to open a
/// device can do anything.
fn create(path: &Path) -> anyhow::Result<File> {
    let name = shown(path);
    if let Ok(metadata) = path.metadata() {
        ensure_suitable(metadata.file_type(), &name)?;
    }
    let cannot = || format!("cannot write the capture to {name}");
    let file = File::options().write(true).create(true).truncate(false).open(path);
    let file = file.with_context(cannot)?;
    // What was there a moment ago need not be what was opened.
    let kind = file.metadata().with_context(cannot)?.file_type();
    ensure_suitable(kind, &name)?;
    if kind.is_file() {
        file.set_len(0).with_context(cannot)?;
    }
    Ok(file)
}

fn ensure_suitable(kind: FileType, name: &str) -> anyhow::Result<()> {
    if kind.is_dir() {
        bail!("cannot write the capture to {name}: it is a directory");
    }
    if !kind.is_file() && !kind.is_fifo() {
        bail!("cannot write the capture to {name}: it is neither a regular file nor a pipe");
    }
    Ok(())
}

fn standard_output() -> anyhow::Result<File> {
    let stdout = io::stdout();
    if stdout.is_terminal() {
        bail!("the capture would go to the terminal: send it to a file or a pipe");
    }
    let descriptor = stdout.as_fd().try_clone_to_owned().context("cannot use standard output")?;
    Ok(descriptor.into())
}

fn shown(path: &Path) -> String {
    format!("'{}'", escaped(&path.to_string_lossy()))
}

/// How this process was called.
fn command_line() -> String {
    let words: Vec<String> =
        std::env::args_os().map(|word| escaped(&word.to_string_lossy())).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn refusal(path: &Path) -> String {
        format!("{:#}", create(path).expect_err("refused"))
    }

    #[test]
    fn only_files_and_pipes_are_written_to() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let why = refusal(directory.path());
        assert!(why.ends_with("it is a directory"), "{why}");
        let why = refusal(Path::new("/dev/null"));
        assert_eq!(
            why,
            "cannot write the capture to '/dev/null': it is neither a regular file nor a pipe"
        );
        let why = refusal(&directory.path().join("no/such"));
        assert!(why.contains("No such file or directory"), "{why}");
    }

    #[test]
    fn what_was_in_a_file_is_gone_and_its_length_too() {
        let file = tempfile::NamedTempFile::new().expect("scratch file");
        std::fs::write(file.path(), [7; 1000]).expect("written");
        WholeBlocks(create(file.path()).expect("opened")).write_all(b"new").expect("written");
        assert_eq!(std::fs::read(file.path()).expect("read"), b"new");
    }

    #[test]
    fn half_a_block_is_taken_back() {
        let mut file = tempfile::tempfile().expect("scratch file");
        file.write_all(b"whole blocks and ha").expect("written");
        let whole = WholeBlocks(file);
        let error = whole.undo(7, io::ErrorKind::StorageFull.into()).expect_err("the disk is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let mut text = String::new();
        let mut file = whole.0;
        io::Seek::rewind(&mut file).expect("rewound");
        file.read_to_string(&mut text).expect("read");
        assert_eq!(text, "whole blocks");
    }
}
