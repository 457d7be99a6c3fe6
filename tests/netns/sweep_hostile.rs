//! `sweep` while somebody in the peer's network forges answers: none is believed, each is counted under
//! its name, and the real ones are found as ever.

use crate::forge::Forger;
use crate::namespace::{Family, Topology};
use crate::run::{Finished, Privilege, Running};
use crate::servers::{self, Habit};
use crate::sniffer::{ACK, FIN, RST, SYN, Sniffer};
use crate::sweep::{ALL, Truth, ensure_true, everywhere, field, host, hosts, truth};
use crate::{Case, case, patience};
use anyhow::{Context, Result, ensure};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::net::{IpAddr, SocketAddr};

/// Forgeries of each sort.
const FLOOD: u32 = 500;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in Family::BOTH {
        let name = |what: &str| format!("sweep/{what}/{}", family.name());
        cases.push(case(name("forged_answers"), move || forged(family)));
        cases.push(case(name("repeated_answers"), move || repeated(family)));
    }
    cases.push(case("sweep/forged_icmp/v4", forged_icmp));
    cases
}

/// A sweep under way, of hosts that have an open port, a closed one, and one that says nothing.
struct Siege {
    topology: Topology,
    family: Family,
    running: Running,
    sniffer: Sniffer,
    client: SocketAddr,
    /// Open, closed, silent.
    ports: [u16; 3],
    truth: Truth,
    _server: servers::Server,
    _silent: Socket,
}

impl Siege {
    /// Begins, and comes back when the first answer was told.
    fn lay(family: Family) -> Result<Self> {
        let topology = field()?;
        let server = everywhere(&topology.server, family, Habit::Echo)?;
        let silent = silent_everywhere(&topology, family)?;
        let port = silent.local_addr()?.as_socket().context("its address")?.port();
        let ports = [server.address.port(), servers::fresh_port(), port];
        let client = SocketAddr::new(topology.client_address(family), servers::fresh_port());
        let sniffer = Sniffer::start(&topology)?;
        let list = ports.map(|port| port.to_string()).join(",");
        let (hosts, source) = (hosts(family, ALL), client.port().to_string());
        // It waits for late answers for much longer than a siege takes.
        let pace = ["--rate", "5k", "--cool-down", "2s"];
        let usual = ["sweep", "--json", &hosts, "-p", &list, "-g", &source];
        let arguments = [&usual[..], &pace].concat();
        let mut running = Running::start(&topology.client, Privilege::All, &arguments)?;
        running.wait_for("an answer", |event| event["type"] == "target")?;
        let words = ["open", "refused", "silent"];
        let known: Vec<_> = ports.into_iter().zip(words).collect();
        let truth = truth(family, ALL, &known);
        Ok(Self {
            topology,
            family,
            running,
            sniffer,
            client,
            ports,
            truth,
            _server: server,
            _silent: silent,
        })
    }

    fn forger(&self, host_number: u32, port: u16) -> Result<Forger> {
        let from = SocketAddr::new(host(self.family, host_number), port);
        Forger::new(&self.topology.server, from, self.client)
    }

    /// Lets it come to its end, which has to be the true one.
    fn lift(self) -> Result<Finished> {
        let finished = self.running.finish()?;
        finished.expect_status(0)?;
        ensure_true(&finished, &self.truth)?;
        Ok(finished)
    }
}

/// A port that swallows what arrives at it, whatever the address.
fn silent_everywhere(topology: &Topology, family: Family) -> Result<Socket> {
    let any: IpAddr = match family {
        Family::V4 => [0; 4].into(),
        Family::V6 => [0u8; 16].into(),
    };
    let address = SocketAddr::new(any, servers::fresh_port());
    topology.server.within(|| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.bind(&address.into())?;
        // BPF_RET | BPF_K with 0 bytes to keep.
        socket.attach_filter(&[SockFilter::new(0x06, 0, 0, 0)]).context("filter")?;
        socket.listen(1)?;
        Ok(socket)
    })
}

fn count(finished: &Finished, reason: &str) -> Result<u64> {
    Ok(finished.first("summary")?["rejected"][reason].as_u64().unwrap_or(0))
}

/// From silent targets, as if they answered, and from addresses that were never asked.
fn forged(family: Family) -> Result<()> {
    let siege = Siege::lay(family)?;
    let [open, _, silent] = siege.ports;
    for n in 0..FLOOD {
        let number = n.wrapping_mul(0x9e37_79b9);
        let forger = siege.forger(n % 1024, silent)?;
        forger.segment(number, !number, SYN | ACK)?;
        forger.segment(number, !number, RST | ACK)?;
        forger.segment(number, 0, RST)?;
        forger.segment(number, 0, SYN)?;
        forger.segment(number, !number, ACK)?;
        forger.segment(number, !number, FIN | ACK)?;
        // From a port that was not asked.
        siege.forger(n % 1024, open ^ 0x4000)?.segment(number, !number, SYN | ACK)?;
        let bad = forger.header(number, !number, SYN | ACK);
        forger.send(&bad)?;
        forger.send(&bad[..12])?;
        // A data offset beyond the segment's end.
        let mut long = bad;
        long[12] = 0xf0;
        forger.send(&long)?;
    }
    let finished = siege.lift()?;
    let floods = u64::from(FLOOD);
    for (reason, count_of) in [("wrong-cookie", 5), ("bare-reset", 1), ("syn", 1)] {
        let counted = count(&finished, reason)?;
        ensure!(counted == count_of * floods, "{reason}: {counted} of {}", finished.account());
    }
    let broken = ["checksum", "truncated", "malformed"].map(|reason| count(&finished, reason));
    let broken = broken.into_iter().sum::<Result<u64>>()?;
    ensure!(broken == 3 * floods, "{broken}: {}", finished.first("summary")?);
    ensure!(finished.first("summary")?["duplicates"] == 0, "{}", finished.first("summary")?);
    Ok(())
}

/// A real answer, word for word, again and again: it counts once.
fn repeated(family: Family) -> Result<()> {
    let mut siege = Siege::lay(family)?;
    let closed = siege.ports[1];
    let mut answered = None;
    patience::until("a reset by the peer", || {
        let segments = siege.sniffer.segments()?;
        answered = segments.into_iter().find(|seen| seen.has(RST) && seen.from.port() == closed);
        Ok(answered.is_some())
    })?;
    let real = answered.context("no answer")?;
    let forger = Forger::new(&siege.topology.server, real.from, siege.client)?;
    for _ in 0..FLOOD {
        forger.segment(real.seq, real.ack, real.flags)?;
    }
    let finished = siege.lift()?;
    let summary = finished.first("summary")?;
    ensure!(summary["duplicates"] == FLOOD, "{summary}");
    Ok(())
}

/// Errors that quote a SYN which was never sent.
fn forged_icmp() -> Result<()> {
    let siege = Siege::lay(Family::V4)?;
    let silent = siege.ports[2];
    let socket = siege.topology.server.within(|| {
        Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).context("raw socket")
    })?;
    let IpAddr::V4(client) = siege.client.ip() else { anyhow::bail!("not IPv4") };
    for n in 0..FLOOD {
        let IpAddr::V4(target) = host(Family::V4, n % 1024) else { anyhow::bail!("not IPv4") };
        let mut quote = vec![0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6, 0, 0];
        quote.extend(client.octets());
        quote.extend(target.octets());
        quote.extend(siege.client.port().to_be_bytes());
        quote.extend(silent.to_be_bytes());
        quote.extend(n.wrapping_mul(0x9e37_79b9).to_be_bytes());
        // Host unreachable.
        let mut message = vec![3, 1, 0, 0, 0, 0, 0, 0];
        message.extend(quote);
        let words = message.chunks_exact(2).map(|two| u32::from(two[0]) << 8 | u32::from(two[1]));
        let sum: u32 = words.sum();
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = !u16::try_from((sum & 0xffff) + (sum >> 16))?;
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        socket.send_to(&message, &SocketAddr::new(client.into(), 0).into())?;
    }
    let finished = siege.lift()?;
    let counted = count(&finished, "wrong-quote")?;
    ensure!(counted == u64::from(FLOOD), "{counted}: {}", finished.first("summary")?);
    Ok(())
}
