//! What the picture shows, and that it is well-formed whatever it is given.

use super::sink::MOST;
use super::*;
use crate::event::Method;
use crate::report::rtt::testkit::{Becomes, Stage};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn point(at: u64, micros: Option<u64>, fate: Fate) -> Point {
    Point { at: ms(at), interval: micros.map(Duration::from_micros), fate }
}

/// A short run with one of everything.
fn eventful() -> Plot {
    let fates = [
        (Some(210), Fate::Answered),
        (Some(190), Fate::Answered),
        (None, Fate::Lost),
        (Some(240), Fate::Refused),
        (None, Fate::Icmp),
        (None, Fate::Ambiguous),
        (Some(1_200), Fate::Late),
        (None, Fate::InFlight),
    ];
    let points = fates.iter().zip(0..).map(|(&(rtt, fate), i)| point(100 * i, rtt, fate)).collect();
    Plot {
        title: "rtt <example.org:443> & \"friends\"".to_owned(),
        subtitle: "8 probes, kernel stamps".to_owned(),
        series: vec![Series { label: "all".to_owned(), points, curve: Vec::new() }],
    }
}

/// A crowd with a daily swell, a second path, stragglers and an outage.
fn long() -> Plot {
    let series = (0..2_u64).map(|path| {
        let points = (0..1_500_u64).map(|i| {
            let noise = (i * 7_919 + path * 104_729) % 97;
            let swell = if i % 400 > 300 { 90 } else { 0 };
            let tail = if i % 173 == 5 { 600 } else { 0 };
            match i {
                700..760 if path == 0 => point(10 * i, None, Fate::Lost),
                _ => point(10 * i, Some(180 + path * 60 + noise + swell + tail), Fate::Answered),
            }
        });
        Series {
            label: format!("flow {path}, source port {}", 40_000 + path),
            points: points.collect(),
            curve: Vec::new(),
        }
    });
    Plot {
        title: "rtt example.org:443".to_owned(),
        subtitle: "3000 probes, 60 lost; kernel stamps, error at most 0.6 µs".to_owned(),
        series: series.collect(),
    }
}

/// Elements are closed in order; no stray bracket, no stray ampersand.
fn assert_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    for piece in svg.split('<').skip(1) {
        let (tag, rest) = piece.split_once('>').expect("a bracket is not closed");
        assert!(!rest.contains('>'), "{rest}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().unwrap());
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
    }
    assert!(open.is_empty(), "{open:?}");
    let entities = ["&amp;", "&lt;", "&gt;", "&quot;"];
    assert_eq!(
        svg.matches('&').count(),
        entities.iter().map(|e| svg.matches(e).count()).sum::<usize>()
    );
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
}

#[test]
fn every_fate_has_its_mark() {
    let svg = svg(&eventful());
    assert_well_formed(&svg);
    insta::assert_snapshot!(svg);
}

#[test]
fn it_follows_the_theme() {
    assert!(svg(&long()).contains("@media(prefers-color-scheme:dark)"));
}

#[test]
fn nothing_measured_is_said_and_what_was_lost_is_marked() {
    let points = vec![point(0, None, Fate::Lost), point(100, None, Fate::Lost)];
    let lost = Plot { series: vec![Series { points, ..Series::default() }], ..eventful() };
    for plot in [Plot::default(), lost] {
        let svg = svg(&plot);
        assert_well_formed(&svg);
        assert_eq!(svg.matches("no interval was measured").count(), 2);
        let marked = plot.series.iter().any(|series| !series.points.is_empty());
        assert_eq!(svg.contains("class=\"mark lost\""), marked);
    }
}

#[test]
fn extremes_stay_within_the_picture() {
    for interval in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let points = vec![
            Point { at: Duration::MAX, interval: Some(interval), fate: Fate::Answered },
            Point { at: Duration::ZERO, interval: Some(Duration::ZERO), fate: Fate::Late },
        ];
        let plot = Plot { series: vec![Series { points, ..Series::default() }], ..eventful() };
        assert_well_formed(&svg(&plot));
    }
}

#[test]
fn a_long_run_makes_no_larger_file_than_its_pixels() {
    let points = (0..400_000_u64).map(|i| point(i, Some(200 + i % 3), Fate::Answered)).collect();
    let plot = Plot { series: vec![Series { points, ..Series::default() }], ..eventful() };
    assert!(svg(&plot).len() < 100_000);
}

#[test]
fn two_paths_and_an_outage() {
    let svg = svg(&long());
    assert_well_formed(&svg);
    // Each path has its colour in the legend, among the dots and as a curve.
    assert_eq!([svg.matches(" c0").count(), svg.matches(" c1").count()], [3, 3]);
    assert!(svg.contains("flow 1, source port 40001"));
    assert_eq!(svg.matches("class=\"mark lost\"").count(), 2, "in the strip and in the legend");
}

/// The picture of a run, drawn with so many points at most.
fn drawn(stage: &mut Stage, most: usize, probes: impl Iterator<Item = Becomes>) -> String {
    let mut picture = String::new();
    let mut sink = PlotSink::keeping(most, |text| {
        picture = text.to_owned();
        Ok(())
    });
    stage.begin(&mut sink);
    probes.for_each(|becomes| stage.probe(&mut sink, becomes));
    stage.end(&mut sink);
    drop(sink);
    assert_well_formed(&picture);
    picture
}

#[test]
fn a_run_is_drawn_when_it_is_over() {
    let mut stage = Stage::new(Method::Syn, &["<a>:1", "b:2"]);
    let probes = [
        Becomes::Open(210),
        Becomes::Open(400),
        Becomes::Lost,
        Becomes::Late(2_100_000),
        Becomes::Refused(190),
        Becomes::InFlight,
    ];
    let picture = drawn(&mut stage, MOST, probes.into_iter());
    assert!(picture.contains("<title>rtt 2 targets</title>"), "{picture}");
    assert!(picture.contains("syn every 1 s, kernel clock; 6 probes, 1 lost</text>"), "{picture}");
    assert!(picture.contains("&lt;a&gt;:1") && picture.contains(">b:2<"), "{picture}");
}

#[test]
fn phases_and_ports_are_series_of_their_own() {
    let labels = |stage: &mut Stage| {
        let picture = drawn(stage, MOST, (0..8).map(|_| Becomes::Phases(400, 50, Some(1_200))));
        let labels = ["handshake", "fin-ack", "peer-fin", "port 40000", "port 40001"];
        labels.map(|label| picture.contains(&format!(">{label}<")))
    };
    assert_eq!(labels(&mut Stage::new(Method::Fin, &["a:1"])), [true, true, true, false, false]);
    let mut stage = Stage::new(Method::Syn, &["a:1"]);
    stage.run.fixed_ports = vec![40_000, 40_001];
    assert_eq!(labels(&mut Stage::of(stage.run)), [false, false, false, true, true]);
}

#[test]
fn a_run_too_long_to_be_kept_is_thinned_and_its_losses_are_not() {
    let mut stage = Stage::new(Method::Syn, &["a:1"]);
    let becomes = |i: u64| match i {
        // The curve must not take the few slow ones that are kept for many.
        _ if i % 1_000 == 500 => Becomes::Lost,
        _ if i.is_multiple_of(10) => Becomes::Refused(2_000),
        _ => Becomes::Open(200 + i % 7),
    };
    let picture = drawn(&mut stage, 1_000, (0..20_000).map(becomes));
    assert!(picture.contains("; 1 of 64 answered probes drawn, all in the curve"), "{picture}");
    let lost = picture.lines().find(|line| line.contains("\"mark lost\"")).unwrap();
    assert_eq!(lost.matches('M').count(), 20, "{lost}");
    // One in ten takes 2 ms: the curve stays at 90 % until there.
    let curve = picture.lines().find(|line| line.contains("mark line c0")).unwrap();
    let whole = drawn(&mut Stage::new(Method::Syn, &["a:1"]), MOST, (0..20_000).map(becomes));
    assert_eq!(Some(curve), whole.lines().find(|line| line.contains("mark line c0")));
}

#[test]
fn memory_is_bounded_whatever_happens() {
    let mut stage = Stage::new(Method::Syn, &["a:1"]);
    let mut sink = PlotSink::keeping(400, |_| Ok(()));
    stage.begin(&mut sink);
    for i in 0..5_000_u64 {
        // Every place of the picture has its refusal.
        stage.probe(&mut sink, Becomes::Refused(1 + (i * 7_919) % 1_000_000));
        assert!(sink.kept() <= 400, "{}", sink.kept());
    }
}
