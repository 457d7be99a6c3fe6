//! What is to be known of a report, whatever it holds.

use super::SweepReport;
use super::read::{Item, Lines};
use super::recent::Recent;
use crate::report::sweep::records::{Run, Summary};

/// A report in brief.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) name: String,
    /// How it began; of a continued one, the first time.
    pub(super) run: Run,
    /// How it ended; absent where its writer was killed and it was never continued.
    pub(super) summary: Option<Summary>,
    /// Whether its last line is half of one.
    pub(super) cut: bool,
    /// Whether it was continued after a kill or an interruption.
    pub(super) continued: bool,
    /// Targets that were open.
    pub(super) open: u64,
    /// Other targets.
    pub(super) others: u64,
    /// Records of targets that stood there already.
    pub(super) repeated: u64,
}

impl Facts {
    /// Reads a whole report.
    pub(super) fn gather(report: &SweepReport) -> Result<Self, String> {
        let mut lines = Lines::open(report)?;
        let Some(Item::Run(run)) = lines.next()? else {
            let name = &report.name;
            return Err(format!(
                "{name} does not begin with the 'run' record of a sweep: it is no report of one"
            ));
        };
        let mut facts = Self {
            name: report.name.clone(),
            continued: run.resumed,
            run: *run,
            summary: None,
            cut: false,
            open: 0,
            others: 0,
            repeated: 0,
        };
        if facts.run.command != "sweep" {
            return Err(format!("{} is no report of a sweep but of another command", report.name));
        }
        let mut recent = Recent::default();
        while let Some(item) = lines.next()? {
            facts.take(item, &mut recent)?;
        }
        facts.repeated = recent.repeated();
        Ok(facts)
    }

    fn take(&mut self, item: Item, recent: &mut Recent) -> Result<(), String> {
        self.cut = false;
        match item {
            Item::Run(run) => {
                if let Some(what) = difference(&self.run, &run) {
                    let name = &self.name;
                    return Err(format!("{name} holds two sweeps: their {what} differs"));
                }
                if run.positions != self.run.positions {
                    return Err(format!("{} holds two shards, not one", self.name));
                }
                recent.continues();
                self.continued = true;
                self.summary = None;
            }
            Item::Target(found) if recent.is_new(&found) => {
                // Behind a summary there is nothing, except where the run goes on.
                self.summary = None;
                if found.outcome.is_open() { self.open += 1 } else { self.others += 1 }
            }
            Item::Summary(summary) => self.summary = Some(*summary),
            Item::Cut => self.cut = true,
            Item::Target(_) | Item::Other => {}
        }
        Ok(())
    }

    /// `shard 3/16 (positions 12288 to 16383)`.
    pub(super) fn part(&self) -> String {
        let positions = positions(self.run.positions.first, self.run.positions.end);
        match self.run.shard {
            Some(shard) => format!("shard {}/{} ({positions})", shard.index, shard.count),
            None => format!("the {positions}"),
        }
    }
}

/// `positions 12288 to 16383`.
pub(super) fn positions(first: u64, end: u64) -> String {
    match end.saturating_sub(first) {
        0 => "no positions".to_owned(),
        1 => format!("position {first}"),
        _ => format!("positions {first} to {}", end - 1),
    }
}

/// What tells two sweeps apart, other than the part of the space that they took.
pub(super) fn difference(one: &Run, other: &Run) -> Option<String> {
    let same = [
        ("seed", one.seed == other.seed),
        ("space of targets", one.fingerprint == other.fingerprint),
        ("number of targets", one.targets == other.targets),
        ("method", one.method == other.method),
        ("number of passes", one.passes == other.passes),
        ("number of shards", one.shard.map(|s| s.count) == other.shard.map(|s| s.count)),
    ];
    if let Some((what, _)) = same.into_iter().find(|(_, same)| !same) {
        return Some(what.to_owned());
    }
    let names = one.options.keys().chain(other.options.keys());
    let mut differing = names.filter(|name| one.options.get(*name) != other.options.get(*name));
    differing.next().map(|name| format!("option '{}'", name.escape_debug()))
}
