//! What a script works with: conversations with the target, windows of time, and what is known of
//! the path and the server.

mod conversation;
mod core;
mod odd;
mod opening;
mod segment;
mod steps;
mod survival;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

pub use self::conversation::{Conversation, PeerOffer};
pub use self::core::{Arrival, Core, Got, Stand, Turn};
pub use self::odd::Answer;
pub use self::opening::{Offer, Opening, usual_offer};
pub use self::segment::{Seg, ack, data, fin, rst, seg, syn};
pub use self::steps::Liveness;
pub use self::survival::Survival;
use super::finding::{Ruling, Stop, inconclusive, pass};
use crate::event::{PathProfile, ServerProfile, Step, Trace, Verdict};
use crate::net::Dir;
use crate::time::Instant;
use crate::wire::Flags;

/// An answer that is due at once, at least (the specification's NOW; or three round trips).
const NOW: Duration = Duration::from_secs(1);
/// What a delayed acknowledgment may take beyond the round trip (RFC 9293 §3.8.6.3, MUST-40: less
/// than 0.5 s), and a margin.
const DELAYED_ACK: Duration = Duration::from_millis(700);

/// What the user and the calibration say about a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Setting {
    /// What gives the server something to answer; empty for nothing.
    pub request: Vec<u8>,
    /// How long the application may take to act.
    pub patience: Duration,
    /// A port that is to be closed.
    pub closed_port: Option<u16>,
    /// How the path treats odd segments.
    pub path: PathProfile,
    /// What the server does.
    pub server: ServerProfile,
    /// What our MTU allows as MSS.
    pub mss: u16,
}

/// Everything that one run of a check has: cheap to clone, all clones are the same run.
#[derive(Clone)]
pub struct Lab {
    core: Rc<RefCell<Core>>,
    trace: Rc<RefCell<Trace>>,
    setting: Rc<Setting>,
}

/// What a script can rely on, or why not, from the segments that a firewall may swallow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// What any firewall lets through: the steps of an ordinary connection.
    Ordinary,
    /// Segments that belong to no connection.
    Stray,
    /// Segments of a connection whose numbers are out of the window.
    OutOfWindow,
}

impl Lab {
    /// A run of a check.
    #[must_use]
    pub fn new(core: &Rc<RefCell<Core>>, setting: &Rc<Setting>) -> Self {
        Self { core: Rc::clone(core), trace: Rc::default(), setting: Rc::clone(setting) }
    }

    /// All that was sent and received so far.
    #[must_use]
    pub fn trace(&self) -> Trace {
        self.trace.borrow().clone()
    }

    /// What is known of path and server.
    #[must_use]
    pub fn setting(&self) -> &Setting {
        &self.setting
    }

    /// What is known of the server.
    #[must_use]
    pub fn server(&self) -> &ServerProfile {
        &self.setting.server
    }

    /// The target's address and port.
    #[must_use]
    pub fn target(&self) -> SocketAddr {
        self.core.borrow().target()
    }

    /// The time now.
    #[must_use]
    pub fn time(&self) -> Instant {
        self.core.borrow().now()
    }

    /// The smallest round-trip time that was seen.
    #[must_use]
    pub fn rtt(&self) -> Duration {
        self.setting.path.rtt.unwrap_or(Duration::ZERO)
    }

    /// Within this an answer comes that is due at once.
    #[must_use]
    pub fn now_window(&self) -> Duration {
        NOW.max(3 * self.rtt())
    }

    /// Within this an acknowledgment comes that may be delayed.
    #[must_use]
    pub fn ack_window(&self) -> Duration {
        DELAYED_ACK + self.rtt()
    }

    /// Within this comes what the application decides.
    #[must_use]
    pub fn server_window(&self) -> Duration {
        self.setting.patience + self.rtt()
    }

    /// Whether any trace that a live server answers had to be repeated so far: then silence may
    /// always be a loss.
    #[must_use]
    pub fn is_lossy(&self) -> bool {
        self.core.borrow().repeated > 0
    }

    /// A conversation with the target that has not begun.
    ///
    /// # Errors
    /// Our own host has no port to give.
    pub fn conversation(&self) -> Result<Conversation, Stop> {
        self.conversation_with(self.target())
    }

    /// A conversation with another port of the target.
    ///
    /// # Errors
    /// Our own host has no port to give.
    pub fn conversation_with(&self, remote: SocketAddr) -> Result<Conversation, Stop> {
        Conversation::begin(&self.core, &self.trace, remote)
            .map_err(|error| inconclusive(format!("no source port: {error}")))
    }

    /// The verdict on silence where `verdict` is due on a clean path: on one that swallows such
    /// segments, or loses any, it proves nothing.
    #[must_use]
    pub fn on_silence(&self, class: Class, verdict: Verdict) -> Verdict {
        if self.swallows(class) || self.is_lossy() { Verdict::Inconclusive } else { verdict }
    }

    /// The ruling where silence is what is due: it is `good`, but for a path that swallows such
    /// segments, where the server never saw what it should have ignored.
    ///
    /// # Errors
    /// Inconclusive on such a path.
    pub fn ignored(&self, class: Class, good: &str) -> Ruling {
        if self.swallows(class) {
            let why = format!("{good}; but on this path such segments vanish before the server");
            return Err(inconclusive(why));
        }
        Ok(pass(good))
    }

    /// Whether the calibration found that such segments get no answer that is due.
    fn swallows(&self, class: Class) -> bool {
        let path = &self.setting.path;
        match class {
            Class::Ordinary => false,
            Class::Stray => path.stray_answered == Some(false),
            // A server that closes at once cannot be asked: what swallows strays swallows these too.
            Class::OutOfWindow => {
                !path.out_of_window_answered.or(path.stray_answered).unwrap_or(true)
            }
        }
    }

    /// When the last segment arrived before `before`, over all conversations of this run.
    #[must_use]
    pub fn last_arrival_before(&self, before: Instant) -> Option<Instant> {
        let trace = self.trace.borrow();
        let arrivals = trace.entries.iter().filter_map(|entry| match entry.step {
            Step::Segment { dir: Dir::Rx, .. } => Some(entry.stamp.at),
            _ => None,
        });
        arrivals.filter(|at| *at <= before).max()
    }

    /// The time between the last two segments with this bit that arrived: what the server's timer has
    /// come to. Zero where there are not two.
    #[must_use]
    pub fn last_gap(&self, bit: Flags) -> Duration {
        let trace = self.trace.borrow();
        let mut arrivals = trace.entries.iter().rev().filter_map(|entry| match &entry.step {
            Step::Segment { dir: Dir::Rx, packet: Some(packet), .. } => {
                packet.segment.has(bit).then_some(entry.stamp.at)
            }
            _ => None,
        });
        match (arrivals.next(), arrivals.next()) {
            (Some(last), Some(before)) => last.since(before),
            _ => Duration::ZERO,
        }
    }

    /// When our segment left, where it is the only one since `began`.
    #[must_use]
    pub fn only_sent_since(&self, began: Instant) -> Option<Instant> {
        let trace = self.trace.borrow();
        let mut sent = trace.entries.iter().filter_map(|entry| match entry.step {
            Step::Segment { dir: Dir::Tx, .. } => Some(entry.stamp.at),
            _ => None,
        });
        // The stamp of leaving may be a little before the time at which it was looked at.
        let after = sent.by_ref().find(|at| *at >= began)?;
        sent.next().is_none().then_some(after)
    }

    /// Whether the target is this host itself.
    #[must_use]
    pub fn is_this_host(&self) -> bool {
        let core = self.core.borrow();
        core.target().ip().is_loopback() || core.target().ip() == core.source()
    }

    /// Waits.
    pub async fn pause(&self, time: Duration) {
        sleep_until(Rc::clone(&self.core), self.time() + time).await;
    }
}

/// Waits.
async fn sleep_until(core: Rc<RefCell<Core>>, until: Instant) {
    poll_fn(move |_| {
        let mut core = core.borrow_mut();
        if core.now() >= until {
            return Poll::Ready(());
        }
        core.wake_at(until);
        Poll::Pending
    })
    .await;
}

/// A script under way.
pub type Running<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Runs all at the same time, to the end of the last; the results in the order of `all`.
pub async fn join<T>(all: Vec<Running<'_, T>>) -> Vec<T> {
    let mut slots: Vec<(Option<Running<'_, T>>, Option<T>)> =
        all.into_iter().map(|future| (Some(future), None)).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (running, result) in &mut slots {
            let Some(future) = running else { continue };
            match future.as_mut().poll(context) {
                Poll::Ready(value) => {
                    *result = Some(value);
                    *running = None;
                }
                Poll::Pending => pending = true,
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    slots.into_iter().filter_map(|(_, result)| result).collect()
}
