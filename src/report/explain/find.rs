//! From what somebody typed to a term.

use super::terms::{self, Term};

/// How alike two names must be to be proposed for each other.
const ALIKE: f64 = 0.6;
/// By how much one may be less alike than the nearest.
const WITHIN: f64 = 0.15;
/// How many names are proposed.
const PROPOSALS: usize = 4;

/// A term of the dictionary.
#[derive(Clone, Copy, Debug)]
pub struct Found(pub(super) Term);

/// The term that is called `name`, in either language, whatever its case and its punctuation:
/// `fin-wait-1`, `FIN_WAIT1` and `finwait1` are one.
#[must_use]
pub fn find(name: &str) -> Option<Found> {
    let wanted = bare(name);
    if wanted.is_empty() {
        return None;
    }
    let is_called = |term: &Term| term.names().iter().any(|known| bare(known) == wanted);
    terms::all().into_iter().find(is_called).map(Found)
}

/// The name among `others` that is `name` but for case and punctuation.
#[must_use]
pub fn find_among<'a>(name: &str, others: &[&'a str]) -> Option<&'a str> {
    let wanted = bare(name);
    others.iter().copied().find(|known| !wanted.is_empty() && bare(known) == wanted)
}

/// The names that come nearest to `name`, of the dictionary and of `others`; the nearest first.
#[must_use]
pub fn near(name: &str, others: &[&str]) -> Vec<String> {
    let wanted = bare(name);
    let of_terms = terms::all().into_iter().map(|term| {
        let names = term.names();
        let likeness =
            names.iter().map(|known| strsim::normalized_damerau_levenshtein(&wanted, &bare(known)));
        // What is found by a by-name is proposed by its own.
        (likeness.fold(0.0, f64::max), names[0])
    });
    let of_others = others
        .iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(&wanted, &bare(known)), *known));
    let mut all: Vec<(f64, &str)> =
        of_terms.chain(of_others).filter(|(likeness, _)| *likeness >= ALIKE).collect();
    all.sort_by(|left, right| right.0.total_cmp(&left.0));
    // Where one is very near, what is merely alike only distracts.
    let best = all.first().map_or(0.0, |(likeness, _)| *likeness);
    all.retain(|(likeness, _)| *likeness >= best - WITHIN);
    all.into_iter().take(PROPOSALS).map(|(_, known)| known.to_owned()).collect()
}

/// `text` in lower case, without anything but letters and digits.
pub(super) fn bare(text: &str) -> String {
    text.chars()
        .filter(|character| character.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str) -> Option<&'static str> {
        find(name).map(|found| found.0.names()[0])
    }

    #[test]
    fn case_and_punctuation_do_not_matter() {
        for name in ["fin-wait-1", "FIN_WAIT1", "finwait1", "Fin Wait 1", "终止等待1"] {
            assert_eq!(found(name), Some("FIN-WAIT-1"), "{name}");
        }
        assert_eq!(found("syn_recv"), Some("SYN-RECEIVED"));
        assert_eq!(found("estab"), Some("ESTABLISHED"));
        assert_eq!(found("2msl"), Some("2MSL"));
        assert_eq!(found("半关闭"), Some("half-close"));
        assert_eq!(found("四次挥手"), Some("graceful close"));
        assert_eq!(found("seq"), Some("sequence number"));
        assert_eq!(found("-"), None);
        assert_eq!(found("synn"), None);
    }

    #[test]
    fn no_two_terms_share_a_name() {
        let mut owners: Vec<(String, &str)> = Vec::new();
        for term in terms::all() {
            let mut names: Vec<String> = term.names().into_iter().map(bare).collect();
            names.sort();
            names.dedup();
            for name in names {
                let owner = term.names()[0];
                let taken = owners.iter().find(|(known, _)| *known == name);
                assert!(taken.is_none(), "{name} is {owner} and {taken:?}");
                owners.push((name, owner));
            }
        }
    }

    #[test]
    fn what_is_misspelt_gets_the_nearest_names() {
        assert_eq!(near("fin-wait1x", &[]).first().map(String::as_str), Some("FIN-WAIT-1"));
        assert_eq!(near("fin-hol", &["fin-hole"]).first().map(String::as_str), Some("fin-hole"));
        assert_eq!(near("zzzz", &["fin-hole"]), Vec::<String>::new());
        assert!(near("s", &[]).len() <= PROPOSALS);
    }
}
