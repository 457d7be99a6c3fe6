//! Packets that somebody may send us, replayed: each must be read as it was when it was put into
//! the corpus, and no damage done to it may break an invariant.
//!
//! `tests/corpus/packet` holds whole IP packets, `tests/corpus/options` option lists, and
//! `tests/corpus/sweep_answer` packets for a sweep behind two bytes that say how they are looked at
//! (`tests/invariants/sweep.rs`). `tests/corpus/listener` holds segments of clients, in the notation of
//! `tests/invariants/listener.rs`. They are the seeds of the fuzz targets in `tests/fuzz` as well; a crash found there belongs here, under a name
//! that says what is wrong with it.

#![allow(clippy::unwrap_used)]

mod invariants;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use shakedown::net::sim::Rng;
use shakedown::wire::MAX_OPTIONS_LEN;

/// The files of a corpus, by name.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn every_packet_of_the_corpus_is_read_as_before() {
    let mut read = String::new();
    for (name, bytes) in corpus("packet") {
        writeln!(read, "{name}\n    {}", invariants::packet(&bytes)).unwrap();
    }
    insta::assert_snapshot!(read);
}

#[test]
fn every_option_list_of_the_corpus_is_read_as_before() {
    let mut read = String::new();
    for (name, bytes) in corpus("options") {
        let options: Vec<_> = invariants::options(&bytes).iter().map(ToString::to_string).collect();
        writeln!(read, "{name}\n    {}", options.join(", ")).unwrap();
    }
    insta::assert_snapshot!(read);
}

#[test]
fn every_answer_of_the_corpus_is_judged_as_before() {
    let mut read = String::new();
    for (name, bytes) in corpus("sweep_answer") {
        writeln!(read, "{name}\n    {}", invariants::sweep::answer(&bytes)).unwrap();
    }
    insta::assert_snapshot!(read);
}

#[test]
fn every_crowd_of_the_corpus_is_served_as_before() {
    let mut read = String::new();
    for (name, bytes) in corpus("listener") {
        writeln!(read, "{name}\n    {}", invariants::listener::listener(&bytes)).unwrap();
    }
    insta::assert_snapshot!(read);
}

/// A fuzzer's round without a fuzzer: each seed damaged a few hundred times, the same way in every
/// run.
#[test]
fn no_damage_to_the_corpus_breaks_an_invariant() {
    let mut rng = Rng::new(0);
    for (_, seed) in corpus("packet") {
        for _ in 0..500 {
            invariants::packet(&damaged(&seed, &mut rng));
        }
    }
    for (_, seed) in corpus("sweep_answer") {
        for _ in 0..500 {
            invariants::sweep::answer(&damaged(&seed, &mut rng));
        }
    }
    for (_, seed) in corpus("listener") {
        for _ in 0..100 {
            invariants::listener::listener(&damaged(&seed, &mut rng));
        }
    }
    for (_, seed) in corpus("options") {
        for _ in 0..500 {
            let mut bytes = damaged(&seed, &mut rng);
            bytes.truncate(MAX_OPTIONS_LEN);
            invariants::options(&bytes);
        }
    }
}

/// `seed` with one to four changes: a bit flipped, a byte replaced by a telling one, cut short,
/// grown, or a piece repeated.
fn damaged(seed: &[u8], rng: &mut Rng) -> Vec<u8> {
    const TELLING: [u8; 8] = [0, 1, 2, 0x45, 0x60, 0x7f, 0x80, 0xff];
    let mut bytes = seed.to_vec();
    for _ in 0..=rng.below(4) {
        let place = rng.below(bytes.len() as u64) as usize;
        match rng.below(5) {
            0 if !bytes.is_empty() => bytes[place] ^= 1 << rng.below(8),
            1 if !bytes.is_empty() => bytes[place] = TELLING[rng.below(8) as usize],
            2 => bytes.truncate(place),
            3 => bytes.push(TELLING[rng.below(8) as usize]),
            _ => bytes.extend_from_within(place..),
        }
    }
    bytes
}
