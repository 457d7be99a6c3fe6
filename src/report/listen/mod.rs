//! Clients as they come and go: lines in a pipe, a table on a terminal.

mod lines;
mod live;
#[cfg(test)]
mod tests;
mod words;

pub use lines::LinesReporter;
pub use live::LiveReporter;
pub(in crate::report) use words::{ended, opened, summary};
