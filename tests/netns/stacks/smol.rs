//! smoltcp, a TCP for small devices, behind a TAP device.

use super::tap::{HOST_ADDRESSES, Place, TAP};
use super::{BULK, Host, Kind, LINE, Left, PAGE, case_of};
use crate::namespace::{Family, Namespace};
use crate::{Case, patience};
use anyhow::{Context, Result, anyhow};
use smoltcp::iface::{Config, Interface, PollIngressSingleResult, SocketHandle, SocketSet};
use smoltcp::phy::{self, Medium, TunTapInterface};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// smoltcp has no backlog: a SYN needs a socket that listens. So many wait on each port.
const SPARE: usize = 32;
/// Bytes that a socket holds in each direction.
const BUFFER: usize = 16_384;

pub(super) fn case() -> Case {
    case_of("smoltcp", Smoltcp::start).needing(&["/dev/net/tun"])
}

/// A smoltcp host and the place from which it can be reached.
struct Smoltcp {
    place: Place,
    family: Family,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    /// Its connections but for those in TIME-WAIT, as of its last turn.
    connections: Mutex<Vec<Left>>,
}

impl Smoltcp {
    fn start(family: Family) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let namespace = Namespace::new()?;
        let (inside, state) = (namespace.duplicate()?, Arc::clone(&shared));
        let (sender, receiver) = channel();
        let thread = thread::spawn(move || live(&inside, &state, &sender));
        receiver.recv().context("smoltcp panicked")??;
        let place = Place::around(namespace)?;
        Ok(Self { place, family, shared, thread: Some(thread) })
    }
}

impl Host for Smoltcp {
    fn client(&self) -> &Namespace {
        &self.place.client
    }

    fn server(&self, kind: Kind) -> Result<SocketAddr> {
        Ok(Place::server(self.family, kind))
    }

    fn connections(&self) -> Result<Vec<Left>> {
        self.shared.connections.lock().map(|list| list.clone()).map_err(|_| anyhow!("it panicked"))
    }
}

impl Drop for Smoltcp {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Opens the device, says how that went, and serves until it is told to stop.
fn live(namespace: &Namespace, shared: &Shared, opened: &Sender<Result<()>>) {
    let device = namespace
        .join()
        .and_then(|()| TunTapInterface::new(TAP, Medium::Ethernet).context("the TAP device"));
    let mut device = match device {
        Ok(device) => device,
        Err(error) => return drop(opened.send(Err(error))),
    };
    opened.send(Ok(())).ok();
    let hardware = HardwareAddress::Ethernet(EthernetAddress([2, 0, 0, 0, 0, 2]));
    let mut config = Config::new(hardware);
    config.random_seed = 0x5eed;
    let mut interface = Interface::new(config, &mut device, now());
    interface.update_ip_addrs(|addresses| {
        for (address, prefix) in HOST_ADDRESSES.into_iter().zip([24, 64]) {
            // There is room for two.
            addresses.push(IpCidr::new(address.into(), prefix)).ok();
        }
    });
    let mut sockets = SocketSet::new(Vec::new());
    let mut applications: Vec<Application> = Vec::new();
    while !shared.stopping.load(Ordering::SeqCst) {
        listen(&mut sockets, &mut applications);
        // One segment after the other: a socket that a RST makes listen again would take the SYN
        // behind it, with what it remembers of the connection before.
        loop {
            match interface.poll_ingress_single(now(), &mut device, &mut sockets) {
                PollIngressSingleResult::None => break,
                PollIngressSingleResult::PacketProcessed => {}
                PollIngressSingleResult::SocketStateChanged => {
                    listen(&mut sockets, &mut applications);
                }
            }
        }
        interface.poll_egress(now(), &mut device, &mut sockets);
        for application in &mut applications {
            application.run(sockets.get_mut(application.socket));
        }
        if let Ok(mut list) = shared.connections.lock() {
            *list = applications.iter().filter_map(|one| one.connection(&sockets)).collect();
        }
        interface.poll(now(), &mut device, &mut sockets);
        // Not for long: it may have been told to stop.
        let longest = Duration::from_millis(50);
        let delay = interface.poll_delay(now(), &sockets).map_or(longest, |at| at.min(longest));
        phy::wait(device.as_raw_fd(), Some(delay)).ok();
    }
}

fn now() -> Instant {
    let since = patience::now().unwrap_or_default();
    Instant::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Gives every port enough sockets that listen.
///
/// smoltcp hands a segment to the first socket that takes it, and one that listens takes any SYN. So
/// they listen in the order of their making and never twice: a connection comes before all that
/// still listen on its port, and a SYN of its four-tuple reaches it.
fn listen(sockets: &mut SocketSet<'_>, applications: &mut Vec<Application>) {
    let state =
        |sockets: &SocketSet<'_>, one: &Application| sockets.get::<Socket<'_>>(one.socket).state();
    applications.retain_mut(|one| {
        let state = state(sockets, one);
        // One that was half open and was reset listens again by itself.
        let over = state == State::Closed || one.begun && state == State::Listen;
        one.begun |= state != State::Listen;
        if over {
            // An empty one keeps the place taken.
            sockets.remove(one.socket);
            sockets.add(socket(0));
        }
        !over
    });
    for kind in Kind::ALL {
        let of_kind = applications.iter().filter(|one| one.kind == kind);
        let waiting = of_kind.filter(|one| state(sockets, one) == State::Listen).count();
        for _ in waiting..SPARE {
            let mut socket = socket(BUFFER);
            socket.listen(Place::port(kind)).ok();
            applications.push(Application::new(kind, sockets.add(socket)));
        }
    }
}

fn socket(bytes: usize) -> Socket<'static> {
    Socket::new(SocketBuffer::new(vec![0; bytes]), SocketBuffer::new(vec![0; bytes]))
}

/// What sits on a socket.
struct Application {
    kind: Kind,
    socket: SocketHandle,
    /// It has been more than listening.
    begun: bool,
    heard: Vec<u8>,
    spoke: bool,
    /// What the socket has not taken yet.
    words: Vec<u8>,
}

impl Application {
    const fn new(kind: Kind, socket: SocketHandle) -> Self {
        Self { kind, socket, begun: false, heard: Vec::new(), spoke: false, words: Vec::new() }
    }

    /// The connection, if there is one.
    fn connection(&self, sockets: &SocketSet<'_>) -> Option<Left> {
        let socket = sockets.get::<Socket<'_>>(self.socket);
        let idle = matches!(socket.state(), State::Listen | State::Closed | State::TimeWait);
        let port = socket.remote_endpoint().map_or(0, |endpoint| endpoint.port);
        (!idle).then(|| Left { port, state: socket.state().to_string() })
    }

    /// Lets it read, speak and close.
    fn run(&mut self, socket: &mut Socket<'_>) {
        while socket.can_recv() {
            let Ok(data) = socket.recv(|data| (data.len(), data.to_vec())) else { break };
            self.heard.extend(data);
        }
        let over = socket.state() == State::CloseWait;
        let asked = self.heard.windows(4).any(|four| four == b"\r\n\r\n");
        match self.kind {
            Kind::Echo => self.words.append(&mut self.heard),
            Kind::Sink => self.heard.clear(),
            Kind::ClosesFirst => self.say_once(LINE, socket.may_send()),
            Kind::Bulk => self.say_once(BULK, socket.may_send()),
            Kind::Answers => self.say_once(LINE, over),
            Kind::Http => self.say_once(PAGE + 40, asked || over && !self.heard.is_empty()),
        }
        if socket.can_send() && !self.words.is_empty() {
            let taken = socket.send_slice(&self.words).unwrap_or_default();
            self.words.drain(..taken);
        }
        let said = self.words.is_empty()
            && match self.kind {
                Kind::Sink => false,
                Kind::ClosesFirst => self.spoke,
                Kind::Http => self.spoke || over,
                Kind::Echo | Kind::Bulk | Kind::Answers => over,
            };
        if said && socket.may_send() {
            socket.close();
        }
    }

    fn say_once(&mut self, length: usize, when: bool) {
        if when && !self.spoke {
            self.spoke = true;
            self.words.resize(length, b'w');
        }
    }
}
