//! Whether a connection goes on after something was done to it, whatever the server is.

use std::net::SocketAddr;
use std::time::Duration;

use super::Lab;
use super::conversation::Conversation;
use super::core::Got;
use super::segment::{ack, data, rst};
use super::steps::Liveness;
use crate::check::finding::{Stop, inconclusive};
use crate::event::{Step, Trigger};
use crate::net::Dir;
use crate::wire::{Flags, Segment};

/// Whether a connection lives.
#[derive(Clone, PartialEq, Debug)]
pub enum Survival {
    /// It does.
    Alive,
    /// It was reset.
    Gone(Got),
    /// It does not answer.
    Silent,
}

impl Lab {
    /// Completes a handshake whose SYN-ACK is not answered yet, and sees whether there is a connection.
    pub async fn complete(&self, c: &mut Conversation) -> Survival {
        c.send(&ack().label("ACK: the handshake completes"));
        c.become_established();
        self.survives(c).await
    }

    /// Whether an open connection lives. A server that closes at once is known by its FIN.
    pub async fn survives(&self, c: &mut Conversation) -> Survival {
        if self.server().closes_first != Some(Trigger::Connect) {
            return match self.liveness(c).await {
                Liveness::Alive => Survival::Alive,
                Liveness::Reset(got) => Survival::Gone(got),
                Liveness::Dead => Survival::Silent,
            };
        }
        let speaks = |_: &Conversation, got: &Segment| {
            got.flags.intersects(Flags::RST | Flags::FIN) || !got.payload.is_empty()
        };
        if c.peer_fin.is_some() || !c.received.is_empty() {
            return Survival::Alive;
        }
        for _ in 0..4 {
            match c.expect(self.ack_window() + Duration::from_secs(1), speaks).await {
                Some(got) if got.segment.has(Flags::RST) => return Survival::Gone(got),
                Some(_) => return Survival::Alive,
                None => c.send(&ack().label("no answer: once more")),
            }
        }
        Survival::Silent
    }

    /// As [`ready`](Self::ready), and the server is in ESTABLISHED for sure: data were acknowledged. Where
    /// our last ACK is late, what is odd in ESTABLISHED meets SYN-RECEIVED, which has other rules.
    ///
    /// # Errors
    /// As [`ready`](Self::ready); inconclusive where the connection does not bear data.
    pub async fn established(&self) -> Result<Conversation, Stop> {
        let mut c = self.ready().await?;
        match self.liveness(&mut c).await {
            Liveness::Alive => Ok(c),
            _ => Err(inconclusive("the connection does not bear a few bytes")),
        }
    }

    /// Sends an exact RST three times: one of them arrives.
    pub async fn reset_for_sure(&self, c: &mut Conversation, label: &'static str) {
        for _ in 0..3 {
            c.send(&rst().label(label));
            c.pause(Duration::from_millis(50)).await;
        }
        // What was under way before has arrived by then.
        c.collect(Duration::from_millis(100) + self.rtt()).await;
    }

    /// A connection to which a server that echoes has sent data that we do not acknowledge; otherwise
    /// just an open one.
    ///
    /// # Errors
    /// As [`ready`](Self::ready).
    pub async fn with_data_under_way(&self) -> Result<Conversation, Stop> {
        let mut c = self.ready().await?;
        c.push(&data(b"ping"));
        c.collect(Duration::from_millis(100) + self.rtt()).await;
        Ok(c)
    }

    /// The IP packet that arrived last at this end of ours.
    #[must_use]
    pub fn last_packet_to(&self, local: SocketAddr) -> Option<Vec<u8>> {
        let trace = self.trace.borrow();
        let here = |at: usize| trace.conversations.get(at).is_some_and(|ends| ends.local == local);
        trace.entries.iter().rev().find_map(|entry| match &entry.step {
            Step::Segment { dir: Dir::Rx, bytes, .. } if here(entry.conversation) => {
                Some(bytes.clone())
            }
            _ => None,
        })
    }
}
