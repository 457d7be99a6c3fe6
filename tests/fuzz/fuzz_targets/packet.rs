//! Any bytes as an IP packet, and as the TCP segment or ICMP message within one.
#![no_main]

#[path = "../../invariants/mod.rs"]
mod invariants;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    invariants::packet(bytes);
    for header in invariants::headers() {
        let _ = invariants::segment(bytes, &header);
        let _ = invariants::icmp(bytes, &header);
    }
});
