//! Hears what happens and says what it means.

mod moves;
mod segment;
mod story;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use self::story::{Facts, Story};
use super::sayings::{self, Saying};
use super::terms::Entry;
use super::text::Lang;
use crate::event::{ClientStage, Event, FlowId, HttpCargo, Outcome};

/// Whether a reason for rejecting a segment has an explanation of its own.
#[must_use]
pub fn knows_reason(words: &str) -> bool {
    !std::ptr::eq(sayings::reason(words), &raw const sayings::OTHER_REASON)
}

/// A piece of an explanation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paragraph {
    /// The term whose meaning this is; none where the step itself is explained.
    pub term: Option<String>,
    /// The explanation, without line breaks.
    pub text: String,
}

/// Explains the events of a run, in the order in which they come. A term is explained where it is
/// first used; what would come of a loss is said once a flow for each kind of segment.
#[derive(Clone, Debug)]
pub struct Narrator {
    lang: Lang,
    /// Numbers as on the wire, not counted from the initial ones.
    absolute: bool,
    /// Whether a microsecond may be written as it is.
    unicode: bool,
    /// Names of the terms that were explained.
    told: BTreeSet<&'static str>,
    flows: BTreeMap<FlowId, Story>,
}

/// What is to be said of a step.
#[derive(Debug, Default)]
struct Told {
    /// One paragraph, in this order.
    main: Vec<&'static Saying>,
    /// What would come of its loss.
    lost: Option<&'static Saying>,
    /// Terms that stand in the drawing and in no saying.
    terms: Vec<&'static Entry>,
}

impl From<&'static Saying> for Told {
    fn from(saying: &'static Saying) -> Self {
        Self { main: vec![saying], ..Self::default() }
    }
}

impl Narrator {
    /// Explains in `lang`.
    #[must_use]
    pub const fn new(lang: Lang) -> Self {
        Self { lang, absolute: false, unicode: true, told: BTreeSet::new(), flows: BTreeMap::new() }
    }

    /// Names sequence numbers as they are on the wire where `absolute` is set, and writes in ASCII
    /// what can be written so where `unicode` is not.
    #[must_use]
    pub fn writing(mut self, absolute: bool, unicode: bool) -> Self {
        self.absolute = absolute;
        self.unicode = unicode;
        self
    }

    /// What `event` means; nothing where there is nothing to explain.
    pub fn hear(&mut self, flow: FlowId, event: &Event) -> Vec<Paragraph> {
        match event {
            Event::Run(run) => {
                self.flows.insert(flow, Story::new(run.end));
                Vec::new()
            }
            Event::Probe(result) => {
                self.flows.remove(&flow);
                self.outcome(result.outcome, true)
            }
            Event::Client(report) if report.stage == ClientStage::Ended => {
                self.flows.remove(&flow);
                self.outcome(report.outcome, false)
            }
            Event::Summary(summary) if summary.handshake.is_some() => {
                self.outcome(summary.outcome, false)
            }
            _ => {
                // Taken out for the time: whoever speaks needs the rest of the narrator.
                let Some(mut story) = self.flows.remove(&flow) else { return Vec::new() };
                let paragraphs = self.step(&mut story, event);
                self.flows.insert(flow, story);
                paragraphs
            }
        }
    }

    fn step(&mut self, story: &mut Story, event: &Event) -> Vec<Paragraph> {
        let (told, facts) = match event {
            Event::Segment(event) => {
                let facts = self.facts().of_segment(event, story);
                let told = segment::told(event, story);
                story.take_in(event);
                (told, facts)
            }
            Event::Transition(moved) => {
                let facts = self.facts().of_move(moved.end, moved.to, moved.cause, story);
                (moves::told(moved), facts)
            }
            Event::Confirmed { end, state, cause, .. } => {
                let facts = self.facts().of_move(*end, *state, *cause, story);
                (Told::from(&sayings::NOW_PROVED), facts)
            }
            Event::Retracted { end, believed, state, cause, .. } => {
                let facts = self.facts().of_move(*end, *state, *cause, story);
                (moves::retracted(*state), facts.believing(*believed))
            }
            Event::Icmp { error, rejected, .. } => {
                let facts = self.facts().of_icmp(error);
                (moves::icmp(error, rejected.is_some()), facts)
            }
            Event::Http(step) => {
                let saying = cargo(&step.what);
                // One segment is like the other here: said once a flow.
                if !story.first_time(saying) {
                    return Vec::new();
                }
                (Told::from(saying), self.facts())
            }
            _ => return Vec::new(),
        };
        self.say(told, &facts, Some(story))
    }

    fn facts(&self) -> Facts {
        Facts::new(self.lang, self.absolute, self.unicode)
    }

    fn outcome(&mut self, outcome: Outcome, half_open: bool) -> Vec<Paragraph> {
        let facts = self.facts();
        self.say(Told::from(moves::outcome(outcome, half_open)), &facts, None)
    }

    /// The explanation itself, then the terms that are new in it.
    fn say(&mut self, told: Told, facts: &Facts, story: Option<&mut Story>) -> Vec<Paragraph> {
        let mut sayings = told.main;
        if let Some(lost) = told.lost
            && story.is_none_or(|story| story.first_time(lost))
        {
            sayings.push(lost);
        }
        // A push is worth a word once; it is in nearly every segment with data.
        sayings.retain(|saying| {
            !std::ptr::eq(*saying, &raw const sayings::PUSH)
                || !self.told.contains(saying.terms[0].name.en)
        });
        if sayings.is_empty() {
            return Vec::new();
        }
        let texts: Vec<String> = sayings.iter().map(|saying| facts.fill(&saying.text)).collect();
        let separator = if self.lang == Lang::En { " " } else { "" };
        let mut paragraphs = vec![Paragraph { term: None, text: texts.join(separator) }];
        let used = sayings.iter().flat_map(|saying| saying.terms.iter().copied());
        for entry in used.chain(told.terms).chain(facts.terms()) {
            if self.told.insert(entry.name.en) {
                let text = entry.short.lang(self.lang).to_owned();
                paragraphs.push(Paragraph { term: Some(entry.full_name(self.lang)), text });
            }
        }
        paragraphs
    }
}

/// What to say of what a segment carried.
const fn cargo(what: &HttpCargo) -> &'static Saying {
    match what {
        HttpCargo::TlsHandshake => &sayings::CARRIES_TLS,
        HttpCargo::TlsReady(_) => &sayings::TLS_IS_READY,
        HttpCargo::Request { .. } => &sayings::CARRIES_REQUEST,
        HttpCargo::Head { .. } => &sayings::CARRIES_HEAD,
        HttpCargo::End { .. } => &sayings::CARRIES_END,
        HttpCargo::Frames(_) => &sayings::CARRIES_FRAMES,
        HttpCargo::TlsTickets(_) => &sayings::CARRIES_TICKETS,
        HttpCargo::CloseNotify => &sayings::CARRIES_CLOSE_NOTIFY,
        HttpCargo::TlsAlert => &sayings::CARRIES_ALERT,
    }
}
