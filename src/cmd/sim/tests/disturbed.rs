//! Runs that somebody disturbs: forgers, our own kernel, a capture that misses packets.

use super::*;
use crate::cmd::ExitStatus;
use crate::event::Outcome;
use crate::wire::Flags;

/// `segment` as it would come from the far end, made of what `frame` shows.
fn from_peer(frame: &Frame, change: impl FnOnce(&mut Packet)) -> Frame {
    let mut packet = packet_in(frame);
    change(&mut packet);
    forged(frame, Dir::Rx, &packet)
}

/// A handshake that is held open for ten seconds while the first frame for which `when` holds is
/// followed by the one that `forge` makes of it.
fn forgery(
    when: impl Fn(&Frame, &Segment) -> bool,
    forge: impl Fn(&Frame) -> Frame,
) -> (Summary, Log) {
    let mut done = false;
    let mut wire = Tampered::new(network(Behaviour::Echo), |frame: Frame| {
        let first = !done && when(&frame, &packet_in(&frame).segment);
        done |= first;
        if first { vec![frame.clone(), forge(&frame)] } else { vec![frame] }
    });
    let plan = handshake::Plan { then: Then::Hold(ms(10_000)), ..handshake_plan() };
    let (summary, log) = shake(&mut wire, &plan);
    drop(wire);
    assert!(done, "nothing was forged");
    (summary, log)
}

fn syn_ack(frame: &Frame, segment: &Segment) -> bool {
    frame.dir == Dir::Rx && segment.has(Flags::SYN)
}

/// The reason of the only rejection.
fn rejection(log: &Log) -> &'static str {
    let reasons: Vec<_> = notes(log)
        .into_iter()
        .filter_map(|note| match note {
            Note::Rejected(reason) => Some(reason),
            _ => None,
        })
        .collect();
    assert_eq!(reasons.len(), 1, "{}", told(log));
    reasons[0]
}

#[test]
fn a_blind_reset_is_challenged_and_harms_nothing() {
    for (off, reason) in
        [(1000, "in the window but not at its start"), (1 << 30, "outside the window")]
    {
        let (summary, log) = forgery(syn_ack, |frame| {
            from_peer(frame, |packet| {
                packet.segment.flags = Flags::RST;
                packet.segment.seq = packet.segment.seq + 1 + off;
                packet.segment.options.clear();
            })
        });
        assert_eq!(summary.outcome, Outcome::Open);
        assert_eq!(summary.close.and_then(|c| c.took_place), Some(CloseShape::Active));
        assert!(rejection(&log).contains(reason));
        assert_eq!(summary.traffic.rejected, 1);
        let challenged = notes(&log).contains(&Note::ChallengeAck);
        assert_eq!(challenged, off == 1000, "RFC 5961 answers only what is in the window");
    }
}

#[test]
fn a_wrong_checksum_is_rejected_unless_the_kernel_vouches_for_it() {
    use crate::net::ChecksumTrust::{Verify, Vouched};
    for (trust, attempts) in [(Verify, 2), (Vouched, 1)] {
        let mut done = false;
        let mut wire = Tampered::new(network(Behaviour::Echo), |mut frame: Frame| {
            if !done && syn_ack(&frame, &packet_in(&frame).segment) {
                done = true;
                // The checksum field itself.
                frame.bytes[36] ^= 0xff;
                frame.checksum = trust;
            }
            vec![frame]
        });
        let (summary, log) = shake(&mut wire, &handshake_plan());
        assert_eq!(summary.outcome, Outcome::Open);
        assert_eq!(summary.handshake.expect("a report").attempts, attempts);
        let rejected = if trust == Verify {
            assert!(rejection(&log).contains("checksum"));
            1
        } else {
            0
        };
        assert_eq!(summary.traffic.rejected, rejected);
    }
}

#[test]
fn a_segment_from_another_address_or_port_is_shown_and_not_believed() {
    for change in [
        (|packet: &mut Packet| packet.ip.src = [203, 0, 113, 9].into()) as fn(&mut Packet),
        |packet| packet.segment.src_port = 81,
    ] {
        let (summary, log) = forgery(syn_ack, |frame| {
            from_peer(frame, |packet| {
                // The very RST that would end the connection.
                packet.segment.flags = Flags::RST;
                packet.segment.seq += 1;
                change(packet);
            })
        });
        assert_eq!(summary.outcome, Outcome::Open);
        assert!(rejection(&log).contains("did not probe"));
        assert!(path(&log, End::Client).contains(&State::TimeWait));
    }
}

#[test]
fn a_malformed_segment_is_noticed_and_not_believed() {
    let (summary, log) = forgery(syn_ack, |frame| {
        let mut forged = frame.clone();
        // A data offset of 15 words where there are fewer.
        forged.bytes[32] = 0xf0;
        forged.bytes.truncate(40);
        forged.bytes[2..4].copy_from_slice(&40_u16.to_be_bytes());
        forged
    });
    assert_eq!((summary.outcome, notices(&log)), (Outcome::Open, vec!["malformed"]));
}

/// A RST leaves in our name that we did not send.
fn our_kernel_resets(frame: &Frame) -> Frame {
    let mut packet = packet_in(frame);
    std::mem::swap(&mut packet.ip.src, &mut packet.ip.dst);
    let segment = packet.segment;
    packet.segment = Segment {
        src_port: segment.dst_port,
        dst_port: segment.src_port,
        seq: segment.ack,
        flags: Flags::RST,
        ..Segment::default()
    };
    forged(frame, Dir::Tx, &packet)
}

#[test]
fn a_reset_by_our_own_kernel_is_not_the_peers() {
    let (summary, log) = forgery(syn_ack, our_kernel_resets);
    assert_eq!(summary.outcome, Outcome::LocalInterference);
    let wanted = Wanted::new(&[Expect::Open], Expect::Open);
    assert_eq!(wanted.status(summary.outcome), ExitStatus::NotMeasured);
    assert!(notices(&log).contains(&"local-reset"));
    assert!(notes(&log).contains(&Note::LocalKernel));
    assert_eq!(path(&log, End::Client).last(), Some(&State::Closed), "and nothing is left behind");
}

#[test]
fn our_own_kernel_spoils_a_close_as_well() {
    let mut done = false;
    let mut wire = Tampered::new(network(Behaviour::Stubborn), |frame: Frame| {
        let segment = packet_in(&frame).segment;
        let fin_acked = frame.dir == Dir::Rx && !segment.has(Flags::SYN);
        if fin_acked && !done {
            done = true;
            return vec![frame.clone(), our_kernel_resets(&frame)];
        }
        vec![frame]
    });
    let (summary, _) = shut(&mut wire, &close_plan(CloseShape::Active));
    assert_eq!(summary.outcome, Outcome::LocalInterference);
    assert_eq!(summary.elapsed, ms(40), "there is nothing left to wait for");
}

/// Which copies of ours the capture misses, and whether what we send still comes in its order.
fn blind(misses: impl Fn(&Segment) -> bool) -> (Summary, Log) {
    let mut wire = Tampered::new(
        network_with(Behaviour::Echo, ms(30), 1, Link::delayed(DELAY)),
        |frame: Frame| {
            let missed = frame.dir == Dir::Tx && misses(&packet_in(&frame).segment);
            if missed { vec![] } else { vec![frame] }
        },
    );
    shake(&mut wire, &handshake_plan())
}

#[test]
fn a_missing_copy_is_replaced_by_our_own_clock_with_a_notice() {
    let (summary, log) = blind(|segment| segment.has(Flags::SYN));
    assert_eq!((summary.outcome, notices(&log)), (Outcome::Open, vec!["no-transmit-stamp"]));
    let rtt = summary.handshake.and_then(|report| report.rtt).expect("a round trip");
    assert_eq!(rtt.value, ms(20));
    let clocks: Vec<_> = segments(&log, Dir::Tx).iter().map(|s| s.stamp.clock).collect();
    assert_eq!(clocks, [Clock::User, Clock::Virtual, Clock::Virtual, Clock::Virtual]);
}

#[test]
fn with_every_copy_missing_the_run_is_told_whole() {
    let (summary, log) = blind(|_| true);
    assert_eq!(summary.outcome, Outcome::Open);
    assert_eq!(summary.traffic.sent, 4);
    assert_eq!(notices(&log), ["no-transmit-stamp"; 4]);
    assert_eq!(path(&log, End::Client).last(), Some(&State::Closed));
}

#[test]
fn a_copy_that_comes_after_all_is_not_our_kernels_doing() {
    // The copy of our SYN comes only behind its answer.
    let mut kept = None;
    let mut wire = Tampered::new(network(Behaviour::Echo), |frame: Frame| {
        let segment = packet_in(&frame).segment;
        if segment.has(Flags::SYN) && frame.dir == Dir::Tx {
            kept = Some(frame);
            return vec![];
        }
        std::iter::once(frame).chain(kept.take()).collect()
    });
    let (summary, log) = shake(&mut wire, &handshake_plan());
    assert_eq!((summary.outcome, notices(&log)), (Outcome::Open, vec!["no-transmit-stamp"]));
    assert!(notes(&log).is_empty(), "{}", told(&log));
}

#[test]
fn the_copy_is_told_before_the_answer() {
    let (_, log) = shake(&mut network(Behaviour::Echo), &handshake_plan());
    let order: String = log
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Segment(segment) => Some(if segment.dir == Dir::Tx { '>' } else { '<' }),
            _ => None,
        })
        .collect();
    assert_eq!(order, "><>><>");
}
