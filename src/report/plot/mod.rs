//! A run as a picture: the intervals over time, and their cumulative distribution.
//!
//! A self-contained SVG without scripts and without fonts of its own. It follows the reader's light
//! or dark theme. Series differ in colour, fates in shape as well. However long the run, the file
//! stays below some megabytes: points that would fall on the same pixel are drawn once.

mod axis;
mod draw;
mod sink;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::stats::{Bin, Fate};

pub use draw::svg;
pub use sink::PlotSink;

/// What to draw.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plot {
    /// The heading: whom was asked, and how.
    pub title: String,
    /// Below it: the clock, the count, whatever the reader must know.
    pub subtitle: String,
    /// One for each target, phase or flow. Colours repeat beyond eight.
    pub series: Vec<Series>,
}

/// Probes that are drawn in one colour and distributed together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Series {
    /// What it is called in the legend.
    pub label: String,
    /// Its probes in any order. Warm-up probes are best left out.
    pub points: Vec<Point>,
    /// The distribution of its intervals, where the points are not all of them; empty where they are.
    pub curve: Vec<Bin>,
}

/// One probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    /// When it left, since the start of the run.
    pub at: Duration,
    /// How long it took; absent where nothing was measured.
    pub interval: Option<Duration>,
    /// What became of it: it decides the mark. Those in flight are not drawn.
    pub fate: Fate,
}
