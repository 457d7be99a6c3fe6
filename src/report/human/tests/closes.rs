//! Closes: all shapes, and what a peer may do instead.

use std::time::Duration;

use super::*;
use crate::event::{CloseReport, CloseShape, HalfClose, HandshakeReport, Note, Outcome};
use crate::net::Dir;
use crate::report::testkit::*;
use crate::tcp::state::State::{
    CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, TimeWait,
};
use crate::tcp::state::{Cause, Known};

/// The report of an active close that went as the textbook says.
fn textbook(asked: CloseShape) -> CloseReport {
    CloseReport {
        asked,
        took_place: Some(asked),
        merged: Some(false),
        ack_of_fin: Some(kernel(11_120)),
        close_wait: Some(kernel(103_230)),
        bytes_after_fin: 0,
        half_close: None,
        fin_attempts: 1,
        fins_reacknowledged: 0,
        time_wait: Some(Duration::from_secs(2)),
        our_state: Closed,
        peer_state: Closed,
    }
}

fn end(story: Story, outcome: Outcome, as_expected: bool, report: CloseReport) -> Story {
    story.summary(outcome, as_expected, |summary| {
        summary.handshake = Some(handshake());
        summary.close = Some(report);
    })
}

fn our_fin(story: Story) -> Story {
    story
        .at(12_000)
        .client(Established, FinWait1, Cause::Close)
        .at(12_050)
        .tx(FIN_ACK, (1, 1))
        .server(Established, CloseWait, Cause::Received(FIN_ACK), Known::Implied)
}

fn acknowledged(story: Story) -> Story {
    our_fin(story).at(23_170).rx(ACK, (1, 2)).confirmed(CloseWait, Cause::Sent(ACK)).client(
        FinWait1,
        FinWait2,
        Cause::Received(ACK),
    )
}

/// FIN and ACK in one segment, then the FIN once more in TIME-WAIT.
fn active() -> Story {
    let story = our_fin(Story::new("close").open())
        .at(23_170)
        .rx(FIN_ACK, (1, 2))
        .server(CloseWait, LastAck, Cause::Sent(FIN_ACK), Known::Proved)
        .client(FinWait1, TimeWait, Cause::Received(FIN_ACK))
        .at(23_201)
        .tx(ACK, (2, 2))
        .server(LastAck, Closed, Cause::Received(ACK), Known::Implied)
        .at(223_170)
        .noted(Dir::Rx, FIN_ACK, (1, 2), Note::Duplicate)
        .retracted(Closed, LastAck, Cause::Sent(FIN_ACK))
        .noted(Dir::Tx, ACK, (2, 2), Note::Retransmission(1))
        .server(LastAck, Closed, Cause::Received(ACK), Known::Implied)
        .at(2_223_201)
        .client(TimeWait, Closed, Cause::TimeWaitExpired);
    let report = CloseReport {
        merged: Some(true),
        close_wait: Some(kernel(0)),
        fins_reacknowledged: 1,
        ..textbook(CloseShape::Active)
    };
    end(story, Outcome::Closed, true, report)
}

#[test]
fn active_merged_at_80() {
    insta::assert_snapshot!(show(active(), narrow()));
}

fn passive() -> Story {
    let story = Story::new("close")
        .open()
        .at(5_011_100)
        .rx(FIN_ACK, (1, 1))
        .server(Established, FinWait1, Cause::Sent(FIN_ACK), Known::Proved)
        .client(Established, CloseWait, Cause::Received(FIN_ACK))
        .at(5_011_120)
        .tx(ACK, (1, 2))
        .server(FinWait1, FinWait2, Cause::Received(ACK), Known::Implied)
        .client(CloseWait, LastAck, Cause::Close)
        .at(5_011_150)
        .tx(FIN_ACK, (1, 2))
        .server(FinWait2, TimeWait, Cause::Received(FIN_ACK), Known::Implied)
        .at(5_022_300)
        .rx(ACK, (2, 2))
        .confirmed(TimeWait, Cause::Sent(ACK))
        .client(LastAck, Closed, Cause::Received(ACK));
    let report = CloseReport {
        merged: None,
        close_wait: None,
        time_wait: None,
        peer_state: TimeWait,
        ..textbook(CloseShape::Passive)
    };
    end(story, Outcome::Closed, true, report)
}

#[test]
fn passive_at_80() {
    insta::assert_snapshot!(show(passive(), narrow()));
}

fn simultaneous() -> Story {
    let story = Story::new("close")
        .open()
        .at(30_000)
        .client(Established, FinWait1, Cause::Close)
        .at(30_020)
        .tx(FIN_ACK, (1, 1))
        .at(30_400)
        .rx(FIN_ACK, (1, 1))
        .server(Established, FinWait1, Cause::Sent(FIN_ACK), Known::Proved)
        .client(FinWait1, Closing, Cause::Received(FIN_ACK))
        .server(FinWait1, Closing, Cause::Received(FIN_ACK), Known::Implied)
        .at(30_420)
        .tx(ACK, (2, 2))
        .at(41_100)
        .rx(ACK, (2, 2))
        .confirmed(Closing, Cause::Sent(ACK))
        .client(Closing, TimeWait, Cause::Received(ACK))
        .server(Closing, TimeWait, Cause::Received(ACK), Known::Implied)
        .at(2_041_100)
        .client(TimeWait, Closed, Cause::TimeWaitExpired);
    let report = CloseReport {
        merged: None,
        close_wait: None,
        peer_state: TimeWait,
        ..textbook(CloseShape::Simultaneous)
    };
    end(story, Outcome::Closed, true, report)
}

#[test]
fn simultaneous_at_80() {
    insta::assert_snapshot!(show(simultaneous(), narrow()));
}

#[test]
fn simultaneous_at_120_in_colour() {
    insta::assert_snapshot!(show(simultaneous(), Style { color: true, ..wide() }));
}

fn half() -> Story {
    let story = acknowledged(Story::new("close").open())
        .at(80_000)
        .data(Dir::Rx, (1, 2), &[b'x'; 512])
        .at(80_030)
        .tx(ACK, (2, 513))
        .at(126_400)
        .rx(FIN_ACK, (513, 2))
        .server(CloseWait, LastAck, Cause::Sent(FIN_ACK), Known::Proved)
        .client(FinWait2, TimeWait, Cause::Received(FIN_ACK))
        .at(126_431)
        .tx(ACK, (2, 514))
        .server(LastAck, Closed, Cause::Received(ACK), Known::Implied)
        .at(2_126_431)
        .client(TimeWait, Closed, Cause::TimeWaitExpired);
    let report = CloseReport {
        bytes_after_fin: 512,
        half_close: Some(HalfClose::Honoured),
        ..textbook(CloseShape::Half)
    };
    end(story, Outcome::Closed, true, report)
}

#[test]
fn half_at_80() {
    insta::assert_snapshot!(show(half(), narrow()));
}

#[test]
fn half_at_120() {
    insta::assert_snapshot!(show(half(), wide()));
}

fn reset() -> Story {
    let story = our_fin(Story::new("close").open())
        .at(23_170)
        .rx(RST, (1, 0))
        .server(CloseWait, Closed, Cause::Sent(RST), Known::Proved)
        .client(FinWait1, Closed, Cause::Received(RST));
    let report = CloseReport {
        took_place: Some(CloseShape::Abort),
        merged: None,
        ack_of_fin: None,
        close_wait: None,
        half_close: Some(HalfClose::Reset),
        time_wait: None,
        ..textbook(CloseShape::Half)
    };
    end(story, Outcome::Reset, false, report)
}

#[test]
fn reset_at_80() {
    insta::assert_snapshot!(show(reset(), narrow()));
}

#[test]
fn still_in_close_wait_at_the_deadline() {
    let story = acknowledged(Story::new("close").open()).at(10_000_000);
    let report = CloseReport {
        took_place: None,
        merged: None,
        close_wait: None,
        half_close: Some(HalfClose::Ignored),
        time_wait: None,
        our_state: FinWait2,
        peer_state: CloseWait,
        ..textbook(CloseShape::Half)
    };
    insta::assert_snapshot!(report_of(&show(
        end(story, Outcome::StillOpen, false, report),
        narrow()
    )));
}

#[test]
fn collapsed_and_cut_short() {
    let story = acknowledged(Story::new("close").open());
    let report = CloseReport {
        took_place: Some(CloseShape::Active),
        half_close: Some(HalfClose::Collapsed),
        fin_attempts: 3,
        ..textbook(CloseShape::Half)
    };
    let story = story.summary(Outcome::OtherShape, false, |summary| {
        summary.interrupted = true;
        summary.handshake = Some(HandshakeReport { rtt: None, attempts: 2, ..handshake() });
        summary.close = Some(report);
    });
    insta::assert_snapshot!(report_of(&show(story, narrow())));
}

/// The part behind the ladder.
fn report_of(text: &str) -> &str {
    text.split_once("\n\n--- ").unwrap().1
}
