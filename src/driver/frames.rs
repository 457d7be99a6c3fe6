//! What the capture shows: whose it is, and what becomes of it.

use std::borrow::Cow;
use std::net::SocketAddr;

use super::claims::{Claim, Hint, Over, Tuple};
use super::copies::Pending;
use super::{Driver, DriverError};
use crate::event::{Event, FlowId, Note, PacketEvent, SegmentEvent, Severity, Sink};
use crate::net::{ChecksumTrust, Dir, Frame, Wire};
use crate::tcp::{IcmpVerdict, TransmitKind};
use crate::wire::{
    Flags, IcmpError, IpHeader, IpPayload, Packet, Segment, SeqNum, checksum, parse_ip,
};

/// What a packet is that came to one of our ports for no connection that is open.
const UNCLAIMED: &str = "of no connection of this run, or no longer";

impl<W: Wire, S: Sink> Driver<W, S> {
    pub(super) fn handle_frame(&mut self, frame: &Frame) -> Result<(), DriverError> {
        let (ip, payload) = match parse_ip(&frame.bytes) {
            Ok(parsed) => parsed,
            // The filter has compared addresses and ports, unless odd IPv6 headers hide them.
            Err(error) if is_v4(&frame.bytes) => {
                return self.report_stray(frame, format!("rejected: {error}").into());
            }
            Err(_) => return Ok(()),
        };
        match (payload, frame.dir) {
            (IpPayload::Tcp(bytes), Dir::Tx) => self.handle_copy(&ip, bytes, frame),
            (IpPayload::Tcp(bytes), Dir::Rx) => self.handle_tcp(&ip, bytes, frame),
            (IpPayload::Icmp(bytes), Dir::Rx) => self.handle_icmp(&ip, bytes, frame),
            _ => Ok(()),
        }
    }

    fn handle_tcp(
        &mut self,
        ip: &IpHeader,
        bytes: &[u8],
        frame: &Frame,
    ) -> Result<(), DriverError> {
        let stamp = frame.stamp;
        let parsed = Segment::parse(bytes);
        let ports = match (&parsed, bytes) {
            (Ok(segment), _) => Some((segment.src_port, segment.dst_port)),
            (Err(_), &[a, b, c, d, ..]) => {
                Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
            }
            _ => None,
        };
        let hint = parsed.as_ref().map_or(Hint::None, Hint::of);
        let tuple =
            |(from, to)| Tuple::new(SocketAddr::new(ip.dst, to), SocketAddr::new(ip.src, from));
        let (id, ours) = match ports.and_then(|ports| self.claims.find(tuple(ports), hint)) {
            Some(Claim::Open(id)) if !parsed.as_ref().is_ok_and(|it| self.opens_anew(id, it)) => {
                (id, true)
            }
            Some(Claim::Over(over)) => return self.handle_over(over, ip, bytes, frame),
            claim => {
                let listens = ports.is_some_and(|(_, to)| self.listener.hears(ip.dst, to));
                match (claim, &parsed) {
                    (_, Ok(segment)) if listens => {
                        return self.arrived(ip, segment.clone(), bytes, frame);
                    }
                    (Some(Claim::Foreign(id)), _) if !listens => (id, false),
                    _ => return self.report_stray(frame, UNCLAIMED.into()),
                }
            }
        };
        self.traffic.received += 1;
        let segment = match parsed {
            Ok(segment) => segment,
            Err(error) => {
                self.traffic.rejected += 1;
                self.report_packet(id, frame, "rejected: malformed".into())?;
                let text = format!("rejected a packet from {}: {error}", ip.src);
                return self.notice(id, stamp.at, Severity::Warning, "malformed", text);
            }
        };
        let reason = if !ours {
            Some("from an address or port that we did not probe")
        } else if !is_intact(ip, bytes, frame) {
            Some("wrong checksum (RFC 9293 MUST-3)")
        } else {
            None
        };
        // Whatever of ours is still without its copy left before this arrived.
        if reason.is_none() {
            self.flush_answered(id, &segment, stamp.at)?;
        }
        self.deliver(id, Packet { ip: *ip, segment }, frame, reason)
    }

    /// A segment for a connection that is over: recognised, reported, and answered as by CLOSED.
    fn handle_over(
        &mut self,
        over: Over,
        ip: &IpHeader,
        bytes: &[u8],
        frame: &Frame,
    ) -> Result<(), DriverError> {
        self.traffic.received += 1;
        let Ok(segment) = Segment::parse(bytes) else { return Ok(()) };
        if !is_intact(ip, bytes, frame) {
            return self.report_stray(frame, "rejected: wrong checksum".into());
        }
        let event = SegmentEvent {
            dir: Dir::Rx,
            stamp: frame.stamp,
            seq_origin: segment.seq,
            ack_origin: segment.ack - 1,
            packet: Packet { ip: *ip, segment: segment.clone() },
            note: Some(Note::Late),
            bytes: Some(frame.bytes.clone()),
        };
        self.report(over.flow, &Event::Segment(Box::new(event)))?;
        if segment.has(Flags::RST) { Ok(()) } else { self.reset_late(over, ip, &segment) }
    }

    /// What CLOSED sends to a segment that is no RST (RFC 9293 §3.10.7.1).
    fn reset_late(
        &mut self,
        over: Over,
        ip: &IpHeader,
        segment: &Segment,
    ) -> Result<(), DriverError> {
        let (seq, ack, flags) = if segment.has(Flags::ACK) {
            (segment.ack, SeqNum::default(), Flags::RST)
        } else {
            (SeqNum::default(), segment.seq_end(), Flags::RST | Flags::ACK)
        };
        let (src_port, dst_port) = (segment.dst_port, segment.src_port);
        let reset = Segment { src_port, dst_port, seq, ack, flags, ..Segment::default() };
        let header = IpHeader {
            src: ip.dst,
            dst: ip.src,
            ttl: over.ttl,
            tos: over.tos,
            // Never 0, which would ask the kernel to choose one; nor twice the same in a row.
            id: if ip.src.is_ipv4() { ((seq.0 ^ segment.seq.0) as u16).max(1) } else { 0 },
            dont_fragment: true,
            flow_label: 0,
        };
        let packet = Packet { ip: header, segment: reset };
        let to = SocketAddr::new(ip.src, dst_port);
        let bytes = packet.emit()?;
        let (flow, kind, sent_at) = (over.flow, TransmitKind::Reset, self.wire.now());
        self.send(to, &bytes, Pending { flow, packet, kind, sent_at })
    }

    pub(super) fn deliver(
        &mut self,
        id: FlowId,
        packet: Packet,
        frame: &Frame,
        rejected: Option<&'static str>,
    ) -> Result<(), DriverError> {
        let stamp = frame.stamp;
        let Some(flow) = self.flows.get_mut(&id) else { return Ok(()) };
        let note = match rejected {
            Some(reason) => {
                flow.rejected(reason);
                Some(Note::Rejected(reason))
            }
            None => flow.receive(&packet, stamp),
        };
        self.traffic.rejected += u64::from(matches!(note, Some(Note::Rejected(_))));
        let bytes = Some(frame.bytes.clone());
        let event = flow.segment_event(Dir::Rx, stamp, packet, note, bytes);
        self.report(id, &event)?;
        self.touch(id)
    }

    fn handle_icmp(
        &mut self,
        ip: &IpHeader,
        bytes: &[u8],
        frame: &Frame,
    ) -> Result<(), DriverError> {
        let stamp = frame.stamp;
        let Ok(Some(error)) = IcmpError::parse(ip, bytes) else { return Ok(()) };
        let quote = error.quote;
        let tuple = Tuple::new(
            SocketAddr::new(quote.src, quote.src_port),
            SocketAddr::new(quote.dst, quote.dst_port),
        );
        let id = match self.claims.find(tuple, Hint::Quote(quote.seq)) {
            Some(Claim::Open(id)) => id,
            Some(Claim::Over(over)) => {
                let (at, bytes) = (stamp, frame.bytes.clone());
                return self.report(over.flow, &Event::Icmp { at, error, rejected: None, bytes });
            }
            Some(Claim::Foreign(_)) | None => return self.report_stray(frame, UNCLAIMED.into()),
        };
        let Some(flow) = self.flows.get_mut(&id) else { return Ok(()) };
        let rejected = match flow.connection.handle_icmp(&error, stamp.at) {
            IcmpVerdict::Rejected(reason) => Some(reason),
            IcmpVerdict::Noted | IcmpVerdict::Aborted => {
                flow.timeline.icmp(error, stamp);
                None
            }
        };
        // What it quotes was sent before it came, whether or not it really left.
        self.flush_copies(|pending| pending.flow == id)?;
        let bytes = frame.bytes.clone();
        self.report(id, &Event::Icmp { at: stamp, error, rejected, bytes })?;
        self.touch(id)
    }

    /// A packet that came to one of our ports and belongs to no flow.
    pub(super) fn report_stray(
        &mut self,
        frame: &Frame,
        remark: Cow<'static, str>,
    ) -> Result<(), DriverError> {
        self.unmatched += 1;
        self.report_packet(FlowId::default(), frame, remark)
    }

    /// A packet for whoever keeps packets.
    pub(super) fn report_packet(
        &mut self,
        id: FlowId,
        frame: &Frame,
        remark: Cow<'static, str>,
    ) -> Result<(), DriverError> {
        let Frame { dir, stamp, ref bytes, .. } = *frame;
        let packet = PacketEvent { dir, stamp, bytes: bytes.clone(), remark };
        self.report(id, &Event::Packet(Box::new(packet)))
    }
}

/// Whether the segment's checksum is right, as far as it can be judged.
pub(super) fn is_intact(ip: &IpHeader, bytes: &[u8], frame: &Frame) -> bool {
    frame.checksum == ChecksumTrust::Vouched || checksum::tcp_is_right(ip.src, ip.dst, bytes)
}

fn is_v4(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first >> 4 == 4)
}
