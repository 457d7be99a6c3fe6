//! The host as a whole: firewall signs, kernel, clock, and what it runs in.

use std::path::Path;

use nix::sys::utsname::uname;

use super::{Finding, Status, read};

pub(super) fn examine() -> Vec<Finding> {
    let mut findings = vec![kernel(), clock()];
    findings.push(firewall(&firewall_signs()));
    findings.extend(surroundings());
    findings
}

fn kernel() -> Finding {
    // Where sockets that get the IPv6 header from us can say so, the youngest thing we use.
    let (topic, need) = ("kernel", (4, 5));
    let Ok(release) = uname().map(|name| name.release().to_string_lossy().into_owned()) else {
        return Finding::new(topic, Status::Info, "unknown release");
    };
    match version(&release) {
        Some(version) if version < need => {
            let text = format!("Linux {release} is older than what this program was made for");
            Finding::new(topic, Status::Limited, text).remedy("use Linux 4.5 or later")
        }
        _ => Finding::new(topic, Status::Good, format!("Linux {release}")),
    }
}

/// Major and minor number of a kernel release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn clock() -> Finding {
    let topic = "clock source";
    match read("/sys/devices/system/clocksource/clocksource0/current_clocksource") {
        Some(source) if matches!(source.as_str(), "tsc" | "kvm-clock" | "arch_sys_counter") => {
            Finding::new(topic, Status::Good, format!("{source}: read without a system call"))
        }
        Some(source) => {
            let text = format!("{source}: reading the time takes about a microsecond or more");
            Finding::new(topic, Status::Limited, text)
                .remedy("where the processor's counter is stable: boot with clocksource=tsc")
        }
        None => Finding::new(topic, Status::Info, "not shown here"),
    }
}

/// What hints at a firewall of this host's, without the right to read its rules.
fn firewall_signs() -> Vec<String> {
    let modules = read("/proc/modules").unwrap_or_default();
    let loaded = |name: &str| {
        modules.lines().any(|line| line.split(' ').next() == Some(name))
            || Path::new("/sys/module").join(name).exists()
    };
    let mut signs: Vec<String> = ["nf_tables", "ip_tables", "ip6_tables", "nf_conntrack", "ip_set"]
        .into_iter()
        .filter(|name| loaded(name))
        .map(|name| format!("{name} is present"))
        .collect();
    for file in ["ip_tables_names", "ip6_tables_names"] {
        let tables = read(&format!("/proc/thread-self/net/{file}")).unwrap_or_default();
        if !tables.is_empty() {
            signs.push(format!("{file} lists {}", tables.replace('\n', ", ")));
        }
    }
    let tracked = read("/proc/sys/net/netfilter/nf_conntrack_count");
    if let Some(count) = tracked.and_then(|text| text.parse::<u64>().ok()) {
        signs.push(format!("{count} connections are tracked"));
    }
    signs
}

fn firewall(signs: &[String]) -> Finding {
    let topic = "local firewall";
    if signs.is_empty() {
        return Finding::new(topic, Status::Good, "no sign of one");
    }
    let text = format!("there may be one: {}", signs.join("; "));
    Finding::new(topic, Status::Info, text)
        .remedy("see its rules: sudo nft list ruleset; sudo iptables-save")
}

/// Where the network is somebody else's doing.
fn surroundings() -> Vec<Finding> {
    let mut findings = Vec::new();
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default().to_lowercase();
    if release.contains("microsoft") {
        let text = "Windows Subsystem for Linux: its NAT may answer in a target's place";
        findings.push(
            Finding::new("surroundings", Status::Limited, text)
                .remedy("WSL 2 with networkingMode=mirrored comes closest to the wire"),
        );
    }
    let container = [("/.dockerenv", "Docker"), ("/run/.containerenv", "Podman")]
        .into_iter()
        .find(|(path, _)| Path::new(path).exists())
        .map(|(_, name)| name);
    if let Some(name) = container {
        let text = format!("a {name} container: packets pass the host's NAT and conntrack");
        findings.push(
            Finding::new("surroundings", Status::Info, text)
                .remedy("--network host shows the host's own network"),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(version("6.18.44-fc"), Some((6, 18)));
        assert!(version("10.0").unwrap() > version("9.9-rc1").unwrap());
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn signs_of_a_firewall_are_called_signs() {
        assert_eq!(firewall(&[]).status, Status::Good);
        let finding = firewall(&["nf_tables is present".to_owned(), "2 tables".to_owned()]);
        assert_eq!(finding.status, Status::Info);
        assert_eq!(finding.text, "there may be one: nf_tables is present; 2 tables");
    }
}
