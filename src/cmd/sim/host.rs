//! The simulated far end: our own TCP machine behind any number of ports, with an application.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::net::sim::{Endpoint, Rng};
use crate::tcp::{Config, Connection, ConnectionEvent, Offered, State, Timers, Transition};
use crate::time::Instant;
use crate::wire::{
    Flags, IpHeader, IpPayload, Packet, ParseError, Segment, SeqNum, checksum, parse_ip,
};

/// What the application behind a port does, or what stands where an application would be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Behaviour {
    /// Sends back what it gets, and closes after us.
    Echo,
    /// Says a line as soon as it is connected, and closes at once.
    Greet,
    /// Acknowledges everything and never closes.
    Stubborn,
    /// Reads to the end, then answers, then closes.
    Answer,
    /// Says much as soon as it is connected, and closes after us.
    Bulk,
    /// Answers a request, which ends with an empty line, and closes first.
    Page,
    /// Answers each request of HTTP/1, which ends with an empty line: closes behind one of HTTP/1.0,
    /// and keeps the connection otherwise.
    Web,
    /// The same, but announces after the second answer that it closes, and does so.
    WebTwice,
    /// Resets the connection as soon as it reads anything, the end included.
    Reset,
    /// Connects to us, says a line, and closes when it is answered, or when we close.
    Call,
    /// The same, twice.
    CallTwice,
    /// Connects to us, says nothing, and closes only after us.
    Hold,
    /// Nobody listens: RST.
    Closed,
    /// Everything is dropped.
    Silent,
    /// A router says by ICMP that the host is unreachable.
    Unreachable,
    /// A firewall says by ICMP that the host is out of bounds.
    Prohibited,
}

impl Behaviour {
    /// All of them, with their names.
    pub(crate) const ALL: [(&'static str, Self); 16] = [
        ("echo", Self::Echo),
        ("greet", Self::Greet),
        ("stubborn", Self::Stubborn),
        ("answer", Self::Answer),
        ("bulk", Self::Bulk),
        ("page", Self::Page),
        ("web", Self::Web),
        ("web-twice", Self::WebTwice),
        ("reset", Self::Reset),
        ("call", Self::Call),
        ("call-twice", Self::CallTwice),
        ("hold", Self::Hold),
        ("closed", Self::Closed),
        ("silent", Self::Silent),
        ("unreachable", Self::Unreachable),
        ("prohibited", Self::Prohibited),
    ];

    const fn listens(self) -> bool {
        !matches!(self, Self::Closed | Self::Silent | Self::Unreachable | Self::Prohibited)
    }
}

/// What [`Behaviour::Call`] says.
const CALL: &[u8] = b"hello\r\n";
/// When it calls, and how much later it calls again.
const CALLS_AFTER: Duration = Duration::from_millis(100);
/// What [`Behaviour::Greet`] says.
const GREETING: &[u8] = b"hello\r\n";
/// What [`Behaviour::Answer`] answers.
const ANSWER: &[u8] = b"answer\n";
/// Bytes of what [`Behaviour::Bulk`] and [`Behaviour::Page`] say: several segments.
const PAGE: usize = 6000;
/// What ends a request.
const EMPTY_LINE: &[u8] = b"\r\n\r\n";

/// One connection of the host: its machine, and what its application has done.
#[derive(Debug)]
pub(crate) struct Service {
    machine: Connection,
    behaviour: Behaviour,
    ip: IpHeader,
    /// The machine's true moves, in order.
    pub(crate) moves: Vec<Transition>,
    /// All that it received.
    pub(crate) heard: Vec<u8>,
    established: bool,
    /// When the application acts on the end of what it reads.
    acts_at: Option<Instant>,
    acted: bool,
    /// It has said what it says unasked.
    spoke: bool,
    /// Up to where requests have been answered, and how many.
    read_to: usize,
    answered: u32,
}

/// The far end of a simulated wire. Whatever the address, it is the host that is meant.
#[derive(Debug)]
pub(crate) struct Host {
    behaviour: Behaviour,
    /// Ports where `behaviour` is; the others are closed. All, where there are none.
    ports: Vec<u16>,
    /// How long the application takes to act on our end of file: its CLOSE-WAIT dwell.
    dwell: Duration,
    /// Its maximum segment lifetime.
    msl: Duration,
    rng: Rng,
    /// (its address, ours) → connection.
    services: BTreeMap<(SocketAddr, SocketAddr), Service>,
    /// Whom to call, and when.
    calls: VecDeque<(Instant, SocketAddr)>,
    /// Answers that belong to no connection.
    out: VecDeque<Vec<u8>>,
    ip_id: u16,
}

impl Host {
    /// A host whose initial sequence numbers come from `seed`.
    pub(crate) fn new(behaviour: Behaviour, ports: Vec<u16>, dwell: Duration, seed: u64) -> Self {
        Self {
            behaviour,
            ports,
            dwell,
            msl: Duration::from_secs(1),
            rng: Rng::new(seed),
            services: BTreeMap::new(),
            calls: VecDeque::new(),
            out: VecDeque::new(),
            ip_id: 0,
        }
    }

    /// The same host with this maximum segment lifetime.
    pub(crate) fn with_msl(self, msl: Duration) -> Self {
        Self { msl, ..self }
    }

    /// Has it call `ours`, where that is its behaviour.
    pub(crate) fn call(&mut self, ours: SocketAddr) {
        let times = match self.behaviour {
            Behaviour::Call | Behaviour::Hold => 1,
            Behaviour::CallTwice => 2,
            _ => 0,
        };
        self.calls = (1..=times).map(|nth| (Instant::ZERO + CALLS_AFTER * nth, ours)).collect();
    }

    /// Opens the connections for which it is time.
    fn place_calls(&mut self, now: Instant) {
        while let Some(&(at, ours)) = self.calls.front()
            && at <= now
        {
            self.calls.pop_front();
            let ip = match ours.ip() {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7)),
            };
            let port = 50_000 + self.services.len() as u16;
            let config = self.config(port, ours.port());
            let header = IpHeader {
                src: ip,
                dst: ours.ip(),
                ttl: 63,
                tos: 0,
                id: 0,
                dont_fragment: true,
                flow_label: 0,
            };
            let machine = Connection::connect(config, now);
            let service = Service::new(machine, self.behaviour, header);
            self.services.insert((SocketAddr::new(ip, port), ours), service);
        }
    }

    fn config(&mut self, local_port: u16, remote_port: u16) -> Config {
        Config {
            local_port,
            remote_port,
            iss: SeqNum(self.rng.bits() as u32),
            ts_offset: self.rng.bits() as u32,
            offer: Offered { window: 65160, ..Offered::default() },
            receive_buffer: 65160,
            timers: Timers { msl: self.msl, ..Timers::default() },
        }
    }

    /// Its connections, in the order of their addresses.
    #[cfg(test)]
    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }

    fn at(&self, port: u16) -> Behaviour {
        let here = self.ports.is_empty() || self.ports.contains(&port);
        if here { self.behaviour } else { Behaviour::Closed }
    }

    fn listen(&mut self, behaviour: Behaviour, segment: &Segment, ip: &IpHeader) -> Service {
        let config = self.config(segment.dst_port, 0);
        Service::new(Connection::listen(config), behaviour, answer_to(ip))
    }

    /// RST for a segment of no connection (RFC 9293 §3.10.7.1).
    fn refuse(&mut self, segment: &Segment, ip: &IpHeader) {
        if segment.has(Flags::RST) {
            return;
        }
        let (seq, ack, flags) = if segment.has(Flags::ACK) {
            (segment.ack, SeqNum(0), Flags::RST)
        } else {
            (SeqNum(0), segment.seq_end(), Flags::RST | Flags::ACK)
        };
        let (src_port, dst_port) = (segment.dst_port, segment.src_port);
        let segment = Segment { src_port, dst_port, seq, ack, flags, ..Segment::default() };
        self.out.extend(Packet { ip: answer_to(ip), segment }.emit());
    }

    fn receive(&mut self, packet: &[u8], now: Instant) {
        let Ok((ip, IpPayload::Tcp(bytes))) = parse_ip(packet) else { return };
        let right = checksum::tcp_is_right(ip.src, ip.dst, bytes);
        let Some(segment) = Segment::parse(bytes).ok().filter(|_| right) else { return };
        let behaviour = self.at(segment.dst_port);
        match behaviour {
            Behaviour::Silent => return,
            Behaviour::Closed => return self.refuse(&segment, &ip),
            Behaviour::Unreachable => return self.out.extend(icmp(packet, &ip, false)),
            Behaviour::Prohibited => return self.out.extend(icmp(packet, &ip, true)),
            listens => debug_assert!(listens.listens()),
        }
        let key =
            (SocketAddr::new(ip.dst, segment.dst_port), SocketAddr::new(ip.src, segment.src_port));
        let lives = |service: &Service| service.machine.state() != State::Closed;
        if !self.services.get(&key).is_some_and(lives) {
            if !segment.has(Flags::SYN) || segment.has(Flags::ACK) {
                return self.refuse(&segment, &ip);
            }
            let service = self.listen(behaviour, &segment, &ip);
            self.services.insert(key, service);
        }
        let dwell = self.dwell;
        if let Some(service) = self.services.get_mut(&key) {
            service.machine.handle_segment(&segment, now);
            service.serve(dwell, now);
        }
    }
}

impl Service {
    fn new(machine: Connection, behaviour: Behaviour, ip: IpHeader) -> Self {
        Self {
            machine,
            behaviour,
            ip,
            moves: Vec::new(),
            heard: Vec::new(),
            established: false,
            acts_at: None,
            acted: false,
            spoke: false,
            read_to: 0,
            answered: 0,
        }
    }

    /// Lets the application act on what happened.
    fn serve(&mut self, dwell: Duration, now: Instant) {
        while let Some(event) = self.machine.poll_event() {
            match event {
                ConnectionEvent::Transition(transition) => self.moves.push(transition),
                ConnectionEvent::Established => self.established = true,
                _ => {}
            }
        }
        let read = self.machine.take_received();
        self.heard.extend_from_slice(&read);
        let ended = self.machine.peer_fin_received();
        match self.behaviour {
            Behaviour::Echo if !read.is_empty() => self.say(&read, now),
            Behaviour::Greet if self.established && !self.acted => {
                self.say(GREETING, now);
                self.finish(now);
            }
            Behaviour::Bulk if self.established && !self.spoke => {
                self.spoke = true;
                self.say(&[b'x'; PAGE], now);
            }
            Behaviour::Call | Behaviour::CallTwice => {
                if self.established && !self.spoke {
                    self.spoke = true;
                    self.say(CALL, now);
                }
                if !self.acted && (ended || !self.heard.is_empty()) {
                    self.finish(now);
                }
            }
            Behaviour::Hold if ended && !self.acted => self.finish(now),
            Behaviour::Page if !self.acted && self.has_asked() => {
                self.say(&[b'h'; PAGE], now);
                self.finish(now);
            }
            Behaviour::Web | Behaviour::WebTwice if !self.acted => self.answer_http(now),
            Behaviour::Reset if !self.acted && (ended || !read.is_empty()) => {
                self.acted = true;
                self.machine.abort(now);
            }
            _ => {}
        }
        let closes = matches!(
            self.behaviour,
            Behaviour::Echo
                | Behaviour::Answer
                | Behaviour::Bulk
                | Behaviour::Page
                | Behaviour::Web
                | Behaviour::WebTwice
        );
        if ended && closes && !self.acted {
            let at = *self.acts_at.get_or_insert(now + dwell);
            if at <= now {
                if self.behaviour == Behaviour::Answer {
                    self.say(ANSWER, now);
                }
                self.finish(now);
            }
        }
        // What the application did moved the machine.
        while let Some(event) = self.machine.poll_event() {
            if let ConnectionEvent::Transition(transition) = event {
                self.moves.push(transition);
            }
        }
    }

    /// Answers the requests that are complete.
    fn answer_http(&mut self, now: Instant) {
        while let Some(end) = self.heard[self.read_to..]
            .windows(EMPTY_LINE.len())
            .position(|window| window == EMPTY_LINE)
        {
            let end = self.read_to + end + EMPTY_LINE.len();
            let request = String::from_utf8_lossy(&self.heard[self.read_to..end]).into_owned();
            self.read_to = end;
            self.answered += 1;
            let old = request.contains(" HTTP/1.0\r\n");
            let last = old || self.behaviour == Behaviour::WebTwice && self.answered == 2;
            let (status, body) = match request.split(' ').nth(1) {
                Some("/old") => ("301 Moved Permanently\r\nlocation: /new", ""),
                Some("/none") => ("404 Not Found", "none\n"),
                _ => ("200 OK", "hello\n"),
            };
            let version = if old { "1.0" } else { "1.1" };
            let close = if last && !old { "connection: close\r\n" } else { "" };
            let length = body.len();
            self.say(
                format!("HTTP/{version} {status}\r\n{close}content-length: {length}\r\n\r\n{body}")
                    .as_bytes(),
                now,
            );
            if last {
                return self.finish(now);
            }
        }
    }

    fn has_asked(&self) -> bool {
        self.heard.windows(EMPTY_LINE.len()).any(|window| window == EMPTY_LINE)
    }

    fn say(&mut self, data: &[u8], now: Instant) {
        // What the machine no longer takes is lost, as it would be to a real application.
        let _ = self.machine.send(data, now);
    }

    fn finish(&mut self, now: Instant) {
        self.acted = true;
        self.acts_at = None;
        // Closed already, by a reset: there is nothing left to close.
        let _ = self.machine.close(now);
    }

    fn wakes_at(&self) -> Option<Instant> {
        let acts_at = self.acts_at.filter(|_| !self.acted);
        [acts_at, self.machine.poll_timeout()].into_iter().flatten().min()
    }

    /// States through which it really went, behind LISTEN.
    #[cfg(test)]
    pub(crate) fn path(&self) -> Vec<State> {
        self.moves.iter().map(|step| step.to).collect()
    }
}

impl Endpoint for Host {
    fn handle(&mut self, packet: &[u8], now: Instant) {
        self.receive(packet, now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        if let Some(packet) = self.out.pop_front() {
            return Some(packet);
        }
        for service in self.services.values_mut() {
            let Some(transmit) = service.machine.poll_transmit(now) else { continue };
            // Sending a FIN behind data may move the machine.
            while let Some(event) = service.machine.poll_event() {
                if let ConnectionEvent::Transition(transition) = event {
                    service.moves.push(transition);
                }
            }
            self.ip_id = self.ip_id.wrapping_add(1);
            let v4 = service.ip.src.is_ipv4();
            let ip = IpHeader { id: if v4 { self.ip_id } else { 0 }, ..service.ip };
            return Packet { ip, segment: transmit.segment }.emit().ok();
        }
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let call = self.calls.front().map(|(at, _)| *at);
        self.services.values().filter_map(Service::wakes_at).chain(call).min()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.place_calls(now);
        let dwell = self.dwell;
        for service in self.services.values_mut() {
            if service.wakes_at().is_some_and(|at| at <= now) {
                service.machine.handle_timeout(now);
                service.serve(dwell, now);
            }
        }
    }
}

/// The header of an answer to `ip`, one router away.
fn answer_to(ip: &IpHeader) -> IpHeader {
    IpHeader { src: ip.dst, dst: ip.src, ttl: 63, tos: 0, id: 0, ..*ip }
}

/// The ICMP error that quotes `packet`: host unreachable, or administratively prohibited.
fn icmp(packet: &[u8], ip: &IpHeader, prohibited: bool) -> Result<Vec<u8>, ParseError> {
    let v4 = ip.src.is_ipv4();
    let (icmp_type, code) = match (v4, prohibited) {
        (true, false) => (3, 1),
        (true, true) => (3, 13),
        (false, false) => (1, 3),
        (false, true) => (1, 1),
    };
    let mut message = vec![icmp_type, code, 0, 0, 0, 0, 0, 0];
    // All of a short packet, as RFC 1812 §4.3.2.3 and RFC 4443 §2.4 want it. The sums of the headers
    // stay wrong: a kernel would have judged them before any capture.
    message.extend_from_slice(packet);
    let mut bytes = answer_to(ip).wrap(&message)?;
    let (protocol_at, protocol) = if v4 { (9, 1) } else { (6, 58) };
    bytes[protocol_at] = protocol;
    Ok(bytes)
}
