//! Servers in the peer's namespace: plain sockets of the kernel's own TCP, each with one habit.

use crate::namespace::{Family, Namespace, Topology};
use crate::patience;
use anyhow::{Context, Result, ensure};
use nix::sys::socket::{Shutdown as Both, shutdown};
use socket2::{Domain, SockFilter, SockRef, Socket, Type};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What a server does with a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Habit {
    /// Sends everything back, and closes after the other side did.
    Echo,
    /// Reads, and never closes.
    Sink,
    /// Sends a greeting of so many bytes and closes at once.
    ClosesFirst(usize),
    /// Reads to the end of file, then sends so many bytes, then closes.
    AnswersAfterEof(usize),
    /// Closes at the end of file without a word.
    CollapsesAtEof,
    /// Resets at the end of file.
    ResetsAtEof,
    /// Sends so many bytes by itself, reads to the end of file, then closes.
    Bulk(usize),
    /// Reads a request up to its empty line, answers with a body of so many bytes, closes.
    Http(usize),
    /// Sends a byte each second, as long as the other side takes them.
    Tarpit,
    /// Closes after the end of file, but only when [`Server::release`] is called.
    ClosesWhenReleased,
}

/// A listening server. Its connections end when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    listener: TcpListener,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    accepted: AtomicUsize,
    stopping: AtomicBool,
    /// Weak, because a socket is closed when its last handle is, and each must close at its own time.
    open: Mutex<Vec<Weak<TcpStream>>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    released: (Mutex<bool>, Condvar),
}

/// A port that no other test of this process uses, and that a test of another process is unlikely
/// to use: the trace is one for the whole machine.
pub(crate) fn fresh_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = u16::try_from(std::process::id() % 120).unwrap_or_default() * 100 + 20_000;
    base + NEXT.fetch_add(1, Ordering::Relaxed) % 12_000
}

impl Server {
    /// Starts a server at a fresh port of the topology's server.
    pub(crate) fn start(topology: &Topology, family: Family, habit: Habit) -> Result<Self> {
        let address = SocketAddr::new(topology.address(family), fresh_port());
        Self::start_at(&topology.server, address, habit)
    }

    /// Starts a server at this address.
    pub(crate) fn start_at(
        namespace: &Namespace,
        address: SocketAddr,
        habit: Habit,
    ) -> Result<Self> {
        let listener = namespace.within(|| {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&address.into()).with_context(|| format!("server at {address}"))?;
            // Room for whatever a busy machine has not accepted yet: where there is none, the kernel
            // drops connections, or takes the last ACK of an old one for the first of a new one (a
            // SYN cookie that was never sent).
            socket.listen(4096)?;
            Ok(TcpListener::from(socket))
        })?;
        let shared = Arc::new(Shared::default());
        let (acceptor, state) = (listener.try_clone()?, Arc::clone(&shared));
        let thread = thread::spawn(move || accept(&acceptor, &state, habit));
        Ok(Self { address, shared, listener, thread: Some(thread) })
    }

    /// How many connections the application has been given.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Lets [`Habit::ClosesWhenReleased`] close.
    pub(crate) fn release(&self) {
        if let Ok(mut released) = self.shared.released.0.lock() {
            *released = true;
        }
        self.shared.released.1.notify_all();
    }

    /// Waits until every connection so far has been served to its end.
    pub(crate) fn idle(&self) -> Result<()> {
        patience::until("the server's connections to end", || {
            let workers = self.shared.workers.lock();
            Ok(workers.is_ok_and(|list| list.iter().all(JoinHandle::is_finished)))
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.release();
        // Wakes `accept`, which a plain close would not.
        shutdown(self.listener.as_raw_fd(), Both::Both).ok();
        let open = self.shared.open.lock().map(|mut list| std::mem::take(&mut *list));
        for stream in open.unwrap_or_default().iter().filter_map(Weak::upgrade) {
            stream.shutdown(Shutdown::Both).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        let workers = self.shared.workers.lock().map(|mut list| std::mem::take(&mut *list));
        for worker in workers.unwrap_or_default() {
            worker.join().ok();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, habit: Habit) {
    while let Ok((stream, _)) = listener.accept() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        let state = Arc::clone(shared);
        let stream = Arc::new(stream);
        if let Ok(mut open) = shared.open.lock() {
            open.push(Arc::downgrade(&stream));
        }
        let worker = thread::spawn(move || {
            // An error of a connection is the client's business: its test sees it.
            serve(&stream, &state, habit).ok();
        });
        if let Ok(mut workers) = shared.workers.lock() {
            workers.push(worker);
        }
    }
}

fn serve(mut stream: &TcpStream, shared: &Shared, habit: Habit) -> std::io::Result<()> {
    match habit {
        Habit::Echo => {
            let mut buffer = [0u8; 4096];
            loop {
                let length = stream.read(&mut buffer)?;
                if length == 0 {
                    return Ok(());
                }
                stream.write_all(&buffer[..length])?;
            }
        }
        Habit::Sink => {
            to_end(stream)?;
            let mut released = shared.released.0.lock().map_err(|_| std::io::ErrorKind::Other)?;
            while !*released {
                let wait = shared.released.1.wait_timeout(released, Duration::from_secs(1));
                released = wait.map_err(|_| std::io::ErrorKind::Other)?.0;
            }
            Ok(())
        }
        Habit::ClosesFirst(greeting) => stream.write_all(&vec![b'g'; greeting]),
        Habit::AnswersAfterEof(length) => {
            to_end(stream)?;
            stream.write_all(&vec![b'a'; length])
        }
        Habit::CollapsesAtEof => to_end(stream),
        Habit::ResetsAtEof => {
            to_end(stream)?;
            SockRef::from(stream).set_linger(Some(Duration::ZERO))
        }
        Habit::Bulk(length) => {
            stream.write_all(&vec![b'b'; length])?;
            to_end(stream)
        }
        Habit::Http(body) => answer_request(stream, body),
        Habit::Tarpit => {
            while !shared.stopping.load(Ordering::SeqCst) {
                stream.write_all(b"t")?;
                patience::idle(Duration::from_secs(1));
            }
            Ok(())
        }
        Habit::ClosesWhenReleased => {
            to_end(stream)?;
            let released = shared.released.0.lock().map_err(|_| std::io::ErrorKind::Other)?;
            let wait = shared.released.1.wait_while(released, |released| !*released);
            wait.map(drop).map_err(|_| std::io::ErrorKind::Other.into())
        }
    }
}

/// As HTTP/1.0 has it: one request, one answer. Whoever asks nothing gets nothing.
fn answer_request(mut stream: &TcpStream, body: usize) -> std::io::Result<()> {
    let (mut request, mut buffer) = (Vec::<u8>::new(), [0u8; 4096]);
    while !request.windows(4).any(|four: &[u8]| four == b"\r\n\r\n") {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        request.extend(&buffer[..length]);
    }
    if request.is_empty() {
        return Ok(());
    }
    let mut answer = format!("HTTP/1.0 200 OK\r\nContent-Length: {body}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + body, b'h');
    stream.write_all(&answer)
}

fn to_end(mut stream: &TcpStream) -> std::io::Result<()> {
    let mut buffer = [0u8; 4096];
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

/// A port that swallows every segment: a listener behind a filter that drops all, so that not even
/// a SYN-ACK leaves. Silent as long as this value lives.
pub(crate) struct SilentPort {
    pub(crate) address: SocketAddr,
    _listener: Socket,
}

impl SilentPort {
    pub(crate) fn start(topology: &Topology, family: Family) -> Result<Self> {
        let address = SocketAddr::new(topology.address(family), fresh_port());
        let listener = topology.server.within(|| {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.bind(&address.into())?;
            // BPF_RET | BPF_K with 0 bytes to keep.
            socket.attach_filter(&[SockFilter::new(0x06, 0, 0, 0)]).context("filter")?;
            socket.listen(1)?;
            Ok(socket)
        })?;
        Ok(Self { address, _listener: listener })
    }
}

/// A port at which nothing listens.
pub(crate) fn closed_port(topology: &Topology, family: Family) -> SocketAddr {
    SocketAddr::new(topology.address(family), fresh_port())
}

/// Whether a port of a namespace can be bound and listened at again.
pub(crate) fn ensure_free(namespace: &Namespace, address: SocketAddr) -> Result<()> {
    namespace.within(|| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        let bound = socket.bind(&address.into()).and_then(|()| socket.listen(1));
        ensure!(bound.is_ok(), "{address} is still in use: {bound:?}");
        Ok(())
    })
}
