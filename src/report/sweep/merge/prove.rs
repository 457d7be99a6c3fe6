//! Whether reports are one sweep, and all of it.

use super::facts::{Facts, difference, positions};

/// How many missing shards are named one by one.
const NAMED: u32 = 20;

/// What tells some reports from the others; nothing where they are of one sweep.
pub(super) fn agreement(facts: &[Facts]) -> Vec<String> {
    let Some((first, others)) = facts.split_first() else { return Vec::new() };
    // Most of them are right, and the first need not be one of those.
    let model = facts
        .iter()
        .find(|one| {
            let same = facts.iter().filter(|other| difference(&one.run, &other.run).is_none());
            same.count() * 2 > facts.len()
        })
        .filter(|_| others.len() > 1)
        .unwrap_or(first);
    let foreign = facts.iter().filter_map(|one| {
        let what = difference(&model.run, &one.run)?;
        Some(format!(
            "{} is not of the sweep that {} is of: the {what} differs",
            one.name, model.name
        ))
    });
    foreign.collect()
}

/// What is missing, double or unfinished; nothing where the reports are the whole space, once.
pub(super) fn cover(facts: &[Facts]) -> Vec<String> {
    let mut problems: Vec<String> = facts.iter().filter_map(unfinished).collect();
    let mut order: Vec<&Facts> = facts.iter().collect();
    order.sort_by_key(|one| (one.run.positions.first, one.run.positions.end));
    let mut reached = 0;
    let mut last: Option<&Facts> = None;
    for one in order {
        let (first, end) = (one.run.positions.first, one.run.positions.end);
        if end < first || end > one.run.targets {
            problems.push(format!("{} claims positions that the space has not", one.name));
            continue;
        }
        // A shard of nothing is nowhere missing and nowhere double.
        if first == end {
            continue;
        }
        if first > reached {
            problems.push(missing(reached, first, last, Some(one)));
        }
        if let Some(last) = last.filter(|_| first < reached) {
            problems.push(format!(
                "{} and {} both hold {}",
                last.name,
                one.name,
                positions(first, reached.min(end))
            ));
        }
        if end > reached {
            (reached, last) = (end, Some(one));
        }
    }
    if let Some(whole) = facts.first().map(|one| one.run.targets).filter(|all| *all > reached) {
        problems.push(missing(reached, whole, last, None));
    }
    problems
}

/// `missing: positions 4096 to 8191 (shard 1/16)`.
fn missing(first: u64, end: u64, before: Option<&Facts>, after: Option<&Facts>) -> String {
    let positions = positions(first, end);
    let shard = before.or(after).and_then(|one| one.run.shard);
    let Some(count) = shard.map(|shard| shard.count) else {
        return format!("missing: {positions}");
    };
    let index = |one: &Facts| one.run.shard.map(|shard| shard.index);
    let low = before.and_then(index).map_or(0, |index| index.saturating_add(1));
    let high = after.and_then(index).unwrap_or(count);
    let names: Vec<String> =
        (low..high).take(NAMED as usize).map(|index| format!("{index}/{count}")).collect();
    let more = high.saturating_sub(low).saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let noun = if names.len() == 1 { "shard" } else { "shards" };
    match names.is_empty() {
        true => format!("missing: {positions}"),
        false => format!("missing: {noun} {}{more} ({positions})", names.join(", ")),
    }
}

fn unfinished(one: &Facts) -> Option<String> {
    let (name, part) = (&one.name, one.part());
    let Some(summary) = &one.summary else {
        let cut = if one.cut { "its last line is cut off and " } else { "" };
        return Some(format!(
            "{name}: {part} is unfinished: {cut}it has no summary; continue it with --resume"
        ));
    };
    let size = one.run.positions.end.saturating_sub(one.run.positions.first);
    let Some(account) = summary.account.checked() else {
        return Some(format!("{name}: the account in its summary does not add up"));
    };
    if account.total() != size {
        return Some(format!(
            "{name}: its summary accounts for {} targets, and {part} has {size}",
            account.total()
        ));
    }
    let others = account.refused + account.unreachable;
    // --open-only leaves out the others.
    let is_whole = one.open == account.open && [0, others].contains(&one.others);
    if is_whole || one.continued {
        return None;
    }
    Some(format!(
        "{name}: it holds records of {} open and {} other targets, and its summary counts {} and \
         {others}: lines are missing or were added",
        one.open, one.others, account.open
    ))
}

/// What disproves nothing.
pub(super) fn notes(facts: &[Facts]) -> Vec<String> {
    let mut notes = Vec::new();
    for one in facts {
        if one.repeated > 0 {
            notes.push(format!(
                "{}: {} left out that a continuation had repeated",
                one.name,
                crate::report::units::count(one.repeated, "record")
            ));
        }
        let left = one.summary.as_ref().map_or(0, |summary| summary.account.not_probed);
        if left > 0 {
            notes.push(format!(
                "{}: {} was interrupted: {} not probed; continue it with --resume",
                one.name,
                one.part(),
                crate::report::units::count(left, "target")
            ));
        }
    }
    notes
}
