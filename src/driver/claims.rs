//! Whose a packet is: of a flow that is open, of one that is over, or nobody's.
//!
//! Addresses and ports alone do not say it: a run with a fixed source port may have several flows
//! with the same four-tuple under way, and the answer to an old one may come while a new one is
//! open. The initial sequence number, which is never the same twice, decides.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use super::Flow;
use crate::event::FlowId;
use crate::wire::{Flags, Segment, SeqNum};

/// Ours and theirs: addresses and ports alone. The scope of a link-local address is not in a packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Tuple {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

impl Tuple {
    pub(super) fn new(local: SocketAddr, remote: SocketAddr) -> Self {
        let plain = |address: SocketAddr| SocketAddr::new(address.ip(), address.port());
        Self { local: plain(local), remote: plain(remote) }
    }

    pub(super) fn of(flow: &Flow) -> Self {
        Self::new(flow.local(), flow.remote())
    }
}

/// What is kept of a flow that is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Over {
    pub(super) flow: FlowId,
    pub(super) ttl: u8,
    pub(super) tos: u8,
}

/// Whose a packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Claim {
    /// It is of an open flow.
    Open(FlowId),
    /// It came from somebody else to the port of this open flow, which is the only one there.
    Foreign(FlowId),
    /// It is of a flow that is over.
    Over(Over),
}

/// What part of a packet says to which of several flows it belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hint {
    /// It acknowledges everything of ours before this.
    Ack(SeqNum),
    /// It quotes a segment of ours that begins here.
    Quote(SeqNum),
    /// Nothing.
    None,
}

impl Hint {
    pub(super) const fn of(segment: &Segment) -> Self {
        if segment.has(Flags::ACK) { Self::Ack(segment.ack) } else { Self::None }
    }

    /// The number that names our SYN, where the packet is about nothing else.
    fn iss(self) -> Option<SeqNum> {
        match self {
            Self::Ack(ack) => Some(ack - 1),
            Self::Quote(seq) => Some(seq),
            Self::None => None,
        }
    }
}

/// The flows by what their packets look like.
#[derive(Default)]
pub(super) struct Claims {
    /// Open flows, in the order of opening.
    open: HashMap<Tuple, Vec<(FlowId, SeqNum)>>,
    /// Open flows by our end.
    by_local: HashMap<SocketAddr, BTreeSet<FlowId>>,
    over: HashMap<(Tuple, u32), Over>,
}

impl Claims {
    pub(super) fn add(&mut self, id: FlowId, tuple: Tuple, iss: SeqNum) {
        self.open.entry(tuple).or_default().push((id, iss));
        self.by_local.entry(tuple.local).or_default().insert(id);
    }

    pub(super) fn remove(&mut self, id: FlowId, tuple: Tuple) {
        if let Some(flows) = self.open.get_mut(&tuple) {
            flows.retain(|(known, _)| *known != id);
            if flows.is_empty() {
                self.open.remove(&tuple);
            }
        }
        if let Some(flows) = self.by_local.get_mut(&tuple.local) {
            flows.remove(&id);
            if flows.is_empty() {
                self.by_local.remove(&tuple.local);
            }
        }
    }

    pub(super) fn remember(&mut self, tuple: Tuple, iss: SeqNum, over: Over) {
        self.over.insert((tuple, iss.0), over);
    }

    pub(super) fn bury(&mut self, tuple: Tuple, iss: SeqNum) {
        self.over.remove(&(tuple, iss.0));
    }

    /// Whose a packet between these ends is.
    pub(super) fn find(&self, tuple: Tuple, hint: Hint) -> Option<Claim> {
        let open = self.open.get(&tuple).map(Vec::as_slice).unwrap_or_default();
        if let Some(named) = hint.iss() {
            // Nearest behind its initial number: another flow's is some thousand millions away.
            let behind = |iss: SeqNum| named.offset_from(iss);
            let nearest = open.iter().min_by_key(|(_, iss)| behind(*iss));
            if let Some((id, iss)) = nearest
                && (behind(*iss) == 0 || open.len() > 1 && behind(*iss) < 1 << 30)
            {
                return Some(Claim::Open(*id));
            }
            if let Some(over) = self.over.get(&(tuple, named.0)) {
                return Some(Claim::Over(*over));
            }
        }
        if let Some((id, _)) = open.last() {
            return Some(Claim::Open(*id));
        }
        let here = self.by_local.get(&tuple.local)?;
        // With several flows on the port nobody can tell whose it should be.
        if here.len() == 1 { here.first().map(|id| Claim::Foreign(*id)) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: FlowId = FlowId(1);
    const B: FlowId = FlowId(2);

    fn tuple(remote: u16) -> Tuple {
        let end = |port| SocketAddr::from(([192, 0, 2, 1], port));
        Tuple { local: end(40_000), remote: end(remote) }
    }

    fn ack(raw: u32) -> Hint {
        Hint::Ack(SeqNum(raw))
    }

    fn over(flow: FlowId) -> Over {
        Over { flow, ttl: 64, tos: 0 }
    }

    #[test]
    fn of_two_flows_on_the_same_ports_the_sequence_number_decides() {
        let mut claims = Claims::default();
        claims.add(A, tuple(80), SeqNum(u32::MAX - 1));
        claims.add(B, tuple(80), SeqNum(3_000_000_000));
        assert_eq!(claims.find(tuple(80), ack(u32::MAX)), Some(Claim::Open(A)));
        assert_eq!(claims.find(tuple(80), ack(4)), Some(Claim::Open(A)), "data, beyond the wrap");
        assert_eq!(claims.find(tuple(80), ack(3_000_000_001)), Some(Claim::Open(B)));
        assert_eq!(claims.find(tuple(80), Hint::None), Some(Claim::Open(B)), "the newest");
        claims.remove(B, tuple(80));
        assert_eq!(claims.find(tuple(80), ack(3_000_000_001)), Some(Claim::Open(A)), "to reject");
    }

    #[test]
    fn an_old_answer_is_the_old_flows_also_while_a_new_one_is_open() {
        let mut claims = Claims::default();
        claims.remember(tuple(80), SeqNum(7), over(A));
        assert_eq!(claims.find(tuple(80), ack(8)), Some(Claim::Over(over(A))));
        claims.add(B, tuple(80), SeqNum(5));
        assert_eq!(claims.find(tuple(80), ack(8)), Some(Claim::Over(over(A))));
        let quote = |seq| Hint::Quote(SeqNum(seq));
        assert_eq!(claims.find(tuple(80), quote(7)), Some(Claim::Over(over(A))));
        assert_eq!(claims.find(tuple(80), quote(5)), Some(Claim::Open(B)));
        claims.bury(tuple(80), SeqNum(7));
        assert_eq!(claims.find(tuple(80), ack(8)), Some(Claim::Open(B)));
    }

    #[test]
    fn a_stranger_at_a_port_of_one_flow_is_shown_with_that_flow() {
        let mut claims = Claims::default();
        claims.add(A, tuple(80), SeqNum(1));
        assert_eq!(claims.find(tuple(81), ack(2)), Some(Claim::Foreign(A)));
        claims.add(B, tuple(82), SeqNum(1));
        assert_eq!(claims.find(tuple(81), ack(2)), None);
    }
}
