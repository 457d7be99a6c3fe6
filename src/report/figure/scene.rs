//! From what happened to what is drawn: which points lie on which lifeline, at what time and in what
//! order, and what stands beside them. Without coordinates.

use std::time::Duration;

use super::label::{self, wrap, wrap_to};
use super::story::{Sent, Step, Story};
use super::style::CAPTION_COLUMNS;
use crate::event::Note;
use crate::net::Dir;
use crate::report::units;
use crate::tcp::state::{Cause, End, Known, State, Transition};
use crate::wire::Flags;

/// What is drawn.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub(super) points: Vec<Point>,
    pub(super) arrows: Vec<Arrow>,
    /// The points from top to bottom, as far as their order is known.
    pub(super) order: Vec<usize>,
}

/// A place on a lifeline.
#[derive(Debug)]
pub(super) struct Point {
    /// Nanoseconds since the start of the run.
    pub(super) at: i64,
    /// Breaks ties: what happened first.
    key: (usize, usize),
    pub(super) end: End,
    pub(super) kind: Kind,
    /// What is written in the margin; nothing where the point above says the same.
    pub(super) time: Option<String>,
}

/// What a point is.
#[derive(Debug)]
pub(super) enum Kind {
    /// From here on the end is in this state.
    State { state: State, known: Shown, caption: Vec<String> },
    /// An arrow begins.
    Tail(usize),
    /// An arrow ends.
    Head(usize),
    /// A remark between the lifelines.
    Remark(String),
}

/// How certain a state is, in the end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Shown {
    Assumed,
    Implied,
    Known,
}

/// What became of a segment, as far as anybody can say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Arrived,
    /// It arrived, or would have, and was turned away there.
    Stopped,
    /// It or its answer was lost.
    Unanswered,
    /// It was lost.
    Lost,
}

/// A segment, or an ICMP error.
#[derive(Debug)]
pub(super) struct Arrow {
    pub(super) from: End,
    pub(super) fate: Fate,
    /// A class of the style sheet.
    pub(super) class: &'static str,
    /// On the arrow, the first with the flags; below its tip for an ICMP error.
    pub(super) lines: Vec<String>,
    /// Lines in italics below those.
    pub(super) notes: Vec<String>,
    /// Whether it was sent at all.
    pub(super) left: bool,
    /// Points; an ICMP error of a router begins between the lifelines. What did not arrive has a place
    /// where it would have, so that it falls as the others do.
    pub(super) tail: Option<usize>,
    pub(super) head: Option<usize>,
    pub(super) is_icmp: bool,
}

/// An arrow while the scene is made.
struct Raw<'a> {
    step: usize,
    sent: &'a Sent,
    arrow: Arrow,
    /// When it was at our end, and at the far one.
    own_at: i64,
    far_at: i64,
}

/// A state that an end stayed in.
struct Stay {
    state: State,
    known: Known,
    proved_later: bool,
    cause: Cause,
    at: i64,
    key: (usize, usize),
    /// It was so before anything happened.
    initial: bool,
    /// The segment that brought it about.
    by: Option<usize>,
}

impl Scene {
    pub(super) fn of(story: &Story) -> Self {
        let steps = story.steps();
        let ours = story.run.end;
        let mut maker = Maker { story, ours, raws: Vec::new(), stays: [Vec::new(), Vec::new()] };
        maker.find_arrows(&steps);
        maker.find_unanswered(&steps);
        maker.find_stays(&steps);
        maker.finish(&steps)
    }

    fn push(&mut self, point: Point) -> usize {
        self.points.push(point);
        self.points.len() - 1
    }

    /// Puts the points in order, and says each time once.
    fn arrange(&mut self) {
        self.order = (0..self.points.len()).collect();
        let points = &self.points;
        self.order.sort_by_key(|index| (points[*index].at, points[*index].key, *index));
        let mut last: [Option<String>; 2] = [None, None];
        for index in &self.order {
            let point = &mut self.points[*index];
            let last = &mut last[side(point.end)];
            if point.time.is_some() && point.time == *last {
                point.time = None;
            } else if point.time.is_some() {
                last.clone_from(&point.time);
            }
        }
    }
}

/// 0 for the client, 1 for the server.
pub(super) const fn side(end: End) -> usize {
    match end {
        End::Client => 0,
        End::Server => 1,
    }
}

struct Maker<'a> {
    story: &'a Story,
    ours: End,
    raws: Vec<Raw<'a>>,
    stays: [Vec<Stay>; 2],
}

impl<'a> Maker<'a> {
    /// The time of a step at our end: never before that of an earlier one, although stamps of two
    /// clocks may differ by a little.
    fn own_at(&self, steps: &[Step], index: usize) -> i64 {
        let times = steps[..=index].iter().filter_map(|step| match step {
            Step::Segment(sent) => Some(self.story.since(sent.at)),
            Step::Icmp { at, .. } => Some(self.story.since(*at)),
            Step::Move(it) if it.end == self.ours => Some(self.story.since(it.at)),
            _ => None,
        });
        times.max().unwrap_or(0)
    }

    fn find_arrows(&mut self, steps: &'a [Step]) {
        let half = self.story.half_ns();
        for (index, step) in steps.iter().enumerate() {
            let Step::Segment(sent) = step else { continue };
            let own_at = self.own_at(steps, index);
            let (from, far_at) = match sent.dir {
                Dir::Tx => (self.ours, own_at.saturating_add(half)),
                Dir::Rx => (self.ours.other(), own_at.saturating_sub(half)),
            };
            let fate = match sent.note {
                Some(Note::Held | Note::Rejected(_)) => Fate::Stopped,
                _ => Fate::Arrived,
            };
            let mut lines = wrap(sent.words.fields.iter(), " ");
            lines.extend(wrap(sent.words.options.iter(), ", "));
            let notes = sent.note.map(|note| wrap(label::note(note).split(' '), " "));
            let arrow = Arrow {
                from,
                fate,
                class: class(sent),
                lines,
                notes: notes.unwrap_or_default(),
                left: true,
                tail: None,
                head: None,
                is_icmp: false,
            };
            self.raws.push(Raw { step: index, sent, arrow, own_at, far_at });
        }
    }

    /// Marks what was never answered, or sent again before it was.
    fn find_unanswered(&mut self, steps: &[Step]) {
        for index in 0..self.raws.len() {
            let Raw { sent, step, .. } = self.raws[index];
            let waits = sent.dir == Dir::Tx && sent.wants_answer() && sent.counts();
            if !waits || self.raws[index].arrow.fate != Fate::Arrived {
                continue;
            }
            let later = &self.raws[index + 1..];
            let again = later.iter().position(|raw| is_again(sent, raw.sent));
            let until = again.map_or(later.len(), |place| place);
            let answered = later[..until].iter().any(|raw| answers(sent, raw.sent));
            let reported = steps[step..]
                .iter()
                .any(|step| matches!(step, Step::Icmp { rejected: None, .. } | Step::Omitted(_)));
            if answered || again.is_none() && reported {
                continue;
            }
            let arrow = &mut self.raws[index].arrow;
            arrow.fate = Fate::Unanswered;
            let why = if again.is_some() { "lost, or its answer was" } else { "no answer" };
            arrow.notes.push(why.to_owned());
        }
    }

    fn find_stays(&mut self, steps: &[Step]) {
        for (index, step) in steps.iter().enumerate() {
            match step {
                Step::Move(transition) => self.enter(steps, index, transition),
                Step::Confirmed { end, state } => {
                    let stays = &mut self.stays[side(*end)];
                    let last = stays.iter().rposition(|stay| stay.state == *state);
                    for stay in stays.iter_mut().take(last.map_or(0, |last| last + 1)) {
                        // That it was in this state now does not prove where it was at first.
                        stay.proved_later |= stay.known == Known::Implied;
                    }
                }
                Step::Retracted { end, state } => self.retract(*end, *state),
                _ => {}
            }
        }
    }

    fn enter(&mut self, steps: &[Step], index: usize, transition: &Transition) {
        let Transition { end, from, to, cause, known, at } = *transition;
        let stays = &mut self.stays[side(end)];
        let blank = Stay {
            state: to,
            known,
            proved_later: false,
            cause,
            at: i64::MIN,
            key: (0, 0),
            initial: true,
            by: None,
        };
        if cause == Cause::Start {
            stays.retain(|stay| !stay.initial);
            stays.insert(0, blank);
            return;
        }
        if stays.is_empty() {
            stays.push(Stay { state: from, cause: Cause::Start, ..blank });
        }
        let by = if known == Known::Own { None } else { self.brought_about_by(cause, index) };
        let (at, key) = match by.and_then(|by| self.raws.get(by)) {
            Some(raw) => (raw.far_at, (raw.step + 1, 2)),
            None if end == self.ours => (self.own_at(steps, index), (index + 1, 0)),
            None => (self.story.since(at), (index + 1, 2)),
        };
        let stays = &mut self.stays[side(end)];
        let (at, key) = match stays.last() {
            Some(last) if (at, key) <= (last.at, last.key) => {
                (last.at, (last.key.0, last.key.1 + 1))
            }
            _ => (at, key),
        };
        stays.push(Stay { at, key, initial: false, by, ..blank });
    }

    /// The segment that moved the far end: the last one with the flags that the cause names. What is
    /// proved to have arrived by a segment of the far end arrived before that left.
    fn brought_about_by(&mut self, cause: Cause, index: usize) -> Option<usize> {
        let before = self.raws.iter().rposition(|raw| raw.step < index)?;
        let newest = &self.raws[before];
        let (dir, limit) = match cause {
            Cause::Received(_) if newest.sent.dir == Dir::Rx => (Dir::Tx, newest.far_at),
            Cause::Received(_) => (Dir::Tx, i64::MAX),
            _ => (Dir::Rx, i64::MAX),
        };
        let fits = |raw: &Raw<'_>| {
            raw.sent.dir == dir
                && raw.far_at <= limit
                && match cause {
                    Cause::Received(flags) | Cause::Sent(flags) => raw.sent.flags == flags,
                    Cause::ActiveOpen => raw.sent.flags.contains(Flags::SYN),
                    _ => false,
                }
        };
        let found = self.raws[..=before].iter().rposition(fits)?;
        // It has moved the far end, so it is not what was lost.
        let arrow = &mut self.raws[found].arrow;
        if arrow.fate == Fate::Unanswered && limit != i64::MAX {
            arrow.fate = Fate::Arrived;
            arrow.notes.pop();
            arrow.notes.push("its answer came late, or was lost".to_owned());
        }
        Some(found)
    }

    /// What was believed beyond `state` is not so: what would have brought it about was lost.
    fn retract(&mut self, end: End, state: State) {
        let stays = &mut self.stays[side(end)];
        let kept = stays.iter().rposition(|stay| stay.state == state).map_or(0, |last| last + 1);
        let gone: Vec<Stay> = stays.drain(kept..).collect();
        if stays.is_empty() {
            stays.push(Stay {
                state,
                known: Known::Proved,
                proved_later: false,
                cause: Cause::Start,
                at: i64::MIN,
                key: (0, 0),
                initial: true,
                by: None,
            });
        }
        if let Some(stay) = stays.last_mut() {
            stay.proved_later |= stay.known == Known::Implied;
        }
        let lost = gone.first().and_then(|stay| stay.by);
        if let Some(raw) = lost.and_then(|by| self.raws.get_mut(by))
            && raw.sent.dir == Dir::Tx
        {
            if raw.arrow.fate == Fate::Unanswered {
                raw.arrow.notes.pop();
            }
            raw.arrow.fate = Fate::Lost;
            raw.arrow.notes.push("lost".to_owned());
        }
    }

    fn finish(mut self, steps: &[Step]) -> Scene {
        let mut scene = Scene::default();
        let far = self.ours.other();
        for raw in std::mem::take(&mut self.raws) {
            let Raw { step, mut arrow, own_at, far_at, sent } = raw;
            let index = scene.arrows.len();
            let mut point = |end: End, kind, sub| {
                let at = if end == self.ours { own_at } else { far_at };
                let time = self.time(end, at);
                scene.push(Point { at, key: (step + 1, sub), end, kind, time })
            };
            arrow.tail = Some(point(arrow.from, Kind::Tail(index), 0));
            arrow.left = sent.dir == Dir::Rx || arrow.fate != Fate::Stopped;
            arrow.head = Some(point(arrow.from.other(), Kind::Head(index), 1));
            let arrived = arrow.left && matches!(arrow.fate, Fate::Arrived | Fate::Stopped);
            if let (false, Some(point)) = (arrived, scene.points.last_mut()) {
                point.time = None;
            }
            scene.arrows.push(arrow);
        }
        for (index, step) in steps.iter().enumerate() {
            match step {
                Step::Icmp { error, rejected, .. } => {
                    let own_at = self.own_at(steps, index);
                    let arrow = scene.arrows.len();
                    let time = self.time(self.ours, own_at);
                    let (key, kind) = ((index + 1, 1), Kind::Head(arrow));
                    let head = Point { at: own_at, key, end: self.ours, kind, time };
                    let head = Some(scene.push(head));
                    let tail = (error.from == self.story.run.target.ip()).then(|| {
                        let at = own_at.saturating_sub(self.story.half_ns());
                        let time = self.time(far, at);
                        let kind = Kind::Tail(arrow);
                        scene.push(Point { at, key: (index + 1, 0), end: far, kind, time })
                    });
                    let fate = if rejected.is_some() { Fate::Stopped } else { Fate::Arrived };
                    let lines = label::icmp(error, *rejected);
                    let notes = Vec::new();
                    let (from, class) = (far, "bad");
                    let is_icmp = true;
                    scene.arrows.push(Arrow {
                        from,
                        fate,
                        class,
                        lines,
                        notes,
                        left: true,
                        tail,
                        head,
                        is_icmp,
                    });
                }
                Step::Omitted(count) => {
                    let at = self.own_at(steps, index);
                    let text = format!("({} not drawn)", units::count(*count, "segment"));
                    let (key, kind) = ((index + 1, 0), Kind::Remark(text));
                    scene.push(Point { at, key, end: self.ours, kind, time: None });
                }
                _ => {}
            }
        }
        self.place_stays(&mut scene);
        scene.arrange();
        scene
    }

    /// What is written beside a point: of the far end an estimate, where there is one.
    fn time(&self, end: End, at: i64) -> Option<String> {
        let estimated = end != self.ours;
        (!estimated || self.story.half_rtt.is_some()).then(|| clock(at, estimated))
    }

    fn place_stays(&self, scene: &mut Scene) {
        let known = self.stays.iter().flatten().filter(|stay| !stay.initial).map(|stay| stay.at);
        let first = scene.points.iter().map(|point| point.at).chain(known).min().unwrap_or(0);
        for end in [End::Client, End::Server] {
            for stay in &self.stays[side(end)] {
                let at = if stay.initial { first } else { stay.at };
                let time = if stay.initial { None } else { self.time(end, at) };
                let state = stay.state;
                let (shown, caption) = stay.in_words();
                let kind = Kind::State { state, known: shown, caption };
                scene.push(Point { at, key: stay.key, end, kind, time });
            }
        }
    }
}

impl Stay {
    fn in_words(&self) -> (Shown, Vec<String>) {
        let (shown, word) = match self.known {
            // What it was before it did anything is nothing that had to be proved.
            _ if self.initial && self.state == State::Closed => (Shown::Known, None),
            Known::Own => (Shown::Known, None),
            Known::Proved => (Shown::Known, Some("proved")),
            Known::Implied if self.proved_later => (Shown::Known, Some("implied, then proved")),
            Known::Implied => (Shown::Implied, Some("implied")),
            Known::Assumed => (Shown::Assumed, Some("assumed")),
        };
        // An arrow says the rest.
        let cause = match self.cause {
            Cause::Start | Cause::Sent(_) | Cause::Received(_) => None,
            other => Some(other.to_string()),
        };
        let words: Vec<String> = cause.into_iter().chain(word.map(str::to_owned)).collect();
        let text = words.join(", ");
        (shown, wrap_to(CAPTION_COLUMNS, text.split(' ').filter(|word| !word.is_empty()), " "))
    }
}

/// Whether `later` is a repetition of any of `sent`.
fn is_again(sent: &Sent, later: &Sent) -> bool {
    let overlaps = later.seq.is_before(sent.seq_end) && later.seq_end.is_after(sent.seq);
    later.dir == Dir::Tx && matches!(later.note, Some(Note::Retransmission(_))) && overlaps
}

/// Whether `later` answers `sent`: acknowledges it, or ends the connection.
fn answers(sent: &Sent, later: &Sent) -> bool {
    later.dir == Dir::Rx
        && later.counts()
        && (later.flags.contains(Flags::RST) || later.acknowledges(sent.seq, sent.seq_end))
}

fn class(sent: &Sent) -> &'static str {
    if sent.flags.contains(Flags::RST) || sent.note == Some(Note::LocalKernel) {
        "bad"
    } else if sent.flags.contains(Flags::SYN) {
        "syn"
    } else if sent.flags.contains(Flags::FIN) {
        "fin"
    } else {
        "plain"
    }
}

/// Behind a time that is negative: beside a tilde, a sign of any kind is not to be told from it.
pub(super) const AGO: &str = "ago";

/// A time since the start.
fn clock(nanos: i64, estimated: bool) -> String {
    let tilde = if estimated { "~" } else { "" };
    let time = units::duration(Duration::from_nanos(nanos.unsigned_abs()), true);
    if nanos < 0 { format!("{tilde}{time} {AGO}") } else { format!("{tilde}{time}") }
}
