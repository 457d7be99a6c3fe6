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
    let intrusive: Vec<&&CheckInfo> =
        checks.iter().filter(|info| info.cost == Cost::Intrusive).collect();
    if intrusive.is_empty() || yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        bail!("--intrusive asks before it goes on, and here is nobody to ask: add --yes");
    }
    let mut question = "These checks may crash a weak target:\n".to_owned();
    for info in intrusive {
        question += &format!("  {}: {}\n", info.id, info.title);
    }
    question += &format!("Run them against {}? [y/N] ", escaped(target));
    let mut err = io::stderr();
    err.write_all(question.as_bytes()).and_then(|()| err.flush()).context("cannot ask")?;
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    if read == 0 {
        // The end of the input leaves the cursor behind the question.
        let _ = err.write_all(b"\n");
    }
    if !matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        bail!("nothing was sent");
    }
    Ok(())
}
