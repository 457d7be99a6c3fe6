//! Consumers of the event stream: what a person reads and what a program reads.
//!
//! Each reporter is a [`Sink`] that writes to any [`std::io::Write`], prints every event the moment
//! it comes and flushes, so that a lost SYN shows at once, also through a pipe. None of them reads a
//! clock or asks the terminal: how wide and how colourful the output is comes in as a
//! [`human::Style`].

pub mod check;
pub mod explain;
pub mod figure;
pub mod human;
pub mod json;
pub mod listen;
pub mod pcapng;

pub mod plot;
pub mod request;
pub mod rtt;
pub mod sweep;

mod pipe;
pub mod sanitize;
mod screen;
#[cfg(test)]
mod testkit;
mod units;

use std::io;

pub use human::{HumanReporter, Style};
pub use json::JsonReporter;
pub use pcapng::PcapngReporter;

pub use pipe::{ClosedPipe, PipeWriter};

use crate::event::{Event, FlowId, Sink};

/// Several sinks that hear the same events, in the order in which they were added.
#[derive(Default)]
pub struct Fan<'a> {
    sinks: Vec<Box<dyn Sink + 'a>>,
}

impl<'a> Fan<'a> {
    /// A fan without sinks: it hears everything and says nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sink.
    pub fn push(&mut self, sink: impl Sink + 'a) {
        self.sinks.push(Box::new(sink));
    }

    /// Adds a sink: the form for a chain.
    #[must_use]
    pub fn with(mut self, sink: impl Sink + 'a) -> Self {
        self.push(sink);
        self
    }
}

impl Sink for Fan<'_> {
    /// Every sink hears the event, also behind one that fails; the first failure is returned.
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        let mut result = Ok(());
        for sink in &mut self.sinks {
            let heard = sink.record(flow, event);
            if result.is_ok() {
                result = heard;
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken;

    impl Sink for Broken {
        fn record(&mut self, _: FlowId, _: &Event) -> io::Result<()> {
            Err(io::Error::other("disk full"))
        }
    }

    #[test]
    fn one_failing_sink_does_not_silence_the_others() {
        let mut heard: Vec<(FlowId, Event)> = Vec::new();
        let event = testkit::Story::new("handshake").run();
        let result = Fan::new().with(Broken).with(&mut heard).record(FlowId(3), &event);
        assert_eq!(result.unwrap_err().to_string(), "disk full");
        assert_eq!(heard, [(FlowId(3), event)]);
    }
}
