//! The reports of a made-up run, to the byte.

mod human;
mod machines;
mod progress;
