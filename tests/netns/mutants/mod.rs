//! One thing broken at a time: a relay changes what the server's kernel sends and gets so that it
//! seems to break one rule, and exactly the checks of that rule turn red.
//!
//! `SHAKEDOWN_MUTANT=TEXT` runs only those mutants whose names contain the text, and shows the verdicts
//! of all checks.

mod closing;
mod established;
mod opening;
mod segment;
mod wire;

use crate::battery::{self, Verdicts};
use crate::namespace::Family;
use crate::relay::Relay;
use crate::servers::{Habit, Server};
use crate::{Case, case};
use anyhow::{Context, Result, anyhow, ensure};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::thread;

/// Something broken.
pub(crate) struct Mutant {
    name: &'static str,
    server: Kind,
    change: wire::Change,
    /// The checks that have to say so, with their verdicts: all warnings and failures that the server
    /// does not earn without the change, and what else is named.
    red: &'static [(&'static str, &'static str)],
}

/// What the application behind the broken TCP does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Echo,
    NeverCloses,
    ClosesFirst,
    /// Closes first, after more than goes into a few segments.
    Bulk,
    AnswersAfterEof,
}

impl Kind {
    const ALL: [Self; 5] =
        [Self::Echo, Self::NeverCloses, Self::ClosesFirst, Self::Bulk, Self::AnswersAfterEof];

    const fn habit(self) -> Habit {
        match self {
            Self::Echo => Habit::Echo,
            Self::NeverCloses => Habit::Sink,
            Self::ClosesFirst => Habit::ClosesFirst(26),
            Self::Bulk => Habit::ClosesFirst(8000),
            Self::AnswersAfterEof => Habit::AnswersAfterEof(10),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::NeverCloses => "never_closes",
            Self::ClosesFirst => "closes_first",
            Self::Bulk => "bulk",
            Self::AnswersAfterEof => "answers_after_eof",
        }
    }
}

/// Where the kernel's own TCP breaks the letter of a rule: an ICMP error about a half-open connection
/// deletes it (MUST-56).
pub(crate) const LINUX: [&str; 1] = ["icmp-soft-synrcvd"];

/// Runs at the same time: they mostly wait.
const AT_ONCE: usize = 16;

pub(crate) fn cases() -> Vec<Case> {
    let one = |kind: Kind| case(format!("mutants/{}/v4", kind.name()), move || mutants(kind));
    Kind::ALL.map(one).into()
}

/// Every mutant of servers of this kind.
fn mutants(kind: Kind) -> Result<()> {
    let chosen = std::env::var("SHAKEDOWN_MUTANT").unwrap_or_default();
    let tables = [opening::MUTANTS, established::MUTANTS, closing::MUTANTS];
    let all = tables.into_iter().flatten();
    let mut waiting: Vec<&Mutant> =
        all.filter(|it| it.server == kind && it.name.contains(&chosen)).collect();
    waiting.reverse();
    let sound = verdicts(kind, |wire, it| wire.pass(it)).context("without any change")?;
    let failing = sound.with("fail").into_iter().filter(|id| !LINUX.contains(id));
    let failing: Vec<String> = failing.map(|id| sound.account(id)).collect();
    ensure!(failing.is_empty(), "the sound server fails: {}", failing.join("\n"));
    let waiting = Mutex::new(waiting);
    let complaints = Mutex::new(String::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(mutant) = waiting.lock().ok().and_then(|mut list| list.pop()) {
                    let seen = verdicts(kind, mutant.change);
                    let wrong = seen.and_then(|seen| judge(mutant, &sound, &seen));
                    if let (Err(error), Ok(mut text)) = (wrong, complaints.lock()) {
                        writeln!(text, "\n== {}: {error:#}", mutant.name).ok();
                    }
                }
            });
        }
    });
    let complaints = complaints.into_inner().map_err(|_| anyhow!("a thread panicked"))?;
    ensure!(complaints.is_empty(), "{complaints}");
    Ok(())
}

/// What the battery says of a server on whose cable this change is made.
fn verdicts(kind: Kind, change: wire::Change) -> Result<Verdicts> {
    let port = crate::servers::fresh_port();
    let relay = Relay::exchanging(wire::broken(port, change))?;
    let address = (relay.topology.address(Family::V4), port).into();
    let _server = Server::start_at(&relay.topology.server, address, kind.habit())?;
    battery::run(&relay.topology, address, &["--noisy", "--timeout", "2s"])
}

/// Whether what turned red is what has to.
fn judge(mutant: &Mutant, sound: &Verdicts, seen: &Verdicts) -> Result<()> {
    let is_red = |id: &&str| {
        let verdict = seen.of(id);
        matches!(verdict, "warn" | "fail") && verdict != sound.of(id)
    };
    let named = mutant.red.iter().map(|(id, _)| *id);
    let ids: BTreeSet<&str> = seen.ids().filter(is_red).chain(named).collect();
    let mut wrong = String::new();
    for id in ids {
        let due = mutant.red.iter().find(|(one, _)| *one == id).map(|(_, verdict)| *verdict);
        if due != Some(seen.of(id)) {
            let due = due.unwrap_or_else(|| sound.of(id));
            write!(wrong, "\n   {due} is due, not {}", seen.account(id))?;
        }
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}
