//! The checks, a file for each family.

pub(super) mod close_states;
pub(super) mod closed;
pub(super) mod congestion;
pub(super) mod established;
pub(super) mod fin;
pub(super) mod fin_data;
pub(super) mod icmp;
pub(super) mod isn;
pub(super) mod listen;
pub(super) mod mss;
pub(super) mod options;
pub(super) mod retransmission;
mod schedule;
pub(super) mod server_closes;
pub(super) mod stream;
pub(super) mod syn;
pub(super) mod syn_received;
pub(super) mod time_wait;
pub(super) mod timestamps;
pub(super) mod window;
