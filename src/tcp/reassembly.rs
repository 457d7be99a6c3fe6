//! Data that arrived out of order, kept until the hole before it is filled.

use std::collections::BTreeMap;

/// Out-of-order data and FIN.
///
/// Positions are bytes of the stream, counted from 0 behind the SYN: 64 bits, so that order means
/// something where sequence numbers wrap. The caller admits only what lies in the receive window,
/// which bounds what is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Reassembly {
    /// Blocks by their start; they neither overlap nor touch.
    blocks: BTreeMap<u64, Vec<u8>>,
    /// Where the stream ends, once a FIN said so.
    fin: Option<u64>,
    /// Start of the block that grew last, which SACK reports first (RFC 2018 §4).
    latest: u64,
}

impl Reassembly {
    /// Keeps `data` at `position`; what was there before stays. Data behind a known end is dropped.
    pub(super) fn insert(&mut self, position: u64, data: &[u8]) {
        let room = self.fin.map_or(usize::MAX, |fin| {
            usize::try_from(fin.saturating_sub(position)).unwrap_or(usize::MAX)
        });
        let data = &data[..data.len().min(room)];
        if data.is_empty() {
            return;
        }
        let end = position + data.len() as u64;
        let (start, mut block) = self.block_reaching(position).unwrap_or((position, Vec::new()));
        extend_to(&mut block, start, position, data);
        while let Some((&next, _)) = self.blocks.range(position..=end).next() {
            if let Some(later) = self.blocks.remove(&next) {
                overlay(&mut block, start, next, &later);
            }
        }
        self.blocks.insert(start, block);
        self.latest = start;
    }

    /// The stream ends at `position`. The first FIN counts.
    pub(super) fn insert_fin(&mut self, position: u64) {
        self.fin.get_or_insert(position);
    }

    /// Removes and returns what continues the stream at `position`.
    pub(super) fn take_from(&mut self, position: u64) -> Vec<u8> {
        let mut data = Vec::new();
        while let Some((&start, _)) = self.blocks.range(..=position).next() {
            let Some(block) = self.blocks.remove(&start) else { break };
            let skip = usize::try_from(position - start).unwrap_or(usize::MAX);
            data.extend_from_slice(block.get(skip..).unwrap_or_default());
        }
        if let Some(fin) = self.fin {
            data.truncate(usize::try_from(fin.saturating_sub(position)).unwrap_or(usize::MAX));
        }
        data
    }

    /// Whether the stream ends at `position`.
    pub(super) fn ends_at(&self, position: u64) -> bool {
        self.fin == Some(position)
    }

    /// Forgets everything: the stream is over.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The blocks as `start..end`, the one that grew last first (RFC 2018 §4), at most `limit`.
    pub(super) fn sack_blocks(&self, limit: usize) -> Vec<(u64, u64)> {
        let range = |(&start, block): (&u64, &Vec<u8>)| (start, start + block.len() as u64);
        let first = self.blocks.get_key_value(&self.latest).map(range);
        let others = self.blocks.iter().map(range).filter(|block| Some(*block) != first);
        first.into_iter().chain(others).take(limit).collect()
    }

    /// Takes out the block that contains or touches `position` from the left.
    fn block_reaching(&mut self, position: u64) -> Option<(u64, Vec<u8>)> {
        let (&start, block) = self.blocks.range(..=position).next_back()?;
        if start + (block.len() as u64) < position {
            return None;
        }
        self.blocks.remove(&start).map(|block| (start, block))
    }
}

/// Appends to `block`, which starts at `start`, the part of `data` at `position` that lies behind it.
fn extend_to(block: &mut Vec<u8>, start: u64, position: u64, data: &[u8]) {
    let end = start + block.len() as u64;
    let skip = usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX);
    block.extend_from_slice(data.get(skip..).unwrap_or_default());
}

/// Writes `later`, which was here first, over `block` from `position` on.
fn overlay(block: &mut Vec<u8>, start: u64, position: u64, later: &[u8]) {
    let at = usize::try_from(position - start).unwrap_or(usize::MAX);
    let common = block.len().saturating_sub(at).min(later.len());
    if let Some(slot) = block.get_mut(at..at + common) {
        slot.copy_from_slice(&later[..common]);
    }
    block.extend_from_slice(&later[common..]);
}
