//! One TCP connection: what its user and its driver can do with it.

use std::collections::VecDeque;
use std::time::Duration;

use super::challenge::Throttle;
use super::config::Config;
use super::congestion::Congestion;
use super::options::Negotiated;
use super::outcome::{CloseError, ConnectionEvent, GaveUp, SendError};
use super::recovery::Recovery;
use super::recv::RecvSide;
use super::rto::RtoEstimator;
use super::send::{MAX_QUEUED, SendSide};
use super::state::{Cause, End, Known, State, Transition};
use super::timers::Deadlines;
use crate::time::Instant;
use crate::wire::{Flags, Segment, SeqNum};

/// A TCP connection by RFC 9293, without socket, clock or randomness.
///
/// The contract with whoever drives it:
/// - give it what arrives ([`handle_segment`](Self::handle_segment),
///   [`handle_icmp`](Self::handle_icmp)) and call [`handle_timeout`](Self::handle_timeout) when
///   [`poll_timeout`](Self::poll_timeout) is reached;
/// - after each call, drain [`poll_event`](Self::poll_event), then send everything that
///   [`poll_transmit`](Self::poll_transmit) yields;
/// - `now` never goes back.
///
/// Every ACK is sent at once, none is delayed: this is a measuring client, whose delay would show
/// up as the far end's. Nothing panics, whatever arrives. The same calls give the same answers.
///
/// Two readings of the RFC that matter to a driver: a segment that a gate withholds counts as sent,
/// and a withheld segment that arrived is simply given to the machine later.
#[derive(Clone, Debug)]
pub struct Connection {
    pub(super) config: Config,
    pub(super) end: End,
    /// We opened actively: an end that listened may do so as well.
    pub(super) active: bool,
    pub(super) state: State,
    pub(super) remote_port: u16,
    pub(super) send: SendSide,
    pub(super) recv: RecvSide,
    pub(super) agreed: Negotiated,
    pub(super) rto: RtoEstimator,
    pub(super) congestion: Congestion,
    pub(super) recovery: Recovery,
    pub(super) deadlines: Deadlines,
    /// Our SYN or SYN-ACK has yet to leave for the first time.
    pub(super) syn_due: bool,
    /// Our SYN or SYN-ACK was repeated because its time ran out.
    pub(super) syn_timed_out: bool,
    /// Repetitions since the far end last acknowledged anything new.
    pub(super) repetitions: u32,
    /// Time-outs since then.
    pub(super) timeouts: u32,
    /// Probes of the closed window since it closed: they come ever more slowly.
    pub(super) probes: u32,
    /// Probes since the far end last said anything.
    pub(super) probes_unanswered: u32,
    /// A window probe has yet to leave.
    pub(super) probe_due: bool,
    pub(super) reply: Option<Reply>,
    pub(super) throttle: Throttle,
    pub(super) events: VecDeque<ConnectionEvent>,
}

/// What a segment that arrived is answered with: at most one segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Reply {
    /// `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`; may ride on data.
    Ack,
    /// The same, of its own, as a question.
    ChallengeAck,
    /// Our SYN-ACK again.
    SynAck,
    /// RST, complete. Outlives the connection.
    Reset(Box<Segment>),
}

impl Connection {
    /// Opens actively: CLOSED → SYN-SENT, the SYN ready to leave (RFC 9293 §3.10.1).
    #[must_use]
    pub fn connect(config: Config, now: Instant) -> Self {
        let mut connection = Self::new(config, End::Client);
        connection.start_syn();
        connection.become_state(State::SynSent, Cause::ActiveOpen, now);
        connection
    }

    /// Opens passively: LISTEN, until a first SYN arrives (RFC 9293 §3.10.1).
    ///
    /// The move from CLOSED is the caller's own doing, at a time that only the caller knows; it is
    /// not reported. A handshake that is reset goes back to LISTEN with the same initial sequence
    /// number; who wants another makes a new connection.
    #[must_use]
    pub fn listen(config: Config) -> Self {
        let mut connection = Self::new(config, End::Server);
        connection.state = State::Listen;
        connection
    }

    /// Nobody listens: CLOSED, and whatever comes is answered with RST (RFC 9293 §3.10.7.1).
    #[must_use]
    pub fn closed(config: Config) -> Self {
        Self::new(config, End::Server)
    }

    /// In LISTEN, opens actively after all: SYN-SENT, the SYN ready to leave (RFC 9293 §3.10.1,
    /// "change the connection from passive to active"). The far end must be known. Elsewhere it does
    /// nothing. Where the far end's own SYN is on its way, both open at once.
    pub fn open(&mut self, now: Instant) {
        if self.state != State::Listen || self.remote_port == 0 {
            return;
        }
        self.active = true;
        self.start_syn();
        self.become_state(State::SynSent, Cause::ActiveOpen, now);
    }

    fn new(config: Config, end: End) -> Self {
        Self {
            end,
            active: end == End::Client,
            state: State::Closed,
            remote_port: config.remote_port,
            send: SendSide::new(config.iss),
            recv: RecvSide::new(config.receive_buffer),
            agreed: Negotiated::NOTHING,
            rto: RtoEstimator::new(config.timers),
            congestion: Congestion::new(u32::from(Negotiated::NOTHING.send_mss), false),
            recovery: Recovery::default(),
            deadlines: Deadlines::default(),
            syn_due: false,
            syn_timed_out: false,
            repetitions: 0,
            timeouts: 0,
            probes: 0,
            probes_unanswered: 0,
            probe_due: false,
            reply: None,
            throttle: Throttle::default(),
            events: VecDeque::new(),
            config,
        }
    }

    /// Back to LISTEN, as at birth, events and challenge count aside (RFC 9293 §3.10.7.4, second and
    /// fourth: "return this connection to the LISTEN state").
    pub(super) fn listen_again(&mut self, cause: Cause, now: Instant) {
        let fresh = Self::listen(self.config.clone());
        let events = std::mem::take(&mut self.events);
        let throttle = self.throttle;
        *self = Self { events, throttle, state: self.state, ..fresh };
        self.become_state(State::Listen, cause, now);
    }

    /// Puts our SYN into the send sequence space.
    pub(super) fn start_syn(&mut self) {
        self.send.una = self.send.iss;
        self.send.nxt = self.send.iss + 1;
        self.syn_due = true;
    }

    /// Our state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Which end we are.
    #[must_use]
    pub fn end(&self) -> End {
        self.end
    }

    /// Queues data. It leaves once the connection is ESTABLISHED (RFC 9293 §3.10.2).
    ///
    /// # Errors
    /// [`SendError`] where there is no connection, the user closed it, or too much is queued.
    pub fn send(&mut self, data: &[u8], now: Instant) -> Result<(), SendError> {
        match self.state {
            State::Closed | State::Listen => return Err(SendError::NotConnected),
            State::SynSent | State::SynReceived | State::Established | State::CloseWait
                if !self.send.fin_queued() => {}
            _ => return Err(SendError::Closing),
        }
        if self.send.unacked_data() + data.len() > MAX_QUEUED {
            return Err(SendError::Full);
        }
        self.send.queue(data);
        self.set_deadlines(now);
        Ok(())
    }

    /// Closes: a FIN goes out behind the queued data (RFC 9293 §3.10.4). What arrives is still
    /// received. In LISTEN and SYN-SENT the connection is simply gone.
    ///
    /// # Errors
    /// [`CloseError`] where there is no connection or the user closed it already.
    pub fn close(&mut self, now: Instant) -> Result<(), CloseError> {
        match self.state {
            State::Closed => return Err(CloseError::NotConnected),
            State::Listen | State::SynSent => self.end_connection(Cause::Close, now),
            _ if self.send.fin_queued() => return Err(CloseError::Closing),
            State::SynReceived | State::Established => {
                self.send.queue_fin();
                // With data queued in SYN-RECEIVED, the close waits for ESTABLISHED.
                if self.state == State::Established || self.send.unacked_data() == 0 {
                    self.become_state(State::FinWait1, Cause::Close, now);
                }
            }
            State::CloseWait => {
                self.send.queue_fin();
                // LAST-ACK begins when all data has been put into segments: now, or when the FIN
                // leaves.
                if self.send.unsent_data() == 0 {
                    self.become_state(State::LastAck, Cause::Close, now);
                }
            }
            State::FinWait1
            | State::FinWait2
            | State::Closing
            | State::LastAck
            | State::TimeWait => return Err(CloseError::Closing),
        }
        self.set_deadlines(now);
        Ok(())
    }

    /// Ends the connection at once (RFC 9293 §3.10.5). Where the far end has something to lose, it
    /// is told: `<SEQ=SND.NXT><CTL=RST>`, in SYN-RECEIVED, ESTABLISHED, FIN-WAIT-1, FIN-WAIT-2 and
    /// CLOSE-WAIT. In SYN-SENT, CLOSING, LAST-ACK and TIME-WAIT the RFC lets it go without a word.
    ///
    /// After a SYN-ACK whose acknowledgment a gate withheld, this is the RST with SEQ = ISS + 1 that
    /// ends a half-open probe.
    pub fn abort(&mut self, now: Instant) {
        let told = matches!(
            self.state,
            State::SynReceived
                | State::Established
                | State::FinWait1
                | State::FinWait2
                | State::CloseWait
        );
        if self.state == State::Closed {
            return;
        }
        let reset = told.then(|| self.reset_with(self.send.nxt, None));
        self.end_connection(Cause::Abort, now);
        self.reply = reset;
    }

    /// Takes the data that arrived in order since the last call. Makes room in the window.
    pub fn take_received(&mut self) -> Vec<u8> {
        let data = self.recv.take_received();
        let receiving =
            matches!(self.state, State::Established | State::FinWait1 | State::FinWait2);
        if receiving && self.reply.is_none() && self.recv.update_due(self.our_mss()) {
            self.reply = Some(Reply::Ack);
        }
        data
    }

    /// Bytes that arrived in order and wait for [`take_received`](Self::take_received).
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.recv.waiting()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<ConnectionEvent> {
        self.events.pop_front()
    }

    /// ISS.
    #[must_use]
    pub fn iss(&self) -> SeqNum {
        self.send.iss
    }

    /// IRS, once the far end's SYN came.
    #[must_use]
    pub fn irs(&self) -> Option<SeqNum> {
        self.recv.irs
    }

    /// SND.UNA.
    #[must_use]
    pub fn snd_una(&self) -> SeqNum {
        self.send.una
    }

    /// SND.NXT.
    #[must_use]
    pub fn snd_nxt(&self) -> SeqNum {
        self.send.nxt
    }

    /// RCV.NXT; 0 before the far end's SYN came.
    #[must_use]
    pub fn rcv_nxt(&self) -> SeqNum {
        self.recv.nxt
    }

    /// RCV.UP: the first number behind urgent data, if any was announced. The data itself is in the
    /// stream, where RFC 6093 wants it.
    #[must_use]
    pub fn urgent_until(&self) -> Option<SeqNum> {
        self.recv.up
    }

    /// Whether our FIN is acknowledged.
    #[must_use]
    pub fn fin_acked(&self) -> bool {
        self.send.fin_acked()
    }

    /// Whether the far end's FIN came, with everything before it.
    #[must_use]
    pub fn peer_fin_received(&self) -> bool {
        self.recv.fin_received
    }

    /// Bytes of our data, sent or queued, that are not acknowledged.
    #[must_use]
    pub fn unacked_data(&self) -> usize {
        self.send.unacked_data()
    }

    /// SRTT (RFC 6298), once something was measured.
    #[must_use]
    pub fn smoothed_rtt(&self) -> Option<Duration> {
        self.rto.smoothed()
    }

    /// What the handshake agreed on.
    #[must_use]
    pub fn negotiated(&self) -> Negotiated {
        self.agreed
    }

    /// Moves to `to` and says so. Every move of the machine goes through here.
    pub(super) fn become_state(&mut self, to: State, cause: Cause, at: Instant) {
        let from = self.state;
        debug_assert!(from.may_become(to), "{from} -> {to}");
        self.state = to;
        let transition = Transition { at, end: self.end, from, to, cause, known: Known::Own };
        self.events.push_back(ConnectionEvent::Transition(transition));
    }

    /// CLOSED: no timer runs and nothing is to be sent any more.
    pub(super) fn end_connection(&mut self, cause: Cause, now: Instant) {
        self.become_state(State::Closed, cause, now);
        self.deadlines = Deadlines::default();
        self.syn_due = false;
        self.probe_due = false;
        self.send.resend = None;
        self.reply = None;
        self.events.push_back(ConnectionEvent::Closed);
    }

    /// All retransmissions went unanswered.
    pub(super) fn give_up(&mut self, now: Instant) {
        let what = match self.state {
            State::SynSent => GaveUp::Syn,
            _ if self.send.una == self.send.iss => GaveUp::SynAck,
            _ if self.send.unacked_data() == 0 => GaveUp::Fin,
            _ => GaveUp::Data,
        };
        self.events.push_back(ConnectionEvent::GaveUp(what));
        self.end_connection(Cause::GaveUp, now);
    }

    /// The handshake is over on our side: ESTABLISHED, and at once FIN-WAIT-1 where the user closed
    /// during the handshake with data queued.
    pub(super) fn establish(&mut self, cause: Cause, now: Instant) {
        self.become_state(State::Established, cause, now);
        self.events.push_back(ConnectionEvent::Established);
        if self.reply == Some(Reply::SynAck) {
            // Asked for by a repeated SYN, and not sent before its ACK came.
            self.reply = None;
        }
        if self.send.fin_queued() {
            self.become_state(State::FinWait1, Cause::Close, now);
        }
    }

    /// A RST with this SEQ, and ACK where one is given.
    pub(super) fn reset_with(&self, seq: SeqNum, ack: Option<SeqNum>) -> Reply {
        let acked = if ack.is_some() { Flags::ACK } else { Flags::NONE };
        Reply::Reset(Box::new(Segment {
            src_port: self.config.local_port,
            dst_port: self.remote_port,
            seq,
            ack: ack.unwrap_or_default(),
            flags: Flags::RST | acked,
            ..Segment::default()
        }))
    }

    /// Bytes of payload that we are ready to receive in one segment.
    pub(super) fn our_mss(&self) -> u32 {
        self.config.offer.mss.map_or(536, u32::from)
    }
}
