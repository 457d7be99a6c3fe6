//! Waiting for something to become true: never a test's verdict, only the bound after which a test
//! says that it waits for nothing.

use anyhow::{Result, bail};
use nix::poll::ppoll;
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// After this long without what must come, a test fails. Far above anything that happens on a
/// loaded machine.
pub(crate) const LONGEST: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = now()?;
    while now()?.saturating_sub(start) < LONGEST {
        if condition()? {
            return Ok(());
        }
        idle(Duration::from_millis(1));
    }
    bail!("waited {LONGEST:?} in vain for {what}")
}

/// The monotonic clock.
pub(crate) fn now() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_MONOTONIC)?.into())
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
