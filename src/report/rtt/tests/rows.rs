//! The rows of a run, and what becomes of them on a full disk.

use std::io::{self, Write};

use crate::event::{Method, RttEvent, RttSink};
use crate::report::rtt::CsvSink;
use crate::report::rtt::testkit::{Becomes, Stage};

/// Takes so many rows whole, then none.
struct Disk<'a> {
    rows: usize,
    text: &'a mut Vec<u8>,
}

impl Write for Disk<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(rows) = self.rows.checked_sub(1) else {
            return Err(io::ErrorKind::StorageFull.into());
        };
        self.rows = rows;
        self.text.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn every_probe_has_its_row_the_warm_up_too() {
    let mut stage = Stage::new(Method::Fin, &["example.org:443"]);
    stage.run.warm_up = 1;
    let mut stage = Stage::of(stage.run);
    let mut text = Vec::new();
    let mut sink = CsvSink::new(&mut text, "rows.csv");
    stage.begin(&mut sink);
    let probes = [
        Becomes::Open(9),
        Becomes::Phases(400, 50, Some(1_200)),
        Becomes::Lost,
        Becomes::Late(2_301_000),
        Becomes::Unsent,
    ];
    stage.probes(&mut sink, &probes);
    stage.end(&mut sink);
    drop(sink);
    let text = String::from_utf8(text).unwrap();
    let rows: Vec<&str> =
        text.lines().skip(1).map(|row| row.split_once(",443,").unwrap().1).collect();
    assert_eq!(
        rows,
        [
            "0,0,1,0,7000,16000,answered,open,answered,1,0,kernel,9000,,,,40000,4000000000,2000000000",
            "1,0,0,1000000000,1000007000,1000407000,answered,open,answered,1,0,kernel,400000,,50000,1200000,40001,4000000000,3000000000",
            "2,0,0,2000000000,2000007000,,lost,,lost,1,0,,,,,,40002,4000000000,4000000000",
            "3,0,0,3000000000,3000007000,5301007000,late,open,lost,1,0,,,,,,40003,4000000000,5000000000",
            "4,0,0,4000000000,,,lost,,,1,0,,,,,,40004,4000000000,6000000000",
        ]
    );
}

#[test]
fn a_full_disk_is_named_once_and_cuts_no_row() {
    let mut stage = Stage::new(Method::Syn, &["example.org:443"]);
    let mut text = Vec::new();
    let mut sink = CsvSink::new(Disk { rows: 3, text: &mut text }, "/mnt/rows.csv");
    stage.begin(&mut sink);
    // The sink of the stage fails the test at the first error.
    stage.probes(&mut sink, &[Becomes::Open(11), Becomes::Open(12)]);
    let mut failing = Failing { sink: &mut sink, errors: Vec::new() };
    stage.probes(&mut failing, &[Becomes::Open(13), Becomes::Open(14)]);
    stage.end(&mut failing);
    assert_eq!(failing.errors.len(), 1);
    assert!(failing.errors[0].starts_with("cannot write /mnt/rows.csv: "), "{:?}", failing.errors);
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(text.ends_with('\n'));
}

/// Keeps the errors.
struct Failing<'a, S> {
    sink: &'a mut S,
    errors: Vec<String>,
}

impl<S: RttSink> RttSink for Failing<'_, S> {
    fn hear(&mut self, event: &RttEvent<'_>, view: &crate::event::RttView<'_>) -> io::Result<()> {
        self.errors.extend(self.sink.hear(event, view).err().map(|error| error.to_string()));
        Ok(())
    }
}
