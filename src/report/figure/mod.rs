//! The run as the sequence diagram of the textbooks, in one SVG file: two lifelines with the states
//! of both ends, and an arrow for each segment.
//!
//! **What is drawn.** The client is on the left, the server on the right, whoever of them we are. The
//! bar on a lifeline is the state that the end was in: solid where it is known (our own, or proved by
//! a segment), dashed where it is implied by what we sent, dotted where it is assumed. A picture is
//! drawn when all is over, so it shows what was known at the end: a state that was implied first and
//! proved later is solid, and one that turned out not to have been is left out.
//!
//! **Arrows** fall from the time at which a segment left to that at which it arrived. One of the two
//! is a stamp; the other is estimated by half of the shortest round trip of the whole run, and marked
//! `~`. (The ladder and JSON estimate with what was known by then, so early figures may differ.) Of a
//! segment that was lost nobody sees more than that no answer came: an arrow that ends in `?` is one
//! that was sent again, and either it or its answer was lost. A cross is for what is known: lost (the
//! far end's own segments show it), held back, or rejected.
//!
//! **Scale.** [`Scale::Time`] is to scale as far as that can be read: a gap that would dwarf all others
//! is cut, with a break mark and its length, and steps that follow each other more closely than their
//! labels have room are drawn apart, where the axis is dotted. [`Scale::Even`] gives every step the same
//! distance. Labels never overlap in either.
//!
//! The file needs nothing else: no font, no script. Its colours follow `prefers-color-scheme`, and
//! nothing is told by colour alone. The same events give the same bytes.

mod draw;
mod label;
mod legend;
mod place;
mod scene;
mod sink;
mod story;
mod style;
#[cfg(test)]
mod tests;

pub use sink::FigureSink;

/// How distances stand for times.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Scale {
    /// To scale; long gaps are cut, short ones widened until labels fit.
    #[default]
    Time,
    /// Every step takes the same room.
    Even,
}

/// How a picture is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Look {
    /// How distances stand for times.
    pub scale: Scale,
    /// Sequence numbers as they are on the wire, not counted from the initial ones.
    pub absolute: bool,
}
