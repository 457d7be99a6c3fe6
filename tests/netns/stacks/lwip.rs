//! lwIP, the TCP of many embedded systems, as Debian packages it, behind a TAP device.

use super::tap::{Place, TAP};
use super::{Host, Kind, Left, case_of};
use crate::Case;
use crate::namespace::{Family, Namespace};
use anyhow::{Context, Result, anyhow, ensure};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/netns/stacks/lwip.c");

pub(super) fn case() -> Case {
    case_of("lwip", Lwip::start).needing(&["/dev/net/tun", "cc", "/usr/include/lwip/lwip/tcp.h"])
}

/// A process with lwIP in it, and the place from which it can be reached.
struct Lwip {
    place: Place,
    family: Family,
    process: Child,
    /// Questions go in, answers come out.
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Lwip {
    fn start(family: Family) -> Result<Self> {
        let program = program()?;
        let namespace = Namespace::new()?;
        let mut process = namespace.within(|| {
            let mut command = Command::new(&program);
            command.arg(TAP).stdin(Stdio::piped()).stdout(Stdio::piped());
            command.spawn().with_context(|| program.display().to_string())
        })?;
        let questions = process.stdin.take().context("its stdin")?;
        let mut answers = BufReader::new(process.stdout.take().context("its stdout")?);
        let mut line = String::new();
        let ready = answers.read_line(&mut line).map(|_| line == "ready\n");
        let place = Place::around(namespace);
        if !matches!((&ready, &place), (Ok(true), Ok(_))) {
            process.kill().ok();
            process.wait().ok();
        }
        ensure!(ready?, "lwIP did not start: {line}");
        Ok(Self { place: place?, family, process, pipes: Mutex::new((questions, answers)) })
    }
}

/// The program, compiled once.
fn program() -> Result<PathBuf> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let compile = || -> Result<PathBuf> {
        let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("lwip-servers");
        let mut command = Command::new("cc");
        command.args(["-O1", "-Wall", "-Wextra", "-Werror", "-I/usr/include/lwip", "-o"]);
        let output =
            command.arg(&program).args([SOURCE, "-llwip", "-lpthread"]).output().context("cc")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(program)
    };
    PROGRAM
        .get_or_init(|| compile().map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(|error| anyhow!(error))
}

impl Host for Lwip {
    fn client(&self) -> &Namespace {
        &self.place.client
    }

    fn server(&self, kind: Kind) -> Result<SocketAddr> {
        Ok(Place::server(self.family, kind))
    }

    fn connections(&self) -> Result<Vec<Left>> {
        let mut pipes = self.pipes.lock().map_err(|_| anyhow!("an earlier question failed"))?;
        let (questions, answers) = &mut *pipes;
        questions.write_all(b"?\n")?;
        let mut left = Vec::new();
        for line in answers.lines() {
            let line = line?;
            if line == "." {
                return Ok(left);
            }
            let (port, state) = line.split_once(' ').with_context(|| line.clone())?;
            left.push(Left { port: port.parse()?, state: state.to_owned() });
        }
        Err(anyhow!("lwIP has ended"))
    }
}

impl Drop for Lwip {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
