//! Whole handshakes and graceful closes without memory of a connection: what to send back is a
//! function of what arrives.
//!
//! # Where the state is
//! In the other end. What we send is the same for every target: the SYN, then the bytes of
//! [`Config`]'s `send`, then FIN. The number that a segment acknowledges says how much of that the peer
//! has, so each reply repeats what it lacks from there on, and no hole can come about. What we have of
//! the peer is what arrives: its data and its FIN are acknowledged as they come. All timers are the
//! peer's, too: whatever of ours gets lost, it repeats its own segment (SYN-ACK, data, FIN), and the
//! repetition is answered again.
//!
//! | arrives | plain `--full` | `--banner` |
//! |---|---|---|
//! | SYN-ACK | FIN+ACK | ACK, with the data to send if there is any |
//! | data | ACK, and FIN if that is not acknowledged yet | FIN+ACK |
//! | FIN | ACK, and FIN if that is not acknowledged yet | FIN+ACK, or ACK |
//! | ACK of everything | nothing | nothing |
//! | ACK of less, with a window | what is missing | what is missing |
//! | RST, ICMP | nothing, ever | nothing |
//!
//! # FIN on the handshake's ACK
//! RFC 9293 lets what is queued travel with the ACK of a SYN-ACK (§3.10.7.3), and CLOSE in ESTABLISHED
//! queues a FIN at once (§3.10.4). So we pass from SYN-SENT through ESTABLISHED to FIN-WAIT-1 by one
//! segment; its receiver takes ACK (SYN-RECEIVED to ESTABLISHED) and FIN (to CLOSE-WAIT) in that order
//! (§3.10.7.4, fifth and eighth step). One segment is also the safer: when it is lost, the peer repeats
//! its SYN-ACK. With [`Config::separate`] ACK and FIN are two; then a lost FIN is repeated only if the
//! peer says something, since it has no reason to.
//!
//! After an ACK of our FIN we stand in FIN-WAIT-2, after the peer's FIN in TIME-WAIT, which costs
//! nothing here: a repeated FIN is acknowledged again for as long as anybody listens. Where the peer is
//! first we pass through CLOSE-WAIT to LAST-ACK, or through CLOSING.
//!
//! # Limits of having no memory
//! - A segment that arrives ahead of a lost one is acknowledged, and with it the lost one. The bytes
//!   lost are of a banner that is told incompletely; the connection still ends in order. A caller that
//!   remembers the peer's numbers ([`Peer`]) and hands them in gets the exact answer instead: the hole
//!   is asked for again.
//! - A pure ACK is answered only where it tells of something missing and a window is open: two ends
//!   that answer each other's ACKs would never stop. In a banner's conversation the FIN is not missed
//!   there, since nothing tells whether it was sent; it goes again with the repeated data.
//! - No connection gets more segments from us than we get from it (two for one with `separate`, once).
//!   One that streams for ever is acknowledged for as long as the sweep listens; with a [`Peer`] it is
//!   reset after [`Config::most`] bytes, as RFC 9293 §3.6.1 allows for data that nobody will read.
//! - A RST of a host that has forgotten the connection has no ACK (§3.10.7.1) and proves nothing.

use super::answer::{Answer, Kind, Later, SynAck};
use super::space::Target;
use super::template::Reply;
use crate::wire::{Flags, SeqNum};

/// Where a peer states no MSS (RFC 9293 §3.7.1, MUST-15).
const DEFAULT_MSS: [u32; 2] = [536, 1220];
/// Bytes that timestamps take in a header.
const STAMPS_LEN: u32 = 12;

/// How far a conversation goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// A RST to the SYN-ACK.
    HalfOpen,
    /// Handshake and close.
    Full,
    /// Handshake, the peer's first bytes, close.
    Banner,
}

/// `--send` is longer than what goes into one segment everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{have} bytes to send: at most {max} go into one segment to every host")]
pub struct SendTooLong {
    /// Bytes asked for.
    pub have: usize,
    /// Bytes that are possible.
    pub max: usize,
}

/// What every conversation of a sweep has in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    mode: Mode,
    send: Vec<u8>,
    len: u32,
    window: u16,
    shift: Option<u8>,
    /// Whether the handshake's ACK goes ahead of the FIN in a segment of its own.
    pub separate: bool,
    /// Bytes that a peer may send before it is reset, where its numbers are remembered.
    pub most: u32,
}

impl Config {
    /// The most bytes that can be sent: what one segment with timestamps carries to every host on IPv6.
    /// Whoever states a smaller MSS, or none on IPv4, gets them in pieces.
    pub const MAX_SEND: usize = 1208;

    /// A conversation of this mode. `window` and `wscale` are what the SYN offers.
    #[must_use]
    pub fn new(mode: Mode, window: u16, wscale: Option<u8>) -> Self {
        let (send, most) = (Vec::new(), 1 << 16);
        Self { mode, send, len: 0, window, shift: wscale, separate: false, most }
    }

    /// And these bytes are sent behind the handshake.
    ///
    /// # Errors
    /// [`SendTooLong`] where they are more than [`MAX_SEND`](Self::MAX_SEND).
    pub fn sending(mut self, bytes: &[u8]) -> Result<Self, SendTooLong> {
        let (have, max) = (bytes.len(), Self::MAX_SEND);
        self.len =
            u32::try_from(have).ok().filter(|_| have <= max).ok_or(SendTooLong { have, max })?;
        self.send = bytes.to_vec();
        Ok(self)
    }

    /// How far it goes.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The data that are sent behind the handshake.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.send
    }

    /// Sequence numbers that we can send behind the SYN: the data, and FIN.
    #[must_use]
    pub const fn beyond(&self) -> u32 {
        match self.mode {
            Mode::HalfOpen => 0,
            Mode::Full | Mode::Banner => self.len + 1,
        }
    }

    /// The window field of a segment behind the handshake. Scaled, it is rounded up, so that the right
    /// edge does not move back from where the SYN had it (RFC 9293 §3.8.6, SHLD-14).
    #[must_use]
    pub fn window(&self, scaled: bool) -> u16 {
        let shift = self.shift.filter(|_| scaled).map_or(0, |shift| u32::from(shift.min(14)));
        let up = (1_u32 << shift) - 1;
        u16::try_from((u32::from(self.window) + up) >> shift).unwrap_or(u16::MAX)
    }
}

/// A peer's numbers, where the caller remembers them. Forgetting them costs exactness, never a
/// connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its initial sequence number.
    pub irs: SeqNum,
    /// What we expect next: RCV.NXT.
    pub next: SeqNum,
}

/// How far a target has come, by one segment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Phase {
    /// Nothing new: a repetition, or an ACK of a part of our data.
    Nothing,
    /// The handshake: SYN-ACK.
    Open,
    /// Data came.
    Data,
    /// Our FIN is acknowledged.
    FinAcked,
    /// The peer's FIN came: it closed gracefully.
    Closed,
    /// It sent more than anybody wants to know, and we reset it.
    Cut,
    /// It was reset, or refused.
    Reset(ResetPhase),
    /// ICMP says that it cannot be.
    Unreachable,
}

/// What of ours a RST acknowledges.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ResetPhase {
    /// The SYN at most: a refusal, unless the target had been open.
    Syn,
    /// Some of the data or all of it.
    Data,
    /// Our FIN.
    Fin,
}

/// What a segment tells of its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress<'a> {
    /// The furthest that it shows.
    pub phase: Phase,
    /// Whether it acknowledges our FIN, whatever else it does.
    pub fin_acked: bool,
    /// Data that it brought, without what is known to be a repetition.
    pub payload: &'a [u8],
    /// The number of the first byte of `payload`.
    pub seq: SeqNum,
    /// The TSval of ours that it echoes: of the SYN in [`Phase::Open`], of the segment that carried the
    /// FIN where `fin_acked` is seen first.
    pub tsecr: Option<u32>,
}

/// What is to be done about an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step<'a> {
    /// What goes back, in order.
    pub replies: [Option<Reply<'a>>; 2],
    /// What was learnt.
    pub progress: Progress<'a>,
    /// The peer's numbers after it, for a caller that remembers.
    pub peer: Option<Peer>,
}

/// What becomes of an answer. `tsval` is our clock now, and `known` what the caller remembers of the
/// peer: `None` is always right.
#[must_use]
pub fn reply<'a>(
    answer: &Answer<'a>,
    config: &'a Config,
    tsval: u32,
    known: Option<Peer>,
) -> Step<'a> {
    let nothing = Progress {
        phase: Phase::Nothing,
        fin_acked: false,
        payload: &[],
        seq: SeqNum(0),
        tsecr: None,
    };
    let silent = |phase| {
        let progress = Progress { phase, ..nothing };
        Step { replies: [None; 2], progress, peer: None }
    };
    let talk = Talk { answer, config, tsval };
    match answer.kind {
        Kind::SynAck(syn_ack) => talk.syn_ack(&syn_ack, known, nothing),
        Kind::Later(later) => talk.later(&later, known, nothing),
        Kind::Reset(reset) => silent(Phase::Reset(match reset.acked {
            0 | 1 => ResetPhase::Syn,
            acked if acked > config.beyond() => ResetPhase::Fin,
            _ => ResetPhase::Data,
        })),
        Kind::Unreachable(_) => silent(Phase::Unreachable),
    }
}

/// The RST that CLOSED sends to a segment with ACK: <SEQ=SEG.ACK><CTL=RST> (RFC 9293 §3.10.7.1),
/// which is exact for its sender whatever of ours it has. For a half-open probe's SYN-ACK, and for
/// whoever still speaks when the sweep has no more time for it. Never to a RST.
#[must_use]
pub fn refuse(answer: &Answer<'_>) -> Option<Reply<'static>> {
    let acked = match answer.kind {
        Kind::SynAck(_) => 1,
        Kind::Later(later) => later.acked,
        Kind::Reset(_) | Kind::Unreachable(_) => return None,
    };
    Some(rst(answer.source_port, answer.target, answer.isn + acked))
}

/// How much of ours a peer is thought to have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Sent {
    /// The SYN.
    Syn,
    /// The SYN and the data.
    Data,
    /// Everything.
    Fin,
}

/// The RST for a target that never came to an end: at the number that the peer expects next, if it has
/// what we sent. Where it has less, the number lies ahead of that and is answered by a challenge ACK
/// (RFC 9293 §3.10.7.4), to which [`refuse`] is exact; where it has more, it is dropped in silence. In
/// doubt say the more.
#[must_use]
pub fn abort(
    config: &Config,
    source_port: u16,
    target: Target,
    isn: SeqNum,
    sent: Sent,
) -> Reply<'static> {
    let behind = match sent {
        Sent::Syn => 0,
        Sent::Data => config.beyond().saturating_sub(1),
        Sent::Fin => config.beyond(),
    };
    rst(source_port, target, isn + 1 + behind)
}

const fn rst(source_port: u16, target: Target, seq: SeqNum) -> Reply<'static> {
    Reply {
        source_port,
        target,
        flags: Flags::RST,
        seq,
        ack: SeqNum(0),
        window: 0,
        timestamps: None,
        payload: &[],
    }
}

/// One answer and what is needed to reply to it.
struct Talk<'a, 'b> {
    answer: &'b Answer<'a>,
    config: &'a Config,
    tsval: u32,
}

/// What goes into a reply.
#[derive(Clone, Copy)]
struct Say {
    /// What the peer has of ours, as a distance from ISN + 1.
    from: u32,
    /// SEG.ACK.
    ack: SeqNum,
    /// Whether our FIN is due.
    close: bool,
    /// Sequence numbers that the peer has room for, at least.
    room: u32,
    /// The most that a segment may carry.
    mss: u32,
    /// Our window field.
    window: u16,
    /// TSecr, where timestamps are in use.
    echo: Option<u32>,
}

impl<'a> Talk<'a, '_> {
    fn syn_ack(&self, heard: &SynAck, known: Option<Peer>, nothing: Progress<'a>) -> Step<'a> {
        let config = self.config;
        let ack = heard.seq + 1;
        // A repetition: what came since stays received. Another ISN: another connection.
        let peer = known.filter(|peer| peer.irs == heard.seq);
        let peer = peer.unwrap_or(Peer { irs: heard.seq, next: ack });
        let say = Say {
            from: 0,
            ack,
            close: config.mode == Mode::Full,
            room: heard.window.into(),
            mss: heard.mss.map_or(self.default_mss(), u32::from),
            window: config.window(heard.wscale.is_some()),
            echo: heard.tsval,
        };
        let replies = match config.mode {
            Mode::HalfOpen => [refuse(self.answer), None],
            _ if config.separate && say.room > 0 && (say.close || config.len > 0) => {
                [Some(self.say(Say { room: 0, ..say })), Some(self.say(say))]
            }
            _ => [Some(self.say(say)), None],
        };
        let progress = Progress { phase: Phase::Open, tsecr: heard.tsecr, ..nothing };
        Step { replies, progress, peer: Some(peer) }
    }

    fn later(&self, heard: &Later<'a>, known: Option<Peer>, nothing: Progress<'a>) -> Step<'a> {
        let config = self.config;
        if config.mode == Mode::HalfOpen {
            let replies = [refuse(self.answer), None];
            return Step { replies, progress: nothing, peer: None };
        }
        let taken = Taken::of(heard, known);
        let peer = known.map(|peer| Peer { next: taken.next, ..peer });
        let from = heard.acked - 1;
        let fin_acked = from == config.beyond();
        let progress = Progress {
            phase: match () {
                () if taken.fin => Phase::Closed,
                () if fin_acked => Phase::FinAcked,
                () if !taken.payload.is_empty() => Phase::Data,
                () => Phase::Nothing,
            },
            fin_acked,
            payload: taken.payload,
            seq: taken.seq,
            tsecr: heard.tsecr,
        };
        if peer.is_some_and(|peer| peer.next.offset_from(peer.irs + 1) > config.most) {
            let progress = Progress { phase: Phase::Cut, ..progress };
            return Step { replies: [refuse(self.answer), None], progress, peer };
        }
        // An old segment closes as well: our first FIN may be lost.
        let close = config.mode == Mode::Full || taken.has_come;
        let room = u32::from(heard.window);
        let missing = from < config.len + u32::from(config.mode == Mode::Full) && room > 0;
        let say = Say {
            from,
            ack: taken.next,
            close,
            room,
            mss: self.default_mss(),
            // Whether the peer scales is not known here; a window too small does no harm.
            window: config.window(true),
            echo: heard.tsval,
        };
        let reply = (taken.asks || missing).then(|| self.say(say));
        Step { replies: [reply, None], progress, peer }
    }

    /// The segment that says so.
    fn say(&self, say: Say) -> Reply<'a> {
        let (answer, send) = (self.answer, &self.config.send);
        let start = say.from.min(self.config.len);
        let left = self.config.len - start;
        // Options are not counted in an MSS (RFC 9293 §3.7.1).
        let options = if say.echo.is_some() { STAMPS_LEN } else { 0 };
        let length = left.min(say.room).min(say.mss.saturating_sub(options));
        let range = start as usize..(start + length) as usize;
        let payload = send.get(range).unwrap_or_default();
        // FIN comes behind all of the data, takes a number itself, and is not said twice.
        let fin = say.close && length == left && say.room > length && say.from <= self.config.len;
        let mut flags = Flags::ACK;
        if !payload.is_empty() {
            flags |= Flags::PSH;
        }
        if fin {
            flags |= Flags::FIN;
        }
        Reply {
            source_port: answer.source_port,
            target: answer.target,
            flags,
            seq: answer.isn + 1 + say.from,
            ack: say.ack,
            window: say.window,
            timestamps: say.echo.map(|echo| (self.tsval, echo)),
            payload,
        }
    }

    const fn default_mss(&self) -> u32 {
        DEFAULT_MSS[if self.answer.target.addr.is_ipv4() { 0 } else { 1 }]
    }
}

/// What of a segment is taken.
struct Taken<'a> {
    /// Data, without what had come before.
    payload: &'a [u8],
    /// Its first number.
    seq: SeqNum,
    /// Whether the peer's FIN has come, now or before.
    fin: bool,
    /// Whether it has been received, or had been: it does not lie behind a hole.
    has_come: bool,
    /// What we expect next.
    next: SeqNum,
    /// Whether it wants an ACK: it takes up sequence numbers.
    asks: bool,
}

impl<'a> Taken<'a> {
    /// The segment as it stands, or what of it is new to one who knows.
    fn of(heard: &Later<'a>, known: Option<Peer>) -> Self {
        let &Later { seq, payload, flags, .. } = heard;
        let fin = flags.contains(Flags::FIN);
        let data = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let end = seq + data + u32::from(fin);
        let asks = end != seq;
        let next = known.map_or(seq, |peer| peer.next);
        if seq.is_after(next) {
            // Ahead of a hole: the ACK asks for what is missing, and this will come again.
            return Self { payload: &[], seq, fin: false, has_come: false, next, asks };
        }
        let old = next.offset_from(seq).min(data);
        let payload = payload.get(old as usize..).unwrap_or_default();
        let next = next.later(end);
        Self { payload, seq: seq + old, fin, has_come: asks, next, asks }
    }
}

#[cfg(test)]
mod tests;
