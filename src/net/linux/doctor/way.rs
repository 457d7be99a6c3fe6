//! The way to a target, or to everywhere.

use std::net::{IpAddr, Ipv6Addr};

use super::{Finding, told_by};
use crate::net::linux::route::{Route, RouteError, RouteOptions, route_to};

/// Stand for everywhere: a root name server, whose addresses no host has a way of its own to. They are
/// looked up and never sent to. Addresses for documentation (RFC 5737) do not serve: some private
/// networks are built of them.
const EVERYWHERE: [(&str, &str); 2] = [("IPv4", "198.41.0.4"), ("IPv6", "2001:503:ba3e::2:30")];

/// What was found of the ways, and the interfaces that they lead over.
pub(super) struct Ways {
    pub(super) findings: Vec<Finding>,
    pub(super) interfaces: Vec<String>,
}

/// Looks up the way to `target`, or to everywhere.
pub(super) fn find(target: Option<IpAddr>, interface: Option<&str>) -> Ways {
    let mut ways = Ways { findings: Vec::new(), interfaces: Vec::new() };
    // A named interface is looked at even where no way leads over it.
    ways.interfaces.extend(interface.map(str::to_owned));
    let options =
        RouteOptions { interface: interface.map(str::to_owned), ..RouteOptions::default() };
    let ipv6 = ipv6(
        &told_by("/proc/self/net/if_inet6").unwrap_or_default(),
        told_by("/proc/sys/net/ipv6/conf/all/disable_ipv6").as_deref(),
    );
    match target {
        Some(target) => ways.add(Some(target), route_to(target, &options)),
        None => {
            for (family, address) in EVERYWHERE {
                let Ok(address) = address.parse::<IpAddr>() else { continue };
                match route_to(address, &options) {
                    Err(RouteError::Unreachable(_) | RouteError::NoIpv6(_)) => {
                        ways.findings.push(Finding::info(
                            "route",
                            format!("no {family} default route: only what 'ip route' lists"),
                        ))
                    }
                    result => ways.add(None, result),
                }
            }
        }
    }
    ways.findings.push(ipv6);
    ways
}

impl Ways {
    fn add(&mut self, target: Option<IpAddr>, result: Result<Route, RouteError>) {
        match result {
            Ok(route) => {
                if !self.interfaces.contains(&route.interface.name) {
                    self.interfaces.push(route.interface.name.clone());
                }
                self.findings.push(Finding::good("route", words(target, &route)));
            }
            Err(error) => {
                if matches!(error, RouteError::NoSuchInterface(_)) {
                    self.interfaces.clear();
                }
                self.findings.push(Finding::missing("route", with_source(&error)));
            }
        }
    }
}

/// An error with what is below it, in one line.
fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn words(target: Option<IpAddr>, route: &Route) -> String {
    let Route { source, interface, gateway, mtu, .. } = route;
    let to = match (target, source) {
        (Some(target), _) => target.to_string(),
        (None, IpAddr::V4(_)) => "IPv4 default".to_owned(),
        (None, IpAddr::V6(_)) => "IPv6 default".to_owned(),
    };
    let via = match gateway {
        Some(gateway) => format!(" by way of {gateway}"),
        None if interface.is_loopback => ", this host itself".to_owned(),
        None => ", on the link".to_owned(),
    };
    let interface = &interface.name;
    format!("{to}: {interface} from {source}{via}, MTU {mtu}")
}

/// What the list of this host's IPv6 addresses says, and the switch that turns them all off, which
/// only a kernel with IPv6 has.
fn ipv6(list: &str, switch: Option<&str>) -> Finding {
    let topic = "IPv6";
    let addresses: Vec<Ipv6Addr> = list.lines().filter_map(address).collect();
    let global = |ip: &&Ipv6Addr| !ip.is_loopback() && !ip.is_unicast_link_local();
    if let Some(first) = addresses.iter().find(global) {
        return Finding::good(topic, format!("this host has an address: {first}"));
    }
    if addresses.iter().any(Ipv6Addr::is_unicast_link_local) {
        return Finding::info(
            topic,
            "addresses of the link alone: name the interface, fe80::1%eth0",
        );
    }
    Finding::info(
        topic,
        match (addresses.first(), switch) {
            (Some(_), _) => "this host has no IPv6 address but loopback's",
            (None, None) => "this kernel has none",
            (None, Some("1")) => "switched off: net.ipv6.conf.all.disable_ipv6 is 1",
            (None, Some(_)) => "this host has no IPv6 address at all",
        },
    )
}

fn address(line: &str) -> Option<Ipv6Addr> {
    let digits = line.split_whitespace().next().filter(|digits| digits.len() == 32)?;
    u128::from_str_radix(digits, 16).ok().map(Ipv6Addr::from)
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;
    use crate::net::linux::route::{Interface, LinkKind};

    fn route() -> Route {
        Route {
            destination: "192.0.2.1".parse().unwrap(),
            source: "10.1.2.3".parse().unwrap(),
            interface: Interface {
                name: "eth0".to_owned(),
                index: 2,
                mtu: 1500,
                is_loopback: false,
                link: LinkKind::Ethernet,
                mac: None,
            },
            gateway: Some("10.1.2.1".parse().unwrap()),
            mtu: 1500,
            scope_id: 0,
            pinned: false,
        }
    }

    #[test]
    fn a_way_names_what_a_user_checks_first() {
        let route = route();
        assert_eq!(
            words(Some(route.destination), &route),
            "192.0.2.1: eth0 from 10.1.2.3 by way of 10.1.2.1, MTU 1500"
        );
        assert_eq!(
            words(None, &route),
            "IPv4 default: eth0 from 10.1.2.3 by way of 10.1.2.1, MTU 1500"
        );
        let direct = Route { gateway: None, ..route };
        assert_eq!(words(None, &direct), "IPv4 default: eth0 from 10.1.2.3, on the link, MTU 1500");
    }

    #[test]
    fn ipv6_is_what_the_addresses_allow() {
        let lo = "00000000000000000000000000000001 01 80 10 80       lo\n";
        let link = "fe80000000000000e03fb2fffe18c60a 02 40 20 80     eth0\n";
        let global = "20010db8000000000000000000000007 02 40 00 80     eth0\n";
        let text = |list: &str| ipv6(list, Some("0")).text;
        assert_eq!(ipv6("", None).text, "this kernel has none");
        assert!(ipv6("", Some("1")).text.starts_with("switched off: "));
        assert_eq!(text(""), "this host has no IPv6 address at all");
        assert_eq!(text(lo), "this host has no IPv6 address but loopback's");
        assert!(text(&format!("{lo}{link}")).starts_with("addresses of the link alone"));
        let all = ipv6(&format!("{lo}{link}{global}"), Some("0"));
        assert_eq!(
            (all.status, all.text.as_str()),
            (Status::Good, "this host has an address: 2001:db8::7")
        );
    }

    #[test]
    fn an_interface_that_is_not_there_is_not_looked_at() {
        let ways = find(Some("127.0.0.1".parse().unwrap()), Some("nosuch0"));
        assert_eq!(ways.interfaces, Vec::<String>::new());
        assert_eq!(ways.findings[0].status, Status::Missing);
    }
}
