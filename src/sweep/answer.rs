//! Which packets answer our probes, by nothing but what they say.
//!
//! # What an answer has to prove
//! Nothing is remembered of a probe, so every answer carries its own proof: the number that it
//! acknowledges, or quotes, is one that [`Cookie`] gives for its four-tuple. A SYN-ACK must acknowledge
//! exactly ISN + 1. A RST must carry ACK and acknowledge a number that we have sent, or ISN, as some
//! stacks do. A segment after the handshake must acknowledge the SYN or what we can have sent behind
//! it. An ICMP error must quote a sequence number of ours. Whoever does not see our packets has to
//! guess 32 bits, less the few of the acceptable range: a forged SYN-ACK passes once in 2^32, a forged
//! RST of a half-open sweep twice. Whoever is on the path can answer in the target's name, and nothing
//! that travels in the open could tell.
//!
//! Timestamps add a test of plausibility, not of secrecy: an echo must be of a clock that we have shown
//! ([`Echoes`]), as Linux demands of a SYN-ACK, so that an old or an invented echo gives no round-trip
//! time. A forger leaves the option out, which every peer is free to do (RFC 7323 §3.2).
//!
//! # In the order of RFC 9293 §3.10.7.3
//! Where several bits are set, the earlier step decides: without ACK nothing is proved; then RST ends
//! it, whatever else is set; then SYN. A SYN-ACK that carries FIN or data proves an open port as well
//! as any. A SYN without ACK would be a simultaneous open: no answer of a server.

use std::net::IpAddr;

use super::cookie::Cookie;
use super::space::Target;
use crate::net::ChecksumTrust;
use crate::wire::{
    Flags, HEADER_LEN, IcmpError, IcmpKind, IpPayload, ParseError, SeqNum, parse_ip,
};

mod read;

use read::{Ip, Offered, Tcp};

/// What a packet is to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard<'a> {
    /// It proves that it answers a packet of ours.
    Answer(Answer<'a>),
    /// It claims to be for us, and does not stand the test.
    Rejected(Rejection),
    /// It is not for us: another address, port or protocol.
    Foreign,
}

/// A packet that answers one of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer<'a> {
    /// Who was asked.
    pub target: Target,
    /// The address that it was asked from.
    pub source: IpAddr,
    /// The port that it was asked from.
    pub source_port: u16,
    /// Our initial sequence number to this target.
    pub isn: SeqNum,
    /// The TTL or hop limit with which the packet arrived.
    pub ttl: u8,
    /// What it says.
    pub kind: Kind<'a>,
}

/// What an answer says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind<'a> {
    /// The port is open.
    SynAck(SynAck),
    /// Closed, or the end of a connection.
    Reset(Reset),
    /// An ICMP error about a packet of ours; its kind tells whether that ends anything.
    Unreachable(Unreachable),
    /// A segment behind the handshake.
    Later(Later<'a>),
}

/// A SYN-ACK that acknowledges our SYN and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SynAck {
    /// The peer's initial sequence number.
    pub seq: SeqNum,
    /// All control bits: ECE accepts ECN, FIN is a strange thing to see.
    pub flags: Flags,
    /// The window, unscaled as in every SYN.
    pub window: u16,
    /// MSS, where it is said.
    pub mss: Option<u16>,
    /// The window scale, where it is granted; as it stands, it may exceed 14.
    pub wscale: Option<u8>,
    /// Whether SACK is granted.
    pub sack: bool,
    /// The peer's clock, where timestamps were offered and are granted.
    pub tsval: Option<u32>,
    /// The echo of our clock; `None` for no timestamps, and for the 0 of stacks that echo nothing.
    pub tsecr: Option<u32>,
}

/// A RST that acknowledges something of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reset {
    /// SEG.SEQ: 0 where there was no connection (RFC 9293 §3.10.7.1).
    pub seq: SeqNum,
    /// SEG.ACK as a distance from our ISN: 1 refuses the SYN, and so does the 0 of some stacks.
    pub acked: u32,
    /// All control bits.
    pub flags: Flags,
    /// SEG.WND.
    pub window: u16,
}

/// An ICMP error that quotes a segment of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreachable {
    /// What it means.
    pub kind: IcmpKind,
    /// The ICMP type and code.
    pub said: (u8, u8),
    /// Who says so: a router, or the target itself.
    pub by: IpAddr,
    /// SEG.SEQ of the quoted segment as a distance from our ISN: 0 is the SYN.
    pub seq: u32,
}

/// A segment of a connection: neither SYN nor RST.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Later<'a> {
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK as a distance from our ISN: 1 for the SYN alone.
    pub acked: u32,
    /// All control bits.
    pub flags: Flags,
    /// SEG.WND as it stands in the header.
    pub window: u16,
    /// The peer's clock.
    pub tsval: Option<u32>,
    /// The echo of our clock.
    pub tsecr: Option<u32>,
    /// The data.
    pub payload: &'a [u8],
}

/// Why a packet that claims to be for us is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Rejection {
    /// It acknowledges a number that is not ours: forged, or of an earlier run.
    Cookie,
    /// An ICMP error that quotes a sequence number which is not ours.
    Quote,
    /// It echoes a clock that we have not shown.
    Echo,
    /// A RST without ACK proves nothing (RFC 9293 §3.10.7.3).
    BareReset,
    /// A SYN without ACK: somebody opens a connection to our port.
    Syn,
    /// Neither SYN, RST nor ACK.
    NoAck,
    /// A checksum is wrong (RFC 9293 MUST-3, RFC 1122 §3.2.1.2).
    Checksum,
    /// A length says more than there is.
    Truncated,
    /// A length that cannot be.
    Malformed,
    /// A piece of a larger packet. No honest TCP sends one, and pieces are not joined.
    Fragment,
}

impl Rejection {
    /// Every reason, for an account.
    pub const ALL: [Self; 10] = [
        Self::Cookie,
        Self::Quote,
        Self::Echo,
        Self::BareReset,
        Self::Syn,
        Self::NoAck,
        Self::Checksum,
        Self::Truncated,
        Self::Malformed,
        Self::Fragment,
    ];

    /// The reason in a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cookie => "wrong-cookie",
            Self::Quote => "wrong-quote",
            Self::Echo => "wrong-echo",
            Self::BareReset => "bare-reset",
            Self::Syn => "syn",
            Self::NoAck => "no-ack",
            Self::Checksum => "checksum",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::Fragment => "fragment",
        }
    }
}

/// A packet that cannot be read. One that is no IP is none of ours: see [`Examiner::examine`].
impl From<ParseError> for Rejection {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Truncated { .. } => Self::Truncated,
            ParseError::Version(_) | ParseError::Length { .. } => Self::Malformed,
        }
    }
}

/// The values of TSval that we have sent and whose echo may still come, from the oldest to the newest,
/// on the circle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Echoes {
    /// The oldest.
    pub oldest: u32,
    /// The newest: our clock as it stands now.
    pub newest: u32,
}

impl Echoes {
    /// Whether an echo of this value can come.
    #[must_use]
    pub const fn hold(self, value: u32) -> bool {
        value.wrapping_sub(self.oldest) <= self.newest.wrapping_sub(self.oldest)
    }
}

/// Tells answers from everything else.
#[derive(Clone, Debug)]
pub struct Examiner {
    cookie: Cookie,
    sources: Vec<IpAddr>,
    /// A bit for every port.
    ports: Box<[u64]>,
    timestamps: bool,
    beyond: u32,
}

impl Examiner {
    /// Answers to probes from `sources` and `ports`.
    ///
    /// `timestamps`: whether the SYN offers them; a peer may not grant what was not offered.
    /// `beyond`: how many sequence numbers we can have sent behind the SYN, data and FIN together; 0
    /// in a half-open sweep. See [`Config::beyond`](super::conversation::Config::beyond).
    #[must_use]
    pub fn new(
        cookie: Cookie,
        sources: &[IpAddr],
        ports: &[u16],
        timestamps: bool,
        beyond: u32,
    ) -> Self {
        let mut bits = vec![0_u64; 1 << 10].into_boxed_slice();
        for port in ports {
            bits[usize::from(port >> 6)] |= 1 << (port & 63);
        }
        Self { cookie, sources: sources.to_vec(), ports: bits, timestamps, beyond }
    }

    /// What `packet` is, an IP packet that may have link padding behind it.
    ///
    /// Nothing is allocated, and nothing read before its length is known to be there. `echoes` is of no
    /// concern where timestamps were not offered.
    #[must_use]
    pub fn examine<'a>(&self, packet: &'a [u8], trust: ChecksumTrust, echoes: Echoes) -> Heard<'a> {
        let ip = match Ip::read(packet) {
            Ok(ip) => ip,
            Err(ParseError::Version(_)) => return Heard::Foreign,
            Err(error) => return Heard::Rejected(error.into()),
        };
        if !self.sources.contains(&ip.dst) {
            return Heard::Foreign;
        }
        if !ip.is_right() {
            return Heard::Rejected(Rejection::Checksum);
        }
        let heard = match ip.payload {
            IpPayload::Tcp(segment) => self.segment(&ip, segment, trust, echoes),
            IpPayload::Icmp(message) => self.icmp(packet, &ip, message, trust),
            IpPayload::Fragment => Err(Rejection::Fragment),
            IpPayload::Other(_) => Ok(None),
        };
        match heard {
            Ok(Some(answer)) => Heard::Answer(answer),
            Ok(None) => Heard::Foreign,
            Err(rejection) => Heard::Rejected(rejection),
        }
    }

    fn is_ours(&self, port: u16) -> bool {
        self.ports[usize::from(port >> 6)] & 1 << (port & 63) != 0
    }

    fn segment<'a>(
        &self,
        ip: &Ip<'a>,
        segment: &'a [u8],
        trust: ChecksumTrust,
        echoes: Echoes,
    ) -> Result<Option<Answer<'a>>, Rejection> {
        let head = segment.first_chunk::<HEADER_LEN>().ok_or(Rejection::Truncated)?;
        let source_port = u16::from_be_bytes([head[2], head[3]]);
        if !self.is_ours(source_port) {
            return Ok(None);
        }
        let tcp = Tcp::read(head, segment)?;
        let right = match trust {
            ChecksumTrust::Verify => ip.vouches_for(segment),
            ChecksumTrust::Vouched => true,
            ChecksumTrust::RightOrUnfinished => {
                ip.vouches_for(segment) || ip.is_unfinished(segment)
            }
        };
        if !right {
            return Err(Rejection::Checksum);
        }
        if !tcp.flags.contains(Flags::ACK) {
            return Err(if tcp.flags.contains(Flags::RST) {
                Rejection::BareReset
            } else if tcp.flags.contains(Flags::SYN) {
                Rejection::Syn
            } else {
                Rejection::NoAck
            });
        }
        let target = Target { addr: ip.src, port: u16::from_be_bytes([head[0], head[1]]) };
        let isn = self.cookie.isn(ip.dst, source_port, target);
        let acked = tcp.ack.offset_from(isn);
        let kind = self.kind(&tcp, acked, echoes)?;
        Ok(Some(Answer { target, source: ip.dst, source_port, isn, ttl: ip.ttl, kind }))
    }

    /// What a segment with ACK says that acknowledges the number at this distance from our ISN: first
    /// the acknowledgment, then RST, then SYN.
    fn kind<'a>(&self, tcp: &Tcp<'a>, acked: u32, echoes: Echoes) -> Result<Kind<'a>, Rejection> {
        let &Tcp { seq, flags, window, payload, .. } = tcp;
        let reset = flags.contains(Flags::RST);
        let syn = flags.contains(Flags::SYN);
        let lowest = if reset { 0 } else { 1 };
        let highest = if syn && !reset { 1 } else { 1 + self.beyond };
        if !(lowest..=highest).contains(&acked) {
            return Err(Rejection::Cookie);
        }
        if reset {
            // Its timestamps, if any, are to be overlooked (RFC 7323 §3.2).
            return Ok(Kind::Reset(Reset { seq, acked, flags, window }));
        }
        let Offered { mss, wscale, sack, timestamps } = Offered::read(tcp.options);
        let (tsval, tsecr) = self.clocks(timestamps, echoes)?;
        if syn {
            return Ok(Kind::SynAck(SynAck {
                seq,
                flags,
                window,
                mss,
                wscale,
                sack,
                tsval,
                tsecr,
            }));
        }
        Ok(Kind::Later(Later { seq, acked, flags, window, tsval, tsecr, payload }))
    }

    /// The peer's clock and the echo of ours.
    fn clocks(
        &self,
        timestamps: Option<(u32, u32)>,
        echoes: Echoes,
    ) -> Result<(Option<u32>, Option<u32>), Rejection> {
        match timestamps.filter(|_| self.timestamps) {
            None => Ok((None, None)),
            Some((tsval, tsecr)) if echoes.hold(tsecr) => Ok((Some(tsval), Some(tsecr))),
            // Linux lets it pass, too: it is no echo, but the rest may be honest.
            Some((tsval, 0)) => Ok((Some(tsval), None)),
            Some(_) => Err(Rejection::Echo),
        }
    }

    fn icmp<'a>(
        &self,
        packet: &[u8],
        ip: &Ip<'_>,
        message: &[u8],
        trust: ChecksumTrust,
    ) -> Result<Option<Answer<'a>>, Rejection> {
        let (header, _) = parse_ip(packet)?;
        let Some(error) = IcmpError::parse(&header, message)? else { return Ok(None) };
        let IcmpError { kind, icmp_type, code, quote, from: by, ttl } = error;
        if quote.src != ip.dst || !self.is_ours(quote.src_port) {
            return Ok(None);
        }
        if trust != ChecksumTrust::Vouched && !ip.vouches_for_icmp(message) {
            return Err(Rejection::Checksum);
        }
        let (source, source_port) = (quote.src, quote.src_port);
        let target = Target { addr: quote.dst, port: quote.dst_port };
        let isn = self.cookie.isn(source, source_port, target);
        let seq = quote.seq.offset_from(isn);
        if seq > 1 + self.beyond {
            return Err(Rejection::Quote);
        }
        let kind = Kind::Unreachable(Unreachable { kind, said: (icmp_type, code), by, seq });
        Ok(Some(Answer { target, source, source_port, isn, ttl, kind }))
    }
}

#[cfg(test)]
mod tests;
