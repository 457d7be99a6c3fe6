//! Several reports of one sweep, and what they have in common.

use std::io;
use std::time::Duration;

use crate::event::{
    Found, Notice, RttBy, SweepEnd, SweepProgress, SweepRun, SweepSink, SweepTimes,
};
use crate::stats::Distribution;

/// Several sinks that hear the same sweep, in the order in which they were added.
///
/// One that fails hears nothing more, the others go on; its failure is returned once, so that whoever
/// drives the sweep can say it and decide. The fan also takes the distribution of the round-trip times,
/// in bounded memory, and completes the [end](SweepEnd) by it.
#[derive(Default)]
pub struct SweepFan<'a> {
    sinks: Vec<Box<dyn SweepSink + Send + 'a>>,
    times: Times,
}

impl std::fmt::Debug for SweepFan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SweepFan").field("sinks", &self.sinks.len()).finish_non_exhaustive()
    }
}

impl<'a> SweepFan<'a> {
    /// A fan without sinks: it hears everything and says nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sink.
    pub fn push(&mut self, sink: impl SweepSink + Send + 'a) {
        self.sinks.push(Box::new(sink));
    }

    /// Adds a sink: the form for a chain.
    #[must_use]
    pub fn with(mut self, sink: impl SweepSink + Send + 'a) -> Self {
        self.push(sink);
        self
    }

    /// Tells every sink; takes out those that fail and returns the first failure.
    fn tell(
        &mut self,
        mut what: impl FnMut(&mut (dyn SweepSink + Send + 'a)) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut result = Ok(());
        self.sinks.retain_mut(|sink| {
            let heard = what(&mut **sink);
            let goes_on = heard.is_ok();
            if result.is_ok() {
                result = heard;
            }
            goes_on
        });
        result
    }
}

impl SweepSink for SweepFan<'_> {
    fn begin(&mut self, run: &SweepRun) -> io::Result<()> {
        self.tell(|sink| sink.begin(run))
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        self.times.take(found);
        self.tell(|sink| sink.found(found))
    }

    fn progress(&mut self, progress: &SweepProgress) -> io::Result<()> {
        self.tell(|sink| sink.progress(progress))
    }

    fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        self.tell(|sink| sink.notice(notice))
    }

    fn end(&mut self, end: &SweepEnd) -> io::Result<()> {
        let rtt = end.rtt.or_else(|| self.times.figures());
        let end = SweepEnd { rtt, ..end.clone() };
        self.tell(|sink| sink.end(&end))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tell(|sink| sink.flush())
    }
}

/// The round-trip times so far.
#[derive(Debug, Default)]
struct Times {
    all: Distribution,
    times: SweepTimes,
}

impl Times {
    fn take(&mut self, found: &Found) {
        let Some(rtt) = found.rtt else { return };
        self.all.record(Duration::from_nanos(rtt.nanos));
        let (count, worst) = match rtt.by {
            RttBy::Timestamp => (&mut self.times.by_timestamp, &mut self.times.timestamp_error_ns),
            RttBy::Log => (&mut self.times.by_log, &mut self.times.log_error_ns),
        };
        *count += 1;
        *worst = (*worst).max(Some(rtt.error_nanos));
    }

    fn figures(&self) -> Option<SweepTimes> {
        let figures = self.all.figures();
        (figures.count > 0).then_some(SweepTimes { figures, ..self.times })
    }
}

/// Passes on who is open, and all else.
#[derive(Debug)]
pub struct OpenOnly<S>(pub S);

impl<S: SweepSink> SweepSink for OpenOnly<S> {
    fn begin(&mut self, run: &SweepRun) -> io::Result<()> {
        self.0.begin(run)
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        if found.outcome.is_open() { self.0.found(found) } else { Ok(()) }
    }

    fn progress(&mut self, progress: &SweepProgress) -> io::Result<()> {
        self.0.progress(progress)
    }

    fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        self.0.notice(notice)
    }

    fn end(&mut self, end: &SweepEnd) -> io::Result<()> {
        self.0.end(end)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
