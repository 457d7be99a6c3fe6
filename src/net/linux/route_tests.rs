//! Tests of the route look-up.

use super::*;

fn error(destination: &str, options: &RouteOptions) -> String {
    route_to(destination.parse().unwrap(), options).unwrap_err().to_string()
}

#[test]
fn the_loopback_is_reached_through_itself() {
    let here: IpAddr = "127.0.0.1".parse().unwrap();
    let route = route_to(here, &RouteOptions::default()).unwrap();
    assert_eq!((route.source, route.gateway), (here, None));
    assert!(route.interface.is_loopback);
    assert_eq!(route.interface.link, LinkKind::Loopback);
    assert_eq!(route.mtu, route.interface.mtu);
    assert_eq!(route.scope_id, 0);
}

#[test]
fn what_cannot_be_reached_is_named_with_the_remedy() {
    let none = RouteOptions::default();
    assert_eq!(
        error("224.0.0.1", &none),
        "224.0.0.1 is a multicast address; a TCP connection needs the address of one host"
    );
    assert!(error("255.255.255.255", &none).starts_with("255.255.255.255 is the broadcast"));
    assert!(error("::", &none).starts_with(":: is the unspecified address"));
    assert_eq!(
        error("fe80::1", &none),
        "fe80::1 is link-local and needs its interface: write fe80::1%eth0, or use --interface"
    );
    let interface = Some("no-such-if0".to_owned());
    assert_eq!(
        error("127.0.0.1", &RouteOptions { interface, ..none.clone() }),
        "no interface is called \"no-such-if0\"; `ip link` lists them"
    );
    let source = Some("192.0.2.77".parse().unwrap());
    assert_eq!(
        error("127.0.0.1", &RouteOptions { source, ..none.clone() }),
        "192.0.2.77 is not an address of this host; choose one that `ip address` shows"
    );
    let source = Some("127.0.0.1".parse().unwrap());
    assert_eq!(
        refused(
            io::Error::from_raw_os_error(libc::EINVAL),
            "198.51.100.7".parse().unwrap(),
            &RouteOptions { source, ..none.clone() }
        )
        .to_string(),
        "source 127.0.0.1 reaches nothing but this host, and 198.51.100.7 is not on it"
    );
    let source = Some("::1".parse().unwrap());
    assert_eq!(
        error("127.0.0.1", &RouteOptions { source, ..none }),
        "source ::1 and target 127.0.0.1 are not of the same IP version; choose -4 or -6"
    );
}

#[test]
fn naming_the_loopback_pins_nothing_and_leads_nowhere_else() {
    let lo = Some("lo".to_owned());
    let options = RouteOptions { interface: lo, ..RouteOptions::default() };
    for source in [None, Some("127.0.0.2".parse().unwrap())] {
        let options = RouteOptions { source, ..options.clone() };
        let route = route_to("127.0.0.1".parse().unwrap(), &options).unwrap();
        assert_eq!(route.source, source.unwrap_or(route.destination));
        assert!(route.interface.is_loopback && !route.pinned);
    }
}

#[test]
fn a_refusal_of_the_kernel_becomes_one_line() {
    let to: IpAddr = "198.51.100.7".parse().unwrap();
    let said = |errno, options: &RouteOptions| {
        refused(io::Error::from_raw_os_error(errno), to, options).to_string()
    };
    let none = RouteOptions::default();
    let gone = RouteOptions { interface: Some("no-such-if0".to_owned()), ..none.clone() };
    assert_eq!(
        said(libc::ENETUNREACH, &none),
        "no route to 198.51.100.7; `ip route` shows what this host can reach"
    );
    assert_eq!(
        said(libc::ENODEV, &gone),
        "no interface is called \"no-such-if0\"; `ip link` lists them"
    );
    assert!(said(libc::EPROTOTYPE, &none).contains("the broadcast address of a network"));
    let down = refused(
        io::Error::from_raw_os_error(libc::ENETUNREACH),
        "127.0.0.1".parse().unwrap(),
        &none,
    );
    assert_eq!(down.to_string(), "interface lo is down; bring it up with `ip link set lo up`");
    assert!(said(libc::EACCES, &none).contains("prohibits 198.51.100.7"));
    assert_eq!(said(libc::EIO, &none), "cannot look up the route to 198.51.100.7");
}
