//! `handshake` over the simulated network.

use super::*;
use crate::event::{Measured, Outcome};

/// Both ends moved as the far end's own machine says.
fn assert_true(wire: &SimWire<Host>, log: &Log) {
    let truth = wire.peer().services().next().expect("a connection").path();
    let mut believed = path(log, End::Server);
    assert_eq!(believed.remove(0), State::Listen, "what is assumed before anything came");
    assert_eq!(believed, truth, "{}", told(log));
}

#[test]
fn a_graceful_handshake_tells_the_truth_of_both_ends_and_the_exact_round_trip() {
    use State::{
        CloseWait, Closed, Established, FinWait1, FinWait2, LastAck, SynReceived, SynSent, TimeWait,
    };
    let mut wire = network_with(Behaviour::Echo, ms(30), 1, Link::delayed(DELAY));
    let plan = handshake::Plan { data: b"hello".to_vec(), ..handshake_plan() };
    let (summary, log) = shake(&mut wire, &plan);
    let_time_pass(&mut wire);
    assert_eq!((summary.outcome, summary.as_expected), (Outcome::Open, true));
    let ours = [SynSent, Established, FinWait1, FinWait2, TimeWait, Closed];
    assert_eq!(path(&log, End::Client), ours);
    assert_true(&wire, &log);
    let theirs = [State::Listen, SynReceived, Established, CloseWait, LastAck, Closed];
    assert_eq!(path(&log, End::Server), theirs);
    let handshake = summary.handshake.expect("a report");
    let twenty = Some(Measured { value: ms(20), clock: Clock::Virtual });
    assert_eq!(handshake.rtt, twenty);
    assert_eq!(handshake.attempts, 1);
    let exchange = handshake.exchange.expect("data");
    assert_eq!((exchange.sent, exchange.acknowledged, exchange.received), (5, 5, 5));
    assert_eq!((exchange.reply.as_slice(), exchange.ack_delay), (&b"hello"[..], twenty));
    let close = summary.close.expect("a close");
    assert_eq!((close.took_place, close.merged), (Some(CloseShape::Active), Some(false)));
    assert_eq!(close.ack_of_fin, twenty);
    assert_eq!(close.close_wait.map(|dwell| dwell.value), Some(ms(30)));
    assert_eq!(close.time_wait, Some(2 * MSL));
    assert_eq!(notes(&log), [], "nothing special about any segment");
    assert_eq!(notices(&log), [""; 0]);
    let (sent, received) = (segments(&log, Dir::Tx).len(), segments(&log, Dir::Rx).len());
    assert_eq!((summary.traffic.sent, summary.traffic.received), (sent as u64, received as u64));
}

#[test]
fn their_moves_are_dated_as_they_truly_were() {
    let mut wire = network_with(Behaviour::Echo, ms(30), 1, Link::delayed(DELAY));
    let (_, log) = shake(&mut wire, &handshake_plan());
    let_time_pass(&mut wire);
    let truth: Vec<_> =
        wire.peer().services().next().expect("one").moves.iter().map(|m| (m.to, m.at)).collect();
    let told_of: Vec<_> = log
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Transition(step) if step.end == End::Server && step.to != State::Listen => {
                Some((step.to, step.at))
            }
            _ => None,
        })
        .collect();
    // Both directions take the same time, so that half of the round trip is no estimate.
    assert_eq!(told_of, truth);
}

#[test]
fn a_lost_syn_is_repeated_and_the_round_trip_is_proved_by_the_echoed_timestamp() {
    let mut wire = network(Behaviour::Echo);
    wire.drop_nth(Dir::Tx, 1);
    let (summary, log) = shake(&mut wire, &handshake_plan());
    let handshake = summary.handshake.expect("a report");
    assert_eq!((summary.outcome, handshake.attempts), (Outcome::Open, 2));
    assert_eq!(handshake.rtt.map(|rtt| rtt.value), Some(ms(20)), "of the second SYN");
    assert_eq!(notes(&log), [Note::Retransmission(1)]);
    assert_eq!(summary.traffic.retransmitted, 1);
}

#[test]
fn without_timestamps_a_repeated_syn_leaves_no_round_trip() {
    for (dir, nth) in [(Dir::Tx, 1), (Dir::Rx, 1)] {
        let mut wire = network(Behaviour::Echo);
        wire.drop_nth(dir, nth);
        let mut log = Log::new();
        let mut spec = spec(80);
        spec.config.offer.timestamps = false;
        let wanted = Wanted::new(&[], Expect::Open);
        let driver = Driver::new(&mut wire, &mut log);
        let plan = handshake_plan();
        let summary = handshake::converse(driver, run_of("handshake", 80), spec, &plan, &wanted)
            .expect("run");
        let handshake = summary.handshake.expect("a report");
        assert_eq!((summary.outcome, handshake.attempts, handshake.rtt), (Outcome::Open, 2, None));
        assert!(handshake.rtt_absent.is_some_and(|why| why.contains("Karn")));
    }
}

#[test]
fn a_late_answer_to_the_first_of_two_syns_is_not_taken_for_one_to_the_second() {
    // The SYN-ACK takes 1.2 s: it echoes the first SYN, and comes after the second.
    let mut wire = network(Behaviour::Echo);
    wire.fault_nth(Dir::Rx, 1, crate::net::sim::Fault::Delay(ms(1200)));
    wire.drop_nth(Dir::Tx, 2);
    let (summary, log) = shake(&mut wire, &handshake_plan());
    let handshake = summary.handshake.expect("a report");
    assert_eq!((summary.outcome, handshake.attempts), (Outcome::Open, 2), "{}", told(&log));
    let rtt = handshake.rtt.map(|rtt| rtt.value);
    assert!(rtt.is_none() || rtt == Some(ms(1220)), "{rtt:?}");
}

#[test]
fn a_closed_port_is_refused_at_once_with_its_round_trip() {
    let mut wire = network(Behaviour::Closed);
    let (summary, log) = shake(&mut wire, &handshake_plan());
    assert_eq!((summary.outcome, summary.as_expected), (Outcome::Refused, false));
    assert_eq!(summary.elapsed, ms(20));
    assert_eq!(summary.close, None);
    let handshake = summary.handshake.expect("a report");
    assert_eq!(handshake.rtt.map(|rtt| rtt.value), Some(ms(20)));
    assert_eq!(handshake.answered_by.map(|who| who.ttl), Some(63));
    assert_eq!(segments(&log, Dir::Tx).len(), 1, "a RST is not answered");
}

#[test]
fn silence_is_filtered_after_one_and_two_seconds_and_the_last_wait() {
    for wait in [ms(500), WAIT, ms(7000)] {
        let mut wire = network(Behaviour::Silent);
        let mut log = Log::new();
        let mut spec = spec(80);
        spec.config.timers.final_wait = Some(wait);
        let wanted = Wanted::new(&[], Expect::Open);
        let driver = Driver::new(&mut wire, &mut log);
        let plan = handshake_plan();
        let summary = handshake::converse(driver, run_of("handshake", 80), spec, &plan, &wanted)
            .expect("run");
        assert_eq!(summary.outcome, Outcome::Filtered);
        assert_eq!(summary.elapsed, ms(3000) + wait);
        assert_eq!(summary.handshake.expect("a report").attempts, 3);
        assert_eq!(notes(&log), [Note::Retransmission(1), Note::Retransmission(2)]);
    }
}

#[test]
fn an_icmp_error_is_an_answer() {
    for (behaviour, outcome) in [
        (Behaviour::Unreachable, Outcome::Unreachable),
        (Behaviour::Prohibited, Outcome::Prohibited),
    ] {
        let mut wire = network(behaviour);
        let (summary, log) = shake(&mut wire, &handshake_plan());
        assert_eq!((summary.outcome, summary.elapsed), (outcome, ms(20)));
        let handshake = summary.handshake.expect("a report");
        assert!(handshake.icmp.is_some() && handshake.answered_by.is_some());
        assert_eq!(segments(&log, Dir::Tx).len(), 1);
    }
}

#[test]
fn the_deadline_is_kept() {
    let mut wire = network(Behaviour::Silent);
    let limits = Limits { wait: WAIT, deadline: Some(ms(1500)) };
    let (summary, _) = shake(&mut wire, &handshake::Plan { limits, ..handshake_plan() });
    assert_eq!((summary.outcome, summary.elapsed), (Outcome::Filtered, ms(1500)));
    // In the middle of an open connection nothing stays behind either.
    let mut wire = network(Behaviour::Stubborn);
    let then = Then::Hold(Duration::from_secs(60));
    let (summary, log) = shake(&mut wire, &handshake::Plan { limits, then, ..handshake_plan() });
    assert_eq!((summary.outcome, summary.elapsed), (Outcome::Open, ms(1500)));
    assert_eq!(path(&log, End::Client).last(), Some(&State::Closed));
}

#[test]
fn an_interrupt_before_the_answer_is_no_verdict_on_the_peer() {
    let mut wire = network(Behaviour::Silent);
    wire.interrupt_at(at(700));
    let (summary, log) = shake(&mut wire, &handshake_plan());
    assert_eq!((summary.outcome, summary.interrupted), (Outcome::Interrupted, true));
    assert_eq!(summary.elapsed, ms(700));
    assert_eq!(notices(&log), ["interrupted"]);
}

#[test]
fn an_interrupt_of_an_open_connection_leaves_by_fin() {
    let mut wire = network(Behaviour::Echo);
    wire.interrupt_at(at(700));
    let then = Then::Hold(Duration::from_secs(60));
    let (summary, log) = shake(&mut wire, &handshake::Plan { then, ..handshake_plan() });
    let_time_pass(&mut wire);
    assert_eq!((summary.outcome, summary.interrupted), (Outcome::Open, true));
    let flags: Vec<_> =
        segments(&log, Dir::Tx).iter().map(|s| s.packet.segment.flags.letters()).collect();
    assert_eq!(flags, ["S", ".", "F.", "."], "no RST");
    let close = summary.close.expect("a close");
    assert_eq!((close.our_state, close.peer_state), (State::TimeWait, State::Closed));
    assert_true(&wire, &log);
}

#[test]
fn a_hold_keeps_the_connection_open_for_so_long() {
    let mut wire = network(Behaviour::Echo);
    let (summary, log) =
        shake(&mut wire, &handshake::Plan { then: Then::Hold(ms(5000)), ..handshake_plan() });
    assert_eq!(summary.outcome, Outcome::Open);
    let fin = summary.close.expect("a close");
    assert_eq!(fin.took_place, Some(CloseShape::Active));
    let fin = segments(&log, Dir::Tx)[2].stamp;
    assert_eq!(fin, stamp(at(5020)));
}

#[test]
fn by_reset_the_far_end_is_closed_at_once() {
    let mut wire = network(Behaviour::Stubborn);
    let (summary, log) = shake(&mut wire, &handshake::Plan { then: Then::Rst, ..handshake_plan() });
    let_time_pass(&mut wire);
    assert_eq!((summary.outcome, summary.elapsed), (Outcome::Open, ms(20)));
    assert_eq!(summary.close.and_then(|close| close.took_place), Some(CloseShape::Abort));
    assert_true(&wire, &log);
    assert_eq!(path(&log, End::Server).last(), Some(&State::Closed));
}

#[test]
fn a_reset_in_the_middle_of_our_data_is_told() {
    let mut wire = network(Behaviour::Reset);
    let plan = handshake::Plan { data: vec![b'x'; 100_000], ..handshake_plan() };
    let (summary, _) = shake(&mut wire, &plan);
    assert_eq!(summary.outcome, Outcome::Reset);
    let exchange = summary.handshake.and_then(|report| report.exchange).expect("data");
    assert!(exchange.acknowledged < 100_000);
    assert!(exchange.acknowledged <= exchange.sent);
}

#[test]
fn a_long_upload_over_a_thin_line_is_not_cut_short_while_it_moves() {
    // A window of 64 KiB and a round trip of one second: 64 KiB a second, 20 seconds in all.
    let link = Link::delayed(ms(500));
    let mut wire = network_with(Behaviour::Stubborn, Duration::ZERO, 1, link);
    let plan = handshake::Plan { data: vec![b'x'; 1 << 20], ..handshake_plan() };
    let (summary, _) = shake(&mut wire, &plan);
    let exchange = summary.handshake.and_then(|report| report.exchange).expect("data");
    assert_eq!((exchange.sent, exchange.acknowledged), (1 << 20, 1 << 20));
    assert_eq!(summary.outcome, Outcome::Open);
    let_time_pass(&mut wire);
    assert_eq!(wire.peer().services().next().expect("one").heard.len(), 1 << 20);
}

#[test]
fn what_a_peer_took_is_counted_when_it_goes_silent() {
    let mut wire = network(Behaviour::Stubborn);
    // SYN, ACK, and ten segments: the first window. Everything later is lost.
    let plan = handshake::Plan { data: vec![b'x'; 100_000], ..handshake_plan() };
    for nth in 13..2000 {
        wire.drop_nth(Dir::Tx, nth);
    }
    let (summary, log) = shake(&mut wire, &plan);
    let exchange = summary.handshake.and_then(|report| report.exchange).expect("data");
    assert_eq!(summary.outcome, Outcome::TimedOut, "{}", told(&log));
    let heard = wire.peer().services().next().expect("one").heard.len() as u64;
    assert!(heard > 0);
    assert_eq!(exchange.acknowledged, heard);
    assert!(exchange.sent < 100_000);
}
