//! `--list` and `--explain`: what there is to know without a target.

use std::cell::RefCell;
use std::io::{self, Write as _};
use std::rc::Rc;

use super::{Battery, select};
use crate::check::{Check, all, by_id};
use crate::cli::CheckArgs;
use crate::cmd::ground::Ground;
use crate::cmd::sim::{Behaviour, Simulation};
use crate::cmd::{Environment, ExitStatus, session};
use crate::event::{CheckEvent, CheckInfo, CheckResult, CheckSink, Verdict};
use crate::report::check::{Example, explanation, json_list, list};

/// Kinds of simulated servers that make an example, as far as there are such, with what they are in
/// words: the plainest first.
const SERVERS: [(&str, &str); 6] = [
    ("echo", "a server that echoes, and closes after us"),
    ("answer", "a server that answers after our end of file"),
    ("greet", "a server that says a line and closes first"),
    ("page", "a server that answers a request and closes first"),
    ("bulk", "a server that says much, and closes after us"),
    ("stubborn", "a server that never closes"),
];
/// The address of the example (RFC 5737).
const TARGET: ([u8; 4], u16) = ([192, 0, 2, 1], 80);

/// Prints the checks that the arguments select; all, whatever they cost, where they select none.
pub(super) fn listing(args: &CheckArgs, environment: &Environment) -> anyhow::Result<ExitStatus> {
    let infos: Vec<&'static CheckInfo> = all().into_iter().map(|check| &check.info).collect();
    let mut wanted = args.selection.clone();
    // A list may name what a run would not dare.
    (wanted.slow, wanted.noisy, wanted.intrusive) = (true, true, true);
    let chosen = select::select(&infos, &wanted)?.checks;
    let bytes = if args.output.json {
        json_list(&chosen)?
    } else {
        list(&chosen, &session::style(&args.output, environment)).into_bytes()
    };
    io::stdout().write_all(&bytes)?;
    Ok(ExitStatus::AsAsked)
}

/// Explains the check called `id`.
pub(super) fn explain(
    id: &str,
    args: &CheckArgs,
    environment: &Environment,
) -> anyhow::Result<ExitStatus> {
    let infos: Vec<&'static CheckInfo> = all().into_iter().map(|check| &check.info).collect();
    let Some(check) = by_id(id) else { return Err(select::unknown_check(&infos, id)) };
    let example = example(check, args)?;
    let style = session::style(&args.output, environment);
    let text = explanation(&check.info, example.as_ref(), &style);
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitStatus::AsAsked)
}

/// The check against each kind of server until one suits it.
fn example(check: &'static Check, args: &CheckArgs) -> anyhow::Result<Option<Example>> {
    let mut best: Option<Example> = None;
    let mut unsuitable = Vec::new();
    let exists = |name: &str| Behaviour::ALL.iter().any(|(known, _)| *known == name);
    for (behaviour, server) in SERVERS.into_iter().filter(|(name, _)| exists(name)) {
        let Some(result) = simulate(check, behaviour, args)? else { continue };
        if result.finding.verdict == Verdict::NotApplicable {
            unsuitable.push((server, result.finding.observed.clone()));
        }
        let better = best.as_ref().is_none_or(|best| rank(&result) < rank(&best.result));
        if better {
            best = Some(Example { result, server, unsuitable: Vec::new() });
        }
        if best.as_ref().is_some_and(|best| rank(&best.result) == 0) {
            break;
        }
    }
    Ok(best.map(|best| Example { unsuitable, ..best }))
}

/// How good an example a result makes: the lower the better.
fn rank(result: &CheckResult) -> u8 {
    match result.finding.verdict {
        Verdict::Pass | Verdict::Info => 0,
        Verdict::Tolerated => 1,
        Verdict::Warn => 2,
        Verdict::Fail => 3,
        Verdict::Inconclusive => 4,
        Verdict::NotApplicable => 5,
    }
}

/// One run in virtual time, whatever the environment simulates.
fn simulate(
    check: &'static Check,
    behaviour: &str,
    args: &CheckArgs,
) -> anyhow::Result<Option<CheckResult>> {
    let ground = Ground::Simulated(Simulation::parse(&format!("{behaviour}:ports={}", TARGET.1))?);
    let mut conduct = args.conduct.clone();
    (conduct.deadline, conduct.closed_port) = (None, None);
    let (remote, route) = ground.reach(&[TARGET.into()], &args.source)?;
    let battery = Battery { ground, route, remote, name: remote.ip().to_string() };
    let heard = Rc::new(RefCell::new(Vec::new()));
    battery.run(&[check], &args.source, &conduct, Box::new(Heard(Rc::clone(&heard))))?;
    let events = heard.take();
    Ok(events.into_iter().find_map(|event| match event {
        CheckEvent::Result(result) => Some(*result),
        _ => None,
    }))
}

/// Keeps what it hears for whoever shares it.
struct Heard(Rc<RefCell<Vec<CheckEvent>>>);

impl CheckSink for Heard {
    fn record(&mut self, event: &CheckEvent) -> io::Result<()> {
        self.0.borrow_mut().push(event.clone());
        Ok(())
    }
}
