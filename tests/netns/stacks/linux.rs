//! The running kernel's TCP.

use super::{Host, Kind, Left, case_of};
use crate::Case;
use crate::namespace::{Family, Link, Namespace, Topology};
use crate::servers::Server;
use crate::sockets::{self, KernelState};
use anyhow::{Context, Result};
use std::net::SocketAddr;

/// The stack's name.
pub(super) const NAME: &str = "linux";

pub(super) fn case() -> Case {
    case_of(NAME, Linux::start)
}

/// A namespace with a server of each kind.
struct Linux {
    topology: Topology,
    servers: Vec<(Kind, Server)>,
}

impl Linux {
    fn start(family: Family) -> Result<Self> {
        let topology = Topology::new(Link::Veth)?;
        let start = |kind: Kind| Ok((kind, Server::start(&topology, family, kind.habit())?));
        let servers = Kind::ALL.into_iter().map(start).collect::<Result<_>>()?;
        Ok(Self { topology, servers })
    }
}

impl Host for Linux {
    fn client(&self) -> &Namespace {
        &self.topology.client
    }

    fn server(&self, kind: Kind) -> Result<SocketAddr> {
        let found = self.servers.iter().find(|(other, _)| *other == kind);
        Ok(found.context("no such server")?.1.address)
    }

    fn connections(&self) -> Result<Vec<Left>> {
        let is_left = |entry: &&sockets::Entry| {
            !matches!(entry.state, KernelState::Listen | KernelState::TimeWait)
        };
        let table = sockets::table(&self.topology.server)?;
        let left = |entry: &sockets::Entry| Left {
            port: entry.remote_port,
            state: entry.state.rfc().to_owned(),
        };
        Ok(table.iter().filter(is_left).map(left).collect())
    }
}
