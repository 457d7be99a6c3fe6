//! Frames of which all but a few words are the same for every target.

use std::net::IpAddr;

use super::space::Target;
use super::sum::Sum;
use crate::wire::{Flags, HEADER_LEN, SeqNum, TcpOption, emit_options};

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP: u8 = 6;
/// NOP, NOP and the timestamps option: what a segment after the handshake carries, as Linux writes it.
const STAMPS_LEN: usize = 12;
/// The largest shift that RFC 7323 §2.3 allows.
const MAX_WINDOW_SCALE: u8 = 14;

/// What our SYN offers, and how it travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer {
    /// MSS; `None` leaves the option out.
    pub mss: Option<u16>,
    /// The shift that will scale our windows; `None` leaves the option out.
    pub wscale: Option<u8>,
    /// SACK-permitted.
    pub sack: bool,
    /// Timestamps.
    pub timestamps: bool,
    /// ECN, by ECE and CWR (RFC 3168 §6.1.1). Only negotiated: we never mark packets.
    pub ecn: bool,
    /// The window in the SYN, unscaled.
    pub window: u16,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// DSCP and ECN, or the traffic class.
    pub tos: u8,
}

/// Like a current Linux over Ethernet: a bare SYN is dropped by some firewalls.
impl Default for Offer {
    fn default() -> Self {
        Self {
            mss: Some(1460),
            wscale: Some(7),
            sack: true,
            timestamps: true,
            ecn: false,
            window: 64240,
            ttl: 64,
            tos: 0,
        }
    }
}

impl Offer {
    /// The options of the SYN, in Linux's order and with its padding.
    #[must_use]
    pub fn options(&self, tsval: u32) -> Vec<TcpOption> {
        let mut options: Vec<_> = self.mss.map(TcpOption::Mss).into_iter().collect();
        // Without SACK-permitted in front, or without timestamps behind it, two NOPs fill the word.
        if self.sack != self.timestamps {
            options.extend([TcpOption::Nop, TcpOption::Nop]);
        }
        if self.sack {
            options.push(TcpOption::SackPermitted);
        }
        if self.timestamps {
            options.push(TcpOption::Timestamps { value: tsval, echo: 0 });
        }
        if let Some(shift) = self.wscale {
            options.extend([TcpOption::Nop, TcpOption::WindowScale(shift.min(MAX_WINDOW_SCALE))]);
        }
        options
    }

    /// The control bits of the SYN.
    #[must_use]
    pub const fn flags(&self) -> Flags {
        if self.ecn { Flags::SYN.union(Flags::ECE).union(Flags::CWR) } else { Flags::SYN }
    }
}

/// A segment after the SYN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply<'a> {
    /// Our port.
    pub source_port: u16,
    /// To whom.
    pub target: Target,
    /// The control bits.
    pub flags: Flags,
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK.
    pub ack: SeqNum,
    /// SEG.WND as it stands in the header.
    pub window: u16,
    /// TSval and TSecr; `None` leaves the option out.
    pub timestamps: Option<(u32, u32)>,
    /// The data.
    pub payload: &'a [u8],
}

/// The frames from one source address: link header, IP and TCP built once, the checksums of what never
/// changes summed once. Nothing is allocated per packet.
///
/// The IPv4 identification and the IPv6 flow label are hashes of what the packet says, never 0: the one
/// so that nobody downstream fills it in, the other because 0 means "not labelled" (RFC 6437 §2); the
/// label is the same for every packet of a connection.
#[derive(Clone, Debug)]
pub struct Template {
    source: IpAddr,
    /// Link header, IP header and the SYN, zero wherever a packet has something of its own.
    frame: Box<[u8]>,
    /// Bytes in front of the IP header.
    link: usize,
    /// Bytes of the IP header.
    ip: usize,
    /// Where TSval lies in the TCP header.
    tsval_at: Option<usize>,
    /// The IPv4 header, its total length left out.
    header: Sum,
    /// The pseudo-header, the target and the length left out.
    pseudo: Sum,
    /// The pseudo-header and all of the SYN that is always the same.
    syn: Sum,
}

impl Template {
    /// Frames that begin with `link` (nothing where there is no link header) and come from `source`.
    #[must_use]
    pub fn new(link: &[u8], source: IpAddr, offer: &Offer) -> Self {
        let options = offer.options(0);
        let tsval_at = tsval_at(&options);
        let tcp = syn(offer, &emit_options(&options));
        let header = ip_header(source, offer);
        let pseudo = match source {
            IpAddr::V4(source) => Sum::default().bytes(&source.octets()),
            IpAddr::V6(source) => Sum::default().bytes(&source.octets()),
        }
        .word(TCP.into());
        Self {
            source,
            frame: [link, &header, &tcp].concat().into(),
            link: link.len(),
            ip: header.len(),
            tsval_at,
            header: Sum::default().bytes(&header),
            pseudo,
            syn: pseudo.word(length(tcp.len())).bytes(&tcp),
        }
    }

    /// Writes the SYN to `target` into `out` and says how many bytes it takes, link header included.
    ///
    /// `tsval` is left out where timestamps are not offered. 0 where `out` is too short or the target
    /// is of the other address family.
    #[must_use]
    pub fn syn(
        &self,
        out: &mut [u8],
        source_port: u16,
        target: Target,
        isn: SeqNum,
        tsval: u32,
    ) -> usize {
        let total = self.frame.len();
        let Some(out) = out.get_mut(..total) else { return 0 };
        out.copy_from_slice(&self.frame);
        let (front, tcp) = out.split_at_mut(self.link + self.ip);
        let route = Route { source_port, target };
        let Some(address) = self.address(&mut front[self.link..], route, isn, tcp.len()) else {
            return 0;
        };
        let mut sum = self.syn.words(address).words(route.ports()).words(isn.0);
        tcp[..4].copy_from_slice(&route.ports().to_be_bytes());
        tcp[4..8].copy_from_slice(&isn.0.to_be_bytes());
        if let Some(at) = self.tsval_at {
            tcp[at..at + 4].copy_from_slice(&tsval.to_be_bytes());
            // At an odd place the sum would have to be turned; Linux's order gives an even one.
            sum = sum.words(tsval);
        }
        tcp[16..18].copy_from_slice(&sum.checksum().to_be_bytes());
        total
    }

    /// Writes a segment after the SYN into `out`, as [`syn`](Self::syn) does.
    #[must_use]
    pub fn segment(&self, out: &mut [u8], reply: &Reply<'_>) -> usize {
        let options = if reply.timestamps.is_some() { STAMPS_LEN } else { 0 };
        let header = HEADER_LEN + options;
        let segment = header + reply.payload.len();
        if self.ip + segment > usize::from(u16::MAX) {
            return 0;
        }
        let front = self.link + self.ip;
        let Some(out) = out.get_mut(..front + segment) else { return 0 };
        let (ahead, tcp) = out.split_at_mut(front);
        ahead.copy_from_slice(&self.frame[..front]);
        let route = Route { source_port: reply.source_port, target: reply.target };
        let number = reply.seq + reply.ack.0;
        let Some(address) = self.address(&mut ahead[self.link..], route, number, segment) else {
            return 0;
        };
        tcp[..4].copy_from_slice(&route.ports().to_be_bytes());
        tcp[4..8].copy_from_slice(&reply.seq.0.to_be_bytes());
        tcp[8..12].copy_from_slice(&reply.ack.0.to_be_bytes());
        tcp[12..14].copy_from_slice(&offset_and_flags(header, reply.flags).to_be_bytes());
        tcp[14..16].copy_from_slice(&reply.window.to_be_bytes());
        tcp[16..20].fill(0);
        if let Some((tsval, tsecr)) = reply.timestamps {
            tcp[20..24].copy_from_slice(&[1, 1, 8, 10]);
            tcp[24..28].copy_from_slice(&tsval.to_be_bytes());
            tcp[28..32].copy_from_slice(&tsecr.to_be_bytes());
        }
        tcp[header..].copy_from_slice(reply.payload);
        let sum = self.pseudo.words(address).word(length(segment)).bytes(tcp);
        tcp[16..18].copy_from_slice(&sum.checksum().to_be_bytes());
        front + segment
    }

    /// Fills in what of the IP header is the packet's own, and gives the target's address as a sum for
    /// the pseudo-header; `None` for an address of the other family.
    #[inline]
    fn address(&self, ip: &mut [u8], route: Route, number: SeqNum, segment: usize) -> Option<u32> {
        match (self.source, route.target.addr) {
            (IpAddr::V4(_), IpAddr::V4(to)) => {
                let total = length(IPV4_HEADER + segment);
                let (id, to) = (identification(number), to.octets());
                let address = u32::from_be_bytes(to);
                ip[2..4].copy_from_slice(&total.to_be_bytes());
                ip[4..6].copy_from_slice(&id.to_be_bytes());
                ip[16..20].copy_from_slice(&to);
                let sum = self.header.word(total).word(id).words(address);
                ip[10..12].copy_from_slice(&sum.checksum().to_be_bytes());
                Some(address)
            }
            (IpAddr::V6(_), IpAddr::V6(to)) => {
                let to = to.octets();
                let label = self.flow_label(route.source_port, route.target).to_be_bytes();
                // The first four bits of the label's 24 are the traffic class's last.
                ip[1] |= label[1];
                ip[2..4].copy_from_slice(&label[2..]);
                ip[4..6].copy_from_slice(&length(segment).to_be_bytes());
                ip[24..40].copy_from_slice(&to);
                Some(Sum::default().bytes(&to).folded().into())
            }
            _ => None,
        }
    }

    /// The IPv6 flow label of all packets from this port to this target; 0 in IPv4, which has none.
    #[must_use]
    pub fn flow_label(&self, source_port: u16, target: Target) -> u32 {
        let IpAddr::V6(to) = target.addr else { return 0 };
        let bits = to.to_bits();
        #[allow(clippy::cast_possible_truncation)] // the two halves
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        let ports = u64::from(source_port) << 16 | u64::from(target.port);
        // Fibonacci hashing: the high bits of the product depend on all of the low ones.
        let golden = 0x9e37_79b9_7f4a_7c15_u64;
        let mixed = (high ^ ports << 32).wrapping_mul(golden) ^ low;
        let label = (mixed ^ mixed >> 32).wrapping_mul(golden) >> 44;
        u32::try_from(label.max(1)).unwrap_or(1)
    }
}

/// The IPv4 identification of a segment with these numbers in it: never 0.
#[must_use]
pub const fn identification(number: SeqNum) -> u16 {
    let [a, b, c, d] = number.0.to_be_bytes();
    let id = u16::from_be_bytes([a, b]) ^ u16::from_be_bytes([c, d]);
    if id == 0 { 1 } else { id }
}

/// From which port to which target.
#[derive(Clone, Copy)]
struct Route {
    source_port: u16,
    target: Target,
}

impl Route {
    /// The first word of the TCP header.
    fn ports(self) -> u32 {
        u32::from(self.source_port) << 16 | u32::from(self.target.port)
    }
}

/// A length field. What is built here is shorter than 2^16: see [`Template::segment`].
fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

fn offset_and_flags(header: usize, flags: Flags) -> u16 {
    // At most 60 bytes: 15 words.
    (length(header) / 4) << 12 | flags.bits()
}

/// Where TSval lies in a header with these options.
fn tsval_at(options: &[TcpOption]) -> Option<usize> {
    let before =
        options.iter().position(|option| matches!(option, TcpOption::Timestamps { .. }))?;
    Some(HEADER_LEN + options[..before].iter().map(TcpOption::len).sum::<usize>() + 2)
}

/// The SYN without ports, sequence number, TSval and checksum.
fn syn(offer: &Offer, options: &[u8]) -> Vec<u8> {
    let mut tcp = vec![0; HEADER_LEN];
    let words = offset_and_flags(HEADER_LEN + options.len(), offer.flags());
    tcp[12..14].copy_from_slice(&words.to_be_bytes());
    tcp[14..16].copy_from_slice(&offer.window.to_be_bytes());
    tcp.extend_from_slice(options);
    tcp
}

/// The IP header without lengths, target, checksum, identification and flow label.
fn ip_header(source: IpAddr, offer: &Offer) -> Vec<u8> {
    match source {
        IpAddr::V4(source) => {
            let mut ip = vec![0; IPV4_HEADER];
            ip[0] = 0x45;
            ip[1] = offer.tos;
            ip[6] = 0x40; // don't fragment
            ip[8] = offer.ttl;
            ip[9] = TCP;
            ip[12..16].copy_from_slice(&source.octets());
            ip
        }
        IpAddr::V6(source) => {
            let mut ip = vec![0; IPV6_HEADER];
            ip[0] = 0x60 | offer.tos >> 4;
            ip[1] = offer.tos << 4;
            ip[6] = TCP;
            ip[7] = offer.ttl;
            ip[8..24].copy_from_slice(&source.octets());
            ip
        }
    }
}

#[cfg(test)]
mod tests;
