//! What is said of a packet, in words that can be typed into a display filter:
//! `frame.comment contains "SYN-SENT -> ESTABLISHED"`.

use crate::event::Event;
use crate::report::human::Style;
use crate::report::{request, units};
use crate::tcp::state::{Cause, Known, Transition};
use crate::time::Instant;

/// Something to be said of a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Remark {
    /// When it happened, where that may not be the packet's own time.
    pub(super) at: Option<Instant>,
    /// Whether that time is an estimate.
    pub(super) estimated: bool,
    pub(super) text: String,
}

impl Remark {
    /// Of the packet as it is.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { at: None, estimated: false, text: text.into() }
    }

    fn at(at: Instant, text: String) -> Self {
        Self { at: Some(at), estimated: false, text }
    }

    /// What `event` says of a packet before it or behind it.
    pub(super) fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Transition(Transition { at, end, from, to, cause, known }) => {
                let (end, known) = (end.name(), known_as(*known));
                let text = format!("{end} {from} -> {to}: {cause}{known}");
                if *cause == Cause::Start {
                    // How things stood before: nothing happened.
                    return Some(Self::plain(text));
                }
                Some(Self { estimated: !known.is_empty(), ..Self::at(*at, text) })
            }
            Event::Confirmed { at, end, state, cause, known } => {
                let (end, known) = (end.name(), known_as(*known));
                Some(Self::at(*at, format!("{end} {state} confirmed: {cause}{known}")))
            }
            Event::Retracted { at, end, believed, state, cause } => {
                let end = end.name();
                let text = format!("{end} not {believed} after all, still {state}: {cause}");
                Some(Self::at(*at, text))
            }
            Event::Http(step) => {
                let (text, _) = request::cargo(&step.what, &Style::default());
                Some(Self::plain(text.replace(char::is_control, " ")))
            }
            Event::Notice(notice) => {
                // Such a text may quote what a peer or the user has written.
                let text = notice.text.replace(char::is_control, " ");
                Some(Self::at(notice.at, format!("{}: {text}", notice.code)))
            }
            _ => None,
        }
    }

    /// The remark on a packet of the time `packet`.
    pub(super) fn on(&self, packet: Instant) -> String {
        let Some(at) = self.at.filter(|at| *at != packet) else { return self.text.clone() };
        let (gap, order) =
            if at > packet { (at.since(packet), "after") } else { (packet.since(at), "before") };
        format!("{}, {}{} {order}", self.text, self.about(), units::duration(gap, true))
    }

    /// The remark by itself, in a run that began at `start`.
    pub(super) fn since(&self, start: Instant) -> String {
        let Some(at) = self.at else { return self.text.clone() };
        let gap = units::duration(at.since(start), true);
        format!("{}, {}{gap} after the start", self.text, self.about())
    }

    const fn about(&self) -> &'static str {
        if self.estimated { "~" } else { "" }
    }
}

/// How a state of the far end is known; nothing of our own.
const fn known_as(known: Known) -> &'static str {
    match known {
        Known::Own => "",
        Known::Proved => ", proved",
        Known::Implied => ", implied",
        Known::Assumed => ", assumed",
    }
}

/// Whether an event tells of the packet that comes next rather than of the one before: what we do
/// of our own accord shows in what we then send.
pub(super) const fn leads(event: &Event) -> bool {
    match event {
        Event::Transition(Transition { cause, known: Known::Own, .. }) => matches!(
            cause,
            Cause::ActiveOpen | Cause::PassiveOpen | Cause::Close | Cause::Abort | Cause::Sent(_)
        ),
        Event::Transition(Transition { cause: Cause::Start, .. }) => true,
        _ => false,
    }
}
