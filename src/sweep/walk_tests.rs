//! The permutation: that it is one, that neighbours stay apart, and that it is even.

use proptest::prelude::*;

use super::*;

/// What two positions in a row must not be, by the table in the module's documentation.
fn assert_apart(hosts: u64, ports: u64, a: u64, b: u64) {
    let (host_a, host_b) = (a / ports, b / ports);
    let said = || format!("{hosts} × {ports}: {a} then {b}");
    match hosts {
        5.. => assert!(host_a.abs_diff(host_b) >= 2, "{}", said()),
        4 if ports == 1 => assert!(host_a.abs_diff(host_b) >= 2, "{}", said()),
        2..=4 => assert_ne!(host_a, host_b, "{}", said()),
        _ if ports >= 4 => assert!(a.abs_diff(b) >= 2, "{}", said()),
        _ => {}
    }
}

/// Every position of a space, both ways, and every pair in a row.
fn assert_whole(hosts: u64, ports: u64, seed: u64) {
    let walk = Walk::over(hosts, ports, seed);
    assert_eq!(walk.len(), hosts * ports);
    let mut seen = vec![false; walk.len() as usize];
    let mut before = None;
    for position in 0..walk.len() {
        let index = walk.index_at(position);
        assert!(!std::mem::replace(&mut seen[index as usize], true), "{index} comes twice");
        assert_eq!(walk.position_of(index), position);
        if let Some(before) = before.replace(index) {
            assert_apart(hosts, ports, before, index);
        }
    }
}

#[test]
fn it_is_a_permutation_of_every_small_size() {
    for hosts in 1..=2000 {
        assert_whole(hosts, 1, hosts * 7);
    }
    for ports in 1..=300 {
        assert_whole(1, ports, ports);
    }
    for hosts in 1..=30 {
        for ports in 1..=30 {
            assert_whole(hosts, ports, hosts ^ ports << 8);
        }
    }
}

#[test]
fn four_hosts_meet_their_neighbours_once_in_four_steps() {
    let walk = Walk::over(4, 1000, 3);
    let hosts: Vec<_> = (0..walk.len()).map(|position| walk.index_at(position) / 1000).collect();
    let adjacent = hosts.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) == 1).count();
    assert_eq!(adjacent, 999);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_a_permutation_of_middle_sizes(hosts in 1_u64..300, ports in 1_u64..100, seed: u64) {
        assert_whole(hosts, ports, seed);
    }
}

/// Hosts × ports up to 2^62: of every magnitude, powers of two and their neighbours.
fn large() -> impl Strategy<Value = (u64, u64)> {
    let ports = prop_oneof![Just(1_u64), 1_u64..20, 1_u64..=65_535];
    let hosts =
        (1_u32..=46, any::<u64>(), -2_i64..=2, any::<bool>()).prop_map(|(bits, any, by, exact)| {
            let power = 1_u64 << bits;
            if exact { power.saturating_add_signed(by).max(1) } else { power + any % power }
        });
    let shapes = prop_oneof![
        Just((1 << 24, 1000)),    // a /8
        Just((1 << 32, 1)),       // a /96 of IPv6
        Just((1 << 32, 65_535)),  // all ports of it
        Just((3_702_258_432, 1)), // the public IPv4 space
        Just((1 << 62, 1)),
        Just(((1 << 62) / 65_535, 65_535)),
        Just(((1 << 61) + 1, 1)),
    ];
    prop_oneof![
        shapes,
        (hosts, ports).prop_map(|(hosts, ports)| (hosts.min((1 << 62) / ports), ports))
    ]
}

proptest! {
    #[test]
    fn there_and_back_in_every_size((hosts, ports) in large(), seed: u64, at: u64, some in 1_u64..50) {
        let walk = Walk::over(hosts, ports, seed);
        prop_assert_eq!(walk.len(), hosts * ports);
        // Somewhere, at the beginning and at the end, where parts differ in length.
        for from in [at % walk.len(), 0, walk.len().saturating_sub(some)] {
            let mut before = None;
            for position in from..walk.len().min(from + some) {
                let index = walk.index_at(position);
                prop_assert!(index < walk.len());
                prop_assert_eq!(walk.position_of(index), position);
                if let Some(before) = before.replace(index) {
                    assert_apart(hosts, ports, before, index);
                }
            }
            let index = from;
            prop_assert_eq!(walk.index_at(walk.position_of(index)), index);
        }
    }
}

#[test]
fn every_target_of_a_space_is_visited_once_and_no_neighbour_follows() {
    use crate::sweep::{hosts::AddrRange, ports::PortSet, space::Target};
    let range = |text: &str, prefix| AddrRange::network(text.parse().unwrap(), prefix).unwrap();
    let hosts = [range("192.0.2.0", 28), range("192.0.2.32", 30), range("2001:db8::", 125)];
    let ports = PortSet::parse("22,80,443", &|_| None).unwrap();
    let space = Space::new(hosts.into_iter().collect(), ports).unwrap();
    let walk = Walk::new(&space, 7);
    let order: Vec<Target> =
        (0..walk.len()).map(|position| space.target(walk.index_at(position))).collect();
    let number = |target: Target| match target.addr {
        std::net::IpAddr::V4(addr) => u128::from(addr.to_bits()),
        std::net::IpAddr::V6(addr) => addr.to_bits(),
    };
    for pair in order.windows(2) {
        assert!(number(pair[0]).abs_diff(number(pair[1])) >= 2, "{} then {}", pair[0], pair[1]);
    }
    let distinct: std::collections::BTreeSet<_> = order.iter().collect();
    assert_eq!(distinct.len(), 3 * (16 + 4 + 8));
    for (position, target) in (0..).zip(&order) {
        assert_eq!(space.index_of(*target).map(|index| walk.position_of(index)), Some(position));
    }
}

/// Computed by a second program, written in another language by the module's documentation.
#[test]
fn the_order_is_the_same_on_every_machine() {
    let first = |hosts, ports, seed| {
        let walk = Walk::over(hosts, ports, seed);
        [0, 1, 2, 3, walk.len() - 1].map(|position| walk.index_at(position))
    };
    assert_eq!(first(65_536, 1, 1), [37_963, 6_176, 50_481, 16_903, 28_286]);
    assert_eq!(
        first(1 << 24, 1000, 2),
        [731_266_549, 6_899_572_349, 16_472_146_551, 4_496_165_697, 10_374_014_851]
    );
    assert_eq!(
        first(1 << 32, 65_535, u64::MAX),
        [
            86_308_716_139_519,
            183_765_930_641_758,
            45_552_202_376_644,
            153_743_638_128_499,
            268_534_842_005_893
        ]
    );
    assert_eq!(first(7, 3, 0), [20, 12, 8, 1, 5]);
}

#[test]
fn each_seed_has_its_own_order() {
    let orders: std::collections::BTreeSet<Vec<u64>> = (0..200)
        .map(|seed| {
            let walk = Walk::over(30, 1, seed);
            (0..30).map(|position| walk.index_at(position)).collect()
        })
        .collect();
    assert_eq!(orders.len(), 200);
}

/// Pearson's statistic of counts that should be equal, in standard deviations from its mean.
fn deviation(counts: &[u64]) -> f64 {
    let mean = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    let squares: f64 = counts.iter().map(|count| (*count as f64 - mean).powi(2)).sum();
    let freedom = (counts.len() - 1) as f64;
    (squares / mean - freedom) / (2.0 * freedom).sqrt()
}

#[test]
fn the_addresses_of_a_net_are_spread_evenly_over_the_walk() {
    // A /16, a /12 and an odd range, with one port and with several: for each /24 of a sample, in
    // which sixteenth of the walk its targets come.
    let mut worst: f64 = 0.0;
    let mut all = Vec::new();
    for (hosts, ports) in [(65_536_u64, 1), (1 << 20, 1), (100_003, 1), (65_536, 7), (5_000, 3)] {
        for seed in 0..6 {
            let walk = Walk::over(hosts, ports, seed);
            for net in (0..hosts / 256).step_by(1 + hosts as usize / 256 / 16) {
                let mut counts = [0; 16];
                for index in net * 256 * ports..(net + 1) * 256 * ports {
                    counts[(u128::from(walk.position_of(index)) * 16 / u128::from(walk.len()))
                        as usize] += 1;
                }
                all.push(deviation(&counts));
                worst = worst.max(deviation(&counts));
            }
        }
    }
    // Of some hundred draws from this distribution the largest is about 4; and on average they lie
    // neither above nor far below what chance gives.
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    println!("{} nets: worst {worst:.2}, mean {mean:.3}", all.len());
    assert!(worst < 6.0, "{worst}");
    assert!(mean.abs() < 0.25, "{mean}");
}

#[test]
fn a_run_of_positions_reaches_all_of_the_space_evenly() {
    let mut all = Vec::new();
    for (hosts, ports) in
        [(65_536_u64, 1), (1 << 24, 1), (1 << 24, 1000), (100_003, 1), (1 << 40, 1)]
    {
        for seed in 0..8 {
            let walk = Walk::over(hosts, ports, seed);
            for run in 0..4 {
                let from = walk.len() / 4 * run;
                let mut counts = [0; 32];
                // And the step from each position to the next but four, which stays in the same part:
                // it must not follow a pattern either.
                let mut steps = [0; 32];
                for position in from..from + 3200 {
                    let index = walk.index_at(position);
                    counts[(u128::from(index) * 32 / u128::from(walk.len())) as usize] += 1;
                    let next = walk.index_at(position + 5);
                    let step = next.wrapping_sub(index).wrapping_add(walk.len()) % walk.len();
                    // Both are uniform in a part: the difference is triangular, its lowest digits not.
                    steps[(step % 32) as usize] += 1;
                }
                all.push([deviation(&counts), deviation(&steps)]);
            }
        }
    }
    for kind in 0..2 {
        let mean = all.iter().map(|both| both[kind]).sum::<f64>() / all.len() as f64;
        let worst = all.iter().map(|both| both[kind]).fold(0.0, f64::max);
        println!("kind {kind}: {} runs: worst {worst:.2}, mean {mean:.3}", all.len());
        assert!(worst < 6.0, "{worst}");
        assert!(mean < 0.3, "{mean}");
    }
}
