//! A conversation: one four-tuple, both ends' numbers as we count them, and what arrived.
//!
//! Nothing is sent unless a script says so, with two exceptions that keep a lost segment from being
//! taken for a verdict: a SYN-ACK that is repeated because our ACK of it was lost is acknowledged
//! again, and a conversation that ends is reset exactly (RFC 5961: SEQ = SND.NXT).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::core::{Arrival, Core, Got};
use super::segment::{Seg, ack, rst};
use crate::event::{self, Entry, Step, Trace};
use crate::time::{Clock, Instant, Stamp};
use crate::wire::{Flags, Packet, Segment, SeqNum, TcpOption, checksum, emit_icmp_error};

/// What the SYN-ACK said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PeerOffer {
    /// SEG.WND, unscaled.
    pub window: u16,
    /// MSS.
    pub mss: Option<u16>,
    /// Window scale shift.
    pub window_scale: Option<u8>,
    /// SACK-permitted.
    pub sack: bool,
    /// TSval.
    pub timestamps: Option<u32>,
}

/// How a conversation is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leave {
    /// There is nothing at the far end to be reset.
    Quietly,
    /// By an exact RST.
    ByReset,
}

/// See the module's documentation.
pub struct Conversation {
    core: Rc<RefCell<Core>>,
    trace: Rc<RefCell<Trace>>,
    slot: usize,
    /// Our end.
    pub local: SocketAddr,
    /// The target's.
    pub remote: SocketAddr,
    /// Our initial sequence number.
    pub iss: SeqNum,
    /// The target's; meaningful once its SYN came.
    pub irs: SeqNum,
    /// SND.NXT. Scripts move it by [`advance`](Self::advance).
    pub snd_nxt: SeqNum,
    /// RCV.NXT: behind all data received in order; behind the FIN only once it is
    /// [taken](Self::take_fin).
    pub rcv_nxt: SeqNum,
    /// The window that we announce, unscaled.
    pub window: u16,
    /// What the SYN-ACK said.
    pub peer: PeerOffer,
    /// Timestamps are agreed on: the newest TSval that we may echo.
    pub ts_recent: Option<u32>,
    /// All data received, in order.
    pub received: Vec<u8>,
    /// SEG.SEQ of the server's FIN, once it came in order.
    pub peer_fin: Option<SeqNum>,
    /// A RST arrived that a correct end would accept as one.
    pub was_reset: bool,
    /// A RST of this number answers something else.
    other_reset: Option<SeqNum>,
    their_window: u16,
    /// The highest SEG.ACK that arrived: their RCV.NXT, as far as it is known.
    acked: Option<SeqNum>,
    early: BTreeMap<u32, Vec<u8>>,
    early_fin: Option<SeqNum>,
    ts_offset: u32,
    leave: Leave,
    established: bool,
}

impl Conversation {
    pub(super) fn begin(
        core: &Rc<RefCell<Core>>,
        trace: &Rc<RefCell<Trace>>,
        remote: SocketAddr,
    ) -> std::io::Result<Self> {
        let slot = trace.borrow().conversations.len();
        let mut inner = core.borrow_mut();
        let local = inner.begin(remote, trace, slot)?;
        let [iss, ts_offset, ..] = inner.words()?;
        drop(inner);
        let iss = SeqNum(iss);
        let noted = event::Conversation { local, remote, iss, irs: None };
        trace.borrow_mut().conversations.push(noted);
        Ok(Self {
            core: Rc::clone(core),
            trace: Rc::clone(trace),
            slot,
            local,
            remote,
            iss,
            irs: SeqNum(0),
            snd_nxt: iss,
            rcv_nxt: SeqNum(0),
            window: 65535,
            peer: PeerOffer::default(),
            ts_recent: None,
            received: Vec::new(),
            peer_fin: None,
            was_reset: false,
            other_reset: None,
            their_window: 0,
            acked: None,
            early: BTreeMap::new(),
            early_fin: None,
            ts_offset,
            leave: Leave::Quietly,
            established: false,
        })
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.core.borrow().now()
    }

    /// Our timestamp clock, in milliseconds.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // a clock that wraps
    pub fn ts_now(&self) -> u32 {
        self.ts_offset.wrapping_add((self.now().as_nanos() / 1_000_000) as u32)
    }

    /// SND.NXT moves on by so many sequence numbers.
    pub fn advance(&mut self, by: u32) {
        self.snd_nxt += by;
    }

    /// RCV.NXT moves behind the server's FIN, if it came.
    pub fn take_fin(&mut self) {
        if let Some(fin) = self.peer_fin {
            self.rcv_nxt = fin + 1;
        }
    }

    /// Sends a segment. SND.NXT stays where it is.
    pub fn send(&mut self, what: &Seg) {
        let ports = (self.local.port(), self.remote.port());
        let options = self.usual_options(what);
        let segment = what.build(ports, (self.snd_nxt, self.rcv_nxt), self.window, options);
        let mut ip = self.core.borrow_mut().header(self.remote.ip());
        ip.tos = what.tos;
        let Ok(mut bytes) = (Packet { ip, segment }).emit() else { return };
        if what.wrong_checksum {
            let at = bytes.len() - what_len(&bytes) + 16;
            bytes[at] ^= 0x55;
        }
        self.send_packet(bytes, what.label);
    }

    /// Sends data in sequence, and moves SND.NXT.
    pub fn push(&mut self, what: &Seg) {
        self.send(what);
        self.advance(what.len());
    }

    /// Sends these bytes as the IP packet's payload, whatever they are: malformed headers.
    pub fn send_raw(&mut self, segment: &[u8], label: &'static str) {
        let ip = self.core.borrow_mut().header(self.remote.ip());
        if let Ok(bytes) = ip.wrap(segment) {
            self.send_packet(bytes, label);
        }
    }

    /// The bytes of a segment as [`send`](Self::send) would send it, from its TCP header on.
    #[must_use]
    pub fn bytes_of(&self, what: &Seg) -> Vec<u8> {
        let ports = (self.local.port(), self.remote.port());
        let options = self.usual_options(what);
        let segment = what.build(ports, (self.snd_nxt, self.rcv_nxt), self.window, options);
        segment.emit(self.local.ip(), self.remote.ip()).unwrap_or_default()
    }

    /// The same bytes with the right checksum in their place, where they are long enough to have one.
    #[must_use]
    pub fn with_checksum(&self, mut segment: Vec<u8>) -> Vec<u8> {
        if segment.len() >= 18 {
            segment[16..18].fill(0);
            let sum = checksum::tcp(self.local.ip(), self.remote.ip(), &segment);
            segment[16..18].copy_from_slice(&sum.to_be_bytes());
        }
        segment
    }

    /// Tells the server by ICMP that `quoted`, an IP packet of its own, could not be delivered.
    pub fn send_icmp(&mut self, kind: (u8, u8), quoted: &[u8], label: &'static str) {
        let ip = self.core.borrow_mut().header(self.remote.ip());
        if let Ok(bytes) = emit_icmp_error(&ip, kind, quoted) {
            self.send_packet(bytes, label);
        }
    }

    /// Sends an IP packet as it is.
    pub fn send_packet(&mut self, bytes: Vec<u8>, label: &'static str) {
        self.core.borrow_mut().send(self.local.port(), bytes, label);
    }

    fn usual_options(&self, what: &Seg) -> Vec<TcpOption> {
        let Some(echo) = self.ts_recent else { return Vec::new() };
        // RFC 7323 §3.2: on every segment but a RST, once they are agreed on.
        if what.no_timestamps || what.flags.contains(Flags::RST) {
            return Vec::new();
        }
        let value = what.ts_value.unwrap_or_else(|| self.ts_now());
        vec![TcpOption::Nop, TcpOption::Nop, TcpOption::Timestamps { value, echo }]
    }

    /// The next thing that arrives, until `until` at the latest. Data and FIN are counted, nothing is
    /// acknowledged.
    pub async fn next(&mut self, until: Instant) -> Option<Arrival> {
        loop {
            let (core, port) = (Rc::clone(&self.core), self.local.port());
            let arrival = poll_fn(move |_| {
                let mut core = core.borrow_mut();
                if let Some(arrival) = core.next(port) {
                    return Poll::Ready(Some(arrival));
                }
                if core.heard() >= until {
                    return Poll::Ready(None);
                }
                core.wake_at(until);
                Poll::Pending
            })
            .await?;
            match &arrival {
                Arrival::Segment(got) if got.checksum_right == Some(false) => {}
                Arrival::Segment(got) if self.answers_something_else(&got.segment) => {}
                Arrival::Segment(got) if self.is_repeated_syn_ack(&got.segment) => {
                    self.send(&ack().label("our ACK was lost: once more"));
                }
                Arrival::Segment(got) => {
                    self.count(&got.segment);
                    return Some(arrival);
                }
                Arrival::Icmp(..) => return Some(arrival),
            }
        }
    }

    /// As [`next`](Self::next), with ICMP errors passed over.
    pub async fn next_segment(&mut self, until: Instant) -> Option<Got> {
        loop {
            if let Arrival::Segment(got) = self.next(until).await? {
                return Some(got);
            }
        }
    }

    /// The first segment that `wanted` accepts, within `window` from now. Others are counted and
    /// passed over.
    pub async fn expect(
        &mut self,
        window: Duration,
        wanted: impl Fn(&Self, &Segment) -> bool,
    ) -> Option<Got> {
        let until = self.now() + window;
        loop {
            let got = self.next_segment(until).await?;
            if wanted(self, &got.segment) {
                return Some(got);
            }
        }
    }

    /// Everything that arrives within `window` from now.
    pub async fn collect(&mut self, window: Duration) -> Vec<Got> {
        let until = self.now() + window;
        let mut all = Vec::new();
        while let Some(got) = self.next_segment(until).await {
            all.push(got);
        }
        all
    }

    /// As [`collect`](Self::collect), where silence is what should be: it is noted.
    pub async fn listen(&mut self, window: Duration) -> Vec<Got> {
        let all = self.collect(window).await;
        if all.is_empty() {
            self.note_silence(window);
        }
        all
    }

    /// Notes that nothing came for so long.
    pub fn note_silence(&mut self, window: Duration) {
        let stamp = Stamp { at: self.now(), clock: Clock::User };
        let step = Step::Silence(window);
        let entry = Entry { stamp, conversation: self.slot, step, label: "" };
        self.trace.borrow_mut().entries.push(entry);
    }

    /// Waits.
    pub async fn pause(&self, time: Duration) {
        let (core, until) = (Rc::clone(&self.core), self.now() + time);
        super::sleep_until(core, until).await;
    }

    /// Both ends begin anew on the same four-tuple: our next SYN has this number.
    pub fn restart(&mut self, iss: SeqNum) {
        self.iss = iss;
        self.snd_nxt = iss;
        self.rcv_nxt = SeqNum(0);
        self.irs = SeqNum(0);
        self.ts_recent = None;
        self.received.clear();
        self.acked = None;
        self.early.clear();
        self.early_fin = None;
        self.peer_fin = None;
        self.was_reset = false;
        self.established = false;
    }

    /// The highest number that the server acknowledged, once it did.
    #[must_use]
    pub const fn acked(&self) -> Option<SeqNum> {
        self.acked
    }

    /// The window that the server announced last, without scaling.
    #[must_use]
    pub const fn their_window(&self) -> u16 {
        self.their_window
    }

    /// The server's SYN-ACK: from now on its numbers are known.
    pub fn adopt(&mut self, syn_ack: &Segment) {
        self.irs = syn_ack.seq;
        self.their_window = syn_ack.window;
        self.rcv_nxt = syn_ack.seq + 1;
        self.peer = PeerOffer {
            window: syn_ack.window,
            mss: syn_ack.mss(),
            window_scale: syn_ack.window_scale(),
            sack: syn_ack.sack_permitted(),
            timestamps: syn_ack.timestamps().map(|(value, _)| value),
        };
        self.ts_recent = self.peer.timestamps;
        self.leave = Leave::ByReset;
        self.trace.borrow_mut().conversations[self.slot].irs = Some(syn_ack.seq);
    }

    /// The handshake is over: a SYN-ACK that still comes is a repeated one.
    pub fn become_established(&mut self) {
        self.established = true;
    }

    /// There is, or may be, something at the far end that a RST has to clear away.
    pub fn leave_by_reset(&mut self) {
        self.leave = Leave::ByReset;
    }

    /// Nothing is left at the far end: no RST when the conversation ends.
    pub fn leave_quietly(&mut self) {
        self.leave = Leave::Quietly;
    }

    /// Where SEG.SEQ of what they send and SEG.ACK of what we send are counted from.
    #[must_use]
    pub fn notation(&self, segment: &Segment) -> String {
        segment.relative_to(self.irs, self.iss).to_string()
    }

    /// From now on a RST of this number is a late or second answer to an earlier segment of ours.
    pub const fn pass_over_resets_at(&mut self, number: SeqNum) {
        self.other_reset = Some(number);
    }

    fn answers_something_else(&self, segment: &Segment) -> bool {
        segment.has(Flags::RST) && self.other_reset == Some(segment.seq)
    }

    fn is_repeated_syn_ack(&self, segment: &Segment) -> bool {
        self.established
            && segment.has(Flags::SYN | Flags::ACK)
            && segment.seq == self.irs
            && self.received.is_empty()
    }

    /// Data, FIN, RST and timestamps, as a correct end counts them.
    fn count(&mut self, segment: &Segment) {
        if segment.has(Flags::RST) {
            let exact = segment.seq == self.rcv_nxt || self.peer_fin.is_some();
            self.was_reset |= exact;
            return;
        }
        if segment.has(Flags::ACK) {
            self.acked = Some(self.acked.map_or(segment.ack, |acked| acked.later(segment.ack)));
        }
        if segment.has(Flags::SYN) || !self.established {
            return;
        }
        self.their_window = segment.window;
        if let (Some(recent), Some((value, _))) = (self.ts_recent, segment.timestamps())
            && segment.seq.is_at_or_before(self.rcv_nxt)
            && !SeqNum(value).is_before(SeqNum(recent))
        {
            self.ts_recent = Some(value);
        }
        let first = self.irs + 1;
        if !segment.payload.is_empty() {
            let at = segment.seq.offset_from(first);
            // An offset beyond any window is data from before the first byte.
            if at < 1 << 30 {
                self.early.entry(at).or_insert_with(|| segment.payload.clone());
            }
        }
        if segment.has(Flags::FIN) {
            self.early_fin = Some(segment.seq_end() + u32::MAX);
        }
        while let Some((at, payload)) = self.early.pop_first() {
            let at = at as usize;
            if at > self.received.len() {
                #[allow(clippy::cast_possible_truncation)] // it came from there
                self.early.insert(at as u32, payload);
                break;
            }
            if let Some(new) = payload.get(self.received.len() - at..) {
                self.received.extend_from_slice(new);
            }
        }
        let end = first + u32::try_from(self.received.len()).unwrap_or(u32::MAX);
        if self.peer_fin.is_none() {
            self.rcv_nxt = end;
            if self.early_fin == Some(end) {
                self.peer_fin = Some(end);
            }
        }
    }
}

/// Bytes of the TCP segment in an IP packet of ours, which has no options.
fn what_len(packet: &[u8]) -> usize {
    let header = if packet.first().is_some_and(|first| first >> 4 == 6) { 40 } else { 20 };
    packet.len() - header
}

impl Drop for Conversation {
    fn drop(&mut self) {
        if self.leave == Leave::ByReset && !self.was_reset {
            // Exact by what they last acknowledged, where a script did not count what it sent.
            let seq = self.acked.map_or(self.snd_nxt, |acked| acked.later(self.snd_nxt));
            self.send(&rst().seq_at(seq).label("cleaning up"));
        }
        self.core.borrow_mut().end(self.local.port());
    }
}
