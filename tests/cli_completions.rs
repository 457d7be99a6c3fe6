//! The completion scripts.

#![allow(clippy::expect_used)] // A helper of a test fails it in the same way as the test does.

use std::io::Write;
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;

fn script(shell: &str) -> Vec<u8> {
    let output = Command::new(cargo_bin("shakedown")).args(["completions", shell]).output();
    let output = output.expect("the program runs");
    assert!(output.status.success() && output.stderr.is_empty());
    output.stdout
}

#[test]
fn each_shell_gets_a_script_that_knows_the_subcommands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = String::from_utf8(script(shell)).expect("text");
        for word in ["handshake", "close", "probe", "doctor", "simultaneous", "no-sack"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn bash_accepts_its_script() {
    let bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut bash = bash.expect("bash is installed");
    bash.stdin.take().expect("a pipe").write_all(&script("bash")).expect("bash reads it");
    let output = bash.wait_with_output().expect("bash ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    for words in [&["completions", "bash"][..], &["--help"], &["-V"]] {
        let mut program = Command::new(cargo_bin("shakedown"));
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = program.args(words).stdout(writer).stderr(Stdio::piped()).output();
        let output = output.expect("the program runs");
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert!(output.stderr.is_empty(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
