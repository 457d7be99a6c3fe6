//! The canary: an ordinary connection, to see whether the target still answers.

use super::lab::{Lab, Opening, ack, fin, usual_offer};
use crate::wire::{Flags, Segment};

/// Whether an ordinary connection opens, and its FIN is acknowledged.
pub(super) async fn sings(lab: Lab) -> bool {
    let Ok(mut conversation) = lab.conversation() else { return false };
    let opening = lab.knock(&mut conversation, &usual_offer(lab.setting().mss)).await;
    if !matches!(opening, Opening::SynAck(_)) {
        return false;
    }
    conversation.send(&ack());
    conversation.become_established();
    let end = conversation.snd_nxt + 1;
    let acked = |_: &_, segment: &Segment| {
        segment.has(Flags::RST) || segment.has(Flags::ACK) && segment.ack == end
    };
    let acked = lab.ask(&mut conversation, &fin(), lab.ack_window(), acked).await.is_some();
    conversation.advance(1);
    acked
}
