//! Closes.
