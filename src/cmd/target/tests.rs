use std::io;
use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

fn services() -> Services {
    Services::from_table("")
}

fn parse(text: &str, port: Option<&str>) -> Result<Target, String> {
    Target::parse(text, port, &services()).map_err(|why| why.to_string())
}

fn name(text: &str) -> Host {
    Host::Name(text.to_owned())
}

fn address(text: &str) -> Host {
    Host::Addr(text.parse().expect(text), None)
}

#[test]
fn every_way_to_write_a_target_is_understood() {
    for (text, port, host, number) in [
        ("example.org:443", None, name("example.org"), 443),
        ("example.org:https", None, name("example.org"), 443),
        ("example.org", Some("443"), name("example.org"), 443),
        ("example.org", Some("ssh"), name("example.org"), 22),
        ("192.0.2.1:80", None, address("192.0.2.1"), 80),
        ("[2001:db8::1]:80", None, address("2001:db8::1"), 80),
        ("[2001:db8::1]", Some("80"), address("2001:db8::1"), 80),
        ("2001:db8::1", Some("80"), address("2001:db8::1"), 80),
        ("::1:80", Some("81"), address("::1:80"), 81),
        (
            "[fe80::1%eth0]:80",
            None,
            Host::Addr("fe80::1".parse().expect("v6"), Some("eth0".to_owned())),
            80,
        ),
        ("_x-y.example.:1", None, name("_x-y.example."), 1),
        ("127.1:80", None, name("127.1"), 80),
    ] {
        let target = parse(text, port).expect(text);
        assert_eq!((target.host, target.port), (host, number), "{text}");
    }
}

#[test]
fn every_wrong_target_has_its_reason() {
    for (text, port, reason) in [
        ("", None, "'' names no host: write it as HOST:PORT"),
        (":80", None, "':80' names no host: write it as HOST:PORT"),
        ("h", None, "'h' has no port: write h:443, or add -p 443"),
        ("::1", None, "'::1' is an IPv6 address without a port: write [::1]:443, or add -p 443"),
        ("[::1]", None, "'::1' is an IPv6 address without a port: write [::1]:443, or add -p 443"),
        ("h:", None, "there is no port where one belongs: ports are 1 to 65535"),
        ("h:0", None, "port 0 cannot be connected to: ports are 1 to 65535"),
        ("h:70000", None, "port 70000 is out of range: ports are 1 to 65535"),
        ("h:x", None, "'x' is no port number, and no service that /etc/services knows"),
        ("h:1,2", None, "'1,2' is more than one port: 'shakedown probe' takes lists and ranges"),
        ("h:1", Some("2"), "'h:1' has a port already, and '2' is a second one: leave one out"),
        ("443", Some("80"), "'443' stands where a host belongs: ports come after their host"),
        ("[::1:80", None, "'[::1:80' has an opening bracket: write it as [ADDRESS]:PORT"),
        ("[::1]80", None, "'[::1]80' has an opening bracket: write it as [ADDRESS]:PORT"),
        ("[h]:80", None, "'h' is no IPv6 address: write it as [2001:db8::1]:443"),
        ("1:2:3", None, "'1:2:3' is no IPv6 address: write it as [2001:db8::1]:443"),
        ("[fe80::1%]:1", None, "'fe80::1%' is no IPv6 address: write it as [2001:db8::1]:443"),
        ("256.1.1.1:1", None, "'256.1.1.1' is no IPv4 address: it has four numbers from 0 to 255"),
        ("10.0.0.0/8", None, "'10.0.0.0/8' is a network: name its hosts one by one"),
        ("a b:1", None, "'a b' is no host name: it contains ' '"),
        ("a\n:1", None, "'a\\u{a}' is no host name: it contains '\\n'"),
        (
            "bücher.example:1",
            None,
            "'bücher.example' is not in ASCII: write the name as DNS has it, with xn--",
        ),
        (
            "http://u@h/path",
            None,
            "'http://u@h/path' is a URL: write its host and port, as in h:80",
        ),
        (
            "https://[::1]:8/",
            None,
            "'https://[::1]:8/' is a URL: write its host and port, as in [::1]:8",
        ),
        ("ftp:///", None, "'ftp:///' is a URL: write its host and port, as in example.org:443"),
    ] {
        assert_eq!(parse(text, port), Err(reason.to_owned()), "{text}");
    }
    let long = format!("{}:1", "a".repeat(254));
    let reason = "a host name has 253 characters at most, and this one has 254";
    assert_eq!(parse(&long, None), Err(reason.to_owned()));
}

#[test]
fn where_the_port_hardly_matters_it_may_be_missing() {
    let parse = |text| {
        let target = Target::parse_or(text, 443, &services()).map_err(|why| why.to_string())?;
        Ok::<_, String>(target.to_string())
    };
    assert_eq!(parse("h"), Ok("h:443".to_owned()));
    assert_eq!(parse("::1"), Ok("[::1]:443".to_owned()));
    assert_eq!(parse("h:ssh"), Ok("h:22".to_owned()));
    assert!(parse("h:0").is_err());
}

fn probe(words: &[&str], shared: Option<&str>) -> Result<Vec<String>, String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let all = HostPorts::parse_all(&words, shared, &services()).map_err(|why| why.to_string())?;
    Ok(all.iter().flat_map(HostPorts::targets).map(|target| target.to_string()).collect())
}

#[test]
fn probes_take_several_hosts_with_their_ports() {
    let all = |words: &[&str]| probe(words, Some("7")).expect("targets").join(" ");
    assert_eq!(all(&["a:22,80", "b", "[::1]:8-9"]), "a:22 a:80 b:7 [::1]:8 [::1]:9");
    assert_eq!(all(&["a", "80", "b", "81-82", "c:1"]), "a:80 b:81 b:82 c:1");
    let wrong = |words: &[&str]| probe(words, None).expect_err("no targets");
    assert_eq!(wrong(&["a"]), "'a' has no port: write a:443, or add -p 443");
    assert_eq!(
        wrong(&["a:80", "443"]),
        "'443' stands where a host belongs: ports come after their host"
    );
    assert_eq!(
        wrong(&["a:1-65535", "b:1-65535", "c:1-65535", "d:1-65535", "e:1-65535"]),
        "327675 targets are too many: one run takes 262144"
    );
}

fn found(addresses: &[&str]) -> io::Result<Vec<SocketAddr>> {
    Ok(addresses.iter().map(|text| text.parse().expect(text)).collect())
}

fn resolved(
    text: &str,
    family: Family,
    answer: io::Result<Vec<SocketAddr>>,
) -> Result<String, String> {
    let target = parse(text, None).expect(text);
    let addresses = resolve_with(&target.host, target.port, family, |_, _| answer)
        .map_err(|why| why.to_string())?;
    Ok(addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

#[test]
fn names_give_their_addresses_in_order_once_in_the_family_asked_for() {
    let both = || found(&["[::2]:1", "192.0.2.1:1", "[::2]:1", "[::ffff:192.0.2.1]:1"]);
    assert_eq!(resolved("h:1", Family::Any, both()), Ok("[::2]:1 192.0.2.1:1".to_owned()));
    assert_eq!(resolved("h:1", Family::V4, both()), Ok("192.0.2.1:1".to_owned()));
    assert_eq!(resolved("h:1", Family::V6, both()), Ok("[::2]:1".to_owned()));
    let none = || found(&[]);
    assert_eq!(resolved("[::ffff:192.0.2.9]:5", Family::Any, none()), Ok("192.0.2.9:5".to_owned()));
    // Interface 1 is the loopback of every network namespace.
    assert_eq!(resolved("[fe80::1%lo]:5", Family::V6, none()), Ok("[fe80::1%1]:5".to_owned()));
}

#[test]
fn what_has_no_usable_address_is_refused_with_the_reason() {
    let failed =
        |text: &str| Err(io::Error::other(format!("failed to lookup address information: {text}")));
    for (text, family, answer, reason) in [
        (
            "h:1",
            Family::Any,
            failed("Name or service not known"),
            "cannot resolve 'h': Name or service not known",
        ),
        ("h:1", Family::Any, found(&[]), "cannot resolve 'h': the name has no address"),
        (
            "h:1",
            Family::V6,
            found(&["192.0.2.1:1"]),
            "'h' has no IPv6 address, only IPv4: leave out -6",
        ),
        (
            "[::1]:1",
            Family::V4,
            found(&[]),
            "-4 asks for IPv4, but ::1 is an IPv6 address: leave out -4",
        ),
        (
            "224.0.0.1:1",
            Family::Any,
            found(&[]),
            "224.0.0.1 is a multicast address: TCP connects to single hosts only",
        ),
        (
            "255.255.255.255:1",
            Family::Any,
            found(&[]),
            "255.255.255.255 is the broadcast address: TCP connects to single hosts only",
        ),
        (
            "h:1",
            Family::Any,
            found(&["[::]:1"]),
            ":: is the unspecified address: TCP connects to single hosts only",
        ),
        (
            "[fe80::1%nosuch0]:1",
            Family::Any,
            found(&[]),
            "no such interface 'nosuch0': 'ip link' lists them",
        ),
    ] {
        assert_eq!(resolved(text, family, answer), Err(reason.to_owned()), "{text}");
    }
}

#[test]
fn a_link_local_address_needs_its_interface() {
    let local: SocketAddr = "[fe80::1]:80".parse().expect("address");
    let reason = on_interface(local, None).expect_err("no interface").to_string();
    assert!(reason.starts_with("fe80::1 is a link-local address: name its interface"), "{reason}");
    let scoped = on_interface(local, Some("lo")).expect("lo").to_string();
    assert_eq!(scoped, "[fe80::1%1]:80");
    let global: SocketAddr = "[2001:db8::1]:80".parse().expect("address");
    assert_eq!(on_interface(global, Some("nosuch0")).expect("as it was"), global);
}

#[test]
fn reports_use_the_users_spelling_unless_told_otherwise() {
    let target = parse("Example.ORG:80", None).expect("target");
    let address = "192.0.2.1:80".parse().expect("address");
    assert_eq!(target.shown_as(address, false), "Example.ORG");
    assert_eq!(target.shown_as(address, true), "192.0.2.1");
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_][a-z0-9_-]{0,20}(\\.[a-z][a-z0-9-]{0,10}){0,3}",
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]")),
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}%eth0]")),
    ]
}

proptest! {
    #[test]
    fn a_target_that_is_printed_reads_back(host in host(), port in 1..=u16::MAX) {
        let text = format!("{host}:{port}");
        let target = parse(&text, None).expect("a target");
        prop_assert_eq!(target.to_string(), text.clone());
        prop_assert_eq!(parse(&target.to_string(), None), Ok(target.clone()));
        prop_assert_eq!(parse(&host, Some(&port.to_string())), Ok(target));
    }

    #[test]
    fn no_text_makes_the_parser_panic_or_leave_its_line(
        text in "\\PC{0,30}|[a-f0-9:.,%\\[\\]/\\n-]{0,40}",
        port in proptest::option::of("[a-z0-9,-]{0,12}"),
    ) {
        for reason in [
            parse(&text, port.as_deref()).err(),
            probe(&[&text, &text], port.as_deref()).err(),
        ].into_iter().flatten() {
            prop_assert!(!reason.chars().any(char::is_control), "{:?}", reason);
        }
    }
}
