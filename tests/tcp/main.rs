//! The TCP machine through its public face: tables, properties, and ours against ours.

mod lone;
mod pair;

mod calls;
mod edges;
mod life;
mod options;
mod peer_view;
mod properties;
mod segments;
mod shapes;
mod wrap;
