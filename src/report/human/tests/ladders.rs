//! Handshakes: the ladder and the report.

use super::*;
use crate::event::{Exchange, HandshakeReport, Note, Outcome};
use crate::net::Dir;
use crate::report::testkit::*;
use crate::tcp::state::State::{Closed, Established, Listen, SynReceived, SynSent};
use crate::tcp::state::{Cause, End, Known};
use crate::wire::IcmpKind;

fn graceful() -> Story {
    use crate::tcp::state::State::{CloseWait, FinWait1, FinWait2, LastAck, TimeWait};
    Story::new("handshake")
        .open()
        .at(12_000)
        .client(Established, FinWait1, Cause::Close)
        .at(12_050)
        .tx(FIN_ACK, (1, 1))
        .server(Established, CloseWait, Cause::Received(FIN_ACK), Known::Implied)
        .at(23_170)
        .rx(ACK, (1, 2))
        .confirmed(CloseWait, Cause::Sent(ACK))
        .client(FinWait1, FinWait2, Cause::Received(ACK))
        .at(126_400)
        .rx(FIN_ACK, (1, 2))
        .server(CloseWait, LastAck, Cause::Sent(FIN_ACK), Known::Proved)
        .client(FinWait2, TimeWait, Cause::Received(FIN_ACK))
        .at(126_431)
        .tx(ACK, (2, 2))
        .server(LastAck, Closed, Cause::Received(ACK), Known::Implied)
        .at(2_126_431)
        .client(TimeWait, Closed, Cause::TimeWaitExpired)
        .summary(Outcome::Open, true, |summary| summary.handshake = Some(handshake()))
}

#[test]
fn graceful_at_80() {
    insta::assert_snapshot!(show(graceful(), narrow()));
}

#[test]
fn graceful_at_120() {
    insta::assert_snapshot!(show(graceful(), wide()));
}

#[test]
fn graceful_in_colour() {
    insta::assert_snapshot!(show(graceful(), Style { color: true, ..narrow() }));
}

#[test]
fn graceful_in_ascii_with_raw_numbers() {
    let style = Style { unicode: false, absolute: true, ..narrow() };
    let text = show(graceful(), style);
    assert!(text.is_ascii());
    insta::assert_snapshot!(text);
}
