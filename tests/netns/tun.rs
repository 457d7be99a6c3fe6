//! A link without an Ethernet header: two tun devices, joined by a small program each that carries
//! packets between its device and a socket.

use crate::namespace::{CLIENT_VETH, Namespace, SERVER_VETH, Topology};
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};

/// Opens the device of its argument, says so, and carries packets between it and descriptor 0.
const CARRIER: &str = "
import fcntl, os, select, struct, sys
IFF_TUN, IFF_NO_PI, TUNSETIFF = 1, 0x1000, 0x400454ca
tun = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(tun, TUNSETIFF, struct.pack('16sH22x', sys.argv[1].encode(), IFF_TUN | IFF_NO_PI))
print('ready', flush=True)
while True:
    for ready in select.select([tun, 0], [], [])[0]:
        try:
            packet = os.read(ready, 65536)
            if ready == 0 and not packet:
                sys.exit()
            os.write(0 if ready == tun else tun, packet)
        except OSError:
            pass  # a device that is not up
";

/// A topology over tun devices. Ends when dropped.
pub(crate) struct Tunnel {
    pub(crate) topology: Topology,
    carriers: Vec<Child>,
}

impl Tunnel {
    /// Makes both devices.
    pub(crate) fn start() -> Result<Self> {
        let (near, far) = UnixDatagram::pair()?;
        let mut carriers = Vec::new();
        let topology = Topology::joined_without_neighbours(|client, server| {
            for (namespace, name, end) in [(client, CLIENT_VETH, near), (server, SERVER_VETH, far)]
            {
                carriers.push(carrier(namespace, name, end)?);
            }
            Ok(())
        });
        let mut tunnel = match topology {
            Ok(topology) => Self { topology, carriers: Vec::new() },
            Err(error) => {
                end(&mut carriers);
                return Err(error);
            }
        };
        tunnel.carriers = carriers;
        Ok(tunnel)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        end(&mut self.carriers);
    }
}

fn carrier(namespace: &Namespace, name: &str, end: UnixDatagram) -> Result<Child> {
    let mut child = namespace.within(|| {
        let mut command = Command::new("python3");
        command.args(["-c", CARRIER, name]).stdin(OwnedFd::from(end)).stdout(Stdio::piped());
        command.spawn().context("python3")
    })?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("its stdout")?).read_line(&mut line)?;
    if line != "ready\n" {
        child.kill().ok();
        child.wait().ok();
    }
    ensure!(line == "ready\n", "no tun device {name}");
    Ok(child)
}

fn end(carriers: &mut Vec<Child>) {
    for mut child in carriers.drain(..) {
        child.kill().ok();
        child.wait().ok();
    }
}
