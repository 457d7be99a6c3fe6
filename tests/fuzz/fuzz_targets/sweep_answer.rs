//! Any bytes as an answer to a sweep's probe.
#![no_main]

#[path = "../../invariants/mod.rs"]
mod invariants;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = invariants::sweep::answer(bytes);
});
