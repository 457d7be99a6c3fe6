//! A host whose TCP is ours, with the same applications as the smoltcp host.

use std::net::IpAddr;

use shakedown::net::sim::Endpoint;
use shakedown::tcp::{Config, Connection, ConnectionEvent, GaveUp, State};
use shakedown::time::Instant;
use shakedown::wire::{IpHeader, IpPayload, Packet, Segment, checksum, parse_ip};

use crate::host::Service;

/// Our machine, an application on it, and an IP layer that drops what is broken.
pub(crate) struct OurHost {
    pub(crate) connection: Connection,
    ip: IpHeader,
    service: Service,
    reads_from: Instant,
    asleep: bool,
    far_end_closed: bool,
    /// Everything that the application received.
    pub(crate) received: Vec<u8>,
    /// What the machine reported, in order.
    events: Vec<ConnectionEvent>,
}

impl OurHost {
    /// Calls.
    pub(crate) fn calling(config: Config, [ours, theirs]: [&str; 2], service: Service) -> Self {
        Self::new(Connection::connect(config, Instant::ZERO), [ours, theirs], service)
    }

    /// Listens.
    pub(crate) fn serving(config: Config, [ours, theirs]: [&str; 2], service: Service) -> Self {
        Self::new(Connection::listen(config), [ours, theirs], service)
    }

    /// Has the application read nothing before `from`.
    pub(crate) fn reading_from(self, from: Instant) -> Self {
        Self { reads_from: from, ..self }
    }

    fn new(connection: Connection, [ours, theirs]: [&str; 2], service: Service) -> Self {
        let (src, dst): (IpAddr, IpAddr) = (ours.parse().unwrap(), theirs.parse().unwrap());
        let dont_fragment = true;
        let ip = IpHeader { src, dst, ttl: 64, tos: 0, id: 0, dont_fragment, flow_label: 0 };
        Self {
            connection,
            ip,
            service,
            reads_from: Instant::ZERO,
            asleep: false,
            far_end_closed: false,
            received: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Whether the connection has come to its end, and the application has read what it brought.
    pub(crate) fn is_over(&self) -> bool {
        self.connection.state() == State::Closed && !self.asleep
    }

    /// The step at which the connection failed, by the machine's own report.
    pub(crate) fn failure(&self) -> Option<String> {
        self.events.iter().find_map(|event| match event {
            ConnectionEvent::GaveUp(GaveUp::Syn) => Some("no answer to SYN".to_owned()),
            ConnectionEvent::GaveUp(step) => Some(format!("gave up: {step:?}")),
            ConnectionEvent::Refused | ConnectionEvent::ResetByPeer => Some(format!("{event:?}")),
            _ => None,
        })
    }

    /// The state from which the last move was.
    pub(crate) fn last_state(&self) -> State {
        let from = |event: &ConnectionEvent| match event {
            ConnectionEvent::Transition(transition) => Some(transition.from),
            _ => None,
        };
        self.events.iter().rev().find_map(from).unwrap_or(State::Closed)
    }

    /// Lets the application act on what happened.
    fn run_application(&mut self, now: Instant) {
        while let Some(event) = self.connection.poll_event() {
            self.events.push(event);
            match (&self.service, event) {
                (Service::ClosesFirst(words), ConnectionEvent::Established) => {
                    self.connection.send(words, now).unwrap();
                    self.connection.close(now).unwrap();
                }
                (_, ConnectionEvent::PeerFin) => self.far_end_closed = true,
                _ => {}
            }
        }
        self.asleep = now < self.reads_from;
        if self.asleep {
            return;
        }
        let heard = self.connection.take_received();
        self.received.extend(&heard);
        if self.connection.state() == State::Closed {
            return;
        }
        if self.service == Service::Echo && !heard.is_empty() {
            self.connection.send(&heard, now).unwrap();
        }
        if std::mem::take(&mut self.far_end_closed) {
            match &self.service {
                Service::ClosesFirst(_) => return,
                Service::AnswersAfterEof(words) => self.connection.send(words, now).unwrap(),
                Service::Echo | Service::Sink => {}
            }
            self.connection.close(now).unwrap();
        }
    }
}

impl Endpoint for OurHost {
    fn handle(&mut self, packet: &[u8], now: Instant) {
        let Ok((ip, IpPayload::Tcp(inner))) = parse_ip(packet) else { return };
        let right = checksum::tcp_is_right(ip.src, ip.dst, inner);
        if (ip.src, ip.dst) != (self.ip.dst, self.ip.src) || !right {
            return;
        }
        if let Ok(segment) = Segment::parse(inner) {
            self.connection.handle_segment(&segment, now);
            self.run_application(now);
        }
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        let transmit = self.connection.poll_transmit(now);
        self.run_application(now);
        transmit.map(|transmit| Packet { ip: self.ip, segment: transmit.segment }.emit().unwrap())
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let application = Some(self.reads_from).filter(|_| self.asleep);
        [self.connection.poll_timeout(), application].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.connection.handle_timeout(now);
        self.run_application(now);
    }
}
