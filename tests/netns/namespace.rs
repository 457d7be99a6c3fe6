//! Private networks: how this process gets into a place where it may build them, and the two
//! topologies that the tests use.

use crate::netlink;
use anyhow::{Context, Result, anyhow};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{getgid, getuid};
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::thread;

/// Moves this process, which must not have started a thread yet, into a network namespace of its
/// own: as root by right, as an ordinary user by way of a user namespace.
pub(crate) fn enter() -> Result<()> {
    let plain = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    if unshare(plain).is_err() {
        let (uid, gid) = (getuid(), getgid());
        unshare(plain | CloneFlags::CLONE_NEWUSER)
            .context("this system refuses user namespaces to this user")?;
        fs::write("/proc/self/setgroups", "deny").context("/proc/self/setgroups")?;
        fs::write("/proc/self/uid_map", format!("0 {uid} 1")).context("/proc/self/uid_map")?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1")).context("/proc/self/gid_map")?;
    }
    // Nothing that is mounted here may be seen outside.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("cannot make the mounts private")?;
    // Some systems grant the namespace and withhold every capability in it: find out here.
    let trial = Topology::veth().context("the namespace is there, but without its capabilities")?;
    drop(trial);
    Ok(())
}

/// A network namespace, alive as long as this value or a socket in it.
pub(crate) struct Namespace {
    pub(crate) handle: File,
}

impl Namespace {
    pub(crate) fn new() -> Result<Self> {
        in_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("unshare of a network namespace")?;
            // No duplicate address detection: its seconds of silence would be ours. Where /proc/sys
            // is read-only, the flag on each address does the same.
            for scope in ["all", "default"] {
                fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/accept_dad"), "0").ok();
            }
            netlink::set_up("lo")?;
            let handle = File::open("/proc/thread-self/ns/net").context("own namespace")?;
            Ok(Self { handle })
        })
    }

    /// Runs `work` in a thread inside this namespace. Sockets that it opens and processes that it
    /// starts stay there.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        in_thread(|| {
            setns(&self.handle, CloneFlags::CLONE_NEWNET).context("setns")?;
            work()
        })
    }

    /// Another handle of the same namespace, for a thread that outlives the borrow.
    pub(crate) fn duplicate(&self) -> Result<Self> {
        Ok(Self { handle: self.handle.try_clone()? })
    }

    /// Moves the calling thread, for good, into this namespace.
    pub(crate) fn join(&self) -> Result<()> {
        setns(&self.handle, CloneFlags::CLONE_NEWNET).context("setns")
    }
}

fn in_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        scope.spawn(work).join().map_err(|_| anyhow!("a namespace thread panicked"))?
    })
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        }
    }
}

/// How the two ends are joined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Link {
    /// Both ends in one namespace, over its loopback.
    Loopback,
    /// Two namespaces, joined by a veth pair.
    Veth,
}

impl Link {
    pub(crate) const BOTH: [Self; 2] = [Self::Loopback, Self::Veth];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Loopback => "lo",
            Self::Veth => "veth",
        }
    }
}

/// A client's and a server's place, and the link between. Gone when dropped.
pub(crate) struct Topology {
    pub(crate) client: Namespace,
    pub(crate) server: Namespace,
    pub(crate) link: Link,
}

/// The client's interface in the veth topology.
pub(crate) const CLIENT_VETH: &str = "toserver";
/// The server's interface in the veth topology.
pub(crate) const SERVER_VETH: &str = "toclient";
const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
const PREFIX_V4: u8 = 24;
const PREFIX_V6: u8 = 64;

impl Topology {
    pub(crate) fn new(link: Link) -> Result<Self> {
        match link {
            Link::Loopback => Self::loopback(),
            Link::Veth => Self::veth(),
        }
    }

    fn loopback() -> Result<Self> {
        let client = Namespace::new()?;
        let server = client.duplicate()?;
        Ok(Self { client, server, link: Link::Loopback })
    }

    fn veth() -> Result<Self> {
        Self::joined_by(|client, server| {
            let peer = server.handle.as_raw_fd();
            client.within(|| netlink::add_veth(CLIENT_VETH, SERVER_VETH, peer))
        })
    }

    /// Two namespaces, after `join` gave each its interface of the veth topology, whatever is between.
    pub(crate) fn joined_by(
        join: impl FnOnce(&Namespace, &Namespace) -> Result<()>,
    ) -> Result<Self> {
        Self::joined_and_ready(join, netlink::await_ready)
    }

    /// The same over devices without neighbours, which have nothing to wait for but the carrier.
    pub(crate) fn joined_without_neighbours(
        join: impl FnOnce(&Namespace, &Namespace) -> Result<()>,
    ) -> Result<Self> {
        Self::joined_and_ready(join, |name, _| netlink::await_carrier(name))
    }

    fn joined_and_ready(
        join: impl FnOnce(&Namespace, &Namespace) -> Result<()>,
        await_ready: impl Fn(&str, Ipv6Addr) -> Result<()> + Sync,
    ) -> Result<Self> {
        let client = Namespace::new()?;
        let server = Namespace::new()?;
        join(&client, &server)?;
        let topology = Self { client, server, link: Link::Veth };
        for family in Family::BOTH {
            let prefix = if family == Family::V4 { PREFIX_V4 } else { PREFIX_V6 };
            let (ours, theirs) = (topology.client_address(family), topology.address(family));
            topology.client.within(|| netlink::add_address(CLIENT_VETH, ours, prefix))?;
            topology.server.within(|| netlink::add_address(SERVER_VETH, theirs, prefix))?;
        }
        topology.client.within(|| netlink::set_up(CLIENT_VETH))?;
        topology.server.within(|| netlink::set_up(SERVER_VETH))?;
        topology.client.within(|| await_ready(CLIENT_VETH, CLIENT_V6))?;
        topology.server.within(|| await_ready(SERVER_VETH, SERVER_V6))?;
        Ok(topology)
    }

    /// The server's address.
    pub(crate) const fn address(&self, family: Family) -> IpAddr {
        match (self.link, family) {
            (Link::Loopback, Family::V4) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            (Link::Loopback, Family::V6) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            (Link::Veth, Family::V4) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
            (Link::Veth, Family::V6) => IpAddr::V6(SERVER_V6),
        }
    }

    /// The client's address.
    pub(crate) const fn client_address(&self, family: Family) -> IpAddr {
        match (self.link, family) {
            (Link::Loopback, _) => self.address(family),
            (Link::Veth, Family::V4) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            (Link::Veth, Family::V6) => IpAddr::V6(CLIENT_V6),
        }
    }
}
