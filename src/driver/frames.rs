//! What the capture shows: whose it is, and what becomes of it.

use std::net::SocketAddr;

use super::{Driver, DriverError};
use crate::event::{Event, FlowId, Note, Severity, Sink};
use crate::net::{ChecksumTrust, Dir, Frame, Wire};
use crate::tcp::IcmpVerdict;
use crate::time::Stamp;
use crate::wire::{IcmpError, IpHeader, IpPayload, Packet, Segment, checksum, parse_ip};

impl<W: Wire, S: Sink> Driver<W, S> {
    pub(super) fn handle_frame(&mut self, frame: &Frame) -> Result<(), DriverError> {
        let (ip, payload) = match parse_ip(&frame.bytes) {
            Ok(parsed) => parsed,
            // Not even an IP packet that could be ours: the filter lets odd IPv6 headers through.
            Err(_) => return Ok(()),
        };
        match (payload, frame.dir) {
            (IpPayload::Tcp(bytes), Dir::Tx) => self.handle_copy(&ip, bytes, frame.stamp),
            (IpPayload::Tcp(bytes), Dir::Rx) => self.handle_tcp(&ip, bytes, frame),
            (IpPayload::Icmp(bytes), Dir::Rx) => self.handle_icmp(&ip, bytes, frame.stamp),
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
            self.unmatched += 1;
            return Ok(());
        };
        self.traffic.received += 1;
        let segment = match parsed {
            Ok(segment) => segment,
            Err(error) => {
                self.traffic.rejected += 1;
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
        self.deliver(id, Packet { ip: *ip, segment }, stamp, reason)
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
        stamp: Stamp,
        rejected: Option<&'static str>,
    ) -> Result<(), DriverError> {
        let Some(flow) = self.flows.get_mut(&id) else { return Ok(()) };
        let note = match rejected {
            Some(reason) => {
                flow.rejected(reason);
                Some(Note::Rejected(reason))
            }
            None => flow.receive(&packet, stamp),
        };
        self.traffic.rejected += u64::from(matches!(note, Some(Note::Rejected(_))));
        let event = flow.segment_event(Dir::Rx, stamp, packet, note);
        self.report(id, &event)?;
        self.touch(id)
    }

    fn handle_icmp(
        &mut self,
        ip: &IpHeader,
        bytes: &[u8],
        stamp: Stamp,
    ) -> Result<(), DriverError> {
        let Ok(Some(error)) = IcmpError::parse(ip, bytes) else { return Ok(()) };
        let quote = error.quote;
        let tuple = (
            SocketAddr::new(quote.src, quote.src_port),
            SocketAddr::new(quote.dst, quote.dst_port),
        );
        let Some(&id) = self.by_tuple.get(&tuple) else {
            self.unmatched += 1;
            return Ok(());
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
        self.report(id, &Event::Icmp { at: stamp, error, rejected })?;
        self.touch(id)
    }
}
