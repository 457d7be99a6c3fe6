//! A TCP segment that can be changed, and written again with right lengths and checksums.

/// Control bits, the reserved ones included.
pub(crate) mod bit {
    pub(crate) const FIN: u16 = 0x001;
    pub(crate) const SYN: u16 = 0x002;
    pub(crate) const RST: u16 = 0x004;
    pub(crate) const PSH: u16 = 0x008;
    pub(crate) const ACK: u16 = 0x010;
    pub(crate) const URG: u16 = 0x020;
    pub(crate) const ECE: u16 = 0x040;
    pub(crate) const CWR: u16 = 0x080;
    pub(crate) const AE: u16 = 0x100;
    pub(crate) const RESERVED: u16 = 0xe00;
}

/// Option kinds.
pub(crate) mod kind {
    pub(crate) const END: u8 = 0;
    pub(crate) const NOP: u8 = 1;
    pub(crate) const MSS: u8 = 2;
    pub(crate) const SCALE: u8 = 3;
    pub(crate) const SACK_PERMITTED: u8 = 4;
    pub(crate) const STAMPS: u8 = 8;
    pub(crate) const MPTCP: u8 = 30;
}

/// See the module's documentation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Segment {
    /// The IP header as it came.
    ip: Vec<u8>,
    pub(crate) from: u16,
    pub(crate) to: u16,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u16,
    pub(crate) window: u16,
    pub(crate) urgent: u16,
    /// Kind and value of each, without NOP and the end of the list.
    pub(crate) options: Vec<(u8, Vec<u8>)>,
    pub(crate) payload: Vec<u8>,
    /// Its checksum was right.
    pub(crate) intact: bool,
}

impl Segment {
    /// Reads an IP packet; `None` for what is no TCP segment or one with a header that cannot be.
    pub(crate) fn read(packet: &[u8]) -> Option<Self> {
        let (header, total) = match packet.first()? >> 4 {
            4 if packet.get(9) == Some(&6) => {
                (usize::from(packet[0] & 15) * 4, usize::from(half(packet, 2)?))
            }
            6 if packet.get(6) == Some(&6) => (40, 40 + usize::from(half(packet, 4)?)),
            _ => return None,
        };
        let ip = packet.get(..header)?.to_vec();
        let tcp = packet.get(header..total)?;
        let word = |at| Some(u32::from(half(tcp, at)?) << 16 | u32::from(half(tcp, at + 2)?));
        let control = half(tcp, 12)?;
        let offset = usize::from(control >> 12) * 4;
        Some(Self {
            from: half(tcp, 0)?,
            to: half(tcp, 2)?,
            seq: word(4)?,
            ack: word(8)?,
            flags: control & 0xfff,
            window: half(tcp, 14)?,
            urgent: half(tcp, 18)?,
            options: read_options(tcp.get(20..offset)?)?,
            payload: tcp.get(offset..)?.to_vec(),
            intact: sum(&ip, tcp) == 0,
            ip,
        })
    }

    /// The IP packet, everything in it right.
    pub(crate) fn packet(&self) -> Vec<u8> {
        let options = written_options(&self.options);
        let mut tcp = Vec::new();
        tcp.extend(self.from.to_be_bytes());
        tcp.extend(self.to.to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        let offset = u16::try_from(5 + options.len() / 4).unwrap_or(15) << 12;
        tcp.extend((offset | self.flags).to_be_bytes());
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0, 0]);
        tcp.extend(self.urgent.to_be_bytes());
        tcp.extend(options);
        tcp.extend(&self.payload);
        let right = sum(&self.ip, &tcp).to_be_bytes();
        tcp[16..18].copy_from_slice(&right);
        let mut ip = self.ip.clone();
        let length = u16::try_from(tcp.len()).unwrap_or(u16::MAX);
        if ip[0] >> 4 == 4 {
            let total = length + u16::try_from(ip.len()).unwrap_or(20);
            ip[2..4].copy_from_slice(&total.to_be_bytes());
            ip[10..12].fill(0);
            let right = (!folded(&ip)).to_be_bytes();
            ip[10..12].copy_from_slice(&right);
        } else {
            ip[4..6].copy_from_slice(&length.to_be_bytes());
        }
        [ip, tcp].concat()
    }

    pub(crate) const fn has(&self, flags: u16) -> bool {
        self.flags & flags == flags
    }

    pub(crate) const fn has_any(&self, flags: u16) -> bool {
        self.flags & flags != 0
    }

    /// An ACK and nothing else: no data, no SYN, FIN or RST.
    pub(crate) const fn is_pure_ack(&self) -> bool {
        self.payload.is_empty()
            && self.flags & (bit::SYN | bit::FIN | bit::RST | bit::ACK) == bit::ACK
    }

    /// The sequence numbers that it takes.
    pub(crate) fn len(&self) -> u32 {
        let flags = u32::from(self.has(bit::SYN)) + u32::from(self.has(bit::FIN));
        u32::try_from(self.payload.len()).unwrap_or_default() + flags
    }

    /// The number behind its last.
    pub(crate) fn end(&self) -> u32 {
        self.seq.wrapping_add(self.len())
    }

    /// The number of its FIN.
    pub(crate) fn fin_at(&self) -> u32 {
        self.end().wrapping_sub(1)
    }

    pub(crate) fn option(&self, kind: u8) -> Option<&[u8]> {
        self.options.iter().find(|(one, _)| *one == kind).map(|(_, value)| value.as_slice())
    }

    pub(crate) fn strip(&mut self, kind: u8) {
        self.options.retain(|(one, _)| *one != kind);
    }

    /// TSval and TSecr.
    pub(crate) fn stamps(&self) -> Option<(u32, u32)> {
        let value = self.option(kind::STAMPS)?;
        let word = |at: usize| Some(u32::from_be_bytes(value.get(at..at + 4)?.try_into().ok()?));
        Some((word(0)?, word(4)?))
    }

    /// Puts other timestamps in the place of those it has, where it has any.
    pub(crate) fn set_stamps(&mut self, value: u32, echo: u32) {
        for (one, bytes) in &mut self.options {
            if *one == kind::STAMPS {
                *bytes = [value.to_be_bytes(), echo.to_be_bytes()].concat();
            }
        }
    }

    /// A segment in answer to this one, without data: back to where it came from, and with timestamps
    /// where this one has them.
    pub(crate) fn answered(&self, flags: u16, seq: u32, ack: u32) -> Self {
        let mut ip = self.ip.clone();
        let (at, length) = if ip[0] >> 4 == 4 { (12, 4) } else { (8, 16) };
        let (source, destination) = ip[at..at + 2 * length].split_at_mut(length);
        source.swap_with_slice(destination);
        let stamps = self.stamps().filter(|_| flags & bit::RST == 0);
        let back = |(value, echo): (u32, u32)| {
            (kind::STAMPS, [echo.to_be_bytes(), value.to_be_bytes()].concat())
        };
        Self {
            ip,
            from: self.to,
            to: self.from,
            seq,
            ack,
            flags,
            window: if flags & bit::RST == 0 { 65535 } else { 0 },
            urgent: 0,
            options: stamps.map(back).into_iter().collect(),
            payload: Vec::new(),
            intact: true,
        }
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// `None` where their lengths cannot be.
fn read_options(mut bytes: &[u8]) -> Option<Vec<(u8, Vec<u8>)>> {
    let mut options = Vec::new();
    loop {
        match bytes {
            [] => return Some(options),
            // Bytes behind the end are a stimulus of their own, which must not be tidied up.
            [kind::END, rest @ ..] => return rest.iter().all(|byte| *byte == 0).then_some(options),
            [kind::NOP, rest @ ..] => bytes = rest,
            [kind, length, ..] => {
                let value = bytes.get(2..usize::from(*length))?;
                options.push((*kind, value.to_vec()));
                bytes = &bytes[usize::from(*length)..];
            }
            [_] => return None,
        }
    }
}

fn written_options(options: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, value) in options {
        bytes.push(*kind);
        bytes.push(u8::try_from(value.len() + 2).unwrap_or(u8::MAX));
        bytes.extend(value);
    }
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The checksum over header, addresses and segment: what its field should be where the field is zero,
/// zero where the field is right.
fn sum(ip: &[u8], tcp: &[u8]) -> u16 {
    let addresses = if ip[0] >> 4 == 4 { &ip[12..20] } else { &ip[8..40] };
    let length = u16::try_from(tcp.len()).unwrap_or(u16::MAX).to_be_bytes();
    !folded(&[addresses, &[0, 6], &length, tcp].concat())
}

fn folded(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|two| u32::from(two[0]) << 8 | u32::from(two.get(1).copied().unwrap_or_default()));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or_default()
}
