use std::time::Duration;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn at_ms(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

/// Sends back whatever arrives, and says `tick` every `period`.
#[derive(Default)]
struct Mirror {
    period: Option<Duration>,
    ticks: u32,
    out: VecDeque<Vec<u8>>,
}

impl Endpoint for Mirror {
    fn handle(&mut self, packet: &[u8], _now: Instant) {
        self.out.push_back(packet.to_vec());
    }

    fn poll_transmit(&mut self, _now: Instant) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.period.map(|period| Instant::ZERO + period * (self.ticks + 1))
    }

    fn handle_timeout(&mut self, _now: Instant) {
        self.ticks += 1;
        self.out.push_back(b"tick".to_vec());
    }
}

/// All that comes until `until`, as `direction time bytes`.
fn trace<E: Endpoint>(wire: &mut SimWire<E>, until: Instant) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        lines.push(match wire.receive(until).unwrap() {
            Received::Frame(frame) => format!(
                "{:?} {} {}",
                frame.dir,
                frame.stamp.at.as_nanos() / 1_000_000,
                frame.bytes.escape_ascii()
            ),
            Received::Timeout => return lines,
            other => format!("{other:?} {}", wire.now().as_nanos() / 1_000_000),
        });
    }
}

fn calm(peer: Mirror) -> SimWire<Mirror> {
    SimWire::new(0, Link::delayed(10 * MS), Link::delayed(20 * MS), peer)
}

#[test]
fn time_moves_only_to_what_happens_and_stamps_are_exact() {
    let mut wire = calm(Mirror { period: Some(25 * MS), ..Mirror::default() });
    wire.interrupt_at(at_ms(40));
    wire.request_status_at(at_ms(12));
    wire.send(b"a").unwrap();
    assert_eq!(wire.now(), Instant::ZERO);
    assert_eq!(
        trace(&mut wire, at_ms(46)),
        ["Tx 0 a", "StatusRequested 12", "Rx 30 a", "Interrupted 40", "Rx 45 tick"]
    );
    assert_eq!(wire.now(), at_ms(46), "a timeout ends exactly at the deadline");
    assert_eq!(wire.facts().interface, "sim0");
}

#[test]
fn an_arrival_at_the_deadline_comes_before_the_timeout() {
    let mut wire = calm(Mirror::default());
    wire.send(b"a").unwrap();
    assert_eq!(trace(&mut wire, at_ms(30)), ["Tx 0 a", "Rx 30 a"]);
    // A deadline that has passed neither moves time back nor hides what is due.
    wire.send(b"b").unwrap();
    assert_eq!(trace(&mut wire, at_ms(1)), ["Tx 30 b"]);
    assert_eq!(wire.now(), at_ms(30));
}

#[test]
fn the_nth_packet_of_a_direction_meets_its_fault() {
    let mut wire = calm(Mirror::default());
    wire.drop_nth(Dir::Tx, 2);
    wire.fault_nth(Dir::Tx, 3, Fault::Delay(5 * MS));
    wire.fault_nth(Dir::Rx, 1, Fault::Duplicate);
    wire.fault_nth(Dir::Rx, 2, Fault::FlipBit(7));
    for packet in [b"a", b"b", b"c", b"d"] {
        wire.send(packet).unwrap();
    }
    // b is lost on the way there, c arrives there after d, and d comes back with a bit flipped.
    assert_eq!(
        trace(&mut wire, at_ms(100)),
        ["Tx 0 a", "Tx 0 b", "Tx 0 c", "Tx 0 d", "Rx 30 a", "Rx 30 a", "Rx 30 e", "Rx 35 c"]
    );
}

const BAD: Link = Link {
    delay: Duration::from_millis(10),
    jitter: Duration::from_millis(4),
    loss: 0.3,
    duplicate: 0.1,
    reorder: 0.1,
    reorder_by: Duration::from_millis(30),
    corrupt: 0.05,
};

fn bad_run(seed: u64) -> Vec<String> {
    let mut wire = SimWire::new(seed, BAD, BAD, Mirror::default());
    let mut lines = Vec::new();
    for number in 0..50_u64 {
        wire.send(format!("packet {number}").as_bytes()).unwrap();
        lines.extend(trace(&mut wire, at_ms(number)));
    }
    lines.extend(trace(&mut wire, at_ms(1000)));
    lines
}

#[test]
fn a_seed_is_a_run() {
    assert_eq!(bad_run(7), bad_run(7));
    assert_ne!(bad_run(7), bad_run(8));
}

/// Arrivals at the peer of `count` numbered packets, sent a microsecond apart.
fn arrivals(link: Link, count: u32) -> Vec<(Instant, Vec<u8>)> {
    let mut lane = Lane::new(link, Rng::new(42));
    let sent = |number: u32| Instant::ZERO + Duration::from_micros(number.into());
    let mut all: Vec<_> =
        (0..count).flat_map(|number| lane.carry(&number.to_be_bytes(), sent(number))).collect();
    all.sort_by_key(|(at, _)| *at);
    all
}

#[test]
fn rates_are_what_the_link_says() {
    // Four standard deviations of 20,000 draws at 0.3 are 260; the seed is fixed, so this is exact.
    let near = |count: usize, expected: usize| count.abs_diff(expected) <= 260;
    let with = |link: Link| arrivals(link, 20_000);
    assert!(near(with(Link { loss: 0.3, ..Link::default() }).len(), 14_000));
    assert!(near(with(Link { duplicate: 0.3, ..Link::default() }).len(), 26_000));
    assert_eq!(with(Link { loss: 1.0, duplicate: 1.0, ..Link::default() }), []);

    let corrupt = with(Link { corrupt: 0.3, ..Link::default() });
    let wrong = |(number, (_, bytes)): &(u32, (Instant, Vec<u8>))| {
        let difference = u32::from_be_bytes(bytes[..].try_into().unwrap()) ^ number;
        assert!(difference.count_ones() <= 1, "one bit at most");
        difference != 0
    };
    assert!(near((0..).zip(corrupt).filter(wrong).count(), 6_000));
}

#[test]
fn jitter_keeps_the_order_and_reordering_breaks_it() {
    let in_order = |all: &[(Instant, Vec<u8>)]| all.is_sorted_by_key(|(_, bytes)| bytes.clone());
    let jitter = Link { delay: 10 * MS, jitter: 4 * MS, ..Link::default() };
    let all = arrivals(jitter, 10_000);
    assert!(in_order(&all));
    let spread = all[0].0.since(Instant::ZERO);
    assert!((10 * MS..=14 * MS).contains(&spread), "{spread:?}");
    let late = Link { reorder: 0.2, reorder_by: MS, ..jitter };
    assert!(!in_order(&arrivals(late, 10_000)));
}

#[test]
fn a_packet_beyond_the_mtu_is_refused() {
    let mut wire = SimWire::new(0, Link::default(), Link::default(), Silent);
    let error = wire.send(&[0; 1501]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    assert_eq!(trace(&mut wire, at_ms(5)), Vec::<String>::new(), "and leaves no copy");
}

#[test]
fn a_stuck_peer_is_an_error_and_not_a_hang() {
    struct Stuck;
    impl Endpoint for Stuck {
        fn handle(&mut self, _: &[u8], _: Instant) {}
        fn poll_transmit(&mut self, _: Instant) -> Option<Vec<u8>> {
            None
        }
        fn poll_timeout(&self) -> Option<Instant> {
            Some(Instant::ZERO)
        }
        fn handle_timeout(&mut self, _: Instant) {}
    }
    let mut wire = SimWire::new(0, Link::default(), Link::default(), Stuck);
    assert!(wire.receive(at_ms(1)).unwrap_err().to_string().contains("stuck"));
}

#[test]
fn a_dead_path_and_a_capture_of_it() {
    let mut wire = Capturing::new(calm(Mirror::default()));
    wire.send(b"a").unwrap();
    wire.inner.link_mut(Dir::Rx).loss = 1.0;
    while wire.receive(at_ms(50)).unwrap() != Received::Timeout {}
    let seen: Vec<_> = wire.frames.iter().map(|frame| (frame.dir, &frame.bytes[..])).collect();
    assert_eq!(seen, [(Dir::Tx, &b"a"[..])]);
}
