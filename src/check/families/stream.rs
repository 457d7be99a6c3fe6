//! The open connection: data, options, urgent, keep-alive.

use crate::check::Check;

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[];
