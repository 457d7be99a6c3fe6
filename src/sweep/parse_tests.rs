//! What lists of hosts say, and what is said about wrong ones.

use proptest::prelude::*;

use super::*;

/// The range as it would be written again, its interface, and a mark where the network was taken.
fn read(text: &str) -> String {
    match item(text) {
        Ok(Item::Name(name)) => format!("name {name}"),
        Ok(Item::Hosts(hosts)) => {
            let scope = hosts.scope.map_or_else(String::new, |scope| format!(" at {scope}"));
            format!("{}{scope}{}", hosts.range, if hosts.host_bits { " network" } else { "" })
        }
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn every_way_to_write_hosts_is_read() {
    for (text, meaning) in [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("10.0.0.0/16", "10.0.0.0/16"),
        ("10.0.3.7/16", "10.0.0.0/16 network"),
        ("10.0.0.1/32", "10.0.0.1"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:db8::/112", "2001:db8::/112"),
        ("2001:db8::5/112", "2001:db8::/112 network"),
        ("::/0", "::/0"),
        ("10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9"),
        ("10.0.0.1-9", "10.0.0.1-10.0.0.9"),
        ("10.0.0.0-255", "10.0.0.0/24"),
        ("10.0.0.5-5", "10.0.0.5"),
        ("2001:db8::1-2001:db8::ff", "2001:db8::1-2001:db8::ff"),
        ("fe80::1", "fe80::1"),
        ("fe80::1%eth0", "fe80::1 at eth0"),
        ("[fe80::1%eth0]", "fe80::1 at eth0"),
        ("fe80::1%br-lan", "fe80::1 at br-lan"),
        ("fe80::%eth0/120", "fe80::/120 at eth0"),
        ("fe80::1-fe80::9%eth0", "fe80::1-fe80::9 at eth0"),
        ("fe80::1%br-lan-fe80::9", "fe80::1-fe80::9 at br-lan"),
        ("fe80::1%br-lan-fe80::9%br-lan", "fe80::1-fe80::9 at br-lan"),
        ("example.org", "name example.org"),
        ("my-host", "name my-host"),
        ("a-1.example", "name a-1.example"),
        ("1-2.example", "name 1-2.example"),
        ("_srv.example.", "name _srv.example."),
        ("localhost", "name localhost"),
    ] {
        assert_eq!(read(text), meaning, "{text}");
    }
}

/// Each text with what is said about it, which begins with the text itself unless `: ` stands before.
fn assert_refused(cases: &[(&str, &str)]) {
    for (text, said) in cases {
        let said = match said.strip_prefix(": ") {
            Some(whole) => whole.to_owned(),
            None => format!("'{text}' {said}"),
        };
        assert_eq!(read(text), format!("error: {said}"), "{text}");
    }
}

#[test]
fn wrong_addresses_are_told_how_to_be_written() {
    let ipv4 = "is no IPv4 address: it has four numbers from 0 to 255, without leading zeros";
    let ipv6 = "is no IPv6 address: write it as in 2001:db8::1";
    assert_refused(&[
        (
            "",
            ": there is no host where one belongs: write an address, a range, or a network as in \
             192.0.2.0/24",
        ),
        ("10.0.0", ipv4),
        ("10.0.0.256", ipv4),
        ("010.0.0.1", ipv4),
        ("1.2.3.4.5", ipv4),
        ("443", ipv4),
        ("2001:db8:::1", ipv6),
        ("2001:db8::g", ipv6),
        ("[::1", ipv6),
        ("[10.0.0.1]", ipv6),
        ("10.0.0.1:80", "has a port: write 10.0.0.1, and the port with -p 80"),
        ("example.org:https", "has a port: write example.org, and the port with -p https"),
        ("[::1]:80", "has a port: write ::1, and the port with -p 80"),
        ("https://example.org/", "is a URL: write its host alone, and the port with -p"),
        ("10.0.0.*", "has a placeholder: write 10.0.0.0/24"),
        ("10.*.*.*", "has a placeholder: write 10.0.0.0/8"),
        ("10.0.0.0.*", ipv4),
        ("fe80::1%", "ends where its interface belongs: write it as in fe80::1%eth0"),
        (
            "2001:db8::1%eth0",
            "names the interface eth0, which only link-local addresses need: leave out '%eth0'",
        ),
        ("exa$mple", "is no host name and no address: it contains '$'"),
        ("münchen.example", "is not in ASCII: write the name as DNS has it, with xn--"),
        ("a\u{1b}[2J", ": 'a\\u{1b}[2J' is no host name and no address: it contains '\\u{1b}'"),
    ]);
    assert_eq!(
        read(&"a".repeat(254)),
        "error: a host name has 253 characters at most, and this one has 254"
    );
    assert!(read(&"1".repeat(1000)).len() < 250);
}

#[test]
fn wrong_networks_are_told_how_to_be_written() {
    let prefix4 = "has no prefix length from 0 to 32 after the '/': write it as in 192.0.2.0/24";
    let prefix6 = "has no prefix length from 0 to 128 after the '/': write it as in 2001:db8::/112";
    assert_refused(&[
        ("10.0.0.0/33", prefix4),
        ("10.0.0.0/", prefix4),
        ("10.0.0.0/+8", prefix4),
        ("10.0.0.0/-8", prefix4),
        ("10.0.0.0/8/8", prefix4),
        ("2001:db8::/129", prefix6),
        ("10.0.0.0/255.255.0.0", "has a netmask: write 10.0.0.0/16"),
        ("10.0.0.0/255.255.255.255", "has a netmask: write 10.0.0.0/32"),
        ("10.0.0.0/0.0.255.255", "has a netmask: write a prefix length, as in 192.0.2.0/24"),
        (
            "10.0.0/24",
            ": '10.0.0' is no IPv4 address: it has four numbers from 0 to 255, without leading zeros",
        ),
        (
            "example.org/24",
            "is a name with a prefix length: write the network by its address, as in 192.0.2.0/24",
        ),
        (
            "10.0.0.1-9/24",
            "is two ways to write a range at once: write it as in 192.0.2.0/24 or \
             192.0.2.0-192.0.2.255",
        ),
    ]);
}

#[test]
fn wrong_ranges_are_told_how_to_be_written() {
    let range4 = "is no range: write both ends as whole addresses, as in 192.0.2.1-192.0.2.9";
    let range6 = "is no range: write both ends as whole addresses, as in 2001:db8::1-2001:db8::9";
    let open = "needs two ends without blanks between, as in 192.0.2.1-192.0.2.9";
    let backwards = ": the range 10.0.0.9-10.0.0.1 runs backwards: write 10.0.0.1-10.0.0.9";
    assert_refused(&[
        ("10.0.0.1-", open),
        ("-10.0.0.1", open),
        ("-", open),
        ("10.0.0.1-256", range4),
        ("10.0.0.1-1.9", range4),
        ("10.0.0.1-x", range4),
        ("10.0.0-3.1-254", range4),
        ("1-2", range4),
        ("2001:db8::1-9", range6),
        ("2001:db8::1-2001:db8::g", range6),
        ("2001:db8::g-2001:db8::1", range6),
        ("10.0.0.9-10.0.0.1", backwards),
        ("10.0.0.9-1", backwards),
        (
            "10.0.0.1-2001:db8::1",
            "goes from one address family to the other: write a range for each",
        ),
        ("fe80::1%a-fe80::2%b", "names two interfaces: sweep them one by one"),
    ]);
}

#[test]
fn only_what_is_all_reserved_is_refused() {
    let probed =
        |text: &str| item(text).and_then(Item::to_probe).map(|_| ()).map_err(|why| why.to_string());
    for text in ["0.0.0.0/0", "224.0.0.1-224.0.0.9", "10.0.0.1", "example.org", "::/96"] {
        let wrong = text.starts_with("224");
        assert_eq!(probed(text).is_err(), wrong, "{text}");
    }
    assert_eq!(
        probed("224.0.0.0/8").unwrap_err(),
        "'224.0.0.0/8' has no host that could answer: 224.0.0.0/4 (multicast, RFC 5771) is no place for hosts; leave it out"
    );
    assert_eq!(
        probed("::ffff:192.0.2.1").unwrap_err(),
        "'::ffff:192.0.2.1' is an IPv4 address in IPv6 clothes: write 192.0.2.1"
    );
    assert!(probed("::ffff:0:0/96").unwrap_err().contains("IPv4-mapped"));
}

fn lines(text: &[u8]) -> Vec<Result<String, String>> {
    let show = |item: Result<Item<'_>, LineError>| match item {
        Ok(Item::Hosts(hosts)) => Ok(hosts.range.to_string()),
        Ok(Item::Name(name)) => Ok(name.to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let numbered = (1..).zip(text.split_inclusive(|byte| *byte == b'\n'));
    numbered.flat_map(|(number, bytes)| line(number, bytes).map(show)).collect()
}

#[test]
fn files_are_read_line_by_line() {
    let text = b"\xef\xbb\xbf10.0.0.1\r\n\n# a comment\n10.0.0.2, 10.0.0.3\t::1 # and \xe4nother\nexample.org#x\n,";
    let expected = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "::1", "example.org"];
    assert_eq!(lines(text), expected.map(|item| Ok(item.to_owned())));
}

#[test]
fn errors_in_files_say_where() {
    assert_eq!(
        lines(b"10.0.0.1\n10.0.0.1 - 10.0.0.9\n"),
        [
            Ok("10.0.0.1".to_owned()),
            Ok("10.0.0.1".to_owned()),
            Err("line 2: '-' needs two ends without blanks between, as in 192.0.2.1-192.0.2.9"
                .to_owned()),
            Ok("10.0.0.9".to_owned()),
        ]
    );
    let no_text = "line 1: it is no text: write addresses in UTF-8 or ASCII, one to a line";
    assert_eq!(lines(b"\xff\xfe1\x000\x00"), [Err(no_text.to_owned())]);
    assert_eq!(lines(b"1\x000\x00"), [Err(no_text.to_owned())]);
}

proptest! {
    #[test]
    fn nothing_that_is_written_stops_the_reader(text in "\\PC{0,40}") {
        let _ = item(&text);
    }

    #[test]
    fn nor_does_what_looks_like_hosts(text in "[0-9a-f:./%*\\[\\]-]{0,24}") {
        let _ = item(&text);
    }

    #[test]
    fn nor_do_bytes(bytes: Vec<u8>) {
        line(1, &bytes).for_each(drop);
    }

    #[test]
    fn a_range_is_read_as_it_is_shown(first: u32, length in 0_u32..100_000, v6: bool, prefix in 0_u8..=32) {
        let last = first.saturating_add(length);
        let addr = |bits: u32| if v6 {
            IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(bits)))
        } else {
            IpAddr::V4(Ipv4Addr::from_bits(bits))
        };
        let network = AddrRange::network(addr(first), prefix).unwrap();
        for range in [AddrRange::new(addr(first), addr(last)).unwrap(), network] {
            let shown = range.to_string();
            prop_assert_eq!(item(&shown), Ok(hosts(range, None, false)), "{}", shown);
        }
    }
}
