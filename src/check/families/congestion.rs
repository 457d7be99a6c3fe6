//! ECN, AccECN and Fast Open in the handshake.

use crate::check::Check;

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[];
