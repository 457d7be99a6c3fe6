//! Hears a run, and hands the picture of one of its connections over when that is over.

use std::collections::BTreeMap;
use std::io;

use super::story::Story;
use super::{Look, draw};
use crate::event::{ClientStage, Event, FlowId, Run, Sink};
use crate::tcp::state::End;

/// Connections that are kept at a time while it is not known which is drawn: most of a flood of SYNs
/// never open.
const CANDIDATES: usize = 256;

/// Draws one connection of a run.
///
/// Of a command with one connection, that one, when the run is over. Of a listener, the first client
/// whose handshake completes, as soon as its connection is over; where none completes, the first that
/// came, at the end of the run.
pub struct FigureSink<'a> {
    look: Look,
    finished: Box<Finished<'a>>,
    stories: BTreeMap<FlowId, Story>,
    /// The connection that is drawn, once that is known.
    chosen: Option<FlowId>,
    /// The first that ended without having opened.
    unopened: Option<Story>,
    done: bool,
}

/// What takes the finished picture.
type Finished<'a> = dyn FnMut(&str) -> io::Result<()> + 'a;

impl<'a> FigureSink<'a> {
    /// Calls `finished` once, with the whole SVG; its error is this sink's. A run without a single
    /// segment has no picture.
    pub fn new(look: Look, finished: impl FnMut(&str) -> io::Result<()> + 'a) -> Self {
        Self {
            look,
            finished: Box::new(finished),
            stories: BTreeMap::new(),
            chosen: None,
            unopened: None,
            done: false,
        }
    }

    fn begin(&mut self, flow: FlowId, run: &Run) {
        // A listener as a whole is no connection.
        let is_connection = run.end == End::Client || run.source != run.target;
        if is_connection && self.chosen.is_none() && self.stories.len() < CANDIDATES {
            self.stories.insert(flow, Story::new(run.clone()));
        }
    }

    fn choose(&mut self, flow: FlowId) {
        if self.chosen.is_none() && self.stories.contains_key(&flow) {
            self.chosen = Some(flow);
            self.stories.retain(|known, _| *known == flow);
            self.unopened = None;
        }
    }

    /// A client is gone.
    fn end(&mut self, flow: FlowId) -> io::Result<()> {
        if self.chosen == Some(flow) {
            return self.draw();
        }
        if let Some(story) = self.stories.remove(&flow) {
            self.unopened.get_or_insert(story);
        }
        Ok(())
    }

    fn draw(&mut self) -> io::Result<()> {
        let chosen = self.chosen.and_then(|flow| self.stories.remove(&flow));
        let unopened = self.unopened.take();
        let others = std::mem::take(&mut self.stories).into_values();
        let story = chosen.into_iter().chain(unopened).chain(others).find(Story::has_segments);
        self.done = true;
        match story {
            Some(story) => (self.finished)(&draw::svg(&story, self.look)),
            None => Ok(()),
        }
    }
}

impl Sink for FigureSink<'_> {
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        if self.done {
            return Ok(());
        }
        if let Event::Run(run) = event {
            self.begin(flow, run);
        }
        if let Some(story) = self.stories.get_mut(&flow) {
            story.hear(event, self.look.absolute);
        }
        match event {
            Event::Client(report) if report.stage == ClientStage::Opened => {
                self.choose(flow);
                Ok(())
            }
            Event::Client(_) => self.end(flow),
            Event::Summary(_) => self.draw(),
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for FigureSink<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FigureSink").field("done", &self.done).finish_non_exhaustive()
    }
}
