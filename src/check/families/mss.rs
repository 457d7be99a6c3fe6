//! Segment sizes: what is announced, and what is honoured.

use crate::check::Check;

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[];
