//! The battery through bad networks: with loss, delay and reordering, and behind a firewall, a sound
//! server never fails. What cannot be decided there is inconclusive.

use crate::battery::{self, Verdicts};
use crate::firewall;
use crate::mutants::LINUX;
use crate::namespace::{Family, Link, Topology};
use crate::relay::{Policy, Relay};
use crate::servers::{Habit, Server};
use crate::silence::Random;
use crate::{Case, case, patience};
use anyhow::{Context, Result, anyhow, ensure};
use std::thread;
use std::time::Duration;

/// The servers that take all parts in closing.
const HABITS: [Habit; 3] = [Habit::Echo, Habit::ClosesFirst(26), Habit::AnswersAfterEof(10)];

pub(crate) fn cases() -> Vec<Case> {
    let weather = [
        ("loss_1", Weather { loss: 1, delay: 0, reordering: 0 }),
        ("loss_5", Weather { loss: 5, delay: 0, reordering: 0 }),
        ("loss_20", Weather { loss: 20, delay: 0, reordering: 0 }),
        ("delay_200", Weather { loss: 0, delay: 200, reordering: 0 }),
        ("reordering", Weather { loss: 0, delay: 5, reordering: 20 }),
    ];
    let bad = weather.map(|(name, weather)| {
        case(format!("weather/{name}/v4"), move || never_a_failure(name, weather))
    });
    let firewall = case("weather/stateful_firewall/v4", stateful_firewall).needing(&["nft"]);
    bad.into_iter().chain([firewall]).collect()
}

/// What befalls each segment, either way.
#[derive(Clone, Copy)]
struct Weather {
    /// Of a hundred, so many are lost.
    loss: u64,
    /// Each is late by so many milliseconds.
    delay: u64,
    /// Of a hundred, so many are late by up to so many milliseconds more.
    reordering: u64,
}

impl Weather {
    fn policy(self, mut random: Random) -> Policy {
        Box::new(move |_, _| {
            if random.below(100) < self.loss {
                return Vec::new();
            }
            let more = if random.below(100) < self.reordering { random.below(20) } else { 0 };
            vec![Duration::from_millis(self.delay + more)]
        })
    }
}

/// A sound server of each kind through this weather, all at the same time.
fn never_a_failure(name: &str, weather: Weather) -> Result<()> {
    let chosen = std::env::var("SHAKEDOWN_SEED").ok().and_then(|text| text.parse().ok());
    let seed = chosen.unwrap_or(patience::now()?.subsec_nanos() as u64 | 1);
    println!("weather/{name}: SHAKEDOWN_SEED={seed}");
    let runs = each_habit(|habit| {
        let relay = Relay::start(weather.policy(Random(seed)))?;
        let server = Server::start(&relay.topology, Family::V4, habit)?;
        battery::run(&relay.topology, server.address, &["--noisy"])
    })?;
    for (habit, seen) in runs {
        let failing = seen.with("fail").into_iter().filter(|id| !LINUX.contains(id));
        let failing: Vec<String> = failing.map(|id| seen.account(id)).collect();
        ensure!(failing.is_empty(), "{habit:?}, SHAKEDOWN_SEED={seed}: {}", failing.join("\n"));
    }
    Ok(())
}

fn each_habit(work: impl Fn(Habit) -> Result<Verdicts> + Sync) -> Result<Vec<(Habit, Verdicts)>> {
    let work = &work;
    thread::scope(|scope| {
        let threads = HABITS.map(|habit| (habit, scope.spawn(move || work(habit))));
        let join = |(habit, thread): (Habit, thread::ScopedJoinHandle<'_, Result<Verdicts>>)| {
            let seen = thread.join().map_err(|_| anyhow!("a thread panicked"))?;
            Ok((habit, seen.with_context(|| format!("{habit:?}"))?))
        };
        threads.into_iter().map(join).collect()
    })
}

/// What a stateful firewall in front of an ordinary server does to the battery: connections and what
/// belongs to them are let through, the rest is dropped.
fn stateful_firewall() -> Result<()> {
    let runs = each_habit(|habit| {
        let topology = Topology::new(Link::Veth)?;
        let server = Server::start(&topology, Family::V4, habit)?;
        let port = server.address.port();
        let rules = format!(
            "table inet trial {{\n chain arrival {{\n type filter hook input priority 0;\n \
             ct state established,related accept\n ct state invalid drop\n \
             tcp dport {port} ct state new tcp flags & (fin|syn|rst|ack) == syn accept\n \
             meta l4proto tcp drop\n }}\n }}\n"
        );
        firewall::load(&topology.server, &rules)?;
        battery::run(&topology, server.address, &["--noisy"])
    })?;
    let core =
        [(HABITS[0], BEHIND_ECHO), (HABITS[1], BEHIND_CLOSES_FIRST), (HABITS[2], BEHIND_ANSWERS)];
    for (habit, seen) in runs {
        let failing = seen.with("fail").into_iter().filter(|id| !LINUX.contains(id));
        let mut wrong: Vec<String> = failing.map(|id| seen.account(id)).collect();
        let decided = core.iter().filter(|(one, _)| *one == habit).flat_map(|(_, ids)| *ids);
        let undecided = decided.filter(|id| seen.of(id) != "pass");
        wrong.extend(undecided.map(|id| format!("has to pass: {}", seen.account(id))));
        let swallowed =
            STRAY.iter().filter(|id| !["inconclusive", "not-applicable"].contains(&seen.of(id)));
        wrong.extend(swallowed.map(|id| format!("proves nothing here: {}", seen.account(id))));
        ensure!(wrong.is_empty(), "{habit:?}: {}", wrong.join("\n"));
    }
    Ok(())
}

/// What a stateful firewall lets decide.
const BEHIND_ECHO: &[&str] = &[
    "fin-acked",
    "fin-ack-once",
    "fin-payload",
    "fin-hole",
    "fin-hole-data",
    "half-close-data",
    "lastack-finretx",
    "lastack-done",
];
const BEHIND_CLOSES_FIRST: &[&str] =
    &["server-fin", "simclose", "simclose-unacked-data", "tw-reack", "tw-syn-lower"];
const BEHIND_ANSWERS: &[&str] = &["fin-acked", "fin-hole", "half-close-data", "lastack-finretx"];

/// What such a firewall swallows.
const STRAY: &[&str] = &[
    "closed-syn",
    "closed-ack",
    "listen-ack",
    "listen-finack",
    "fin-oow",
    "fin-badack",
    "est-oow",
    "est-ack-unsent",
    "est-data-ack-unsent",
];
