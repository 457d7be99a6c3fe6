//! An interface: its state, what it stamps, and what it does to packets before a capture sees them.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Socket, Type};

use super::{Finding, told_by};
use crate::net::linux::choice::{HardwareStamps, Switch};
use crate::net::linux::sys;

/// `ETHTOOL_G…`, the commands that ask; `linux/ethtool.h`.
const GET_RX_CHECKSUM: u32 = 0x14;
const GET_TX_CHECKSUM: u32 = 0x16;
const GET_TSO: u32 = 0x1e;
const GET_GSO: u32 = 0x23;
const GET_FLAGS: u32 = 0x25;
const GET_GRO: u32 = 0x2b;
/// `ETH_FLAG_LRO` in the answer to [`GET_FLAGS`].
const LRO: u32 = 1 << 15;

/// All about an interface.
pub(super) fn findings(interface: &str) -> Vec<Finding> {
    let Ok(socket) = Socket::new(Domain::IPV4, Type::DGRAM, None) else { return Vec::new() };
    let fd = socket.as_fd();
    let Ok(flags) = sys::interface_flags(fd, interface) else { return Vec::new() };
    let mut findings = vec![state(interface, flags)];
    findings.push(stamping(interface, &HardwareStamps::of(interface)));
    findings.push(Offloads::of(fd, interface).finding(interface));
    findings.extend(reverse_path(interface));
    findings
}

fn state(interface: &str, flags: i32) -> Finding {
    let topic = "interface";
    if flags & libc::IFF_UP == 0 {
        return Finding::missing(topic, format!("{interface} is down"))
            .remedied(format!("sudo ip link set {interface} up"));
    }
    if flags & libc::IFF_RUNNING == 0 {
        return Finding::missing(topic, format!("{interface} is up, and has no carrier"))
            .remedied("plug in the cable, join the network, or start the other end");
    }
    Finding::good(topic, format!("{interface} is up"))
}

/// The capture is stamped by the kernel whatever the driver can do; what hardware adds is the
/// interface's own clock.
fn stamping(interface: &str, stamps: &HardwareStamps) -> Finding {
    let both = "the kernel stamps what comes and what goes";
    let own = match (stamps.receive, stamps.transmit) {
        (true, true) => match stamps.switch {
            Switch::On => "its hardware stamps both ways",
            Switch::Off => "its hardware can stamp both ways, and is switched off",
            Switch::Unknown => "its hardware can stamp both ways, and does not say whether it does",
        },
        (true, false) => "its hardware stamps on arrival alone",
        (false, true) if stamps.receive_some => {
            "its hardware stamps what goes, and of what comes PTP alone"
        }
        (false, true) => "its hardware stamps on the way out alone",
        (false, false) => "no stamps by its hardware",
    };
    let device = stamps.device.map(|clock| format!(" (/dev/ptp{clock})")).unwrap_or_default();
    let choice = stamps.automatic();
    let text = format!("{interface}: {both}; {own}{device}; --clock auto takes {choice}");
    let finding = Finding::good("timestamps", text);
    match stamps.remedy(interface) {
        Some(command) => finding.remedied(format!("for hardware stamps: {command} (linuxptp)")),
        None => finding,
    }
}

/// What the interface does to packets. `None` where it does not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Offloads {
    gro: Option<bool>,
    lro: Option<bool>,
    tso: Option<bool>,
    gso: Option<bool>,
    rx_checksum: Option<bool>,
    tx_checksum: Option<bool>,
}

impl Offloads {
    fn of(fd: BorrowedFd<'_>, interface: &str) -> Self {
        let ask = |command| sys::ethtool_value(fd, interface, command).ok();
        let is_on = |command| ask(command).map(|value| value != 0);
        Self {
            gro: is_on(GET_GRO),
            lro: ask(GET_FLAGS).map(|flags| flags & LRO != 0),
            tso: is_on(GET_TSO),
            gso: is_on(GET_GSO),
            rx_checksum: is_on(GET_RX_CHECKSUM),
            tx_checksum: is_on(GET_TX_CHECKSUM),
        }
    }

    fn finding(self, interface: &str) -> Finding {
        let topic = "offloads";
        let all = [
            ("GRO", self.gro),
            ("LRO", self.lro),
            ("TSO", self.tso),
            ("GSO", self.gso),
            ("rx checksum", self.rx_checksum),
            ("tx checksum", self.tx_checksum),
        ];
        let named = |wanted: bool| {
            let names = all.iter().filter(|(_, state)| *state == Some(wanted));
            names.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        };
        let text = match (named(true), named(false)) {
            (on, off) if on.is_empty() && off.is_empty() => {
                return Finding::info(topic, format!("{interface} does not say"));
            }
            (on, off) if off.is_empty() => format!("{interface}: {on} on"),
            (on, off) if on.is_empty() => format!("{interface}: {off} off"),
            (on, off) => format!("{interface}: {on} on; {off} off"),
        };
        // Loopback merges too, but nothing there was ever in smaller pieces.
        let merges: Vec<&str> = [("gro off", self.gro), ("lro off", self.lro)]
            .into_iter()
            .filter(|(_, state)| *state == Some(true))
            .map(|(word, _)| word)
            .collect();
        if merges.is_empty() || interface == "lo" {
            return Finding::info(topic, text);
        }
        Finding::info(topic, format!("{text}; data segments may be merged before they are seen"))
            .remedied(format!(
                "to see them as they were on the wire: sudo ethtool -K {interface} {}",
                merges.join(" ")
            ))
    }
}

/// The kernel's check of where packets come from. It matters to the kernel's own sockets: the
/// capture looks before it.
fn reverse_path(interface: &str) -> Option<Finding> {
    // A name with a slash does not exist, and would lead out of the directory.
    let of = |name: &str| {
        let path = format!("/proc/sys/net/ipv4/conf/{name}/rp_filter");
        fs::exists(&path).ok()?.then_some(())?;
        told_by(&path)?.parse::<u8>().ok()
    };
    // The kernel applies the stricter word: the larger of the two.
    let mode = of("all")?.max(of(interface)?);
    let name = match mode {
        0 => return None,
        1 => "strict",
        _ => "loose",
    };
    Some(Finding::info(
        "rp_filter",
        format!("{name} on {interface}: no matter to us, the capture sees packets before it"),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn loopback_is_up_and_has_no_clock_of_its_own() {
        let found = findings("lo");
        assert_eq!(found[0], Finding::good("interface", "lo is up"));
        assert_eq!(
            found[1].text,
            "lo: the kernel stamps what comes and what goes; no stamps by its hardware; \
             --clock auto takes kernel"
        );
        assert!(found[2].text.contains("GSO"), "lo answers ethtool: {:?}", found[2]);
        assert_eq!(findings("nosuch0"), Vec::new());
    }

    #[test]
    fn an_interface_that_cannot_carry_packets_is_missing() {
        let up = libc::IFF_UP;
        assert_eq!(state("eth0", up | libc::IFF_RUNNING).status, Status::Good);
        assert_eq!(state("eth0", up).status, Status::Missing);
        let down = state("eth0", libc::IFF_RUNNING);
        assert_eq!(down.remedy.as_deref(), Some("sudo ip link set eth0 up"));
    }

    #[test]
    fn a_hardware_clock_is_named_with_what_would_be_made_of_it() {
        let able = HardwareStamps {
            transmit: true,
            receive: true,
            device: Some(0),
            switch: Switch::On,
            ..HardwareStamps::default()
        };
        let on = stamping("eth0", &able);
        assert_eq!(
            (on.text.as_str(), on.remedy),
            (
                "eth0: the kernel stamps what comes and what goes; its hardware stamps both ways \
                 (/dev/ptp0); --clock auto takes hardware",
                None
            )
        );
        let off = stamping("eth0", &HardwareStamps { switch: Switch::Off, ..able });
        assert!(off.text.ends_with("switched off (/dev/ptp0); --clock auto takes kernel"));
        assert_eq!(
            off.remedy.as_deref(),
            Some("for hardware stamps: sudo hwstamp_ctl -i eth0 -t 1 -r 1 (linuxptp)")
        );
        let half = stamping("eth0", &HardwareStamps { transmit: false, ..able });
        assert!(half.text.contains("; its hardware stamps on arrival alone (/dev/ptp0); --clock"));
        assert_eq!(half.remedy, None, "nothing to switch on");
    }

    #[test]
    fn merging_is_worth_a_remedy_and_the_rest_a_line() {
        let none = Offloads::default();
        assert_eq!(none.finding("tun0").text, "tun0 does not say");
        let quiet = Offloads { gro: Some(false), tso: Some(true), ..none };
        assert_eq!(quiet.finding("eth0"), Finding::info("offloads", "eth0: TSO on; GRO off"));
        let merging = Offloads { gro: Some(true), lro: Some(true), ..none }.finding("eth0");
        assert_eq!(
            merging.remedy.as_deref(),
            Some("to see them as they were on the wire: sudo ethtool -K eth0 gro off lro off")
        );
        let loopback = Offloads { gro: Some(true), ..none }.finding("lo");
        assert_eq!(loopback.remedy, None);
    }
}
