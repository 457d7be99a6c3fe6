//! Explanations: what each step of a run means, and what each term means, in English and Chinese.
//!
//! [`Narrator`] hears the same events as a reporter and says of each of them what it means; whoever
//! prints the event prints what the narrator says below it. All texts are in tables, `sayings`
//! and `terms`, each text in both languages side by side; the Chinese of the checks is in `checks`.

mod check;
mod checks;
mod find;
mod header;
pub mod json;
mod list;
mod narrator;
mod page;
pub(in crate::report) mod prose;
mod sayings;
mod terms;
#[cfg(test)]
mod tests;
mod text;

pub use check::check_page;
pub use checks::translated;
pub use find::{Found, find, find_among, near};
pub use header::segment_page;
pub use json::{list_json, term_json};
pub use list::list;
pub use narrator::{Narrator, Paragraph, knows_reason};
pub use page::term_page;
pub use text::Lang;
