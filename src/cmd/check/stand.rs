//! The battery's wire: packets, guarded ports and randomness of this host or of a simulation.

use std::io;
use std::net::IpAddr;

use crate::check::Stand;
use crate::cmd::ground::{Carrier, Dice};
use crate::net::{Facts, Received, Wire};
use crate::time::Instant;

/// A carrier with its source address and its dice.
pub(super) struct CarrierStand {
    carrier: Carrier,
    dice: Dice,
    source: IpAddr,
}

impl CarrierStand {
    pub(super) const fn new(carrier: Carrier, dice: Dice, source: IpAddr) -> Self {
        Self { carrier, dice, source }
    }
}

impl Wire for CarrierStand {
    fn now(&self) -> Instant {
        self.carrier.now()
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        self.carrier.send(packet)
    }

    fn receive(&mut self, until: Instant) -> io::Result<Received> {
        self.carrier.receive(until)
    }

    fn facts(&self) -> &Facts {
        self.carrier.facts()
    }
}

impl Stand for CarrierStand {
    fn take_port(&mut self) -> io::Result<u16> {
        self.carrier
            .take_port(self.source, None)
            .map_err(|error| io::Error::other(format!("{error:#}")))
    }

    fn release_port(&mut self, port: u16) {
        self.carrier.release_port(self.source, port);
    }

    fn words(&mut self) -> io::Result<[u32; 4]> {
        self.dice.words().map_err(|error| io::Error::other(format!("{error:#}")))
    }
}
