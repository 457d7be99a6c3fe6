//! Whether the guard keeps the kernel quiet: a connection to a guarded port must get no answer.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Socket, Type};

use super::Finding;
use crate::net::linux::guard::{Guard, GuardChoice, GuardError};

/// How long a kernel that answers may take to do so over loopback, in milliseconds. It answers
/// within the call that sends.
const PATIENCE: u8 = 10;

/// What a guard did when it was tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trial {
    /// The kernel kept silent.
    Silent,
    /// The kernel answered.
    Answered,
    /// The guard could not be set up.
    Refused,
    /// There is no such loopback address: nothing could be tried.
    NoLoopback,
}

/// The guard that works, of each family.
pub(super) fn findings() -> Vec<Finding> {
    let tried = |address: IpAddr| {
        (attempt(address, GuardChoice::Filter), attempt(address, GuardChoice::MinTtl))
    };
    let (v4, v6) = (tried(Ipv4Addr::LOCALHOST.into()), tried(Ipv6Addr::LOCALHOST.into()));
    // A host without IPv6 is told so elsewhere.
    if v4 == v6 || v6.0 == Trial::NoLoopback {
        return vec![judge("", v4)];
    }
    vec![judge("IPv4: ", v4), judge("IPv6: ", v6)]
}

fn judge(family: &str, (filter, min_ttl): (Trial, Trial)) -> Finding {
    let topic = "guard";
    match (filter, min_ttl) {
        (Trial::NoLoopback, _) | (_, Trial::NoLoopback) => {
            Finding::limited(topic, format!("{family}cannot be tried while lo is down"))
                .remedied("sudo ip link set lo up")
        }
        (Trial::Silent, Trial::Silent) => Finding::good(
            topic,
            format!("{family}the kernel keeps silent by socket filter, and by minimum TTL"),
        ),
        (Trial::Silent, _) => {
            Finding::good(topic, format!("{family}the kernel keeps silent by socket filter"))
        }
        (_, Trial::Silent) => Finding::limited(
            topic,
            format!(
                "{family}the kernel keeps silent by minimum TTL alone: a peer on the same link \
                 that sends with TTL 255 gets through to it"
            ),
        ),
        _ => Finding::missing(
            topic,
            format!("{family}nothing keeps the kernel from resetting our own connections"),
        )
        .remedied("needs SO_ATTACH_FILTER or IP_MINTTL, which this kernel or a sandbox refuses"),
    }
}

fn attempt(address: IpAddr, choice: GuardChoice) -> Trial {
    let guard = match Guard::take(address, None, 0, choice) {
        Ok(guard) => guard,
        Err(GuardError::SourceNotOurs(_)) => return Trial::NoLoopback,
        // No socket of this family at all.
        Err(GuardError::Io { source, .. }) if source.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            return Trial::NoLoopback;
        }
        Err(_) => return Trial::Refused,
    };
    match is_silent(SocketAddr::new(address, guard.port())) {
        Ok(true) => Trial::Silent,
        Ok(false) => Trial::Answered,
        Err(_) => Trial::NoLoopback,
    }
}

/// Whether a connection to `address` gets neither an acceptance nor a reset.
fn is_silent(address: SocketAddr) -> io::Result<bool> {
    let client = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    client.set_nonblocking(true)?;
    match client.connect(&address.into()) {
        Ok(()) => return Ok(false),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(false),
        Err(error) => return Err(error),
    }
    let mut answer = [PollFd::new(client.as_fd(), PollFlags::POLLOUT)];
    match poll(&mut answer, PollTimeout::from(PATIENCE)) {
        // Cut short by a signal: the answer would have been there before the call.
        Ok(0) | Err(nix::Error::EINTR) => Ok(true),
        Ok(_) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_guarded_port_is_silent_and_others_are_not() {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(attempt(loopback, GuardChoice::MinTtl), Trial::Silent);
        // Some kernels let only an administrator filter.
        let filter = attempt(loopback, GuardChoice::Filter);
        assert!(matches!(filter, Trial::Silent | Trial::Refused), "{filter:?}");
        let server = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        server.bind(&SocketAddr::new(loopback, 0).into()).unwrap();
        let address = server.local_addr().unwrap().as_socket().unwrap();
        assert!(!is_silent(address).unwrap(), "a port on which nobody listens refuses");
        server.listen(1).unwrap();
        assert!(!is_silent(address).unwrap(), "a server accepts");
    }

    #[test]
    fn nothing_is_missing_as_long_as_one_guard_works() {
        use Trial::{Answered, NoLoopback, Refused, Silent};
        for (trials, status) in [
            ((Silent, Silent), Status::Good),
            ((Silent, Refused), Status::Good),
            ((Refused, Silent), Status::Limited),
            ((Answered, Silent), Status::Limited),
            ((Refused, Refused), Status::Missing),
            ((Answered, Answered), Status::Missing),
            ((NoLoopback, NoLoopback), Status::Limited),
        ] {
            assert_eq!(judge("", trials).status, status, "{trials:?}");
        }
    }
}
