//! `shakedown explain --json`: terms as JSON Lines.
//!
//! # The schema
//!
//! It continues that of [`crate::report::json`]: one object a line, in ASCII, each with `v`, 1, and
//! `type`.
//!
//! **`term`**: `term`, its name in English; `kind` (`state`, `flag`, `field`, `option`, `timer`,
//! `concept`); `lang` (`en`, `zh`), in which the texts below it are; `names`, everything it is called,
//! in both languages; `meaning`; `rules`, each with `rfc` (its number), `section` where it is not all
//! of it, and `url`. Of a state also `end` (which of the two is in it), `before` and `after` (the
//! states that it may follow, and that may follow it), `entered` and `left` (by what), `lasts`,
//! `far_end` (how it is known of the far end), and `ss` (its name there, absent where the system shows
//! nothing of it); of any other term `more`; of `segment` also `header`: the fields in order, each with
//! `bits` (none for those of any length) and the `term` that explains it.
//!
//! **`check`**: as `check --list --json` has it ([`crate::report::check`]), in English.

use std::io;

use serde::Serialize;

use super::find::Found;
use super::header;
use super::terms::{self, Entry, Kind, Term};
use super::text::Lang;
use crate::event::Rule;
use crate::report::check::words;
use crate::report::json::ascii;
use crate::tcp::state::State;

#[derive(Serialize)]
struct Record {
    v: u8,
    #[serde(rename = "type")]
    name: &'static str,
    term: &'static str,
    kind: &'static str,
    lang: String,
    names: Vec<&'static str>,
    meaning: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<&'static str>,
    #[serde(flatten)]
    state: Option<OfState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Vec<Field>>,
    rules: Vec<Place>,
}

#[derive(Serialize)]
struct OfState {
    end: &'static str,
    before: Vec<&'static str>,
    after: Vec<&'static str>,
    entered: &'static str,
    left: &'static str,
    lasts: &'static str,
    far_end: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ss: Option<&'static str>,
}

#[derive(Serialize)]
struct Field {
    #[serde(skip_serializing_if = "Option::is_none")]
    bits: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    term: Option<&'static str>,
}

#[derive(Serialize)]
struct Place {
    rfc: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    section: &'static str,
    url: String,
}

/// The record of a term, with its line end.
///
/// # Errors
/// None in practice: the record can be written.
pub fn term_json(found: &Found, lang: Lang) -> io::Result<Vec<u8>> {
    line(found.0, lang)
}

/// The records of all terms, in the order of the list.
///
/// # Errors
/// None in practice: the records can be written.
pub fn list_json(lang: Lang) -> io::Result<Vec<u8>> {
    let lines = terms::all().into_iter().map(|term| line(term, lang));
    Ok(lines.collect::<io::Result<Vec<_>>>()?.concat())
}

fn line(term: Term, lang: Lang) -> io::Result<Vec<u8>> {
    let record = match term {
        Term::State(state) => of_state(state, lang),
        Term::Entry(entry) => of_entry(entry, lang),
    };
    let mut bytes = ascii::to_vec(&record)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn blank(term: Term, lang: Lang, meaning: &'static str, rules: &[Rule]) -> Record {
    let names = term.names();
    let place = |rule: &Rule| Place { rfc: rule.rfc, section: rule.section, url: words::url(rule) };
    Record {
        v: 1,
        name: "term",
        term: names[0],
        kind: kind(term.kind()),
        lang: lang.to_string(),
        names,
        meaning,
        more: None,
        state: None,
        header: None,
        rules: rules.iter().map(place).collect(),
    }
}

fn of_entry(entry: &'static Entry, lang: Lang) -> Record {
    let is_segment = std::ptr::eq(entry, &raw const terms::SEGMENT);
    let field = |(bits, entry): (Option<usize>, Option<&'static Entry>)| Field {
        bits,
        term: entry.map(|entry| entry.name.en),
    };
    Record {
        more: Some(entry.more.lang(lang)),
        header: is_segment.then(|| header::fields().map(field).collect()),
        ..blank(Term::Entry(entry), lang, entry.short.lang(lang), entry.rules)
    }
}

fn of_state(state: State, lang: Lang) -> Record {
    let entry = terms::of_state(state);
    let others = |may: &dyn Fn(State) -> bool| {
        State::ALL.into_iter().filter(|other| may(*other)).map(State::name).collect()
    };
    let of_state = OfState {
        end: entry.end.lang(lang),
        before: others(&|other| other.may_become(state)),
        after: others(&|other| state.may_become(other)),
        entered: entry.entered.lang(lang),
        left: entry.left.lang(lang),
        lasts: entry.lasts.lang(lang),
        far_end: entry.known.lang(lang),
        ss: entry.ss,
    };
    let term = Term::State(state);
    let blank = blank(term, lang, entry.meaning.lang(lang), &[entry.rule]);
    Record { state: Some(of_state), ..blank }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::State => "state",
        Kind::Flag => "flag",
        Kind::Field => "field",
        Kind::Option => "option",
        Kind::Timer => "timer",
        Kind::Concept => "concept",
    }
}
