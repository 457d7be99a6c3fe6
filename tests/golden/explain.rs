//! Explanations: of the steps of a run, and of single terms.

use unicode_width::UnicodeWidthStr as _;

use super::{ECHO, HANDSHAKE, LISTEN, output, program, told, told_by};

/// What is told with explanations, in a language.
fn explained(sim: &str, line: &str, lang: &str) -> String {
    told(sim, &format!("{line} --explain --lang {lang}"))
}

/// The runs that are explained: a name, the far end, the command.
const EXPLAINED: [(&str, &str, &str); 14] = [
    ("handshake", ECHO, HANDSHAKE),
    ("refused", "closed", "handshake 192.0.2.7:80"),
    ("filtered", "silent", "handshake 192.0.2.7:80"),
    ("prohibited", "prohibited", "handshake 192.0.2.7:80"),
    ("syn-lost", "echo:drop=tx1", "handshake 192.0.2.7:80"),
    ("close-active", ECHO, "close 192.0.2.7:80"),
    ("close-passive", "greet", "close 192.0.2.7:80 --passive"),
    ("close-simultaneous", "greet", "close 192.0.2.7:80 --simultaneous"),
    ("close-half", "answer:dwell=30ms", "close 192.0.2.7:80 --half --send ping"),
    ("close-last-ack-lost", "echo:drop=tx4", "close 192.0.2.7:80"),
    ("close-reset", "reset", "close 192.0.2.7:80 --half"),
    ("probe", "echo:ports=22", "probe 192.0.2.7:22,80"),
    ("listen", "call", "listen 192.0.2.100:80 --echo -c 1"),
    ("request", "web", "request http://192.0.2.7/ -c 2"),
];

#[test]
fn explanations() {
    for (name, sim, line) in EXPLAINED {
        for lang in ["en", "zh"] {
            insta::assert_snapshot!(format!("explain-{name}-{lang}"), explained(sim, line, lang));
        }
    }
    let at_once = format!("{LISTEN} -c 1 --simultaneous-open --close-after 0");
    insta::assert_snapshot!("explain-open-at-once-en", explained("hold", &at_once, "en"));
    insta::assert_snapshot!("explain-open-at-once-zh", explained("hold", &at_once, "zh"));
    for (name, variable, value, more) in [
        ("explain-120-colour-zh", "COLUMNS", "120", "--lang zh --color always"),
        ("explain-40-zh", "COLUMNS", "40", "--lang zh"),
        ("explain-40-en", "COLUMNS", "40", "--lang en"),
        ("explain-ascii-en", "LC_ALL", "C", "--absolute"),
        ("explain-locale-zh", "LC_ALL", "zh_CN.UTF-8", ""),
    ] {
        let mut command = program(ECHO, format!("{HANDSHAKE} --explain {more}").trim_end());
        command.env(variable, value);
        insta::assert_snapshot!(name, told_by(command));
    }
    insta::assert_snapshot!(
        "explain-json-zh",
        told(ECHO, "close 192.0.2.7:80 --json --explain --lang zh")
    );
}

/// Whether the ladder is drawn only where it is asked for.
fn on_demand(name: &str) -> bool {
    matches!(name, "probe" | "request")
}

/// What a segment carried stands below that segment, before the gap to the next step: behind the gap
/// it would seem to belong to what follows.
#[test]
fn what_a_segment_carried_stands_with_it() {
    let text = explained("web", "request http://192.0.2.7/ -c 2", "en");
    let lines: Vec<&str> = text.lines().collect();
    let is_gap = |line: &str| line.trim_matches([' ', '\u{2502}']).is_empty();
    let mut seen = 0;
    for pair in lines.windows(2) {
        if ["    request ", "    response "].iter().any(|what| pair[1].contains(what)) {
            assert!(!is_gap(pair[0]), "{} is behind a gap:\n{text}", pair[1]);
            seen += 1;
        }
    }
    assert!(seen >= 4, "{text}");
}

/// In every run: nothing is left to be filled in, what the drawing says is still there, and no line
/// is wider than the terminal, however wide its characters are.
#[test]
fn explanations_fit_and_leave_the_ladder_as_it_is() {
    for (name, sim, line) in EXPLAINED {
        // With -v there is more below an arrow, in both.
        let line = if on_demand(name) { format!("{line} -v") } else { line.to_owned() };
        let plain = told(sim, &line);
        for lang in ["en", "zh"] {
            for columns in ["40", "80", "120"] {
                let mut command = program(sim, &format!("{line} --explain --lang {lang}"));
                let text = told_by({
                    command.env("COLUMNS", columns);
                    command
                });
                assert!(!text.contains(['{', '}']), "{name} {lang}: {text}");
                let most = columns.parse().expect("a number");
                let is_explanation = |line: &&str| line.contains('»') || line.contains('·');
                // A narrow terminal breaks the ladder itself, which is never below 80 columns, and
                // the line of a client is one line anywhere.
                for line in text
                    .lines()
                    .filter(|line| most > 40 && !line.starts_with('#') || is_explanation(line))
                {
                    assert!(line.width() <= most, "{name} {lang} {columns}: {line}");
                }
                assert!(text.lines().filter(is_explanation).count() > 8, "{name}: {text}");
                if columns == "80" && name != "probe" {
                    let mut lines = text.lines();
                    for line in plain.lines().filter(|line| !line.is_empty()) {
                        assert!(lines.any(|shown| shown == line), "{name} {lang}: lost {line}");
                    }
                }
            }
        }
    }
}

#[test]
fn terms_are_explained() {
    for lang in ["en", "zh"] {
        for (name, term) in [
            ("state", "fin_wait1"),
            ("time-wait", "TIME-WAIT"),
            ("closed", "closed"),
            ("flag", "rst"),
            ("field", "sequence number"),
            ("option", "wscale"),
            ("timer", "2msl"),
            ("concept", "半关闭"),
            ("check", "FIN_HOLE"),
            ("segment", "segment"),
        ] {
            let page = told("", &format!("explain {term} --lang {lang}"));
            insta::assert_snapshot!(format!("explain-term-{name}-{lang}"), page);
        }
        insta::assert_snapshot!(
            format!("explain-terms-{lang}"),
            told("", &format!("explain --lang {lang}"))
        );
        let mut narrow = program("", &format!("explain segment --lang {lang}"));
        narrow.env("COLUMNS", "40");
        insta::assert_snapshot!(format!("explain-term-segment-40-{lang}"), told_by(narrow));
    }
    let mut coloured = program("", "explain syn-sent --color always");
    coloured.env("LC_ALL", "zh_CN.UTF-8");
    insta::assert_snapshot!("explain-term-state-colour", told_by(coloured));
}

/// What a program reads: the same words, each in a field of its own.
#[test]
fn terms_are_explained_to_programs() {
    for (name, line) in [
        ("explain-json-state", "explain fin_wait1 --json --lang en"),
        ("explain-json-segment", "explain segment --json --lang zh"),
        ("explain-json-check", "explain FIN_HOLE --json"),
    ] {
        insta::assert_snapshot!(name, told("", line));
    }
    let all = told("", "explain --json");
    let records = all.lines().filter_map(|line| serde_json::from_str(line).ok());
    let records: Vec<serde_json::Value> = records.collect();
    let of = |kind: &str| records.iter().filter(|record| record["type"] == kind).count();
    assert!(of("term") > 80 && of("check") > 100, "{} and {}", of("term"), of("check"));
    assert_eq!(of("term") + of("check"), all.lines().count() - 1, "but for the exit status");
    for record in records.iter().filter(|record| record["type"] == "term") {
        let text = |name: &str| record[name].as_str().is_some_and(|text| !text.is_empty());
        assert!(["term", "kind", "lang", "meaning"].into_iter().all(text), "{record}");
        let url = record["rules"][0]["url"].as_str();
        assert!(url.is_some_and(|url| url.starts_with("https://")), "{record}");
    }
    let unknown = output("", "explain nonesuch --json");
    assert_eq!((unknown.status.code(), unknown.stdout.is_empty()), (Some(2), true));
}

/// Every term of the list has a page, at every width, in both languages.
#[test]
fn every_page_fits() {
    // A comma also between the last term of a kind and the first of the next.
    let list = told("", "explain --lang en").replace("\n\n", ",\n\n");
    let words = list.lines().filter(|line| line.starts_with("  ")).collect::<Vec<_>>().join(" ");
    let terms: Vec<&str> =
        words.split(',').map(str::trim).filter(|term| !term.is_empty()).collect();
    assert!(terms.len() > 200, "{} terms", terms.len());
    // A program for each takes time; each kind has a dozen of these.
    for term in terms.iter().step_by(7) {
        let term = term.split_whitespace().collect::<Vec<_>>().join(" ");
        for (lang, columns) in [("en", "40"), ("zh", "40"), ("en", "80"), ("zh", "80")] {
            let mut command = program("", &format!("explain {term} --lang {lang}"));
            command.env("COLUMNS", columns);
            let text = told_by(command);
            assert!(text.contains("RFC "), "{term}: {text}");
            let most = columns.parse().expect("a number");
            for line in text.lines() {
                assert!(line.width() <= most, "{term} {lang} {columns}: {line}");
            }
        }
    }
}
