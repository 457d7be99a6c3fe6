//! The open connection: numbers outside the window.

use crate::check::Check;

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[];
