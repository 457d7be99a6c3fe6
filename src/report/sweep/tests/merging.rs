//! Reports of shards, united; and what is said where they cannot be.

use std::io::{self, Read};
use std::net::Ipv4Addr;

use proptest::prelude::*;

use crate::event::{
    Found, RttBy, SweepAccount, SweepEnd, SweepLoss, SweepOutcome, SweepPass, SweepRtt, SweepRun,
    SweepShard, SweepSink,
};
use crate::report::human::Style;
use crate::report::sweep::merge::{Merge, MergeError, SweepReport};
use crate::report::sweep::testkit::{end, found, run, tell};
use crate::report::sweep::*;

/// A report in memory.
fn report(name: &str, text: impl Into<Vec<u8>>) -> SweepReport {
    let text = text.into();
    let open = move || Ok(Box::new(io::Cursor::new(text.clone())) as Box<dyn Read>);
    SweepReport { name: name.to_owned(), open: Box::new(open) }
}

/// A target of a space: every third is open, every third refuses.
fn target(position: u64) -> Option<Found> {
    let outcome = [Some(SweepOutcome::Open), Some(SweepOutcome::Refused), None];
    let outcome = outcome[usize::try_from(position % 3).unwrap()]?;
    let addr = Ipv4Addr::from(u32::try_from(position).unwrap() + 0x0a00_0000);
    let nanos = 1_000 + position;
    let rtt = Some(SweepRtt { nanos, by: RttBy::Timestamp, error_nanos: 1_000 });
    Some(Found { rtt, pass: Some(1), ..Found::new(addr.into(), 80, outcome) })
}

/// What a shard reports of `of` targets.
fn shard_run(of: u64, index: u32, count: u32) -> SweepRun {
    let bound = |index: u32| of * u64::from(index) / u64::from(count);
    SweepRun {
        hosts: of,
        targets: of,
        positions: bound(index)..bound(index + 1),
        shard: Some(SweepShard { index, count }),
        ..run()
    }
}

fn shard_end(run: &SweepRun) -> SweepEnd {
    let found = || run.positions.clone().filter_map(target);
    let open = found().filter(|found| found.outcome.is_open()).count() as u64;
    let answered = found().count() as u64;
    let all = run.positions.end - run.positions.start;
    SweepEnd {
        account: SweepAccount {
            open,
            refused: answered - open,
            silent: all - answered,
            ..SweepAccount::default()
        },
        passes: vec![SweepPass { sent: all, answered }, SweepPass::default()],
        loss: Some(SweepLoss { ppm: 1_000 * (run.shard.unwrap().index + 1), error_ppm: 100 }),
        ..end()
    }
}

fn shard(of: u64, index: u32, count: u32) -> String {
    let run = shard_run(of, index, count);
    let found: Vec<Found> = run.positions.clone().filter_map(target).collect();
    let mut out = Vec::new();
    let sink = SweepJson::new(&mut out, &Fields::default());
    tell(sink, &run, &found, &shard_end(&run));
    String::from_utf8(out).unwrap()
}

fn shards(of: u64, count: u32) -> Vec<SweepReport> {
    (0..count).map(|index| report(&format!("'{index}.jsonl'"), shard(of, index, count))).collect()
}

fn united(merge: &Merge) -> String {
    let mut out = Vec::new();
    merge.tell(&mut SweepFan::new().with(SweepJson::new(&mut out, &Fields::default()))).unwrap();
    super::without_version(&out)
}

fn problems(reports: Vec<SweepReport>) -> String {
    Merge::prove(reports).expect_err("not proved").to_string()
}

#[test]
fn three_shards_are_one_sweep() {
    let merge = Merge::prove(shards(10, 3)).unwrap();
    assert!(merge.is_complete() && merge.notes().is_empty());
    insta::assert_snapshot!("united", united(&merge));
    let mut out = Vec::new();
    let summary = SweepSummary::new(&mut out, Style::default());
    merge.tell(&mut SweepFan::new().with(summary)).unwrap();
    insta::assert_snapshot!("united_for_people", String::from_utf8(out).unwrap());
}

#[test]
fn everything_that_was_found_survives() {
    let alone = SweepRun { positions: 0..65_536, ..run() };
    let mut all = end();
    // As many as the report holds.
    all.account = SweepAccount {
        open: 5,
        refused: 1,
        unreachable: 2,
        silent: 65_528,
        ..SweepAccount::default()
    };
    let mut out = Vec::new();
    tell(SweepJson::new(&mut out, &Fields::default()), &alone, &found(), &all);
    let merge = Merge::prove(vec![report("'a'", out.clone())]).unwrap();
    let targets = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.contains(r#""type":"target""#)).map(str::to_owned).collect()
    };
    assert_eq!(targets(&united(&merge)), targets(std::str::from_utf8(&out).unwrap()));
}

#[test]
fn what_is_missing_double_or_unfinished_is_named() {
    let mut some = shards(1600, 16);
    some.remove(15);
    some.remove(4);
    some.remove(3);
    some.push(report("'again.jsonl'", shard(1600, 7, 16)));
    let killed = shard(1600, 9, 16);
    let killed = &killed[..killed.len() / 2];
    some.retain(|report| report.name != "'9.jsonl'");
    some.push(report("'9.jsonl'", killed));
    assert_eq!(
        problems(some),
        "'9.jsonl': shard 9/16 (positions 900 to 999) is unfinished: its last line is cut off and it \
         has no summary; continue it with --resume\n\
         missing: shards 3/16, 4/16 (positions 300 to 499)\n\
         '7.jsonl' and 'again.jsonl' both hold positions 700 to 799\n\
         missing: shard 15/16 (positions 1500 to 1599)"
    );
}

#[test]
fn a_shard_of_another_sweep_is_told_from_the_others() {
    let mut reports = shards(90, 3);
    let other = shard(90, 1, 3).replace(r#""ttl":"64""#, r#""ttl":"32""#);
    reports[1] = report("'other.jsonl'", other);
    let said = problems(reports);
    assert_eq!(
        said,
        "'other.jsonl' is not of the sweep that '0.jsonl' is of: the option 'ttl' differs"
    );
    let mut reports = shards(90, 3);
    // The first is the odd one.
    reports[0] = report("'odd.jsonl'", shard(90, 0, 3).replace("18369548", "18369549"));
    let said = problems(reports);
    assert_eq!(said, "'odd.jsonl' is not of the sweep that '1.jsonl' is of: the seed differs");
    let mut reports = shards(90, 3);
    reports.pop();
    reports.push(report("'c'", shard(90, 2, 4)));
    assert!(problems(reports).contains("the number of shards differs"));
}

#[test]
fn lines_that_went_missing_are_missed() {
    let text = shard(90, 0, 1);
    let without = text.lines().enumerate().filter(|(at, _)| *at != 7);
    let without: String = without.map(|(_, line)| format!("{line}\n")).collect();
    let said = problems(vec![report("'a'", without)]);
    assert!(said.starts_with("'a': it holds records of 29 open and 30 other targets"), "{said}");
    // --open-only leaves out all others.
    let open =
        text.lines().filter(|line| !line.contains("refused\",")).map(|line| format!("{line}\n"));
    assert!(Merge::prove(vec![report("'a'", open.collect::<String>())]).is_ok());
}

#[test]
fn what_is_no_report_is_named_with_its_line() {
    for (text, says) in [
        ("", "'a' does not begin with the 'run' record of a sweep: it is no report of one"),
        ("\n", "'a': line 1 is no record of a sweep: "),
        (
            "{\"v\":2,\"type\":\"run\"}\n",
            "'a': line 1 is no record of a sweep: its schema is 2, not 1",
        ),
        ("\x1b]0;x\x07\n", "'a': line 1 is no record of a sweep: "),
    ] {
        let said = problems(vec![report("'a'", text)]);
        assert!(said.starts_with(says), "{said}");
        assert!(!said.contains('\x1b'));
    }
    let text = shard(9, 0, 1).replace(r#""outcome":"open","#, "");
    let said = problems(vec![report("'a'", text)]);
    assert!(said.contains("line 2 is no record of a sweep: it has no 'outcome'"), "{said}");
    assert_eq!(
        problems(Vec::new()),
        "there is no report to unite: name the JSON files of the shards"
    );
    let endless = vec![b'x'; 3 << 20];
    let said = problems(vec![report("'a'", endless)]);
    assert!(said.contains("longer than any record"), "{said}");
}

/// A run that is killed after each of `cuts` bytes and continued, repeating some of what it wrote.
fn killed_and_continued(cuts: &[(usize, usize)]) -> String {
    let whole = shard(300, 0, 1);
    let (begin, rest) = whole.split_at(whole.find('\n').unwrap() + 1);
    let again = begin.replace(r#""resumed":false"#, r#""resumed":true"#);
    let mut text = begin.to_owned();
    let mut from = 0;
    for (cut, back) in cuts {
        // It goes on before the place where it was killed, at a whole line; after its end there is
        // nothing to go on with.
        let to = from + (rest.len() - 1 - from).min(*cut);
        text += &rest[from..to];
        text += &again;
        let target = rest[..to].len().saturating_sub(*back);
        from = rest[..target].rfind('\n').map_or(0, |at| at + 1);
    }
    text + &rest[from..]
}

proptest! {
    #[test]
    fn kills_and_continuations_neither_lose_nor_repeat(
        cuts in prop::collection::vec((1..20_000_usize, 0..2_000_usize), 0..5)
    ) {
        let text = killed_and_continued(&cuts);
        let merge = Merge::prove(vec![report("'a'", text)]).unwrap();
        let alone = Merge::prove(vec![report("'a'", shard(300, 0, 1))]).unwrap();
        let targets = |text: &str| -> Vec<String> {
            text.lines().filter(|line| line.contains(r#""type":"target""#)).map(str::to_owned).collect()
        };
        prop_assert_eq!(targets(&united(&merge)), targets(&united(&alone)));
        prop_assert_eq!(merge.end().account, alone.end().account);
    }

    #[test]
    fn shards_of_any_number_are_the_whole_and_one_less_is_not(
        of in 1_u64..200, count in 1_u32..20, without: prop::sample::Index
    ) {
        let merge = Merge::prove(shards(of, count)).unwrap();
        prop_assert_eq!(merge.end().account.total(), of);
        let mut alone = Vec::new();
        let run = SweepRun { shard: None, ..shard_run(of, 0, 1) };
        let all: Vec<Found> = run.positions.clone().filter_map(target).collect();
        tell(SweepPlain::new(&mut alone), &run, &all, &end());
        let mut out = Vec::new();
        merge.tell(&mut SweepFan::new().with(SweepPlain::new(&mut out))).unwrap();
        prop_assert_eq!(out, alone);
        let left = without.index(count as usize);
        let missing = shard_run(of, u32::try_from(left).unwrap(), count).positions;
        let mut reports = shards(of, count);
        reports.remove(left);
        let is_refused = matches!(
            Merge::prove(reports),
            Err(MergeError::NotCovered(_) | MergeError::NotOneSweep(_))
        );
        prop_assert_eq!(is_refused, !missing.is_empty() || count == 1);
    }

    #[test]
    fn no_file_brings_it_down(bytes in prop::collection::vec(any::<u8>(), 0..300), at: prop::sample::Index) {
        let mut text = shard(30, 0, 1).into_bytes();
        let at = at.index(text.len());
        text.splice(at..at, bytes);
        let _ = Merge::prove(vec![report("'a'", text)]);
    }
}

#[test]
fn an_interrupted_shard_is_accounted_for_and_noted() {
    let run = shard_run(90, 1, 2);
    let mut end = shard_end(&run);
    end.account.not_probed = end.account.silent;
    end.account.silent = 0;
    end.interrupted = true;
    let mut out = Vec::new();
    let found: Vec<Found> = run.positions.clone().filter_map(target).collect();
    tell(SweepJson::new(&mut out, &Fields::default()), &run, &found, &end);
    let reports = vec![report("'b'", out), report("'a'", shard(90, 0, 2))];
    let merge = Merge::prove(reports).unwrap();
    assert!(!merge.is_complete());
    assert_eq!(
        merge.notes(),
        [
            "'b': shard 1/2 (positions 45 to 89) was interrupted: 15 targets not probed; continue it with \
          --resume"
        ]
    );
    assert_eq!(merge.end().account.total(), 90);
}

#[test]
fn a_report_that_changes_while_it_is_read_is_no_proof() {
    use std::cell::Cell;
    let texts = [shard(90, 0, 1), shard(30, 0, 1)];
    let turn = Cell::new(0);
    let open = move || {
        let text = texts[turn.replace(1)].clone();
        Ok(Box::new(io::Cursor::new(text)) as Box<dyn Read>)
    };
    let merge = Merge::prove(vec![SweepReport { name: "'a'".to_owned(), open: Box::new(open) }]);
    let mut out = Vec::new();
    let error = merge.unwrap().tell(&mut SweepPlain::new(&mut out)).unwrap_err();
    assert_eq!(error.to_string(), "'a' changed while it was read");
}

#[test]
fn a_full_disk_ends_the_telling() {
    struct Full;
    impl SweepSink for Full {
        fn begin(&mut self, _: &SweepRun) -> io::Result<()> {
            Ok(())
        }
        fn found(&mut self, _: &Found) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn end(&mut self, _: &SweepEnd) -> io::Result<()> {
            Ok(())
        }
    }
    let merge = Merge::prove(shards(9, 2)).unwrap();
    assert_eq!(merge.tell(&mut Full).unwrap_err().kind(), io::ErrorKind::StorageFull);
}
