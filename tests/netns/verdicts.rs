//! Verdicts: what a peer makes of a half-close, by servers that do each of the four things.

use crate::namespace::{Family, Link, Topology};
use crate::run;
use crate::servers::{Habit, Server};
use crate::{Case, case};
use anyhow::{Result, ensure};

/// What the server does, the verdict, the outcome, the exit status.
const EXPECTED: [(Habit, &str, &str, i32); 4] = [
    (Habit::AnswersAfterEof(5000), "honoured", "closed", 0),
    (Habit::CollapsesAtEof, "collapsed", "closed", 0),
    (Habit::ResetsAtEof, "reset", "reset", 1),
    (Habit::Sink, "ignored", "still-open", 1),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in Family::BOTH {
        for (habit, verdict, outcome, status) in EXPECTED {
            let name = format!("verdict/half_close_{verdict}/{}", family.name());
            let work = move || half_close(family, habit, verdict, outcome, status);
            cases.push(case(name, work));
        }
    }
    cases
}

fn half_close(
    family: Family,
    habit: Habit,
    verdict: &str,
    outcome: &str,
    status: i32,
) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, habit)?;
    let target = server.address.to_string();
    // Only a server that never closes lets the deadline come.
    let deadline = if habit == Habit::Sink { "500ms" } else { "30s" };
    let arguments = ["close", &target, "--half", "--msl", "20ms", "--deadline", deadline, "--json"];
    let finished = run::run(&topology.client, &arguments)?;
    finished.expect_status(status)?;
    let close = &finished.first("summary")?["close"];
    ensure!(close["half_close"] == verdict, "wanted {verdict}: {}", finished.account());
    ensure!(finished.outcome()? == outcome, "wanted {outcome}: {}", finished.account());
    if let Habit::AnswersAfterEof(length) = habit {
        ensure!(close["bytes_after_fin"] == length, "{close}");
    }
    Ok(())
}
