//! A port where nobody listens (RFC 9293 §3.10.7.1).

use crate::check::Check;

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[];
