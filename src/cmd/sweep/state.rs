//! `--resume`: how far a sweep has come, in a file that is whole at any moment.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::cmd::file::shown;
use crate::sweep::checkpoint::{Checkpoint, Held, Identity, Secret};
use crate::sweep::engine::{Keeper, Tally};
use crate::time::{Instant, nanos_of};

/// What stands in the file.
#[derive(Serialize, Deserialize)]
pub(super) struct State {
    /// The sweep and its ledger.
    pub(super) checkpoint: Checkpoint,
    /// What was counted beside.
    pub(super) tally: Tally,
    /// How long it has taken so far.
    pub(super) elapsed_ns: u64,
    /// Whether every target has had its time.
    pub(super) finished: bool,
}

/// Reads the file, if it is there.
///
/// # Errors
/// It cannot be read, or is none.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<State>> {
    let name = shown(path);
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {name}")),
    };
    // Made by hand to be filled, as mktemp does.
    if text.is_empty() {
        return Ok(None);
    }
    let state: State = serde_json::from_slice(&text)
        .with_context(|| format!("{name} notes no progress of a sweep, or is damaged"))?;
    Ok(Some(state))
}

/// Writes the file.
pub(super) struct Notes {
    path: PathBuf,
    part: PathBuf,
    sweep: Identity,
    secret: Secret,
    written: Arc<AtomicU64>,
    /// When this process began, and how long earlier ones took.
    began: Instant,
    before: Duration,
    now: fn() -> Instant,
}

impl Notes {
    /// Notes on the sweep into the file at `path`, which is tried at once.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn new(
        path: &Path,
        sweep: Identity,
        secret: Secret,
        written: Arc<AtomicU64>,
        before: Duration,
        now: fn() -> Instant,
    ) -> anyhow::Result<Self> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let name = shown(path);
        ensure!(!path.is_dir(), "cannot note progress in {name}: it is a directory");
        // Tried now, while it can still be said; it is made again by whoever we are then.
        File::create(&part)
            .and_then(|_| fs::remove_file(&part))
            .with_context(|| format!("cannot note progress beside {name}"))?;
        let path = path.to_owned();
        Ok(Self { path, part, sweep, secret, written, began: now(), before, now })
    }
}

impl Keeper for Notes {
    fn keep(&mut self, ledger: Held, tally: &Tally, finished: bool) -> io::Result<()> {
        let written = self.written.load(Ordering::Relaxed);
        let elapsed = self.before + (self.now)().since(self.began);
        let state = State {
            checkpoint: Checkpoint::new(self.sweep, self.secret, written, ledger),
            tally: tally.clone(),
            elapsed_ns: nanos_of(elapsed),
            finished,
        };
        let name = shown(&self.path);
        let failed = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot note progress in {name}: {error}"))
        };
        // Nobody but its owner: whoever knows the secret can forge answers.
        let mut options = File::options();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.write(true).create(true).truncate(true).open(&self.part);
        let mut out = io::BufWriter::new(file.map_err(failed)?);
        serde_json::to_writer(&mut out, &state).map_err(io::Error::from).map_err(failed)?;
        out.write_all(b"\n").and_then(|()| out.flush()).map_err(failed)?;
        fs::rename(&self.part, &self.path).map_err(failed)
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        // There is none where the last note was renamed.
        let _ = fs::remove_file(&self.part);
    }
}
