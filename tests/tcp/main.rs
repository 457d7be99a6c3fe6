//! The TCP machine through its public face: tables, properties, and ours against ours.

// Helpers of tests, which clippy.toml frees of these only inside of test functions.
#![allow(clippy::unwrap_used, clippy::panic)]

mod lone;
mod pair;

mod calls;
mod edges;
mod life;
mod options;
mod peer_view;
mod properties;
mod recovery;
mod segments;
mod shapes;
mod wrap;
