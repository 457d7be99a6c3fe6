//! The manual pages in the repository are those of the command line as it is.

#![allow(clippy::expect_used)] // A helper of a test fails it in the same way as the test does.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;

#[test]
fn the_manual_in_the_repository_is_fresh() {
    let fresh = tempfile::tempdir().expect("scratch directory");
    let status =
        Command::new(cargo_bin("shakedown")).arg("generate-man").arg(fresh.path()).status();
    assert!(status.expect("the program runs").success());
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    let remedy = "'cargo run -- generate-man man' brings it up to date";
    assert_eq!(names(&kept), names(fresh.path()), "{remedy}");
    for name in names(fresh.path()) {
        let read = |directory: &Path| std::fs::read(directory.join(&name)).expect("a page");
        assert!(read(&kept) == read(fresh.path()), "man/{name} is stale: {remedy}");
    }
}

#[test]
fn there_is_a_page_for_each_subcommand_that_help_lists_and_no_other() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    let pages = [
        "check",
        "close",
        "completions",
        "demo",
        "doctor",
        "explain",
        "handshake",
        "listen",
        "probe",
        "request",
        "rtt",
        "sweep",
    ];
    let mut expected: BTreeSet<String> =
        pages.iter().map(|name| format!("shakedown-{name}.1")).collect();
    expected.insert("shakedown.1".to_owned());
    assert_eq!(names(&kept), expected);
}

/// The pages of a directory; the pictures of the README lie in one below it.
fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    entries
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| !entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
