//! A listening port, before any SYN (RFC 9293 §3.10.7.2).

use crate::check::Check;

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[];
