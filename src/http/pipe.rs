//! The two streams of bytes between an HTTP connection and whoever carries them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use hyper::rt::{Read, ReadBufCursor, Write};

/// Both ends of the two streams; every copy is the same pipe.
#[derive(Clone, Default)]
pub(super) struct Pipe(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    incoming: VecDeque<u8>,
    ended: bool,
    outgoing: Vec<u8>,
    shut: bool,
    reader: Option<Waker>,
}

impl Pipe {
    /// Bytes for the HTTP connection to read. It reads them all as soon as it is run, so that what
    /// waits here is never more than what one segment brought.
    pub(super) fn push(&self, bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        state.incoming.extend(bytes);
        state.wake();
    }

    /// There will be no more of them.
    pub(super) fn end(&self) {
        let mut state = self.0.borrow_mut();
        state.ended = true;
        state.wake();
    }

    /// Whether the far end has said that no more will come.
    pub(super) fn has_ended(&self) -> bool {
        self.0.borrow().ended
    }

    /// What the HTTP connection has written since the last call.
    pub(super) fn take_outgoing(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut().outgoing)
    }

    /// Whether the HTTP connection will write no more.
    pub(super) fn is_shut(&self) -> bool {
        self.0.borrow().shut
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl Read for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        if state.incoming.is_empty() && !state.ended {
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let (front, _) = state.incoming.as_slices();
        let length = front.len().min(buffer.remaining());
        buffer.put_slice(&front[..length]);
        state.incoming.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl Write for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.borrow_mut();
        if state.shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        state.outgoing.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().shut = true;
        Poll::Ready(Ok(()))
    }
}
