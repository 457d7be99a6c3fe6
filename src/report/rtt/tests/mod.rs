//! What a person and a program read of a run.

mod json;
mod lines;
mod rows;
