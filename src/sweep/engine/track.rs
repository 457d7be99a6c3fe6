//! A way out with the frames that suit it.

use std::time::Duration;

use super::mission::Mission;
use super::shared::Asked;
use crate::net::bulk::{Flushed, Transmit};
use crate::sweep::space::Target;
use crate::sweep::template::{Reply, Template};
use crate::time::Instant;

/// Nanoseconds that a frame takes to leave, before any was timed.
const UNTIMED: u64 = 500;
/// Nanoseconds from the beginning of a batch to the call that sends it, before any was timed.
const LEAD: u64 = 1_000;
/// Nanoseconds from there to the kernel's first frame.
const ENTRY: u64 = 2_500;
/// A frame never takes longer than this: what is beyond was somebody else's turn on the processor.
const SLOWEST: u64 = 20_000;

/// A way out, and the frames for it.
pub struct Track {
    path: Box<dyn Transmit>,
    v4: Option<Template>,
    v6: Option<Template>,
    /// Nanoseconds that a frame takes to leave, of late.
    per_frame: u64,
    /// Nanoseconds that a batch takes to be made, of late.
    lead: u64,
}

impl Track {
    /// The frames of `mission` by this way out.
    #[must_use]
    pub fn new(path: Box<dyn Transmit>, mission: &Mission) -> Self {
        let template = |source, v6| Template::new(path.link_header(v6), source, &mission.offer);
        let v4 = mission.sources.v4.map(|source| template(source, false));
        let v6 = mission.sources.v6.map(|source| template(source, true));
        Self { path, v4, v6, per_frame: UNTIMED, lead: LEAD }
    }

    /// The name of the way out.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.path.name()
    }

    /// When the frame will leave that is the `place`th of a batch begun at `now`, from 0: the time that
    /// its SYN bears. It waits for what the kernel does with those before it, not for its own: where
    /// the far end is on this host, that includes its answer.
    pub(super) fn forecast(&self, now: Instant, place: usize) -> Instant {
        now + Duration::from_nanos(self.lead + ENTRY + self.per_frame.saturating_mul(place as u64))
    }

    /// Learns from a batch how long it takes to be made, and then each of its frames to leave.
    pub(super) fn learn(&mut self, frames: usize, made: Duration, took: Duration) {
        self.lead = (7 * self.lead + crate::time::nanos_of(made).min(SLOWEST)) / 8;
        if let Some(each) = crate::time::nanos_of(took).checked_div(frames as u64) {
            self.per_frame = (7 * self.per_frame + each.min(SLOWEST)) / 8;
        }
    }

    /// Queues the SYN to `target`, if there is room.
    pub(super) fn syn(&mut self, mission: &Mission, target: Target, leaves: Instant) -> bool {
        let template = if target.addr.is_ipv4() { &self.v4 } else { &self.v6 };
        // There is a source for each family of the space.
        let (Some(template), Some(source)) = (template, mission.sources.toward(target.addr)) else {
            return true;
        };
        let Some(slot) = self.path.slot() else { return false };
        let port = mission.port_for(target);
        let isn = mission.cookie.isn(source, port, target);
        let len = template.syn(slot, port, target, isn, mission.stamps.value(leaves));
        self.path.commit(len);
        true
    }

    /// Queues what is asked for, if there is room.
    pub(super) fn reply(&mut self, mission: &Mission, asked: &Asked) -> bool {
        let template = if asked.target.addr.is_ipv4() { &self.v4 } else { &self.v6 };
        let Some(template) = template else { return true };
        let Some(slot) = self.path.slot() else { return false };
        let &Asked { source_port, target, flags, seq, ack, window, timestamps, data } = asked;
        let data = usize::from(data.0)..usize::from(data.1);
        let payload = mission.conversation.data().get(data).unwrap_or_default();
        let reply = Reply { source_port, target, flags, seq, ack, window, timestamps, payload };
        let len = template.segment(slot, &reply);
        self.path.commit(len);
        true
    }

    /// Gives the kernel what is queued.
    pub(super) fn flush(&mut self) -> std::io::Result<Flushed> {
        self.path.flush()
    }

    /// Frames that have not left.
    pub(super) fn queued(&self) -> usize {
        self.path.queued()
    }
}

impl std::fmt::Debug for Track {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Track").field("path", &self.path.name()).finish_non_exhaustive()
    }
}
