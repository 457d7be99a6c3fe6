//! Files that results go to: what is taken for one, and how it stays whole.

use std::fs::{File, FileType};
use std::io::{self, IsTerminal, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use anyhow::{Context, bail};

use super::line::escaped;

/// Opens a file for writing, empty; `what` it is for goes into messages.
///
/// # Errors
/// It cannot be written, or is none that should be: a device, a terminal.
pub(super) fn create(path: &Path, what: &'static str) -> anyhow::Result<File> {
    let file = open(path, what)?;
    if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        file.set_len(0).with_context(|| format!("cannot write {what} to {}", shown(path)))?;
    }
    Ok(file)
}

/// Opens a file for writing, and leaves in it what is there. Only a regular file or a pipe is taken:
/// to open a device can do anything.
///
/// # Errors
/// As [`create`].
pub(super) fn open(path: &Path, what: &'static str) -> anyhow::Result<File> {
    let name = shown(path);
    if let Ok(metadata) = path.metadata() {
        ensure_suitable(metadata.file_type(), &name, what)?;
    }
    let cannot = || format!("cannot write {what} to {name}");
    let file = File::options().write(true).create(true).truncate(false).open(path);
    let file = file.with_context(cannot)?;
    // What was there a moment ago need not be what was opened.
    let kind = file.metadata().with_context(cannot)?.file_type();
    ensure_suitable(kind, &name, what)?;
    Ok(file)
}

fn ensure_suitable(kind: FileType, name: &str, what: &str) -> anyhow::Result<()> {
    if kind.is_dir() {
        bail!("cannot write {what} to {name}: it is a directory");
    }
    if !kind.is_file() && !kind.is_fifo() {
        bail!("cannot write {what} to {name}: it is neither a regular file nor a pipe");
    }
    Ok(())
}

/// Puts `bytes` in the place of what is in a file. Where they do not fit, the file is empty.
///
/// # Errors
/// They do not fit, or the file is gone.
pub(super) fn replace(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let is_file = file.metadata()?.is_file();
    if is_file {
        file.set_len(0)?;
        file.rewind()?;
    }
    let written = file.write_all(bytes);
    if written.is_err() && is_file {
        let _ = file.set_len(0);
    }
    written
}

/// Standard output as a file, where that is no terminal.
///
/// # Errors
/// It is a terminal.
pub(super) fn standard_output(what: &'static str) -> anyhow::Result<File> {
    let stdout = io::stdout();
    if stdout.is_terminal() {
        bail!("{what} would go to the terminal: send it to a file or a pipe");
    }
    let descriptor = stdout.as_fd().try_clone_to_owned().context("cannot use standard output")?;
    Ok(descriptor.into())
}

/// Whether standard output is a pipe: behind it may be a pager, which owns the terminal.
pub(super) fn standard_output_is_a_pipe() -> bool {
    let descriptor = io::stdout().as_fd().try_clone_to_owned();
    let metadata = descriptor.and_then(|descriptor| File::from(descriptor).metadata());
    metadata.is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// A path for messages, in quotes.
pub(super) fn shown(path: &Path) -> String {
    format!("'{}'", escaped(&path.to_string_lossy()))
}

/// A file that takes a block whole or not at all.
pub(super) struct WholeBlocks(pub(super) File);

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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn refusal(path: &Path) -> String {
        format!("{:#}", create(path, "the capture").expect_err("refused"))
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
        WholeBlocks(create(file.path(), "the capture").expect("opened"))
            .write_all(b"new")
            .expect("written");
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
