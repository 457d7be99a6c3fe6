//! The dictionary: states, flags, fields, options, timers and ideas, each with its clause.

mod cargo;
mod concepts;
mod fields;
mod flags;
mod habits;
mod options;
mod states;
mod timers;

pub(super) use cargo::*;
pub(super) use concepts::*;
pub(super) use fields::*;
pub(super) use flags::*;
pub(super) use habits::*;
pub(super) use options::*;
pub(super) use states::of as of_state;
pub(super) use timers::*;

use super::text::{Lang, Text};
use crate::event::Rule;
use crate::tcp::state::State;

/// What a term is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::report) enum Kind {
    State,
    Flag,
    Field,
    Option,
    Timer,
    Concept,
}

impl Kind {
    pub(in crate::report) const ALL: [Self; 6] =
        [Self::State, Self::Flag, Self::Field, Self::Option, Self::Timer, Self::Concept];

    /// As a heading of the list, and in a page's first line.
    pub(in crate::report) const fn title(self) -> Text {
        match self {
            Self::State => Text::new("state", "状态"),
            Self::Flag => Text::new("flag", "标志位"),
            Self::Field => Text::new("header field", "首部字段"),
            Self::Option => Text::new("option", "选项"),
            Self::Timer => Text::new("timer", "定时器与时间"),
            Self::Concept => Text::new("concept", "概念"),
        }
    }
}

/// A term of the dictionary.
#[derive(Debug)]
pub(in crate::report) struct Entry {
    pub(in crate::report) kind: Kind,
    /// Its name in English, and in Chinese.
    pub(in crate::report) name: Text,
    /// What else it is called, in either language.
    pub(in crate::report) aliases: &'static [&'static str],
    /// Where it stands; the first place is the one to read.
    pub(in crate::report) rules: &'static [Rule],
    /// Its meaning in one sentence: what is told at its first use in a run.
    pub(in crate::report) short: Text,
    /// What else there is to know.
    pub(in crate::report) more: Text,
}

impl Entry {
    /// The name in `lang`.
    pub(in crate::report) const fn name(&self, lang: Lang) -> &'static str {
        self.name.lang(lang)
    }

    /// The name in `lang`; behind a Chinese one the English, which stands in the ladder and in books.
    pub(in crate::report) fn full_name(&self, lang: Lang) -> String {
        match lang {
            Lang::Zh if self.name.zh != self.name.en => {
                format!("{}（{}）", self.name.zh, self.name.en)
            }
            _ => self.name(lang).to_owned(),
        }
    }
}

/// `NAME = "name" "中文名" ["alias"] [9293 "3.1"]: "short" "简短" "more" "更多";`, each a static of its
/// own, and all of them in one slice.
macro_rules! entries {
    ($kind:ident: $($id:ident = $name:literal $zh:literal [$($alias:literal),*]
        [$($rfc:literal $section:literal),+]:
        $short_en:literal $short_zh:literal $more_en:literal $more_zh:literal;)*) => {
        $(pub(in crate::report::explain) static $id: Entry = Entry {
            kind: Kind::$kind,
            name: Text::new($name, $zh),
            aliases: &[$($alias),*],
            rules: &[$(Rule { rfc: $rfc, section: $section, detail: "" }),+],
            short: Text::new($short_en, $short_zh),
            more: Text::new($more_en, $more_zh),
        };)*
        pub(super) static ENTRIES: &[&Entry] = &[$(&$id),*];
    };
}
use entries;

/// Every entry but those of the states, kind by kind.
static FAMILIES: [&[&Entry]; 7] = [
    flags::ENTRIES,
    fields::ENTRIES,
    options::ENTRIES,
    timers::ENTRIES,
    concepts::ENTRIES,
    habits::ENTRIES,
    cargo::ENTRIES,
];

/// A term that can be looked up.
#[derive(Clone, Copy, Debug)]
pub(in crate::report) enum Term {
    State(State),
    Entry(&'static Entry),
}

impl Term {
    pub(in crate::report) fn kind(self) -> Kind {
        match self {
            Self::State(_) => Kind::State,
            Self::Entry(entry) => entry.kind,
        }
    }

    /// As [`Entry::full_name`].
    pub(in crate::report) fn full_name(self, lang: Lang) -> String {
        match self {
            Self::State(state) => state.name().to_owned(),
            Self::Entry(entry) => entry.full_name(lang),
        }
    }

    /// Everything it is called, in both languages.
    pub(in crate::report) fn names(self) -> Vec<&'static str> {
        match self {
            Self::State(state) => [&[state.name()], of_state(state).aliases].concat(),
            // Many are called the same in both languages.
            Self::Entry(entry) if entry.name.en == entry.name.zh => {
                [&[entry.name.en], entry.aliases].concat()
            }
            Self::Entry(entry) => [&[entry.name.en, entry.name.zh], entry.aliases].concat(),
        }
    }
}

/// The whole dictionary: states first, then kind by kind.
pub(in crate::report) fn all() -> Vec<Term> {
    let states = State::ALL.into_iter().map(Term::State);
    let entries = FAMILIES.iter().flat_map(|family| family.iter().copied()).map(Term::Entry);
    states.chain(entries).collect()
}
