//! Where every point stands, so that nothing that is written overlaps.

use std::collections::BTreeMap;

use super::Scale;
use super::scene::{Fate, Kind, Scene, side};
use super::style::{CAPTION, LINE, NAME, label_height};
use crate::tcp::state::End;

/// The longest gap that is drawn to scale.
const LONGEST: f64 = 150.0;
/// The height of one that is cut.
const CUT: f64 = 60.0;
/// A gap where all are even.
const EVEN: f64 = 18.0;
/// How far an arrow falls at least.
const FALL: f64 = 12.0;
/// How much higher a label is that is turned with the steepest arrow: 1 / cos 25°.
const TURNED: f64 = 1.1;
/// Height for each point that the scale aims at.
const AIM: f64 = 26.0;
/// Above and below a time's middle.
const TIME: (f64, f64) = (7.0, 6.0);

/// What is written where: each is stacked by itself.
const TIMES: usize = 0;
const STATES: usize = 1;
const LABELS: usize = 2;

/// The points' places.
#[derive(Debug)]
pub(super) struct Placed {
    /// Of each point of the scene.
    pub(super) y: Vec<f64>,
    pub(super) gaps: Vec<Gap>,
    /// Where the last label ends.
    pub(super) bottom: f64,
    /// How far an arrow falls.
    pub(super) fall: f64,
}

/// From one moment to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) nanos: i64,
    pub(super) kind: GapKind,
}

/// How a gap's height is related to its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum GapKind {
    ToScale,
    /// Wider, so that labels have room.
    Stretched,
    /// Shorter, with a break mark.
    Cut,
}

/// Where something is written at a lifeline: how far up and down from its point.
struct Room {
    track: usize,
    up: f64,
    down: f64,
}

struct Placer<'a> {
    scene: &'a Scene,
    y: Vec<Option<f64>>,
    /// What is taken of each track at each end.
    taken: [[f64; 3]; 2],
    /// The last point of each end.
    last: [f64; 2],
    /// Where the last arrow arrived at each end.
    arrived: [f64; 2],
}

/// Places all points of a scene below `top`.
pub(super) fn place(scene: &Scene, scale: Scale, half_ns: i64, top: f64) -> Placed {
    let moments = moments(scene);
    let gaps: Vec<i64> =
        moments.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0)).collect();
    let pixels = pixels_per_ns(&gaps, scene.points.len(), half_ns);
    let mut placer = Placer {
        scene,
        y: vec![None; scene.points.len()],
        taken: [[top; 3]; 2],
        last: [top; 2],
        arrived: [top; 2],
    };
    let mut drawn = Vec::new();
    let mut bottom = top;
    for (number, (at, points)) in moments.iter().enumerate() {
        let nanos = number.checked_sub(1).and_then(|before| gaps.get(before)).copied();
        let (wanted, cut) = nanos.map_or((0.0, false), |nanos| gap(scale, nanos, pixels));
        let needed = placer.needed_by(points);
        let base = (bottom + wanted).max(needed);
        if let Some(nanos) = nanos {
            let stretched = base > bottom + wanted + 0.5 || scale == Scale::Even;
            let kind = match (cut, stretched) {
                (true, _) => GapKind::Cut,
                (false, true) => GapKind::Stretched,
                (false, false) => GapKind::ToScale,
            };
            drawn.push(Gap { from: bottom, to: base, nanos, kind });
        }
        let lowest = placer.put(points, base);
        if lowest > base + 0.5 {
            let kind = GapKind::Stretched;
            drawn.push(Gap { from: base, to: lowest, nanos: 0, kind });
        }
        bottom = lowest;
        debug_assert!(scene.points[points[0]].at == *at);
    }
    let lowest = placer.taken.iter().flatten().copied().fold(bottom, f64::max);
    #[allow(clippy::cast_precision_loss)]
    let fall = match scale {
        Scale::Time => (half_ns as f64 * pixels).clamp(FALL, LONGEST),
        Scale::Even => EVEN,
    };
    let y = placer.y.into_iter().map(Option::unwrap_or_default).collect();
    Placed { y, gaps: drawn, bottom: lowest, fall }
}

/// Points of the same time, in order.
fn moments(scene: &Scene) -> Vec<(i64, Vec<usize>)> {
    let mut moments: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for index in &scene.order {
        moments.entry(scene.points[*index].at).or_default().push(*index);
    }
    moments.into_iter().collect()
}

/// A gap's height, and whether it is cut.
#[allow(clippy::cast_precision_loss)] // a picture has some thousand pixels
fn gap(scale: Scale, nanos: i64, pixels: f64) -> (f64, bool) {
    match scale {
        Scale::Even => (EVEN, false),
        Scale::Time if nanos as f64 * pixels > LONGEST => (CUT, true),
        Scale::Time => (nanos as f64 * pixels, false),
    }
}

/// The scale: as large as makes the picture about as high as its labels need, with everything that
/// would be longer than [`LONGEST`] cut. Half a round trip is never cut, or no arrow could be drawn.
#[allow(clippy::cast_precision_loss)]
fn pixels_per_ns(gaps: &[i64], points: usize, half_ns: i64) -> f64 {
    let longest = gaps.iter().copied().max().unwrap_or(0).max(1) as f64;
    let height =
        |pixels: f64| -> f64 { gaps.iter().map(|gap| (*gap as f64 * pixels).min(LONGEST)).sum() };
    let aim = points as f64 * AIM;
    let shortest = gaps.iter().copied().filter(|gap| *gap > 0).min().unwrap_or(1) as f64;
    let (mut low, mut high) = (LONGEST / longest * 0.5, LONGEST / shortest);
    if half_ns > 0 {
        high = high.min(LONGEST / half_ns as f64 * 0.9);
    }
    low = low.min(high);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if height(middle) < aim { low = middle } else { high = middle }
    }
    low
}

impl Placer<'_> {
    /// The least height at which the first points of a moment have room at both ends.
    fn needed_by(&self, points: &[usize]) -> f64 {
        [End::Client, End::Server]
            .into_iter()
            .filter_map(|end| points.iter().find(|index| self.scene.points[**index].end == end))
            .map(|index| self.needed(*index))
            .fold(0.0, f64::max)
    }

    /// The least height at which a point has room below what is there.
    fn needed(&self, index: usize) -> f64 {
        let end = side(self.scene.points[index].end);
        let mut needed = self.last[end];
        for Room { track, up, .. } in self.rooms(index) {
            needed = needed.max(self.taken[end][track] + up);
        }
        // Two arrows that arrive one after the other are as far apart as the second one's label is
        // high, so that it has room along the whole of its length.
        if let Kind::Head(arrow) = self.scene.points[index].kind {
            needed = needed.max(self.arrived[end] + self.height(arrow) + 9.0);
        }
        needed
    }

    /// Puts the points of one moment at `base` or below, and tells how low the lowest is.
    fn put(&mut self, points: &[usize], base: f64) -> f64 {
        let mut lowest = base;
        for index in points {
            let point = &self.scene.points[*index];
            let end = side(point.end);
            let mut y = base.max(self.needed(*index));
            if let Kind::Head(arrow) = point.kind {
                let tail = self.scene.arrows[arrow].tail.and_then(|tail| self.y[tail]);
                y = y.max(tail.map_or(y, |tail| tail + FALL));
                self.arrived[end] = y;
            }
            for Room { track, down, .. } in self.rooms(*index) {
                self.taken[end][track] = self.taken[end][track].max(y + down);
            }
            self.last[end] = y;
            self.y[*index] = Some(y);
            lowest = lowest.max(y);
        }
        lowest
    }

    /// The height of an arrow's label, measured along the lifeline: it is turned as the arrow is.
    fn height(&self, arrow: usize) -> f64 {
        let arrow = &self.scene.arrows[arrow];
        if arrow.is_icmp {
            0.0
        } else {
            label_height(arrow.lines.len() + arrow.notes.len()) * TURNED
        }
    }

    /// What stands at a point.
    fn rooms(&self, index: usize) -> Vec<Room> {
        let point = &self.scene.points[index];
        let mut rooms = Vec::with_capacity(2);
        if point.time.is_some() {
            rooms.push(Room { track: TIMES, up: TIME.0, down: TIME.1 });
        }
        rooms.push(match &point.kind {
            #[allow(clippy::cast_precision_loss)]
            Kind::State { caption, .. } => {
                let down = NAME + caption.len() as f64 * CAPTION + 4.0;
                Room { track: STATES, up: 0.0, down }
            }
            Kind::Tail(arrow) => {
                let up = if self.scene.arrows[*arrow].is_icmp { 0.0 } else { self.height(*arrow) };
                // The question mark of one that was never answered hangs below its line.
                let down = if self.scene.arrows[*arrow].fate == Fate::Arrived { 3.0 } else { 8.0 };
                Room { track: LABELS, up: up + 6.0, down }
            }
            Kind::Head(arrow) => {
                let arrow = &self.scene.arrows[*arrow];
                let below = if arrow.is_icmp { label_height(arrow.lines.len()) + 4.0 } else { 3.0 };
                Room { track: LABELS, up: 6.0, down: below }
            }
            Kind::Remark(_) => Room { track: LABELS, up: LINE + 12.0, down: 12.0 },
        });
        rooms
    }
}
