//! The demo's servers: the kernel's TCP, with one thread for each way of ending a connection.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::thread;

use anyhow::Context as _;

use crate::net::linux::{Guard, GuardChoice};

/// Echoes, and closes after us.
pub(super) const CLOSES_AFTER_US: u16 = 7;
/// Greets, and closes first.
pub(super) const CLOSES_FIRST: u16 = 13;
/// Reads to the end, then answers, then closes.
pub(super) const ANSWERS_AFTER_EOF: u16 = 79;
/// Nobody listens here.
pub(super) const CLOSED: u16 = 81;
/// Listens behind a filter that drops everything.
pub(super) const SILENT: u16 = 444;

/// What a server does with a connection.
type Serve = fn(TcpStream) -> io::Result<()>;

/// Servers that run until the process ends.
pub(super) struct Servers {
    _silent: Guard,
}

impl Servers {
    /// Starts them all, on both loopback addresses.
    pub(super) fn start() -> anyhow::Result<Self> {
        let kinds: [(u16, Serve); 3] = [
            (CLOSES_AFTER_US, echo),
            (CLOSES_FIRST, greet_and_close),
            (ANSWERS_AFTER_EOF, answer_after_eof),
        ];
        for (port, serve) in kinds {
            for address in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
                let listener = match TcpListener::bind((address, port)) {
                    Ok(listener) => listener,
                    // A host without IPv6 plays the scenes that it can.
                    Err(_) if address.is_ipv6() => continue,
                    Err(error) => return Err(error).with_context(|| format!("port {port}")),
                };
                thread::spawn(move || accept_all(&listener, serve));
            }
        }
        // The very socket that guards a probe's own port drops whatever comes to this one.
        let silent = Guard::take(Ipv4Addr::LOCALHOST.into(), Some(SILENT), 0, GuardChoice::Filter)?;
        Ok(Self { _silent: silent })
    }
}

fn accept_all(listener: &TcpListener, serve: Serve) {
    for stream in listener.incoming().flatten() {
        // A client that resets is no reason to stop listening.
        thread::spawn(move || serve(stream).ok());
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut reader = stream.try_clone()?;
    io::copy(&mut reader, &mut stream).map(drop)
}

fn greet_and_close(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"good day\r\n")?;
    stream.shutdown(Shutdown::Write)?;
    // Closing with unread data would send a reset in place of the FIN.
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

fn answer_after_eof(mut stream: TcpStream) -> io::Result<()> {
    let mut request = Vec::new();
    stream.read_to_end(&mut request)?;
    write!(stream, "you sent {} bytes\r\n", request.len())
}
