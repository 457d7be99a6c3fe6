//! Truth: what is reported of the server is what its kernel did, run after run.

use crate::firewall::{self, Fate};
use crate::namespace::{Family, Link, Topology};
use crate::oracle::Oracle;
use crate::run::{self, Finished, Privilege};
use crate::servers::{Habit, Server};
use crate::shapes::{Shape, places};
use crate::sniffer::{self, Sniffer};
use crate::sockets::{self, KernelState};
use crate::{Case, case, patience, tshark};
use anyhow::{Context, Result, ensure};

/// Runs of the whole comparison, all shapes and places together, unless `SHAKEDOWN_TRUTH_RUNS`
/// says otherwise.
const DEFAULT_RUNS: usize = 100;

pub(crate) fn cases() -> Vec<Case> {
    let wanted = std::env::var("SHAKEDOWN_TRUTH_RUNS").ok().and_then(|text| text.parse().ok());
    let each = wanted.unwrap_or(DEFAULT_RUNS).div_ceil(Shape::ALL.len() * places().count());
    let mut cases = Vec::new();
    for (link, family, place) in places() {
        for shape in Shape::ALL {
            let name = format!("truth/{}/{place}", shape.name());
            cases.push(case(name, move || states_agree(shape, link, family, each)));
        }
    }
    for family in Family::BOTH {
        let name = |what: &str| format!("truth/{what}/{}", family.name());
        let held = move || probe_leaves_syn_received(family);
        cases.push(case(name("probe_in_syn_received"), held).needing(&["nft"]));
        let capture = move || nothing_wrong_in_a_capture(family);
        cases.push(case(name("tshark_finds_nothing_wrong"), capture).needing(&["tshark"]));
    }
    cases
}

fn states_agree(shape: Shape, link: Link, family: Family, runs: usize) -> Result<()> {
    let topology = Topology::new(link)?;
    let server = Server::start(&topology, family, shape.habit())?;
    let mut oracle = Oracle::start(&topology.server, server.address.port())?;
    for number in 1..=runs {
        let mut check = || -> Result<()> {
            let finished = shape.run(&topology, &server, Privilege::All, &[])?;
            shape.check_paths(&finished)?;
            let outcome = match shape {
                Shape::Probe => finished.first("probe")?["outcome"].as_str().unwrap_or_default(),
                _ => finished.outcome()?,
            };
            ensure!(outcome == shape.outcome(), "outcome {outcome}: {}", finished.account());
            if shape == Shape::Probe {
                return probe_never_reached(&topology, &server, &mut oracle, &finished, number);
            }
            oracle
                .check(&finished.states("server"), finished.source_port()?)
                .with_context(|| finished.account())
        };
        check().with_context(|| format!("run {number} of {runs}"))?;
    }
    Ok(())
}

/// A request socket is not traced; but its end by RST is counted, and a connection that came of it
/// would be both traced and counted.
fn probe_never_reached(
    topology: &Topology,
    server: &Server,
    oracle: &mut Oracle,
    finished: &Finished,
    probes: usize,
) -> Result<()> {
    let probes = u64::try_from(probes)?;
    patience::until("the server's SYN-RECEIVED to end by our RST", || {
        Ok(sockets::counter(&topology.server, "TcpExt", "EmbryonicRsts")? == probes)
    })?;
    ensure!(sockets::counter(&topology.server, "Tcp", "PassiveOpens")? == 0, "it was established");
    // The polled table may show the request socket; only a trace never does.
    let moves = oracle.moves(finished.source_port()?)?;
    let opened = moves.iter().any(|step| step.to == KernelState::Established);
    ensure!(!opened, "the server's kernel opened it: {moves:?}");
    ensure!(server.accepted() == 0, "the probe reached the application");
    Ok(())
}

/// With our RST lost on the way, the kernel's table still shows where the probe leaves the server.
fn probe_leaves_syn_received(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    let server = Server::start(&topology, family, Habit::Echo)?;
    let port = server.address.port();
    firewall::on_arrival(&topology.server, port, "tcp flags & rst == rst", Fate::AllLost)?;
    let target = server.address.to_string();
    let finished = run::run(&topology.client, &["probe", &target, "--json"])?;
    finished.expect_status(0)?;
    let state = sockets::state_of(&topology.server, port, finished.source_port()?)?;
    ensure!(state == Some(KernelState::SynRecv), "{state:?}: {}", finished.account());
    Ok(())
}

fn nothing_wrong_in_a_capture(family: Family) -> Result<()> {
    let topology = Topology::new(Link::Veth)?;
    sniffer::without_offload(&topology)?;
    let mut sniffer = Sniffer::start(&topology)?;
    for shape in Shape::ALL {
        let server = Server::start(&topology, family, shape.habit())?;
        shape.run(&topology, &server, Privilege::All, &[])?;
        // A server that is dropped too early would reset what is still open.
        server.idle()?;
    }
    let complaints = tshark::complaints(&mut sniffer, topology.client_address(family))?;
    ensure!(complaints.is_empty(), "tshark complains:\n{}", complaints.join("\n"));
    Ok(())
}
