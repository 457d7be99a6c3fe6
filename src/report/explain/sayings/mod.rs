//! Everything that can be said of a step, in both languages side by side.
//!
//! A saying that lacks a language cannot be written down; that both have the same places for the
//! run's own numbers is for the tests.

mod cargo;
mod closing;
mod data;
mod moves;
mod opening;
mod outcomes;
mod rejections;
mod reset;
mod trouble;

pub(super) use cargo::*;
pub(super) use closing::*;
pub(super) use data::*;
pub(super) use moves::*;
pub(super) use opening::*;
pub(super) use outcomes::*;
pub(super) use rejections::{OTHER_REASON, reason};
pub(super) use reset::*;
pub(super) use trouble::*;

use super::terms::Entry;
use super::text::Text;

/// Something that can be said, and the terms that it uses.
#[derive(Debug)]
pub(super) struct Saying {
    pub(super) text: Text,
    /// To be explained where they have not been yet.
    pub(super) terms: &'static [&'static Entry],
}

/// `NAME [TERM, TERM]: "english" "中文";`
macro_rules! sayings {
    ($($name:ident [$($term:ident),*]: $en:literal $zh:literal;)*) => {
        $(pub(in crate::report::explain) static $name: Saying = Saying {
            text: Text::new($en, $zh),
            terms: &[$(&terms::$term),*],
        };)*
        #[cfg(test)]
        pub(super) static TABLE: &[(&str, &Saying)] = &[$((stringify!($name), &$name)),*];
    };
}
use sayings;

/// All of them, by name.
#[cfg(test)]
pub(super) fn all() -> Vec<(&'static str, &'static Saying)> {
    [
        opening::TABLE,
        cargo::TABLE,
        data::TABLE,
        closing::TABLE,
        reset::TABLE,
        trouble::TABLE,
        moves::TABLE,
        outcomes::TABLE,
        rejections::TABLE,
    ]
    .concat()
}
