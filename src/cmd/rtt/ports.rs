//! Source ports: a fresh one for every probe, or fixed ones in turn.
//!
//! A fresh port serves one round of all targets: to each of them it is new. It stays guarded until
//! its last probe is over and forgotten, so that our kernel is silent for exactly as long as an
//! answer would still be recognised.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use crate::cmd::ground::Carrier;

/// Ports that nobody uses any more, to be released.
type Returned = Rc<RefCell<Vec<(IpAddr, u16)>>>;

/// A guarded port, for as long as a copy of this lives.
#[derive(Clone, Debug)]
pub(super) struct Lease(Rc<Held>);

#[derive(Debug)]
struct Held {
    source: IpAddr,
    port: u16,
    returned: Returned,
}

impl Lease {
    /// The guarded address and port.
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.0.source, self.0.port)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.returned.borrow_mut().push((self.source, self.port));
    }
}

/// Who asks for a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Request {
    /// The source address.
    pub(super) source: IpAddr,
    /// How many targets before it are the very same address and port: each needs ports of its own.
    pub(super) copy: u16,
    /// The probe's place in its target's row.
    pub(super) index: u64,
    /// Which of the fixed ports.
    pub(super) flow: u32,
}

/// Gives ports out.
#[derive(Debug)]
pub(super) struct PortDesk {
    /// Fixed ports per source address and copy; empty where ports are fresh.
    fixed: HashMap<(IpAddr, u16), Vec<Lease>>,
    /// The port of the round that is on, with the round.
    current: HashMap<(IpAddr, u16), (u64, Lease)>,
    returned: Returned,
    held: usize,
}

impl PortDesk {
    /// A desk whose ports are fresh.
    pub(super) fn fresh() -> Self {
        Self { fixed: HashMap::new(), current: HashMap::new(), returned: Rc::default(), held: 0 }
    }

    /// Fixes `ports` of `source` for the targets that are the `copy`th of their kind.
    pub(super) fn fix(&mut self, source: IpAddr, copy: u16, ports: &[u16]) {
        self.held += ports.len();
        let leases = ports.iter().map(|&port| self.held_lease(source, port)).collect();
        self.fixed.insert((source, copy), leases);
    }

    /// The port for a probe.
    ///
    /// # Errors
    /// There is none left: of ports, or of descriptors to hold them by.
    pub(super) fn lease(&mut self, wire: &mut Carrier, request: Request) -> anyhow::Result<Lease> {
        let Request { source, copy, index, flow } = request;
        if let Some(leases) = self.fixed.get(&(source, copy))
            && let Some(lease) = leases.get(flow as usize)
        {
            return Ok(lease.clone());
        }
        if let Some((round, lease)) = self.current.get(&(source, copy))
            && *round == index
        {
            return Ok(lease.clone());
        }
        let port = wire.take_port(source, None)?;
        self.held += 1;
        let lease = self.held_lease(source, port);
        self.current.insert((source, copy), (index, lease.clone()));
        Ok(lease)
    }

    /// The fixed ports of a source address, for the targets that are the `copy`th of their kind.
    pub(super) fn fixed_ports(&self, source: IpAddr, copy: u16) -> Vec<u16> {
        let leases = self.fixed.get(&(source, copy)).map(Vec::as_slice).unwrap_or_default();
        leases.iter().map(|lease| lease.address().port()).collect()
    }

    /// Ports that are guarded now.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Releases what nobody uses any more.
    pub(super) fn release(&mut self, wire: &mut Carrier) {
        for (source, port) in self.returned.borrow_mut().drain(..) {
            self.held -= 1;
            wire.release_port(source, port);
        }
    }

    fn held_lease(&self, source: IpAddr, port: u16) -> Lease {
        Lease(Rc::new(Held { source, port, returned: Rc::clone(&self.returned) }))
    }
}
