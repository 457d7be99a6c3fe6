//! The line below the report, as it stands on a terminal.

use std::cell::RefCell;
use std::io::{self, Write};
use std::num::NonZero;
use std::rc::Rc;

use crate::event::{CheckEvent, CheckSink as _};
use crate::report::check::testkit::{results, story};
use crate::report::check::{CheckReporter, WithProgress};
use crate::report::human::Style;

/// A terminal that two writers share.
#[derive(Clone)]
struct Screen(Rc<RefCell<vt100::Parser>>);

impl Screen {
    fn new() -> Self {
        let [rows, columns] = [200, 80].map(|size| NonZero::new(size).unwrap());
        Self(Rc::new(RefCell::new(vt100::Parser::new(rows, columns, 0))))
    }

    fn lines(&self) -> Vec<String> {
        self.0.borrow().screen().contents().lines().map(str::to_owned).collect()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // What a terminal makes of the end of a line.
        let text = String::from_utf8_lossy(bytes).replace('\n', "\r\n");
        self.0.borrow_mut().process(text.as_bytes());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn it_stands_below_the_report_and_leaves_nothing_behind() {
    let screen = Screen::new();
    let style = Style { width: 80, ..Style::default() };
    let report = Box::new(CheckReporter::new(screen.clone(), style));
    let mut sink = WithProgress::new(report, screen.clone(), || Some(80));
    let mut seen = Vec::new();
    for event in story(results(), None) {
        sink.record(&event).unwrap();
        if !matches!(event, CheckEvent::End(_)) {
            seen.extend(screen.lines().last().cloned());
        }
    }
    seen.dedup();
    insta::assert_snapshot!("progress", seen.join("\n"));
    let mut alone = CheckReporter::new(Vec::new(), style);
    super::super::testkit::tell(&mut alone, &story(results(), None));
    let alone = String::from_utf8(alone.into_inner()).unwrap();
    let expected: Vec<&str> = alone.lines().collect();
    assert_eq!(screen.lines(), expected);
}
