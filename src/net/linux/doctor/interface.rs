//! The way to a target and the interface on it.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;

use super::{Finding, Status, read};
use crate::net::linux::route::{Interface, RouteOptions, route_to};
use crate::net::linux::sys;

const ETHTOOL_GRXCSUM: u32 = 0x14;
const ETHTOOL_GTSO: u32 = 0x1e;
const ETHTOOL_GGRO: u32 = 0x2b;

pub(super) fn examine(target: Option<IpAddr>) -> Vec<Finding> {
    let to = target.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let route = match route_to(to, &RouteOptions::default()) {
        Ok(route) => route,
        Err(error) => {
            let text = error.to_string();
            return vec![
                Finding::new("route", Status::Missing, text).remedy(format!("ip route get {to}")),
            ];
        }
    };
    let mut findings = vec![Finding::new("route", Status::Good, route.to_string())];
    if let Ok(socket) = UnixDatagram::unbound() {
        findings.push(timestamps(socket.as_fd(), &route.interface));
        findings.extend(offloads(socket.as_fd(), &route.interface));
    }
    findings.extend(reverse_path(&route.interface));
    findings
}

fn timestamps(fd: BorrowedFd<'_>, interface: &Interface) -> Finding {
    let (topic, name) = ("timestamps", &interface.name);
    let Ok(info) = sys::ethtool_timestamps(fd, name) else {
        return Finding::new(topic, Status::Good, format!("{name}: kernel, both directions"));
    };
    let both = libc::SOF_TIMESTAMPING_TX_HARDWARE | libc::SOF_TIMESTAMPING_RX_HARDWARE;
    if info.modes & both == both && info.hardware_clock >= 0 {
        let text = format!(
            "{name}: kernel, both directions; the interface also has a hardware clock (ptp{}), \
             not used yet",
            info.hardware_clock
        );
        Finding::new(topic, Status::Good, text)
    } else {
        Finding::new(
            topic,
            Status::Good,
            format!("{name}: kernel, both directions; no hardware clock"),
        )
    }
}

fn offloads(fd: BorrowedFd<'_>, interface: &Interface) -> Vec<Finding> {
    let name = &interface.name;
    let on = |command| sys::ethtool_value(fd, name, command).is_ok_and(|value| value != 0);
    let mut findings = Vec::new();
    if on(ETHTOOL_GGRO) {
        let text = format!("{name}: GRO may merge data segments before we see them");
        findings.push(
            Finding::new("offload", Status::Info, text)
                .remedy(format!("to see each: sudo ethtool -K {name} gro off")),
        );
    }
    if on(ETHTOOL_GRXCSUM) {
        let text = format!("{name}: checksums of arriving packets are verified by the interface");
        findings.push(Finding::new("offload", Status::Info, text));
    }
    if on(ETHTOOL_GTSO) {
        let text = format!("{name}: TSO; no effect on packets made by hand");
        findings.push(Finding::new("offload", Status::Info, text));
    }
    findings
}

/// Reverse path filtering drops answers that come in by another interface than the route names.
fn reverse_path(interface: &Interface) -> Option<Finding> {
    let value =
        |name: &str| read(&format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"))?.parse::<u8>().ok();
    // The kernel takes the larger of the two.
    let effective = value("all")?.max(value(&interface.name)?);
    let text = match effective {
        0 => "off",
        1 => "strict; our capture comes before it and sees asymmetric answers all the same",
        _ => "loose",
    };
    let text = format!("{}: rp_filter is {text}", interface.name);
    Some(Finding::new("reverse path", Status::Info, text))
}
