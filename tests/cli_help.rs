//! The help texts, exactly as a terminal of 80 columns shows them.

#![allow(clippy::expect_used)] // A helper of a test fails it in the same way as the test does.

use clap::{Command, CommandFactory};
use shakedown::cli::Cli;

/// The help of a subcommand, or of the whole program, at a width that is the same everywhere.
fn help(name: Option<&str>, long: bool) -> String {
    let mut root = Cli::command().term_width(80);
    root.build();
    let command: &mut Command = match name {
        Some(name) => root.find_subcommand_mut(name).expect("a subcommand"),
        None => &mut root,
    };
    if long { command.render_long_help() } else { command.render_help() }.to_string()
}

const NAMES: [&str; 12] = [
    "handshake",
    "close",
    "probe",
    "rtt",
    "check",
    "sweep",
    "listen",
    "explain",
    "request",
    "doctor",
    "demo",
    "completions",
];

#[test]
fn short_help_is_as_recorded() {
    insta::assert_snapshot!("short", help(None, false));
    for name in NAMES {
        insta::assert_snapshot!(format!("{name}-short"), help(Some(name), false));
    }
}

#[test]
fn long_help_is_as_recorded() {
    insta::assert_snapshot!("long", help(None, true));
    for name in NAMES {
        insta::assert_snapshot!(format!("{name}-long"), help(Some(name), true));
    }
}

#[test]
fn no_line_of_help_is_wider_than_80_columns() {
    for name in NAMES.map(Some).into_iter().chain([None]) {
        for line in help(name, true).lines().chain(help(name, false).lines()) {
            assert!(line.chars().count() <= 80, "{name:?}: {line}");
        }
    }
}

/// What the examples of a long help show is accepted by the parser: options do not rot unseen.
#[test]
fn every_example_of_the_help_can_be_parsed() {
    let mut parsed = 0;
    for name in NAMES.map(Some).into_iter().chain([None]) {
        let text = help(name, true).replace("\\\n", " ");
        for line in text.lines() {
            let Some(arguments) = line.strip_prefix("  shakedown ") else { continue };
            let words = words(arguments.split(['>', '|']).next().unwrap_or_default());
            let words = std::iter::once("shakedown".to_owned()).chain(words);
            let result = Cli::command().try_get_matches_from(words);
            assert!(result.is_ok(), "{line}: {result:?}");
            parsed += 1;
        }
    }
    assert!(parsed > 20, "{parsed} examples found");
}

/// Words as a shell splits them, as far as the examples need it: spaces and single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}
