//! Clients: plain sockets of the kernel's TCP, bound before they connect, so that the trace knows
//! their port from the first state on.

use crate::namespace::Namespace;
use anyhow::{Context, Result};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// A socket that is bound to an address of its own, and not connected.
pub(super) struct Unconnected {
    socket: Socket,
    pub(super) port: u16,
}

impl Unconnected {
    pub(super) fn new(namespace: &Namespace, from: IpAddr) -> Result<Self> {
        let address = SocketAddr::new(from, 0);
        let socket = namespace.within(|| {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.bind(&address.into())?;
            Ok(socket)
        })?;
        let bound = socket.local_addr()?.as_socket().context("an address")?;
        Ok(Self { socket, port: bound.port() })
    }

    /// Connects; whatever is read later comes within the patience of a test.
    pub(super) fn connect(self, to: SocketAddr) -> Result<TcpStream> {
        self.socket.connect_timeout(&to.into(), Duration::from_secs(20)).context("connect")?;
        let stream = TcpStream::from(self.socket);
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Reads to the end of file.
pub(super) fn rest(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).context("read to the end")?;
    Ok(bytes)
}

/// Closes by RST.
pub(super) fn reset(stream: TcpStream) -> Result<()> {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    drop(stream);
    Ok(())
}
