//! From places to SVG.

use std::fmt::Write as _;

use super::label::wrap_to;
use super::legend;
use super::place::{Gap, GapKind, Placed, place};
use super::scene::{Arrow, Fate, Kind, Scene, Shown, side};
use super::story::{Step, Story};
use super::style::{
    AXIS, BAR, BESIDE, CAPTION, COLUMN, DARK, INDENT, LIFELINE, LIGHT, LINE, MARGIN, NAME, TIMES,
    WIDTH,
};
use super::{Look, Scale};
use crate::net::Dir;
use crate::report::sanitize::xml;
use crate::report::units;
use crate::tcp::state::{End, State};
use crate::time::Clock;

/// Below the last point, so that the last state is seen.
const TAIL: f64 = 16.0;
/// The part of its way that an arrow without a tip is drawn.
const PART: f64 = 0.42;

/// The picture of one connection.
pub(super) fn svg(story: &Story, look: Look) -> String {
    let scene = Scene::of(story);
    let mut body = String::new();
    let top = head(&mut body, story, look);
    let placed = place(&scene, look.scale, story.half_ns(), top);
    let bottom = placed.bottom + TAIL;
    if look.scale == Scale::Time {
        axis(&mut body, &placed);
    }
    for end in [End::Client, End::Server] {
        lifeline(&mut body, &scene, &placed, end, bottom);
    }
    for gap in placed.gaps.iter().filter(|gap| gap.kind == GapKind::Cut) {
        cut(&mut body, gap);
    }
    // A line that goes through a label goes behind it.
    let lines = scene.arrows.iter().map(|arrow| (arrow, shaft as Part));
    let labels = scene.arrows.iter().map(|arrow| (arrow, label as Part));
    for (arrow, part) in lines.chain(labels) {
        draw_arrow(&mut body, arrow, &placed, part);
    }
    margins(&mut body, &scene, &placed, story.run.end);
    let height = legend::draw(&mut body, &scene, &placed, look.scale, story, bottom + 26.0);
    let title = xml(&title(story));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
         width=\"{WIDTH}\" height=\"{height:.0}\" role=\"img\" aria-labelledby=\"title desc\">\n\
         <title id=\"title\">{title}</title>\n<desc id=\"desc\">{desc}</desc>\n\
         <style>{LIGHT}\n@media(prefers-color-scheme:dark){{{DARK}}}</style>\n\
         <rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n{body}</svg>\n",
        // Line by line: a line break is for XML no more than that, and would be escaped.
        desc = described(story).iter().map(|line| xml(line)).collect::<Vec<_>>().join("\n"),
    )
}

fn title(story: &Story) -> String {
    let run = &story.run;
    let (address, ip) = (run.target.to_string(), run.target.ip().to_string());
    let port = format!(":{}", run.target.port());
    let target = match run.name.strip_suffix(&port).unwrap_or(&run.name) {
        host if host.trim_matches(['[', ']']) == ip => address,
        host => format!("{host}{port}"),
    };
    match run.end {
        End::Client => format!("shakedown {} {target}", run.command),
        End::Server => format!("shakedown {} {}, client {}", run.command, run.source, run.target),
    }
}

/// What it is, who the ends are. Gives the height at which the rest begins.
fn head(out: &mut String, story: &Story, look: Look) -> f64 {
    let run = &story.run;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // about a hundred
    let columns = ((WIDTH - 2.0 * MARGIN) / COLUMN) as usize;
    let mut y = 30.0;
    // A larger font takes more room.
    for line in wrap_to(columns * 2 / 3, title(story).split(' '), " ").iter().take(4) {
        let _ =
            writeln!(out, "<text class=\"title\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", xml(line));
        y += 20.0;
    }
    let mut facts = Vec::new();
    if let Some(outcome) = story.outcome {
        facts.push(format!("outcome: {}", outcome.name()));
    }
    facts.push(match story.half_rtt {
        Some(half) => format!("shortest round trip {}", units::duration(half * 2, true)),
        None => "no round trip measured: how far arrows fall says nothing".to_owned(),
    });
    facts.push(match run.clock {
        Clock::Virtual => "simulated, in virtual time".to_owned(),
        clock => format!("{clock} clock"),
    });
    facts.push(format!("via {}", run.interface));
    let traffic = &story.traffic;
    facts.push(format!(
        "{} sent ({} again), {} received",
        units::count(traffic.sent, "segment"),
        traffic.retransmitted,
        traffic.received
    ));
    if look.scale == Scale::Even {
        facts.push("steps evenly spaced, not to scale".to_owned());
    }
    for line in wrap_to(columns, facts.iter(), "; ") {
        let _ = writeln!(out, "<text class=\"dim\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", xml(&line));
        y += 16.0;
    }
    y += 16.0;
    let (client, server) = match run.end {
        End::Client => (run.source, run.target),
        End::Server => (run.target, run.source),
    };
    for (end, address) in [(End::Client, client), (End::Server, server)] {
        let who = if end == run.end { "we" } else { "they" };
        let class = if end == End::Client { "end" } else { "end right" };
        let x = mirrored(end, MARGIN);
        let name = end.name().to_uppercase();
        let _ = writeln!(
            out,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{name} ({who}), {address}</text>"
        );
    }
    y + 20.0
}

/// `x` from the end's own edge.
fn mirrored(end: End, x: f64) -> f64 {
    match end {
        End::Client => x,
        End::Server => WIDTH - x,
    }
}

/// Where it is to scale, and where it is not.
fn axis(out: &mut String, placed: &Placed) {
    for (kind, class) in [(GapKind::ToScale, ""), (GapKind::Stretched, " stretched")] {
        let mut data = String::new();
        for gap in placed.gaps.iter().filter(|gap| gap.kind == kind && gap.to > gap.from) {
            let _ = write!(data, "M{AXIS} {:.1}V{:.1}", gap.from, gap.to);
        }
        if !data.is_empty() {
            let _ = writeln!(out, "<path class=\"axis{class}\" d=\"{data}\"/>");
        }
    }
    let ticks = placed.gaps.iter().map(|gap| gap.to);
    let ticks = placed.gaps.first().map(|gap| gap.from).into_iter().chain(ticks);
    let data: String = ticks.map(|y| format!("M{} {y:.1}h8", AXIS - 4.0)).collect();
    if !data.is_empty() {
        let _ = writeln!(out, "<path class=\"axis\" d=\"{data}\"/>");
    }
}

/// The mark of a gap that is not to scale: on the axis and on both lifelines, with its length.
fn cut(out: &mut String, gap: &Gap) {
    let y = f64::midpoint(gap.from, gap.to);
    let _ = writeln!(
        out,
        "<path class=\"axis\" d=\"M{AXIS} {:.1}V{:.1}l-5 3l10 6l-5 3V{:.1}\"/>",
        gap.from,
        y - 6.0,
        gap.to
    );
    for end in [End::Client, End::Server] {
        broken(out, mirrored(end, LIFELINE), y);
    }
    let length = std::time::Duration::from_nanos(gap.nanos.unsigned_abs());
    let _ = writeln!(
        out,
        "<text class=\"dim note right\" x=\"{TIMES}\" y=\"{:.1}\">({})</text>",
        y + 4.0,
        units::duration(length, true)
    );
}

/// A break mark on a lifeline.
fn broken(out: &mut String, x: f64, y: f64) {
    let (left, width) = (x - BAR / 2.0 - 4.0, BAR + 8.0);
    let _ = writeln!(
        out,
        "<path class=\"ground\" d=\"M{left} {:.1}l{width} -6v8l-{width} 6z\"/>\
         <path class=\"break\" d=\"M{left} {:.1}l{width} -6M{left} {:.1}l{width} -6\"/>",
        y + 2.0,
        y + 2.0,
        y + 10.0
    );
}

/// The states of one end, as bars with their names.
fn lifeline(out: &mut String, scene: &Scene, placed: &Placed, end: End, bottom: f64) {
    let x = mirrored(end, LIFELINE);
    let states: Vec<_> = scene
        .order
        .iter()
        .filter_map(|index| match &scene.points[*index] {
            point if point.end != end => None,
            point => match &point.kind {
                Kind::State { state, known, caption } => {
                    Some((placed.y[*index], *state, *known, caption))
                }
                _ => None,
            },
        })
        .collect();
    let text = mirrored(end, LIFELINE - BAR / 2.0 - BESIDE);
    let right = if end == End::Client { " right" } else { "" };
    for (number, (y, state, known, caption)) in states.iter().enumerate() {
        let until = states.get(number + 1).map_or(bottom, |(next, ..)| *next);
        bar(out, (x, *y), until - y, *state, *known);
        let _ = writeln!(
            out,
            "<text class=\"name{right}\" x=\"{text}\" y=\"{:.1}\">{state}</text>",
            y + NAME - 3.0
        );
        let mut line = y + NAME - 3.0;
        for words in caption.iter() {
            line += CAPTION;
            let _ = writeln!(
                out,
                "<text class=\"dim{right}\" x=\"{text}\" y=\"{line:.1}\">{}</text>",
                xml(words)
            );
        }
    }
}

/// A state's bar; of CLOSED a line, since there is no connection.
pub(super) fn bar(out: &mut String, (x, y): (f64, f64), height: f64, state: State, known: Shown) {
    let class = match state {
        State::Closed => "closed",
        State::Listen | State::SynSent | State::SynReceived => "opening",
        State::Established => "open",
        State::TimeWait => "waiting",
        _ => "closing",
    };
    let known = match known {
        Shown::Known => "",
        Shown::Implied => " implied",
        Shown::Assumed => " assumed",
    };
    let _ = if state == State::Closed {
        writeln!(out, "<path class=\"bar {class}{known}\" d=\"M{x} {y:.1}v{height:.1}\"/>")
    } else {
        writeln!(
            out,
            "<rect class=\"bar {class}{known}\" x=\"{}\" y=\"{y:.1}\" width=\"{BAR}\" \
             height=\"{height:.1}\"/>",
            x - BAR / 2.0
        )
    };
}

/// Draws something of an arrow of this length that goes right (1) or left (-1) from the origin.
type Part = fn(&mut String, &Arrow, f64, f64);

/// A part of an arrow, in a frame of its own that is turned as the arrow falls.
fn draw_arrow(out: &mut String, arrow: &Arrow, placed: &Placed, part: Part) {
    let edge = LIFELINE + BAR / 2.0;
    let (from, to) = (mirrored(arrow.from, edge), mirrored(arrow.from.other(), edge));
    let middle = WIDTH / 2.0;
    let y = |point: Option<usize>| point.and_then(|point| placed.y.get(point).copied());
    let (start, end) = match (y(arrow.tail), y(arrow.head)) {
        (Some(tail), Some(head)) => ((from, tail), (to, head)),
        (None, Some(head)) => ((middle, head - placed.fall / 2.0), (to, head)),
        (_, None) => return,
    };
    let (across, down) = (end.0 - start.0, end.1 - start.1);
    let length = (across * across + down * down).sqrt();
    // Turned so that text stands upright, whichever way it goes.
    let sign = across.signum();
    let (cos, sin) = (across.abs() / length, down / length * sign);
    let _ = writeln!(
        out,
        "<g class=\"{}\" transform=\"matrix({cos:.4} {sin:.4} {:.4} {cos:.4} {:.1} {:.1})\">",
        arrow.class, -sin, start.0, start.1
    );
    part(out, arrow, length, sign);
    out.push_str("</g>\n");
}

fn shaft(out: &mut String, arrow: &Arrow, length: f64, sign: f64) {
    let whole = length - 3.0;
    let reach = match arrow.fate {
        Fate::Arrived => whole - 6.0,
        Fate::Stopped if arrow.left => whole - 4.0,
        Fate::Stopped => length * PART / 2.0,
        Fate::Unanswered | Fate::Lost => length * PART,
    };
    let gone = if arrow.fate == Fate::Arrived { "" } else { " gone" };
    let _ = writeln!(out, "<path class=\"line{gone}\" d=\"M0 0H{:.1}\"/>", sign * reach);
    match arrow.fate {
        Fate::Arrived => {
            let back = -sign * 11.0;
            let _ =
                writeln!(out, "<path class=\"tip\" d=\"M{:.1} 0l{back} -4.5v9z\"/>", sign * whole);
        }
        Fate::Unanswered => {
            let anchor = if sign < 0.0 { " right" } else { "" };
            let x = sign * (reach + 5.0);
            let _ = writeln!(out, "<text class=\"key{anchor}\" x=\"{x:.1}\" y=\"4\">?</text>");
        }
        Fate::Lost | Fate::Stopped => {
            let x = sign * reach;
            let _ =
                writeln!(out, "<path class=\"line\" d=\"M{:.1} -5l10 10m0 -10l-10 10\"/>", x - 5.0);
        }
    }
}

/// The label above an arrow, in its sender's half. That of an ICMP error is below its tip: nobody
/// knows where it began.
fn label(out: &mut String, arrow: &Arrow, length: f64, sign: f64) {
    if arrow.is_icmp {
        let class = if sign > 0.0 { "label right" } else { "label" };
        let x = sign * (length - INDENT);
        for (number, line) in arrow.lines.iter().enumerate() {
            #[allow(clippy::cast_precision_loss)]
            let y = LINE * (number as f64 + 1.0);
            let line = xml(line);
            let _ =
                writeln!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{line}</text>");
        }
        return;
    }
    let class = if sign < 0.0 { "label right" } else { "label" };
    let x = sign * INDENT;
    let lines = arrow.lines.len() + arrow.notes.len();
    let all = arrow.lines.iter().map(|line| (line, false));
    let all = all.chain(arrow.notes.iter().map(|line| (line, true)));
    for (number, (line, is_note)) in all.enumerate() {
        #[allow(clippy::cast_precision_loss)]
        let y = -4.0 - LINE * (lines - 1 - number) as f64;
        let note = if is_note { " note" } else { "" };
        let text = match line.split_once(' ') {
            Some((flags, rest)) if number == 0 => {
                format!("<tspan class=\"key\">{}</tspan> {}", xml(flags), xml(rest))
            }
            None if number == 0 => format!("<tspan class=\"key\">{}</tspan>", xml(line)),
            _ => xml(line),
        };
        let _ = writeln!(out, "<text class=\"{class}{note}\" x=\"{x}\" y=\"{y:.1}\">{text}</text>");
    }
}

/// The times, with a guide from each to its point where no name is in the way; and remarks.
fn margins(out: &mut String, scene: &Scene, placed: &Placed, ours: End) {
    let mut guides = String::new();
    for (index, point) in scene.points.iter().enumerate() {
        let y = placed.y[index];
        if let Kind::Remark(text) = &point.kind {
            let x = mirrored(ours, LIFELINE + BAR / 2.0 + INDENT);
            let class = if ours == End::Client { "" } else { " right" };
            let _ = writeln!(
                out,
                "<text class=\"dim note{class}\" x=\"{x}\" y=\"{:.1}\">{text}</text>",
                y + 4.0
            );
            broken(out, mirrored(End::Client, LIFELINE), y);
            broken(out, mirrored(End::Server, LIFELINE), y);
        }
        let Some(time) = &point.time else { continue };
        let class = if point.end == End::Client { "right" } else { "left" };
        let x = mirrored(point.end, TIMES);
        let _ =
            writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{:.1}\">{time}</text>", y + 4.0);
        if !is_named(scene, placed, point.end, y) {
            let (from, to) = (TIMES + 6.0, LIFELINE - BAR / 2.0 - 2.0);
            let _ =
                write!(guides, "M{} {y:.1}H{}", mirrored(point.end, from), mirrored(point.end, to));
        }
    }
    if !guides.is_empty() {
        let _ = writeln!(out, "<path class=\"guide\" d=\"{guides}\"/>");
    }
}

/// Whether the name of a state, or what is below it, stands at this height.
fn is_named(scene: &Scene, placed: &Placed, end: End, y: f64) -> bool {
    scene.points.iter().enumerate().any(|(index, point)| match &point.kind {
        Kind::State { caption, .. } if side(point.end) == side(end) => {
            #[allow(clippy::cast_precision_loss)]
            let below = NAME + caption.len() as f64 * CAPTION + 2.0;
            (placed.y[index] + 1.0..placed.y[index] + below).contains(&y)
        }
        _ => false,
    })
}

/// The run in words, a line for each step, for whoever does not see the picture.
fn described(story: &Story) -> Vec<String> {
    let mut lines = Vec::new();
    let time = |at| {
        let nanos = story.since(at);
        let sign = if nanos < 0 { "-" } else { "" };
        let length = std::time::Duration::from_nanos(nanos.unsigned_abs());
        format!("{sign}{}", units::duration(length, true))
    };
    for step in story.steps() {
        match step {
            Step::Segment(sent) => {
                let end = if sent.dir == Dir::Tx { story.run.end } else { story.run.end.other() };
                let note = sent.note.map(|note| format!(" ({note})")).unwrap_or_default();
                let verb = if sent.dir == Dir::Tx { "sends" } else { "'s segment arrives:" };
                let gap = if sent.dir == Dir::Tx { " " } else { "" };
                let words = sent.words.line();
                lines.push(format!("{} {}{gap}{verb} {words}{note}", time(sent.at), end.name()));
            }
            Step::Icmp { at, error, .. } => lines.push(format!(
                "{} ICMP error from {}: {}",
                time(at),
                error.from,
                error.describe()
            )),
            Step::Move(it) => lines.push(format!(
                "{} {} {} to {} ({})",
                time(it.at),
                it.end.name(),
                it.from,
                it.to,
                it.known.name()
            )),
            Step::Confirmed { end, state } => {
                lines.push(format!("{} {state} is now proved", end.name()));
            }
            Step::Retracted { end, state } => {
                lines.push(format!("{} is still in {state} after all", end.name()));
            }
            Step::Omitted(count) => {
                lines.push(format!("{} not drawn", units::count(count, "segment")));
            }
        }
    }
    lines
}
