//! What the capture shows: whose it is, and what becomes of it.

use std::borrow::Cow;
use std::net::SocketAddr;

use super::{Driver, DriverError};
use crate::event::{Event, FlowId, Note, PacketEvent, Severity, Sink};
use crate::net::{ChecksumTrust, Dir, Frame, Wire};
use crate::tcp::IcmpVerdict;
use crate::wire::{IcmpError, IpHeader, IpPayload, Packet, Segment, checksum, parse_ip};

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
        let Some((id, ours)) = ports.and_then(|(from, to)| self.find(ip, from, to)) else {
            return self.report_stray(frame, UNCLAIMED.into());
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
        let vouched = frame.checksum == ChecksumTrust::Vouched;
        let reason = if !ours {
            Some("from an address or port that we did not probe")
        } else if !vouched && !checksum::tcp_is_right(ip.src, ip.dst, bytes) {
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

    /// The flow of a packet, and whether it really is from whom the flow talks to. A packet for one
    /// of our ports from somebody else is shown with the flow whose port it is.
    fn find(&self, ip: &IpHeader, from: u16, to: u16) -> Option<(FlowId, bool)> {
        let local = SocketAddr::new(ip.dst, to);
        if let Some(&id) = self.by_tuple.get(&(local, SocketAddr::new(ip.src, from))) {
            return Some((id, true));
        }
        let mut same_port = self.by_tuple.iter().filter(|((ours, _), _)| *ours == local);
        match (same_port.next(), same_port.next()) {
            (Some((_, &id)), None) => Some((id, false)),
            _ => None,
        }
    }

    fn deliver(
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
        let tuple = (
            SocketAddr::new(quote.src, quote.src_port),
            SocketAddr::new(quote.dst, quote.dst_port),
        );
        let Some(&id) = self.by_tuple.get(&tuple) else {
            return self.report_stray(frame, UNCLAIMED.into());
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
    fn report_stray(
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

fn is_v4(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first >> 4 == 4)
}
