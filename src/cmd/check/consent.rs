//! Whoever may crash a target asks first.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};

use crate::cmd::escaped;
use crate::event::{CheckInfo, Cost};

/// Makes sure that the user wants what is intrusive among `checks`: by --yes, or by an answer on the
/// terminal.
///
/// # Errors
/// Nobody can be asked, or the answer is no.
pub(super) fn ensure(checks: &[&CheckInfo], yes: bool, target: &str) -> anyhow::Result<()> {
    let intrusive: Vec<&str> =
        checks.iter().filter(|info| info.cost == Cost::Intrusive).map(|info| info.id).collect();
    if intrusive.is_empty() || yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        bail!("--intrusive asks before it goes on, and here is nobody to ask: add --yes");
    }
    let names = intrusive.join(", ");
    let question = format!("These may crash a weak target: {names}.\nRun them against");
    let mut err = io::stderr();
    write!(err, "{question} {}? [y/N] ", escaped(target))
        .and_then(|()| err.flush())
        .context("cannot ask")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    if !matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        bail!("nothing was sent");
    }
    Ok(())
}
