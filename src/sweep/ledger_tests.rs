use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::sweep::checkpoint::{Checkpoint, Held, Identity, Secret, ShardOf};

const MS: u64 = 1_000_000;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * MS)
}

fn plan(positions: Range<u64>, passes: u8) -> Passes {
    Passes {
        positions,
        passes,
        block: 16,
        window: 4,
        pause: Duration::from_millis(100),
        quiet: Duration::from_millis(300),
        longest: Duration::from_millis(900),
        whole: false,
    }
}

fn draw(ledger: &mut Ledger, now: u64, room: usize) -> (Next, Vec<(u64, u8)>) {
    let mut out = Vec::new();
    let next = ledger.draw(at(now), room, &mut out);
    (next, out.iter().map(|draw| (draw.position, draw.pass)).collect())
}

fn expire(ledger: &mut Ledger, now: u64) -> Vec<(u64, Mark)> {
    let mut out = Vec::new();
    ledger.expire(at(now), Marks::ALL, &mut |position, mark| out.push((position, mark)));
    out
}

#[test]
fn a_later_pass_goes_before_new_blocks_and_asks_the_silent_only() {
    let mut ledger = Ledger::new(plan(100..164, 2));
    let (next, first) = draw(&mut ledger, 1000, 20);
    assert_eq!(next, Next::Drawn);
    assert_eq!(first, (100..120).map(|position| (position, 1)).collect::<Vec<_>>());
    for position in 100..114 {
        let heard = ledger.hear(position, Mark::Open, at(1010));
        assert_eq!(heard, Credit::First { pass: 1, once: true });
    }
    // The first block's pause ended at 1100.
    let (_, then) = draw(&mut ledger, 1100, 4);
    assert_eq!(then, [(114, 2), (115, 2), (120, 1), (121, 1)]);
    assert_eq!(ledger.hear(115, Mark::Open, at(1110)), Credit::First { pass: 2, once: false });
    let account = ledger.account();
    assert_eq!((account.answered(), account.silent(), account.not_probed), (15, 7, 42));
    assert_eq!((account.passes[0].sent, account.passes[1].sent), (22, 2));
    assert_eq!((account.passes[0].open, account.passes[1].open), (14, 1));
    assert_eq!(account.sum(), 64);
}

#[test]
fn what_this_host_lost_is_sent_again_in_the_same_pass() {
    let mut ledger = Ledger::new(plan(0..40, 2));
    draw(&mut ledger, 1000, 40);
    for position in (0..40).filter(|position| ![4, 14, 18, 39].contains(position)) {
        ledger.hear(position, Mark::Open, at(1001));
    }
    // Across two blocks that have ended their pass; and one that has nothing to mend.
    ledger.tear(13, 20, at(1001));
    ledger.tear(33, 38, at(1001));
    let (_, drawn) = draw(&mut ledger, 1101, 40);
    assert_eq!(drawn, [(14, 1), (18, 1), (39, 2)]);
    assert_eq!(ledger.mended(), 2);
    assert_eq!(ledger.hear(14, Mark::Open, at(1102)), Credit::First { pass: 1, once: false });
    // The one that stays silent has its second pass all the same.
    let (_, drawn) = draw(&mut ledger, 1300, 40);
    assert_eq!(drawn, [(4, 2), (18, 2)]);
    let account = ledger.account();
    assert_eq!((account.passes[0].sent, account.passes[1].sent), (42, 3));
    assert_eq!((account.sum(), account.silent()), (40, 3));
}

#[test]
fn a_full_window_waits_for_the_first_cool_down() {
    let mut ledger = Ledger::new(plan(0..1000, 1));
    let (next, drawn) = draw(&mut ledger, 1000, 500);
    assert_eq!((next, drawn.len()), (Next::Drawn, 64));
    assert_eq!(draw(&mut ledger, 1001, 500), (Next::Wait(at(1300)), Vec::new()));
    // A credited answer prolongs the block's cool-down, a duplicate does not.
    ledger.hear(3, Mark::Open, at(1200));
    assert_eq!(ledger.hear(3, Mark::Open, at(1290)), Credit::Duplicate);
    let silent: Vec<_> = (16..64).map(|position| (position, Mark::Silent)).collect();
    assert_eq!(expire(&mut ledger, 1300), silent);
    assert_eq!(expire(&mut ledger, 1499), []);
    assert_eq!(expire(&mut ledger, 1500)[3], (3, Mark::Open));
    assert_eq!(ledger.hear(4, Mark::Open, at(1501)), Credit::Late);
    assert_eq!(draw(&mut ledger, 1501, 2).1, [(64, 1), (65, 1)]);
    assert_eq!(ledger.hear(66, Mark::Open, at(1501)), Credit::Unasked);
    assert_eq!(ledger.hear(1000, Mark::Open, at(1501)), Credit::Unasked);
    let account = ledger.account();
    assert_eq!((account.late, account.unasked, account.duplicates), (1, 2, 1));
}

#[test]
fn answers_that_keep_coming_prolong_the_cool_down_up_to_the_longest() {
    let mut ledger = Ledger::new(plan(0..16, 1));
    draw(&mut ledger, 1000, 16);
    let mut now = 1000;
    for position in 0..16 {
        assert_eq!(expire(&mut ledger, now), [], "{now}");
        ledger.hear(position, Mark::Refused, at(now));
        now += 200;
        if now >= 1900 {
            break;
        }
    }
    assert_eq!(expire(&mut ledger, 1899), []);
    assert_eq!(expire(&mut ledger, 1900).len(), 16);
    assert_eq!(draw(&mut ledger, 1900, 1).0, Next::Finished);
}

#[test]
fn marks_rise_in_rank_only() {
    let mut ledger = Ledger::new(plan(0..16, 1));
    draw(&mut ledger, 1000, 16);
    let mut hear = |mark| ledger.hear(0, mark, at(1001));
    assert_eq!(hear(Mark::Unreachable), Credit::First { pass: 1, once: true });
    assert_eq!(hear(Mark::Open), Credit::Advanced { from: Mark::Unreachable });
    assert_eq!(hear(Mark::Refused), Credit::Duplicate);
    assert_eq!(hear(Mark::FinAcked), Credit::Advanced { from: Mark::Open });
    assert_eq!(hear(Mark::Reset), Credit::Advanced { from: Mark::FinAcked });
    assert_eq!(hear(Mark::Closed), Credit::Duplicate);
    let account = ledger.account();
    assert_eq!((account.of(Mark::Reset), account.answered(), account.sum()), (1, 1, 16));
    assert_eq!(account.passes[0].unreachable, 1, "what came first stays what came first");
}

#[test]
fn what_a_limit_holds_back_holds_the_pass_open_and_is_not_probed() {
    let mut ledger = Ledger::new(plan(0..16, 1));
    draw(&mut ledger, 1000, 16);
    ledger.park(7);
    ledger.park(15);
    assert_eq!(ledger.account().not_probed, 2);
    assert_eq!(ledger.hear(7, Mark::Open, at(1001)), Credit::Unasked);
    assert_eq!(draw(&mut ledger, 5000, 1).0, Next::Wait(Instant::from_nanos(u64::MAX)));
    assert_eq!(expire(&mut ledger, 5000), []);
    ledger.release(15, at(5000));
    let cut = Ledger::resume(plan(0..16, 1), &ledger.held()).unwrap();
    assert_eq!((cut.account().not_probed, cut.account().sum()), (1, 16));
    ledger.release(7, at(6000));
    assert!(matches!(ledger.hear(7, Mark::Open, at(6001)), Credit::First { .. }));
    assert_eq!(expire(&mut ledger, 6300), []);
    assert_eq!(expire(&mut ledger, 6301).len(), 16);
    assert_eq!(draw(&mut ledger, 6301, 1).0, Next::Finished);
}

#[test]
fn cut_short_it_cools_and_can_be_taken_up_again() {
    let mut ledger = Ledger::new(plan(0..100, 2));
    draw(&mut ledger, 1000, 20);
    ledger.cut_short();
    assert_eq!(draw(&mut ledger, 1001, 20), (Next::Wait(at(1300)), Vec::new()));
    ledger.hear(1, Mark::Open, at(1200));
    assert_eq!(expire(&mut ledger, 1499), []);
    assert!(!ledger.is_cool(at(1499)) && ledger.is_cool(at(1500)));
    let held = ledger.held();
    assert_eq!(expire(&mut ledger, 1500).len(), 20);
    assert_eq!(draw(&mut ledger, 1500, 20).0, Next::Finished);
    let account = ledger.account();
    assert_eq!((account.answered(), account.silent(), account.not_probed), (1, 19, 80));
    assert_eq!(ledger.held(), held);

    let mut resumed = Ledger::resume(plan(0..100, 2), &held).unwrap();
    assert_eq!(resumed.account(), account);
    let (_, drawn) = draw(&mut resumed, 10, 15);
    assert_eq!(drawn, (0..16).filter(|p| *p != 1).map(|p| (p, 1)).collect::<Vec<_>>());
    // Asked twice by now: which SYN is answered is not known.
    assert_eq!(resumed.hear(2, Mark::Open, at(11)), Credit::First { pass: 1, once: false });
    let (_, drawn) = draw(&mut resumed, 20, 17);
    assert_eq!(drawn, (16..33).map(|position| (position, 1)).collect::<Vec<_>>());
    assert_eq!(resumed.hear(20, Mark::Open, at(21)), Credit::First { pass: 1, once: true });
}

#[test]
fn a_connection_that_goes_on_after_a_resume_has_its_cool_down() {
    let whole = Passes { whole: true, ..plan(0..1, 1) };
    let mut ledger = Ledger::new(whole.clone());
    draw(&mut ledger, 1000, 1);
    let mut resumed = Ledger::resume(whole, &ledger.held()).unwrap();
    // The peer repeats its SYN-ACK before its SYN is repeated: nothing is left to repeat.
    resumed.hear(0, Mark::Open, at(6000));
    assert_eq!(draw(&mut resumed, 6000, 1), (Next::Wait(at(6300)), Vec::new()));
    assert_eq!(expire(&mut resumed, 6299), []);
    assert_eq!(resumed.hear(0, Mark::Closed, at(6299)), Credit::Advanced { from: Mark::Open });
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused() {
    let mut ledger = Ledger::new(plan(0..100, 2));
    draw(&mut ledger, 1000, 20);
    let held = ledger.held();
    let told = |plan, held| Ledger::resume(plan, &held).unwrap_err().to_string();
    assert!(told(plan(0..101, 2), held.clone()).ends_with("other positions"));
    assert!(told(plan(0..100, 3), held.clone()).ends_with("other passes"));
    let broken = |change: &dyn Fn(&mut Held)| {
        let mut held = held.clone();
        change(&mut held);
        assert!(told(plan(0..100, 2), held).contains("damaged"));
    };
    broken(&|held| held.block = 17);
    broken(&|held| held.next = 8);
    broken(&|held| held.next = 3);
    broken(&|held| held.next = u64::MAX);
    broken(&|held| held.done[0] = u64::MAX);
    broken(&|held| held.done[0] = 1);
    broken(&|held| drop(held.blocks.pop()));
    broken(&|held| held.blocks.swap(0, 1));
    broken(&|held| held.blocks[0].number = u64::MAX);
    broken(&|held| held.blocks[1].pass = 3);
    broken(&|held| held.blocks[1].pass = 2);
    broken(&|held| held.blocks[1].pass = 0);
    broken(&|held| held.blocks[1].reach = 17);
    broken(&|held| held.blocks[1].marks = crate::sweep::packed::Packed::new(vec![1 << 60]));
    broken(&|held| held.blocks[1].marks = crate::sweep::packed::Packed::new(vec![0, 1]));
}

#[test]
fn memory_is_flat_however_many_targets() {
    let most = |targets: u64| {
        let mut ledger = Ledger::new(Passes { block: 1 << 10, ..plan(0..targets, 1) });
        let (mut out, mut now, mut most) = (Vec::new(), 0, 0);
        loop {
            ledger.expire(at(now), Marks::NONE, &mut |_, _| {});
            match ledger.draw(at(now), 1 << 12, &mut out) {
                Next::Drawn => now += 10,
                Next::Wait(until) => now = until.as_nanos() / MS,
                Next::Finished => break,
            }
            out.clear();
            most = most.max(ledger.memory());
        }
        assert_eq!((ledger.account().silent(), ledger.account().sum()), (targets, targets));
        most
    };
    let few = most(1 << 14);
    assert_eq!(few, most(1 << 20));
    // The end of the axis of positions is a place like any other.
    let mut ledger = Ledger::new(plan(u64::MAX - 20..u64::MAX, 1));
    assert_eq!(draw(&mut ledger, 1, 100).1.len(), 20);
    assert_eq!(Passes::at_rate(0..1 << 40, 2, 1_000_000).window, 512);
    assert_eq!(Passes::at_rate(0..1 << 40, 2, 1).block, 1024);
}

/// What was seen outside the ledger: it must be the same as what is inside.
#[derive(Clone, Default)]
struct Seen {
    marks: BTreeMap<u64, Mark>,
    records: Vec<(u64, Mark)>,
    told: Vec<(u64, Mark)>,
}

/// A sweep of targets that answer every SYN, or none, each after its own delay, and for whole
/// handshakes end after another.
struct World {
    plan: Passes,
    ledger: Ledger,
    seen: Seen,
    kept: (Vec<u8>, Seen),
    /// Answers on their way.
    coming: Vec<(u64, u64, Mark)>,
    parked: Vec<u64>,
    now: u64,
    state: u64,
}

impl World {
    fn new(plan: Passes, seed: u64) -> Self {
        let ledger = Ledger::new(plan.clone());
        let mut world = Self {
            kept: (Vec::new(), Seen::default()),
            ledger,
            seen: Seen::default(),
            coming: Vec::new(),
            parked: Vec::new(),
            now: 1000,
            state: seed,
            plan,
        };
        world.checkpoint();
        world
    }

    fn roll(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.state >> 33) % below
    }

    /// What a target does: nothing, or answers.
    fn answer(position: u64) -> Option<Mark> {
        match position.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61 {
            0..3 => None,
            3..6 => Some(Mark::Open),
            6 => Some(Mark::Refused),
            _ => Some(Mark::Unreachable),
        }
    }

    fn left(&mut self, position: u64) {
        let Some(mark) = Self::answer(position) else { return };
        let delay = self.roll(200);
        self.coming.push((self.now + delay, position, mark));
        if self.plan.whole && mark == Mark::Open {
            self.coming.push((self.now + delay + 50, position, Mark::Closed));
        }
    }

    fn step(&mut self) -> Next {
        let room = usize::try_from(self.roll(40)).unwrap();
        let mut out = Vec::new();
        let next = self.ledger.draw(at(self.now), room, &mut out);
        for draw in out {
            let known = self.seen.marks.get(&draw.position);
            assert!(known.is_none_or(|mark| *mark == Mark::Silent), "{draw:?} of {known:?}");
            if self.roll(10) == 0 {
                self.ledger.park(draw.position);
                self.parked.push(draw.position);
            } else {
                self.seen.marks.entry(draw.position).or_insert(Mark::Silent);
                self.left(draw.position);
            }
        }
        next
    }

    fn release(&mut self) {
        for position in std::mem::take(&mut self.parked) {
            self.ledger.release(position, at(self.now));
            self.seen.marks.entry(position).or_insert(Mark::Silent);
            self.left(position);
        }
    }

    fn hear(&mut self, position: u64, mark: Mark) {
        let known = self.seen.marks.get(&position).copied();
        match self.ledger.hear(position, mark, at(self.now)) {
            Credit::First { pass, .. } => {
                assert_eq!(known, Some(Mark::Silent));
                assert!((1..=self.plan.passes).contains(&pass));
            }
            Credit::Advanced { from } => assert_eq!(known, Some(from)),
            Credit::Duplicate => return assert!(known.is_some_and(|known| known != Mark::Silent)),
            Credit::Late => return assert!(known.is_some()),
            Credit::Unasked => return assert_eq!(known, None),
        }
        self.seen.marks.insert(position, mark);
        self.seen.records.push((position, mark));
    }

    fn arrive(&mut self) {
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.coming).into_iter().partition(|(when, ..)| *when <= self.now);
        self.coming = later;
        for (_, position, mark) in due {
            self.hear(position, mark);
            if self.roll(8) == 0 {
                self.hear(position, mark);
            }
        }
        let told = &mut self.seen.told;
        self.ledger.expire(at(self.now), Marks::ALL, &mut |position, mark| {
            told.push((position, mark));
        });
    }

    fn checkpoint(&mut self) {
        let shard = ShardOf { index: 0, count: 1 };
        let sweep = Identity { space: 1, seed: 2, shard, options: 3 };
        let output = (self.seen.records.len() << 32 | self.seen.told.len()) as u64;
        let mut file = Vec::new();
        let held = self.ledger.held();
        Checkpoint::new(sweep, Secret([1; 16]), output, held).write(&mut file).unwrap();
        self.kept = (file, self.seen.clone());
    }

    /// Nothing is left but the file and the output that it tells of.
    fn kill(&mut self) {
        let checkpoint = Checkpoint::read(&self.kept.0).unwrap();
        self.ledger = Ledger::resume(self.plan.clone(), &checkpoint.ledger).unwrap();
        self.seen = self.kept.1.clone();
        assert_eq!(checkpoint.output >> 32, self.seen.records.len() as u64);
        if self.plan.whole {
            let closed: std::collections::BTreeSet<u64> =
                self.seen.told.iter().map(|(position, _)| *position).collect();
            for (position, mark) in &mut self.seen.marks {
                if mark.is_unfinished() && !closed.contains(position) {
                    *mark = Mark::Silent;
                }
            }
        }
        self.parked.clear();
        self.coming.clear();
        self.now += 5000;
    }

    fn check(&self) {
        let account = self.ledger.account();
        assert_eq!(account.sum(), account.targets);
        let mut marks = [0; 8];
        self.seen.marks.values().for_each(|mark| marks[mark.index()] += 1);
        assert_eq!(account.marks, marks);
        let first: u64 = account.passes.iter().map(PassCount::answers).sum();
        assert_eq!(first, account.probed() - account.silent());
    }

    fn run(&mut self, ops: &[u8]) {
        for op in ops {
            match op {
                0..60 => drop(self.step()),
                60..100 => self.arrive(),
                100..130 => self.now += u64::from(*op) - 100,
                130..140 => self.now += 150,
                140..150 => self.release(),
                150..160 => {
                    let targets = self.plan.positions.end - self.plan.positions.start;
                    let position = self.plan.positions.start + self.roll(targets);
                    // The cookie keeps forgers out; replays of what a target does come through.
                    if let Some(mark) = Self::answer(position) {
                        self.hear(position, mark);
                        // Whoever repeats a SYN-ACK is answered, and the exchange goes on.
                        if self.plan.whole && mark == Mark::Open {
                            self.coming.push((self.now + 50, position, Mark::Closed));
                        }
                    }
                }
                160..180 => self.checkpoint(),
                180..184 => self.kill(),
                _ => {
                    self.step();
                    self.now += 3;
                    self.arrive();
                }
            }
            self.check();
        }
    }

    fn finish(&mut self) {
        for _ in 0..100_000 {
            self.arrive();
            self.release();
            match self.step() {
                Next::Finished => return,
                Next::Drawn => self.now += 1,
                Next::Wait(until) => {
                    let soonest = self.coming.iter().map(|(when, ..)| *when).min();
                    let until = until.as_nanos() / MS;
                    self.now = soonest.map_or(until, |soonest| soonest.min(until)).max(self.now);
                }
            }
        }
        panic!("it does not end");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn every_target_is_accounted_for_exactly_once_over_any_schedule_and_any_kill(
        start in 0_u64..100, targets in 0_u64..300, passes in 1_u8..4, whole: bool, seed: u64,
        ops in prop::collection::vec(any::<u8>(), 0..400)
    ) {
        let plan = Passes { whole, ..plan(start..start + targets, passes) };
        let mut world = World::new(plan, seed);
        if targets > 0 {
            world.run(&ops);
        }
        world.finish();
        world.check();
        let account = world.ledger.account();
        prop_assert_eq!(account.not_probed, 0);
        // Nobody was lost who answers, and the output says the same as the account.
        let mut told: BTreeMap<u64, Mark> = BTreeMap::new();
        for (position, mark) in &world.seen.told {
            prop_assert_eq!(told.insert(*position, *mark), None, "told twice");
        }
        let mut records: BTreeMap<u64, Mark> = BTreeMap::new();
        for (position, mark) in &world.seen.records {
            let before = records.insert(*position, *mark);
            prop_assert!(before.is_none() || (whole && before == Some(Mark::Open)), "{position}");
        }
        for position in start..start + targets {
            let truth = World::answer(position).unwrap_or(Mark::Silent);
            let end = if whole && truth == Mark::Open { Mark::Closed } else { truth };
            prop_assert_eq!(told.get(&position), Some(&end));
            prop_assert_eq!(records.get(&position).copied().unwrap_or(Mark::Silent), end);
        }
    }
}
