//! placeholder

use std::io;

use crate::cli::RttArgs;
use crate::cmd::capture::Capture;
use crate::cmd::{Environment, ExitStatus};
use crate::event::{Event, FlowId, RttEvent, RttSink, RttView, Sink};
use crate::report::{ClosedPipe, PipeWriter};

pub(super) struct Raw;

impl RttSink for Raw {
    fn hear(&mut self, event: &RttEvent<'_>, view: &RttView<'_>) -> io::Result<()> {
        if let RttEvent::Probe(p) | RttEvent::Late(p) = event {
            println!(
                "{:?} {} {:?} {:?} {:?} {:?} {:?}",
                p.fate, p.index, p.from, p.outcome, p.intervals, p.clock, p.remark
            );
        } else if !matches!(event, RttEvent::Final(_)) {
            println!("{event:?}");
        }
        if let RttEvent::Ended(_) = event {
            println!("{:?} {:?}", view.accounts[0].counts(), view.traffic);
            println!(
                "{:?} {:?}",
                view.accounts[0].times(crate::stats::Phase::Handshake).map(|t| t.figures()),
                view.schedule.lateness()
            );
        }
        Ok(())
    }
}

struct Nobody;
impl Sink for Nobody {
    fn record(&mut self, _: FlowId, _: &Event) -> io::Result<()> {
        Ok(())
    }
}

pub(super) struct Outputs(ClosedPipe);

impl Outputs {
    pub(super) fn open(_: &RttArgs, _: &Environment) -> anyhow::Result<Self> {
        Ok(Self(PipeWriter::new(io::stdout()).closed()))
    }
    pub(super) fn listeners(&mut self, capture: &mut Capture) -> super::Listeners {
        super::Listeners {
            segments: capture.beside(Box::new(Nobody)),
            out: Box::new(Raw),
            reader: self.0.clone(),
        }
    }
    pub(super) fn status(&self, status: ExitStatus) -> ExitStatus {
        status
    }
}
