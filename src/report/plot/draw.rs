//! From values to SVG.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use super::axis::{Axis, Tick};
use super::{Plot, Series};
use crate::report::sanitize::xml as escaped;
use crate::stats::{Bin, Fate};
use crate::time::nanos_of;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 924.0;
/// Where the marks of probes without an interval stand.
const STRIP: f64 = 88.0;
const TIME_TOP: f64 = 100.0;
const TIME_BOTTOM: f64 = 350.0;
/// From the time axis down to the curve's panel, without the legend between.
const GAP: f64 = 84.0;
const CURVE: f64 = 190.0;
/// Below the curve's panel: labels and the axis' name.
const FOOT: f64 = 52.0;
/// A line of the legend.
const LEGEND: f64 = 18.0;
const COLORS: usize = 8;
/// Series that the legend names at most.
const NAMED: usize = 24;
/// Dots up to so many are drawn larger.
const FEW: usize = 200;

/// Colours for a light and a dark ground, each tellable apart by the colour-blind (after Okabe and
/// Ito), and what draws with them.
const STYLE: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#3b4148}\
.title{font-size:16px;font-weight:600;fill:#111518}\
.ground{fill:#fff}.grid{stroke:#e2e5e9;stroke-width:1}.frame{fill:none;stroke:#8b929a;stroke-width:1}\
.mark{fill:none;stroke-linecap:round;stroke-linejoin:round}\
.dots{stroke-width:3}.dots.few{stroke-width:5.5}.line{stroke-width:1.8}.shape{stroke-width:1.4}\
.lost{stroke:#c4161c;stroke-width:1.8}.other{stroke:#6a7078;stroke-width:1.6}\
.guide{stroke:#8b929a;stroke-dasharray:3 4}\
.c0{stroke:#0072b2}.c1{stroke:#d55e00}.c2{stroke:#00795c}.c3{stroke:#a8487f}\
.c4{stroke:#8a6d00}.c5{stroke:#3f7fa6}.c6{stroke:#444b52}.c7{stroke:#7b4fb3}";

const DARK: &str = "\
text{fill:#c3c9d0}.title{fill:#f2f4f6}.ground{fill:#14171a}.grid{stroke:#2b3036}\
.frame,.guide{stroke:#737b84}.lost{stroke:#ff6b6b}.other{stroke:#a7aeb6}\
.c0{stroke:#56b4e9}.c1{stroke:#ff9b4a}.c2{stroke:#2fc79b}.c3{stroke:#e89ac7}\
.c4{stroke:#f0e442}.c5{stroke:#8fc7e8}.c6{stroke:#d0d5da}.c7{stroke:#bda0ea}";

/// The picture. Without any interval the frames stand empty and say so; what was lost is marked.
#[must_use]
pub fn svg(plot: &Plot) -> String {
    let legend = legend(plot);
    let curve_top = TIME_BOTTOM + GAP + legend.height;
    let height = curve_top + CURVE + FOOT;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n<title>{title}</title>\n\
         <style>{STYLE}\n@media(prefers-color-scheme:dark){{{DARK}}}</style>\n\
         <rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"title\" x=\"{LEFT}\" y=\"32\">{title}</text>\n\
         <text x=\"{LEFT}\" y=\"54\">{subtitle}</text>\n",
        title = escaped(&plot.title),
        subtitle = escaped(&plot.subtitle),
    );
    time_panel(&mut out, plot);
    out.push_str(&legend.svg);
    curve_panel(&mut out, plot, curve_top);
    out.push_str("</svg>\n");
    out
}

/// The intervals over the time of the run.
fn time_panel(out: &mut String, plot: &Plot) {
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let end = points().map(|point| nanos_of(point.at)).max().unwrap_or(0);
    let x = Axis::of_time(end, LEFT, RIGHT);
    let y = intervals_axis(plot, TIME_BOTTOM - 4.0, TIME_TOP + 4.0);
    let y_ticks = y.map(|y| y.interval_ticks()).unwrap_or_default();
    panel(out, TIME_TOP, TIME_BOTTOM, &x.time_ticks(), &y_ticks);
    axis_name(out, TIME_BOTTOM + 36.0, "time since the start");
    if y.is_none() {
        no_interval(out, (TIME_TOP + TIME_BOTTOM) / 2.0);
    }
    for (number, series) in plot.series.iter().enumerate() {
        let mut shapes: BTreeMap<Fate, BTreeSet<(u16, u16)>> = BTreeMap::new();
        for point in &series.points {
            let place = match (point.interval, y) {
                (Some(interval), Some(y)) => y.place_nanos(nanos_of(interval)),
                _ => STRIP,
            };
            let pixel = (pixel(x.place_nanos(nanos_of(point.at))), pixel(place));
            shapes.entry(point.fate).or_default().insert(pixel);
        }
        for (fate, pixels) in shapes {
            let Some(mark) = Mark::of(fate) else { continue };
            let data: String = pixels.iter().map(|&(x, y)| mark.path(x.into(), y.into())).collect();
            let few = if mark == Mark::Dot && pixels.len() <= FEW { " few" } else { "" };
            let class = mark.class(number);
            let _ = writeln!(out, "<path class=\"mark {class}{few}\" d=\"{data}\"/>");
        }
    }
}

/// The share of the intervals up to each length.
fn curve_panel(out: &mut String, plot: &Plot, top: f64) {
    let bottom = top + CURVE;
    let x = intervals_axis(plot, LEFT + 4.0, RIGHT - 4.0);
    let y = Axis::of_percent(bottom, top);
    let tick = |percent: f64, label: &str| Tick { at: y.place(percent), label: label.to_owned() };
    let y_ticks = [(0.0, "0 %"), (25.0, "25 %"), (50.0, "50 %"), (75.0, "75 %"), (100.0, "100 %")]
        .map(|(percent, label)| tick(percent, label));
    panel(out, top, bottom, &x.map(|x| x.interval_ticks()).unwrap_or_default(), &y_ticks);
    axis_name(
        out,
        bottom + 38.0,
        "interval; the curve is the share of the intervals that took no longer",
    );
    let Some(x) = x else {
        no_interval(out, f64::midpoint(top, bottom));
        return;
    };
    for (percent, label) in [(90.0, "p90"), (99.0, "p99")] {
        let at = y.place(percent);
        let _ = writeln!(
            out,
            "<path class=\"guide\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            RIGHT - 4.0,
            at + 12.0,
        );
    }
    for (number, series) in plot.series.iter().enumerate() {
        let data = curve(series, &x, &y);
        if !data.is_empty() {
            let class = number % COLORS;
            let _ = writeln!(out, "<path class=\"mark line c{class}\" d=\"{data}\"/>");
        }
    }
}

/// The steps of a cumulative distribution, one for each pixel in which it rises.
fn curve(series: &Series, x: &Axis, y: &Axis) -> String {
    let mut columns: BTreeMap<u32, u64> = BTreeMap::new();
    let mut total = 0;
    let mut rise = |nanos: u64, count: u64| {
        total += count;
        // Tenths of a pixel: the file's precision.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        columns.insert((x.place_nanos(nanos) * 10.0).round() as u32, total);
    };
    if series.curve.is_empty() {
        let mut intervals: Vec<u64> =
            series.points.iter().filter_map(|point| point.interval).map(nanos_of).collect();
        intervals.sort_unstable();
        intervals.into_iter().for_each(|nanos| rise(nanos, 1));
    } else {
        series.curve.iter().for_each(|bin| rise(bin.middle_ns(), bin.count));
    }
    let mut data = String::new();
    for (column, below) in columns {
        #[allow(clippy::cast_precision_loss)]
        let percent = below as f64 * 100.0 / total as f64;
        let at = f64::from(column) / 10.0;
        if data.is_empty() {
            let _ = write!(data, "M{at:.1} {:.1}", y.place(0.0));
        } else {
            let _ = write!(data, "H{at:.1}");
        }
        let _ = write!(data, "V{:.1}", y.place(percent));
    }
    if !data.is_empty() {
        let _ = write!(data, "H{RIGHT:.1}");
    }
    data
}

/// The frame, the grid, and what stands beside it.
fn panel(out: &mut String, top: f64, bottom: f64, x_ticks: &[Tick], y_ticks: &[Tick]) {
    let mut grid = String::new();
    for tick in x_ticks {
        let _ = write!(grid, "M{:.1} {top}V{bottom}", tick.at);
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            tick.at,
            bottom + 17.0,
            tick.label
        );
    }
    for tick in y_ticks {
        let _ = write!(grid, "M{LEFT} {:.1}H{RIGHT}", tick.at);
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 7.0,
            tick.at + 4.0,
            tick.label
        );
    }
    let _ = writeln!(
        out,
        "<path class=\"grid\" d=\"{grid}\"/>\n\
         <rect class=\"frame\" x=\"{LEFT}\" y=\"{top}\" width=\"{}\" height=\"{}\"/>",
        RIGHT - LEFT,
        bottom - top
    );
}

fn axis_name(out: &mut String, at: f64, name: &str) {
    let middle = f64::midpoint(LEFT, RIGHT);
    let _ = writeln!(out, "<text x=\"{middle}\" y=\"{at}\" text-anchor=\"middle\">{name}</text>");
}

fn no_interval(out: &mut String, at: f64) {
    axis_name(out, at, "no interval was measured");
}

/// The axis that holds every interval of every series; none without one.
fn intervals_axis(plot: &Plot, from: f64, to: f64) -> Option<Axis> {
    let intervals = || {
        let points = plot.series.iter().flat_map(|series| &series.points);
        let bins = plot.series.iter().flat_map(|series| &series.curve);
        let points = points.filter_map(|point| point.interval).map(nanos_of);
        points.chain(bins.map(Bin::middle_ns))
    };
    Some(Axis::of_intervals(intervals().min()?, intervals().max()?, from, to))
}

/// How a probe is marked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mark {
    Dot,
    /// A triangle.
    Refused,
    /// A square.
    Late,
    /// A cross, red.
    Lost,
    /// A plus.
    Icmp,
    /// A diamond.
    Ambiguous,
}

impl Mark {
    const fn of(fate: Fate) -> Option<Self> {
        match fate {
            Fate::Answered => Some(Self::Dot),
            Fate::Refused => Some(Self::Refused),
            Fate::Late => Some(Self::Late),
            Fate::Lost => Some(Self::Lost),
            Fate::Icmp => Some(Self::Icmp),
            Fate::Ambiguous => Some(Self::Ambiguous),
            Fate::InFlight => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Dot => "answered",
            Self::Refused => "refused (RST)",
            Self::Late => "late",
            Self::Lost => "lost",
            Self::Icmp => "ICMP error",
            Self::Ambiguous => "ambiguous, not timed",
        }
    }

    /// The classes of a mark of series `number`.
    fn class(self, number: usize) -> String {
        let color = number % COLORS;
        match self {
            Self::Dot => format!("dots c{color}"),
            Self::Refused | Self::Late => format!("shape c{color}"),
            Self::Lost => "lost".to_owned(),
            Self::Icmp | Self::Ambiguous => "other".to_owned(),
        }
    }

    fn path(self, x: f64, y: f64) -> String {
        let shape = match self {
            Self::Dot => "h0",
            Self::Refused => "m0-4l4 7h-8z",
            Self::Late => "m-3-3h6v6h-6z",
            Self::Lost => "m-3.5-3.5l7 7m0-7l-7 7",
            Self::Icmp => "m-4 0h8m-4-4v8",
            Self::Ambiguous => "m0-4l4 4l-4 4l-4-4z",
        };
        format!("M{x} {y}{shape}")
    }
}

/// The legend and the room that it takes.
struct Legend {
    svg: String,
    height: f64,
}

/// The series, if there are several, and every mark that occurs beside the plain dot.
fn legend(plot: &Plot) -> Legend {
    let mut entries: Vec<(String, String, Mark)> = Vec::new();
    if plot.series.len() > 1 {
        let series = plot.series.iter().enumerate().take(NAMED);
        entries.extend(series.map(|(number, series)| {
            (format!("{} few", Mark::Dot.class(number)), escaped(&series.label), Mark::Dot)
        }));
    }
    let unnamed = plot.series.len().saturating_sub(NAMED);
    let fates: BTreeSet<Fate> =
        plot.series.iter().flat_map(|series| &series.points).map(|point| point.fate).collect();
    let marks = fates.into_iter().filter_map(Mark::of).filter(|mark| *mark != Mark::Dot);
    entries.extend(marks.map(|mark| (mark.class(6), mark.name().to_owned(), mark)));
    let mut svg = String::new();
    let (mut x, mut line) = (LEFT, 0.0);
    let top = TIME_BOTTOM + 62.0;
    for (class, name, mark) in &entries {
        // Seven pixels a column is a little more than the font takes.
        #[allow(clippy::cast_precision_loss)]
        let width = 34.0 + 7.0 * name.width() as f64;
        if x > LEFT && x + width > RIGHT {
            (x, line) = (LEFT, line + LEGEND);
        }
        let at = top + line;
        let _ = writeln!(
            svg,
            "<path class=\"mark {class}\" d=\"{}\"/><text x=\"{}\" y=\"{at}\">{name}</text>",
            mark.path(x + 5.0, at - 4.0),
            x + 15.0,
        );
        x += width;
    }
    if unnamed > 0 {
        line += LEGEND;
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{}\">and {unnamed} more, in the same colours again</text>",
            top + line,
        );
    }
    let height = if entries.is_empty() { 0.0 } else { line };
    Legend { svg, height }
}

/// The nearest whole pixel: what makes points that nobody could tell apart one.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the picture
fn pixel(at: f64) -> u16 {
    at.round() as u16
}
