//! A host whose TCP is smoltcp's, as the far end of a simulated network.

use std::collections::VecDeque;

use shakedown::net::sim::Endpoint;
use shakedown::time::Instant;
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant as SmolInstant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

/// Our addresses and those of the smoltcp host, in both families.
pub(crate) const OURS: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
pub(crate) const THEIRS: [&str; 2] = ["192.0.2.2", "2001:db8::2"];
/// The port of whoever listens, and of whoever calls.
pub(crate) const SERVER_PORT: u16 = 80;
pub(crate) const CLIENT_PORT: u16 = 40000;

/// What the application on a smoltcp socket does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Service {
    /// Sends back what it receives, and closes after the far end did.
    Echo,
    /// Receives, says nothing, closes after the far end did.
    Sink,
    /// Says this and closes, without waiting for anything.
    ClosesFirst(Vec<u8>),
    /// Says this once the far end has closed, then closes: a half-close.
    AnswersAfterEof(Vec<u8>),
}

impl Service {
    /// All that it says on a connection on which it hears `heard`.
    pub(crate) fn answer(&self, heard: &[u8]) -> Vec<u8> {
        match self {
            Self::Echo => heard.to_vec(),
            Self::Sink => vec![],
            Self::ClosesFirst(words) | Self::AnswersAfterEof(words) => words.clone(),
        }
    }
}

/// How an application receives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reading {
    /// Bytes that its TCP holds for it.
    pub(crate) buffer: u32,
    /// It reads nothing before this time: the window closes.
    pub(crate) from: Instant,
}

/// A smoltcp interface with one socket, in virtual time.
pub(crate) struct SmolHost {
    device: Queues,
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    service: Service,
    reads_from: Instant,
    /// What the application has not yet handed to its socket.
    outgoing: VecDeque<u8>,
    spoke: bool,
    /// Everything that the application received.
    pub(crate) received: Vec<u8>,
    wake: Option<SmolInstant>,
}

impl SmolHost {
    /// A host that listens on [`SERVER_PORT`]. `seed` chooses its sequence numbers.
    pub(crate) fn serving(seed: u64, service: Service, reading: Reading) -> Self {
        let mut host = Self::new(seed, THEIRS, service, reading);
        host.sockets.get_mut::<Socket>(host.socket).listen(SERVER_PORT).unwrap();
        host
    }

    /// A host at `addresses` that calls `to`, [`SERVER_PORT`], from [`CLIENT_PORT`].
    pub(crate) fn calling(
        seed: u64,
        addresses: [&str; 2],
        to: &str,
        service: Service,
        reading: Reading,
    ) -> Self {
        let mut host = Self::new(seed, addresses, service, reading);
        let to: IpAddress = to.parse().unwrap();
        host.sockets
            .get_mut::<Socket>(host.socket)
            .connect(host.interface.context(), (to, SERVER_PORT), CLIENT_PORT)
            .unwrap();
        host.work(Instant::ZERO);
        host
    }

    fn new(seed: u64, at: [&str; 2], service: Service, reading: Reading) -> Self {
        let mut device = Queues::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut device, SmolInstant::ZERO);
        interface.update_ip_addrs(|addresses| {
            for (address, prefix) in at.iter().zip([24, 64]) {
                addresses.push(IpCidr::new(address.parse().unwrap(), prefix)).unwrap();
            }
        });
        let mut sockets = SocketSet::new(Vec::new());
        let buffer = |bytes: usize| SocketBuffer::new(vec![0; bytes]);
        let receive = buffer(reading.buffer.try_into().unwrap());
        let socket = sockets.add(Socket::new(receive, buffer(16_384)));
        Self {
            device,
            interface,
            sockets,
            socket,
            service,
            reads_from: reading.from,
            outgoing: VecDeque::new(),
            spoke: false,
            received: Vec::new(),
            wake: None,
        }
    }

    /// The state of the socket, by smoltcp's word.
    pub(crate) fn state(&self) -> State {
        self.sockets.get::<Socket>(self.socket).state()
    }

    /// Whether the socket is anything but closed.
    pub(crate) fn is_open(&self) -> bool {
        self.sockets.get::<Socket>(self.socket).is_open()
    }

    /// Lets interface and application work until neither moves.
    fn work(&mut self, now: Instant) {
        let smol_now = smol(now);
        loop {
            let polled = self.interface.poll(smol_now, &mut self.device, &mut self.sockets);
            if !self.run_application(now) && polled == PollResult::None {
                break;
            }
        }
        // Sometimes smoltcp wants to be polled at once and then does nothing; a millisecond later is
        // soon enough, and lets virtual time go on.
        let soon = smol_now + smoltcp::time::Duration::from_millis(1);
        self.wake = self
            .interface
            .poll_at(smol_now, &self.sockets)
            .map(|at| if at <= smol_now { soon } else { at });
        if now < self.reads_from {
            let then = smol(self.reads_from);
            self.wake = Some(self.wake.map_or(then, |at| at.min(then)));
        }
    }

    /// One step of the application; whether it moved anything.
    fn run_application(&mut self, now: Instant) -> bool {
        let socket = self.sockets.get_mut::<Socket>(self.socket);
        let mut moved = false;
        // smoltcp forgets what was not read when TIME-WAIT ends.
        let reads = now >= self.reads_from || socket.state() == State::TimeWait;
        while reads && socket.can_recv() {
            let data = socket.recv(|data| (data.len(), data.to_vec())).unwrap();
            if self.service == Service::Echo {
                self.outgoing.extend(&data);
            }
            self.received.extend(data);
            moved = true;
        }
        let far_end_closed = socket.state() == State::CloseWait && !socket.can_recv();
        let words = match &self.service {
            Service::ClosesFirst(words) => socket.may_send().then_some(words),
            Service::AnswersAfterEof(words) => far_end_closed.then_some(words),
            Service::Echo | Service::Sink => None,
        };
        if let Some(words) = words.filter(|_| !self.spoke) {
            self.outgoing.extend(words);
            self.spoke = true;
        }
        while socket.can_send() && !self.outgoing.is_empty() {
            let sent = socket.send_slice(self.outgoing.make_contiguous()).unwrap();
            self.outgoing.drain(..sent);
            moved = true;
        }
        let said_all = match self.service {
            Service::ClosesFirst(_) => self.spoke,
            _ => far_end_closed,
        };
        if said_all && self.outgoing.is_empty() && socket.may_send() {
            socket.close();
            moved = true;
        }
        moved
    }
}

impl Endpoint for SmolHost {
    fn handle(&mut self, packet: &[u8], now: Instant) {
        self.device.received.push_back(packet.to_vec());
        self.work(now);
    }

    fn poll_transmit(&mut self, _now: Instant) -> Option<Vec<u8>> {
        self.device.sent.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.wake.map(|at| Instant::from_nanos(at.total_micros().unsigned_abs() * 1000))
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.work(now);
    }
}

/// smoltcp counts microseconds: rounded up, so that a timer that we wake it for has run out.
fn smol(at: Instant) -> SmolInstant {
    SmolInstant::from_micros(i64::try_from(at.as_nanos().div_ceil(1000)).unwrap())
}

/// A device that is two queues.
#[derive(Default)]
struct Queues {
    received: VecDeque<Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
}

struct Arrived(Vec<u8>);
struct Departing<'a>(&'a mut VecDeque<Vec<u8>>);

impl phy::RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl phy::TxToken for Departing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut packet = vec![0; length];
        let result = write(&mut packet);
        self.0.push_back(packet);
        result
    }
}

impl Device for Queues {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Departing<'a>;

    fn receive(&mut self, _now: SmolInstant) -> Option<(Arrived, Departing<'_>)> {
        Some((Arrived(self.received.pop_front()?), Departing(&mut self.sent)))
    }

    fn transmit(&mut self, _now: SmolInstant) -> Option<Departing<'_>> {
        Some(Departing(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1500;
        capabilities
    }
}
