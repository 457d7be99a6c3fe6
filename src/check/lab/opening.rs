//! Opening a connection: SYN, repeated where nothing comes, and what the server answers.

use std::time::Duration;

use super::Lab;
use super::conversation::Conversation;
use super::core::{Arrival, Got};
use super::segment::{Seg, ack, syn};
use crate::check::finding::{Stop, inconclusive, not_applicable};
use crate::event::Trigger;
use crate::wire::{Flags, Segment, TcpOption};

/// SYNs of one opening: at 0, 1, 3 and 7 s, as RFC 6298 spaces them.
const ATTEMPTS: u32 = 4;

/// What the SYN offers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Offer {
    /// Options, in order. TSval 0 stands for our clock.
    pub options: Vec<TcpOption>,
    /// The window; 65535 where it is not said.
    pub window: Option<u16>,
    /// Bits beside SYN.
    pub flags: Flags,
}

/// MSS, SACK-permitted, timestamps and no scaling: our window stays readable.
#[must_use]
pub fn usual_offer(mss: u16) -> Offer {
    let timestamps = TcpOption::Timestamps { value: 0, echo: 0 };
    Offer {
        options: vec![TcpOption::Mss(mss), TcpOption::SackPermitted, timestamps],
        ..Offer::default()
    }
}

impl Offer {
    /// These options and nothing else.
    #[must_use]
    pub fn of(options: &[TcpOption]) -> Self {
        Self { options: options.to_vec(), ..Self::default() }
    }

    /// The SYN that makes the offer, with our clock's time.
    pub fn syn(&self, conversation: &Conversation) -> Seg {
        let options: Vec<TcpOption> = self
            .options
            .iter()
            .map(|option| match option {
                TcpOption::Timestamps { value: 0, echo } => {
                    TcpOption::Timestamps { value: conversation.ts_now(), echo: *echo }
                }
                other => other.clone(),
            })
            .collect();
        let mut what = syn().options(&options);
        what.flags = Flags::SYN | self.flags;
        what
    }
}

/// What a SYN was answered with.
#[derive(Clone, PartialEq, Debug)]
pub enum Opening {
    /// The right SYN-ACK.
    SynAck(Got),
    /// RST.
    Refused(Got),
    /// An ICMP error.
    Icmp(Arrival),
    /// Nothing, to any of them.
    Silence,
}

impl Lab {
    /// A connection with the usual offer, its last ACK sent.
    ///
    /// # Errors
    /// [`Stop`]: it could not be opened, which is inconclusive.
    pub async fn open(&self) -> Result<Conversation, Stop> {
        self.open_with(&usual_offer(self.setting().mss)).await
    }

    /// A connection without timestamps, whose segments have no options at all.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_plain(&self) -> Result<Conversation, Stop> {
        self.open_with(&Offer::of(&[TcpOption::Mss(self.setting().mss)])).await
    }

    /// A connection with this offer, its last ACK sent.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(&self, offer: &Offer) -> Result<Conversation, Stop> {
        let (mut conversation, _) = self.half_open(offer).await?;
        conversation.send(&ack());
        conversation.become_established();
        Ok(conversation)
    }

    /// A connection in SYN-RECEIVED: the SYN-ACK came and is not answered. SND.NXT is behind our SYN.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn half_open(&self, offer: &Offer) -> Result<(Conversation, Segment), Stop> {
        let mut conversation = self.conversation()?;
        match self.knock(&mut conversation, offer).await {
            Opening::SynAck(got) => Ok((conversation, got.segment)),
            Opening::Refused(_) => Err(inconclusive("the port refused the connection")),
            Opening::Icmp(_) => Err(inconclusive("an ICMP error answered the SYN")),
            Opening::Silence => Err(inconclusive(format!("no answer to {ATTEMPTS} SYNs"))),
        }
    }

    /// Sends the SYN, again after 1, 2 and 4 s, and waits for what it is answered with. A SYN-ACK is
    /// adopted, and SND.NXT moved.
    pub async fn knock(&self, conversation: &mut Conversation, offer: &Offer) -> Opening {
        self.core.borrow_mut().asked += 1;
        if let Some(window) = offer.window {
            conversation.window = window;
        }
        for attempt in 0..ATTEMPTS {
            let label = if attempt == 0 { "" } else { "no answer: once more" };
            if attempt == 1 {
                self.core.borrow_mut().repeated += 1;
            }
            let what = offer.syn(conversation).label(label);
            conversation.send(&what);
            let wait = Duration::from_secs(1 << attempt).max(self.now_window());
            let until = conversation.now() + wait;
            while let Some(arrival) = conversation.next(until).await {
                let Arrival::Segment(got) = arrival else { return Opening::Icmp(arrival) };
                let answers = got.segment.ack == conversation.iss + 1;
                let flags = got.segment.flags;
                if flags.contains(Flags::SYN | Flags::ACK) && answers {
                    conversation.adopt(&got.segment);
                    conversation.snd_nxt = conversation.iss + 1;
                    return Opening::SynAck(got);
                }
                if flags.contains(Flags::RST | Flags::ACK) && answers {
                    return Opening::Refused(got);
                }
            }
        }
        // It may be there and unable to reach us.
        conversation.leave_by_reset();
        self.core.borrow_mut().silence |= conversation.remote == self.target();
        Opening::Silence
    }

    /// Nothing can be said against a server by what it does to odd segments where it does the same to
    /// ordinary ones.
    ///
    /// # Errors
    /// Not applicable where it resets every connection.
    pub fn bears_connections(&self) -> Result<(), Stop> {
        if self.server().resets_all {
            return Err(not_applicable("the server resets every connection, also an ordinary one"));
        }
        Ok(())
    }

    /// A connection to a server that waits for us: its greeting is read and acknowledged.
    ///
    /// # Errors
    /// As [`open`](Self::open); not applicable where it closes by itself.
    pub async fn ready(&self) -> Result<Conversation, Stop> {
        self.ready_with(&usual_offer(self.setting().mss)).await
    }

    /// As [`ready`](Self::ready), with this offer.
    ///
    /// # Errors
    /// As [`ready`](Self::ready).
    pub async fn ready_with(&self, offer: &Offer) -> Result<Conversation, Stop> {
        if self.server().closes_first == Some(Trigger::Connect) {
            return Err(not_applicable("the server closes as soon as it is connected"));
        }
        self.bears_connections()?;
        let mut conversation = self.open_with(offer).await?;
        if self.server().greets > 0 {
            conversation.drain(self.server_window(), self.server().greets).await;
        }
        Ok(conversation)
    }

    /// As [`ready`](Self::ready), and the server closes after our FIN.
    ///
    /// # Errors
    /// As [`ready`](Self::ready); not applicable where it does not close.
    pub async fn ready_to_close(&self) -> Result<Conversation, Stop> {
        if self.server().closes_after_fin.is_none() {
            return Err(not_applicable("the server does not close after our FIN"));
        }
        self.ready().await
    }

    /// A connection whose server has closed first: all its data are acknowledged, its FIN is not.
    ///
    /// # Errors
    /// As [`open`](Self::open); not applicable where it never closes first.
    pub async fn closed_by_server(&self) -> Result<Conversation, Stop> {
        self.closed_by_server_with(&usual_offer(self.setting().mss)).await
    }

    /// As [`closed_by_server`](Self::closed_by_server), with this offer.
    ///
    /// # Errors
    /// As [`closed_by_server`](Self::closed_by_server).
    pub async fn closed_by_server_with(&self, offer: &Offer) -> Result<Conversation, Stop> {
        let Some(trigger) = self.server().closes_first else {
            return Err(not_applicable("the server never closes first"));
        };
        let mut conversation = self.open_with(offer).await?;
        if trigger == Trigger::Request {
            conversation.request(&self.setting().request, self.now_window()).await;
        }
        conversation.drain_to_fin(self.server_window()).await;
        if conversation.was_reset {
            return Err(inconclusive("the server reset the connection in place of closing it"));
        }
        if conversation.peer_fin.is_none() {
            return Err(inconclusive("this time the server did not close first"));
        }
        Ok(conversation)
    }
}
