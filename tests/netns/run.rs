//! Runs the real binary in the client's namespace and reads its JSON Lines.

use crate::namespace::Namespace;
use crate::patience;
use anyhow::{Context, Result, anyhow, bail, ensure};
use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_shakedown");

/// Which capabilities the binary is started with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Privilege {
    /// All that this process has in its namespace.
    All,
    /// `CAP_NET_RAW`, and nothing else.
    RawOnly,
    /// None.
    Nothing,
}

/// A running binary.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
    so_far: Vec<Value>,
    /// The longest time between two lines.
    longest_pause: Duration,
}

/// A binary that has come to its end.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) events: Vec<Value>,
    pub(crate) stderr: String,
}

/// The command, in this namespace, with no terminal and no input.
pub(crate) fn spawn(
    namespace: &Namespace,
    privilege: Privilege,
    arguments: &[&str],
    stdout: Stdio,
) -> Result<Child> {
    namespace.within(|| {
        // Capabilities belong to a thread, and the child inherits those of the thread that starts
        // it. As uid 0 it regains at exec what the bounding set leaves, so that is what to cut.
        let keep: CapsHashSet = match privilege {
            Privilege::All => caps::all(),
            Privilege::RawOnly => [Capability::CAP_NET_RAW].into(),
            Privilege::Nothing => CapsHashSet::new(),
        };
        for capability in caps::read(None, CapSet::Bounding)?.difference(&keep) {
            caps::drop(None, CapSet::Bounding, *capability)?;
        }
        Command::new(BINARY)
            .args(arguments)
            .env_remove("NO_COLOR")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{BINARY} {arguments:?}"))
    })
}

impl Running {
    /// Starts the binary.
    pub(crate) fn start(
        namespace: &Namespace,
        privilege: Privilege,
        arguments: &[&str],
    ) -> Result<Self> {
        let mut child = spawn(namespace, privilege, arguments, Stdio::piped())?;
        let stdout = child.stdout.take().context("its stdout")?;
        let mut stderr = child.stderr.take().context("its stderr")?;
        let errors = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).ok();
            text
        });
        Ok(Self {
            child,
            lines: lines_of(stdout),
            errors: Some(errors),
            so_far: Vec::new(),
            longest_pause: patience::LONGEST,
        })
    }

    /// Lets it say nothing for so long.
    pub(crate) fn with_pauses(mut self, longest_pause: Duration) -> Self {
        self.longest_pause = longest_pause;
        self
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), signal).context("kill")
    }

    /// Reads on until an event satisfies `wanted`.
    pub(crate) fn wait_for(
        &mut self,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        loop {
            match self.next_event().with_context(|| format!("waiting for {what}"))? {
                Some(event) if wanted(&event) => return Ok(event),
                Some(_) => {}
                None => bail!("it ended without {what}: {}", self.account()),
            }
        }
    }

    fn next_event(&mut self) -> Result<Option<Value>> {
        match self.lines.recv_timeout(self.longest_pause) {
            Ok(line) => {
                let event: Value =
                    serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
                self.so_far.push(event.clone());
                Ok(Some(event))
            }
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => bail!("no output in time: {}", self.account()),
        }
    }

    /// What it said so far, for a failure's message.
    fn account(&mut self) -> String {
        self.child.kill().ok();
        let errors = self.errors.take().and_then(|thread| thread.join().ok());
        let events: Vec<String> = self.so_far.iter().map(Value::to_string).collect();
        format!("stderr: {}\nstdout:\n{}", errors.unwrap_or_default(), events.join("\n"))
    }

    /// Reads to the end of its output and waits for it.
    pub(crate) fn finish(mut self) -> Result<Finished> {
        while self.next_event()?.is_some() {}
        let status = self.child.wait()?;
        let errors = self.errors.take().context("stderr was taken")?;
        let stderr = errors.join().map_err(|_| anyhow!("the stderr reader panicked"))?;
        Ok(Finished { status, events: std::mem::take(&mut self.so_far), stderr })
    }

    /// Waits for one that was killed: whatever it said, it may have been cut off.
    pub(crate) fn finish_killed(mut self) -> Result<()> {
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail, harmlessly, where it has already been waited for.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Runs the binary to its end, with all privileges of the namespace.
pub(crate) fn run(namespace: &Namespace, arguments: &[&str]) -> Result<Finished> {
    run_with(namespace, Privilege::All, arguments)
}

/// Runs the binary to its end.
pub(crate) fn run_with(
    namespace: &Namespace,
    privilege: Privilege,
    arguments: &[&str],
) -> Result<Finished> {
    Running::start(namespace, privilege, arguments)?
        .finish()
        .with_context(|| format!("shakedown {}", arguments.join(" ")))
}

impl Finished {
    /// Everything it said, for a failure's message.
    pub(crate) fn account(&self) -> String {
        let events: Vec<String> = self.events.iter().map(Value::to_string).collect();
        format!("{}\nstderr: {}\nstdout:\n{}", self.status, self.stderr, events.join("\n"))
    }

    /// Fails unless it exited with this status.
    pub(crate) fn expect_status(&self, status: i32) -> Result<()> {
        let account = || self.account();
        ensure!(self.status.code() == Some(status), "wanted exit status {status}: {}", account());
        Ok(())
    }

    /// Events of one type.
    pub(crate) fn of_type(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |event| event["type"] == kind)
    }

    /// The first event of a type.
    pub(crate) fn first(&self, kind: &str) -> Result<&Value> {
        self.of_type(kind).next().with_context(|| format!("no {kind} in {}", self.account()))
    }

    /// The port that it used, from its `run` event.
    pub(crate) fn source_port(&self) -> Result<u16> {
        let port = self.first("run")?["source"]["port"].as_u64();
        u16::try_from(port.context("no source port")?).context("source port")
    }

    /// The states of one end, in the order in which it reported them. How things stood before the
    /// first segment is no move of this connection.
    pub(crate) fn states(&self, end: &str) -> Vec<String> {
        self.states_of(end, |_| true)
    }

    /// The same of the events that `which` says, where there are several connections.
    pub(crate) fn states_of(&self, end: &str, which: impl Fn(&Value) -> bool) -> Vec<String> {
        let moves: Vec<&Value> = self
            .of_type("transition")
            .filter(|event| event["end"] == end && event["cause"] != "start" && which(event))
            .collect();
        let start = moves.first().map(|first| &first["from"]);
        let text = |state: &Value| state.as_str().unwrap_or("?").to_owned();
        start.into_iter().chain(moves.iter().map(|event| &event["to"])).map(text).collect()
    }

    /// Segments that it says it sent, with this flag.
    pub(crate) fn sent_with(&self, flag: &str) -> usize {
        self.of_type("segment")
            .filter(|event| event["dir"] == "tx")
            .filter(|event| has_flag(event, flag))
            .filter(|event| !event["note"].to_string().contains("kernel"))
            .filter(|event| !event["note"].to_string().contains("held"))
            .count()
    }

    /// The outcome in its summary.
    pub(crate) fn outcome(&self) -> Result<&str> {
        self.first("summary")?["outcome"].as_str().context("a summary without outcome")
    }
}

/// Whether a segment event carries a flag.
pub(crate) fn has_flag(event: &Value, flag: &str) -> bool {
    event["flags"].as_array().is_some_and(|flags| flags.iter().any(|name| name == flag))
}

/// Whether an event is an end's move to this state.
pub(crate) fn is_move_to(event: &Value, end: &str, state: &str) -> bool {
    event["type"] == "transition" && event["end"] == end && event["to"] == state
}
