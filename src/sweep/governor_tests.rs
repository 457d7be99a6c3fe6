use super::*;

const STEP: u64 = 10_000_000;

/// A link that lets so many SYNs a second through, and targets behind it of which a share answers
/// after 40 ms. No clock: time is what the loop says.
struct Link {
    capacity: f64,
    hits: f64,
    state: u64,
    now: u64,
    coming: VecDeque<(u64, Instant, u64)>,
    sent: f64,
    lost: f64,
}

impl Link {
    fn new(capacity: f64, hits: f64, seed: u64) -> Self {
        let coming = VecDeque::new();
        Self { capacity, hits, state: seed, now: 1_000_000_000, coming, sent: 0.0, lost: 0.0 }
    }

    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ mixed >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Of `n` with probability `p`: exact where few, by the normal law where many.
    fn binomial(&mut self, n: f64, p: f64) -> f64 {
        let variance = n * p * (1.0 - p);
        if variance < 25.0 {
            let mut rest = p.min(1.0 - p);
            let count = if rest <= 0.0 {
                0.0
            } else {
                // Geometric gaps between the rarer outcome.
                let (mut at, mut count) = (0.0, 0.0);
                rest = (1.0 - rest).ln();
                loop {
                    at += (self.uniform().max(1e-300).ln() / rest).floor() + 1.0;
                    if at > n {
                        break count;
                    }
                    count += 1.0;
                }
            };
            return if p < 0.5 { count } else { n - count };
        }
        let (a, b) = (self.uniform().max(1e-300), self.uniform());
        let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
        (n * p + variance.sqrt() * normal).round().clamp(0.0, n)
    }

    fn run(&mut self, governor: &mut Governor, seconds: u64) {
        self.run_for(governor, seconds * 1_000_000_000);
    }

    fn run_for(&mut self, governor: &mut Governor, nanos: u64) {
        let end = self.now + nanos;
        let mut owed = 0.0;
        while self.now < end {
            let now = Instant::from_nanos(self.now);
            owed += governor.rate(now) as f64 * STEP as f64 / 1e9;
            let syns = owed.floor();
            owed -= syns;
            governor.sent(syns as u64, now);
            let room = self.capacity * STEP as f64 / 1e9;
            let through = syns.min(room.floor());
            self.sent += syns;
            self.lost += syns - through;
            let answers = self.binomial(through, self.hits);
            self.coming.push_back((self.now + 40_000_000, now, answers as u64));
            while let Some((at, sent_at, answers)) = self.coming.front().copied() {
                if at > self.now {
                    break;
                }
                self.coming.pop_front();
                (0..answers).for_each(|_| governor.answered(sent_at, now));
            }
            self.now += STEP;
        }
    }

    /// Runs until the governor holds a rate.
    fn settle(&mut self, governor: &mut Governor, most: u64) -> u64 {
        for _ in 0..most {
            self.run(governor, 1);
            if governor.phase() == Phase::Holding {
                return governor.rate(Instant::from_nanos(self.now));
            }
        }
        panic!("{:?} after {most} s at {}", governor.phase(), governor.rate);
    }
}

fn governor(link: &Link) -> Governor {
    Governor::new(Bounds::default(), Instant::from_nanos(link.now))
}

fn settled(rate: u64, capacity: f64) {
    let share = rate as f64 / capacity;
    assert!((0.84..=1.0).contains(&share), "{rate} of {capacity}");
}

#[test]
fn it_settles_just_below_what_the_link_carries_whatever_the_share_of_answers() {
    for (seed, (capacity, hits, most)) in [
        (100_000.0, 1.0, 60),
        (100_000.0, 0.5, 60),
        (100_000.0, 0.03, 90),
        (1_000_000.0, 0.001, 180),
        (100_000.0, 0.001, 1200),
        (37_000.0, 0.2, 60),
        (480_000.0, 0.999, 60),
    ]
    .into_iter()
    .enumerate()
    {
        let mut link = Link::new(capacity, hits, seed as u64);
        let mut governor = governor(&link);
        let rate = link.settle(&mut governor, most);
        settled(rate, capacity);
        // And there it loses nothing.
        let lost = link.lost;
        let before = link.now;
        while governor.phase() == Phase::Holding && link.now < before + 10_000_000_000 {
            link.run(&mut governor, 1);
        }
        let more = (link.lost - lost) / link.sent;
        assert!(more < 0.02, "{more} lost while holding {rate}");
    }
}

#[test]
fn where_answers_come_soon_a_step_is_short() {
    // From 10,000 to 640,000 a second in six steps, and no waiting for what does not come.
    let mut link = Link::new(1e12, 1.0, 3);
    let mut governor = governor(&link);
    let start = link.now;
    while governor.rate(Instant::from_nanos(link.now)) < 640_000 {
        link.run_for(&mut governor, STEP);
    }
    let took = Duration::from_nanos(link.now - start);
    assert!(took < Duration::from_millis(3600), "{took:?}");
}

#[test]
fn it_follows_the_link_down_and_up() {
    let mut link = Link::new(200_000.0, 0.3, 5);
    let mut governor = governor(&link);
    settled(link.settle(&mut governor, 60), 200_000.0);
    link.capacity = 60_000.0;
    link.run(&mut governor, 5);
    assert_ne!(governor.phase(), Phase::Holding, "it has noticed");
    settled(link.settle(&mut governor, 60), 60_000.0);
    link.capacity = 300_000.0;
    for _ in 0..300 {
        link.run(&mut governor, 1);
        if governor.rate as u64 > 250_000 && governor.phase() == Phase::Holding {
            break;
        }
    }
    settled(link.settle(&mut governor, 60), 300_000.0);
}

#[test]
fn in_the_long_run_little_is_lost_to_trying() {
    let mut link = Link::new(100_000.0, 0.2, 11);
    let mut governor = governor(&link);
    link.settle(&mut governor, 60);
    (link.sent, link.lost) = (0.0, 0.0);
    link.run(&mut governor, 1200);
    assert!(link.lost / link.sent < 0.005, "{} of {}", link.lost, link.sent);
    assert!(link.sent / 1200.0 > 80_000.0, "{} a second", link.sent / 1200.0);
}

#[test]
fn without_a_limit_there_is_no_false_alarm() {
    // About 15 epochs of some 8 looks each per link: one alarm in 80 links is expected at most.
    let mut alarms = 0;
    for seed in 0..20 {
        let hits = [1.0, 0.3, 0.05, 0.01][seed as usize % 4];
        let mut link = Link::new(1e12, hits, seed * 77);
        let bounds = Bounds { most: 200_000, ..Bounds::default() };
        let mut governor = Governor::new(bounds, Instant::from_nanos(link.now));
        let mut alarm = false;
        for _ in 0..40 {
            link.run(&mut governor, 1);
            alarm |= !matches!(governor.phase(), Phase::Doubling | Phase::Holding);
        }
        alarms += u32::from(alarm);
        if !alarm {
            assert_eq!(governor.rate(Instant::from_nanos(link.now)), 200_000);
        }
    }
    assert!(alarms <= 1, "{alarms} of 20");
}

#[test]
fn what_the_kernel_tells_counts_at_once_and_silence_tells_nothing() {
    let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
    let mut governor = Governor::new(Bounds::default(), at(1000));
    governor.trouble(at(1001));
    assert_eq!(governor.rate(at(1002)), 10_000, "of before it began");
    governor.trouble(at(1500));
    assert_eq!(governor.rate(at(1501)), 5000);
    for millis in 1502..100_000 {
        governor.sent(5, at(millis));
        assert_eq!(governor.rate(at(millis)), 5000, "no answers, no verdict");
    }
    assert!(governor.buckets.len() < 20);
    // A stop of an hour.
    governor.sent(5, at(3_700_000));
    assert_eq!(governor.rate(at(3_700_001)), 5000);
    // Echoes of a time to come are not believed.
    governor.answered(at(9_000_000), at(3_700_001));
    assert!(governor.buckets.len() < 20);
    // Down to the least, and no further.
    for round in 1..100 {
        governor.trouble(at(3_700_000 + round * 1000));
        governor.rate(at(3_700_000 + round * 1000));
    }
    assert_eq!(governor.rate(at(9_000_000)), 100);
}
