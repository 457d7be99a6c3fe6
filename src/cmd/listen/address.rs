//! Where to listen, as the user writes it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{bail, ensure};

use crate::cli::ListenArgs;
use crate::cmd::target::{Family, Services, Target, on_interface, port, resolve};

/// The addresses behind `[ADDR:]PORT`: all of this host for a port alone.
///
/// # Errors
/// It is no address of a host, no port, or of the family that is not wanted.
pub(super) fn parse(args: &ListenArgs) -> anyhow::Result<Vec<SocketAddr>> {
    let (text, services) = (args.at.as_str(), Services::of_host());
    let (v4, v6) = (!args.family.ipv6, !args.family.ipv4);
    // What a target would be told, -p and all, is of no use here.
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => bail!("{ip} is an address without a port: write {ip}:8080"),
        Ok(IpAddr::V6(ip)) => bail!("{ip} is an address without a port: write [{ip}]:8080"),
        Err(_) => {}
    }
    if !text.contains(':') {
        let port = if text == "0" { 0 } else { port(text, &services)? };
        let all = [
            (v4, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            (v6 && has_ipv6(), IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        ];
        let addresses = all.into_iter().filter(|(wanted, _)| *wanted);
        let addresses: Vec<_> = addresses.map(|(_, ip)| SocketAddr::new(ip, port)).collect();
        ensure!(!addresses.is_empty(), "this host has no IPv6");
        return Ok(addresses);
    }
    // Any port but 0 is told by the rules for targets.
    let (text, any_port) = match text.strip_suffix(":0") {
        Some(host) => (format!("{host}:1"), true),
        None => (text.to_owned(), false),
    };
    let target = Target::parse(&text, None, &services)?;
    let addresses = resolve(&target, Family::of(&args.family))?;
    let Some(first) = addresses.first() else { bail!("'{}' has no address", target.name) };
    let mut address = on_interface(*first, args.source.interface.as_deref())?;
    if any_port {
        address.set_port(0);
    }
    let ip = address.ip();
    let is_broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    ensure!(!ip.is_multicast() && !is_broadcast, "{ip} is no address of one host");
    Ok(vec![address])
}

/// Whether the kernel has IPv6 at all.
fn has_ipv6() -> bool {
    std::path::Path::new("/proc/net/if_inet6").exists()
}
