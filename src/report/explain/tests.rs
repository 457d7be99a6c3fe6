//! The tables are complete, and both languages say the same.

use super::sayings;
use super::terms::{self, Term};
use super::text::{Text, places};

/// What a run can put into a saying.
const PLACES: [&str; 21] = [
    "from", "to", "who", "seq", "ack", "isn", "next", "first", "last", "fin", "expected", "bytes",
    "acked", "gap", "blocks", "why", "state", "believed", "segment", "router", "time",
];

/// Every text of the dictionary, with the term's name.
fn texts() -> Vec<(&'static str, Text)> {
    let mut texts = Vec::new();
    for term in terms::all() {
        let name = term.names()[0];
        match term {
            Term::Entry(entry) => {
                texts.extend([(name, entry.name), (name, entry.short), (name, entry.more)]);
            }
            Term::State(state) => {
                let entry = terms::of_state(state);
                let all =
                    [entry.meaning, entry.end, entry.entered, entry.left, entry.lasts, entry.known];
                texts.extend(all.map(|text| (name, text)));
            }
        }
    }
    texts
}

fn has_chinese(text: &str) -> bool {
    text.chars().any(|character| ('\u{4e00}'..='\u{9fff}').contains(&character))
}

#[test]
fn both_languages_have_the_same_places() {
    for (name, saying) in sayings::all() {
        let (en, zh) = (places(saying.text.en), places(saying.text.zh));
        assert_eq!(en, zh, "{name}");
        assert!(en.iter().all(|place| PLACES.contains(&&**place)), "{name}: {en:?}");
    }
}

#[test]
fn every_text_is_there_in_both_languages() {
    let sayings = sayings::all().into_iter().map(|(name, saying)| (name, saying.text));
    for (name, text) in sayings {
        assert!(text.en.len() > 5 && has_chinese(text.zh), "{name}");
    }
    for (name, text) in texts() {
        assert!(!text.en.is_empty() && !text.zh.is_empty(), "{name}");
        // The names of flags, and some abbreviations, are the same in both.
        assert!(has_chinese(text.zh) || text.en == text.zh || text.zh.is_ascii(), "{name}");
    }
    assert!(sayings::all().len() > 90 && terms::all().len() > 80);
}

#[test]
fn english_is_ascii_and_chinese_uses_its_own_marks() {
    let sayings = sayings::all().into_iter().map(|(name, saying)| (name, saying.text));
    for (name, text) in sayings.chain(texts()) {
        assert!(text.en.is_ascii(), "{name}: {}", text.en);
        assert!(!has_chinese(text.en), "{name}");
        // A Chinese sentence ends with a Chinese stop, and has no Latin comma behind a character.
        let characters: Vec<char> = text.zh.chars().collect();
        for pair in characters.windows(2) {
            let latin = [',', ';', ':', '?', '!', '('].contains(&pair[1]);
            assert!(!(latin && has_chinese(&pair[0].to_string())), "{name}: {}", text.zh);
        }
        assert!(!text.zh.contains("  ") && !text.en.contains("  "), "{name}");
    }
}

#[test]
fn sentences_end_and_meanings_do_not() {
    for (name, saying) in sayings::all() {
        // A piece of a sentence.
        if name == "GAP" {
            continue;
        }
        let (en, zh) = (saying.text.en, saying.text.zh);
        assert!(en.ends_with('.') || en.ends_with("{why}"), "{name}: {en}");
        assert!(zh.ends_with('。') || zh.ends_with("{why}"), "{name}: {zh}");
    }
    for term in terms::all() {
        let Term::Entry(entry) = term else { continue };
        let name = entry.name.en;
        assert!(!entry.short.en.ends_with('.') && !entry.short.zh.ends_with('。'), "{name}");
        assert!(entry.more.en.ends_with('.') && entry.more.zh.ends_with('。'), "{name}");
        assert!(!entry.rules.is_empty(), "{name} has no clause");
    }
}
