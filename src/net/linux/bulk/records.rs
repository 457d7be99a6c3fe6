//! The packets in a block of a `TPACKET_V3` ring: a pure function of its bytes.

use crate::net::ChecksumTrust;
use crate::net::linux::capture::trust;

/// Where a block says how many packets it has, and where the first is.
const COUNT: usize = 12;
const FIRST: usize = 16;
/// Where a packet's `tpacket3_hdr` says what it says.
const NEXT: usize = 0;
const SECONDS: usize = 4;
const NANOSECONDS: usize = 8;
const LENGTH: usize = 12;
const STATUS: usize = 20;
const NETWORK: usize = 26;
/// The `sockaddr_ll` behind it, and in there `sll_pkttype`.
const ADDRESS: usize = 48;
const KIND: usize = ADDRESS + 10;

/// A packet in a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Record<'a> {
    /// The IP packet, without what the link has put behind it.
    pub(super) bytes: &'a [u8],
    /// The kernel's stamp, nanoseconds of the wall clock.
    pub(super) wall: u64,
    /// Whether its checksums can be judged.
    pub(super) trust: ChecksumTrust,
    /// Whether it left this host.
    pub(super) outgoing: bool,
}

/// The packets of a block, one after another.
#[derive(Clone, Debug)]
pub(super) struct Records<'a> {
    block: &'a [u8],
    left: u32,
    at: usize,
}

impl<'a> Records<'a> {
    pub(super) fn of(block: &'a [u8]) -> Self {
        let at = usize::try_from(word(block, FIRST).unwrap_or(0)).unwrap_or(usize::MAX);
        Self { block, left: word(block, COUNT).unwrap_or(0), at }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        self.left = self.left.checked_sub(1)?;
        let record = self.block.get(self.at..)?;
        let size = |at| Some(usize::try_from(word(record, at)?).unwrap_or(usize::MAX));
        let network = usize::from(half(record, NETWORK)?);
        let bytes = record.get(network..)?.get(..size(LENGTH)?)?;
        let wall = u64::from(word(record, SECONDS)?) * 1_000_000_000
            + u64::from(word(record, NANOSECONDS)?);
        let outgoing = *record.get(KIND)? == libc::PACKET_OUTGOING;
        let trust = trust(word(record, STATUS)?);
        self.at = self.at.saturating_add(size(NEXT)?);
        Some(Record { bytes: without_padding(bytes), wall, trust, outgoing })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A packet as long as its header says. What Ethernet has filled it up with to 60 bytes goes; what
/// contradicts itself is for others to judge.
pub(super) fn without_padding(bytes: &[u8]) -> &[u8] {
    let long = |at: usize| Some(usize::from(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?)));
    let length = match bytes.first().map(|byte| byte >> 4) {
        Some(4) => long(2),
        // None where a jumbo payload follows (RFC 2675).
        Some(6) => long(4).filter(|&payload| payload > 0).map(|payload| payload + 40),
        _ => None,
    };
    length.filter(|&length| length >= 20).and_then(|length| bytes.get(..length)).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A block as the kernel lays it out.
    fn block(packets: &[(&[u8], u8, u32)]) -> Vec<u8> {
        let mut block = vec![0; 48];
        block[COUNT..][..4].copy_from_slice(&(packets.len() as u32).to_ne_bytes());
        block[FIRST..][..4].copy_from_slice(&48_u32.to_ne_bytes());
        for (index, (bytes, kind, status)) in packets.iter().enumerate() {
            let network = 80;
            let mut record = vec![0; network];
            let next = (network + bytes.len()).next_multiple_of(16);
            for (at, value) in [
                (NEXT, next as u32),
                (SECONDS, 1_700_000_000),
                (NANOSECONDS, index as u32),
                (LENGTH, bytes.len() as u32),
                (STATUS, *status),
            ] {
                record[at..][..4].copy_from_slice(&value.to_ne_bytes());
            }
            record[NETWORK..][..2].copy_from_slice(&(network as u16).to_ne_bytes());
            record[KIND] = *kind;
            record.extend_from_slice(bytes);
            record.resize(next, 0);
            block.extend(record);
        }
        block
    }

    #[test]
    fn packets_are_read_with_their_stamps_and_without_padding() {
        let mut padded = [7; 46];
        (padded[0], padded[2], padded[3]) = (0x45, 0, 40);
        let mut v6 = [6; 60];
        (v6[0], v6[4], v6[5]) = (0x60, 0, 20);
        let block = block(&[
            (&padded, libc::PACKET_HOST, 0),
            (&v6, libc::PACKET_OUTGOING, libc::TP_STATUS_CSUMNOTREADY),
            (&[1, 2, 3], libc::PACKET_HOST, 0),
        ]);
        let records: Vec<_> = Records::of(&block).collect();
        assert_eq!(records.len(), 3);
        assert_eq!((records[0].bytes, records[0].outgoing), (&padded[..40], false));
        assert_eq!(records[0].trust, ChecksumTrust::Verify);
        assert_eq!((records[1].bytes, records[1].outgoing), (&v6[..], true));
        assert_eq!(records[1].trust, ChecksumTrust::Vouched);
        assert_eq!(records[1].wall, 1_700_000_000_000_000_001);
        assert_eq!(records[2].bytes, [1, 2, 3], "what is no packet is passed on");
    }

    proptest! {
        #[test]
        fn whatever_is_in_a_block_the_reading_ends_within_it(
            mut block in prop::collection::vec(any::<u8>(), 0..600),
            count in 0_u32..9,
        ) {
            if let Some(word) = block.get_mut(COUNT..COUNT + 4) {
                word.copy_from_slice(&count.to_ne_bytes());
            }
            prop_assert!(Records::of(&block).count() <= 8);
        }
    }
}
