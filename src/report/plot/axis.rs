//! Axes: where a value stands, and which values have a tick.

/// Nanoseconds of the units in which ticks are labelled.
const UNITS: [(f64, &str); 4] = [(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")];

/// Units of longer times, along the run.
const LONG_UNITS: [(f64, &str); 3] = [(86_400e9, "d"), (3_600e9, "h"), (60e9, "min")];

/// An axis from `low` to `high` nanoseconds, drawn from `from` to `to` pixels.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    from: f64,
    to: f64,
}

/// A tick: where it stands, in pixels, and what is written beside it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
}

impl Axis {
    /// Of intervals from `low` to `high`: logarithmic where the longest is ten times the shortest or
    /// more, so that a straggler does not flatten the crowd; with a little room at both ends.
    pub(super) fn of_intervals(low: u64, high: u64, from: f64, to: f64) -> Self {
        #[allow(clippy::cast_precision_loss)] // a plot has some thousand pixels
        let (low, high) = (low as f64, high as f64);
        if high / low.max(1.0) >= 10.0 {
            let (low, high) = (low.max(1.0) / 1.2, high * 1.2);
            return Self { low, high, logarithmic: true, from, to };
        }
        let room = ((high - low) * 0.08).max(high * 0.002).max(1.0);
        Self { low: (low - room).max(0.0), high: high + room, logarithmic: false, from, to }
    }

    /// Of the time since the start, up to `end` nanoseconds.
    pub(super) fn of_time(end: u64, from: f64, to: f64) -> Self {
        #[allow(clippy::cast_precision_loss)]
        let high = (end as f64).max(1e6);
        Self { low: 0.0, high, logarithmic: false, from, to }
    }

    /// Of a share from 0 to 100 percent.
    pub(super) const fn of_percent(from: f64, to: f64) -> Self {
        Self { low: 0.0, high: 100.0, logarithmic: false, from, to }
    }

    /// Where `value` stands, within the axis in any case.
    pub(super) fn place(&self, value: f64) -> f64 {
        let portion = if self.logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + (self.to - self.from) * portion.clamp(0.0, 1.0)
    }

    /// Where an interval of so many nanoseconds stands.
    pub(super) fn place_nanos(&self, nanos: u64) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        self.place(nanos as f64)
    }

    /// Ticks of intervals, from 3 to about 10.
    pub(super) fn interval_ticks(&self) -> Vec<Tick> {
        if self.logarithmic {
            return self.logarithmic_ticks();
        }
        let unit = unit_of(self.high);
        self.even_ticks(step_of((self.high - self.low) / 6.0 / unit.0) * unit.0, unit)
    }

    /// Ticks of the time since the start.
    pub(super) fn time_ticks(&self) -> Vec<Tick> {
        // From three minutes, hours or days on in that unit.
        let long = LONG_UNITS.iter().find(|unit| self.high >= 3.0 * unit.0).copied();
        let unit = long.unwrap_or_else(|| unit_of(self.high));
        self.even_ticks(step_of(self.high / 9.0 / unit.0) * unit.0, unit)
    }

    fn even_ticks(&self, step: f64, unit: (f64, &str)) -> Vec<Tick> {
        let decimals = decimals_of(step / unit.0);
        let mut ticks = Vec::new();
        let mut number = (self.low / step).ceil();
        while number * step <= self.high * (1.0 + 1e-12) {
            let value = number * step;
            let label = format!("{:.decimals$} {}", value / unit.0, unit.1);
            ticks.push(Tick { at: self.place(value), label });
            number += 1.0;
        }
        ticks
    }

    fn logarithmic_ticks(&self) -> Vec<Tick> {
        let decades = (self.high / self.low).log10();
        let steps: &[f64] = if decades < 3.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let mut ticks = Vec::new();
        let mut decade = 10_f64.powf(self.low.log10().floor());
        while decade <= self.high {
            for value in steps.iter().map(|step| step * decade) {
                if (self.low..=self.high).contains(&value) {
                    let unit = unit_of(value * (1.0 + 1e-9));
                    let label = format!("{:.0} {}", value / unit.0, unit.1);
                    ticks.push(Tick { at: self.place(value), label });
                }
            }
            decade *= 10.0;
        }
        ticks
    }
}

/// The largest unit of which `nanos` is at least one.
fn unit_of(nanos: f64) -> (f64, &'static str) {
    UNITS.into_iter().find(|unit| nanos >= unit.0).unwrap_or((1.0, "ns"))
}

/// The least of 1, 2 and 5 times a power of ten that is not below `rough`.
fn step_of(rough: f64) -> f64 {
    let decade = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * decade)
        .find(|step| *step >= rough * (1.0 - 1e-9))
        .unwrap_or(10.0 * decade)
}

/// Decimals that tell multiples of `step` apart.
fn decimals_of(step: f64) -> usize {
    (0..9).find(|decimals| step * 10_f64.powi(*decimals) >= 1.0 - 1e-9).map_or(9, |d| d as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn narrow_axes_count_in_round_steps_of_one_unit() {
        let axis = Axis::of_intervals(12_000, 12_480, 0.0, 100.0);
        assert_eq!(
            labels(&axis.interval_ticks()),
            ["12.0 µs", "12.1 µs", "12.2 µs", "12.3 µs", "12.4 µs", "12.5 µs"]
        );
        let axis = Axis::of_intervals(900_000, 3_100_000, 0.0, 100.0);
        assert_eq!(
            labels(&axis.interval_ticks()),
            ["1.0 ms", "1.5 ms", "2.0 ms", "2.5 ms", "3.0 ms"]
        );
    }

    #[test]
    fn wide_axes_count_in_decades() {
        let axis = Axis::of_intervals(90_000, 7_000_000, 0.0, 100.0);
        assert_eq!(
            labels(&axis.interval_ticks()),
            ["100 µs", "200 µs", "500 µs", "1 ms", "2 ms", "5 ms"]
        );
        let axis = Axis::of_intervals(12_000, 3_000_000_000, 0.0, 100.0);
        assert_eq!(
            labels(&axis.interval_ticks()),
            ["10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"]
        );
    }

    #[test]
    fn the_run_is_counted_in_the_unit_that_suits_its_length() {
        let of = |seconds: f64| {
            let ticks = Axis::of_time((seconds * 1e9) as u64, 0.0, 100.0).time_ticks();
            assert!((3..=11).contains(&ticks.len()), "{seconds}: {ticks:?}");
            ticks[1].label.clone()
        };
        assert_eq!(of(0.5), "100 ms");
        assert_eq!(of(1.0), "0.2 s");
        assert_eq!(of(100.0), "20 s");
        assert_eq!(of(1000.0), "2 min");
        assert_eq!(of(86_400.0), "5 h");
        assert_eq!(of(30.0 * 86_400.0), "5 d");
    }

    #[test]
    fn whatever_the_ends_there_are_ticks_and_they_lie_within() {
        for (low, high) in [(0, 0), (0, 1), (1, 1), (5, 40), (999, 1001), (0, 1 << 47), (7, 209)] {
            let axis = Axis::of_intervals(low, high, 200.0, 10.0);
            let ticks = axis.interval_ticks();
            assert!((2..=16).contains(&ticks.len()), "{low} {high}: {ticks:?}");
            assert!(ticks.iter().all(|tick| (10.0..=200.0).contains(&tick.at)));
            assert!(axis.place_nanos(low) >= axis.place_nanos(high));
        }
    }
}
