//! The rows of a run, written as the fates of its probes become final.

use std::io::{self, Write};

use super::csv::{CsvWriter, Row};
use crate::event::{RttEvent, RttProbe, RttRun, RttSink};

/// Writes a [`Row`] for each probe, in one write, the moment nothing will change it any more.
///
/// After a failure it says nothing further and writes nothing further: behind a row that is not
/// whole, whole ones would be worth nothing.
#[derive(Debug)]
pub struct CsvSink<W> {
    name: String,
    state: State<W>,
}

#[derive(Debug)]
enum State<W> {
    /// The run has not begun.
    Waiting(W),
    Writing(CsvWriter<W>),
    Ended,
}

impl<W: Write> CsvSink<W> {
    /// Writes to `out`, which errors call `name`. Each row is one write: `out` should take it whole
    /// or not at all.
    pub fn new(out: W, name: impl Into<String>) -> Self {
        Self { name: name.into(), state: State::Waiting(out) }
    }

    fn write(&mut self, event: &RttEvent<'_>, run: &RttRun) -> io::Result<()> {
        if let State::Waiting(_) = self.state
            && let State::Waiting(out) = std::mem::replace(&mut self.state, State::Ended)
        {
            self.state = State::Writing(CsvWriter::new(out, run.start)?);
        }
        match (event, &mut self.state) {
            (RttEvent::Final(probe), State::Writing(csv)) => {
                row(probe, run).map_or(Ok(()), |row| csv.row(&row))
            }
            (RttEvent::Ended(_), _) => match std::mem::replace(&mut self.state, State::Ended) {
                State::Writing(csv) => csv.finish().map(drop),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl<W: Write> RttSink for CsvSink<W> {
    fn hear(&mut self, event: &RttEvent<'_>, view: &crate::event::RttView<'_>) -> io::Result<()> {
        self.write(event, view.run).map_err(|error| {
            self.state = State::Ended;
            io::Error::new(error.kind(), format!("cannot write {}: {error}", self.name))
        })
    }
}

/// The row of a probe; absent where it is nobody's.
fn row<'a>(probe: &RttProbe, run: &'a RttRun) -> Option<Row<'a>> {
    let target = run.targets.get(probe.target as usize)?;
    Some(Row {
        target: &target.name,
        to: target.to,
        probe: probe.index,
        flow: probe.flow,
        warm_up: probe.warm_up,
        due: probe.due,
        sent: probe.sent.map(|stamp| stamp.at),
        answered: probe.answered.map(|stamp| stamp.at),
        fate: probe.fate,
        answer: probe.answer,
        first_try: probe.first_try,
        attempts: probe.attempts,
        duplicates: probe.duplicates,
        clock: probe.clock,
        intervals: probe.intervals,
        source_port: probe.from.port(),
        iss: probe.iss,
        ended: probe.ended,
    })
}
