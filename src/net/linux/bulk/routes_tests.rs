//! The survey of the routing table.

use proptest::prelude::*;

use super::*;

fn out(interface: &str, gateway: Option<&str>, source: &str) -> Way {
    Way::Out {
        interface: interface.to_owned(),
        index: if interface == "eth0" { 2 } else { 3 },
        gateway: gateway.map(|text| text.parse().unwrap()),
        source: Some(source.parse().unwrap()),
    }
}

fn survey_of(parts: &[(Way, &str, &str)]) -> Survey {
    let mut tally = Tally::default();
    for (way, first, last) in parts {
        let [first, last]: [IpAddr; 2] = [first, last].map(|text| text.parse().unwrap());
        tally.add(way, first.is_ipv6(), number(first), number(last));
    }
    let mut branches: Vec<_> = tally.0.into_values().collect();
    branches.sort_by_key(|branch| std::cmp::Reverse(branch.addresses));
    Survey { branches, complete: true }
}

#[test]
fn what_leaves_by_another_interface_is_named() {
    let most = (out("eth0", Some("192.0.2.1"), "192.0.2.9"), "10.0.0.0", "10.7.255.255");
    let vpn = (out("tun0", None, "10.8.0.2"), "10.8.0.0", "10.8.255.255");
    let survey = survey_of(&[most.clone(), vpn]);
    assert_eq!(
        survey.astray().unwrap(),
        "10.8.0.0/16 leaves by tun0, the rest by eth0: sweep them separately"
    );
    assert!(matches!(survey.one_station(false), Err(NoFrames::Several | NoFrames::OnLink(_))));
    let other = (out("eth0", Some("192.0.2.1"), "192.0.2.10"), "10.9.0.1", "10.9.0.3");
    assert_eq!(
        survey_of(&[most.clone(), other]).astray().unwrap(),
        "10.9.0.1-10.9.0.3 would be sent from 192.0.2.10, the rest from 192.0.2.9: sweep them \
         separately, or choose one with --source"
    );
    let survey = survey_of(&[most]);
    assert_eq!(survey.astray(), None);
    assert!(survey.one_station(false).is_ok());
}

#[test]
fn frames_are_for_targets_behind_one_router() {
    let by = |gateway| out("eth0", Some(gateway), "192.0.2.9");
    let two = survey_of(&[
        (by("192.0.2.1"), "10.0.0.0", "10.0.0.255"),
        (by("192.0.2.2"), "10.0.1.0", "10.0.1.255"),
    ]);
    assert_eq!(two.astray(), None);
    assert!(matches!(two.one_station(false), Err(NoFrames::Several)));
    for way in [Way::Unreachable, Way::Prohibited, Way::Broadcast] {
        let parts = [(by("192.0.2.1"), "10.0.0.0", "10.0.0.9"), (way, "10.9.0.0", "10.9.0.0")];
        let survey = survey_of(&parts);
        assert!(matches!(survey.one_station(false), Err(NoFrames::NoWay(to)) if to == "10.9.0.0"));
        assert_eq!(survey.lost().count(), 1);
    }
    let local = survey_of(&[(Way::Local, "10.0.0.0", "10.0.255.255")]);
    assert!(matches!(local.one_station(false), Err(NoFrames::Loopback)));
    let both = survey_of(&[
        (by("192.0.2.1"), "10.0.0.0", "10.0.0.255"),
        (by("fe80::1"), "2001:db8::", "2001:db8::ff"),
    ]);
    assert!(both.one_station(false).is_ok(), "one router of each IP version");
}

#[test]
fn ranges_are_written_as_people_do() {
    let shown =
        |first: &str, last: &str| Range(first.parse().unwrap(), last.parse().unwrap()).to_string();
    assert_eq!(shown("10.0.0.0", "10.0.0.255"), "10.0.0.0/24");
    assert_eq!(shown("10.0.0.1", "10.0.0.2"), "10.0.0.1-10.0.0.2");
    assert_eq!(shown("10.0.0.1", "10.0.0.1"), "10.0.0.1");
    assert_eq!(shown("0.0.0.0", "255.255.255.255"), "0.0.0.0/0");
    assert_eq!(shown("2001:db8::", "2001:db8::ffff"), "2001:db8::/112");
}

#[test]
fn the_loopback_is_this_host_on_every_host() {
    let range = ["127.0.0.1", "127.0.0.9"].map(|text| text.parse().unwrap());
    let survey = survey([(range[0], range[1])], &RouteOptions::default()).unwrap();
    assert!(survey.complete);
    let [branch] = &survey.branches[..] else { panic!("{survey:?}") };
    assert_eq!((branch.addresses, &branch.way), (9, &Way::Local));
    assert_eq!(branch.ranges, [(range[0], range[1])]);
}

proptest! {
    #[test]
    fn cells_cover_a_range_exactly(
        boundaries in prop::collection::btree_set(0_u128..300, 0..20),
        first in 0_u128..300,
        len in 0_u128..300,
    ) {
        let (last, mut at) = (first + len, first);
        for (cell, low, high) in cells(&boundaries, first, last) {
            prop_assert_eq!(low, at);
            prop_assert!(low <= high && cell <= low);
            prop_assert!(!boundaries.iter().any(|it| cell < *it && *it <= high));
            at = high + 1;
        }
        prop_assert_eq!(at, last + 1);
    }
}
