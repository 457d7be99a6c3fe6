//! What the marks mean: those that occur.

use std::fmt::Write as _;

use super::Scale;
use super::draw::bar;
use super::place::{GapKind, Placed};
use super::scene::{AGO, Fate, Kind, Scene, Shown};
use super::story::Story;
use super::style::{COLUMN, MARGIN, WIDTH};
use crate::tcp::state::State;

/// Height of a line.
const LINE: f64 = 20.0;
/// Room for a sample.
const SAMPLE: f64 = 34.0;

/// What is drawn beside an explanation.
#[derive(Clone, Copy)]
enum Sample {
    Bar(Shown),
    Cross,
    Question,
    Axis(&'static str),
    Zigzag,
    Word(&'static str),
}

/// Draws the legend from `top` on, and gives the height of the picture.
pub(super) fn draw(
    out: &mut String,
    scene: &Scene,
    placed: &Placed,
    scale: Scale,
    story: &Story,
    top: f64,
) -> f64 {
    let (mut x, mut y) = (MARGIN, top);
    for (sample, text) in entries(scene, placed, scale, story) {
        #[allow(clippy::cast_precision_loss)] // some dozens of columns
        let width = SAMPLE + text.chars().count() as f64 * COLUMN + 18.0;
        if x > MARGIN && x + width > WIDTH - MARGIN {
            (x, y) = (MARGIN, y + LINE);
        }
        sample.draw(out, x, y);
        let at = x + SAMPLE;
        let _ = writeln!(out, "<text class=\"dim\" x=\"{at:.1}\" y=\"{y:.1}\">{text}</text>");
        x += width;
    }
    y + LINE
}

fn entries(
    scene: &Scene,
    placed: &Placed,
    scale: Scale,
    story: &Story,
) -> Vec<(Sample, &'static str)> {
    let shown = |wanted: Shown| {
        scene
            .points
            .iter()
            .any(|point| matches!(&point.kind, Kind::State { known, .. } if *known == wanted))
    };
    let fate = |wanted: &[Fate]| scene.arrows.iter().any(|arrow| wanted.contains(&arrow.fate));
    let gap = |kind: GapKind| placed.gaps.iter().any(|gap| gap.kind == kind && gap.to > gap.from);
    let to_scale = scale == Scale::Time;
    let all = [
        (true, Sample::Bar(Shown::Known), "our own state, or proved"),
        (shown(Shown::Implied), Sample::Bar(Shown::Implied), "implied by what we sent"),
        (shown(Shown::Assumed), Sample::Bar(Shown::Assumed), "assumed"),
        (fate(&[Fate::Unanswered]), Sample::Question, "it or its answer was lost"),
        (fate(&[Fate::Lost, Fate::Stopped]), Sample::Cross, "lost, held back or rejected"),
        (story.half_rtt.is_some(), Sample::Word("~"), "estimated by half the shortest round trip"),
        (
            scene.points.iter().any(|point| point.at < 0 && point.time.is_some()),
            Sample::Word(AGO),
            "before the first segment came here, from when on times count",
        ),
        (to_scale && gap(GapKind::ToScale), Sample::Axis(""), "to scale"),
        (
            to_scale && gap(GapKind::Stretched),
            Sample::Axis(" stretched"),
            "drawn apart, so that labels have room",
        ),
        (to_scale && gap(GapKind::Cut), Sample::Zigzag, "cut: as long as written beside it"),
    ];
    all.into_iter().filter(|(occurs, ..)| *occurs).map(|(_, sample, text)| (sample, text)).collect()
}

impl Sample {
    fn draw(self, out: &mut String, x: f64, y: f64) {
        let middle = y - 4.0;
        let _ = match self {
            Self::Bar(shown) => {
                bar(out, (x + 12.0, y - 11.0), 14.0, State::Established, shown);
                Ok(())
            }
            Self::Cross => writeln!(
                out,
                "<path class=\"line gone\" d=\"M{x:.1} {middle:.1}h20\"/>\
                 <path class=\"line\" d=\"M{:.1} {:.1}l10 10m0 -10l-10 10\"/>",
                x + 15.0,
                middle - 5.0
            ),
            Self::Question => writeln!(
                out,
                "<path class=\"line gone\" d=\"M{x:.1} {middle:.1}h16\"/>\
                 <text class=\"key\" x=\"{:.1}\" y=\"{y:.1}\">?</text>",
                x + 19.0
            ),
            Self::Axis(class) => writeln!(
                out,
                "<path class=\"axis{class}\" d=\"M{:.1} {:.1}v16\"/>",
                x + 12.0,
                middle - 8.0
            ),
            Self::Zigzag => writeln!(
                out,
                "<path class=\"axis\" d=\"M{:.1} {:.1}v2l-5 3l10 6l-5 3v2\"/>",
                x + 12.0,
                middle - 8.0
            ),
            Self::Word(word) => {
                let x = if word.len() > 1 { x } else { x + 12.0 };
                writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\">{word}</text>")
            }
        };
    }
}
