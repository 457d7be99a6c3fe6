//! `shakedown sweep --merge`: the reports of shards, united and proved to be the whole.

use std::path::Path;

use anyhow::{bail, ensure};

use super::outputs;
use crate::cli::SweepArgs;
use crate::cmd::file::shown;
use crate::cmd::{Environment, ExitStatus, complain};
use crate::report::sweep::merge::{Merge, MergeError, SweepReport};

/// Unites the reports. Exits with 0 only where they are proved to cover all targets.
///
/// # Errors
/// They do not, one reason a line; or the output fails.
pub(super) fn run(args: &SweepArgs, environment: &Environment) -> anyhow::Result<ExitStatus> {
    let files = &args.space.merge;
    for (place, path) in files.iter().enumerate() {
        ensure!(!files[..place].contains(path), "{} is named twice", shown(path));
        let output = args.output.output.as_ref();
        ensure!(output != Some(path), "{} would be read and written at once", shown(path));
    }
    let report = |path: &std::path::PathBuf| SweepReport::of_file(path.clone(), name(path));
    let merge = match Merge::prove(files.iter().map(report).collect()) {
        Ok(merge) => merge,
        Err(error) => {
            let text = error.to_string();
            let mut lines = text.lines();
            let last = lines.next_back().unwrap_or_default().to_owned();
            lines.for_each(complain);
            if matches!(error, MergeError::NotCovered(_)) {
                complain(&last);
                return Ok(ExitStatus::Otherwise);
            }
            bail!("{last}");
        }
    };
    if !args.output.quiet {
        merge.notes().iter().for_each(|note| complain(note));
    }
    let mut outputs = outputs::open(args, environment, None)?;
    merge.tell(&mut outputs.sink)?;
    Ok(if merge.is_complete() { ExitStatus::AsAsked } else { ExitStatus::Otherwise })
}

fn name(path: &Path) -> String {
    shown(path)
}
