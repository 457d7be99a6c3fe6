//! The command line of shakedown.
fn main() {}
