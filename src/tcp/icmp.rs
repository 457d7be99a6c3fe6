//! ICMP errors about our segments (RFC 9293 §3.9.2.2, RFC 5927).

use std::net::IpAddr;

use super::connection::Connection;
use super::outcome::IcmpVerdict;
use super::state::{Cause, State};
use crate::time::Instant;
use crate::wire::{IcmpError, IcmpKind};

/// The smallest MTU that is believed: every host takes a packet of this size (RFC 9293 §3.7.1, RFC
/// 8200 §5), and a forger who names less wants us to crawl.
const LEAST_MTU_V4: u32 = 576;
/// See [`LEAST_MTU_V4`].
const LEAST_MTU_V6: u32 = 1280;

impl Connection {
    /// An ICMP error that quotes a segment of ours arrived.
    ///
    /// It counts only if the quoted sequence number is in flight, `SND.UNA ≤ SEQ < SND.NXT`, which
    /// an outsider would have to guess (RFC 5927 §4.1). A hard error (nobody speaks TCP there, or a
    /// firewall says no) ends an attempt in SYN-SENT; a soft one never does (MUST-56). On a
    /// connection that got further, none ends anything (RFC 5927 §5.2).
    pub fn handle_icmp(&mut self, error: &IcmpError, now: Instant) -> IcmpVerdict {
        let quote = &error.quote;
        if quote.src_port != self.config.local_port || quote.dst_port != self.remote_port {
            return IcmpVerdict::Rejected("it quotes another connection");
        }
        if matches!(self.state, State::Closed | State::Listen) {
            return IcmpVerdict::Rejected("no such connection");
        }
        if !quote.seq.in_window(self.send.una, self.send.flight()) {
            return IcmpVerdict::Rejected("the quoted segment is not in flight (RFC 5927 4.1)");
        }
        match error.kind {
            IcmpKind::PortUnreachable | IcmpKind::Prohibited if self.state == State::SynSent => {
                self.end_connection(Cause::Icmp, now);
                IcmpVerdict::Aborted
            }
            IcmpKind::TooBig(mtu) => {
                self.shrink_segments(mtu, quote.src);
                IcmpVerdict::Noted
            }
            _ => IcmpVerdict::Noted,
        }
    }

    /// The path takes no packet above `mtu` bytes (RFC 1191, RFC 8201): later segments, and what is
    /// sent again, are cut to fit. 0, from a router that does not say, means the least.
    fn shrink_segments(&mut self, mtu: u32, ours: IpAddr) {
        let (least, headers) = match ours {
            IpAddr::V4(_) => (LEAST_MTU_V4, 40),
            IpAddr::V6(_) => (LEAST_MTU_V6, 60),
        };
        let payload = u16::try_from(mtu.max(least) - headers).unwrap_or(u16::MAX);
        self.agreed.send_mss = self.agreed.send_mss.min(payload);
    }
}
