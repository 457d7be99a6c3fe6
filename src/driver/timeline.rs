//! The moments of one connection from which its figures are computed.

use crate::event::Measured;
use crate::tcp::TransmitKind;
use crate::time::{Instant, Stamp};
use crate::wire::{Flags, IcmpError, Packet, Segment, SeqNum};

/// Moments of a kind that are kept, however often it happens.
const REMEMBERED: usize = 32;

/// When the segments that matter left and arrived.
///
/// Figures come from stamps of packets only. One that cannot be had is absent: a retransmission
/// makes an interval ambiguous (Karn's algorithm, RFC 6298 §3), because the answer may be to either
/// copy.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// Every SYN that left, in order, with its TSval.
    pub syns: Vec<(Stamp, Option<u32>)>,
    /// Our first SYN.
    pub syn: Option<Packet>,
    /// The first acceptable SYN-ACK, and the SYN that it must be the answer to, where only one was
    /// out when it came.
    pub syn_ack: Option<(Stamp, Packet)>,
    /// The RST that refused or ended the connection.
    pub reset: Option<(Stamp, Packet)>,
    /// Our RST left.
    pub reset_sent: bool,
    /// The peer's first SYN, where it was the peer that opened.
    pub peer_syn: Option<(Stamp, Packet)>,
    /// When its SYN came, the first 32 times.
    pub peer_syns: Vec<Stamp>,
    /// When its FIN came, the first 32 times.
    pub peer_fins: Vec<Stamp>,
    /// The first acknowledgment of our SYN or SYN-ACK.
    pub syn_acked: Option<Stamp>,
    /// Every segment that bore our FIN.
    pub fins: Vec<Stamp>,
    /// The first acknowledgment of our FIN.
    pub fin_ack: Option<Stamp>,
    /// The peer's FIN, the first time that it came.
    pub peer_fin: Option<Stamp>,
    /// Whether the peer's FIN and its acknowledgment of ours were one segment.
    pub merged: bool,
    /// Whether both FINs crossed: each left before the other was acknowledged.
    pub crossed: bool,
    /// Whether our FIN left behind the peer's and acknowledged it: they closed first. By sequence
    /// numbers, since both may bear the same time.
    pub answered: bool,
    /// Times that the peer's FIN came again in TIME-WAIT, and was acknowledged again.
    pub peer_fin_repeats: u32,
    /// Segments of the peer with data of which all had been received before.
    pub peer_data_repeats: u32,
    /// The first segment of ours that bore data, and how many bore repeated data.
    pub first_data: Option<Stamp>,
    /// Data segments sent again.
    pub data_repeats: u32,
    /// The acknowledgment that covers all data sent so far.
    pub data_acked: Option<Stamp>,
    /// Payload bytes that were sent for the first time.
    pub bytes_sent: u64,
    /// Payload bytes received that came after our FIN left.
    pub bytes_after_fin: u64,
    /// Payload bytes received in segments that acknowledge our FIN: sent by an end that had seen it.
    pub bytes_after_fin_seen: u64,
    /// Whether data of ours was acknowledged behind the peer's FIN: it still received.
    pub acked_after_peer_fin: bool,
    /// ICMP errors that were not rejected, the first 32 of them.
    pub icmp: Vec<(Stamp, IcmpError)>,
    /// Why the last segment that was not accepted was rejected.
    pub last_rejection: Option<&'static str>,
    /// Segments that were not accepted.
    pub rejections: u32,
    /// SEG.SEQ just behind our FIN, once it left.
    fin_end: Option<SeqNum>,
    /// SEG.SEQ just behind the peer's FIN, once it came.
    peer_fin_end: Option<SeqNum>,
    /// SEG.SEQ just behind the last data sent.
    data_end: Option<SeqNum>,
}

impl Timeline {
    /// A segment of ours left.
    pub(super) fn sent(&mut self, packet: &Packet, kind: TransmitKind, stamp: Stamp) {
        let segment = &packet.segment;
        let again = matches!(kind, TransmitKind::Retransmission(_));
        self.reset_sent |= segment.has(Flags::RST);
        if segment.has(Flags::SYN) {
            self.syns.push((stamp, segment.timestamps().map(|(value, _)| value)));
            self.syn.get_or_insert_with(|| packet.clone());
        }
        if !segment.payload.is_empty() {
            if again {
                self.data_repeats += 1;
            } else {
                self.first_data.get_or_insert(stamp);
                self.bytes_sent += segment.payload.len() as u64;
                let data_len = u32::try_from(segment.payload.len()).unwrap_or(u32::MAX);
                self.data_end = Some(segment.seq + data_len);
                self.data_acked = None;
            }
        }
        if segment.has(Flags::FIN) {
            // Theirs was out before ours: ours answers it, or does not know of it, and they cross.
            if let (true, Some(end)) = (self.fins.is_empty(), self.peer_fin_end) {
                self.answered = segment.ack.is_at_or_after(end);
                self.crossed |= !self.answered;
            }
            self.fins.push(stamp);
            self.fin_end = Some(segment.seq_end());
        }
    }

    /// A segment that was taken to have left at `believed` left at `stamp`.
    pub(super) fn left_late(&mut self, believed: Instant, stamp: Stamp) {
        let syns = self.syns.iter_mut().map(|(sent, _)| sent);
        let all = syns.chain(&mut self.fins).chain(&mut self.first_data);
        for sent in all.filter(|sent| sent.at == believed) {
            *sent = stamp;
        }
    }

    /// A segment that the machine accepted (or that was held back from it) arrived.
    pub(super) fn received(&mut self, packet: &Packet, stamp: Stamp) {
        let segment = &packet.segment;
        if segment.has(Flags::RST) {
            self.reset.get_or_insert_with(|| (stamp, packet.clone()));
            return;
        }
        if segment.has(Flags::SYN | Flags::ACK) {
            self.syn_ack.get_or_insert_with(|| (stamp, packet.clone()));
        } else if segment.has(Flags::SYN) {
            self.peer_syn.get_or_insert_with(|| (stamp, packet.clone()));
        }
        self.note_repeatable(segment, stamp);
        if self.syn_acked.is_none()
            && acks(segment, self.syn.as_ref().map(|syn| syn.segment.seq + 1))
        {
            self.syn_acked = Some(stamp);
        }
        if self.peer_fin.is_some() && acks(segment, self.data_end) && self.data_acked.is_none() {
            self.acked_after_peer_fin = true;
        }
        if self.data_acked.is_none() && acks(segment, self.data_end) {
            self.data_acked = Some(stamp);
        }
        let acks_fin = acks(segment, self.fin_end);
        if !self.fins.is_empty() {
            self.bytes_after_fin += segment.payload.len() as u64;
        }
        if acks_fin {
            self.bytes_after_fin_seen += segment.payload.len() as u64;
        }
        let first_fin = segment.has(Flags::FIN) && self.peer_fin.is_none();
        if acks_fin && self.fin_ack.is_none() {
            self.fin_ack = Some(stamp);
            self.merged = first_fin;
        }
        if first_fin {
            self.crossed |= !self.fins.is_empty() && !acks_fin && self.fin_ack.is_none();
            self.peer_fin = Some(stamp);
            self.peer_fin_end = Some(segment.seq_end());
        }
    }

    /// A segment arrived of which everything had been received before; `lingering` in TIME-WAIT.
    pub(super) fn repeated(&mut self, segment: &Segment, stamp: Stamp, lingering: bool) {
        self.peer_fin_repeats += u32::from(lingering && segment.has(Flags::FIN));
        self.peer_data_repeats += u32::from(!segment.payload.is_empty());
        self.note_repeatable(segment, stamp);
    }

    /// Keeps when the segments came whose repetitions show the peer's patience.
    fn note_repeatable(&mut self, segment: &Segment, stamp: Stamp) {
        let note = |stamps: &mut Vec<Stamp>| {
            if stamps.len() < REMEMBERED {
                stamps.push(stamp);
            }
        };
        if segment.has(Flags::SYN) && !segment.has(Flags::ACK) {
            note(&mut self.peer_syns);
        }
        if segment.has(Flags::FIN) {
            note(&mut self.peer_fins);
        }
    }

    pub(super) fn icmp(&mut self, error: IcmpError, stamp: Stamp) {
        if self.icmp.len() < REMEMBERED {
            self.icmp.push((stamp, error));
        }
    }

    pub(super) fn rejected(&mut self, reason: &'static str) {
        self.last_rejection = Some(reason);
        self.rejections += 1;
    }

    /// From our SYN to its SYN-ACK, or to the RST that refused it.
    ///
    /// Where the SYN left more than once, the answer counts only if its TSecr is the TSval of the
    /// last one: an echo of an earlier one may belong to an answer that was itself repeated.
    ///
    /// # Errors
    /// Why there is no such interval although an answer came.
    pub fn rtt(&self) -> Result<Option<Measured>, &'static str> {
        let refusal = self.reset.as_ref().filter(|_| self.syn_ack.is_none());
        let Some((answered, packet)) = self.syn_ack.as_ref().or(refusal) else { return Ok(None) };
        let before: Vec<_> = self.syns.iter().filter(|(sent, _)| sent.at <= answered.at).collect();
        match before.as_slice() {
            [] => Ok(None),
            [(only, _)] => Ok(Some(between(*only, *answered))),
            [.., (last, value)] => match (value, packet.segment.timestamps()) {
                (Some(value), Some((_, echo))) if *value == echo => {
                    Ok(Some(between(*last, *answered)))
                }
                _ => {
                    Err("the SYN was sent more than once, and nothing in the answer says to which \
                          of them it belongs (Karn's algorithm)")
                }
            },
        }
    }

    /// From our SYN-ACK to its acknowledgment, where it was the peer that opened.
    #[must_use]
    pub fn rtt_of_passive_open(&self) -> Option<Measured> {
        match (self.syns.as_slice(), self.syn_acked) {
            ([(only, _)], Some(acked)) => Some(between(*only, acked)),
            _ => None,
        }
    }

    /// From our FIN to the acknowledgment of it: the peer's kernel.
    #[must_use]
    pub fn ack_of_fin(&self) -> Option<Measured> {
        match (self.fins.as_slice(), self.fin_ack) {
            ([only], Some(acked)) => Some(between(*only, acked)),
            _ => None,
        }
    }

    /// From the acknowledgment of our FIN to the peer's FIN: its application.
    #[must_use]
    pub fn close_wait(&self) -> Option<Measured> {
        let (acked, fin) = (self.fin_ack?, self.peer_fin?);
        (fin.at >= acked.at).then(|| between(acked, fin))
    }

    /// From the first data segment to the acknowledgment of all of it.
    #[must_use]
    pub fn ack_of_data(&self) -> Option<Measured> {
        (self.data_repeats == 0).then_some(())?;
        Some(between(self.first_data?, self.data_acked?))
    }
}

fn acks(segment: &Segment, end: Option<SeqNum>) -> bool {
    end.is_some_and(|end| segment.has(Flags::ACK) && segment.ack.is_at_or_after(end))
}

/// The interval between two stamps, which is as good as the worse of their clocks.
fn between(from: Stamp, to: Stamp) -> Measured {
    Measured { value: to.at.since(from.at), clock: from.clock.max(to.clock) }
}
