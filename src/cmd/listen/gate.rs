//! What is withheld from our machine, or from the client, on purpose.

use std::cell::Cell;
use std::rc::Rc;

use crate::driver::{Gate, Passage};
use crate::wire::{Flags, Segment};

/// The faults of one connection. The machine stays correct: to it, the network has lost or delayed
/// what is withheld.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// SYNs that are still to be treated as lost.
    pub(super) drop_syn: u32,
    /// The SYN is kept until the gate is opened: our SYN-ACK is late, or our own SYN goes first.
    pub(super) hold_syn: bool,
    /// The FIN is kept until the gate is opened, so that ours crosses it.
    pub(super) hold_fin: bool,
    /// The FIN never gets through: it is never acknowledged.
    pub(super) strip_fin: bool,
    /// What the gate keeps, for whoever is to open it.
    pub(super) kept: Rc<Cell<Kept>>,
}

/// What a gate keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Kept {
    /// The SYN.
    pub(super) syn: bool,
    /// A FIN.
    pub(super) fin: bool,
}

impl Faults {
    /// Whether there is anything to keep.
    pub(super) const fn is_open(&self) -> bool {
        self.drop_syn == 0 && !self.hold_syn && !self.hold_fin && !self.strip_fin
    }

    /// The same once the SYN is let through.
    pub(super) fn after_syn(&self) -> Self {
        Self { drop_syn: 0, hold_syn: false, ..self.clone() }
    }

    /// The same once the FIN is let through.
    pub(super) fn after_fin(&self) -> Self {
        Self { hold_fin: false, ..self.clone() }
    }

    fn note(&self, change: impl FnOnce(&mut Kept)) {
        let mut kept = self.kept.get();
        change(&mut kept);
        self.kept.set(kept);
    }
}

impl Gate for Faults {
    fn incoming(&mut self, segment: &Segment) -> Passage {
        if segment.has(Flags::RST) {
            return Passage::Pass;
        }
        if segment.has(Flags::SYN) && !segment.has(Flags::ACK) {
            if self.drop_syn > 0 {
                self.drop_syn -= 1;
                return Passage::Lose;
            }
            if self.hold_syn {
                // The first will do, and whoever sends very many fills no memory.
                let again = self.kept.get().syn;
                self.note(|kept| kept.syn = true);
                return if again { Passage::Lose } else { Passage::Withhold };
            }
        }
        if segment.has(Flags::FIN) {
            if self.strip_fin {
                return Passage::WithoutFin;
            }
            if self.hold_fin {
                let again = self.kept.get().fin;
                self.note(|kept| kept.fin = true);
                return if again { Passage::Lose } else { Passage::Withhold };
            }
        }
        Passage::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syn() -> Segment {
        Segment { flags: Flags::SYN, ..Segment::default() }
    }

    fn fin() -> Segment {
        Segment { flags: Flags::FIN | Flags::ACK, ..Segment::default() }
    }

    #[test]
    fn the_first_syns_are_lost_and_one_is_kept() {
        let mut gate = Faults { drop_syn: 2, hold_syn: true, ..Faults::default() };
        let got: Vec<Passage> = (0..4).map(|_| gate.incoming(&syn())).collect();
        assert_eq!(got, [Passage::Lose, Passage::Lose, Passage::Withhold, Passage::Lose]);
        assert!(gate.kept.get().syn);
        assert_eq!(gate.after_syn().incoming(&syn()), Passage::Pass);
    }

    #[test]
    fn a_fin_is_kept_or_stripped_and_a_reset_always_passes() {
        let mut gate = Faults { hold_fin: true, ..Faults::default() };
        assert_eq!(gate.incoming(&fin()), Passage::Withhold);
        assert_eq!(gate.after_fin().incoming(&fin()), Passage::Pass);
        let mut gate = Faults { strip_fin: true, hold_syn: true, ..Faults::default() };
        assert_eq!(gate.incoming(&fin()), Passage::WithoutFin);
        let reset = Segment { flags: Flags::RST | Flags::FIN, ..Segment::default() };
        assert_eq!(gate.incoming(&reset), Passage::Pass);
        assert!(!gate.is_open() && Faults::default().is_open());
    }
}
