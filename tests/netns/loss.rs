//! Loss: what the network swallows is sent again, shown as such, and the close completes.

use crate::firewall::{self, Fate};
use crate::namespace::{Family, Link, Topology};
use crate::oracle::Oracle;
use crate::run::{self, Finished, Privilege, Running, has_flag, is_move_to};
use crate::servers::{Habit, Server};
use crate::sniffer::{FIN, SYN, Seen, Sniffer};
use crate::{Case, case};
use anyhow::{Context, Result, ensure};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in Family::BOTH {
        let name = |what: &str| format!("loss/{what}/{}", family.name());
        let lost = [
            ("first_syn", "tcp flags & (syn|ack) == syn", SYN, "SYN"),
            ("first_fin", "tcp flags & fin == fin", FIN, "FIN"),
        ];
        for (what, matching, flag, flag_name) in lost {
            let work = move || retransmitted(family, matching, flag, flag_name);
            cases.push(case(name(what), work).needing(&["nft"]));
        }
        cases
            .push(case(name("final_ack"), move || final_ack_is_repeated(family)).needing(&["nft"]));
    }
    cases
}

const SERVER_PATH: [&str; 6] =
    ["LISTEN", "SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"];

fn check_server(oracle: &mut Oracle, finished: &Finished) -> Result<()> {
    let truth = oracle.path(finished.source_port()?)?;
    if oracle.is_complete() {
        ensure!(truth == SERVER_PATH, "the server went {truth:?}");
    }
    ensure!(finished.outcome()? == "closed", "{}", finished.account());
    Ok(())
}

/// Segments of the report with this flag and a word in their note.
fn noted(finished: &Finished, dir: &str, flag: &str, word: &str) -> usize {
    finished
        .of_type("segment")
        .filter(|event| event["dir"] == dir && has_flag(event, flag))
        .filter(|event| event["note"].to_string().contains(word))
        .count()
}

fn retransmitted(family: Family, matching: &str, flag: u8, flag_name: &str) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let port = server.address.port();
    let mut oracle = Oracle::start(&topology.server, port)?;
    firewall::on_arrival(&topology.server, port, matching, Fate::FirstLost)?;
    let mut sniffer = Sniffer::start(&topology)?;
    let target = server.address.to_string();
    let finished = run::run(
        &topology.client,
        &["close", &target, "--msl", "20ms", "--json", "--no-timestamps"],
    )?;
    finished.expect_status(0)?;
    let segments = sniffer.segments()?;
    let sent: Vec<&Seen> =
        segments.iter().filter(|seen| seen.to == server.address && seen.has(flag)).collect();
    ensure!(sent.len() == 2 && sent[0].seq == sent[1].seq, "{sent:?}");
    let shown = noted(&finished, "tx", flag_name, "retransmission");
    ensure!(shown == 1, "{shown} retransmissions shown: {}", finished.account());
    // Karn: without timestamps the answer to a repeated segment measures nothing.
    if flag == SYN {
        let rtt = &finished.first("summary")?["handshake"]["rtt_ns"];
        ensure!(rtt.is_null(), "an ambiguous RTT was reported: {rtt}");
    }
    check_server(&mut oracle, &finished)
}

/// The ACK of the peer's FIN is lost while we are in TIME-WAIT: the peer repeats its FIN, and we
/// acknowledge it again.
fn final_ack_is_repeated(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::ClosesWhenReleased)?;
    let port = server.address.port();
    let mut oracle = Oracle::start(&topology.server, port)?;
    let target = server.address.to_string();
    let arguments = ["close", &target, "--msl", "2s", "--json"];
    let mut running = Running::start(&topology.client, Privilege::All, &arguments)?;
    running.wait_for("FIN-WAIT-2", |event| is_move_to(event, "client", "FIN-WAIT-2"))?;
    // From here on the first ACK that leaves us is that of the FIN.
    firewall::on_arrival(&topology.server, port, "", Fate::FirstLost)?;
    server.release();
    let finished = running.finish().context("after the release")?;
    finished.expect_status(0)?;
    let repeated = noted(&finished, "rx", "FIN", "duplicate");
    ensure!(repeated >= 1, "no repeated FIN is shown: {}", finished.account());
    let again = &finished.first("summary")?["close"]["fins_reacknowledged"];
    ensure!(again.as_u64().is_some_and(|count| count >= 1), "{}", finished.account());
    check_server(&mut oracle, &finished)
}
