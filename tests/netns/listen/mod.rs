//! `listen`: the kernel's own TCP is the client, and its trace of states is the truth.

mod bulk;
mod client;
mod faults;
mod hostile;
mod truth;

use crate::Case;
use crate::namespace::{Family, Topology};
use crate::run::{Finished, Privilege, Running};
use crate::servers::fresh_port;
use anyhow::{Context, Result};
use serde_json::Value;
use std::net::SocketAddr;

pub(crate) fn cases() -> Vec<Case> {
    [truth::cases(), faults::cases(), bulk::cases(), hostile::cases()]
        .into_iter()
        .flatten()
        .collect()
}

/// A listener that is ready.
struct Listener {
    running: Running,
    address: SocketAddr,
}

impl Listener {
    /// Starts one in the server's namespace, at the server's address and a fresh port.
    fn start(
        topology: &Topology,
        family: Family,
        privilege: Privilege,
        options: &[&str],
    ) -> Result<Self> {
        let address = SocketAddr::new(topology.address(family), fresh_port());
        Self::start_at(topology, address, &address.to_string(), privilege, options)
    }

    /// Starts one that is told to listen at `written`, of which `address` is part.
    fn start_at(
        topology: &Topology,
        address: SocketAddr,
        written: &str,
        privilege: Privilege,
        options: &[&str],
    ) -> Result<Self> {
        let arguments = [&["listen", written, "--json"], options].concat();
        let mut running = Running::start(&topology.server, privilege, &arguments)?;
        running.wait_for("a listener", |event| event["type"] == "run")?;
        Ok(Self { running, address })
    }

    fn finish(self, status: i32) -> Result<Finished> {
        let finished = self.running.finish()?;
        finished.expect_status(status)?;
        Ok(finished)
    }
}

/// What is said of the client with this port when its connection is over.
fn ended(finished: &Finished, port: u16) -> Result<&Value> {
    let mut clients = finished.of_type("client");
    clients
        .find(|event| event["stage"] == "ended" && event["client"]["port"] == port)
        .with_context(|| format!("no end of {port}: {}", finished.account()))
}
