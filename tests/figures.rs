//! Figures of the real program over its simulated network: nothing that is written overlaps anything,
//! all of it lies within the picture, and those in the README are up to date.

#![allow(clippy::expect_used)] // A helper of a test fails it in the same way as the test does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// The figure of a run.
fn figure(directory: &Path, sim: &str, line: &str) -> String {
    let path = directory.join("figure.svg");
    let output = Command::new(cargo_bin("shakedown"))
        .args(line.split(' '))
        .arg("--figure")
        .arg(&path)
        .env_clear()
        .envs([("SHAKEDOWN_SIM", sim), ("LC_ALL", "C.UTF-8")])
        .stdin(Stdio::null())
        .output()
        .expect("run");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr, "", "{sim} {line}");
    let svg = fs::read_to_string(&path).expect("a figure");
    fs::remove_file(path).expect("removed");
    svg
}

/// Something drawn: a convex shape, by its corners in order.
struct Shape {
    what: String,
    corners: [(f64, f64); 4],
}

impl Shape {
    fn new(what: &str, (x, y): (f64, f64), (width, height): (f64, f64), turn: [f64; 6]) -> Self {
        let [a, b, c, d, e, f] = turn;
        let corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)];
        let corners = corners.map(|(x, y)| (a * x + c * y + e, b * x + d * y + f));
        Self { what: what.to_owned(), corners }
    }

    /// Whether the two have an inner point in common: no side of either separates them.
    fn overlaps(&self, other: &Self) -> bool {
        let separates = |from: (f64, f64), to: (f64, f64)| {
            let normal = (to.1 - from.1, from.0 - to.0);
            let span = |shape: &Self| {
                let along = shape.corners.map(|(x, y)| x * normal.0 + y * normal.1);
                along.iter().fold((f64::MAX, f64::MIN), |(low, high), value| {
                    (low.min(*value), high.max(*value))
                })
            };
            let (mine, theirs) = (span(self), span(other));
            mine.1 <= theirs.0 || theirs.1 <= mine.0
        };
        let sides = |corners: &[(f64, f64); 4]| {
            (0..4).any(|number| separates(corners[number], corners[(number + 1) % 4]))
        };
        !sides(&self.corners) && !sides(&other.corners)
    }
}

const UPRIGHT: [f64; 6] = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

/// The texts and the bars of a figure, and its size.
struct Drawing {
    texts: Vec<Shape>,
    bars: Vec<Shape>,
    size: (f64, f64),
}

fn value(tag: &BytesStart<'_>, name: &str) -> String {
    let attribute = tag.try_get_attribute(name).expect("well-formed");
    attribute.map(|it| it.value.to_string()).unwrap_or_default()
}

fn number(tag: &BytesStart<'_>, name: &str) -> f64 {
    value(tag, name).parse().expect("a number")
}

fn read(svg: &str) -> Drawing {
    let mut reader = Reader::from_str(svg);
    let mut drawing = Drawing { texts: Vec::new(), bars: Vec::new(), size: (0.0, 0.0) };
    let mut turn = UPRIGHT;
    // Where a text begins, its class, and what it says.
    let mut text: Option<((f64, f64), String, String)> = None;
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(tag) => match tag.name().as_ref() {
                "svg" => drawing.size = (number(&tag, "width"), number(&tag, "height")),
                "g" => {
                    let matrix = value(&tag, "transform");
                    let inner = matrix.trim_start_matches("matrix(").trim_end_matches(')');
                    let numbers = inner.split(' ').map(|it| it.parse().expect("a number"));
                    turn = numbers.collect::<Vec<f64>>().try_into().expect("six");
                }
                "text" => {
                    // A text in an arrow's frame may leave x or y out.
                    let place = (number(&tag, "x"), number(&tag, "y"));
                    text = Some((place, value(&tag, "class"), String::new()));
                }
                _ => {}
            },
            Event::Empty(tag)
                if tag.name().as_ref() == "rect" && value(&tag, "class").starts_with("bar ") =>
            {
                let place = (number(&tag, "x"), number(&tag, "y"));
                let size = (number(&tag, "width"), number(&tag, "height"));
                drawing.bars.push(Shape::new("a bar", place, size, UPRIGHT));
            }
            Event::Text(words) => {
                if let Some((.., said)) = &mut text {
                    said.push_str(&words);
                }
            }
            Event::GeneralRef(_) => {
                if let Some((.., said)) = &mut text {
                    said.push('&');
                }
            }
            Event::End(tag) => match tag.name().as_ref() {
                "g" => turn = UPRIGHT,
                "text" => {
                    let text = text.take().expect("begun");
                    drawing.texts.push(written(text, turn));
                }
                _ => {}
            },
            Event::Eof => return drawing,
            _ => {}
        }
    }
}

/// A text's box, as wide as a monospaced font makes it.
#[allow(clippy::cast_precision_loss)]
fn written(((x, y), class, said): ((f64, f64), String, String), turn: [f64; 6]) -> Shape {
    let classes: Vec<&str> = class.split(' ').collect();
    let size = match () {
        () if classes.contains(&"title") => 16.0,
        () if classes.contains(&"end") => 13.0,
        () => 11.0,
    };
    let width = 0.603 * size * said.chars().count() as f64;
    let x = if classes.contains(&"right") { x - width } else { x };
    let (up, height) = (0.76 * size, 0.97 * size);
    Shape::new(&said, (x, y - up), (width, height), turn)
}

/// Fails where anything overlaps or sticks out.
fn check(svg: &str, of: &str) {
    let Drawing { texts, bars, size } = read(svg);
    assert!(texts.len() > 8 && bars.len() > 1, "{of}: {} {}", texts.len(), bars.len());
    for (place, text) in texts.iter().enumerate() {
        for (x, y) in text.corners {
            let within = (0.0..=size.0).contains(&x) && (0.0..=size.1).contains(&y);
            assert!(within, "{of}: '{}' sticks out at {x} {y}", text.what);
        }
        for other in texts[place + 1..].iter().chain(&bars) {
            assert!(!text.overlaps(other), "{of}: '{}' overlaps '{}'", text.what, other.what);
        }
    }
    for (x, y) in bars.iter().flat_map(|bar| bar.corners) {
        assert!((0.0..=size.0).contains(&x) && (0.0..=size.1).contains(&y), "{of}: a bar");
    }
}

const COMMANDS: [(&str, &str); 12] = [
    ("echo", "handshake 192.0.2.7:80 --send hello"),
    ("bulk", "handshake 192.0.2.7:80 --send hello --mss 400"),
    ("echo", "handshake [2001:db8::7]:80 --then rst"),
    ("echo", "close 192.0.2.7:80"),
    ("greet", "close 192.0.2.7:80 --passive"),
    ("greet", "close 192.0.2.7:80 --simultaneous"),
    ("answer", "close 192.0.2.7:80 --half --send ping"),
    ("stubborn", "close 192.0.2.7:80 -w 5s"),
    ("echo", "probe 192.0.2.7:80"),
    ("call", "listen 192.0.2.100:80 --echo -c 1 -w 90s"),
    ("hold", "listen 192.0.2.100:80 --simultaneous-open --close-after 0 -c 1 -w 90s"),
    ("call", "listen 192.0.2.100:80 --echo --simultaneous-close --absolute -c 1 -w 90s"),
];

#[test]
fn nothing_overlaps_and_nothing_sticks_out_whatever_the_network_does() {
    let seeds = std::env::var("SHAKEDOWN_SEEDS").map_or(3, |text| text.parse().expect("a number"));
    let directory = tempfile::tempdir().expect("scratch directory");
    for (behaviour, command) in COMMANDS {
        for seed in 1..=seeds {
            for weather in [
                "",
                ",loss=0.3,jitter=5ms,duplicate=0.2,reorder=0.2",
                ",delay=300ms,jitter=200ms,dwell=1s",
                ",delay=10us,loss=0.1,corrupt=0.1",
            ] {
                let sim = format!("{behaviour}:seed={seed}{weather}");
                for scale in ["time", "even"] {
                    let line = format!("{command} -q --figure-scale {scale}");
                    let svg = figure(directory.path(), &sim, &line);
                    check(&svg, &format!("SHAKEDOWN_SIM={sim} {line}"));
                }
            }
        }
    }
}

#[test]
fn ports_that_do_not_open_have_figures_too() {
    let directory = tempfile::tempdir().expect("scratch directory");
    for sim in ["closed", "silent", "unreachable", "prohibited", "echo:interrupt=15ms"] {
        let svg = figure(directory.path(), sim, "handshake 192.0.2.7:80 -q");
        check(&svg, sim);
    }
    let svg = figure(directory.path(), "call", "listen 192.0.2.100:80 --refuse -c 1 -q");
    check(&svg, "refuse");
}

/// The committed pictures, which the README shows, are what the script makes now.
#[test]
fn the_pictures_in_the_readme_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::tempdir().expect("scratch directory");
    let status = Command::new(root.join("scripts/figures.sh"))
        .arg(directory.path())
        .env("SHAKEDOWN", cargo_bin("shakedown"))
        .stdout(Stdio::null())
        .status()
        .expect("run");
    assert!(status.success());
    let readme = fs::read_to_string(root.join("README.md")).expect("the README");
    let names = |directory: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).expect("a directory");
        let mut names: Vec<_> =
            entries.map(|entry| PathBuf::from(entry.expect("an entry").file_name())).collect();
        names.sort();
        names
    };
    let committed = root.join("man/figures");
    assert_eq!(names(&committed), names(directory.path()), "run scripts/figures.sh");
    for name in names(&committed) {
        let old = fs::read_to_string(committed.join(&name)).expect("a picture");
        let new = fs::read_to_string(directory.path().join(&name)).expect("a picture");
        assert!(old == new, "{} is out of date: run scripts/figures.sh", name.display());
        assert!(readme.contains(&format!("man/figures/{}", name.display())), "{}", name.display());
        check(&new, &name.display().to_string());
    }
}

/// Figures that are not in the README.
#[test]
fn figures_are_as_recorded() {
    let directory = tempfile::tempdir().expect("scratch directory");
    for (name, sim, line) in [
        ("passive", "greet", "close 192.0.2.7:80 --passive"),
        ("half", "answer:dwell=30ms", "close 192.0.2.7:80 --half --send ping"),
        ("refused", "closed", "handshake 192.0.2.7:80"),
        ("prohibited", "prohibited", "handshake 192.0.2.7:80"),
        ("last-ack-lost", "echo:drop=tx4", "close 192.0.2.7:80 --figure-scale even"),
        ("open-at-once", "hold", "listen 192.0.2.100:80 --simultaneous-open --close-after 0 -c 1"),
    ] {
        insta::assert_snapshot!(name, figure(directory.path(), sim, line));
    }
}

#[test]
fn a_figure_that_cannot_be_is_one_line_before_anything_is_sent() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let at = |name: &str| directory.path().join(name).display().to_string();
    for (line, told) in [
        (
            format!("handshake 192.0.2.7:80 --figure {}", at("no/such.svg")),
            format!(
                "cannot write the figure to '{}': No such file or directory (os error 2)",
                at("no/such.svg")
            ),
        ),
        (
            "close 192.0.2.7:80 --figure -".to_owned(),
            "the figure needs a file of its own: standard output has the report".to_owned(),
        ),
        (
            format!("close 192.0.2.7:80 --figure {0} --pcap {0}", at("both")),
            format!("'{}' is named twice: figure and capture need a file each", at("both")),
        ),
        (
            format!("probe 192.0.2.7:80,81 --figure {}", at("x.svg")),
            "--figure draws one connection, and these are 2 probes: name one host and one port"
                .to_owned(),
        ),
        (
            "listen 192.0.2.100:80 --figure /dev/null".to_owned(),
            "cannot write the figure to '/dev/null': it is not a regular file".to_owned(),
        ),
        (
            "handshake 192.0.2.7:80 --figure-scale even".to_owned(),
            "the following required arguments were not provided: --figure <FILE>".to_owned(),
        ),
    ] {
        let output = Command::new(cargo_bin("shakedown"))
            .args(line.split(' '))
            .env("SHAKEDOWN_SIM", "echo")
            .stdin(Stdio::null())
            .output()
            .expect("run");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(output.stdout.is_empty(), "{line}");
        assert!(stderr.starts_with(&format!("shakedown: {told}")), "{line}: {stderr}");
    }
    let left: Vec<_> = fs::read_dir(directory.path()).expect("a directory").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn where_nobody_comes_there_is_no_figure_and_what_stood_there_stays() {
    let directory = tempfile::tempdir().expect("scratch directory");
    let path = directory.path().join("figure.svg");
    fs::write(&path, "old").expect("written");
    let output = Command::new(cargo_bin("shakedown"))
        .args(["listen", "192.0.2.100:80", "-w", "2s", "-q", "--figure"])
        .arg(&path)
        .env("SHAKEDOWN_SIM", "silent")
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.ends_with("no figure was drawn: there was no segment to draw\n"), "{stderr}");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "old");
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);
}
