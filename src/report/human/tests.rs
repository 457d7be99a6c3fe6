//! Golden output: exactly what a person sees.

use super::*;
use crate::report::testkit::Story;

mod closes;
mod ladders;
mod probes;

/// 80 columns without colour, as golden files are easiest to read.
fn narrow() -> Style {
    Style { width: 80, ..Style::default() }
}

fn wide() -> Style {
    Style { width: 120, ..Style::default() }
}

/// The bytes that the events of the stories, one flow each, make.
fn shown(stories: &[Story], style: Style) -> String {
    let mut reporter = HumanReporter::new(Vec::new(), style);
    for (index, story) in stories.iter().enumerate() {
        let flow = FlowId(u32::try_from(index).unwrap());
        for event in &story.events {
            reporter.record(flow, event).unwrap();
        }
    }
    let text = String::from_utf8(reporter.into_inner()).unwrap();
    if !style.color {
        assert!(!text.contains('\x1b'), "colour where none was wanted");
    }
    text
}

fn show(story: Story, style: Style) -> String {
    shown(&[story], style)
}

/// `text` without its SGR sequences.
fn without_escapes(text: &str) -> String {
    let mut pieces = text.split("\x1b[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |plain, piece| plain + piece.split_once('m').unwrap().1)
}
