//! Every check, in the order of the table.

use super::Check;
use super::families::{
    close_states, closed, congestion, established, fin, fin_data, icmp, isn, listen, mss, options,
    retransmission, server_closes, stream, syn, syn_received, time_wait, timestamps, window,
};

/// All checks, family by family.
static FAMILIES: &[&[&Check]] = &[
    closed::CHECKS,
    listen::CHECKS,
    syn::CHECKS,
    options::CHECKS,
    mss::CHECKS,
    congestion::CHECKS,
    isn::CHECKS,
    syn_received::CHECKS,
    icmp::CHECKS,
    established::CHECKS,
    window::CHECKS,
    timestamps::CHECKS,
    stream::CHECKS,
    fin::CHECKS,
    fin_data::CHECKS,
    close_states::CHECKS,
    retransmission::CHECKS,
    server_closes::CHECKS,
    time_wait::CHECKS,
];

/// All checks, by the group in which each is at home, and within it in the order of the families.
#[must_use]
pub fn all() -> Vec<&'static Check> {
    let mut all: Vec<&'static Check> =
        FAMILIES.iter().flat_map(|family| family.iter().copied()).collect();
    all.sort_by_key(|check| check.info.groups.first().copied());
    all
}

/// The check of that name.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Check> {
    FAMILIES.iter().flat_map(|family| family.iter().copied()).find(|check| check.info.id == id)
}
