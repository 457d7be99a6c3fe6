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

/// What is thrown at them.
const WEATHER: [(&str, Weather); 5] = [
    ("loss of 1 %", Weather { loss: 1, delay: 0, reordering: 0 }),
    ("loss of 5 %", Weather { loss: 5, delay: 0, reordering: 0 }),
    ("loss of 20 %", Weather { loss: 20, delay: 0, reordering: 0 }),
    ("200 ms of delay", Weather { loss: 0, delay: 200, reordering: 0 }),
    ("reordering", Weather { loss: 0, delay: 5, reordering: 20 }),
];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("weather/never_a_failure/v4", never_a_failure),
        case("weather/stateful_firewall/v4", stateful_firewall).needing(&["nft"]),
    ]
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

/// A sound server of each kind in every weather, all at the same time: they mostly wait.
fn never_a_failure() -> Result<()> {
    let chosen = std::env::var("SHAKEDOWN_SEED").ok().and_then(|text| text.parse().ok());
    let seed = chosen.unwrap_or(u64::from(patience::now()?.subsec_nanos()) | 1);
    println!("weather/never_a_failure: SHAKEDOWN_SEED={seed}");
    let all: Vec<_> =
        WEATHER.into_iter().flat_map(|weather| HABITS.map(|habit| (weather, habit))).collect();
    let failing = side_by_side(&all, |((name, weather), habit)| {
        let relay = Relay::start(weather.policy(Random(seed)))?;
        let server = Server::start(&relay.topology, Family::V4, *habit)?;
        let seen = battery::run(&relay.topology, server.address, &["--noisy"])
            .with_context(|| format!("{habit:?}, {name}"))?;
        let failing = seen.with("fail").into_iter().filter(|id| !LINUX.contains(id));
        Ok(failing.map(|id| format!("{habit:?}, {name}: {}", seen.account(id))).collect())
    })?;
    ensure!(failing.is_empty(), "SHAKEDOWN_SEED={seed}: {}", failing.join("\n"));
    Ok(())
}

/// Does all of it at the same time; what there is to complain of.
fn side_by_side<T: Sync>(
    all: &[T],
    work: impl Fn(&T) -> Result<Vec<String>> + Sync,
) -> Result<Vec<String>> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = all.iter().map(|one| scope.spawn(move || work(one))).collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?);
        Ok(joined.collect::<Result<Vec<_>>>()?.concat())
    })
}

/// What a stateful firewall in front of an ordinary server does to the battery: connections and what
/// belongs to them are let through, the rest is dropped.
fn stateful_firewall() -> Result<()> {
    let servers =
        [(HABITS[0], BEHIND_ECHO), (HABITS[1], BEHIND_CLOSES_FIRST), (HABITS[2], BEHIND_ANSWERS)];
    let wrong = side_by_side(&servers, |(habit, core)| {
        let seen = behind_firewall(*habit).with_context(|| format!("{habit:?}"))?;
        let failing = seen.with("fail").into_iter().filter(|id| !LINUX.contains(id));
        let mut wrong: Vec<String> = failing.map(|id| seen.account(id)).collect();
        let undecided = core.iter().filter(|id| seen.of(id) != "pass");
        wrong.extend(undecided.map(|id| format!("has to pass: {}", seen.account(id))));
        let known = ["inconclusive", "not-applicable"];
        let proven = STRAY.iter().filter(|id| !known.contains(&seen.of(id)));
        wrong.extend(proven.map(|id| format!("proves nothing here: {}", seen.account(id))));
        Ok(wrong.into_iter().map(|text| format!("{habit:?}: {text}")).collect())
    })?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn behind_firewall(habit: Habit) -> Result<Verdicts> {
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
    &["server-fin", "simclose", "simclose-unacked-data", "tw-reack"];
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
    // Silence is due, and would be there without a server too.
    "listen-rst",
    "listen-noack",
    "syn-badcsum",
    "synrcvd-rst-outside",
    "est-rst-outside",
    "est-noack",
    "fin-noack",
    "fin-badcsum",
];
