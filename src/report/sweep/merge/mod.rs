//! The reports of shards, united: and the proof that together they are the whole space.
//!
//! The JSON Lines of every shard are read twice, line by line: first to see that they belong together,
//! that each is whole, and that their positions cover the space without gap or overlap; then to tell
//! what they hold to any [`SweepSink`], as if one sweep had found it. Memory grows with the number of
//! files, never with that of records.

mod facts;
mod prove;
mod read;
mod recent;
mod target;
mod unite;

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use thiserror::Error;

use self::facts::Facts;
use self::read::{Item, Lines};
use self::recent::Recent;
use crate::event::{SweepEnd, SweepRun, SweepSink};

/// A report that is to be united with others.
pub struct SweepReport {
    /// What messages call it, safe to print.
    pub name: String,
    /// Opens it at its beginning. It is read twice, and only one is open at a time.
    pub open: Box<dyn Fn() -> io::Result<Box<dyn Read>>>,
}

impl SweepReport {
    /// The report in a file, which messages call `name`.
    #[must_use]
    pub fn of_file(path: PathBuf, name: String) -> Self {
        let open = move || File::open(&path).map(|file| Box::new(file) as Box<dyn Read>);
        Self { name, open: Box::new(open) }
    }
}

impl std::fmt::Debug for SweepReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SweepReport").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why reports cannot be united; a line for each reason.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum MergeError {
    /// Some are no reports of a sweep, cannot be read, or are of another sweep than the rest.
    #[error("{}", .0.join("\n"))]
    NotOneSweep(Vec<String>),
    /// They are of one sweep, and are not all of it, or not once.
    #[error("{}", .0.join("\n"))]
    NotCovered(Vec<String>),
}

/// Reports that have been proved to be one whole sweep.
#[derive(Debug)]
pub struct Merge {
    reports: Vec<SweepReport>,
    facts: Vec<Facts>,
    run: SweepRun,
    end: SweepEnd,
    notes: Vec<String>,
}

impl Merge {
    /// Reads the reports, and proves that they are one whole sweep: of the same space in the same order
    /// with the same options, every one finished, with every position in exactly one.
    ///
    /// # Errors
    /// It is not so.
    pub fn prove(reports: Vec<SweepReport>) -> Result<Self, MergeError> {
        let mut facts = Vec::new();
        let mut problems = Vec::new();
        for report in &reports {
            match Facts::gather(report) {
                Ok(known) => facts.push(known),
                Err(problem) => problems.push(problem),
            }
        }
        if reports.is_empty() {
            problems
                .push("there is no report to unite: name the JSON files of the shards".to_owned());
        }
        if problems.is_empty() {
            problems = prove::agreement(&facts);
        }
        if !problems.is_empty() {
            return Err(MergeError::NotOneSweep(problems));
        }
        let problems = prove::cover(&facts);
        if !problems.is_empty() {
            return Err(MergeError::NotCovered(problems));
        }
        let united = unite::run(&facts).zip(unite::end(&facts));
        let (run, end) = united.ok_or_else(|| {
            let problem =
                "the reports hold words or numbers that this version of shakedown does not know"
                    .to_owned();
            MergeError::NotOneSweep(vec![problem])
        })?;
        let notes = prove::notes(&facts);
        Ok(Self { reports, facts, run, end, notes })
    }

    /// The sweep as one.
    #[must_use]
    pub const fn run(&self) -> &SweepRun {
        &self.run
    }

    /// How it ended, as one; the round-trip times are left to [the fan](super::SweepFan).
    #[must_use]
    pub const fn end(&self) -> &SweepEnd {
        &self.end
    }

    /// What a person should know of the reports although it disproves nothing, a line each.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether every target of the space was sent a SYN: no shard was cut short.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.end.account.not_probed == 0
    }

    /// Tells the united sweep, in the order of the positions of the shards.
    ///
    /// # Errors
    /// The sink failed, a report cannot be read again, or is another than it was.
    pub fn tell(&self, sink: &mut dyn SweepSink) -> io::Result<()> {
        sink.begin(&self.run)?;
        let mut order: Vec<usize> = (0..self.facts.len()).collect();
        order.sort_by_key(|at| self.facts[*at].run.positions.first);
        for at in order {
            self.tell_one(&self.reports[at], &self.facts[at], sink)?;
        }
        sink.end(&self.end)
    }

    fn tell_one(
        &self,
        report: &SweepReport,
        facts: &Facts,
        sink: &mut dyn SweepSink,
    ) -> io::Result<()> {
        let other = |problem: String| io::Error::new(io::ErrorKind::InvalidData, problem);
        let mut lines = Lines::open(report).map_err(other)?;
        let mut recent = Recent::default();
        let mut told = 0;
        while let Some(item) = lines.next().map_err(other)? {
            match item {
                Item::Run(_) => recent.continues(),
                Item::Target(found) if recent.is_new(&found) => {
                    told += 1;
                    sink.found(&found)?;
                }
                _ => {}
            }
        }
        if told != facts.open + facts.others {
            return Err(other(format!("{} changed while it was read", report.name)));
        }
        Ok(())
    }
}
