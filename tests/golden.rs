//! The real program over its simulated network: what it prints, to the byte, and how it exits.
//!
//! `SHAKEDOWN_SIM` (see `src/cmd/sim`) gives virtual time and a seed, so that nothing varies and
//! nothing needs privilege.

#![allow(clippy::expect_used)] // A helper of a test fails it in the same way as the test does.

use std::io::Read as _;
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;

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
