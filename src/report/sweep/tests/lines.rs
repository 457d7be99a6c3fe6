//! What programs read line by line.

use std::io;

use serde_json::Value;

use super::without_version;
use crate::event::{Found, Notice, Severity, SweepEnd, SweepOutcome, SweepRun, SweepSink};
use crate::report::human::Style;
use crate::report::sweep::testkit::{end, found, run, tell, written};
use crate::report::sweep::*;
use crate::time::Instant;

fn json(fields: Fields, found: &[Found]) -> String {
    let mut out = Vec::new();
    written(|out| SweepJson::new(out, &fields), &mut out, found);
    without_version(&out)
}

#[test]
fn json_lines() {
    let text = json(Fields::default(), &found());
    assert!(text.bytes().all(|byte| matches!(byte, b'\n' | b' '..=b'~')));
    insta::assert_snapshot!(text);
}

#[test]
fn json_lines_are_json_and_hold_what_was_found() {
    let text = json(Fields::default(), &found());
    let records: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = records.iter().map(|record| record["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.first(), Some(&"run"));
    assert_eq!(kinds.last(), Some(&"summary"));
    let targets: Vec<&Value> = records.iter().filter(|record| record["type"] == "target").collect();
    assert_eq!(targets.len(), found().len());
    assert_eq!(targets[4]["banner"], "SSH-2.0-\"x\",\u{202e}\u{e9}\x1b[2J\\\r\n");
    assert_eq!(targets[5]["banner_hex"], "fffb016c6f67696e");
    assert!(targets[3].get("rtt_ns").is_none(), "what is absent is left out");
    let account = &records.last().unwrap()["account"];
    let classes = ["open", "refused", "unreachable", "silent", "not_probed"];
    let sum: u64 = classes.iter().map(|class| account[class].as_u64().unwrap()).sum();
    assert_eq!(account["targets"], sum);
}

#[test]
fn fields_are_chosen_and_ordered_alike_in_json_and_csv() {
    let fields: Fields = "port,addr,icmp_kind".parse().unwrap();
    let text = json(fields.clone(), &found()[2..4]);
    let targets: Vec<&str> = text.lines().filter(|line| line.contains("target\"")).collect();
    assert_eq!(
        targets,
        [
            r#"{"v":1,"type":"target","port":443,"addr":"10.9.3.4","icmp_kind":"prohibited"}"#,
            r#"{"v":1,"type":"target","port":22,"addr":"2001:db8::7"}"#,
        ]
    );
    let mut out = Vec::new();
    written(|out| SweepCsv::new(out, &fields), &mut out, &found()[2..4]);
    let rows = "port,addr,icmp_kind\n443,10.9.3.4,prohibited\n22,2001:db8::7,\n";
    assert_eq!(String::from_utf8(out).unwrap(), rows);
}

#[test]
fn csv_rows() {
    let mut out = Vec::new();
    written(|out| SweepCsv::new(out, &Fields::default()), &mut out, &found());
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), found().len() + 1, "a row is a line");
    insta::assert_snapshot!(text);
}

#[test]
fn a_continued_file_has_one_header() {
    let mut out = Vec::new();
    let fields: Fields = "addr".parse().unwrap();
    written(|out| SweepCsv::new(out, &fields), &mut out, &found()[..1]);
    written(|out| SweepCsv::new(out, &fields).continuing(), &mut out, &found()[1..2]);
    assert_eq!(String::from_utf8(out).unwrap(), "addr\n10.9.0.7\n10.9.255.254\n");
}

#[test]
fn plain_lines_are_targets_for_the_next_program() {
    let mut out = Vec::new();
    written(|out| OpenOnly(SweepPlain::new(out)), &mut out, &found());
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text, "10.9.0.7:443\n[2001:db8::8]:22\n10.9.0.9:23\n10.9.0.10:23\n10.9.0.11:23\n");
    for line in text.lines() {
        line.parse::<std::net::SocketAddr>().unwrap();
    }
}

#[test]
fn rows_for_a_terminal() {
    let mut out = Vec::new();
    written(|out| SweepRows::new(out, Style::default()), &mut out, &found());
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains(['\x1b', '\u{202e}']), "nothing from the network acts on a terminal");
    insta::assert_snapshot!(text);
    // Colour adds to the words and replaces none.
    let mut out = Vec::new();
    let style = Style { color: true, ..Style::default() };
    written(|out| SweepRows::new(out, style), &mut out, &found());
    let coloured = String::from_utf8(out).unwrap();
    assert!(coloured.contains("\x1b[1;32mopen\x1b[0m"), "{coloured:?}");
}

#[test]
fn a_notice_is_told_from_the_beginning_of_the_run() {
    let mut json = SweepJson::new(Vec::new(), &Fields::default());
    json.begin(&run()).unwrap();
    let notice = Notice {
        at: Instant::from_nanos(5_000_700),
        severity: Severity::Warning,
        code: "ring-drops",
        text: "\u{9b}".to_owned(),
    };
    json.notice(&notice).unwrap();
    let text = String::from_utf8(json.into_inner().unwrap()).unwrap();
    assert_eq!(
        text.lines().last().unwrap(),
        r#"{"v":1,"type":"notice","at_ns":700,"severity":"warning","code":"ring-drops","text":"\u009b"}"#
    );
}

/// Counts what it hears, and fails at a target if told so.
struct Counting<'a> {
    heard: &'a mut Vec<&'static str>,
    fails: bool,
}

impl SweepSink for Counting<'_> {
    fn begin(&mut self, _: &SweepRun) -> io::Result<()> {
        self.heard.push("begin");
        Ok(())
    }

    fn found(&mut self, _: &Found) -> io::Result<()> {
        self.heard.push("found");
        if self.fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn end(&mut self, end: &SweepEnd) -> io::Result<()> {
        self.heard.push("end");
        assert_eq!(end.rtt.map(|rtt| (rtt.by_timestamp, rtt.by_log)), Some((1, 1)));
        Ok(())
    }
}

#[test]
fn a_sink_that_fails_is_named_once_and_silences_no_other() {
    let (mut broken, mut whole) = (Vec::new(), Vec::new());
    let mut fan = SweepFan::new()
        .with(Counting { heard: &mut broken, fails: true })
        .with(Counting { heard: &mut whole, fails: false });
    fan.begin(&run()).unwrap();
    let [first, second] = [&found()[0], &found()[1]];
    assert_eq!(fan.found(first).unwrap_err().kind(), io::ErrorKind::StorageFull);
    fan.found(second).unwrap();
    fan.end(&end()).unwrap();
    drop(fan);
    assert_eq!(broken, ["begin", "found"]);
    assert_eq!(whole, ["begin", "found", "found", "end"]);
}

/// A disk that takes so many blocks; what it holds are whole lines at any time.
struct Blocks(Vec<Vec<u8>>);

impl io::Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn whatever_is_written_at_once_are_whole_lines() {
    let long = Found {
        banner: Some(vec![b'x'; 100_000].into()),
        ..Found::new("10.0.0.1".parse().unwrap(), 80, SweepOutcome::Closed)
    };
    let mut all: Vec<Found> = found().into_iter().cycle().take(2_000).collect();
    all.push(long);
    let mut blocks = Blocks(Vec::new());
    tell(SweepJson::new(&mut blocks, &Fields::default()), &run(), &all, &end());
    assert!(blocks.0.len() > 3 && blocks.0.len() < 100, "{} blocks", blocks.0.len());
    assert!(blocks.0.iter().all(|block| block.ends_with(b"\n")));
    let lines: usize =
        blocks.0.iter().map(|block| block.iter().filter(|b| **b == b'\n').count()).sum();
    assert_eq!(lines, all.len() + 2);
}
