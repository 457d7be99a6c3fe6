//! What this process may do.

use caps::{CapSet, Capability};
use socket2::{Domain, Protocol, Socket, Type};

use super::{Finding, told_by};
use crate::net::linux::namespace::{self, NamespaceError};
use crate::net::linux::privilege::{self, Privilege, PrivilegeError};

/// CAP_NET_RAW, and how it could be had.
pub(super) fn capability() -> Finding {
    let topic = "capability";
    let has = |set| caps::has_cap(None, set, Capability::CAP_NET_RAW).unwrap_or(false);
    if has(CapSet::Effective) {
        return Finding::good(topic, "CAP_NET_RAW is effective");
    }
    if has(CapSet::Permitted) {
        return Finding::good(topic, "CAP_NET_RAW is permitted, and raised when needed");
    }
    Finding::missing(topic, PrivilegeError::WHAT)
        .remedied(PrivilegeError::missing_net_raw().remedy())
}

/// The sockets that the capability is for, opened for a moment. Nothing to say without it.
pub(super) fn raw_sockets() -> Option<Finding> {
    let held = privilege::ensure_net_raw().ok()?;
    let open = |domain, kind, protocol| Socket::new(domain, kind, protocol).map(drop);
    let raw = Some(Protocol::from(libc::IPPROTO_RAW));
    let capture = open(Domain::PACKET, Type::DGRAM, None);
    let v4 = open(Domain::IPV4, Type::RAW, raw);
    let v6 = open(Domain::IPV6, Type::RAW, raw);
    if held == Privilege::Raised {
        // If it stays, the worst is a capability in effect that we may have anyway.
        let _ = caps::drop(None, CapSet::Effective, Capability::CAP_NET_RAW);
    }
    let finding = match (capture, v4, v6) {
        (Err(error), ..) => {
            Finding::missing("sockets", format!("packets cannot be captured (AF_PACKET): {error}"))
                .remedied("a seccomp filter, or a kernel without packet sockets")
        }
        (_, Err(error), Err(_)) => {
            Finding::missing("sockets", format!("packets cannot be sent (SOCK_RAW): {error}"))
        }
        (_, Err(error), _) => {
            Finding::limited("sockets", format!("raw sockets are open for IPv6 alone: {error}"))
        }
        (.., Err(error)) => {
            Finding::limited("sockets", format!("raw sockets are open for IPv4 alone: {error}"))
        }
        _ => Finding::good("sockets", "capture and raw sending work"),
    };
    Some(finding)
}

/// Whether the demo works without root.
pub(super) fn namespaces() -> Finding {
    let topic = "namespaces";
    let text = match namespace::trial() {
        Ok(Some(Ok(()))) => {
            return Finding::good(
                topic,
                "ordinary users may create private networks: `shakedown demo` needs no root",
            );
        }
        Ok(None) => {
            return Finding::info(topic, "private networks for ordinary users could not be tried");
        }
        Ok(Some(Err(NamespaceError::Refused(errno)))) => {
            format!("ordinary users may not create private networks ({})", namespace::reason(errno))
        }
        Ok(Some(Err(NamespaceError::SetUp { what, source }))) => {
            format!("a private network cannot be set up ({what}: {source})")
        }
        Err(error) => format!("private networks could not be tried: {error}"),
    };
    Finding::limited(topic, text)
        .remedied(format!("for the demo alone: `sudo {} demo`", privilege::program()))
}

/// Seccomp and `NoNewPrivs`, where there is something to say.
pub(super) fn confinement() -> Vec<Finding> {
    let seccomp = match status_line("Seccomp").as_deref() {
        Some("1" | "2") => Some(Finding::info(
            "seccomp",
            "a seccomp filter is active: a refusal above may be its doing",
        )),
        _ => None,
    };
    let fixed = (status_line("NoNewPrivs").as_deref() == Some("1")).then(|| {
        Finding::info("privileges", "NoNewPrivs is set: nothing started from here gains privileges")
    });
    seccomp.into_iter().chain(fixed).collect()
}

fn status_line(name: &str) -> Option<String> {
    value_of(name, &told_by("/proc/thread-self/status")?)
}

fn value_of(name: &str, status: &str) -> Option<String> {
    status.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.strip_prefix(':')?;
        Some(value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_status_is_found_by_its_whole_name() {
        let status = "NoNewPrivs:\t1\nSeccomp:\t0\nSeccomp_filters:\t3\n";
        assert_eq!(value_of("Seccomp", status).as_deref(), Some("0"));
        assert_eq!(value_of("NoNewPrivs", status).as_deref(), Some("1"));
        assert_eq!(value_of("Sec", status), None);
    }

    #[test]
    fn without_the_capability_it_is_missing_and_no_socket_is_tried() {
        // In a thread of its own: capabilities are a thread's.
        let (finding, sockets) = std::thread::spawn(|| {
            privilege::drop_all().unwrap();
            (capability(), raw_sockets())
        })
        .join()
        .unwrap();
        assert_eq!(finding.text, "CAP_NET_RAW is missing, which hand-made packets need");
        assert!(finding.remedy.is_some());
        assert_eq!(sockets, None);
    }
}
