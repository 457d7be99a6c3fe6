//! What a command withholds between the machine and the wire.

use crate::tcp::{Transmit, TransmitKind};
use crate::wire::{Flags, Segment};

/// Whether a segment goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passage {
    /// It goes on.
    Pass,
    /// It does not: an outgoing one is dropped, an incoming one is kept until the gate opens.
    Withhold,
    /// It does not, as if the network had lost it.
    Lose,
    /// An incoming one goes on, and its FIN does not.
    WithoutFin,
}

/// Stands between a machine and the wire.
///
/// The machine stays correct by the RFC whatever a command wants to provoke: to send less or to
/// hear later is the gate's doing, as if the network had lost or delayed the segment.
pub trait Gate {
    /// Asked for every segment that the machine wants to send.
    fn outgoing(&mut self, transmit: &Transmit) -> Passage {
        let _ = transmit;
        Passage::Pass
    }

    /// Asked for every acceptable-looking segment that arrives, before the machine sees it.
    fn incoming(&mut self, segment: &Segment) -> Passage {
        let _ = segment;
        Passage::Pass
    }
}

/// Lets everything pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Gate for Open {}

/// Half-open: only SYNs and resets leave, so that the handshake never completes and the server's
/// application never hears of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct HalfOpen;

impl Gate for HalfOpen {
    fn outgoing(&mut self, transmit: &Transmit) -> Passage {
        let leaves = transmit.segment.flags.intersects(Flags::SYN.union(Flags::RST));
        if leaves || transmit.kind == TransmitKind::Reset {
            Passage::Pass
        } else {
            Passage::Withhold
        }
    }
}

/// Keeps the peer's FIN from our machine, as if it were still under way while ours leaves: this is
/// how two FINs cross.
#[derive(Clone, Copy, Debug, Default)]
pub struct HoldPeerFin;

impl Gate for HoldPeerFin {
    fn incoming(&mut self, segment: &Segment) -> Passage {
        if segment.has(Flags::FIN) { Passage::Withhold } else { Passage::Pass }
    }
}
