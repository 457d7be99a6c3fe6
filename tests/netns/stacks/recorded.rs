//! The recorded verdicts: `tests/verdicts/STACK.txt`, and `STACK-slow.txt` for the checks that run
//! with `SHAKEDOWN_CHECK_SLOW=1` only: the slow ones, and on some stacks the intrusive ones.
//!
//! One line each: kind of server, address family, check, verdict. Where two verdicts are both right,
//! they are written `a|b` by hand, with the reason behind a `#`. `SHAKEDOWN_RECORD=1` records what
//! this run found, and keeps such lines where they allow it.

use super::Kind;
use crate::namespace::Family;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::{fs, io};

/// Server, family, check.
type Key = (String, String, String);

/// What a run found.
pub(super) struct Row {
    key: Key,
    cost: String,
    verdict: String,
    /// What came, and the segments, for whoever has to find out why.
    pub(super) account: String,
}

impl Row {
    /// From a `check` record of the JSON stream.
    pub(super) fn new(kind: Kind, family: Family, result: &Value) -> Result<Self> {
        let text = |name: &str| result[name].as_str().map(str::to_owned).context(name.to_owned());
        let mut account = text("observed")?;
        for entry in result["evidence"].as_array().into_iter().flatten() {
            let word = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            let ms = entry["at_ns"].as_u64().unwrap_or_default() as f64 / 1e6;
            let (number, dir) = (&entry["conversation"], word("dir"));
            write!(account, "\n    {ms:10.3} #{number} {dir:2} {}", word("text"))?;
            write!(account, "  {}", word("label"))?;
        }
        Ok(Self {
            key: (kind.name().to_owned(), family.name().to_owned(), text("id")?),
            cost: text("cost")?,
            verdict: text("verdict")?,
            account,
        })
    }
}

/// The record of one stack.
pub(super) struct Record {
    stack: &'static str,
    /// What checks cost that do not run every time.
    seldom: &'static [&'static str],
}

/// The families of a stack share a file.
static WRITING: Mutex<()> = Mutex::new(());

impl Record {
    pub(super) const fn of(stack: &'static str, seldom: &'static [&'static str]) -> Self {
        Self { stack, seldom }
    }

    /// Compares what was found in one family with the record, or records it.
    pub(super) fn judge(&self, rows: &[Row], family: Family) -> Result<()> {
        let (slow, quick): (Vec<&Row>, Vec<&Row>) =
            rows.iter().partition(|row| self.seldom.contains(&row.cost.as_str()));
        let mut different = self.judge_file("", &quick, family)?;
        if !slow.is_empty() {
            different.extend(self.judge_file("-slow", &slow, family)?);
        }
        let list = different.join("\n");
        ensure!(
            different.is_empty(),
            "{} verdicts are not the recorded ones (SHAKEDOWN_RECORD=1 records them anew):\n{list}",
            different.len()
        );
        Ok(())
    }

    fn judge_file(&self, suffix: &str, rows: &[&Row], family: Family) -> Result<Vec<String>> {
        let path = path(self.stack, suffix);
        let guard = WRITING.lock();
        let mut file = Written::read(&path)?;
        if std::env::var_os("SHAKEDOWN_RECORD").is_some_and(|value| value == "1") {
            file.take(rows, family);
            fs::write(&path, file.text()?)?;
        }
        drop(guard);
        Ok(file.differences(rows, family))
    }
}

/// The record of Linux has a verdict on every check, in both families: behind one server or another
/// each of them comes to one.
pub(super) fn every_check_is_decided() -> Result<()> {
    let listing = Command::new(env!("CARGO_BIN_EXE_shakedown"))
        .args(["check", "--list", "--json"])
        .output()
        .context("check --list")?;
    let text = String::from_utf8_lossy(&listing.stdout);
    let checks: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(checks.len() > 100, "{} checks are listed", checks.len());
    let mut rows = BTreeMap::new();
    for suffix in ["", "-slow"] {
        rows.extend(Written::read(&path("linux", suffix))?.rows);
    }
    let mut undecided = Vec::new();
    for (family, check) in
        Family::BOTH.into_iter().flat_map(|family| checks.iter().map(move |check| (family, check)))
    {
        let id = check["id"].as_str().context("id")?;
        let decides = |((_, of, check), (verdict, _)): (&Key, &(String, String))| {
            let undecided = ["not-applicable", "inconclusive"];
            of == family.name()
                && check == id
                && verdict.split('|').all(|one| !undecided.contains(&one))
        };
        if !rows.iter().any(decides) {
            undecided.push(format!("{} {id}", family.name()));
        }
    }
    ensure!(undecided.is_empty(), "nowhere decided on Linux: {}", undecided.join(", "));
    Ok(())
}

fn path(stack: &str, suffix: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/verdicts/{stack}{suffix}.txt"))
}

/// A file of verdicts.
struct Written {
    head: String,
    /// The verdict, alternatives and all, and the reason.
    rows: BTreeMap<Key, (String, String)>,
}

impl Written {
    fn read(path: &PathBuf) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other.with_context(|| path.display().to_string())?,
        };
        let mut file = Self { head: String::new(), rows: BTreeMap::new() };
        for line in text.lines() {
            if line.starts_with('#') || line.is_empty() {
                writeln!(file.head, "{line}")?;
                continue;
            }
            let (row, reason) = line.split_once('#').unwrap_or((line, ""));
            let words: Vec<&str> = row.split_whitespace().collect();
            let [kind, family, id, verdict] = words[..] else {
                anyhow::bail!("{}: not a verdict: {line}", path.display());
            };
            let key = (kind.to_owned(), family.to_owned(), id.to_owned());
            file.rows.insert(key, (verdict.to_owned(), reason.trim().to_owned()));
        }
        Ok(file)
    }

    fn text(&self) -> Result<String> {
        let mut text = self.head.clone();
        for ((kind, family, id), (verdict, reason)) in &self.rows {
            write!(text, "{kind:<12} {family} {id:<24} {verdict}")?;
            let reason = if reason.is_empty() { String::new() } else { format!(" # {reason}") };
            writeln!(text, "{reason}")?;
        }
        Ok(text)
    }

    fn allows(&self, row: &Row) -> bool {
        let recorded = self.rows.get(&row.key);
        recorded.is_some_and(|(verdicts, _)| verdicts.split('|').any(|one| one == row.verdict))
    }

    fn take(&mut self, rows: &[&Row], family: Family) {
        let ran = |key: &Key| rows.iter().any(|row| row.key == *key);
        self.rows.retain(|key, _| key.1 != family.name() || ran(key));
        for row in rows {
            if !self.allows(row) {
                self.rows.insert(row.key.clone(), (row.verdict.clone(), String::new()));
            }
        }
    }

    fn differences(&self, rows: &[&Row], family: Family) -> Vec<String> {
        let mut different = Vec::new();
        for row in rows.iter().filter(|row| !self.allows(row)) {
            let (kind, family, id) = &row.key;
            different.push(match self.rows.get(&row.key) {
                None => format!("{kind} {family} {id}: {}, not recorded", row.verdict),
                Some((recorded, _)) => format!(
                    "{kind} {family} {id}: recorded is {recorded}, found {}: {}",
                    row.verdict, row.account
                ),
            });
        }
        for key in self.rows.keys().filter(|key| key.1 == family.name()) {
            if !rows.iter().any(|row| row.key == *key) {
                different
                    .push(format!("{} {} {}: recorded, but it did not run", key.0, key.1, key.2));
            }
        }
        different
    }
}
