//! An earlier run's verdicts, from its JSON Lines, and what is otherwise now.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::event::{CheckInfo, Verdict};

/// What each check came to.
pub type Verdicts = BTreeMap<&'static str, Verdict>;

/// The verdicts of an earlier run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Baseline {
    /// The file, as messages call it.
    name: String,
    verdicts: BTreeMap<String, Verdict>,
}

/// How a verdict differs from the earlier one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ChangeKind {
    /// It fails and did not before.
    NewFailure,
    /// It warns, or is tolerated, where it was better before.
    Worse,
    /// It could be decided before.
    Inconclusive,
    /// It is better than before.
    Fixed,
    /// It is otherwise, neither better nor worse.
    Other,
    /// The earlier run did not have it.
    New,
    /// It was to run now and did not come to it.
    NotRun,
    /// This run does not have it.
    Gone,
}

impl ChangeKind {
    /// All of them, those that matter most first.
    pub const ALL: [Self; 8] = [
        Self::NewFailure,
        Self::Worse,
        Self::Inconclusive,
        Self::Fixed,
        Self::Other,
        Self::New,
        Self::NotRun,
        Self::Gone,
    ];

    /// The word in the JSON stream.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewFailure => "new-failure",
            Self::Worse => "worse",
            Self::Inconclusive => "newly-inconclusive",
            Self::Fixed => "fixed",
            Self::Other => "changed",
            Self::New => "new",
            Self::NotRun => "not-run",
            Self::Gone => "gone",
        }
    }

    /// The words in a report.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::NewFailure => "new failure",
            Self::Inconclusive => "newly inconclusive",
            Self::NotRun => "not run",
            Self::New => "new check",
            Self::Gone => "not in this run",
            other => other.name(),
        }
    }

    /// Whether the target does worse than before. What could not be decided says nothing of it.
    #[must_use]
    pub const fn is_worse(self) -> bool {
        matches!(self, Self::NewFailure | Self::Worse)
    }

    fn of(was: Verdict, now: Verdict) -> Option<Self> {
        use Verdict as V;
        Some(match (was, now) {
            (was, now) if was == now => return None,
            (_, V::Fail) => Self::NewFailure,
            (_, V::Inconclusive) => Self::Inconclusive,
            (V::Fail, V::Warn | V::Tolerated | V::Info | V::Pass)
            | (V::Warn, V::Tolerated | V::Info | V::Pass)
            | (V::Tolerated, V::Pass) => Self::Fixed,
            (_, V::Warn) | (V::Pass, V::Tolerated) => Self::Worse,
            _ => Self::Other,
        })
    }
}

/// One check that is otherwise than before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The check.
    pub id: String,
    /// How it differs.
    pub kind: ChangeKind,
    /// Its earlier verdict.
    pub was: Option<Verdict>,
    /// Its verdict now.
    pub now: Option<Verdict>,
}

/// What is read of a record.
#[derive(Deserialize)]
struct Record {
    v: u64,
    #[serde(rename = "type")]
    name: String,
    command: Option<String>,
    id: Option<String>,
    verdict: Option<String>,
}

impl Baseline {
    /// Reads what `check --json` wrote into the file that messages call `name`.
    ///
    /// # Errors
    /// One line that says what is wrong with the file.
    pub fn read(name: &str, text: &str) -> Result<Self, String> {
        let mut verdicts = BTreeMap::new();
        let mut began = false;
        for (number, line) in (1..).zip(text.lines()) {
            let wrong =
                |why: &str| format!("{name} is no report of 'check --json': line {number} {why}");
            if line.trim().is_empty() {
                continue;
            }
            let record: Record =
                serde_json::from_str(line).map_err(|_| wrong("is no record of it"))?;
            if record.v != 1 {
                return Err(wrong("has another schema version"));
            }
            if record.name == "run" {
                if record.command.as_deref() != Some("check") {
                    return Err(wrong("is of another command"));
                }
                began = true;
            }
            if record.name != "check" {
                continue;
            }
            let id = record.id.ok_or_else(|| wrong("has no id"))?;
            let known = Verdict::ALL
                .into_iter()
                .find(|verdict| Some(verdict.name()) == record.verdict.as_deref());
            verdicts.insert(id, known.ok_or_else(|| wrong("has no verdict that is known"))?);
        }
        if !began {
            return Err(format!("{name} is no report of 'check --json': it has no run"));
        }
        if verdicts.is_empty() {
            return Err(format!("{name} has no verdict to compare with"));
        }
        Ok(Self { name: name.to_owned(), verdicts })
    }

    /// The file, as messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks that have a verdict in both runs.
    #[must_use]
    pub fn compared(&self, now: &Verdicts) -> usize {
        now.keys().filter(|id| self.verdicts.contains_key(**id)).count()
    }

    /// What is otherwise in a run of the `planned` checks, those that matter most first.
    #[must_use]
    pub fn changes(&self, planned: &[&'static CheckInfo], now: &Verdicts) -> Vec<Change> {
        let mut changes = Vec::new();
        for info in planned {
            let (was, now) = (self.verdicts.get(info.id).copied(), now.get(info.id).copied());
            let kind = match (was, now) {
                (Some(was), Some(now)) => ChangeKind::of(was, now),
                (None, Some(_)) => Some(ChangeKind::New),
                (Some(_), None) => Some(ChangeKind::NotRun),
                (None, None) => None,
            };
            changes.extend(kind.map(|kind| Change { id: info.id.to_owned(), kind, was, now }));
        }
        let gone =
            self.verdicts.iter().filter(|(id, _)| planned.iter().all(|info| info.id != **id));
        changes.extend(gone.map(|(id, was)| Change {
            id: id.clone(),
            kind: ChangeKind::Gone,
            was: Some(*was),
            now: None,
        }));
        changes.sort_by_key(|change| change.kind);
        changes
    }
}
