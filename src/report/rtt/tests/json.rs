//! The records of a run are what the schema says.

use serde_json::Value;

use crate::event::{Method, RttEvent};
use crate::report::rtt::RttJsonReporter;
use crate::report::rtt::testkit::{Becomes, Stage};

fn stream(stage: &mut Stage, probes: &[Becomes], interim: bool) -> String {
    let mut sink = RttJsonReporter::new(Vec::new());
    stage.begin(&mut sink);
    stage.probes(&mut sink, probes);
    if interim {
        stage.duplicate(&mut sink, 0);
        stage.notice(&mut sink, "the wall clock was set");
        stage.hear(&mut sink, &RttEvent::Interim);
    }
    stage.end(&mut sink);
    let text = String::from_utf8(sink.into_inner()).unwrap();
    // A release changes no golden file.
    text.replace(&format!(r#""version":"{}""#, env!("CARGO_PKG_VERSION")), r#""version":"0""#)
}

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_type<'a>(records: &'a [Value], name: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["type"] == name).collect()
}

#[test]
fn every_kind_of_record() {
    let mut stage = Stage::new(Method::Fin, &["b\u{fc}cher.example\u{202e}\x1b[2J:443"]);
    let probes = [
        Becomes::Phases(400, 50, Some(1_200)),
        Becomes::Refused(123),
        Becomes::Lost,
        Becomes::Late(2_301_000),
        Becomes::Ambiguous(1_011_000),
        Becomes::Icmp(3_500),
        Becomes::Unsent,
        Becomes::InFlight,
    ];
    let text = stream(&mut stage, &probes, true);
    for line in text.lines() {
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line}");
        assert!(line.starts_with(r#"{"v":1,"type":""#), "{line}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn figures_come_for_each_target_port_and_phase_and_for_all() {
    let mut stage = Stage::new(Method::Data, &["a:1", "b:2"]);
    stage.run.fixed_ports = vec![40_000, 40_001];
    let mut stage = Stage::of(stage.run);
    let records = records(&stream(&mut stage, &[Becomes::Phases(400, 50, None); 8], false));
    let of: Vec<String> = of_type(&records, "statistics")
        .iter()
        .map(|record| {
            let text = |field: &str| record.get(field).map_or("all".to_owned(), Value::to_string);
            format!("{} {} {}", text("target"), text("source_port"), record["phase"])
        })
        .collect();
    assert_eq!(of.len(), (2 * 3 + 1) * 2);
    assert_eq!(
        &of[..3],
        [r#""a:1" all "handshake""#, r#""a:1" all "data-ack""#, r#""a:1" 40000 "handshake""#]
    );
    assert_eq!(&of[12..], [r#"all all "handshake""#, r#"all all "data-ack""#]);
    assert_eq!(records.last().unwrap()["type"], "summary");
    assert_eq!(records[0]["source"]["ports"], serde_json::json!([40_000, 40_001]));
}

#[test]
fn without_an_answer_no_figure_and_no_bound_is_there() {
    let mut stage = Stage::new(Method::Syn, &["192.0.2.1:443"]);
    let text = stream(&mut stage, &[Becomes::Lost], false);
    let records = records(&text);
    assert!(!text.contains("null") && !text.contains("NaN"));
    let times = of_type(&records, "statistics")[0]["times"].clone();
    assert_eq!(times, serde_json::json!({"count": 0}));
    assert_eq!(records.last().unwrap().get("error"), None);
    let probe = of_type(&records, "probe")[0];
    for absent in ["rtt_ns", "clock", "answered_ns", "answered_by", "phases", "answer", "remark"] {
        assert_eq!(probe.get(absent), None, "{absent}");
    }
}
