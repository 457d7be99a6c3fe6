//! The kernel, its clock, and what it runs in.

use std::fs;

use super::{Finding, told_by};

/// Clock sources that take a register's reading; the others take a device's.
const FAST_CLOCKS: [&str; 6] = [
    "tsc",
    "arch_sys_counter",
    "kvm-clock",
    "hyperv_clocksource_tsc_page",
    "riscv_clocksource",
    "timebase",
];

/// What kind of host this is.
pub(super) fn findings() -> Vec<Finding> {
    let release = told_by("/proc/sys/kernel/osrelease").unwrap_or_default();
    let clock = told_by("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let mut findings = Vec::new();
    findings.extend(container(&release, &Signs::look()));
    findings.push(Finding::info("kernel", format!("Linux {release}, {}", std::env::consts::ARCH)));
    findings.extend(clock.map(|name| clock_source(&name)));
    findings
}

/// What tells a container.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Signs {
    docker: bool,
    podman: bool,
    /// As systemd's container interface names it.
    named: Option<String>,
}

impl Signs {
    fn look() -> Self {
        let exists = |path| fs::exists(path).unwrap_or(false);
        Self {
            docker: exists("/.dockerenv"),
            podman: exists("/run/.containerenv"),
            named: told_by("/run/systemd/container")
                .or_else(|| std::env::var("container").ok())
                .filter(|name| !name.is_empty()),
        }
    }
}

fn container(release: &str, signs: &Signs) -> Option<Finding> {
    let release = release.to_ascii_lowercase();
    if release.contains("microsoft") {
        // Version 1 emulates Linux and has no packet sockets; version 2 is a virtual machine.
        let text = if release.contains("wsl2") || release.contains("microsoft-standard") {
            "WSL 2: Windows translates addresses, and is in the path of every packet"
        } else {
            "WSL 1: it emulates Linux and has no packet sockets"
        };
        let finding = Finding::limited("container", text);
        return Some(if text.starts_with("WSL 1") {
            finding.remedied("wsl --set-version DISTRIBUTION 2")
        } else {
            finding
        });
    }
    let name = match signs {
        Signs { docker: true, .. } => "Docker",
        Signs { podman: true, .. } => "Podman",
        Signs { named: Some(name), .. } => name,
        _ => return None,
    };
    Some(Finding::info(
        "container",
        format!("in a container ({name}): its host may filter and translate what it sends"),
    ))
}

fn clock_source(name: &str) -> Finding {
    let topic = "clock";
    if FAST_CLOCKS.contains(&name) {
        return Finding::good(topic, format!("the kernel's clock source is {name}"));
    }
    Finding::limited(
        topic,
        format!(
            "the kernel's clock source is {name}: a reading takes about a microsecond, or more"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_container_is_told_by_its_signs() {
        let none = Signs::default();
        assert_eq!(container("6.12.0-amd64", &none), None);
        let docker = Signs { docker: true, ..none.clone() };
        assert!(container("6.12.0", &docker).unwrap().text.starts_with("in a container (Docker)"));
        let named = Signs { named: Some("lxc".to_owned()), ..none.clone() };
        assert!(container("6.12.0", &named).unwrap().text.starts_with("in a container (lxc)"));
        let wsl = |release| container(release, &none).unwrap();
        assert!(wsl("5.15.90.1-microsoft-standard-WSL2").text.starts_with("WSL 2"));
        assert!(wsl("4.4.0-19041-Microsoft").remedy.is_some());
    }

    #[test]
    fn a_device_for_a_clock_is_a_limit() {
        assert_eq!(clock_source("tsc").status, Status::Good);
        assert_eq!(clock_source("hpet").status, Status::Limited);
    }
}
