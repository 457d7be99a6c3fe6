//! Retransmission of SYN-ACK, FIN and data, and its schedule.

use crate::check::Check;

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[];
