//! The statistics at the end, and on demand.

use std::time::Duration;

use super::footer::footer;
use super::lines::text;
use super::overview::{self, overview};
use super::{account, histogram, table};
use crate::event::RttView;
use crate::report::human::paint::{Paint, wrap_text};
use crate::report::human::{Style, hang};
use crate::report::units;
use crate::stats::{Account, Distribution, Figures, LeftOut, Phase};

/// Targets that are named in a sentence at most.
const NAMED: usize = 8;

/// The statistics of a run that is over.
pub(super) fn ended(view: &RttView<'_>, style: &Style) -> String {
    let targets = view.run.targets.iter().zip(view.accounts).enumerate();
    let mut sections: Vec<String> = Vec::new();
    if let ([target], [account]) = (view.run.targets.as_slice(), view.accounts) {
        sections.push(pings(view, &target.name, account, style));
        sections.extend(details(view, account, view.flows, style));
    } else {
        for (number, (target, account)) in targets {
            sections.push(pings(view, &target.name, account, style));
            if style.verbosity > 0 {
                let flows = view.run.fixed_ports.len();
                let own = view.flows.get(number * flows..(number + 1) * flows).unwrap_or_default();
                sections.extend(details(view, account, own, style));
            }
        }
        sections.extend(together(view, style));
    }
    sections.push(whole_run(view, style));
    sections.retain(|section| !section.is_empty());
    let text = sections.join("\n");
    if style.quiet { text } else { format!("\n{text}") }
}

/// How it stands: a block for each target.
pub(super) fn interim(view: &RttView<'_>, style: &Style) -> String {
    let mut out = String::new();
    for (target, account) in view.run.targets.iter().zip(view.accounts) {
        let counts = account.counts();
        let mut line =
            format!("{}: {}/{} answered", style.safe(&target.name), counts.received(), counts.sent);
        if let Some(percent) = counts.unanswered_percent() {
            line += &format!(", {percent:.1} % loss");
        }
        for (number, class) in
            [(counts.in_flight, "in flight"), (counts.late, "late"), (counts.refused, "refused")]
        {
            if number > 0 {
                line += &format!(", {number} {class}");
            }
        }
        if counts.duplicates > 0 {
            line += &format!(", {}", units::count(counts.duplicates, "duplicate"));
        }
        for phase in view.run.method.phases() {
            let figures = figures(account, *phase);
            let named = [
                ("min", figures.min_ns),
                ("avg", figures.avg_ns),
                ("p50", figures.p50_ns),
                ("p90", figures.p90_ns),
                ("p99", figures.p99_ns),
                ("max", figures.max_ns),
            ];
            let figures: Vec<String> = named
                .iter()
                .filter_map(|(name, nanos)| {
                    Some(format!("{name} {}", overview::short((*nanos)?, style.unicode)))
                })
                .collect();
            if !figures.is_empty() {
                line += &format!("; {}: {}", phase.name(), figures.join(", "));
            }
        }
        out += &wrapped(&line, style);
    }
    out
}

/// ping's own lines. They are never broken: programs read them.
fn pings(view: &RttView<'_>, name: &str, account: &Account, style: &Style) -> String {
    let rtt = figures(account, Phase::Handshake);
    footer(name, account.counts(), &rtt, view.now.since(view.run.start), style.charset())
}

/// Everything about one target beyond that.
fn details(view: &RttView<'_>, account: &Account, flows: &[Account], style: &Style) -> Vec<String> {
    let sentences = account::account(account.counts()) + &left_out(account.left_out());
    let mut sections = vec![wrapped(&sentences, style)];
    if account.times(Phase::Handshake).is_none() {
        return sections;
    }
    let phases = view.run.method.phases();
    let ports: Vec<String> =
        view.run.fixed_ports.iter().map(|port| format!("port {port}")).collect();
    if ports.len() > 1 && flows.len() == ports.len() {
        let rows: Vec<overview::Row<'_>> = ports
            .iter()
            .zip(flows)
            .map(|(name, account)| overview::Row::new(name, account))
            .collect();
        sections.push(overview(&rows, "source port", style));
        for phase in phases {
            let mut columns = vec![("all ports", figures(account, *phase))];
            columns.extend(
                ports.iter().zip(flows).map(|(name, flow)| (name.as_str(), figures(flow, *phase))),
            );
            let titled = table(&columns, style.columns(), style.charset());
            sections.push(titled.replacen(&" ".repeat(phase.name().len()), phase.name(), 1));
        }
    } else {
        let columns: Vec<_> =
            phases.iter().map(|phase| (phase.name(), figures(account, *phase))).collect();
        sections.push(table(&columns, style.columns(), style.charset()));
    }
    for phase in phases {
        let enough = |times: &&Distribution| times.count() >= ENOUGH;
        let Some(times) = account.times(*phase).filter(enough) else { continue };
        sections.push(drawn(*phase, times, style));
    }
    sections
}

/// Intervals from which on a histogram says more than they themselves.
const ENOUGH: u64 = 20;

/// A histogram with its title.
fn drawn(phase: Phase, times: &Distribution, style: &Style) -> String {
    let bars = histogram(&times.to_bins(), style.columns(), style.charset());
    format!("{}, {}\n{bars}", phase.name(), units::count(times.count(), "interval"))
}

/// Several targets: a line for each, and what they come to.
fn together(view: &RttView<'_>, style: &Style) -> Vec<String> {
    let targets = || view.run.targets.iter().zip(view.accounts);
    let rows: Vec<overview::Row<'_>> =
        targets().map(|(target, account)| overview::Row::new(&target.name, account)).collect();
    let mut out = vec![overview(&rows, "target", style)];
    let total = view.total();
    let silent: Vec<String> = targets()
        .filter(|(_, account)| account.counts().decided() > 0 && account.counts().received() == 0)
        .map(|(target, _)| style.safe(&target.name))
        .collect();
    let mut sentences = format!("all {} targets: ", view.run.targets.len());
    sentences += &account::account(total.counts());
    sentences += &left_out(total.left_out());
    if !silent.is_empty() {
        let named = silent.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        let more = match silent.len().checked_sub(NAMED) {
            None | Some(0) => String::new(),
            Some(more) => format!(" and {more} more"),
        };
        let count = units::count(silent.len() as u64, "target");
        sentences += &format!("{count} never answered: {named}{more}\n");
    }
    out.push(wrapped(&sentences, style));
    if total.times(Phase::Handshake).is_some() {
        let columns: Vec<_> = view
            .run
            .method
            .phases()
            .iter()
            .map(|phase| (phase.name(), figures(&total, *phase)))
            .collect();
        out.push(table(&columns, style.columns(), style.charset()));
    }
    out
}

/// What holds for the run and for no target alone.
fn whole_run(view: &RttView<'_>, style: &Style) -> String {
    let mut sentences = account::schedule(&view.schedule.lateness(), style.charset());
    let longest = view.accounts.iter().filter_map(Account::longest).max();
    if let Some(longest) = longest {
        sentences += &account::measurement(view.measurement, longest, style.charset());
        if longest > Duration::ZERO {
            sentences += &format!(
                "the bound is that of the longest interval, {}\n",
                units::duration(longest, style.unicode)
            );
        }
    }
    if view.drops > 0 {
        sentences += &format!(
            "{} dropped by the kernel before we fetched them: answers may be among them\n",
            units::count(view.drops, "captured packet")
        );
    }
    if view.clock_steps > 0 {
        sentences +=
            &format!("{} of the wall clock\n", units::count(view.clock_steps.into(), "step"));
    }
    wrapped(&sentences, style)
}

/// What is in no figure, and why.
fn left_out(left_out: LeftOut) -> String {
    let LeftOut { unstamped, stepped, unsent } = left_out;
    let mut out = String::new();
    if unstamped > 0 {
        out += &format!(
            "{} left out: an end lacks a stamp of the clock that was asked for\n",
            units::count(unstamped, "interval")
        );
    }
    if stepped > 0 {
        out += &format!(
            "{} left out: the wall clock was set meanwhile\n",
            units::count(stepped, "interval")
        );
    }
    if unsent > 0 {
        out += &format!(
            "{} could not be sent by this host: not counted\n",
            units::count(unsent, "probe")
        );
    }
    out
}

pub(super) fn figures(account: &Account, phase: Phase) -> Figures {
    account.times(phase).map(Distribution::figures).unwrap_or_default()
}

/// Sentences, one a line, broken at the width.
fn wrapped(sentences: &str, style: &Style) -> String {
    let lines = sentences
        .lines()
        .flat_map(|sentence| hang(wrap_text(sentence, Paint::Plain, style.columns() - 2), 2));
    text(&lines.collect(), style)
}
