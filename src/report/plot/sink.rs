//! The picture of a run: its points collected as it goes, drawn when it is over.

use std::collections::BTreeSet;
use std::io;

use super::{Plot, Point, Series, svg};
use crate::event::{RttEvent, RttProbe, RttRun, RttSink, RttView};
use crate::report::units;
use crate::stats::{Account, Distribution, Fate, Phase};
use crate::time::nanos_of;

/// Points that are kept at most: 16 MB.
pub(super) const MOST: usize = 400_000;

/// Series that the legend and the eye can tell apart.
const SERIES: usize = 8;

/// Columns and rows of the finest grid on which marks that are not dots are told apart. The picture
/// has fewer pixels.
const FINEST: u64 = 4096;

/// Collects a run's probes in bounded memory and hands the finished picture over at its end.
///
/// Where there are too many answered probes to keep, evenly half of them is forgotten, and half of
/// those to come is not kept, again and again; the cumulative distribution is that of all, and the
/// picture says what it shows. Of lost, late, refused and otherwise special probes only those are
/// forgotten whose mark would cover another's.
pub struct PlotSink<'a> {
    finished: Box<Finished<'a>>,
    most: usize,
    /// One answered probe of so many is kept.
    one_of: u64,
    /// Answered probes and those that are kept of them.
    answered: Vec<Kept>,
    seen: u64,
    /// All others.
    special: Vec<Kept>,
    /// The grid on which those were last told apart.
    grid: u64,
    lost: u64,
}

/// What takes the finished picture.
type Finished<'a> = dyn FnMut(&str) -> io::Result<()> + 'a;

/// A point and the series that it belongs to.
#[derive(Clone, Copy)]
struct Kept {
    series: u32,
    point: Point,
}

impl<'a> PlotSink<'a> {
    /// Calls `finished` once, with the whole SVG, when the run has ended; its error is this sink's.
    pub fn new(finished: impl FnMut(&str) -> io::Result<()> + 'a) -> Self {
        Self::keeping(MOST, finished)
    }

    pub(super) fn keeping(most: usize, finished: impl FnMut(&str) -> io::Result<()> + 'a) -> Self {
        Self {
            finished: Box::new(finished),
            most,
            one_of: 1,
            answered: Vec::new(),
            seen: 0,
            special: Vec::new(),
            grid: FINEST,
            lost: 0,
        }
    }

    /// Points that are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.answered.len() + self.special.len()
    }

    fn probe(&mut self, probe: &RttProbe, run: &RttRun) {
        let Some(sent) = probe.sent.filter(|_| !probe.warm_up && probe.fate != Fate::InFlight)
        else {
            return;
        };
        let shown = Shown::of(run);
        let at = sent.at.since(run.start);
        let plain = probe.fate == Fate::Answered;
        self.lost += u64::from(probe.fate == Fate::Lost);
        self.seen += u64::from(plain);
        if plain && !self.seen.is_multiple_of(self.one_of) {
            return;
        }
        for (place, phase) in shown.phases.iter().enumerate() {
            let interval = probe.interval(*phase);
            // What has no interval is marked once, not once for each phase.
            if interval.is_none() && (plain || place > 0) {
                continue;
            }
            // Below the number of series, which is a u32.
            let series = u32::try_from(shown.series(probe, place)).unwrap_or(u32::MAX);
            let kept = Kept { series, point: Point { at, interval, fate: probe.fate } };
            if plain { self.answered.push(kept) } else { self.special.push(kept) }
        }
        self.thin();
    }

    /// Keeps within the bound. The cost of a pass is spread over as many probes as it takes.
    fn thin(&mut self) {
        if self.special.len() > self.most / 2 {
            loop {
                self.special = distinct(&self.special, self.grid);
                // Half full at most, or the next probe would ask for the next pass.
                if self.special.len() <= self.most / 4 {
                    break;
                }
                if self.grid == 1 {
                    halve(&mut self.special);
                } else {
                    self.grid /= 2;
                }
            }
        }
        if self.answered.len() > self.most / 2 {
            halve(&mut self.answered);
            self.one_of = self.one_of.saturating_mul(2);
        }
    }

    fn plot(&self, view: &RttView<'_>) -> Plot {
        let run = view.run;
        let shown = Shown::of(run);
        let mut series: Vec<Series> = shown.empty_series(view);
        for kept in self.answered.iter().chain(&self.special) {
            if let Some(series) = series.get_mut(kept.series as usize) {
                series.points.push(kept.point);
            }
        }
        let who = match run.targets.as_slice() {
            [one] => one.name.clone(),
            several => format!("{} targets", several.len()),
        };
        let mut subtitle = format!(
            "{} every {}, {} clock; {}, {} lost",
            run.method.name(),
            units::brief(run.interval),
            run.clock,
            units::count(view.accounts.iter().map(|a| a.counts().sent).sum(), "probe"),
            self.lost,
        );
        if shown.phases.len() < run.method.phases().len() {
            subtitle += "; handshakes alone are drawn";
        }
        if self.one_of > 1 {
            subtitle += &format!("; 1 of {} answered probes drawn, all in the curve", self.one_of);
        }
        Plot { title: format!("rtt {who}"), subtitle, series }
    }
}

/// Which series there are: for each target and fixed port one, and for each phase where that is not
/// too many.
struct Shown {
    phases: &'static [Phase],
    flows: usize,
}

impl Shown {
    fn of(run: &RttRun) -> Self {
        let flows = run.fixed_ports.len().max(1);
        let all = run.method.phases();
        let fit = run.targets.len().saturating_mul(flows).saturating_mul(all.len()) <= SERIES;
        Self { phases: if fit { all } else { &all[..1] }, flows }
    }

    fn series(&self, probe: &RttProbe, place: usize) -> usize {
        (probe.target as usize * self.flows + probe.flow as usize) * self.phases.len() + place
    }

    /// Every series with its name and its distribution, in the order of [`Shown::series`].
    fn empty_series(&self, view: &RttView<'_>) -> Vec<Series> {
        let run = view.run;
        let mut all = Vec::new();
        for (number, target) in run.targets.iter().enumerate() {
            for flow in 0..self.flows {
                let account = match run.fixed_ports.len() {
                    0 | 1 => view.accounts.get(number),
                    _ => view.flows.get(number * self.flows + flow),
                };
                for phase in self.phases {
                    let mut label = Vec::new();
                    if run.targets.len() > 1 {
                        label.push(target.name.clone());
                    }
                    if let Some(port) = run.fixed_ports.get(flow).filter(|_| self.flows > 1) {
                        label.push(format!("port {port}"));
                    }
                    if self.phases.len() > 1 {
                        label.push(phase.name().to_owned());
                    }
                    let times = account.and_then(|account: &Account| account.times(*phase));
                    all.push(Series {
                        label: label.join(", "),
                        points: Vec::new(),
                        curve: times.map(Distribution::to_bins).unwrap_or_default(),
                    });
                }
            }
        }
        all
    }
}

/// Forgets every other point.
fn halve(points: &mut Vec<Kept>) {
    let mut keep = false;
    points.retain(|_| {
        keep = !keep;
        keep
    });
}

/// One point for each place on a grid over the time so far and the order of magnitude, series and
/// fate.
fn distinct(points: &[Kept], grid: u64) -> Vec<Kept> {
    let end = points.iter().map(|kept| nanos_of(kept.point.at)).max().unwrap_or(0);
    let step = (end / grid).max(1);
    let mut taken = BTreeSet::new();
    let fresh = |kept: &&Kept| {
        let row = kept.point.interval.map(|interval| {
            let nanos = nanos_of(interval).max(1);
            // Sixteenths of a doubling and finer, as many as the grid has.
            let octave = u64::from(nanos.ilog2());
            octave * grid
                + ((u128::from(nanos - (1 << octave)) * u128::from(grid)) >> octave) as u64
        });
        let row = row.map(|row| row / 16);
        taken.insert((kept.series, kept.point.fate, nanos_of(kept.point.at) / step, row))
    };
    points.iter().filter(fresh).copied().collect()
}

impl RttSink for PlotSink<'_> {
    fn hear(&mut self, event: &RttEvent<'_>, view: &RttView<'_>) -> io::Result<()> {
        match event {
            RttEvent::Final(probe) => self.probe(probe, view.run),
            RttEvent::Ended(_) => {
                let picture = svg(&self.plot(view));
                return (self.finished)(&picture);
            }
            _ => {}
        }
        Ok(())
    }
}
