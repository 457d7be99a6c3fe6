//! The conversations of the commands over the simulated network, in virtual time.

mod battery;
mod chaos;
mod closes;
mod disturbed;
mod handshakes;
mod probes;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Behaviour, Host};
use crate::cli::Expect;
use crate::cli::value::Then;
use crate::cmd::talk::Limits;
use crate::cmd::{Wanted, close, handshake};
use crate::driver::{Driver, FlowSpec, Open};
use crate::event::{CloseShape, Event, FlowId, Note, Run, SegmentEvent, Summary};
use crate::net::sim::{Link, SimWire};
use crate::net::{Dir, Facts, Frame, GuardKind, Received, Wire};
use crate::tcp::state::{Cause, End, Known, State, Transition};
use crate::tcp::{Config, Offered, Timers};
use crate::time::{Clock, Instant, Stamp};
use crate::wire::{IpPayload, Packet, Segment, SeqNum, parse_ip};

pub(crate) type Log = Vec<(FlowId, Event)>;

pub(crate) const DELAY: Duration = Duration::from_millis(10);
pub(crate) const MSL: Duration = Duration::from_secs(1);
/// The default of `--timeout`.
pub(crate) const WAIT: Duration = Duration::from_secs(2);

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn at(millis: u64) -> Instant {
    Instant::ZERO + ms(millis)
}

/// A host on all ports, ten milliseconds away.
pub(crate) fn network(behaviour: Behaviour) -> SimWire<Host> {
    network_with(behaviour, Duration::ZERO, 1, Link::delayed(DELAY))
}

pub(crate) fn network_with(
    behaviour: Behaviour,
    dwell: Duration,
    seed: u64,
    link: Link,
) -> SimWire<Host> {
    SimWire::new(seed, link, link, Host::new(behaviour, Vec::new(), dwell, seed))
}

pub(crate) fn ends(port: u16) -> (SocketAddr, SocketAddr) {
    (([192, 0, 2, 1], 40000).into(), ([192, 0, 2, 2], port).into())
}

/// What the command line makes of the defaults.
pub(crate) fn spec(port: u16) -> FlowSpec {
    let (local, remote) = ends(port);
    let config = Config {
        local_port: local.port(),
        remote_port: remote.port(),
        // Both ends of a run cross the wrap of the sequence numbers early.
        iss: SeqNum(u32::MAX - 2),
        ts_offset: 7,
        offer: Offered::default(),
        receive_buffer: 256 * 1024,
        timers: Timers {
            syn_retries: 2,
            retries: 2,
            final_wait: Some(WAIT),
            msl: MSL,
            ..Timers::default()
        },
    };
    FlowSpec {
        local,
        remote,
        config,
        gate: Box::new(Open),
        ttl: 64,
        tos: 0,
        ip_id: 1,
        flow_label: 0,
    }
}

pub(crate) fn run_of(command: &'static str, port: u16) -> Run {
    let (source, target) = ends(port);
    Run {
        command,
        name: target.to_string(),
        target,
        source,
        interface: "sim0".to_owned(),
        clock: Clock::Virtual,
        guard: GuardKind::Unneeded,
        end: End::Client,
        at: Instant::ZERO,
        unix_ns: None,
    }
}

/// A handshake with the defaults of the command line.
pub(crate) fn handshake_plan() -> handshake::Plan {
    let limits = Limits { wait: WAIT, deadline: None };
    handshake::Plan { data: Vec::new(), then: Then::Close, limits }
}

/// A close with the defaults of the command line.
pub(crate) fn close_plan(shape: CloseShape) -> close::Plan {
    let limits = Limits { wait: WAIT, deadline: Some(Duration::from_secs(30)) };
    close::Plan { shape, data: Vec::new(), limits }
}

/// Runs a handshake; its log is orderly, or the test fails.
pub(crate) fn shake(wire: &mut impl Wire, plan: &handshake::Plan) -> (Summary, Log) {
    let mut log = Log::new();
    let wanted = Wanted::new(&[], Expect::Open);
    let driver = Driver::new(wire, &mut log);
    let summary = handshake::converse(driver, run_of("handshake", 80), spec(80), plan, &wanted);
    let summary = summary.expect("a host in order");
    assert_orderly(&log);
    (summary, log)
}

/// Runs a close; its log is orderly, or the test fails.
pub(crate) fn shut(wire: &mut impl Wire, plan: &close::Plan) -> (Summary, Log) {
    let mut log = Log::new();
    let wanted = Wanted::new(&[], Expect::Closed);
    let driver = Driver::new(wire, &mut log);
    let summary = close::converse(driver, run_of("close", 80), spec(80), plan, &wanted);
    let summary = summary.expect("a host in order");
    assert_orderly(&log);
    (summary, log)
}

/// Lets the far end come to its own end.
pub(crate) fn let_time_pass(wire: &mut impl Wire) {
    let until = wire.now() + Duration::from_secs(3600);
    while wire.receive(until).expect("a network in order") != Received::Timeout {}
}

/// What must hold of every log of one flow: it begins with the run and ends with the summary; what
/// we saw and did comes in the order of time; each end moves along the state diagram without gaps;
/// every move follows the segment that made it.
pub(crate) fn assert_orderly(log: &[(FlowId, Event)]) {
    assert!(matches!(log.first(), Some((_, Event::Run(_)))), "{}", told(log));
    assert!(matches!(log.last(), Some((_, Event::Summary(_)))), "{}", told(log));
    let mut clock = Instant::ZERO;
    let mut states = [State::Closed; 2];
    let mut theirs_at = Instant::ZERO;
    let mut last: Option<&SegmentEvent> = None;
    for (index, (_, event)) in log.iter().enumerate() {
        let now = match event {
            Event::Segment(segment) => {
                last = Some(segment);
                segment.stamp.at
            }
            Event::Icmp { at, .. } => at.at,
            Event::Notice(notice) => notice.at,
            Event::Transition(step) => {
                let end = usize::from(step.end == End::Server);
                assert_eq!(step.from, states[end], "a gap: {step:?}\n{}", told(log));
                assert!(step.from.may_become(step.to), "{step:?}\n{}", told(log));
                states[end] = step.to;
                assert_follows_its_segment(step, last, &log[..index]);
                if step.end == End::Client {
                    assert_eq!(step.known, Known::Own);
                    step.at
                } else {
                    assert!(step.at >= theirs_at, "their time runs back\n{}", told(log));
                    theirs_at = step.at;
                    clock
                }
            }
            Event::Retracted { state, .. } => {
                states[1] = *state;
                theirs_at = Instant::ZERO;
                clock
            }
            _ => clock,
        };
        assert!(now >= clock, "time runs back at {event:?}\n{}", told(log));
        clock = now;
    }
}

fn assert_follows_its_segment(
    step: &Transition,
    last: Option<&SegmentEvent>,
    log: &[(FlowId, Event)],
) {
    // A segment that we sent is, to the far end, one that it received.
    let (flags, dir) = match (step.cause, step.end) {
        (Cause::Received(flags), End::Client) | (Cause::Sent(flags), End::Server) => {
            (flags, Dir::Rx)
        }
        (Cause::Received(flags), End::Server) | (Cause::Sent(flags), End::Client) => {
            (flags, Dir::Tx)
        }
        _ => return,
    };
    // What the gate held back moves us when it opens: behind our own FIN.
    let held = log.iter().any(|(_, event)| note_of(event) == Some(Note::Held));
    if step.end == End::Client && held {
        return;
    }
    let matches = last.is_some_and(|s| s.dir == dir && s.packet.segment.flags == flags);
    // That ours arrived may also become known later, by a segment of theirs.
    let earlier = step.end == End::Server
        && segments(log, Dir::Tx).iter().any(|s| s.packet.segment.flags == flags);
    assert!(matches || earlier, "{step:?} does not follow its segment\n{}", told(log));
}

pub(crate) fn note_of(event: &Event) -> Option<Note> {
    match event {
        Event::Segment(segment) => segment.note,
        _ => None,
    }
}

/// The log in lines, for the eye.
pub(crate) fn told(log: &[(FlowId, Event)]) -> String {
    let line = |(flow, event): &(FlowId, Event)| match event {
        Event::Segment(s) => {
            let text = s.packet.segment.relative_to(s.seq_origin, s.ack_origin);
            format!("{} {:?} {:?} {text} {:?}\n", flow.0, s.stamp.at, s.dir, s.note)
        }
        Event::Transition(t) => {
            format!(
                "{} {:?} {:?} {} -> {} ({}) {:?}\n",
                flow.0, t.at, t.end, t.from, t.to, t.cause, t.known
            )
        }
        other => format!("{} {other:?}\n", flow.0),
    };
    log.iter().map(line).collect()
}

/// The states of one end as reported, in order, the first left out.
pub(crate) fn path(log: &[(FlowId, Event)], end: End) -> Vec<State> {
    let mut path = Vec::new();
    for (_, event) in log {
        match event {
            Event::Transition(step) if step.end == end => path.push(step.to),
            Event::Retracted { end: whose, state, .. } if *whose == end => {
                while path.last().is_some_and(|last| last != state) {
                    path.pop();
                }
            }
            _ => {}
        }
    }
    path
}

pub(crate) fn notes(log: &[(FlowId, Event)]) -> Vec<Note> {
    log.iter().filter_map(|(_, event)| note_of(event)).collect()
}

pub(crate) fn notices(log: &[(FlowId, Event)]) -> Vec<&'static str> {
    let code = |(_, event): &(FlowId, Event)| match event {
        Event::Notice(notice) => Some(notice.code),
        _ => None,
    };
    log.iter().filter_map(code).collect()
}

/// The segments of one direction.
pub(crate) fn segments(log: &[(FlowId, Event)], dir: Dir) -> Vec<&SegmentEvent> {
    log.iter()
        .filter_map(|(_, event)| match event {
            Event::Segment(segment) if segment.dir == dir => Some(&**segment),
            _ => None,
        })
        .collect()
}

/// What becomes of a frame of a [`Tampered`] wire: the frames in its place.
type Tamper<'a> = Box<dyn FnMut(Frame) -> Vec<Frame> + 'a>;

/// A wire on which somebody meddles with what the capture hands out.
pub(crate) struct Tampered<'a, W> {
    pub(crate) inner: W,
    tamper: Tamper<'a>,
    queue: VecDeque<Frame>,
}

impl<'a, W: Wire> Tampered<'a, W> {
    pub(crate) fn new(inner: W, tamper: impl FnMut(Frame) -> Vec<Frame> + 'a) -> Self {
        Self { inner, tamper: Box::new(tamper), queue: VecDeque::new() }
    }
}

impl<W: Wire> Wire for Tampered<'_, W> {
    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        self.inner.send(packet)
    }

    fn receive(&mut self, until: Instant) -> io::Result<Received> {
        loop {
            if let Some(frame) = self.queue.pop_front() {
                return Ok(Received::Frame(frame));
            }
            match self.inner.receive(until)? {
                Received::Frame(frame) => self.queue.extend((self.tamper)(frame)),
                other => return Ok(other),
            }
        }
    }

    fn facts(&self) -> &Facts {
        self.inner.facts()
    }
}

/// The packet in a frame.
pub(crate) fn packet_in(frame: &Frame) -> Packet {
    match parse_ip(&frame.bytes).expect("an IP packet") {
        (ip, IpPayload::Tcp(bytes)) => {
            Packet { ip, segment: Segment::parse(bytes).expect("a segment") }
        }
        other => panic!("no segment: {other:?}"),
    }
}

/// A frame like `frame` with another packet in it.
pub(crate) fn forged(frame: &Frame, dir: Dir, packet: &Packet) -> Frame {
    Frame { dir, bytes: packet.emit().expect("a packet"), ..frame.clone() }
}

pub(crate) const fn stamp(at: Instant) -> Stamp {
    Stamp { at, clock: Clock::Virtual }
}
