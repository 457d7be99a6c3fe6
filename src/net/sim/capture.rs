//! A wire that keeps what passes.

use std::io;

use crate::net::{Facts, Frame, Received, Wire};
use crate::time::Instant;

/// Keeps a copy of every frame that its inner wire hands out, in both directions: the whole run, to
/// be looked at afterwards.
#[derive(Debug)]
pub struct Capturing<W> {
    /// The wire that carries the packets.
    pub inner: W,
    /// What it handed out so far, in that order.
    pub frames: Vec<Frame>,
}

impl<W: Wire> Capturing<W> {
    /// A capture that begins now.
    pub const fn new(inner: W) -> Self {
        Self { inner, frames: Vec::new() }
    }
}

impl<W: Wire> Wire for Capturing<W> {
    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        self.inner.send(packet)
    }

    fn receive(&mut self, until: Instant) -> io::Result<Received> {
        let received = self.inner.receive(until)?;
        if let Received::Frame(frame) = &received {
            self.frames.push(frame.clone());
        }
        Ok(received)
    }

    fn facts(&self) -> &Facts {
        self.inner.facts()
    }
}
