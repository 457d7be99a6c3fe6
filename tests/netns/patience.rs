//! Waiting for something to become true: never a test's verdict, only the bound after which a test
//! says that it waits for nothing.

use anyhow::{Result, bail};
use nix::poll::{PollTimeout, poll, ppoll};
use nix::sys::time::{TimeSpec, TimeValLike};
use std::time::Duration;

/// After this long without what must come, a test fails. Far above anything that happens on a
/// loaded machine.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// Waits until `condition` holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let naps = LONGEST.as_millis();
    for _ in 0..naps {
        if condition()? {
            return Ok(());
        }
        poll(&mut [], PollTimeout::from(1u8)).ok();
    }
    bail!("waited {LONGEST:?} in vain for {what}")
}

/// Lets others run for a moment.
pub(crate) fn nap() {
    idle(Duration::from_micros(20));
}

/// Does nothing for this long.
pub(crate) fn idle(duration: Duration) {
    let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    ppoll(&mut [], Some(TimeSpec::nanoseconds(nanos)), None).ok();
}
