//! Time travel: the clock layer under a wall clock that is set, slewed and left behind by sleep.

use super::*;

const BOOT: u64 = 1_700_000_000_000_000_000;
const MS: u64 = 1_000_000;
const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * SECOND;
/// How long a reading of both clocks takes here.
const READING: u64 = 40;

/// Both clocks at `mono`, with the wall clock set `step` away from where it began.
fn sample(mono: u64, step: i64) -> Sample {
    sample_of(mono, step, READING)
}

/// A reading that takes `duration`, and sees the wall clock at its very beginning: the offset that
/// it gives is wrong by half of that.
fn sample_of(mono: u64, step: i64, duration: u64) -> Sample {
    Sample { before: mono, wall: wall(mono, step), after: mono + duration }
}

fn wall(mono: u64, step: i64) -> u64 {
    (BOOT + mono).wrapping_add_signed(step)
}

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

fn distance(a: Instant, b: Instant) -> u64 {
    a.signed_nanos_since(b).unsigned_abs()
}

#[test]
fn differences_of_stamps_survive_unchanged() {
    let mut map = ClockMap::new(sample(1_000, 0));
    let first = map.instant(wall(5_000, 0), at(9_000)).unwrap();
    // A reading that the scheduler drew out over 3 ms is no step and moves nothing.
    let slow = Sample { before: 10_000, wall: wall(2_000_000, 0), after: 3_000_000 };
    assert_eq!(map.check(slow), None);
    let second = map.instant(wall(5_017, 0), at(4_000_000)).unwrap();
    assert_eq!(second.signed_nanos_since(first), 17);
    assert!(distance(first, at(5_000)) <= READING);
}

#[test]
fn an_interval_across_a_step_is_right_within_its_error_in_either_order() {
    for step in [HOUR, -HOUR, 10 * SECOND, -10 * SECOND, 20 * MS as i64, -(20 * MS as i64)] {
        for answer_first in [false, true] {
            let mut map = ClockMap::new(sample(MS, 0));
            assert_eq!(map.check(sample(2 * MS, 0)), None);
            // Sent at 3 ms; the clock is set at 4 ms; the answer comes at 5 ms and is fetched soon.
            let (sent, received) = (wall(3 * MS, 0), wall(5 * MS, step));
            let reported = map.check(sample(6 * MS, step)).unwrap();
            assert_eq!((reported.clock, reported.at), (Clock::Kernel, at(6 * MS + READING)));
            assert!((reported.by - step).unsigned_abs() <= reported.error, "{reported:?}");
            assert_eq!(reported.error, READING, "half of a reading on each side");
            assert_eq!(map.check(sample(7 * MS, step)), None, "reported once");
            let now = at(7 * MS);
            let (sent, received) = if answer_first {
                let received = map.instant(received, now).unwrap();
                (map.instant(sent, now).unwrap(), received)
            } else {
                (map.instant(sent, now).unwrap(), map.instant(received, now).unwrap())
            };
            let interval = received.signed_nanos_since(sent);
            let wrong = (interval - 2 * MS as i64).unsigned_abs();
            assert!(wrong <= reported.error, "{interval} ns across a step of {step}");
            assert_eq!(
                map.unix_ns(received).abs_diff(wall(5 * MS, step)),
                0,
                "the wall time of what came after the step is the new one"
            );
        }
    }
}

#[test]
fn a_stamp_converted_before_the_step_and_one_after_it_fit_each_other() {
    // The first reading was drawn out over 2 ms, so that everything is shifted by 1 ms; later ones
    // are good, and only their error may show in an interval.
    let mut map = ClockMap::new(sample_of(MS, 0, 2 * MS));
    let sent = map.instant(wall(4 * MS, 0), at(4 * MS)).unwrap();
    assert_eq!(map.check(sample(5 * MS, 0)), None);
    let step = map.check(sample(6 * MS, HOUR)).unwrap();
    let received = map.instant(wall(7 * MS, HOUR), at(7 * MS)).unwrap();
    let wrong = (received.signed_nanos_since(sent) - 3 * MS as i64).unsigned_abs();
    assert!(wrong <= step.error && step.error <= READING, "{wrong} ns, {step:?}");
}

#[test]
fn forward_and_back_again_and_forward_twice() {
    for steps in [[HOUR, 0], [HOUR, 2 * HOUR], [-HOUR, 0], [-HOUR, -2 * HOUR]] {
        let mut map = ClockMap::new(sample(MS, 0));
        // Three packets that lie in the queue together, one from each era.
        let stamps = [wall(2 * MS, 0), wall(4 * MS, steps[0]), wall(6 * MS, steps[1])];
        let first = map.check(sample(5 * MS, steps[0])).unwrap();
        let second = map.check(sample(7 * MS, steps[1])).unwrap();
        assert!((second.by - (steps[1] - steps[0])).unsigned_abs() <= second.error);
        for (stamp, truth) in stamps.into_iter().zip([2 * MS, 4 * MS, 6 * MS]) {
            let found = map.instant(stamp, at(8 * MS)).unwrap();
            let error = first.error + second.error + READING;
            assert!(distance(found, at(truth)) <= error, "{found:?}, not {truth}: {steps:?}");
        }
    }
}

#[test]
fn a_small_step_moves_no_packet_that_waited_longer_than_the_step_was_big() {
    // Forward by 1 ms. Long after, a packet waits in the queue for 30 ms, because we are busy: with
    // the old offset it would look younger, but it cannot be older than the step itself.
    let step = MS as i64;
    let mut map = ClockMap::new(sample(MS, 0));
    map.check(sample(10 * MS, step)).unwrap();
    let found = map.instant(wall(50 * MS, step), at(80 * MS)).unwrap();
    assert!(distance(found, at(50 * MS)) <= 2 * READING, "{found:?}");
    // Back by 1 ms: with the new offset, what is from long before would look younger.
    let mut map = ClockMap::new(sample(MS, 0));
    assert_eq!(map.check(sample(49 * MS, 0)), None);
    map.check(sample(50 * MS, -step)).unwrap();
    let found = map.instant(wall(10 * MS, 0), at(80 * MS)).unwrap();
    assert!(distance(found, at(10 * MS)) <= 2 * READING, "{found:?}");
}

#[test]
fn a_step_to_and_fro_that_nobody_saw_leaves_no_false_stamp() {
    for step in [HOUR, -HOUR] {
        let mut map = ClockMap::new(sample(MS, 0));
        let stamp = wall(2 * MS, step);
        assert_eq!(map.check(sample(3 * MS, 0)), None);
        assert_eq!(map.instant(stamp, at(3 * MS)), None, "{step}");
    }
}

#[test]
fn slewing_is_no_step_and_creeping_is_one_in_the_end() {
    // NTP slews by the rate of both clocks: they stay as far apart as ever, but for the rounding
    // of each reading.
    let mut map = ClockMap::new(sample(MS, 0));
    for second in 1..100_000u64 {
        let rounding = second as i64 % 3 - 1;
        let steady = sample(second * SECOND as u64, rounding);
        assert_eq!(map.check(steady), None, "after {second} s");
    }
    // Set by 300 ns every second: too little to be seen each time, but never lost.
    let mut map = ClockMap::new(sample(MS, 0));
    let mut told = 0;
    for second in 1..=1_000u64 {
        let (mono, moved) = (second * SECOND as u64, second as i64 * 300);
        told += map.check(sample(mono, moved)).map_or(0, |step| step.by);
        let found = map.instant(wall(mono, moved), at(mono + 2_000)).unwrap();
        let bound = SLACK + 300 + READING as i64;
        let wrong = found.signed_nanos_since(at(mono));
        assert!(wrong.abs() <= bound, "{wrong} ns after {second} s");
        assert!((moved - told).abs() <= bound, "moved by {moved}, told {told}");
    }
}

#[test]
fn sleep_is_a_step_forward_by_the_time_slept() {
    // The monotonic clock stands still for eight hours; the packet that woke the host is stamped
    // right after.
    let mut map = ClockMap::new(sample(MS, 0));
    assert_eq!(map.check(sample(2 * MS, 0)), None);
    let before = map.instant(wall(2 * MS + 500, 0), at(2 * MS + 900)).unwrap();
    let step = map.check(sample(3 * MS, 8 * HOUR)).unwrap();
    assert!((step.by - 8 * HOUR).unsigned_abs() <= step.error);
    let after = map.instant(wall(2 * MS + 1_500, 8 * HOUR), at(3 * MS)).unwrap();
    let interval = after.signed_nanos_since(before);
    assert!((interval - 1_000).unsigned_abs() <= step.error, "{interval}: without the sleep");
}

#[test]
fn a_careless_reading_proves_no_agreement() {
    // It took 30 ms, during which the clock was set by 20 ms: it fits both.
    let step = 20 * MS as i64;
    let mut map = ClockMap::new(sample(MS, 0));
    assert_eq!(map.check(Sample { before: 10 * MS, wall: wall(25 * MS, 0), after: 40 * MS }), None);
    map.check(sample(50 * MS, step)).unwrap();
    // Stamped after the step, before the end of that reading.
    let found = map.instant(wall(38 * MS, step), at(50 * MS)).unwrap();
    assert!(distance(found, at(38 * MS)) <= 2 * READING, "{found:?}");
}

#[test]
fn the_real_clocks_agree_with_themselves() {
    let mut map = ClockMap::new(Sample::careful());
    let sample = Sample::take();
    assert_eq!(map.check(sample), None);
    let instant = map.instant(sample.wall, at(sample.after)).unwrap();
    assert!(instant.as_nanos() + 1_000_000_000 > sample.before, "{instant:?}");
}
