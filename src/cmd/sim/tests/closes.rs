//! `close` over the simulated network: each shape, and each way of a peer to spoil it.

use super::*;
use crate::event::{CloseReport, HalfClose, Outcome};
use crate::net::sim::Fault;

/// Runs `plan` against `behaviour`; both ends moved as the far end's own machine says.
fn truly(behaviour: Behaviour, dwell: Duration, plan: &close::Plan) -> (Summary, Log) {
    let mut wire = network_with(behaviour, dwell, 1, Link::delayed(DELAY));
    let (summary, log) = shut(&mut wire, plan);
    let_time_pass(&mut wire);
    let mut truth = wire.peer().services().next().expect("a connection").path();
    let mut believed = path(&log, End::Server);
    assert_eq!(believed.remove(0), State::Listen);
    if truth.ends_with(&[State::TimeWait, State::Closed]) {
        // What goes on after the last segment is the far end's own.
        truth.pop();
    }
    assert_eq!(believed, truth, "{}", told(&log));
    (summary, log)
}

fn report(summary: &Summary) -> &CloseReport {
    summary.close.as_ref().expect("a close report")
}

#[test]
fn active() {
    use State::{Closed, Established, FinWait1, FinWait2, SynSent, TimeWait};
    let plan = close_plan(CloseShape::Active);
    let (summary, log) = truly(Behaviour::Echo, ms(30), &plan);
    assert_eq!((summary.outcome, summary.as_expected), (Outcome::Closed, true));
    let moves = [SynSent, Established, FinWait1, FinWait2, TimeWait, Closed];
    assert_eq!(path(&log, End::Client), moves);
    let close = report(&summary);
    assert_eq!((close.took_place, close.merged), (Some(CloseShape::Active), Some(false)));
    assert_eq!(close.close_wait.map(|dwell| dwell.value), Some(ms(30)));
    assert_eq!((close.fin_attempts, close.time_wait), (1, Some(2 * MSL)));
}

#[test]
fn an_application_that_closes_at_once_merges_its_fin_with_the_ack_of_ours() {
    let (summary, _) = truly(Behaviour::Echo, Duration::ZERO, &close_plan(CloseShape::Active));
    let close = report(&summary);
    assert_eq!((close.merged, close.close_wait.map(|d| d.value)), (Some(true), Some(ms(0))));
}

#[test]
fn passive() {
    use State::{CloseWait, Closed, Established, LastAck, SynSent};
    let (summary, log) = truly(Behaviour::Greet, Duration::ZERO, &close_plan(CloseShape::Passive));
    assert_eq!((summary.outcome, summary.as_expected), (Outcome::Closed, true));
    assert_eq!(path(&log, End::Client), [SynSent, Established, CloseWait, LastAck, Closed]);
    let close = report(&summary);
    assert_eq!((close.took_place, close.time_wait), (Some(CloseShape::Passive), None));
    assert_eq!(close.peer_state, State::TimeWait);
}

#[test]
fn simultaneous_leads_both_ends_through_closing() {
    use State::{Closed, Closing, Established, FinWait1, SynSent, TimeWait};
    let plan = close_plan(CloseShape::Simultaneous);
    let (summary, log) = truly(Behaviour::Greet, Duration::ZERO, &plan);
    assert_eq!((summary.outcome, summary.as_expected), (Outcome::Closed, true), "{}", told(&log));
    let moves = [SynSent, Established, FinWait1, Closing, TimeWait, Closed];
    assert_eq!(path(&log, End::Client), moves);
    assert!(path(&log, End::Server).ends_with(&[FinWait1, Closing, TimeWait]));
    assert_eq!(report(&summary).took_place, Some(CloseShape::Simultaneous));
    assert_eq!(notes(&log), [Note::Held]);
}

#[test]
fn half_close_is_honoured_collapsed_ignored_or_reset() {
    for (behaviour, verdict, outcome, received) in [
        (Behaviour::Answer, HalfClose::Honoured, Outcome::Closed, 7),
        (Behaviour::Stubborn, HalfClose::Ignored, Outcome::StillOpen, 0),
        (Behaviour::Reset, HalfClose::Reset, Outcome::Reset, 0),
    ] {
        // A reset that data provokes would come before our FIN was read.
        let data = if behaviour == Behaviour::Reset { vec![] } else { b"ping".to_vec() };
        let plan = close::Plan { data, ..close_plan(CloseShape::Half) };
        let (summary, log) = truly(behaviour, ms(30), &plan);
        let close = report(&summary);
        assert_eq!(close.half_close, Some(verdict), "{behaviour:?}\n{}", told(&log));
        assert_eq!((summary.outcome, close.bytes_after_fin), (outcome, received), "{behaviour:?}");
    }
    let (summary, _) = truly(Behaviour::Echo, ms(30), &close_plan(CloseShape::Half));
    assert_eq!(report(&summary).half_close, Some(HalfClose::Collapsed));
}

#[test]
fn a_peer_that_never_closes_is_left_by_reset_at_the_deadline() {
    let (summary, log) =
        truly(Behaviour::Stubborn, Duration::ZERO, &close_plan(CloseShape::Active));
    assert_eq!((summary.outcome, summary.elapsed), (Outcome::StillOpen, ms(30_000)));
    let close = report(&summary);
    assert_eq!((close.our_state, close.peer_state), (State::FinWait2, State::CloseWait));
    let last = segments(&log, Dir::Tx).pop().expect("a RST");
    assert_eq!(last.packet.segment.flags.letters(), "R");
}

#[test]
fn a_peer_that_does_not_close_first_spoils_the_shape_and_has_not_gone_silent() {
    for shape in [CloseShape::Passive, CloseShape::Simultaneous] {
        let (summary, _) = truly(Behaviour::Stubborn, Duration::ZERO, &close_plan(shape));
        assert_eq!((summary.outcome, summary.elapsed), (Outcome::OtherShape, ms(30_000)));
        assert_eq!(report(&summary).took_place, None);
    }
}

#[test]
fn a_peer_that_closes_first_spoils_an_active_close() {
    let mut wire = network(Behaviour::Greet);
    let plan = close::Plan { data: b"x".to_vec(), ..close_plan(CloseShape::Active) };
    let (summary, _) = shut(&mut wire, &plan);
    assert_eq!(report(&summary).took_place, Some(CloseShape::Passive));
    assert_eq!(summary.outcome, Outcome::OtherShape);
}

#[test]
fn a_peer_gone_silent_behind_our_fin_is_a_timeout() {
    let mut wire = network(Behaviour::Echo);
    for nth in 2..20 {
        wire.drop_nth(Dir::Rx, nth);
    }
    let (summary, log) = shut(&mut wire, &close_plan(CloseShape::Active));
    assert_eq!(summary.outcome, Outcome::TimedOut);
    assert_eq!(report(&summary).fin_attempts, 3);
    assert_eq!(notes(&log), [Note::Retransmission(1), Note::Retransmission(2)]);
    assert_eq!(summary.elapsed, ms(20 + 1000 + 2000) + WAIT);
}

#[test]
fn an_interrupt_while_we_wait_for_their_fin_leaves_by_fin() {
    for shape in [CloseShape::Passive, CloseShape::Simultaneous] {
        let mut wire = network(Behaviour::Echo);
        wire.interrupt_at(at(5000));
        let (summary, log) = shut(&mut wire, &close_plan(shape));
        let_time_pass(&mut wire);
        assert_eq!((summary.outcome, summary.interrupted), (Outcome::Interrupted, true));
        let resets = segments(&log, Dir::Tx);
        let resets = resets.iter().filter(|s| s.packet.segment.flags.letters().contains('R'));
        assert_eq!(resets.count(), 0, "{}", told(&log));
        let truth = wire.peer().services().next().expect("one").path();
        assert!(truth.ends_with(&[State::CloseWait, State::LastAck, State::Closed]));
    }
}

#[test]
fn a_fin_that_is_held_is_noted_each_time_that_it_comes() {
    // Our FIN's copy shows that it left; until then theirs waits. Their FIN arrives three times.
    let mut wire = network(Behaviour::Greet);
    wire.fault_nth(Dir::Rx, 2, Fault::Duplicate);
    let (summary, log) = shut(&mut wire, &close_plan(CloseShape::Simultaneous));
    assert_eq!(summary.outcome, Outcome::Closed);
    assert_eq!(
        report(&summary).fins_reacknowledged,
        0,
        "it was not in TIME-WAIT that it came again"
    );
    assert!(notes(&log).contains(&Note::Held));
    assert!(path(&log, End::Client).contains(&State::Closing));
}

#[test]
fn their_repeated_fin_is_acknowledged_again_in_time_wait_and_counted() {
    let mut wire = network(Behaviour::Echo);
    // SYN, ACK, FIN, and the ACK of their FIN, which is lost.
    wire.drop_nth(Dir::Tx, 4);
    let (summary, log) = shut(&mut wire, &close_plan(CloseShape::Active));
    let_time_pass(&mut wire);
    assert_eq!(summary.outcome, Outcome::Closed);
    assert_eq!(report(&summary).fins_reacknowledged, 1, "{}", told(&log));
    assert!(notes(&log).contains(&Note::Duplicate));
    let truth = wire.peer().services().next().expect("one").path();
    assert_eq!(truth.last(), Some(&State::Closed), "our second ACK reached it");
    // 2 MSL begin anew with it: one second after the first.
    assert_eq!(report(&summary).time_wait, Some(ms(1000) + 2 * MSL));
}

#[test]
fn a_lost_fin_is_repeated_and_leaves_no_figure() {
    let mut wire = network(Behaviour::Echo);
    wire.drop_nth(Dir::Tx, 3);
    let (summary, log) = shut(&mut wire, &close_plan(CloseShape::Active));
    assert_eq!(summary.outcome, Outcome::Closed);
    let close = report(&summary);
    assert_eq!((close.fin_attempts, close.ack_of_fin), (2, None));
    assert_eq!(notes(&log), [Note::Retransmission(1)]);
}

#[test]
fn a_port_that_does_not_open_has_nothing_to_close() {
    for (behaviour, outcome) in [
        (Behaviour::Closed, Outcome::Refused),
        (Behaviour::Silent, Outcome::Filtered),
        (Behaviour::Prohibited, Outcome::Prohibited),
    ] {
        let (summary, _) = shut(&mut network(behaviour), &close_plan(CloseShape::Active));
        assert_eq!((summary.outcome, summary.close), (outcome, None));
    }
}
