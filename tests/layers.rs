//! The layer rule: which room of the crate may use which, and how large a file may grow.
//!
//! The sources are read as tokens, so that comments and strings do not count and grouped, nested or
//! relative paths do.

#![allow(clippy::unwrap_used)] // a source that cannot be read fails the test

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

/// What each room may use, beside itself: a room, or a path within one.
const RULES: &[(&str, &[&str])] = &[
    ("main", &["cli", "cmd"]),
    ("lib", &[]),
    ("cli", &[]),
    (
        "cmd",
        &[
            "cli", "report", "check", "sweep", "http", "driver", "net", "tcp", "event", "wire",
            "stats", "time",
        ],
    ),
    ("report", &["event", "wire", "tcp::state", "net::Dir", "net::GuardKind", "stats", "time"]),
    ("check", &["net", "wire", "event", "time"]),
    ("sweep", &["net", "wire", "event", "time"]),
    ("http", &["event"]),
    ("driver", &["tcp", "net", "wire", "event", "time"]),
    ("net", &["wire", "time"]),
    ("tcp", &["wire", "time"]),
    ("event", &["tcp::state", "net::Dir", "net::GuardKind", "wire", "stats", "time"]),
    ("wire", &["time"]),
    ("stats", &["time"]),
    ("time", &[]),
];

/// Lines of the longest file that is still easy to hold in the head.
const MAX_LINES: usize = 600;

#[test]
fn every_room_uses_only_what_lies_below_it() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        broken.extend(violations(&path, &text));
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_file_outgrows_its_reader() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "longer than {MAX_LINES} lines: {long:?}");
}

#[test]
fn the_scanner_catches_what_it_is_for() {
    let broken = |path: &str, text: &str| violations(Path::new(path), text);
    assert_eq!(
        broken("tcp/input.rs", "use std::fmt;\nuse crate::net::Wire;\n"),
        ["src/tcp/input.rs:2: tcp may not use net::Wire (it may use: wire, time)"]
    );
    // Groups, nesting, renaming, several lines.
    let grouped =
        "use crate::{\n  time::Instant as At,\n  tcp::{state::State, Connection},\n  net,\n};";
    assert_eq!(broken("driver.rs", grouped), Vec::<String>::new());
    let found = broken("report/json.rs", grouped);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("src/report/json.rs:3: report may not use tcp::Connection"));
    assert!(found[1].starts_with("src/report/json.rs:4: report may not use net "));
    // Paths that are not imports, and the ways around the word `crate`.
    assert_eq!(broken("wire/seq.rs", "fn f(x: crate::event::Event) {}").len(), 1);
    assert_eq!(broken("wire/seq.rs", "use super::super::tcp;").len(), 1);
    assert_eq!(broken("wire/mod.rs", "use super::{tcp, time};").len(), 1);
    assert_eq!(broken("main.rs", "fn main() { shakedown::driver::run() }").len(), 1);
    assert_eq!(broken("wire/mod.rs", "macro_rules! m { () => { $crate::net::f() } }").len(), 1);
    assert_eq!(broken("net/sim/link.rs", "use crate::*;").len(), 1);
    assert_eq!(broken("cellar/wine.rs", "use crate::time::Instant;").len(), 1, "a room unheard of");
    // What only looks like a use.
    let innocent = r##"
        //! See [`crate::tcp`] and use crate::tcp; /* use crate::tcp::Connection; */
        const TEXT: &str = "use crate::tcp; \" crate::tcp";
        const RAW: &str = r#"crate::tcp "quoted" crate::tcp"#;
        const CHAR: char = '"'; fn f<'a>(x: &'a u8) {} /* crate::tcp /* nested */ crate::tcp */
        pub(crate) fn g() {}
        mod tests { use super::tcp; use super::*; }
    "##;
    assert_eq!(broken("net/mod.rs", innocent), Vec::<String>::new());
    assert_eq!(broken("net/mod.rs", "mod tests { use super::super::tcp; }").len(), 1);
}

/// Every source file, by its path below `src`, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(!files.is_empty());
    files.sort();
    files
}

/// Each use of a room that the table does not allow, as `file:line: rule`.
fn violations(path: &Path, text: &str) -> Vec<String> {
    let module = module_path(path);
    let room = module.first().map_or_else(
        || path.file_stem().unwrap().to_str().unwrap().to_owned(), // main and lib
        Clone::clone,
    );
    let Some((_, allowed)) = RULES.iter().find(|(name, _)| *name == room) else {
        return vec![format!("src/{}: room `{room}` is not in the table", path.display())];
    };
    let within = |path: &str, rule: &str| {
        path.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    uses(&tokens(text), module.len())
        .into_iter()
        .filter(|(_, used)| !within(used, &room) && !allowed.iter().any(|rule| within(used, rule)))
        .map(|(line, used)| {
            let allowed = if allowed.is_empty() { "nothing".into() } else { allowed.join(", ") };
            let path = path.display();
            format!("src/{path}:{line}: {room} may not use {used} (it may use: {allowed})")
        })
        .collect()
}

/// The module that a file is: `net/sim/link.rs` is `[net, sim, link]`, `net/mod.rs` is `[net]`.
fn module_path(path: &Path) -> Vec<String> {
    let path = path.with_extension("");
    let mut parts: Vec<_> = path.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&&**last)) {
        parts.pop();
    }
    parts
}

struct Token {
    line: usize,
    text: String,
}

/// The words and signs of a source text, without comments, strings, characters and lifetimes.
/// `::` is one sign.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (length, counts) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (comment_length(rest), false)
        } else if let Some(length) = string_length(rest) {
            (length, false)
        } else if word > 0 {
            (word, true)
        } else if rest.starts_with("::") {
            (2, true)
        } else {
            (first.len_utf8(), !first.is_whitespace())
        };
        if counts {
            tokens.push(Token { line, text: rest[..length].to_owned() });
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// The length of the block comment at the start of `text`; such comments nest.
fn comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let step = match text.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step.0;
        depth += step.1;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the string, raw string, character or lifetime at the start of `text`.
fn string_length(text: &str) -> Option<usize> {
    let after_prefix = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - after_prefix.len();
    if prefix <= 1 && after_prefix.starts_with('r') {
        let body = after_prefix[1..].trim_start_matches('#');
        let hashes = after_prefix.len() - 1 - body.len();
        if let Some(inside) = body.strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let length = inside.find(&end).map_or(body.len(), |at| 1 + at + end.len());
            return Some(prefix + 1 + hashes + length);
        }
    }
    let quote = after_prefix.chars().next().filter(|c| prefix <= 1 && ['"', '\''].contains(c))?;
    let is_lifetime = || {
        let mut next = after_prefix[1..].chars();
        next.next().is_some_and(|c| c.is_alphabetic() || c == '_') && next.next() != Some('\'')
    };
    if quote == '\'' && is_lifetime() {
        return Some(prefix + 1);
    }
    let mut escaped = false;
    let end = after_prefix[1..].char_indices().find(|(_, c)| {
        let ends = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    Some(end.map_or(text.len(), |(at, _)| prefix + 1 + at + 1))
}

/// Every path from the crate's root, by its line: the room and the name in it.
///
/// `depth` is how many modules the file lies below the root: so many times `super` leads there.
fn uses(tokens: &[Token], depth: usize) -> Vec<(usize, String)> {
    let text = |at: usize| tokens.get(at).map_or("", |token| &*token.text);
    let mut found = Vec::new();
    // For each open brace, whether it is that of a module.
    let mut braces: Vec<bool> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match text(at) {
            "{" => braces.push(at >= 2 && text(at - 2) == "mod"),
            "}" => drop(braces.pop()),
            "crate" | "shakedown" if text(at + 1) == "::" => {
                branches(tokens, at + 2, &mut VecDeque::new(), &mut found);
            }
            "super" if text(at + 1) == "::" && (at == 0 || text(at - 1) != "::") => {
                let mut supers = 0;
                while text(at) == "super" && text(at + 1) == "::" {
                    supers += 1;
                    at += 2;
                }
                if supers == depth + braces.iter().filter(|is_module| **is_module).count() {
                    branches(tokens, at, &mut VecDeque::new(), &mut found);
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads the tree of paths at `at`, each below `stem`, and returns where it ends.
fn branches(
    tokens: &[Token],
    mut at: usize,
    stem: &mut VecDeque<String>,
    found: &mut Vec<(usize, String)>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| &*token.text);
    if text(at) == "{" {
        at += 1;
        while !["}", ""].contains(&text(at)) {
            at = branches(tokens, at, stem, found);
            // A renaming, a comma.
            while ![",", "}", ""].contains(&text(at)) {
                at += 1;
            }
            at += usize::from(text(at) == ",");
        }
        return at + 1;
    }
    stem.push_back(text(at).to_owned());
    let end = if text(at + 1) == "::" && stem.len() < 2 {
        branches(tokens, at + 2, stem, found)
    } else {
        let line = tokens.get(at).map_or(0, |token| token.line);
        found.push((line, stem.iter().cloned().collect::<Vec<_>>().join("::")));
        // The rest of a longer path, its groups included, belongs to the same room.
        skip_path(tokens, at + 1)
    };
    stem.pop_back();
    end
}

/// Where the path that goes on at `at` ends.
fn skip_path(tokens: &[Token], mut at: usize) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| &*token.text);
    while text(at) == "::" {
        at += 1;
        if text(at) == "{" {
            let mut depth = 0;
            loop {
                match text(at) {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 || text(at).is_empty() {
                    return at;
                }
            }
        }
        at += 1;
    }
    at
}
