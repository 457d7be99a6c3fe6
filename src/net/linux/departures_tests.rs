use super::*;

const LINK: [u8; 14] = [0xaa; 14];

/// A packet of IPv4 with an identification, or of IPv6 for none.
fn packet(id: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let mut packet = match id {
        Some(id) => {
            let mut header = vec![0; 20];
            header[0] = 0x45;
            header[4..6].copy_from_slice(&id.to_be_bytes());
            header
        }
        None => [vec![0x60], vec![0; 39]].concat(),
    };
    packet.extend(payload);
    packet
}

fn departure(key: u32, packet: &[u8]) -> Departure {
    let bytes = [&LINK, packet, &[0; 6]].concat();
    Departure { key, stamp: 1_000 + u64::from(key), bytes }
}

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

/// All that does not wait at `now`.
fn drain(
    departures: &mut Departures<&'static str>,
    now: Instant,
) -> Vec<(&'static str, Option<u64>)> {
    std::iter::from_fn(|| departures.next(now)).collect()
}

#[test]
fn a_stamp_finds_its_packet_whether_it_comes_before_the_copy_or_after() {
    let (first, second) = (packet(Some(1), b"first"), packet(Some(2), b"second"));
    let mut departures = Departures::default();
    departures.sent(0, &first);
    departures.sent(0, &second);
    assert!(departures.departed(0, &departure(1, &second)), "out of order");
    departures.copied("first", &first, at(1));
    departures.copied("second", &second, at(1));
    assert_eq!(drain(&mut departures, at(2)), [], "the second waits behind the first");
    assert_eq!(departures.deadline(), Some(at(1) + PATIENCE));
    assert!(departures.departed(0, &departure(0, &first)));
    assert_eq!(drain(&mut departures, at(2)), [("first", Some(1_000)), ("second", Some(1_001))]);
    assert_eq!(departures.deadline(), None);
}

#[test]
fn an_answer_waits_behind_the_copy_and_no_longer_than_patience() {
    let syn = packet(Some(1), b"syn");
    let mut departures = Departures::default();
    departures.sent(0, &syn);
    departures.copied("syn", &syn, at(1));
    departures.seen("syn-ack");
    let over = at(1) + PATIENCE;
    assert_eq!(drain(&mut departures, over.saturating_sub(Duration::from_nanos(1))), []);
    assert_eq!(drain(&mut departures, over), [("syn", None), ("syn-ack", None)]);
    // What comes too late harms nobody, and is not taken for another packet's.
    let next = packet(Some(2), b"syn");
    departures.sent(0, &next);
    departures.copied("next", &next, at(20));
    assert!(departures.departed(0, &departure(0, &syn)));
    assert_eq!(drain(&mut departures, at(20)), []);
    assert!(departures.departed(0, &departure(1, &next)));
    assert_eq!(drain(&mut departures, at(20)), [("next", Some(1_001))]);
    assert!(departures.sent.is_empty(), "nothing is kept of what is done");
}

#[test]
fn packets_of_equal_bytes_are_told_apart_by_their_keys() {
    let same = packet(None, b"repeated");
    let mut departures = Departures::default();
    for name in ["first", "second", "third"] {
        departures.sent(0, &same);
        departures.copied(name, &same, at(1));
    }
    for key in [2, 0, 1] {
        assert!(departures.departed(0, &departure(key, &same)));
    }
    let expected = [("first", Some(1_000)), ("second", Some(1_001)), ("third", Some(1_002))];
    assert_eq!(drain(&mut departures, at(1)), expected);
}

#[test]
fn lanes_count_by_themselves() {
    let same = packet(None, b"same");
    let mut departures = Departures::default();
    departures.sent(0, &same);
    departures.sent(1, &same);
    departures.copied("lane 0", &same, at(1));
    departures.copied("lane 1", &same, at(1));
    assert!(departures.departed(1, &Departure { stamp: 77, ..departure(0, &same) }));
    assert!(departures.departed(0, &departure(0, &same)));
    assert_eq!(drain(&mut departures, at(1)), [("lane 0", Some(1_000)), ("lane 1", Some(77))]);
}

#[test]
fn a_refused_packet_shifts_no_stamp_whether_or_not_it_used_up_a_key() {
    for used_up in [false, true] {
        let same = packet(None, b"same");
        let mut departures = Departures::default();
        departures.sent(0, &same);
        departures.refused(0);
        departures.sent(0, &same);
        departures.sent(0, &same);
        for name in ["first", "third", "fourth"] {
            departures.copied(name, &same, at(1));
        }
        let shift = u32::from(used_up);
        for key in [0, 1 + shift, 2 + shift] {
            assert!(departures.departed(0, &departure(key, &same)), "{key}");
        }
        let stamps: Vec<_> = drain(&mut departures, at(1)).into_iter().map(|(_, s)| s).collect();
        let expected = [0, 1 + shift, 2 + shift].map(|key| Some(1_000 + u64::from(key)));
        assert_eq!(stamps, expected, "used up: {used_up}");
        // And what is sent from now on is counted right.
        departures.sent(0, &same);
        departures.copied("fifth", &same, at(1));
        assert!(departures.departed(0, &departure(3 + shift, &same)));
        assert_eq!(drain(&mut departures, at(1)), [("fifth", Some(1_003 + u64::from(shift)))]);
    }
}

#[test]
fn a_stamp_of_somebody_elses_packet_is_refused() {
    let (ours, other) = (packet(Some(1), b"ours"), packet(Some(1), b"other"));
    let mut departures: Departures<()> = Departures::default();
    assert!(!departures.departed(0, &departure(0, &ours)), "nothing was sent");
    departures.sent(0, &ours);
    assert!(!departures.departed(0, &departure(0, &other)), "the right key, another packet");
    assert!(!departures.departed(1, &departure(0, &ours)), "another socket");
    assert!(departures.departed(0, &departure(0, &ours)));
    assert!(!departures.departed(0, &departure(0, &ours)), "twice");
}

#[test]
fn what_the_kernel_sent_in_our_name_waits_for_nothing() {
    let reset = packet(Some(0), b"reset");
    let mut departures = Departures::default();
    departures.copied("reset", &reset, at(1));
    assert_eq!(drain(&mut departures, at(1)), [("reset", None)]);
}

#[test]
fn hardware_that_falls_silent_slows_nothing_down_for_long() {
    let mut departures = Departures::default();
    let mut sent = 0;
    let mut held_back = |departures: &mut Departures<_>| {
        sent += 1;
        let packet = packet(Some(sent), b"probe");
        departures.sent(0, &packet);
        departures.copied("probe", &packet, at(1));
        let held = departures.next(at(1)).is_none();
        drain(departures, at(1) + PATIENCE);
        held
    };
    let held = (0..100).filter(|_| held_back(&mut departures)).count();
    assert_eq!(held, MISSES as usize);
    let last = packet(Some(100), b"probe");
    assert!(departures.departed(0, &departure(99, &last)));
    assert!(held_back(&mut departures), "one came: the next may be waited for again");
}

#[test]
fn packets_that_never_leave_are_forgotten() {
    let mut departures: Departures<()> = Departures::default();
    for id in 0..5_000 {
        departures.sent(0, &packet(Some(id), b"lost"));
    }
    assert_eq!(departures.sent.len(), REMEMBERED);
}
