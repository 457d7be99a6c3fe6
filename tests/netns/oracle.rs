//! The ground truth: what the peer's kernel says of its own end.
//!
//! First choice is the tracepoint `sock/inet_sock_set_state`, read from a trace instance of our
//! own; it fires in every network namespace, so it is filtered by the server's port and matched by
//! the client's. It needs root outside any user namespace. Elsewhere the socket table of the peer's
//! namespace is read as fast as possible, which may miss short states but cannot invent or reorder.
//!
//! # From the kernel's states to the RFC's
//! - `tcp_v4_syn_recv_sock` and `tcp_v6_syn_recv_sock` clone the listener when the final ACK
//!   arrives, and the clone goes LISTEN, SYN_RECV, ESTABLISHED within that one segment. Between SYN
//!   and ACK there is only a request socket, of which the trace says nothing and the table says
//!   SYN_RECV. The order is the RFC's; the time of SYN-RECEIVED is not.
//! - `tcp_fin` moves ESTABLISHED to CLOSE_WAIT and FIN_WAIT1 to CLOSING; `tcp_close_state` moves
//!   ESTABLISHED to FIN_WAIT1 and CLOSE_WAIT to LAST_ACK; `tcp_rcv_state_process` moves FIN_WAIT1
//!   to FIN_WAIT2 and LAST_ACK to CLOSE (by `tcp_done`).
//! - `tcp_time_wait` replaces the socket by a small one and ends the trace with a move to CLOSE from
//!   FIN_WAIT2 or CLOSING. What the RFC calls the state is then that of the small socket, in the
//!   table: TIME_WAIT, or FIN_WAIT2 where the application had already closed and the FIN of the
//!   other side is still to come (`tcp_timewait_state_process` moves it on, untraced).
//! - `tcp_reset` and a close with a linger time of zero (`tcp_disconnect`) go to CLOSE at once.

use crate::namespace::Namespace;
use crate::patience;
use crate::sockets::{self, KernelState};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};

/// One move of one socket, as the trace tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Move {
    pub(crate) client_port: u16,
    pub(crate) from: KernelState,
    pub(crate) to: KernelState,
}

/// Hears every change of state of the sockets at one port of one namespace.
pub(crate) struct Oracle {
    namespace: Namespace,
    port: u16,
    side: Side,
    source: Source,
    moves: Vec<Move>,
}

/// Whose sockets are watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    /// Those at the port.
    Server,
    /// Those that connected to it, from a port that they had been bound to before.
    Client,
}

enum Source {
    Trace(Instance),
    Poll(Poller),
}

impl Oracle {
    /// Starts to listen. To be called before the connection.
    pub(crate) fn start(namespace: &Namespace, port: u16) -> Result<Self> {
        Self::of(namespace, port, Side::Server)
    }

    /// The same of the kernel's clients of a port at which somebody else listens.
    pub(crate) fn of_clients(namespace: &Namespace, port: u16) -> Result<Self> {
        Self::of(namespace, port, Side::Client)
    }

    fn of(namespace: &Namespace, port: u16, side: Side) -> Result<Self> {
        let source = match tracefs() {
            Some(root) => Source::Trace(Instance::start(root, port, side)?),
            None => Source::Poll(Poller::start(namespace, port, side)?),
        };
        Ok(Self { namespace: namespace.duplicate()?, port, side, source, moves: Vec::new() })
    }

    /// Where the kernel's table has the connection from `client_port` now.
    fn now(&self, client_port: u16) -> Result<Option<KernelState>> {
        match self.side {
            Side::Server => sockets::state_of(&self.namespace, self.port, client_port),
            Side::Client => sockets::state_of(&self.namespace, client_port, self.port),
        }
    }

    /// Which source this machine permits, for the report.
    pub(crate) fn name() -> &'static str {
        if tracefs().is_some() { "sock/inet_sock_set_state" } else { "socket table, polled" }
    }

    /// Whether the source sees every state, however short.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.source, Source::Trace(_))
    }

    fn refresh(&mut self) -> Result<()> {
        match &mut self.source {
            Source::Trace(instance) => self.moves.extend(instance.read()?),
            Source::Poll(poller) => self.moves = poller.seen(),
        }
        Ok(())
    }

    /// Moves of the connection from `client_port`, so far.
    pub(crate) fn moves(&mut self, client_port: u16) -> Result<Vec<Move>> {
        self.refresh()?;
        let of_client = |event: &&Move| event.client_port == client_port;
        Ok(self.moves.iter().filter(of_client).copied().collect())
    }

    /// Moves of all connections, so far.
    pub(crate) fn all_moves(&mut self) -> Result<&[Move]> {
        self.refresh()?;
        Ok(&self.moves)
    }

    /// The states of the server's end of the connection from `client_port`, in RFC terms, from
    /// LISTEN to where it rests. Waits until the socket is gone or in TIME-WAIT.
    pub(crate) fn path(&mut self, client_port: u16) -> Result<Vec<&'static str>> {
        patience::until("the server's socket to come to rest", || {
            let ended = self.moves(client_port)?.last().map(|event| event.to);
            let now = self.now(client_port)?;
            let at_rest = matches!(now, None | Some(KernelState::TimeWait));
            Ok(at_rest && (ended == Some(KernelState::Close) || !self.is_complete()))
        })
        .with_context(|| format!("moves so far: {:?}", self.moves))?;
        let moves = self.moves(client_port)?;
        let mut path: Vec<&'static str> =
            moves.first().map(|event| event.from.rfc()).into_iter().collect();
        let mut before = moves.first().map(|event| event.from);
        for event in &moves {
            ensure!(before == Some(event.from) || !self.is_complete(), "a gap in {moves:?}");
            before = Some(event.to);
            // An application that closes in CLOSING has the state set once more (`tcp_close_state`).
            if event.to != event.from {
                path.push(event.to.rfc());
            }
        }
        let rest = self.now(client_port)?;
        let resting = if rest.is_some() { "TIME-WAIT" } else { "CLOSED" };
        path.pop_if(|last| *last == "CLOSED" || *last == resting);
        path.push(resting);
        Ok(path)
    }

    /// Compares what was reported with what the kernel did: same states, same order. Where the
    /// source may miss states, what it saw must appear in the report in that order, and the two
    /// must end alike.
    pub(crate) fn check(&mut self, reported: &[String], client_port: u16) -> Result<()> {
        let truth = self.path(client_port)?;
        if self.is_complete() {
            ensure!(
                truth.iter().eq(reported.iter()),
                "the server's states\n  reported: {reported:?}\n  kernel:   {truth:?}"
            );
            return Ok(());
        }
        let mut rest = reported.iter();
        for state in &truth {
            ensure!(
                rest.any(|said| said == state),
                "{state} was seen in the kernel but not (or not in this order) reported: \
                 {reported:?}; seen: {truth:?}"
            );
        }
        let last = reported.last().map(String::as_str);
        ensure!(truth.is_empty() || last == truth.last().copied(), "{reported:?}, seen {truth:?}");
        Ok(())
    }
}

/// Where a trace instance can be made: a tracefs that this process may write.
fn tracefs() -> Option<&'static Path> {
    static ROOT: OnceLock<Option<PathBuf>> = OnceLock::new();
    ROOT.get_or_init(|| {
        if std::env::var_os("SHAKEDOWN_ORACLE").is_some_and(|value| value == "poll") {
            return None;
        }
        for place in ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"] {
            let root = PathBuf::from(place);
            if !root.join("instances").is_dir() {
                // Into our own mount namespace: gone with this process.
                let kind = Some("tracefs");
                let flags = nix::mount::MsFlags::empty();
                nix::mount::mount(kind, &root, kind, flags, None::<&str>).ok();
            }
            if root.join("instances").is_dir() {
                sweep(&root);
                let probe = Instance::start(&root, 1, Side::Server).ok();
                if probe.is_some() {
                    return Some(root);
                }
            }
        }
        None
    })
    .as_deref()
}

const INSTANCE_PREFIX: &str = "shakedown-";

/// Removes instances of earlier runs that were killed.
fn sweep(root: &Path) {
    for entry in fs::read_dir(root.join("instances")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(INSTANCE_PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            fs::remove_dir(entry.path()).ok();
        }
    }
}

/// A trace buffer of our own, so that no other user of tracing is disturbed.
struct Instance {
    directory: PathBuf,
    pipe: File,
    partial: String,
    side: Side,
}

impl Instance {
    fn start(root: &Path, port: u16, side: Side) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{INSTANCE_PREFIX}{}-{number}", std::process::id());
        let directory = root.join("instances").join(name);
        fs::create_dir(&directory).context("trace instance")?;
        let event = directory.join("events/sock/inet_sock_set_state");
        let set_up = || -> Result<File> {
            fs::write(directory.join("buffer_size_kb"), "256").context("buffer size")?;
            let end = if side == Side::Server { "sport" } else { "dport" };
            fs::write(event.join("filter"), format!("{end}=={port}")).context("trace filter")?;
            fs::write(event.join("enable"), "1").context("trace enable")?;
            OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(directory.join("trace_pipe"))
                .context("trace_pipe")
        };
        match set_up() {
            Ok(pipe) => Ok(Self { directory, pipe, partial: String::new(), side }),
            Err(error) => {
                fs::remove_dir(&directory).ok();
                Err(error)
            }
        }
    }

    /// Whatever came since the last call.
    fn read(&mut self) -> Result<Vec<Move>> {
        let mut buffer = [0u8; 4096];
        loop {
            match self.pipe.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => self.partial += &String::from_utf8_lossy(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => bail!("trace_pipe: {error}"),
            }
        }
        let complete = self.partial.rfind('\n').map_or(0, |end| end + 1);
        let lines: String = self.partial.drain(..complete).collect();
        ensure!(!lines.contains("LOST"), "the trace lost events: {lines}");
        Ok(lines.lines().filter_map(|line| parse(line, self.side)).collect())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        fs::write(self.directory.join("events/sock/inet_sock_set_state/enable"), "0").ok();
        // The directory is busy as long as the pipe is open: put another file in its place.
        if let Ok(null) = File::open("/dev/null") {
            self.pipe = null;
        }
        if let Err(error) = fs::remove_dir(&self.directory) {
            eprintln!("{}: {error}", self.directory.display());
        }
    }
}

fn parse(line: &str, side: Side) -> Option<Move> {
    let (_, fields) = line.split_once("inet_sock_set_state: ")?;
    let value = |name: &str| {
        fields.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    Some(Move {
        client_port: value(if side == Side::Server { "dport" } else { "sport" })?.parse().ok()?,
        from: KernelState::from_trace(value("oldstate")?)?,
        to: KernelState::from_trace(value("newstate")?)?,
    })
}

/// Reads the socket table again and again.
struct Poller {
    seen: Arc<Mutex<Vec<Move>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Poller {
    fn start(namespace: &Namespace, port: u16, side: Side) -> Result<Self> {
        let seen: Arc<Mutex<Vec<Move>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let namespace = namespace.duplicate()?;
        let (events, ended) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            if namespace.join().is_err() {
                return;
            }
            while !ended.load(Ordering::Relaxed) {
                let now = sockets::own_table().unwrap_or_default();
                let Ok(mut events) = events.lock() else { return };
                let ends = |entry: &sockets::Entry| match side {
                    Side::Server => (entry.local_port, entry.remote_port),
                    Side::Client => (entry.remote_port, entry.local_port),
                };
                for entry in now.iter().filter(|entry| ends(entry).0 == port) {
                    let client_port = ends(entry).1;
                    let mut of_client = events.iter().rev();
                    let last = of_client.find(|event| event.client_port == client_port);
                    let first = match side {
                        Side::Server => KernelState::Listen,
                        Side::Client => KernelState::Close,
                    };
                    let from = last.map_or(first, |event| event.to);
                    if from != entry.state && client_port != 0 {
                        events.push(Move { client_port, from, to: entry.state });
                    }
                }
                drop(events);
                patience::nap();
            }
        });
        Ok(Self { seen, stop, thread: Some(thread) })
    }

    fn seen(&self) -> Vec<Move> {
        self.seen.lock().map(|events| events.clone()).unwrap_or_default()
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
