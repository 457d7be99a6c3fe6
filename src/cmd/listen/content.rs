//! What `--reply` sends: read in pieces, so that a large file is never in memory as a whole.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, ensure};

use crate::cmd::data::MAX_PAYLOAD;
use crate::cmd::line::escaped;

/// The contents of a file.
#[derive(Debug)]
pub(super) enum Content {
    /// A regular file, read where it is.
    File(File),
    /// What came through a pipe.
    Bytes(Vec<u8>),
}

impl Content {
    /// Opens a file. What is no regular file is read to its end; `-` is standard input.
    ///
    /// # Errors
    /// It cannot be read, or a pipe brings more than [`MAX_PAYLOAD`].
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let name = escaped(&path.to_string_lossy());
        if path.as_os_str() == "-" {
            return Self::read(io::stdin().lock(), "standard input");
        }
        let file = File::open(path).with_context(|| format!("cannot open '{name}'"))?;
        let kind = file.metadata().with_context(|| format!("cannot read '{name}'"))?;
        ensure!(!kind.is_dir(), "cannot read '{name}': it is a directory");
        if kind.is_file() { Ok(Self::File(file)) } else { Self::read(file, &format!("'{name}'")) }
    }

    fn read(from: impl Read, name: &str) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        let read = from.take(MAX_PAYLOAD + 1).read_to_end(&mut bytes);
        read.with_context(|| format!("cannot read {name}"))?;
        let fits = bytes.len() as u64 <= MAX_PAYLOAD;
        ensure!(fits, "{name} is too large to keep: at most {} MiB", MAX_PAYLOAD >> 20);
        Ok(Self::Bytes(bytes))
    }

    /// At most `most` bytes from `offset` on; none at the end.
    ///
    /// # Errors
    /// The file cannot be read any more.
    pub(super) fn piece(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::File(file) => {
                let mut piece = vec![0; most];
                let mut filled = 0;
                while filled < most {
                    match file.read_at(&mut piece[filled..], offset + filled as u64) {
                        Ok(0) => break,
                        Ok(more) => filled += more,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                piece.truncate(filled);
                Ok(piece)
            }
            Self::Bytes(bytes) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let until = from.saturating_add(most).min(bytes.len());
                Ok(bytes[from..until].to_vec())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_whole_wherever_it_comes_from() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let path = directory.path().join("file");
        std::fs::write(&path, b"0123456789").expect("scratch file");
        let file = Content::open(&path).expect("readable");
        let piped = Content::read(&b"0123456789"[..], "a pipe").expect("readable");
        for content in [file, piped] {
            let piece = |offset| content.piece(offset, 4).expect("readable");
            assert_eq!(
                [piece(0), piece(4), piece(8), piece(12)],
                [b"0123".to_vec(), b"4567".to_vec(), b"89".to_vec(), vec![]]
            );
        }
        let why = format!("{:#}", Content::open(directory.path()).expect_err("a directory"));
        assert!(why.contains("it is a directory"), "{why}");
    }
}
