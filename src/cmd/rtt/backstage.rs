//! Hears what the driver says of every single segment, and keeps what the run needs of it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use crate::event::{Event, FlowId, Note, Notice, Severity, Sink};
use crate::net::Dir;
use crate::tcp::Rejection;
use crate::time::Stamp;
use crate::wire::{Flags, IcmpError, Packet};

/// What came for a flow.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum News {
    /// Something changed on an open flow: look at it.
    Changed(FlowId),
    /// What answered an open flow's SYN acknowledges something else: the peer remembers an earlier
    /// connection between these ports (RFC 9293 §3.10.7.4, RFC 5961 §4).
    Challenged(FlowId),
    /// The SYN-ACK of an open flow came again. Whoever acts on it later may find the flow closed by
    /// the first one.
    Repeated(FlowId, Stamp),
    /// A segment came for a flow that is over.
    Late(FlowId, Stamp, Box<Packet>),
    /// An ICMP error came about a segment of a flow; it may be over.
    Icmp(FlowId, Stamp, IcmpError),
    /// The user should know.
    Notice(Notice),
}

/// Where the news are kept until the run comes to them.
pub(super) type Inbox = Rc<RefCell<VecDeque<News>>>;

/// The driver's sink: everything goes to `through` (the capture, the segments of `--json -v`), and
/// what the run must act on into the inbox.
pub(super) struct Backstage {
    through: Box<dyn Sink>,
    inbox: Inbox,
}

impl Backstage {
    pub(super) fn new(through: Box<dyn Sink>, inbox: Inbox) -> Self {
        Self { through, inbox }
    }

    fn news(flow: FlowId, event: &Event) -> Option<News> {
        Some(match event {
            Event::Segment(it) if it.note == Some(Note::Late) => {
                News::Late(flow, it.stamp, Box::new(it.packet.clone()))
            }
            // It came after the probe had ended, and before the flow was let go of.
            Event::Segment(it)
                if it.note == Some(Note::Rejected(Rejection::NoConnection.reason()))
                    && it.packet.segment.flags.intersects(Flags::SYN | Flags::RST) =>
            {
                News::Late(flow, it.stamp, Box::new(it.packet.clone()))
            }
            Event::Segment(it)
                if it.note == Some(Note::Duplicate)
                    && it.packet.segment.has(Flags::SYN | Flags::ACK) =>
            {
                News::Repeated(flow, it.stamp)
            }
            Event::Segment(it)
                if it.note == Some(Note::Rejected(Rejection::AckNotOfSyn.reason()))
                    && it.packet.segment.flags == Flags::ACK =>
            {
                News::Challenged(flow)
            }
            Event::Segment(it) if it.dir == Dir::Rx || it.packet.segment.has(Flags::RST) => {
                News::Changed(flow)
            }
            Event::Transition(_) => News::Changed(flow),
            Event::Icmp { at, error, rejected: None, .. } => News::Icmp(flow, *at, *error),
            // Of the single segment; what follows for its probe is said with the probe.
            Event::Notice(it) if it.severity == Severity::Error => News::Notice(it.clone()),
            _ => return None,
        })
    }
}

impl Sink for Backstage {
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        if let Some(news) = Self::news(flow, event) {
            let mut inbox = self.inbox.borrow_mut();
            // A segment and its transitions are one look at the flow.
            if !matches!(news, News::Changed(_)) || inbox.back() != Some(&news) {
                inbox.push_back(news);
            }
        }
        self.through.record(flow, event)
    }
}
