//! The battery of `check` against whole TCP stacks with servers of every kind: its verdicts are the
//! recorded ones, and the stacks are well afterwards.

mod bad;
mod linux;
mod lwip;
mod recorded;
mod smol;
mod tap;
mod witness;

use self::recorded::{Record, Row};
use crate::namespace::{Family, Namespace};
use crate::run::{Finished, Privilege, Running};
use crate::servers::Habit;
use crate::{Case, case, patience};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![linux::case(), smol::case(), lwip::case()];
    cases.push(case("check/decided/linux", recorded::every_check_is_decided));
    cases.extend(bad::cases());
    cases.extend(witness::cases());
    cases
}

/// What an application on a stack under test does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// Sends everything back, and closes after the other side did.
    Echo,
    /// Reads, and never closes.
    Sink,
    /// Says a line and closes.
    ClosesFirst,
    /// Says [`BULK`] bytes, and closes after the other side did.
    Bulk,
    /// Reads to the end of file, then says a line and closes.
    Answers,
    /// Answers one request with a page of [`PAGE`] bytes and closes.
    Http,
}

/// What [`Kind::Bulk`] says.
const BULK: usize = 100_000;
/// The body of the page of [`Kind::Http`].
const PAGE: usize = 3000;
/// What [`Kind::ClosesFirst`] and [`Kind::Answers`] say.
const LINE: usize = 26;

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Echo, Self::Sink, Self::ClosesFirst, Self::Bulk, Self::Answers, Self::Http];

    const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Sink => "sink",
            Self::ClosesFirst => "closes-first",
            Self::Bulk => "bulk",
            Self::Answers => "answers",
            Self::Http => "http",
        }
    }

    /// The same with sockets of the kernel.
    const fn habit(self) -> Habit {
        match self {
            Self::Echo => Habit::Echo,
            Self::Sink => Habit::Sink,
            Self::ClosesFirst => Habit::ClosesFirst(LINE),
            Self::Bulk => Habit::Bulk(BULK),
            Self::Answers => Habit::AnswersAfterEof(LINE),
            Self::Http => Habit::Http(PAGE),
        }
    }
}

/// A host with a server of each kind, and a place from which to reach it.
trait Host: Sync {
    /// Where the battery runs.
    fn client(&self) -> &Namespace;

    /// The server of this kind.
    fn server(&self, kind: Kind) -> Result<SocketAddr>;

    /// Its connections, by its own account, but for those in TIME-WAIT.
    fn connections(&self) -> Result<Vec<Left>>;
}

/// A connection of a host.
#[derive(Clone, Debug)]
struct Left {
    /// The client's port.
    port: u16,
    state: String,
}

/// Whether the slow checks are to run too: minutes.
fn is_slow_wanted() -> bool {
    std::env::var_os("SHAKEDOWN_CHECK_SLOW").is_some_and(|value| value == "1")
}

/// A case for a stack: both families at the same time, since most of it is waiting.
fn case_of<H: Host>(
    stack: &'static str,
    start: impl Fn(Family) -> Result<H> + Send + Sync + 'static,
) -> Case {
    case(format!("check/verdicts/{stack}"), move || {
        let start = &start;
        let one = |family: Family| {
            (family.name().to_owned(), move || examine(&start(family)?, stack, family))
        };
        side_by_side(Family::BOTH.map(one))
    })
}

/// Does all of it at the same time; fails with everything that failed.
fn side_by_side<const N: usize, W: FnOnce() -> Result<()> + Send>(
    works: [(String, W); N],
) -> Result<()> {
    let wrong: Vec<String> = thread::scope(|scope| {
        let working = works.map(|(name, work)| (name, scope.spawn(work)));
        let ended = working.into_iter().filter_map(|(name, thread)| match thread.join() {
            Ok(result) => result.err().map(|error| format!("{name}: {error:#}")),
            Err(_) => Some(format!("{name}: panicked")),
        });
        ended.collect()
    });
    ensure!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    Ok(())
}

/// Runs the battery against all servers of a host at once, and judges host and verdicts.
fn examine(host: &dyn Host, stack: &'static str, family: Family) -> Result<()> {
    // On the other stacks the intrusive ones take as long as everything else together.
    let seldom: &[&str] = if stack == linux::NAME { &["slow"] } else { &["slow", "intrusive"] };
    let mut options = vec!["--noisy", "--json"];
    if is_slow_wanted() || !seldom.contains(&"intrusive") {
        options.extend(["--intrusive", "--yes"]);
    }
    if is_slow_wanted() {
        options.push("--slow");
    }
    let reports = batteries(host, &options)?;
    let mut rows = Vec::new();
    for (kind, report) in &reports {
        let outcome = &report.first("summary")?["outcome"];
        ensure!(outcome == "complete", "{}: {}", kind.name(), report.first("summary")?);
        for result in report.of_type("check") {
            rows.push(Row::new(*kind, family, result)?);
        }
    }
    let judgement = Record::of(stack, seldom).judge(&rows, family);
    for kind in Kind::ALL {
        serves(host, kind).with_context(|| format!("{} afterwards", kind.name()))?;
    }
    let mut left = Vec::new();
    patience::until("the connections to be gone", || {
        left = host.connections()?;
        Ok(left.is_empty())
    })
    .with_context(|| {
        let whose = |one: &Left| format!("{} {}", one.state, whose(&reports, one.port));
        left.iter().map(whose).collect::<Vec<_>>().join("\n")
    })?;
    judgement
}

/// The check that had a connection from this port.
fn whose(reports: &[(Kind, Finished)], port: u16) -> String {
    let uses = |check: &Value| {
        let conversations = check["conversations"].as_array();
        conversations.is_some_and(|list| list.iter().any(|one| one["local"]["port"] == port))
    };
    let mut found = reports.iter().flat_map(|(kind, report)| {
        report.of_type("check").filter(|check| uses(check)).map(|check| (*kind, check))
    });
    match found.next() {
        Some((kind, check)) => {
            let row = Row::new(kind, Family::V4, check);
            format!(
                "{} {}: {}",
                kind.name(),
                check["id"],
                row.map(|row| row.account).unwrap_or_default()
            )
        }
        None => format!("port {port}: none of the checks' (or a repetition)"),
    }
}

/// The reports of one run against each server, all at the same time.
fn batteries(host: &dyn Host, options: &[&str]) -> Result<Vec<(Kind, Finished)>> {
    // A slow check may say nothing for as long as a FIN is retransmitted.
    let pause = Duration::from_secs(if is_slow_wanted() { 900 } else { 60 });
    let mut running = Vec::new();
    for kind in Kind::ALL {
        let target = host.server(kind)?.to_string();
        let arguments = [&["check", &target], options].concat();
        let battery = Running::start(host.client(), Privilege::All, &arguments)?;
        running.push((kind, battery.with_pauses(pause)));
    }
    running
        .into_iter()
        .map(|(kind, battery)| Ok((kind, battery.finish().with_context(|| kind.name())?)))
        .collect()
}

/// Whether an ordinary client is served.
fn serves(host: &dyn Host, kind: Kind) -> Result<()> {
    let mut heard = Vec::new();
    host.client().within(|| {
        let mut stream = TcpStream::connect_timeout(&host.server(kind)?, patience::LONGEST)?;
        stream.set_read_timeout(Some(patience::LONGEST))?;
        let words: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
        if kind != Kind::ClosesFirst {
            stream.write_all(words)?;
            stream.shutdown(Shutdown::Write)?;
        }
        if kind != Kind::Sink {
            stream.read_to_end(&mut heard)?;
        }
        let right = match kind {
            Kind::Echo => heard == words,
            Kind::Sink => heard.is_empty(),
            Kind::ClosesFirst | Kind::Answers => heard.len() == LINE,
            Kind::Bulk => heard.len() == BULK,
            Kind::Http => heard.len() > PAGE,
        };
        ensure!(right, "it said {} bytes", heard.len());
        if kind == Kind::Sink {
            // Closed by RST: a sink never closes its end.
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        }
        Ok(())
    })
}
