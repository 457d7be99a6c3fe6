//! Any bytes as the options of a TCP header.
#![no_main]

#[path = "../../invariants/mod.rs"]
mod invariants;

use libfuzzer_sys::fuzz_target;
use shakedown::wire::MAX_OPTIONS_LEN;

fuzz_target!(|bytes: &[u8]| {
    invariants::options(&bytes[..bytes.len().min(MAX_OPTIONS_LEN)]);
});
