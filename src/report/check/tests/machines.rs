//! What programs read.

use std::cell::RefCell;

use quick_xml::events::Event as Xml;
use serde_json::Value;

use crate::event::{CheckEvent, CutShort};
use crate::report::PcapngReporter;
use crate::report::check::testkit::{self, results, story, tell};
use crate::report::check::{
    Baseline, CheckCaptures, CheckJsonReporter, JunitSink, TapReporter, json_list,
};

fn json(events: &[CheckEvent], evidence: bool) -> String {
    let mut reporter = CheckJsonReporter::new(Vec::new(), evidence);
    tell(&mut reporter, events);
    String::from_utf8(reporter.into_inner()).unwrap()
}

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_record_of_the_json_stream() {
    let text = json(&story(results(), None), true);
    assert!(text.is_ascii() && !text.contains('\u{1b}'));
    let short: Vec<String> = text
        .lines()
        // One long trace is like another.
        .filter(|line| !line.contains("\"fin-slow\"") || line.contains("\"run\""))
        .map(str::to_owned)
        .collect();
    insta::assert_snapshot!("json", short.join("\n"));
    let brief = json(&story(results(), None), false);
    assert!(!brief.contains("packet_hex") && !brief.contains("conversations"));
    assert_eq!(records(&brief).len(), records(&text).len());
}

/// Enough to play the target's part again: every packet to the byte, its time and its direction.
#[test]
fn a_trace_can_be_had_back_from_its_record() {
    let text = json(&story(results(), None), true);
    let all = records(&text);
    let record = all.iter().find(|record| record["id"] == "fin-made-up").unwrap();
    let trace = testkit::taken_early();
    let evidence = record["evidence"].as_array().unwrap();
    assert_eq!(evidence.len(), trace.entries.len());
    for (entry, told) in trace.entries.iter().zip(evidence) {
        let crate::event::Step::Segment { bytes, .. } = &entry.step else { panic!("a segment") };
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(told["packet_hex"], hex);
        let at = entry.stamp.at.signed_nanos_since(testkit::run().at);
        assert_eq!(told["at_ns"], at);
    }
    assert_eq!(record["conversations"][0]["iss"], 3_000_000_000_u32);
    assert_eq!(record["conversations"][0]["irs"], u32::MAX);
}

#[test]
fn a_report_is_its_own_baseline() {
    for evidence in [true, false] {
        let text = json(&story(results(), None), evidence);
        let baseline = Baseline::read("x", &text).unwrap();
        let mut reporter =
            CheckJsonReporter::new(Vec::new(), false).against(Some(baseline.clone()));
        let mut changed = results();
        changed.retain(|result| result.info.id != "syn-known");
        changed[0].finding.verdict = crate::event::Verdict::Fail;
        tell(&mut reporter, &story(changed, Some(CutShort::Interrupted)));
        let text = String::from_utf8(reporter.into_inner()).unwrap();
        let changes: Vec<Value> =
            records(&text).into_iter().filter(|record| record["type"] == "change").collect();
        let told: Vec<String> = changes
            .iter()
            .map(|change| format!("{} {} {}", change["kind"], change["id"], change["now"]))
            .collect();
        let expected =
            ["\"new-failure\" \"fin-warned\" \"fail\"", "\"not-run\" \"syn-known\" null"];
        assert_eq!(told, expected);
        let verdicts = results().iter().map(|one| (one.info.id, one.finding.verdict)).collect();
        assert_eq!(baseline.changes(&testkit::planned(), &verdicts), []);
    }
}

#[test]
fn the_list_is_made_of_records_too() {
    let text = String::from_utf8(json_list(&testkit::planned()).unwrap()).unwrap();
    let all = records(&text);
    assert_eq!(all.len(), testkit::planned().len());
    assert_eq!(all[1]["rules"][0]["url"], "https://www.rfc-editor.org/rfc/rfc1337#appendix-A.2");
    assert!(all.iter().all(|record| record["type"] == "check" && record.get("verdict").is_none()));
}

fn tap(events: &[CheckEvent]) -> String {
    let mut reporter = TapReporter::new(Vec::new(), true);
    tell(&mut reporter, events);
    String::from_utf8(reporter.into_inner()).unwrap()
}

#[test]
fn test_points_come_in_the_order_of_the_plan() {
    let text = tap(&story(results(), None));
    let short: Vec<&str> = text.lines().collect();
    insta::assert_snapshot!("tap", short.join("\n"));
    let numbers: Vec<usize> = text
        .lines()
        .filter_map(|line| line.strip_prefix("not ").unwrap_or(line).strip_prefix("ok "))
        .map(|rest| rest.split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers, (1..=testkit::planned().len()).collect::<Vec<_>>());
    assert!(text.is_ascii());
}

#[test]
fn a_harness_hears_of_what_did_not_run() {
    let some: Vec<_> = results().into_iter().take(3).collect();
    let text = tap(&story(some.clone(), Some(CutShort::Deadline)));
    assert!(
        text.contains("ok 1 - syn-made-up: A made-up rule # SKIP not run: the deadline came\n")
    );
    assert!(!text.contains("Bail out!"));
    let died = tap(&story(some, Some(CutShort::Died(vec!["fin-made-up"]))));
    assert!(died.ends_with("Bail out! the target stopped answering after fin-made-up\n"), "{died}");
    let nobody = tap(&story(Vec::new(), Some(CutShort::NoTarget("the port is closed".to_owned()))));
    let expected = "TAP version 14\n1..7\nBail out! nothing could be checked: the port is closed\n";
    assert_eq!(nobody, expected);
}

fn junit(events: &[CheckEvent]) -> String {
    let written = RefCell::new(Vec::new());
    let mut sink = JunitSink::new(|xml: &[u8]| {
        written.borrow_mut().push(xml.to_vec());
        Ok(())
    });
    tell(&mut sink, events);
    let [document] = written.take().try_into().expect("one document");
    String::from_utf8(document).unwrap()
}

/// Every element and its text, read by a parser that complains of what is not well-formed.
fn well_formed(text: &str) -> usize {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut cases = 0;
    loop {
        match reader.read_event().unwrap() {
            Xml::Start(element) | Xml::Empty(element) => {
                for attribute in element.attributes() {
                    attribute.unwrap();
                }
                cases += usize::from(element.name().as_ref() == "testcase");
            }
            Xml::Eof => return cases,
            _ => {}
        }
    }
}

#[test]
fn the_junit_report_is_well_formed_and_complete() {
    let text = junit(&story(results(), None));
    insta::assert_snapshot!("junit", text);
    assert_eq!(well_formed(&text), testkit::planned().len());
    // XML allows no other control characters, not even escaped.
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
    let some: Vec<_> = results().into_iter().take(3).collect();
    let died = junit(&story(some, Some(CutShort::Died(vec!["fin-made-up"]))));
    assert_eq!(well_formed(&died), testkit::planned().len() + 1);
    assert!(died.contains("message=\"the target stopped answering after fin-made-up\""), "{died}");
    assert!(died.contains("<skipped message=\"not run: the target stopped"), "{died}");
}

#[test]
fn each_check_has_a_capture_of_its_own() {
    let files = testkit::planned()
        .into_iter()
        .map(|info| {
            let file = tempfile::NamedTempFile::new().unwrap();
            let path = file.into_temp_path();
            let writer = std::fs::File::create(&path).unwrap();
            (info.id, path, PcapngReporter::new(writer, "shakedown", "check").unwrap())
        })
        .collect::<Vec<_>>();
    let mut paths = Vec::new();
    let mut writers = Vec::new();
    for (id, path, writer) in files {
        paths.push((id, path));
        writers.push((id, writer));
    }
    tell(&mut CheckCaptures::new(writers), &story(results(), None));
    for (id, path) in paths {
        let bytes = std::fs::read(&path).unwrap();
        let result = results().into_iter().find(|one| one.info.id == id).unwrap();
        let packets: Vec<&[u8]> = result
            .trace
            .entries
            .iter()
            .filter_map(|entry| match &entry.step {
                crate::event::Step::Segment { bytes, .. }
                | crate::event::Step::Icmp { bytes, .. } => Some(bytes.as_slice()),
                crate::event::Step::Silence(_) => None,
            })
            .collect();
        assert_eq!(packet_blocks(&bytes), packets, "{id}");
        for entry in &result.trace.entries {
            assert!(find(&bytes, entry.label.as_bytes()), "{id}: {}", entry.label);
        }
        let silent = result
            .trace
            .entries
            .last()
            .is_some_and(|entry| matches!(entry.step, crate::event::Step::Silence(_)));
        assert_eq!(find(&bytes, b"then: silence for 1 s"), silent, "{id}");
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The packets of a capture file, whose every block must be whole.
fn packet_blocks(mut bytes: &[u8]) -> Vec<&[u8]> {
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        let len = word(bytes, 4) as usize;
        let (block, rest) = bytes.split_at(len);
        assert_eq!(word(block, len - 4) as usize, len);
        if word(block, 0) == 6 {
            packets.push(&block[28..28 + word(block, 20) as usize]);
        }
        bytes = rest;
    }
    packets
}
