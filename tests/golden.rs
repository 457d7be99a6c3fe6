//! The real program over its simulated network: what it prints, to the byte, and how it exits.
//!
//! `SHAKEDOWN_SIM` (see `src/cmd/sim`) gives virtual time and a seed, so that nothing varies and
//! nothing needs privilege.

#![allow(clippy::expect_used)] // A helper of a test fails it in the same way as the test does.

use std::io::Read as _;
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;

// With the helpers of this file, and snapshots of its own.
#[path = "golden/explain.rs"]
mod explain;

/// The program against a simulated far end, in surroundings in which nothing is left to chance.
fn program(sim: &str, line: &str) -> Command {
    let mut command = Command::new(cargo_bin("shakedown"));
    command
        .args(line.split(' '))
        .env_clear()
        .envs([("SHAKEDOWN_SIM", sim), ("COLUMNS", "80"), ("LC_ALL", "C.UTF-8")])
        .stdin(Stdio::null());
    command
}

fn output(sim: &str, line: &str) -> Output {
    program(sim, line).output().expect("run")
}

/// What it prints, with its exit status as the last line.
fn told_by(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("run");
    assert_eq!(String::from_utf8_lossy(&stderr), "", "nothing is wrong with our own host");
    let text = String::from_utf8(stdout).expect("text");
    format!("{text}(exit status {})", status.code().expect("an exit status"))
}

fn told(sim: &str, line: &str) -> String {
    told_by(program(sim, line))
}

fn status(sim: &str, line: &str) -> i32 {
    output(sim, line).status.code().expect("an exit status")
}

const ECHO: &str = "echo:dwell=30ms";
const HANDSHAKE: &str = "handshake 192.0.2.7:80 --send hello";

#[test]
fn handshakes() {
    insta::assert_snapshot!("handshake-80", told(ECHO, HANDSHAKE));
    let mut wide = program(ECHO, HANDSHAKE);
    wide.env("COLUMNS", "120");
    insta::assert_snapshot!("handshake-120", told_by(wide));
    let coloured = format!("{HANDSHAKE} --color always");
    insta::assert_snapshot!("handshake-80-colour", told(ECHO, &coloured));
    let mut wide = program(ECHO, &coloured);
    wide.env("COLUMNS", "120");
    insta::assert_snapshot!("handshake-120-colour", told_by(wide));
    let mut ascii = program(ECHO, HANDSHAKE);
    ascii.env("LC_ALL", "C");
    insta::assert_snapshot!("handshake-ascii", told_by(ascii));
    insta::assert_snapshot!("handshake-quiet", told(ECHO, &format!("{HANDSHAKE} -q")));
    insta::assert_snapshot!("handshake-verbose", told(ECHO, &format!("{HANDSHAKE} -v")));
    insta::assert_snapshot!("handshake-absolute", told(ECHO, &format!("{HANDSHAKE} --absolute")));
    insta::assert_snapshot!("handshake-v6", told(ECHO, "handshake [2001:db8::7]:80 --then rst"));
}

/// At an address of the simulated host: what a port alone is depends on this one.
const LISTEN: &str = "listen 192.0.2.100:80";

#[test]
fn clients_of_ours() {
    let one = format!("{LISTEN} --echo -c 1");
    insta::assert_snapshot!("listen-ladder-80", told("call", &one));
    let mut wide = program("call", &format!("{one} --color always"));
    wide.env("COLUMNS", "120");
    insta::assert_snapshot!("listen-ladder-120-colour", told_by(wide));
    let mut ascii = program("call", &one);
    ascii.env("LC_ALL", "C");
    insta::assert_snapshot!("listen-ladder-ascii", told_by(ascii));
    let two = format!("{LISTEN} --echo -c 2");
    insta::assert_snapshot!("listen-lines", told("call-twice", &two));
    insta::assert_snapshot!("listen-quiet", told("call-twice", &format!("{two} -q")));
    insta::assert_snapshot!("listen-json", told("call", &format!("{one} --json")));
    insta::assert_snapshot!("listen-json-segments", told("call", &format!("{one} --json -v")));
}

#[test]
fn clients_of_ours_that_meet_a_fault() {
    let ladder = |sim: &str, more: &str| told(sim, &format!("{LISTEN} -c 1 {more}"));
    insta::assert_snapshot!("listen-close-first", ladder("hold", "--close-after 300ms"));
    insta::assert_snapshot!("listen-drop-syn", ladder("call", "--echo --drop-syn 1"));
    insta::assert_snapshot!("listen-delay-synack", ladder("call", "--echo --delay-synack 400ms"));
    insta::assert_snapshot!("listen-refuse", ladder("call", "--refuse"));
    insta::assert_snapshot!("listen-rst-after", ladder("call", "--rst-after 5B"));
    insta::assert_snapshot!(
        "listen-open-at-once",
        ladder("hold", "--simultaneous-open --close-after 0")
    );
    insta::assert_snapshot!("listen-close-at-once", ladder("call", "--echo --simultaneous-close"));
    insta::assert_snapshot!("listen-idle", ladder("hold", "--idle-timeout 10s"));
    insta::assert_snapshot!(
        "listen-idle-never-close",
        told("call", &format!("{LISTEN} -c 1 -q --never-close --idle-timeout 10s"))
    );
    insta::assert_snapshot!("listen-nobody", told("silent", &format!("{LISTEN} -w 2s")));
    insta::assert_snapshot!(
        "listen-interrupted",
        told("hold:interrupt=2s", &format!("{LISTEN} --no-final-ack"))
    );
}

/// At the simulated host.
const REQUEST: &str = "request http://192.0.2.7/";

#[test]
fn requests() {
    for (name, sim, more) in [
        ("request-reuse", "web", "-c 3"),
        ("request-old", "web", "-c 2 --http 1.0"),
        ("request-ladder", "web", "-v"),
        ("request-early-close", "web-twice", "-c 3"),
        ("request-quiet", "web", "-c 2 -q"),
        ("request-json", "web", "-c 2 --json"),
        ("request-syn-lost", "web:drop=tx1", ""),
        ("request-compared", "web", "--compare -c 2"),
    ] {
        let line = format!("{REQUEST} {more}");
        insta::assert_snapshot!(name, told(sim, line.trim_end()));
    }
    let mut wide = program("web", &format!("{REQUEST} -c 2 --color always"));
    wide.env("COLUMNS", "120");
    insta::assert_snapshot!("request-120-colour", told_by(wide));
    let mut ascii = program("web", &format!("{REQUEST} -c 2 -v"));
    ascii.env("LC_ALL", "C");
    insta::assert_snapshot!("request-ascii", told_by(ascii));
    insta::assert_snapshot!("request-v6", told("web", "request [2001:db8::7]/old"));
}

#[test]
fn requests_that_are_not_answered_as_wished() {
    for (name, sim, more) in [
        ("request-declined", "web", "--http 2"),
        ("request-refused", "closed", ""),
        ("request-filtered", "silent", ""),
        ("request-prohibited", "prohibited", ""),
        ("request-reset", "reset", "-c 2"),
        ("request-garbage", "greet", ""),
        ("request-too-late", "stubborn", "-W 3s"),
        ("request-deadline", "stubborn", "-w 2s"),
        ("request-interrupted", "stubborn:interrupt=2s", "-c 3"),
        ("request-idle", "web", "--idle=5s"),
    ] {
        let line = format!("{REQUEST} {more}");
        insta::assert_snapshot!(name, told(sim, line.trim_end()));
    }
    assert_eq!(status("web", &format!("{REQUEST}none")), 0, "an answer is an answer");
    assert_eq!(status("web", &format!("{REQUEST}none -f")), 1);
}

#[test]
fn handshakes_that_go_another_way() {
    let line = "handshake 192.0.2.7:80";
    insta::assert_snapshot!("handshake-syn-lost", told("echo:drop=tx1", line));
    insta::assert_snapshot!("handshake-refused", told("closed", line));
    insta::assert_snapshot!("handshake-filtered", told("silent", line));
    insta::assert_snapshot!("handshake-prohibited", told("prohibited", line));
    insta::assert_snapshot!(
        "handshake-interrupted",
        told("echo:interrupt=2s", &format!("{line} --then hold=1m"))
    );
}

#[test]
fn closes() {
    for (name, sim, line) in [
        ("close-active", ECHO, "close 192.0.2.7:80"),
        ("close-passive", "greet", "close 192.0.2.7:80 --passive"),
        ("close-simultaneous", "greet", "close 192.0.2.7:80 --simultaneous"),
        ("close-half", "answer:dwell=30ms", "close 192.0.2.7:80 --half --send ping"),
        ("close-half-reset", "reset", "close 192.0.2.7:80 --half"),
        ("close-still-open", "stubborn", "close 192.0.2.7:80 -w 5s"),
        ("close-last-ack-lost", "echo:drop=tx4", "close 192.0.2.7:80"),
    ] {
        insta::assert_snapshot!(name, told(sim, line));
    }
}

#[test]
fn probes() {
    let sim = "echo:ports=22/443";
    let line = "probe 192.0.2.7:22,80,443 [2001:db8::7]:22";
    insta::assert_snapshot!("probe-80", told(sim, line));
    insta::assert_snapshot!("probe-verbose", told(sim, &format!("{line} -v")));
    insta::assert_snapshot!(
        "probe-filtered",
        told("silent", "probe 192.0.2.7:22,80 --retries 1 -W 500ms")
    );
}

/// One check, which every battery has: what surrounds it does not depend on how many there are.
const CHECK: &str = "check 192.0.2.7:80 --only fin-hole";
const SERVER: &str = "echo:ports=80";

#[test]
fn checks() {
    let text = told(SERVER, CHECK);
    assert!(text.starts_with("CHECK 192.0.2.7:80 from 192.0.2.100 via sim0, 1 check, "), "{text}");
    for part in
        ["\npath: round trip ", "\nserver: echoes, ", "\nFIN: we close first\n  PASS  fin-hole "]
    {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    assert!(text.contains("\n1 check in ") && text.ends_with("(exit status 0)"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(!text.contains("──▶"), "a PASS has no ladder unless it is asked for: {text}");
    let verbose = told(SERVER, &format!("{CHECK} -v"));
    assert!(verbose.contains("──▶ S 0:0(0) win ") && verbose.contains(" expected  "), "{verbose}");
    let quiet = told(SERVER, &format!("{CHECK} -q"));
    assert!(quiet.starts_with("1 check in ") && quiet.lines().count() == 3, "{quiet}");
    let tap = told(SERVER, &format!("{CHECK} --tap"));
    assert!(tap.starts_with("TAP version 14\n1..1\nok 1 - fin-hole: "), "{tap}");
    let explained = told("", "check --explain fin-hole");
    assert!(explained.starts_with("fin-hole  ") && explained.contains("◀──"), "{explained}");
    assert!(explained.contains("\n  verdict   pass: "), "{explained}");
}

#[test]
fn a_check_that_is_ended_early_has_a_complete_report() {
    for (sim, line, why) in [
        ("echo:ports=80,interrupt=500ms", CHECK, "Not complete: interrupted."),
        (SERVER, "check 192.0.2.7:80 --only fin-hole -w 2s", "Not complete: the deadline came."),
        ("closed", CHECK, "192.0.2.7:80 cannot be checked: nobody listens there"),
        ("silent", CHECK, "192.0.2.7:80 cannot be checked: it does not answer a SYN"),
    ] {
        let text = told(sim, line);
        assert!(text.contains(&format!("\n{why}")), "{text}");
        let json = String::from_utf8(output(sim, &format!("{line} --json")).stdout).expect("text");
        let parse = |line| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
        let records: Vec<_> = json.lines().map(parse).collect();
        assert_eq!(records.first().expect("a record")["type"], "run");
        let last = records.last().expect("a record");
        assert_eq!((&last["type"], &last["not_run"]), (&"summary".into(), &1.into()), "{last}");
    }
}

/// Whatever the checks are.
#[test]
fn checks_are_listed_with_their_groups() {
    let words = |line: &str| -> Vec<String> {
        let text = String::from_utf8(output("", line).stdout).expect("text");
        text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    };
    let all = words("check --list");
    let fin = words("check --list --group fin");
    assert!(fin.contains(&"fin-hole".to_owned()), "{fin:?}");
    assert!(fin.iter().filter(|word| word.contains('-')).all(|id| all.contains(id)));
    let list = String::from_utf8(output("", "check --list --json").stdout).expect("text");
    for line in list.lines() {
        let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(all.iter().any(|id| record["id"] == **id), "{record}");
        assert!(record["groups"].as_array().is_some_and(|groups| !groups.is_empty()), "{record}");
        for rule in record["rules"].as_array().expect("rules") {
            let url = rule["url"].as_str().expect("an address");
            assert!(url.starts_with("https://www.rfc-editor.org/rfc/rfc"), "{url}");
        }
    }
}

#[test]
fn the_files_of_a_check_are_whole() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (xml, captures, old) = (path("check.xml"), path("new/captures"), path("old.jsonl"));
    // What stood in the file before is longer than what comes.
    std::fs::write(&xml, "x".repeat(100_000)).expect("written");
    std::fs::write(&old, output(SERVER, &format!("{CHECK} --json -q")).stdout).expect("written");
    let line = format!("{CHECK} --junit {xml} --pcap-dir {captures} --baseline {old}");
    let text = told(SERVER, &line);
    assert!(text.contains("No change since '"), "{text}");
    let xml = std::fs::read_to_string(&xml).expect("a report");
    assert!(xml.starts_with("<?xml") && xml.ends_with("</testsuites>\n"), "{xml}");
    let files: Vec<_> = std::fs::read_dir(&captures).expect("a directory").collect();
    assert_eq!(files.len(), 1);
    let capture = std::fs::read(format!("{captures}/fin-hole.pcapng")).expect("a capture");
    let label = b"fin-hole: pass: ";
    assert!(capture.windows(label.len()).any(|window| window == label));
    // An earlier run in which it did better.
    let earlier = std::fs::read_to_string(&old).expect("text");
    let worse = earlier.replace("\"id\":\"fin-hole\"", "\"id\":\"fin-other\"");
    std::fs::write(&old, worse).expect("written");
    let text = told(SERVER, &line);
    assert!(text.contains("new check           fin-hole: pass"), "{text}");
    assert!(text.contains("not in this run     fin-other: was pass"), "{text}");
    // A file in the place of the directory.
    let line = format!("{CHECK} --pcap-dir {old}");
    let output = output(SERVER, &line);
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.ends_with("old.jsonl': it is no directory\n"), "{stderr}");
}

/// Losses and late answers among answered probes, all from one seed.
const ROUGH: &str = "echo:loss=0.2,jitter=30ms,seed=4";

#[test]
fn round_trip_times() {
    let line = "rtt 192.0.2.7:80 -c 12 -i 100ms -W 55ms";
    insta::assert_snapshot!("rtt-80", told(ROUGH, line));
    let mut wide = program(ROUGH, &format!("{line} --color always"));
    wide.env("COLUMNS", "120");
    insta::assert_snapshot!("rtt-120-colour", told_by(wide));
    insta::assert_snapshot!("rtt-quiet", told(ROUGH, &format!("{line} -q")));
    insta::assert_snapshot!("rtt-verbose", told(ROUGH, "rtt 192.0.2.7:80 -c 2 -v"));
    insta::assert_snapshot!("rtt-fin", told("echo:dwell=30ms", "rtt 192.0.2.7:80 -c 3 -m fin"));
    insta::assert_snapshot!(
        "rtt-flows",
        told(ROUGH, "rtt 192.0.2.7:80 -c 40 -i 50ms -q --flows 2 -g 5000")
    );
    insta::assert_snapshot!(
        "rtt-several",
        told("echo:ports=80", "rtt 192.0.2.7:80,81 [2001:db8::7]:80 -c 2 --warm-up 1")
    );
    insta::assert_snapshot!("rtt-silent", told("silent", "rtt 192.0.2.7:80 -c 2 -W 300ms"));
    insta::assert_snapshot!(
        "rtt-interrupted",
        told("echo:delay=300ms,interrupt=1500ms", "rtt 192.0.2.7:80 -i 400ms")
    );
    // Rows on stdout send the report to stderr.
    let Output { stdout, stderr, .. } = output(ROUGH, "rtt 192.0.2.7:80 -c 6 --csv - -q");
    insta::assert_snapshot!("rtt-csv", String::from_utf8_lossy(&stdout));
    assert!(String::from_utf8_lossy(&stderr).contains("6 packets transmitted"));
    insta::assert_snapshot!("rtt-json", told(ROUGH, &format!("{line} --json")));
    insta::assert_snapshot!("rtt-json-segments", told("echo", "rtt 192.0.2.7:80 -c 1 --json -v"));
}

#[test]
fn json() {
    insta::assert_snapshot!("json-handshake", told(ECHO, &format!("{HANDSHAKE} --json")));
    insta::assert_snapshot!(
        "json-close",
        told("greet", "close 192.0.2.7:80 --simultaneous --json")
    );
    insta::assert_snapshot!("json-probe", told("echo:ports=22", "probe 192.0.2.7:22,80 --json"));
    insta::assert_snapshot!("json-prohibited", told("prohibited", "handshake 192.0.2.7:80 --json"));
    for line in
        ["handshake 192.0.2.7:80 --json", "close 192.0.2.7:80 --json", "probe 192.0.2.7:80 --json"]
    {
        let text = String::from_utf8(output("echo:loss=0.3,seed=3", line).stdout).expect("text");
        let parse = |line| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
        let records: Vec<_> = text.lines().map(parse).collect();
        assert!(records.iter().all(|record| record["v"] == 1 && record["type"].is_string()));
        let (first, last) = (records.first(), records.last());
        assert_eq!(first.map(|record| record["type"] == "run"), Some(true));
        assert_eq!(last.map(|record| record["type"] == "summary"), Some(true));
    }
}

#[test]
fn exit_statuses() {
    for (sim, line, code) in [
        ("echo", "handshake 192.0.2.7:80", 0),
        ("closed", "handshake 192.0.2.7:80", 1),
        ("closed", "handshake 192.0.2.7:80 --expect refused", 0),
        ("echo", "handshake 192.0.2.7:80 --expect refused", 1),
        ("silent", "handshake 192.0.2.7:80 --expect refused,filtered", 0),
        ("unreachable", "handshake 192.0.2.7:80 --expect unreachable", 0),
        ("prohibited", "handshake 192.0.2.7:80", 1),
        ("echo", "close 192.0.2.7:80", 0),
        ("stubborn", "close 192.0.2.7:80", 1),
        ("stubborn", "close 192.0.2.7:80 --expect still-open", 0),
        ("stubborn", "close 192.0.2.7:80 --passive --expect other-shape", 0),
        ("reset", "close 192.0.2.7:80 --expect reset", 0),
        ("echo", "probe 192.0.2.7:1-40", 0),
        ("echo:ports=1", "probe 192.0.2.7:1-40", 1),
        ("echo:ports=1", "probe 192.0.2.7:1-40 --expect open,refused", 0),
        ("echo:interrupt=5ms", "probe 192.0.2.7:1", 1),
        ("echo", "rtt 192.0.2.7:80 -c 2", 0),
        ("echo:loss=0.5,seed=3", "rtt 192.0.2.7:80 -c 20 -i 100ms", 0),
        ("silent", "rtt 192.0.2.7:80 -c 2 -W 100ms", 1),
        ("closed", "rtt 192.0.2.7:80 -c 2", 1),
        ("closed", "rtt 192.0.2.7:80 -c 2 --expect refused", 0),
        ("echo:ports=80", "rtt 192.0.2.7:80,81 -c 2", 1),
        ("echo:interrupt=1ms", "rtt 192.0.2.7:80", 1),
        ("echo:interrupt=3s", "rtt 192.0.2.7:80", 0),
        ("echo", "rtt 192.0.2.7:80 -i 0.5ms -c 1", 2),
        (SERVER, CHECK, 0),
        ("closed", CHECK, 1),
        ("silent", CHECK, 1),
        ("echo:ports=80,interrupt=500ms", CHECK, 2),
        (SERVER, "check 192.0.2.7:80 --only fin-hole -w 2s", 2),
        ("stubborn", CHECK, 0),
        ("echo", "handshake 192.0.2.7", 2),
        ("nonsense", "handshake 192.0.2.7:80", 2),
        ("echo:seed=x", "probe 192.0.2.7:80", 2),
    ] {
        assert_eq!(status(sim, line), code, "{sim} {line}");
    }
}

#[test]
fn the_same_seed_prints_the_same_bytes_and_another_does_not() {
    let bad = |seed| format!("echo:seed={seed},loss=0.3,jitter=5ms,duplicate=0.2,corrupt=0.1");
    let line = "handshake 192.0.2.7:80 --send hello --json";
    for seed in 1..10 {
        assert_eq!(output(&bad(seed), line).stdout, output(&bad(seed), line).stdout);
    }
    assert_ne!(output(&bad(1), line).stdout, output(&bad(2), line).stdout);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    for line in [
        "handshake 192.0.2.7:80",
        "probe 192.0.2.7:1-400",
        "probe 192.0.2.7:1-400 --json",
        // Without end, as far as it is concerned.
        "rtt 192.0.2.7:80 -i 10ms",
        "rtt 192.0.2.7:80 -i 10ms --json",
        CHECK,
        "check 192.0.2.7:80 --only fin-hole --json",
    ] {
        let mut child = program("echo", line)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start");
        let mut out = child.stdout.take().expect("a pipe");
        out.read_exact(&mut [0; 8]).expect("a beginning");
        drop(out);
        let Output { status, stderr, .. } = child.wait_with_output().expect("an end");
        assert_eq!(
            (status.code(), String::from_utf8_lossy(&stderr).as_ref()),
            (Some(0), ""),
            "{line}"
        );
    }
}

#[test]
fn without_the_variable_nothing_is_simulated() {
    // A source address that no host has, for which a simulation does not care: the real path
    // complains of it before anything is sent, with or without privilege.
    let line = "handshake 127.0.0.1:80 -S 192.0.2.1";
    assert_eq!(status("echo", line), 0);
    let output = program("echo", line).env_remove("SHAKEDOWN_SIM").output();
    let output = output.expect("run");
    assert_eq!(output.status.code(), Some(2));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("sim0"));
}
