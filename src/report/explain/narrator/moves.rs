//! What to say of a move, of an ICMP error and of an end.

use super::Told;
use crate::event::Outcome;
use crate::report::explain::sayings::{self as say, Saying};
use crate::tcp::state::{Cause, End, Known, State, Transition};
use crate::wire::{Flags, IcmpError, IcmpKind};

/// What a move means, and how it is known.
pub(super) fn told(moved: &Transition) -> Told {
    let mut main = vec![meaning(moved)];
    match moved.known {
        Known::Proved => main.push(match moved.cause {
            Cause::Received(_) => &say::BY_EFFECT,
            _ => &say::BY_PROOF,
        }),
        Known::Implied => main.push(&say::BY_IMPLICATION),
        // It is our own, or its saying says that it is assumed.
        Known::Own | Known::Assumed => {}
    }
    Told { main, ..Told::default() }
}

fn meaning(moved: &Transition) -> &'static Saying {
    match (moved.from, moved.to) {
        (State::SynReceived, State::Listen) => &say::LISTENS_AGAIN,
        (_, State::Listen) if moved.known == Known::Assumed => &say::LISTENS_ASSUMED,
        (_, State::Listen) => &say::LISTENS,
        (_, State::SynSent) if moved.known == Known::Own => &say::OPENS_ACTIVELY,
        (_, State::SynSent) => &say::OPENED_ACTIVELY,
        (State::SynSent, State::SynReceived) => &say::HALF_OPENS_CROSSED,
        (_, State::SynReceived) => &say::HALF_OPENS,
        (State::SynSent, State::Established) => &say::OPEN_CLIENT,
        (_, State::Established) if moved.end == End::Server => &say::OPEN_SERVER,
        (_, State::Established) => &say::OPEN_CROSSED,
        (_, State::FinWait1) => &say::CLOSES_FIRST,
        (_, State::FinWait2) => &say::HALF_CLOSES,
        (_, State::CloseWait) => &say::CLOSED_BY_OTHER,
        (_, State::Closing) => &say::CROSSES,
        (_, State::LastAck) => &say::CLOSES_SECOND,
        (_, State::TimeWait) => &say::WAITS,
        (from, State::Closed) => ends(from, moved.cause),
    }
}

fn ends(from: State, cause: Cause) -> &'static Saying {
    match (cause, from) {
        (Cause::TimeWaitExpired, _) => &say::ENDS_WAIT,
        (Cause::Abort, _) => &say::ENDS_ABORT,
        (Cause::GaveUp, State::SynSent) => &say::GIVES_UP_SYN,
        (Cause::GaveUp, _) => &say::GIVES_UP,
        (Cause::Icmp, _) => &say::ENDS_BY_ICMP,
        (Cause::Received(flags), State::SynSent) if flags.contains(Flags::RST) => {
            &say::ENDS_REFUSED
        }
        (Cause::Received(flags), _) if flags.contains(Flags::RST) => &say::ENDS_RESET,
        (Cause::Sent(flags), State::Listen) if flags.contains(Flags::RST) => &say::NEVER_LISTENED,
        (Cause::Sent(flags), _) if flags.contains(Flags::RST) => &say::SENT_RESET,
        (_, State::LastAck) => &say::ENDS_LAST,
        _ => &say::BECOMES,
    }
}

/// What it means that an end is in `state` after all.
pub(super) fn retracted(state: State) -> Told {
    Told::from(match state {
        State::Closed => &say::TAKEN_BACK_OPEN,
        _ => &say::TAKEN_BACK,
    })
}

pub(super) fn icmp(error: &IcmpError, rejected: bool) -> Told {
    let mut main = vec![match error.kind {
        IcmpKind::Unreachable => &say::ICMP_UNREACHABLE,
        IcmpKind::PortUnreachable => &say::ICMP_PORT,
        IcmpKind::Prohibited => &say::ICMP_PROHIBITED,
        IcmpKind::TimeExceeded => &say::ICMP_EXPIRED,
        IcmpKind::TooBig(_) => &say::ICMP_TOO_BIG,
        IcmpKind::ParameterProblem | IcmpKind::Other => &say::ICMP_OTHER,
    }];
    if rejected {
        main.push(&say::ICMP_FORGED);
    }
    Told { main, ..Told::default() }
}

/// What an end means. `half_open`: of a probe, which completes nothing.
pub(super) fn outcome(outcome: Outcome, half_open: bool) -> &'static Saying {
    match outcome {
        Outcome::Open if half_open => &say::OPEN_HALF,
        Outcome::Open => &say::OPEN,
        Outcome::Refused => &say::REFUSED,
        Outcome::Filtered => &say::SILENT,
        Outcome::Unreachable => &say::UNREACHABLE,
        Outcome::Prohibited => &say::PROHIBITED,
        Outcome::Invalid => &say::INVALID,
        Outcome::Closed => &say::CLOSED,
        Outcome::Reset => &say::RESET,
        Outcome::TimedOut => &say::TIMED_OUT,
        Outcome::StillOpen => &say::STILL_OPEN,
        Outcome::OtherShape => &say::OTHER_SHAPE,
        Outcome::Interrupted => &say::INTERRUPTED,
        Outcome::Aborted => &say::ABORTED,
        Outcome::LocalInterference => &say::DISTURBED,
        Outcome::Answered => &say::ANSWERED,
        Outcome::Declined => &say::DECLINED,
        Outcome::Untrusted => &say::UNTRUSTED,
        Outcome::BadStatus => &say::BAD_STATUS,
    }
}
