//! Two connections joined by a wire in virtual time, each with its view of the other.

use std::collections::VecDeque;
use std::time::Duration;

use shakedown::tcp::{
    Config, Connection, ConnectionEvent, End, Known, Offered, PeerEvent, PeerView, State, Timers,
    TransmitKind, Verdict,
};
use shakedown::time::Instant;
use shakedown::wire::{Segment, SeqNum};

pub(crate) const CLIENT: usize = 0;
pub(crate) const SERVER: usize = 1;
pub(crate) const LATENCY: Duration = Duration::from_millis(10);
pub(crate) const MSL: Duration = Duration::from_secs(5);

/// Whether the n-th segment (from 1) that this end sends gets through.
type Filter = Box<dyn FnMut(usize, usize, &Segment) -> bool>;

/// One end: the machine, what it sees of the other, and what both said.
pub(crate) struct Side {
    pub(crate) machine: Connection,
    pub(crate) view: PeerView,
    pub(crate) events: Vec<ConnectionEvent>,
    /// Our states, in order.
    pub(crate) path: Vec<State>,
    /// The other end's states as we believe them to be, in order.
    pub(crate) believed: Vec<State>,
    /// How each of `believed` is known.
    pub(crate) known: Vec<Known>,
    /// When each move of `path` was made, the first state left out.
    pub(crate) moved_at: Vec<Instant>,
    /// When each move of `believed` is thought to have been made.
    pub(crate) believed_at: Vec<Instant>,
    pub(crate) retractions: usize,
    pub(crate) received: Vec<u8>,
    sent: usize,
}

/// A bad network: what becomes of each segment is drawn from a seed.
pub(crate) struct Chaos {
    state: u64,
    /// Of a thousand segments, how many are lost.
    pub(crate) loss: u64,
    /// Of a thousand segments, how many arrive twice.
    pub(crate) duplication: u64,
    /// The most that a segment is late, in milliseconds: more than a step reorders.
    pub(crate) jitter: u64,
}

impl Chaos {
    pub(crate) fn new(seed: u64, loss: u64, duplication: u64, jitter: u64) -> Self {
        Self { state: seed.wrapping_mul(2).wrapping_add(1), loss, duplication, jitter }
    }

    /// splitmix64.
    fn draw(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    /// How late each copy of a segment is; none if it is lost.
    fn delays(&mut self) -> Vec<Duration> {
        let copies = match self.draw(1000) {
            lost if lost < self.loss => 0,
            _ => 1 + u64::from(self.draw(1000) < self.duplication),
        };
        (0..copies).map(|_| Duration::from_millis(self.draw(self.jitter + 1))).collect()
    }
}

/// Two ends and what is on its way between them.
pub(crate) struct Pair {
    pub(crate) sides: [Side; 2],
    pub(crate) now: Instant,
    pub(crate) log: Vec<String>,
    in_flight: VecDeque<(Instant, usize, Segment)>,
    deliver: Filter,
    pub(crate) chaos: Option<Chaos>,
    /// Segments for this end are kept here instead of being given to its machine.
    pub(crate) held_for: Option<usize>,
    held: Vec<Segment>,
}

pub(crate) fn config(end: End, iss: SeqNum) -> Config {
    let (local_port, remote_port) = match end {
        End::Client => (40000, 80),
        End::Server => (80, 40000),
    };
    Config {
        local_port,
        remote_port,
        iss,
        ts_offset: 7,
        offer: Offered::default(),
        receive_buffer: 65536,
        timers: Timers { msl: MSL, ..Timers::default() },
    }
}

impl Side {
    fn new(machine: Connection, now: Instant) -> Self {
        // An end that listens was CLOSED before, and its own way begins with LISTEN.
        let path = match machine.end() {
            End::Client => vec![State::Closed],
            End::Server => vec![State::Listen],
        };
        let view = PeerView::new(machine.end(), now);
        let (believed, known) = (vec![State::Closed], vec![Known::Assumed]);
        let mut side = Self {
            machine,
            view,
            events: vec![],
            path,
            believed,
            known,
            moved_at: vec![],
            believed_at: vec![],
            retractions: 0,
            received: vec![],
            sent: 0,
        };
        side.settle();
        side
    }

    /// Takes everything that machine and view have to say.
    fn settle(&mut self) {
        while let Some(event) = self.machine.poll_event() {
            if let ConnectionEvent::Transition(transition) = event {
                assert!(transition.from.may_become(transition.to), "{transition:?}");
                assert_eq!(Some(&transition.from), self.path.last());
                self.path.push(transition.to);
                self.moved_at.push(transition.at);
            }
            self.events.push(event);
        }
        self.received.extend(self.machine.take_received());
        while let Some(event) = self.view.poll() {
            self.hear(event);
        }
    }

    fn hear(&mut self, event: PeerEvent) {
        match event {
            PeerEvent::Transition(transition) => {
                assert!(transition.from.may_become(transition.to), "{transition:?}");
                assert_eq!(Some(&transition.from), self.believed.last(), "{transition:?}");
                self.believed.push(transition.to);
                self.believed_at.push(transition.at);
                self.known.push(transition.known);
            }
            PeerEvent::Confirmed { state, known, .. } => {
                let at = self.believed.iter().rposition(|known| *known == state).unwrap();
                assert!(self.known[at] < known, "confirmed twice: {state}");
                self.known[at] = known;
            }
            PeerEvent::Retracted { believed, state, .. } => {
                assert_eq!(Some(&believed), self.believed.last());
                let at = self.believed.iter().rposition(|known| *known == state).unwrap();
                self.believed.truncate(at + 1);
                self.known.truncate(at + 1);
                self.believed_at.truncate(at);
                self.retractions += 1;
            }
        }
    }

    pub(crate) fn happened(&self, event: ConnectionEvent) -> usize {
        self.events.iter().filter(|seen| **seen == event).count()
    }
}

impl Pair {
    /// A client that opens and a server that listens; nothing has been sent yet.
    pub(crate) fn new(client: Config, server: Config) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        Self::of(Connection::connect(client, now), Connection::listen(server), now)
    }

    pub(crate) fn of(first: Connection, second: Connection, now: Instant) -> Self {
        Self {
            sides: [Side::new(first, now), Side::new(second, now)],
            now,
            log: vec![],
            in_flight: VecDeque::new(),
            deliver: Box::new(|_, _, _| true),
            chaos: None,
            held_for: None,
            held: vec![],
        }
    }

    pub(crate) fn default_pair() -> Self {
        Self::new(config(End::Client, SeqNum(1000)), config(End::Server, SeqNum(70_000)))
    }

    /// A pair after its handshake.
    pub(crate) fn open() -> Self {
        let mut pair = Self::default_pair();
        pair.run();
        pair
    }

    pub(crate) fn filter(&mut self, filter: impl FnMut(usize, usize, &Segment) -> bool + 'static) {
        self.deliver = Box::new(filter);
    }

    pub(crate) fn states(&self) -> (State, State) {
        (self.sides[CLIENT].machine.state(), self.sides[SERVER].machine.state())
    }

    pub(crate) fn close(&mut self, end: usize) {
        let now = self.now;
        self.sides[end].machine.close(now).unwrap();
        self.pump();
    }

    pub(crate) fn send(&mut self, end: usize, data: &[u8]) {
        let now = self.now;
        self.sides[end].machine.send(data, now).unwrap();
        self.pump();
    }

    pub(crate) fn abort(&mut self, end: usize) {
        let now = self.now;
        self.sides[end].machine.abort(now);
        self.pump();
    }

    /// Gives what was held to its machine, and holds no more.
    pub(crate) fn release(&mut self) {
        if let Some(end) = self.held_for.take() {
            for segment in std::mem::take(&mut self.held) {
                self.arrive(end, &segment);
            }
        }
        self.pump();
    }

    pub(crate) fn held(&self) -> &[Segment] {
        &self.held
    }

    /// Sends what both machines want to send.
    pub(crate) fn pump(&mut self) {
        for from in [CLIENT, SERVER] {
            let side = &mut self.sides[from];
            side.settle();
            while let Some(sent) = side.machine.poll_transmit(self.now) {
                side.view.on_transmit(&sent.segment, self.now);
                side.settle();
                side.sent += 1;
                let mut delays = match &mut self.chaos {
                    Some(chaos) => chaos.delays(),
                    None => vec![Duration::ZERO],
                };
                if !(self.deliver)(from, side.sent, &sent.segment) {
                    delays.clear();
                }
                let lost = if !delays.is_empty() { "" } else { " (lost)" };
                let again = match sent.kind {
                    TransmitKind::Retransmission(count) => format!(" (again {count})"),
                    _ => String::new(),
                };
                let name = ["client", "server"][from];
                let ms = self.now.as_nanos() / 1_000_000;
                self.log.push(format!("{ms} {name}: {}{again}{lost}", sent.segment));
                for delay in delays {
                    let at = self.now + LATENCY + delay;
                    let behind = self.in_flight.partition_point(|(other, ..)| *other <= at);
                    self.in_flight.insert(behind, (at, 1 - from, sent.segment.clone()));
                }
            }
        }
    }

    fn arrive(&mut self, to: usize, segment: &Segment) -> Verdict {
        let side = &mut self.sides[to];
        let verdict = side.machine.handle_segment(segment, self.now);
        side.view.on_receive(segment, &verdict, self.now);
        side.settle();
        verdict
    }

    /// One step of time: the next arrival or deadline. False if there is neither.
    pub(crate) fn step(&mut self) -> bool {
        let deadline = |side: &Side| side.machine.poll_timeout();
        let timeout = self.sides.iter().filter_map(deadline).min();
        let arrival = self.in_flight.front().map(|(at, ..)| *at);
        match (arrival, timeout) {
            (None, None) => return false,
            (Some(at), timeout) if timeout.is_none_or(|deadline| at <= deadline) => {
                self.now = self.now.max(at);
                let Some((_, to, segment)) = self.in_flight.pop_front() else { return false };
                if self.held_for == Some(to) {
                    self.held.push(segment);
                } else {
                    self.arrive(to, &segment);
                }
            }
            (_, Some(deadline)) => {
                self.now = self.now.max(deadline);
                let now = self.now;
                for side in &mut self.sides {
                    side.machine.handle_timeout(now);
                }
            }
            (Some(_), None) => unreachable!("covered by the guard"),
        }
        self.pump();
        true
    }

    /// Runs until nothing is on its way and nothing waits but the end of TIME-WAIT.
    pub(crate) fn run(&mut self) {
        self.pump();
        for _ in 0..20_000 {
            let waits = |side: &Side| {
                side.machine.state() != State::TimeWait && side.machine.poll_timeout().is_some()
            };
            if self.in_flight.is_empty() && !self.sides.iter().any(waits) {
                return;
            }
            self.step();
        }
        panic!("does not come to rest:\n{}", self.log.join("\n"));
    }

    /// Runs until there is nothing left to happen, TIME-WAIT over.
    pub(crate) fn run_out(&mut self) {
        self.pump();
        for _ in 0..20_000 {
            if !self.step() {
                return;
            }
        }
        panic!("does not end:\n{}", self.log.join("\n"));
    }

    /// Both views must have told the other end's true way, in order. TIME-WAIT's end is seen by
    /// nobody else, and a server's CLOSED before LISTEN by nobody at all.
    pub(crate) fn assert_views_are_true(&self) {
        self.assert_view_is_true(CLIENT);
        self.assert_view_is_true(SERVER);
    }

    /// The view of one end alone.
    pub(crate) fn assert_view_is_true(&self, viewer: usize) {
        let mut truth = self.sides[1 - viewer].path.clone();
        if truth.ends_with(&[State::TimeWait, State::Closed]) {
            truth.pop();
        }
        if truth[0] == State::Listen {
            truth.insert(0, State::Closed);
        }
        let log = self.log.join("\n");
        let name = ["client", "server"][viewer];
        assert_eq!(self.sides[viewer].believed, truth, "as seen by the {name}\n{log}");
    }
}
