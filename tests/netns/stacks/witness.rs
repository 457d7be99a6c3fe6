//! Verdicts against a witness that is not ours: what the target's kernel traced of its states and
//! counted of its segments while the check ran.

use super::{Kind, side_by_side};
use crate::namespace::{Family, Link, Topology};
use crate::oracle::Oracle;
use crate::run;
use crate::servers::Server;
use crate::sockets::{self, KernelState};
use crate::{Case, case};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// What the kernel must have seen where the check passed.
#[derive(Clone, Copy)]
enum Witness {
    /// A connection of the check went from the one state to the other.
    Moved(&'static str, &'static str),
    /// None of its connections ever came to this state.
    Never(&'static str),
    /// None of its connections was opened.
    HalfOpen,
    /// A counter, by group and name, grew by more than under a check that has nothing to do with it.
    Counted(&'static str, &'static str),
}

use Witness::{Counted, HalfOpen, Moved, Never};

const ROWS: [(&str, Kind, Witness); 15] = [
    ("synack-basic", Kind::Echo, HalfOpen),
    ("syn-badcsum", Kind::Echo, Counted("Tcp", "InCsumErrors")),
    ("synrcvd-rst-exact", Kind::Echo, HalfOpen),
    ("est-rst-exact", Kind::Echo, Moved("ESTABLISHED", "CLOSED")),
    ("est-rst-inwindow", Kind::Echo, Counted("TcpExt", "TCPChallengeACK")),
    ("est-syn", Kind::Echo, Counted("TcpExt", "TCPSYNChallenge")),
    ("paws-data", Kind::Echo, Counted("TcpExt", "PAWSEstab")),
    ("fin-acked", Kind::Echo, Moved("ESTABLISHED", "CLOSE-WAIT")),
    ("fin-hole", Kind::Echo, Moved("CLOSE-WAIT", "LAST-ACK")),
    ("fin-oow", Kind::Echo, Never("CLOSE-WAIT")),
    ("fin-badack", Kind::Echo, Never("CLOSE-WAIT")),
    ("fin-badcsum", Kind::Echo, Counted("Tcp", "InCsumErrors")),
    ("lastack-done", Kind::Echo, Moved("LAST-ACK", "CLOSED")),
    ("simclose", Kind::ClosesFirst, Moved("FIN-WAIT-1", "CLOSING")),
    ("server-fin", Kind::ClosesFirst, Moved("FIN-WAIT-1", "FIN-WAIT-2")),
];

/// A check that moves none of the counters above.
const IDLE_CHECK: &str = "syn-canary-retry";

pub(super) fn cases() -> Vec<Case> {
    let of = |family: Family| {
        case(format!("check/witness/{}", family.name()), move || confirmed(family))
    };
    Family::BOTH.map(of).into()
}

/// All rows at the same time, each in a network of its own.
fn confirmed(family: Family) -> Result<()> {
    let named =
        ROWS.map(|(id, kind, witness)| (id.to_owned(), move || confirm(id, kind, witness, family)));
    side_by_side(named)
}

fn confirm(id: &str, kind: Kind, witness: Witness, family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, kind.habit())?;
    let mut oracle = Oracle::start(&topology.server, server.address.port())?;
    let target = server.address.to_string();
    let check = |id: &str| run::run(&topology.client, &["check", &target, "--only", id, "--json"]);
    let count = || match witness {
        Counted(group, name) => sockets::counter(&topology.server, group, name),
        _ => Ok(0),
    };
    let before = count()?;
    if matches!(witness, Counted(..)) {
        check(IDLE_CHECK)?;
    }
    let between = count()?;
    let finished = check(id)?;
    let after = count()?;
    let result = finished.first("check")?;
    ensure!(result["verdict"] == "pass", "{}", finished.account());
    let ports = ports(result)?;
    ensure!(!ports.is_empty(), "it had no connection: {}", finished.account());
    match witness {
        Counted(_, name) => {
            ensure!(after - between > between - before, "{name}: {before}, {between}, {after}");
        }
        HalfOpen => {
            for port in ports {
                let moves = oracle.moves(port)?;
                let opened = moves.iter().any(|step| step.to == KernelState::Established);
                ensure!(!opened, "{moves:?}: {}", finished.account());
            }
        }
        Never(state) => {
            for port in ports {
                let path = oracle.path(port)?;
                ensure!(path.contains(&"ESTABLISHED"), "{path:?}: {}", finished.account());
                ensure!(!path.contains(&state), "{path:?}: {}", finished.account());
            }
        }
        // Polling may miss it.
        Moved(..) if !oracle.is_complete() => {}
        Moved(from, to) => {
            let paths = ports.iter().map(|port| oracle.path(*port)).collect::<Result<Vec<_>>>()?;
            let moved = |path: &Vec<&str>| path.windows(2).any(|two| two == [from, to]);
            ensure!(paths.iter().any(moved), "{paths:?}: {}", finished.account());
        }
    }
    Ok(())
}

/// Our ports in the connections of a check.
fn ports(result: &Value) -> Result<Vec<u16>> {
    let conversations = result["conversations"].as_array().context("no conversations")?;
    let port = |one: &Value| {
        let port = one["local"]["port"].as_u64().context("no port")?;
        u16::try_from(port).context("port")
    };
    conversations.iter().map(port).collect()
}
