//! The runs that several cases make: every subcommand and shape of close, with the server that
//! brings it about and the paths that RFC 9293 prescribes.

use crate::namespace::{Family, Topology};
use crate::run::{self, Finished, Privilege};
use crate::servers::{Habit, Server};
use anyhow::{Result, ensure};

/// What is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    Handshake,
    Active,
    Passive,
    Simultaneous,
    Half,
    Probe,
}

impl Shape {
    pub(crate) const ALL: [Self; 6] =
        [Self::Handshake, Self::Active, Self::Passive, Self::Simultaneous, Self::Half, Self::Probe];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Active => "close_active",
            Self::Passive => "close_passive",
            Self::Simultaneous => "close_simultaneous",
            Self::Half => "close_half",
            Self::Probe => "probe",
        }
    }

    const fn command(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Probe => "probe",
            _ => "close",
        }
    }

    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Handshake | Self::Probe => &[],
            Self::Active => &["--msl", "20ms"],
            Self::Passive => &["--passive", "--msl", "20ms"],
            Self::Simultaneous => &["--simultaneous", "--msl", "20ms"],
            Self::Half => &["--half", "--msl", "20ms"],
        }
    }

    /// The server that makes the shape possible.
    pub(crate) const fn habit(self) -> Habit {
        match self {
            Self::Handshake | Self::Active | Self::Probe => Habit::Echo,
            Self::Passive | Self::Simultaneous => Habit::ClosesFirst(3),
            Self::Half => Habit::AnswersAfterEof(5000),
        }
    }

    /// The outcome that the summary must name.
    pub(crate) const fn outcome(self) -> &'static str {
        match self {
            Self::Handshake | Self::Probe => "open",
            _ => "closed",
        }
    }

    /// The server's states after ESTABLISHED; those of a probe, which never gets there, after
    /// SYN-RECEIVED.
    pub(crate) const fn server_end(self) -> &'static [&'static str] {
        match self {
            Self::Handshake | Self::Active | Self::Half => &["CLOSE-WAIT", "LAST-ACK", "CLOSED"],
            Self::Passive => &["FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"],
            Self::Simultaneous => &["FIN-WAIT-1", "CLOSING", "TIME-WAIT"],
            // RFC 9293 §3.10.7.4: a passive open returns to LISTEN.
            Self::Probe => &["LISTEN"],
        }
    }

    /// Our states after ESTABLISHED (after SYN-SENT for a probe, which the SYN-ACK may take to
    /// ESTABLISHED although its ACK never leaves), in each order that the RFC
    /// allows: a FIN that is fused with the ACK of ours is worked off in FIN-WAIT-2 or skips it.
    pub(crate) const fn client_ends(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Handshake | Self::Active | Self::Half => &[
                &["FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSED"],
                &["FIN-WAIT-1", "TIME-WAIT", "CLOSED"],
            ],
            Self::Passive => &[&["CLOSE-WAIT", "LAST-ACK", "CLOSED"]],
            Self::Simultaneous => &[&["FIN-WAIT-1", "CLOSING", "TIME-WAIT", "CLOSED"]],
            Self::Probe => &[&["ESTABLISHED", "CLOSED"], &["CLOSED"]],
        }
    }

    /// Runs it once against `server`.
    pub(crate) fn run(
        self,
        topology: &Topology,
        server: &Server,
        privilege: Privilege,
        extra: &[&str],
    ) -> Result<Finished> {
        let target = server.address.to_string();
        let arguments: Vec<&str> = [self.command(), &target, "--json"]
            .iter()
            .chain(self.options())
            .chain(extra)
            .copied()
            .collect();
        let finished = run::run_with(&topology.client, privilege, &arguments)?;
        finished.expect_status(0)?;
        Ok(finished)
    }

    /// Compares the reported paths with those of the RFC.
    pub(crate) fn check_paths(self, finished: &Finished) -> Result<()> {
        let account = || finished.account();
        let opened: &[&str] = if self == Self::Probe { &[] } else { &["ESTABLISHED"] };
        let server: Vec<&str> = [&["LISTEN", "SYN-RECEIVED"], opened, self.server_end()].concat();
        let said = finished.states("server");
        ensure!(said == server, "server: wanted {server:?}, got {said:?}: {}", account());
        let said = finished.states("client");
        let allowed = self.client_ends().iter();
        let mut allowed = allowed.map(|end| [&["CLOSED", "SYN-SENT"], opened, end].concat());
        ensure!(allowed.any(|path| said == path), "client: {said:?}: {}", account());
        Ok(())
    }
}

/// Every family and link, with a name for each.
pub(crate) fn places() -> impl Iterator<Item = (crate::namespace::Link, Family, String)> {
    crate::namespace::Link::BOTH.into_iter().flat_map(|link| {
        let name = move |family: Family| format!("{}/{}", family.name(), link.name());
        Family::BOTH.map(|family| (link, family, name(family)))
    })
}
