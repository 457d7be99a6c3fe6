//! The running kernel's TCP.

use super::{Host, Kind, Left, case_of};
use crate::Case;
use crate::namespace::{Family, Link, Namespace, Topology};
use crate::servers::Server;
use crate::sockets::{self, KernelState};
use anyhow::{Context, Result};
use std::fs;
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
        let start = |kind: Kind| {
            topology.server.within(|| {
                fs::write(FAST_OPEN, fast_open(kind)).context("the setting of Fast Open")
            })?;
            Ok((kind, Server::start(&topology, family, kind.habit())?))
        };
        let servers = Kind::ALL.into_iter().map(start).collect::<Result<_>>()?;
        Ok(Self { topology, servers })
    }
}

const FAST_OPEN: &str = "/proc/sys/net/ipv4/tcp_fastopen";

/// One server speaks Fast Open, so that what a cookie is good for can be decided somewhere: the
/// default but for servers, and for all that begin to listen now (ip-sysctl: 0x1, 0x2 and 0x400).
const fn fast_open(kind: Kind) -> &'static str {
    if matches!(kind, Kind::Http) { "1027" } else { "3" }
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
