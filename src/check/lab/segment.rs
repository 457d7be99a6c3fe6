//! A segment as a script says it: every field optional, numbers relative to where the connection is.

use crate::wire::{Flags, Segment, SeqNum, TcpOption};

/// A segment to be sent. What is left out is what a correct end would send now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[must_use]
pub struct Seg {
    pub(super) flags: Flags,
    pub(super) seq: Number,
    pub(super) ack: Number,
    pub(super) window: Option<u16>,
    pub(super) urgent: u16,
    pub(super) options: Option<Vec<TcpOption>>,
    pub(super) more_options: Vec<TcpOption>,
    pub(super) ts_value: Option<u32>,
    pub(super) no_timestamps: bool,
    pub(super) payload: Vec<u8>,
    pub(super) tos: u8,
    pub(super) wrong_checksum: bool,
    pub(super) label: &'static str,
}

/// A sequence or acknowledgment number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Number {
    /// From SND.NXT, or from RCV.NXT where it is an acknowledgment.
    Next(i64),
    /// As it stands in the header.
    Absolute(SeqNum),
}

impl Default for Number {
    fn default() -> Self {
        Self::Next(0)
    }
}

impl Number {
    pub(super) fn from(self, next: SeqNum) -> SeqNum {
        match self {
            // Sequence arithmetic is modulo 2^32.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Self::Next(offset) => next + offset as u32,
            Self::Absolute(number) => number,
        }
    }
}

/// A segment with these bits: SEQ = SND.NXT, ACK = RCV.NXT, the usual window, and timestamps where
/// they were agreed on and the segment is no RST.
pub fn seg(flags: Flags) -> Seg {
    Seg { flags, ..Seg::default() }
}

/// `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`.
pub fn ack() -> Seg {
    seg(Flags::ACK)
}

/// Data in sequence.
pub fn data(payload: &[u8]) -> Seg {
    seg(Flags::ACK | Flags::PSH).payload(payload)
}

/// FIN and ACK.
pub fn fin() -> Seg {
    seg(Flags::FIN | Flags::ACK)
}

/// `<SEQ=SND.NXT><CTL=RST>`, the exact one.
pub fn rst() -> Seg {
    seg(Flags::RST)
}

/// SYN, without an acknowledgment.
pub fn syn() -> Seg {
    seg(Flags::SYN)
}

impl Seg {
    /// These control bits too.
    pub fn with(mut self, flags: Flags) -> Self {
        self.flags |= flags;
        self
    }

    /// SEG.SEQ = SND.NXT + `offset`.
    pub const fn seq(mut self, offset: i64) -> Self {
        self.seq = Number::Next(offset);
        self
    }

    /// SEG.SEQ as it stands in the header.
    pub const fn seq_at(mut self, number: SeqNum) -> Self {
        self.seq = Number::Absolute(number);
        self
    }

    /// SEG.ACK = RCV.NXT + `offset`. Sets no bit.
    pub const fn ack(mut self, offset: i64) -> Self {
        self.ack = Number::Next(offset);
        self
    }

    /// SEG.ACK as it stands in the header. Sets no bit.
    pub const fn ack_at(mut self, number: SeqNum) -> Self {
        self.ack = Number::Absolute(number);
        self
    }

    /// SEG.WND, unscaled.
    pub const fn window(mut self, window: u16) -> Self {
        self.window = Some(window);
        self
    }

    /// The urgent pointer. Sets no bit.
    pub const fn urgent(mut self, pointer: u16) -> Self {
        self.urgent = pointer;
        self
    }

    /// Exactly these options, and no others.
    pub fn options(mut self, options: &[TcpOption]) -> Self {
        self.options = Some(options.to_vec());
        self
    }

    /// This option behind the usual ones.
    pub fn option(mut self, option: TcpOption) -> Self {
        self.more_options.push(option);
        self
    }

    /// TSval, in place of our clock's.
    pub const fn ts_value(mut self, value: u32) -> Self {
        self.ts_value = Some(value);
        self
    }

    /// No timestamps, although they were agreed on.
    pub const fn no_timestamps(mut self) -> Self {
        self.no_timestamps = true;
        self
    }

    /// These data.
    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// The IP header's type of service or traffic class.
    pub const fn tos(mut self, tos: u8) -> Self {
        self.tos = tos;
        self
    }

    /// A checksum that is wrong.
    pub const fn wrong_checksum(mut self) -> Self {
        self.wrong_checksum = true;
        self
    }

    /// What the segment is for, to be shown beside it.
    pub const fn label(mut self, label: &'static str) -> Self {
        self.label = label;
        self
    }

    /// Its control bits.
    #[must_use]
    pub const fn flags(&self) -> Flags {
        self.flags
    }

    /// Sequence numbers that it takes: data, SYN and FIN.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.flags_len() + u32::try_from(self.payload.len()).unwrap_or(u32::MAX)
    }

    /// Whether it takes no sequence number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn flags_len(&self) -> u32 {
        u32::from(self.flags.contains(Flags::SYN)) + u32::from(self.flags.contains(Flags::FIN))
    }

    /// The segment, with the options that the conversation would add.
    pub(super) fn build(
        &self,
        (src_port, dst_port): (u16, u16),
        (snd_nxt, rcv_nxt): (SeqNum, SeqNum),
        window: u16,
        usual_options: Vec<TcpOption>,
    ) -> Segment {
        let mut options = self.options.clone().unwrap_or(usual_options);
        options.extend(self.more_options.iter().cloned());
        let has_ack = self.flags.contains(Flags::ACK);
        let named = matches!(self.ack, Number::Absolute(_));
        Segment {
            src_port,
            dst_port,
            seq: self.seq.from(snd_nxt),
            ack: if has_ack || named { self.ack.from(rcv_nxt) } else { SeqNum(0) },
            flags: self.flags,
            window: self.window.unwrap_or(window),
            urgent: self.urgent,
            options,
            payload: self.payload.clone(),
        }
    }
}
