//! What `check` tells: verdicts as a table, as JSON Lines, in the Test Anything Protocol, as JUnit
//! XML, as captures, and against those of an earlier run.

mod baseline;
mod capture;
mod explain;
mod figures;
mod head;
mod human;
pub mod json;
mod junit;
mod ladder;
mod list;
mod progress;
mod summary;
mod table;
mod tap;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;
pub(in crate::report) mod words;

pub use baseline::{Baseline, Change, ChangeKind, Verdicts};
pub use capture::CheckCaptures;
pub use explain::{Example, explanation};
pub use human::CheckReporter;
pub use json::{CheckJsonReporter, json_list};
pub use junit::JunitSink;
pub use list::list;
pub use progress::WithProgress;
pub use tap::TapReporter;
