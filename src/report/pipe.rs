//! Output that may be closed by its reader.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A writer whose reader may go away (`shakedown … | head -1`).
///
/// A broken pipe is no error: what is written after it is dropped in silence, the run goes on to its
/// polite end, and [`ClosedPipe`] tells whoever wants to stop earlier. Every write is flushed, so
/// that lines appear in a pipe as they happen.
#[derive(Debug)]
pub struct PipeWriter<W> {
    inner: W,
    closed: ClosedPipe,
}

/// Whether a [`PipeWriter`]'s reader has gone away. Clones ask the same writer.
#[derive(Clone, Debug, Default)]
pub struct ClosedPipe(Arc<AtomicBool>);

impl ClosedPipe {
    /// Whether a write met a broken pipe.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<W: Write> PipeWriter<W> {
    /// Writes to `inner` until its reader goes away.
    pub fn new(inner: W) -> Self {
        Self { inner, closed: ClosedPipe::default() }
    }

    /// A handle that outlives the move of the writer into a reporter.
    #[must_use]
    pub fn closed(&self) -> ClosedPipe {
        self.closed.clone()
    }

    /// `result`, or `instead` where the pipe is broken.
    fn forgive<T>(&self, result: io::Result<T>, instead: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed.0.store(true, Ordering::Relaxed);
                Ok(instead)
            }
            other => other,
        }
    }
}

impl<W: Write> Write for PipeWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed.is_closed() {
            return Ok(bytes.len());
        }
        let written = self.inner.write(bytes);
        let written = self.forgive(written, bytes.len())?;
        self.flush()?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed.is_closed() {
            return Ok(());
        }
        let flushed = self.inner.flush();
        self.forgive(flushed, ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` bytes, then fails with `kind`.
    struct Narrow {
        room: usize,
        kind: io::ErrorKind,
        flushes: usize,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(self.kind.into());
            }
            let taken = bytes.len().min(self.room);
            self.room -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.flushes += 1;
            Ok(())
        }
    }

    fn narrow(kind: io::ErrorKind) -> PipeWriter<Narrow> {
        PipeWriter::new(Narrow { room: 4, kind, flushes: 0 })
    }

    #[test]
    fn a_reader_that_left_is_no_error_and_can_be_asked_for() {
        let mut out = narrow(io::ErrorKind::BrokenPipe);
        let closed = out.closed();
        out.write_all(b"1234").unwrap();
        assert!(!closed.is_closed());
        assert_eq!(out.inner.flushes, 1, "a line shows at once");
        out.write_all(b"5678").unwrap();
        assert!(closed.is_closed());
        out.write_all(b"more").unwrap();
        out.flush().unwrap();
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut out = narrow(io::ErrorKind::StorageFull);
        let closed = out.closed();
        assert!(out.write_all(b"12345").is_err());
        assert!(!closed.is_closed());
    }
}
