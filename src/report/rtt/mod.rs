//! What repeated probes amount to: ping's own footer, tables of figures, a histogram, CSV.
//!
//! The functions take plain values of [`crate::stats`] and return finished lines, each with its end;
//! what they say is said in words and shapes, never by colour.

mod account;
mod csv;
mod csv_sink;
mod footer;
mod histogram;
mod json;
mod line;
mod lines;
mod live;
mod overview;
mod statistics;
mod summary;
mod table;
#[cfg(test)]
pub(in crate::report) mod testkit;
#[cfg(test)]
mod tests;

pub use account::{account, measurement, schedule};
pub use csv::{CsvWriter, Row};
pub use csv_sink::CsvSink;
pub use footer::footer;
pub use histogram::histogram;
pub use json::RttJsonReporter;
pub use lines::LinesReporter;
pub use live::{LiveReporter, Size};
pub use statistics::Statistics;
pub use table::table;
