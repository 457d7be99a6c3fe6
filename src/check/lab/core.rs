//! What all scripts share: the wire, and who of them an arriving packet is for.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use crate::event::{Entry, Step, Trace};
use crate::net::{ChecksumTrust, Dir, Frame, Received, SendTrouble, Wire};
use crate::time::{Instant, Stamp};
use crate::wire::{Flags, IcmpError, IpHeader, IpPayload, Packet, Segment, checksum, parse_ip};

/// A wire with ports to give, and randomness.
pub trait Stand: Wire {
    /// Guards a source port that nobody can predict.
    ///
    /// # Errors
    /// There is none left, or the kernel cannot be kept quiet on it.
    fn take_port(&mut self) -> io::Result<u16>;

    /// Lets go of a guarded port.
    fn release_port(&mut self, port: u16);

    /// Four numbers that nobody on the network can guess.
    ///
    /// # Errors
    /// The kernel has no randomness to give.
    fn words(&mut self) -> io::Result<[u32; 4]>;
}

/// How long a port stays guarded after its conversation: what still comes for it, comes by then, and
/// the kernel's answer to it would look like ours.
const QUARANTINE: Duration = Duration::from_secs(5);

/// Packets that are taken in before the scripts have their turn.
const PATIENCE: u32 = 10_000;

/// What arrived for a conversation.
#[derive(Clone, PartialEq, Debug)]
pub enum Arrival {
    /// A segment.
    Segment(Got),
    /// An ICMP error about a segment of ours.
    Icmp(IcmpError, Stamp),
}

/// A segment that arrived.
#[derive(Clone, PartialEq, Debug)]
pub struct Got {
    /// When, by which clock.
    pub stamp: Stamp,
    /// Its IP header.
    pub ip: IpHeader,
    /// The segment.
    pub segment: Segment,
    /// Whether its checksum is right; `None` where the capture cannot tell (loopback, virtio).
    pub checksum_right: Option<bool>,
}

/// A conversation as the core knows it.
#[derive(Debug)]
struct Place {
    remote: SocketAddr,
    inbox: VecDeque<Arrival>,
    trace: Rc<RefCell<Trace>>,
    slot: usize,
    /// Our packets whose copies the capture has yet to show: their place in the trace.
    unseen: VecDeque<usize>,
}

/// See the module's documentation.
pub struct Core {
    stand: Box<dyn Stand>,
    source: IpAddr,
    target: SocketAddr,
    places: HashMap<u16, Place>,
    /// Ports of conversations that are over, each until when and with whom.
    quarantine: VecDeque<(Instant, u16, SocketAddr)>,
    wake: Option<Instant>,
    /// What had arrived by then is in the inboxes.
    heard: Instant,
    failure: Option<io::Error>,
    ip_id: u16,
    flow_label: u32,
    /// Segments sent.
    pub sent: u64,
    /// Segments received.
    pub received: u64,
    /// Our kernel spoke in our name.
    pub interference: bool,
    /// Exchanges that any live server answers, and those that had to be repeated for it.
    pub asked: u32,
    /// See `asked`.
    pub repeated: u32,
    /// Somebody got no answer to any SYN.
    pub(super) silence: bool,
}

impl Core {
    /// A core over `stand`, from `source` to `target`.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn new(mut stand: Box<dyn Stand>, source: IpAddr, target: SocketAddr) -> io::Result<Self> {
        let [ip_id, flow_label, ..] = stand.words()?;
        Ok(Self {
            heard: stand.now(),
            stand,
            source,
            target,
            places: HashMap::new(),
            quarantine: VecDeque::new(),
            wake: None,
            failure: None,
            ip_id: (ip_id & 0xffff) as u16,
            flow_label: flow_label & 0x000f_ffff,
            sent: 0,
            received: 0,
            interference: false,
            asked: 0,
            repeated: 0,
            silence: false,
        })
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        self.stand.now()
    }

    /// Until when nothing can have arrived that is not in an inbox. Where this host is busy, that is
    /// a while ago, and it is no silence of the target's.
    pub(super) const fn heard(&self) -> Instant {
        self.heard
    }

    /// The wire.
    pub fn stand(&mut self) -> &mut dyn Stand {
        &mut *self.stand
    }

    /// Our address.
    pub const fn source(&self) -> IpAddr {
        self.source
    }

    /// The target's address and port.
    pub const fn target(&self) -> SocketAddr {
        self.target
    }

    /// What our own host failed of, once.
    pub fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Whether somebody got no answer to any SYN to the target since the last call.
    pub fn take_silence(&mut self) -> bool {
        std::mem::take(&mut self.silence)
    }

    /// Guards a port for a conversation with `remote`, the `slot`-th of `trace`.
    pub(super) fn begin(
        &mut self,
        remote: SocketAddr,
        trace: &Rc<RefCell<Trace>>,
        slot: usize,
    ) -> io::Result<SocketAddr> {
        let now = self.now();
        while self.quarantine.front().is_some_and(|(until, ..)| *until <= now) {
            if let Some((_, port, _)) = self.quarantine.pop_front() {
                self.stand.release_port(port);
            }
        }
        let port = self.stand.take_port().inspect_err(|error| {
            self.failure = Some(io::Error::new(error.kind(), error.to_string()));
        })?;
        let place = Place {
            remote,
            inbox: VecDeque::new(),
            trace: Rc::clone(trace),
            slot,
            unseen: VecDeque::new(),
        };
        self.places.insert(port, place);
        Ok(SocketAddr::new(self.source, port))
    }

    /// Ends a conversation. Its port stays guarded for a while, and answers as CLOSED does.
    pub(super) fn end(&mut self, port: u16) {
        if let Some(place) = self.places.remove(&port) {
            self.quarantine.push_back((self.now() + QUARANTINE, port, place.remote));
        }
    }

    /// The next thing that arrived for the conversation from `port`.
    pub(super) fn next(&mut self, port: u16) -> Option<Arrival> {
        self.places.get_mut(&port)?.inbox.pop_front()
    }

    /// Four random words.
    pub(super) fn words(&mut self) -> io::Result<[u32; 4]> {
        self.stand.words()
    }

    /// Wakes everybody at `at`, if nothing else does before.
    pub(super) fn wake_at(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// The header of our next packet to the target.
    pub(super) fn header(&mut self, to: IpAddr) -> IpHeader {
        // Never 0, which would ask the kernel to choose one.
        self.ip_id = self.ip_id.checked_add(1).unwrap_or(1);
        IpHeader {
            src: self.source,
            dst: to,
            ttl: 64,
            tos: 0,
            id: if to.is_ipv4() { self.ip_id } else { 0 },
            dont_fragment: true,
            flow_label: self.flow_label,
        }
    }

    /// Sends an IP packet for the conversation from `port`, and notes it.
    pub(super) fn send(&mut self, port: u16, bytes: Vec<u8>, label: &'static str) {
        let stamp = Stamp { at: self.now(), clock: crate::time::Clock::User };
        self.sent += 1;
        if let Some(place) = self.places.get_mut(&port) {
            let mut trace = place.trace.borrow_mut();
            let step = outgoing(&bytes);
            if matches!(step, Step::Segment { .. }) {
                place.unseen.push_back(trace.entries.len());
            }
            trace.entries.push(Entry { stamp, conversation: place.slot, step, label });
        }
        if let Err(error) = self.stand.send(&bytes)
            && SendTrouble::of(&error).is_none()
        {
            // What may pass is a lost packet like any other; the rest ends the run.
            self.failure.get_or_insert(error);
        }
    }

    /// Waits for whatever comes first, a packet or the time to wake somebody up, and puts everything
    /// that has arrived by then into its inbox.
    ///
    /// # Errors
    /// The capture failed, or an earlier packet could not leave.
    pub fn turn(&mut self, latest: Option<Instant>) -> io::Result<Turn> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        let wake = [self.wake.take(), latest].into_iter().flatten().min();
        // Somebody always waits until some time; a second is for the case that nobody does.
        let mut until = wake.unwrap_or_else(|| self.now() + Duration::from_secs(1));
        // Whoever floods a port of ours shall not keep us from our time.
        for _ in 0..PATIENCE {
            let asked = self.now();
            match self.stand.receive(until)? {
                Received::Frame(frame) => {
                    if self.deliver(&frame) {
                        // Whatever is in the kernel's queue already belongs to the same moment.
                        until = Instant::ZERO;
                    }
                }
                Received::Timeout => {
                    self.heard = asked.max(until);
                    return Ok(Turn::Progress);
                }
                Received::Interrupted => return Ok(Turn::Interrupted),
                Received::StatusRequested => return Ok(Turn::StatusRequested),
            }
        }
        self.heard = self.now();
        Ok(Turn::Progress)
    }

    /// Whether somebody got mail.
    fn deliver(&mut self, frame: &Frame) -> bool {
        let Ok((ip, payload)) = parse_ip(&frame.bytes) else { return false };
        match (frame.dir, payload) {
            (Dir::Tx, IpPayload::Tcp(segment)) => {
                self.confirm(frame, &ip, segment);
                false
            }
            (Dir::Rx, IpPayload::Tcp(bytes)) => self.segment_came(frame, ip, bytes),
            (Dir::Rx, IpPayload::Icmp(message)) => self.icmp_came(frame, &ip, message),
            _ => false,
        }
    }

    /// The capture's copy of a packet of ours bears the time at which it left.
    fn confirm(&mut self, frame: &Frame, ip: &IpHeader, segment: &[u8]) {
        let Some(port) = segment.get(..2).map(|port| u16::from_be_bytes([port[0], port[1]])) else {
            return;
        };
        let Some(place) = self.places.get_mut(&port).filter(|place| place.remote.ip() == ip.dst)
        else {
            return;
        };
        let mut trace = place.trace.borrow_mut();
        let same = |at: &usize| match &trace.entries[*at].step {
            Step::Segment { bytes, .. } => bytes.ends_with(segment),
            _ => false,
        };
        let Some(position) = place.unseen.iter().position(same) else {
            let step = outgoing(&frame.bytes);
            let label = "sent by this host's kernel, not by us";
            let conversation = place.slot;
            trace.entries.push(Entry { stamp: frame.stamp, conversation, step, label });
            self.interference = true;
            return;
        };
        if let Some(at) = place.unseen.remove(position) {
            trace.entries[at].stamp = frame.stamp;
        }
    }

    fn segment_came(&mut self, frame: &Frame, ip: IpHeader, bytes: &[u8]) -> bool {
        let Ok(segment) = Segment::parse(bytes) else { return false };
        let remote = SocketAddr::new(ip.src, segment.src_port);
        let Some(place) = self.places.get_mut(&segment.dst_port) else {
            self.answer_as_closed(&segment, remote);
            return false;
        };
        if place.remote != remote {
            return false;
        }
        self.received += 1;
        let checksum_right = (frame.checksum == ChecksumTrust::Verify)
            .then(|| checksum::tcp_is_right(ip.src, ip.dst, bytes));
        let packet = Some(Box::new(Packet { ip, segment: segment.clone() }));
        let step = Step::Segment { dir: Dir::Rx, packet, bytes: frame.bytes.clone() };
        let label = if checksum_right == Some(false) { "wrong checksum: passed over" } else { "" };
        let entry = Entry { stamp: frame.stamp, conversation: place.slot, step, label };
        place.trace.borrow_mut().entries.push(entry);
        let got = Got { stamp: frame.stamp, ip, segment, checksum_right };
        place.inbox.push_back(Arrival::Segment(got));
        true
    }

    /// A conversation that is over is CLOSED at our end (RFC 9293 §3.10.7.1): whoever still speaks of
    /// it gets `<SEQ=SEG.ACK><CTL=RST>`, which is exact, and clears away what a lost RST left there.
    fn answer_as_closed(&mut self, segment: &Segment, remote: SocketAddr) {
        let over = |(_, port, with): &(Instant, u16, SocketAddr)| {
            *port == segment.dst_port && *with == remote
        };
        if segment.has(Flags::RST) || !segment.has(Flags::ACK) || !self.quarantine.iter().any(over)
        {
            return;
        }
        let answer = Segment {
            src_port: segment.dst_port,
            dst_port: segment.src_port,
            seq: segment.ack,
            flags: Flags::RST,
            ..Segment::default()
        };
        let ip = self.header(remote.ip());
        if let Ok(bytes) = (Packet { ip, segment: answer }).emit() {
            self.send(segment.dst_port, bytes, "");
        }
    }

    fn icmp_came(&mut self, frame: &Frame, ip: &IpHeader, message: &[u8]) -> bool {
        let Ok(Some(error)) = IcmpError::parse(ip, message) else { return false };
        let Some(place) = self.places.get_mut(&error.quote.src_port) else { return false };
        if place.remote.ip() != error.quote.dst {
            return false;
        }
        let step = Step::Icmp { dir: Dir::Rx, error: Box::new(error), bytes: frame.bytes.clone() };
        let entry = Entry { stamp: frame.stamp, conversation: place.slot, step, label: "" };
        place.trace.borrow_mut().entries.push(entry);
        place.inbox.push_back(Arrival::Icmp(error, frame.stamp));
        true
    }
}

/// What a turn ended with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Something arrived, or somebody's time came.
    Progress,
    /// The user wants to come to an end.
    Interrupted,
    /// The user wants to know how it stands.
    StatusRequested,
}

/// A packet of ours, as far as it can be read.
fn outgoing(bytes: &[u8]) -> Step {
    let (packet, icmp) = match parse_ip(bytes) {
        Ok((ip, IpPayload::Tcp(segment))) => {
            let segment = Segment::parse(segment).ok();
            (segment.map(|segment| Box::new(Packet { ip, segment })), None)
        }
        Ok((ip, IpPayload::Icmp(message))) => {
            (None, IcmpError::parse(&ip, message).ok().flatten().map(Box::new))
        }
        _ => (None, None),
    };
    let (dir, bytes) = (Dir::Tx, bytes.to_vec());
    match icmp {
        Some(error) => Step::Icmp { dir, error, bytes },
        None => Step::Segment { dir, packet, bytes },
    }
}
