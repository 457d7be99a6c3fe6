//! The figures against a computation that keeps everything and knows no trick.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn recorded(intervals: &[u64]) -> Distribution {
    let mut distribution = Distribution::new();
    intervals.iter().for_each(|&nanos| distribution.record(Duration::from_nanos(nanos)));
    distribution
}

/// By the definitions, with no regard to memory; integers of unlimited size are not needed for the
/// magnitudes that the tests draw.
fn naive(intervals: &[u64]) -> Figures {
    let mut sorted = intervals.to_vec();
    sorted.sort_unstable();
    let n = sorted.len() as u128;
    if n == 0 {
        return Figures::default();
    }
    let rank = |percent: f64| {
        let at = (percent / 100.0 * sorted.len() as f64 - 1e-9).ceil() as usize;
        Some(sorted[at.max(1) - 1])
    };
    let sum: u128 = sorted.iter().map(|&x| u128::from(x)).sum();
    let squares: u128 = sorted.iter().map(|&x| u128::from(x) * u128::from(x)).sum();
    let variance = (n * squares - sum * sum) / (n * n);
    let mut jitter = 0_u64;
    for pair in intervals.windows(2) {
        jitter = jitter + pair[0].abs_diff(pair[1]) - (jitter + 8) / 16;
    }
    Figures {
        count: n as u64,
        min_ns: sorted.first().copied(),
        avg_ns: u64::try_from(sum / n).ok(),
        max_ns: sorted.last().copied(),
        mdev_ns: u64::try_from(variance.isqrt()).ok(),
        p50_ns: rank(50.0),
        p90_ns: rank(90.0),
        p95_ns: rank(95.0),
        p99_ns: rank(99.0),
        p999_ns: rank(99.9),
        jitter_ns: (n > 1).then_some(jitter / 16),
        percentile_error_ppm: Some(0),
    }
}

/// Round trips as they come: a narrow crowd, or anything up to an hour.
fn intervals(most: usize) -> impl Strategy<Value = Vec<u64>> {
    let crowd = (1_u64..50_000_000)
        .prop_flat_map(move |base| prop::collection::vec(base..base + base / 8 + 2, 0..most));
    let anything = prop::collection::vec((0_u64..3_600_000_000_000, 0_u32..40), 0..most)
        .prop_map(|drawn| drawn.into_iter().map(|(nanos, shift)| nanos >> shift).collect());
    prop_oneof![crowd, anything]
}

proptest! {
    #[test]
    fn few_intervals_are_computed_exactly(intervals in intervals(EXACT_SAMPLES + 1)) {
        prop_assert_eq!(recorded(&intervals).figures(), naive(&intervals));
    }

    #[test]
    fn many_intervals_are_within_the_stated_error(intervals in intervals(6 * EXACT_SAMPLES)) {
        let (ours, exact) = (recorded(&intervals).figures(), naive(&intervals));
        let free = |figures: Figures| {
            let Figures { count, min_ns, avg_ns, max_ns, mdev_ns, jitter_ns, .. } = figures;
            (count, min_ns, avg_ns, max_ns, mdev_ns, jitter_ns)
        };
        prop_assert_eq!(free(ours), free(exact));
        let error = u64::from(ours.percentile_error_ppm.unwrap_or(0));
        for (ours, exact) in [
            (ours.p50_ns, exact.p50_ns),
            (ours.p90_ns, exact.p90_ns),
            (ours.p95_ns, exact.p95_ns),
            (ours.p99_ns, exact.p99_ns),
            (ours.p999_ns, exact.p999_ns),
        ] {
            prop_assert_eq!(ours.is_some(), exact.is_some());
            if let (Some(ours), Some(exact)) = (ours, exact) {
                prop_assert!(
                    u128::from(ours.abs_diff(exact)) * 1_000_000 <= u128::from(exact) * u128::from(error),
                    "{ours} for {exact} with {error} ppm"
                );
            }
        }
    }

    #[test]
    fn parts_merged_in_any_order_are_the_whole(
        intervals in intervals(4 * EXACT_SAMPLES), cuts in prop::collection::vec(any::<usize>(), 3)
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (intervals.len() + 1)).collect();
        cuts.extend([0, intervals.len()]);
        cuts.sort_unstable();
        let parts: Vec<_> =
            cuts.windows(2).map(|cut| recorded(&intervals[cut[0]..cut[1]])).collect();
        let merged = |order: &mut dyn Iterator<Item = &Distribution>| {
            let mut sum = Distribution::new();
            order.for_each(|part| sum.merge(part));
            sum
        };
        let forward = merged(&mut parts.iter());
        prop_assert_eq!(forward.figures(), merged(&mut parts.iter().rev()).figures());
        // The jitter alone depends on what follows what.
        let without = |figures: Figures| Figures { jitter_ns: None, ..figures };
        prop_assert_eq!(without(forward.figures()), without(recorded(&intervals).figures()));
        prop_assert_eq!(forward.to_bins(), recorded(&intervals).to_bins());
    }

    #[test]
    fn figures_are_in_order_and_bins_hold_everything(intervals in intervals(3 * EXACT_SAMPLES)) {
        let distribution = recorded(&intervals);
        let f = distribution.figures();
        let row = [f.min_ns, f.p50_ns, f.p90_ns, f.p95_ns, f.p99_ns, f.p999_ns, f.max_ns];
        prop_assert!(row.is_sorted(), "{row:?}");
        prop_assert!(f.min_ns <= f.avg_ns && f.avg_ns <= f.max_ns);
        let bins = distribution.to_bins();
        prop_assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), f.count);
        prop_assert!(bins.windows(2).all(|pair| pair[0].high_ns < pair[1].low_ns));
    }

    /// Whatever a caller reports in whatever order, every probe is in exactly one class.
    #[test]
    fn the_classes_of_probes_sum_to_what_was_sent(
        steps in prop::collection::vec((0_u8..6, 0_u8..3, 0_u8..3, 0_u64..20), 0..200)
    ) {
        let mut loss = Loss::new();
        let mut merged = Loss::new();
        for (step, answer, first, index) in steps {
            let answer = [Answer::Open, Answer::Refused, Answer::Icmp][usize::from(answer)];
            let first =
                [FirstTry::Answered, FirstTry::Lost, FirstTry::Unknown][usize::from(first)];
            let before = *loss.counts();
            let counted = match step {
                0 => { loss.sent(); true }
                1 => loss.settle(Settled::Answered { answer, attempts: 2, first }),
                2 => loss.settle(Settled::Lost),
                3 => loss.answer_late(answer, 1),
                4 => { loss.arrived(index); true }
                _ => { loss.duplicate(); true }
            };
            prop_assert!(counted || before == *loss.counts());
            let c = loss.counts();
            let classes = [c.answered, c.ambiguous, c.refused, c.icmp, c.late, c.lost, c.in_flight];
            prop_assert_eq!(classes.iter().sum::<u64>(), c.sent);
            prop_assert_eq!(
                c.first_answered + c.first_lost + c.first_unknown + c.in_flight, c.sent
            );
            for percent in [c.lost_percent(), c.late_percent(), c.first_lost_percent()] {
                prop_assert!(percent.is_none_or(|percent| (0.0..=100.0).contains(&percent)));
            }
        }
        merged.merge(&loss);
        merged.merge(&Loss::new());
        prop_assert_eq!(merged.counts(), loss.counts());
    }
}

#[test]
fn nothing_recorded_has_no_figures() {
    assert_eq!(Distribution::new().figures(), Figures::default());
    assert_eq!(Distribution::new().percentile_ns(500), None);
    assert_eq!(Distribution::new().figures().min_ns, None);
}

#[test]
fn a_small_deviation_of_long_intervals_is_not_rounded_away() {
    // A thousand seconds, give or take a nanosecond: beyond the 53 bits of a double's square.
    let long: Vec<u64> = (0..1000).map(|i| 1_000_000_000_000 + 2 * (i % 2)).collect();
    assert_eq!(recorded(&long).figures().mdev_ns, Some(1));
}

#[test]
fn the_longest_intervals_overflow_nothing() {
    let mut distribution = Distribution::new();
    for _ in 0..5000 {
        distribution.record(Duration::MAX);
        distribution.record(Duration::ZERO);
    }
    let figures = distribution.figures();
    assert_eq!(figures.max_ns, Some(MAX_INTERVAL_NS));
    assert_eq!(figures.avg_ns, Some(MAX_INTERVAL_NS / 2));
    assert_eq!(figures.mdev_ns, Some(MAX_INTERVAL_NS / 2));
}

#[test]
fn the_known_example_of_ping() {
    // 25, 44, 60 and 47 µs.
    let figures = recorded(&[25_000, 44_000, 60_000, 47_000]).figures();
    assert_eq!(figures.avg_ns, Some(44_000));
    assert_eq!(figures.mdev_ns, Some(12_509));
    assert_eq!(figures.p50_ns, Some(44_000), "nearest rank: a measured value, not one between two");
    assert_eq!(figures.p999_ns, Some(60_000));
}
