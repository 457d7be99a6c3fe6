//! What stands on the screen, told by a terminal in memory.

use std::cell::Cell as Shared;
use std::io::{self, Write};
use std::num::NonZero;
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::event::Method;
use crate::report::rtt::LinesReporter;
use crate::report::rtt::testkit::{Becomes, Stage};

/// A terminal of so many columns and rows.
struct Screen(vt100::Parser);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The line discipline of a terminal.
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            self.0.process(text);
            if text.len() < line.len() {
                self.0.process(b"\r\n");
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Sink = LiveReporter<'static, Screen>;

fn screen(columns: u16, rows: u16) -> Screen {
    let size = |number| NonZero::new(number).unwrap();
    Screen(vt100::Parser::new(size(rows), size(columns), 1000))
}

fn live(columns: u16, rows: u16, style: Style) -> Sink {
    let size = Size { columns: columns.into(), rows: rows.into() };
    LiveReporter::new(screen(columns, rows), style, move || Some(size))
}

fn style() -> Style {
    Style { width: 80, ..Style::default() }
}

fn shown(sink: &Sink) -> String {
    sink.out.0.screen().contents()
}

/// Draws at the next possible moment.
fn tick(stage: &mut Stage, sink: &mut Sink) {
    stage.now = stage.now.max(sink.wake_at().unwrap_or(stage.now));
    stage.hear(sink, &RttEvent::Tick);
}

fn four() -> Stage {
    let names = [
        "example.org:443",
        "a-host-with-quite-a-long-name.example.net:8443",
        "down.example:1",
        "b\u{fc}cher.example\u{202e}\x1b[2J:443",
    ];
    Stage::new(Method::Syn, &names)
}

fn round(stage: &mut Stage, sink: &mut impl RttSink, number: u64) {
    let second = match number {
        3 => Becomes::Late(2_300_000),
        5 => Becomes::InFlight,
        _ => Becomes::Open(45_000 * (1 + number % 4)),
    };
    let fourth = match number {
        2 => Becomes::Icmp(90),
        4 => Becomes::Ambiguous(90),
        _ => Becomes::Refused(230),
    };
    stage.probes(sink, &[Becomes::Open(11_102 + number * 1_500), second, Becomes::Lost, fourth]);
}

#[test]
fn a_table_grows_in_place_and_leaves_nothing_behind() {
    let (mut stage, mut sink) = (four(), live(80, 24, style()));
    stage.begin(&mut sink);
    let mut screens = vec![shown(&sink)];
    for number in 0..8 {
        round(&mut stage, &mut sink, number);
        tick(&mut stage, &mut sink);
        if number % 7 == 0 {
            screens.push(shown(&sink));
        }
    }
    insta::assert_snapshot!(screens.join("\n=====\n"));
}

#[test]
fn at_the_end_the_statistics_stand_in_its_place() {
    let mut lines = LinesReporter::new(Vec::new(), Style { quiet: true, ..style() });
    let (mut stage, mut sink) = (four(), live(80, 200, style()));
    stage.begin(&mut sink);
    (0..3).for_each(|number| round(&mut stage, &mut sink, number));
    tick(&mut stage, &mut sink);
    assert!(shown(&sink).contains("last probes"));
    stage.end(&mut sink);
    stage.hear(
        &mut lines,
        &RttEvent::Ended(crate::event::RttEnd {
            outcome: crate::event::Outcome::Open,
            as_expected: true,
            interrupted: false,
        }),
    );
    let summary = String::from_utf8(lines.into_inner()).unwrap();
    assert_eq!(shown(&sink).trim(), summary.trim());
}

#[test]
fn no_drawing_clears_the_whole_screen() {
    // Some terminals scroll what they are told to clear into their history: the table fills the
    // screen, and its history would fill with tables.
    let size = Size { columns: 80, rows: 8 };
    let mut sink = LiveReporter::new(Vec::new(), style(), move || Some(size));
    let mut stage = four();
    stage.begin(&mut sink);
    round(&mut stage, &mut sink, 0);
    stage.notice(&mut sink, "the wall clock was set");
    stage.end(&mut sink);
    let text = String::from_utf8(sink.into_inner()).unwrap();
    assert!(text.contains("\x1b[2K") && !text.contains("\x1b[J") && !text.contains("\x1b[2J"));
}

#[test]
fn what_the_user_types_goes_with_the_table() {
    let (mut stage, mut sink) = (four(), live(80, 200, style()));
    stage.begin(&mut sink);
    sink.out.0.process(b"^C");
    stage.end(&mut sink);
    assert!(!shown(&sink).contains("^C") && !shown(&sink).contains("RTT"), "{}", shown(&sink));
}

#[test]
fn notices_scroll_above_it() {
    let (mut stage, mut sink) = (four(), live(80, 24, style()));
    stage.begin(&mut sink);
    round(&mut stage, &mut sink, 0);
    stage.notice(&mut sink, "the wall clock was set\x1b[2J");
    stage.notice(&mut sink, "and again");
    let text = shown(&sink);
    let lines: Vec<&str> = text.lines().take(3).collect();
    assert_eq!(lines[0], "warning: the wall clock was set\\x1b[2J");
    assert_eq!(lines[1], "warning: and again");
    assert!(lines[2].contains("RTT 4 targets"), "{text}");
    assert_eq!(text.matches("RTT 4 targets").count(), 1, "{text}");
}

#[test]
fn interim_statistics_stay_above_it() {
    let (mut stage, mut sink) = (four(), live(80, 40, style()));
    stage.begin(&mut sink);
    round(&mut stage, &mut sink, 0);
    stage.hear(&mut sink, &RttEvent::Interim);
    let text = shown(&sink);
    assert!(
        text.starts_with("example.org:443: 1/1 answered, 0.0 % loss; handshake: min"),
        "{text}"
    );
    assert_eq!(text.matches("RTT 4 targets").count(), 1, "{text}");
}

#[test]
fn it_draws_five_times_a_second_at_most() {
    let mut stage = four();
    stage.run.interval = Duration::from_millis(1);
    let mut stage = Stage::of(stage.run);
    let size = Size { columns: 80, rows: 24 };
    let mut sink = LiveReporter::new(Vec::new(), style(), move || Some(size));
    stage.begin(&mut sink);
    for _ in 0..4_000 {
        stage.probe(&mut sink, Becomes::Open(100));
    }
    let frames = String::from_utf8(sink.into_inner()).unwrap().matches("\x1b[?2026h").count();
    assert_eq!(frames, 5, "one second");
}

#[test]
fn it_asks_to_be_woken_where_something_is_not_shown_yet() {
    let (mut stage, mut sink) = (four(), live(80, 24, style()));
    stage.begin(&mut sink);
    assert_eq!(sink.wake_at(), None, "it has just drawn");
    stage.probe(&mut sink, Becomes::Open(11_102));
    let wake = sink.wake_at().unwrap();
    assert!(wake > stage.now && wake.since(stage.now) <= REFRESH);
    tick(&mut stage, &mut sink);
    assert_eq!(sink.wake_at(), None);
}

#[test]
fn of_more_targets_than_rows_the_worst_are_shown() {
    let names: Vec<String> = (0..100).map(|number| format!("host-{number}:80")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut stage = Stage::new(Method::Syn, &names);
    let mut sink = live(80, 10, style());
    stage.begin(&mut sink);
    for number in 0..100_u64 {
        let becomes = match number {
            17 | 71 => Becomes::Lost,
            _ => Becomes::Open(1_000 * (1 + number % 50)),
        };
        stage.probe(&mut sink, becomes);
    }
    tick(&mut stage, &mut sink);
    insta::assert_snapshot!(shown(&sink));
}

#[test]
fn it_fits_a_screen_of_any_size_and_never_scrolls() {
    for (columns, rows) in [(80, 24), (120, 30), (40, 8), (20, 5), (20, 3), (300, 60)] {
        let (mut stage, mut sink) = (four(), live(columns, rows, style()));
        stage.begin(&mut sink);
        for number in 0..60 {
            round(&mut stage, &mut sink, number);
            tick(&mut stage, &mut sink);
        }
        let text = shown(&sink);
        assert!(
            text.starts_with("0:00:"),
            "{columns}×{rows}: its first line is still there\n{text}"
        );
        assert_eq!(text.matches("0:00:").count(), 1, "{columns}×{rows}\n{text}");
    }
}

#[test]
fn a_terminal_that_changes_its_size_keeps_one_table() {
    let size = Rc::new(Shared::new(Size { columns: 120, rows: 30 }));
    let asked = Rc::clone(&size);
    let mut sink = LiveReporter::new(screen(120, 30), style(), move || Some(asked.get()));
    let mut stage = four();
    stage.begin(&mut sink);
    round(&mut stage, &mut sink, 0);
    tick(&mut stage, &mut sink);
    size.set(Size { columns: 120, rows: 12 });
    sink.out.0.screen_mut().set_size(NonZero::new(12).unwrap(), NonZero::new(120).unwrap());
    round(&mut stage, &mut sink, 1);
    tick(&mut stage, &mut sink);
    let text = shown(&sink);
    assert_eq!(text.matches("RTT 4 targets").count(), 1, "{text}");
    assert_eq!(text.matches("example.org").count(), 1, "{text}");
}

#[test]
fn what_the_terminal_has_broken_is_erased_as_well() {
    let size = Rc::new(Shared::new(Size { columns: 100, rows: 30 }));
    let asked = Rc::clone(&size);
    let mut sink = LiveReporter::new(Vec::new(), style(), move || Some(asked.get()));
    let mut stage = four();
    stage.begin(&mut sink);
    let widest = *sink.screen.drawn.iter().max().unwrap();
    assert!((51..100).contains(&widest), "{widest}");
    let broken: usize = sink.screen.drawn.iter().map(|width| width.div_ceil(50).max(1)).sum();
    let drawn = sink.screen.drawn.len();
    size.set(Size { columns: 50, rows: 30 });
    stage.probe(&mut sink, Becomes::Open(11_102));
    stage.now += REFRESH;
    stage.hear(&mut sink, &RttEvent::Tick);
    assert!(broken > drawn);
    let text = String::from_utf8(sink.into_inner()).unwrap();
    assert!(text.contains(&format!("\x1b[{broken}A")), "{text:?}");
}

#[test]
fn colour_adds_nothing_to_what_is_said() {
    let both = [false, true].map(|color| {
        let (mut stage, mut sink) = (four(), live(80, 24, Style { color, ..style() }));
        stage.begin(&mut sink);
        (0..8).for_each(|number| round(&mut stage, &mut sink, number));
        tick(&mut stage, &mut sink);
        shown(&sink)
    });
    assert_eq!(both[0], both[1]);
}

#[test]
fn ascii_is_enough() {
    let (mut stage, mut sink) = (four(), live(80, 24, Style { unicode: false, ..style() }));
    stage.begin(&mut sink);
    (0..8).for_each(|number| round(&mut stage, &mut sink, number));
    tick(&mut stage, &mut sink);
    let text = shown(&sink);
    assert!(text.is_ascii(), "{text}");
    assert!(text.contains("XXXXXXXX") && text.contains("rr!r?rrr"), "{text}");
}

#[test]
fn quiet_is_the_summary_alone() {
    let mut sink = LiveReporter::new(Vec::new(), Style { quiet: true, ..style() }, || None);
    let mut stage = four();
    stage.begin(&mut sink);
    round(&mut stage, &mut sink, 0);
    assert_eq!(sink.wake_at(), None);
    stage.end(&mut sink);
    let text = String::from_utf8(sink.into_inner()).unwrap();
    assert!(text.starts_with("--- example.org:443 ping statistics ---\n"), "{text}");
    assert!(!text.contains('\x1b'));
}
