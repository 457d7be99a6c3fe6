//! Which checks run: names with wildcards, groups, and what their cost allows.

use anyhow::{bail, ensure};

use crate::cli::SelectionArgs;
use crate::event::{CheckInfo, Cost, Group};

/// From here on two names are alike enough to have been mistaken for each other.
const ALIKE: f64 = 0.8;
/// Names that are proposed.
const PROPOSALS: usize = 3;
/// Where all names are.
const LIST: &str = "'shakedown check --list' names them all";

/// What a selection comes to.
#[derive(Debug)]
pub(super) struct Selected {
    /// The checks, in the order of the table.
    pub(super) checks: Vec<&'static CheckInfo>,
    /// Those that were left out for their cost, with the option that takes them in.
    pub(super) left_out: Vec<(&'static str, usize)>,
}

/// The checks of `all` that the arguments ask for.
///
/// # Errors
/// A name that nothing has, or a selection of nothing: in one line.
pub(super) fn select(all: &[&'static CheckInfo], args: &SelectionArgs) -> anyhow::Result<Selected> {
    let only = patterns(all, &args.only)?;
    let skip = patterns(all, &args.skip)?;
    let groups: Vec<Group> = args.group.iter().map(|name| group(name)).collect::<Result<_, _>>()?;
    let wanted: Vec<&'static CheckInfo> = all
        .iter()
        .copied()
        .filter(|info| only.is_empty() || only.iter().any(|pattern| matches(pattern, info.id)))
        .filter(|info| groups.is_empty() || info.groups.iter().any(|one| groups.contains(one)))
        .filter(|info| !skip.iter().any(|pattern| matches(pattern, info.id)))
        .collect();
    ensure!(!wanted.is_empty(), "{}", nothing(args));
    let affordable = |info: &CheckInfo| match info.cost {
        Cost::Safe => true,
        // To name such a check is to want it; a pattern or a group may hit it by chance.
        Cost::Noisy => args.noisy || only.contains(&info.id),
        Cost::Slow => args.slow || only.contains(&info.id),
        Cost::Intrusive => args.intrusive,
    };
    let (checks, others): (Vec<_>, Vec<&'static CheckInfo>) =
        wanted.into_iter().partition(|info| affordable(info));
    let options =
        [(Cost::Noisy, "--noisy"), (Cost::Slow, "--slow"), (Cost::Intrusive, "--intrusive")];
    let left_out: Vec<(&'static str, usize)> = options
        .into_iter()
        .map(|(cost, option)| (option, others.iter().filter(|info| info.cost == cost).count()))
        .filter(|(_, count)| *count > 0)
        .collect();
    // Named, and all the same left out: the user would not see it among a hundred others.
    if let Some(named) = others.iter().find(|info| only.contains(&info.id)) {
        bail!("{} may crash a weak target: it runs with --intrusive only", named.id);
    }
    if checks.is_empty() {
        let options: Vec<&str> = left_out.iter().map(|(option, _)| *option).collect();
        bail!("the checks that are left run with {} only", options.join(" or "));
    }
    Ok(Selected { checks, left_out })
}

/// Why nothing is left.
fn nothing(args: &SelectionArgs) -> String {
    let options: Vec<&str> = [
        (!args.only.is_empty()).then_some("--only"),
        (!args.group.is_empty()).then_some("--group"),
        (!args.skip.is_empty()).then_some("--skip"),
    ]
    .into_iter()
    .flatten()
    .collect();
    format!("no check is left by {}: {LIST}", options.join(" and "))
}

/// The patterns, each of which some check's name matches.
fn patterns<'a>(all: &[&'static CheckInfo], words: &'a [String]) -> anyhow::Result<Vec<&'a str>> {
    let mut patterns = Vec::new();
    for word in words {
        let word = word.trim();
        if !all.iter().any(|info| matches(word, info.id)) {
            if word.contains(['*', '?']) {
                bail!("no check's name matches '{word}': {LIST}");
            }
            return Err(unknown_check(all, word));
        }
        patterns.push(word);
    }
    Ok(patterns)
}

/// The refusal of a name that no check has.
pub(super) fn unknown_check(all: &[&'static CheckInfo], name: &str) -> anyhow::Error {
    let names: Vec<&str> = all.iter().map(|info| info.id).collect();
    anyhow::anyhow!("no check is called '{name}': {}", proposal(name, &names, LIST))
}

/// The group of that name.
fn group(name: &str) -> anyhow::Result<Group> {
    let name = name.trim();
    let names = Group::ALL.map(Group::name);
    let found = Group::ALL.into_iter().find(|group| group.name() == name);
    let all = format!("groups are {}", names.join(", "));
    found.ok_or_else(|| {
        anyhow::anyhow!("no group is called '{name}': {}", proposal(name, &names, &all))
    })
}

/// The nearest names, or where they all are.
fn proposal(name: &str, names: &[&str], otherwise: &str) -> String {
    let mut near: Vec<(f64, &str)> =
        names.iter().map(|known| (strsim::jaro_winkler(name, known), *known)).collect();
    near.retain(|(likeness, _)| *likeness >= ALIKE);
    near.sort_by(|left, right| right.0.total_cmp(&left.0));
    let near: Vec<String> =
        near.into_iter().take(PROPOSALS).map(|(_, known)| format!("'{known}'")).collect();
    match near.as_slice() {
        [] => otherwise.to_owned(),
        [only] => format!("did you mean {only}?"),
        [others @ .., last] => format!("did you mean {} or {last}?", others.join(", ")),
    }
}

/// Whether `name` matches `pattern`, in which `*` is any text and `?` any character.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut of) = (0, 0);
    // Where to go back to: behind the last star, and the name's beginning for it.
    let mut star: Option<(usize, usize)> = None;
    while of < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, of));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[of] => {
                at += 1;
                of += 1;
            }
            _ => {
                let Some((behind, from)) = star else { return false };
                star = Some((behind, from + 1));
                at = behind;
                of = from + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Level;

    const fn check(id: &'static str, cost: Cost, groups: &'static [Group]) -> CheckInfo {
        CheckInfo {
            id,
            title: "",
            rules: &[],
            level: Level::Must,
            cost,
            groups,
            expect: "",
            why: "",
        }
    }

    static ALL: [CheckInfo; 6] = [
        check("syn-odd", Cost::Safe, &[Group::Syn]),
        check("syn-crash", Cost::Intrusive, &[Group::Syn]),
        check("fin-hole", Cost::Safe, &[Group::Fin]),
        check("fin-hole-data", Cost::Safe, &[Group::Fin, Group::Rst]),
        check("fin-null", Cost::Noisy, &[Group::Fin]),
        check("fin-retx", Cost::Slow, &[Group::Fin, Group::Retransmission]),
    ];

    /// `only/skip/group/switches`, and what they select, or why nothing.
    fn selected(only: &str, skip: &str, group: &str, switches: &str) -> String {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let args = SelectionArgs {
            only: words(only),
            skip: words(skip),
            group: words(group),
            slow: switches.contains('s'),
            noisy: switches.contains('n'),
            intrusive: switches.contains('i'),
            yes: false,
        };
        let all: Vec<&'static CheckInfo> = ALL.iter().collect();
        match select(&all, &args) {
            Ok(Selected { checks, .. }) => {
                checks.iter().map(|info| info.id).collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn unasked_run_those_that_are_safe_and_quick() {
        assert_eq!(selected("", "", "", ""), "syn-odd fin-hole fin-hole-data");
        assert_eq!(
            selected("", "", "", "sni"),
            "syn-odd syn-crash fin-hole fin-hole-data fin-null fin-retx"
        );
    }

    #[test]
    fn a_name_is_consent_and_a_pattern_or_a_group_is_not() {
        assert_eq!(selected("fin-retx fin-null", "", "", ""), "fin-null fin-retx");
        assert_eq!(selected("fin-*", "", "", ""), "fin-hole fin-hole-data");
        assert_eq!(selected("", "", "retransmission rst", ""), "fin-hole-data");
        assert_eq!(
            selected("syn-crash", "", "", "sn"),
            "syn-crash may crash a weak target: it runs with --intrusive only"
        );
        assert_eq!(selected("syn-crash", "", "", "i"), "syn-crash");
    }

    #[test]
    fn names_and_groups_and_exceptions_go_together() {
        assert_eq!(selected("*hole*", "", "rst", ""), "fin-hole-data");
        assert_eq!(selected("", "fin-hol?", "fin", ""), "fin-hole-data");
        assert_eq!(selected("fin-hole", "fin-*", "", ""), nothing_by("--only and --skip"));
        assert_eq!(selected("fin-hole", "", "syn", ""), nothing_by("--only and --group"));
        assert_eq!(selected("", "*", "", ""), nothing_by("--skip"));
        assert_eq!(
            selected("fin-n* fin-r*", "", "", ""),
            "the checks that are left run with --noisy or --slow only"
        );
    }

    fn nothing_by(options: &str) -> String {
        format!("no check is left by {options}: 'shakedown check --list' names them all")
    }

    #[test]
    fn what_nothing_is_called_is_named_with_its_neighbours() {
        assert_eq!(
            selected("fin-hol", "", "", ""),
            "no check is called 'fin-hol': did you mean 'fin-hole', 'fin-hole-data' or 'fin-null'?"
        );
        assert_eq!(
            selected("zzz", "", "", ""),
            "no check is called 'zzz': 'shakedown check --list' names them all"
        );
        assert_eq!(
            selected("", "x*", "", ""),
            "no check's name matches 'x*': 'shakedown check --list' names them all"
        );
        assert_eq!(
            selected("", "", "time-wat", ""),
            "no group is called 'time-wat': did you mean 'time-wait' or 'timestamps'?"
        );
        let refusal = selected("", "", "quux", "");
        assert!(refusal.starts_with("no group is called 'quux': groups are closed, "), "{refusal}");
    }

    #[test]
    fn wildcards() {
        for (pattern, name, expected) in [
            ("fin-hole", "fin-hole", true),
            ("fin-hole", "fin-hole-data", false),
            ("*", "", true),
            ("f*e", "fin-hole", true),
            ("*-*-*", "fin-hole-data", true),
            ("*-*-*", "fin-hole", false),
            ("fin-?ole", "fin-hole", true),
            ("?", "", false),
            ("**x", "abx", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
