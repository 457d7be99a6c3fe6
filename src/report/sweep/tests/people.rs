//! What people read: the account, and the line of progress on a terminal in memory.

use std::io::{self, Write};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::event::{
    Found, Notice, Severity, SweepAccount, SweepEnd, SweepLoss, SweepProgress, SweepRun,
    SweepShard, SweepSink, SweepStage,
};
use crate::report::human::Style;
use crate::report::sweep::testkit::{closes, end, found, run, tell};
use crate::report::sweep::*;
use crate::time::Instant;

fn summary(run: &SweepRun, end: &SweepEnd, style: Style) -> String {
    let mut out = Vec::new();
    tell(SweepSummary::new(&mut out, style), run, &found(), end);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_account_of_a_sweep() {
    insta::assert_snapshot!(summary(&run(), &end(), Style { width: 80, ..Style::default() }));
}

#[test]
fn the_account_of_a_sweep_in_which_everything_went_wrong() {
    let end = SweepEnd {
        account: SweepAccount {
            silent: 3290,
            not_probed: 1000,
            closes: Some(closes()),
            ..end().account
        },
        duplicates: 1,
        late: 2,
        drops: 120,
        discarded: 0,
        mended: 0,
        send_troubles: vec![("queue full".into(), 7)],
        loss: None,
        loss_back: Some(SweepLoss { ppm: 20, error_ppm: 5 }),
        interrupted: true,
        resumed: true,
        ..end()
    };
    let run = SweepRun {
        shard: Some(SweepShard { index: 3, count: 16 }),
        targets: 1 << 20,
        hosts: 1 << 20,
        resumed: true,
        interface: "we\x1bird".to_owned(),
        ..run()
    };
    let text = summary(&run, &end, Style { unicode: false, ..Style::default() });
    assert!(text.is_ascii() && !text.contains('\x1b'));
    assert!(text.lines().all(|line| line.len() <= 100));
    insta::assert_snapshot!(text);
}

#[test]
fn one_pass_cannot_tell_loss_and_says_what_can() {
    let mut end = SweepEnd { loss: None, ..end() };
    end.passes.truncate(1);
    let text = summary(&SweepRun { passes: 1, ..run() }, &end, Style::default());
    assert!(text.contains("needs --passes 2"), "{text}");
}

#[test]
fn an_account_that_is_not_of_all_targets_is_not_hidden() {
    let run = SweepRun { positions: 0..65_537, ..run() };
    let text = summary(&run, &end(), Style::default());
    assert!(text.contains("THE ACCOUNT DOES NOT ADD UP: the sweep was of 65537 targets"), "{text}");
}

#[test]
fn quiet_is_the_account_alone() {
    let text = summary(&run(), &end(), Style { quiet: true, ..Style::default() });
    assert!(text.starts_with("--- sweep statistics ---\n"), "{text}");
}

/// A terminal that two writers share.
#[derive(Clone)]
struct Screen(Arc<Mutex<vt100::Parser>>);

impl Screen {
    fn lines(&self) -> Vec<String> {
        let parser = self.0.lock().unwrap();
        parser.screen().contents().lines().map(str::to_owned).collect()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // What a terminal makes of the end of a line.
        let text = String::from_utf8_lossy(bytes).replace('\n', "\r\n");
        self.0.lock().unwrap().process(text.as_bytes());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn progress(millis: u64) -> SweepProgress {
    SweepProgress {
        now: Instant::from_nanos(millis * 1_000_000),
        stage: SweepStage::Sending,
        targets: 65_536,
        probed: 1000 + millis,
        sent: 1000 + millis,
        rate: 50_000,
        open: 12,
        refused: 900,
        unreachable: 0,
        loss: None,
        drops: 0,
        eta: Some(Duration::from_secs(42)),
    }
}

#[test]
fn progress_stands_below_the_rows_and_leaves_nothing_behind() {
    let [rows, columns] = [200, 100].map(|size| NonZero::new(size).unwrap());
    let screen = Screen(Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0))));
    let style = Style { width: 100, ..Style::default() };
    let fan = SweepFan::new()
        .with(SweepRows::new(screen.clone(), style))
        .with(SweepSummary::new(screen.clone(), style));
    let mut sink = SweepWithProgress::new(fan, screen.clone(), || Some(100));
    sink.begin(&run()).unwrap();
    let mut seen = Vec::new();
    let mut last = |screen: &Screen| seen.extend(screen.lines().last().cloned());
    sink.progress(&progress(0)).unwrap();
    last(&screen);
    // Too soon: nobody could read it.
    sink.progress(&progress(100)).unwrap();
    last(&screen);
    let late = SweepProgress {
        stage: SweepStage::CoolingDown,
        unreachable: 3,
        drops: 17,
        loss: Some(SweepLoss { ppm: 12_345, error_ppm: 100 }),
        eta: Some(Duration::from_secs(3 * 86_400 + 11_400)),
        ..progress(300)
    };
    sink.found(&found()[0]).unwrap();
    sink.progress(&late).unwrap();
    last(&screen);
    sink.found(&found()[1]).unwrap();
    sink.flush().unwrap();
    last(&screen);
    let notice = Notice {
        at: Instant::ZERO,
        severity: Severity::Warning,
        code: "ring-drops",
        text: "the ring is full".to_owned(),
    };
    sink.notice(&notice).unwrap();
    last(&screen);
    seen.dedup();
    insta::assert_snapshot!(seen.join("\n"));
    sink.end(&end()).unwrap();
    drop(sink);
    let mut alone = Vec::new();
    tell(SweepSummary::new(&mut alone, style), &run(), &found()[..2], &end());
    let text = screen.lines().join("\n");
    let alone = String::from_utf8(alone).unwrap();
    let (header, account) = alone.split_once("--- sweep").unwrap();
    assert!(text.starts_with(header) && text.ends_with(account.trim_end()), "{text}");
    assert!(!text.contains("SYNs,") && !text.contains("left"), "{text}");
    assert!(text.contains("the ring is full\n--- sweep"), "{text}");
}

#[test]
fn a_flood_of_targets_never_writes_behind_the_progress() {
    /// Fails if anything is written while the line stands.
    #[derive(Clone, Default)]
    struct Watch(Arc<Mutex<(String, bool)>>);
    struct Line(Watch);
    struct Rows(Watch);
    impl Write for Line {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.0.lock().unwrap().1 = bytes != b"\r\x1b[2K";
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Write for Rows {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self.0.0.lock().unwrap();
            assert!(!state.1, "a row over the progress");
            state.0.push_str(&String::from_utf8_lossy(bytes));
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let watch = Watch::default();
    let rows = SweepRows::new(Rows(watch.clone()), Style::default());
    let mut sink = SweepWithProgress::new(rows, Line(watch.clone()), || None);
    sink.begin(&run()).unwrap();
    sink.progress(&progress(0)).unwrap();
    let all: Vec<Found> = found().into_iter().cycle().take(10_000).collect();
    for found in &all {
        sink.found(found).unwrap();
    }
    sink.end(&end()).unwrap();
    assert_eq!(watch.0.lock().unwrap().0.lines().count(), all.len());
}
