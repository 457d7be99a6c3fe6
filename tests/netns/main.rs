//! The namespace tier: the real binary against real kernel TCP, in private networks, with the
//! peer's kernel and an independent sniffer as witnesses.
//!
//! It enters a network namespace by itself, as root or as an ordinary user. What this machine does
//! not permit is reported as ignored with its reason and counted in a closing line `NOT RUN`; with
//! `SHAKEDOWN_REQUIRE_ALL=1` it is a failure.

mod badinput;
mod battery;
mod capture;
mod clocks;
mod firewall;
mod forge;
mod listen;
mod loss;
mod mutants;
mod namespace;
mod netlink;
mod oracle;
mod patience;
mod relay;
mod request;
mod rtt;
mod rtt_capture;
mod rtt_faults;
mod rtt_truth;
mod run;
mod selftest;
mod servers;
mod shapes;
mod silence;
mod snapshot;
mod sniffer;
mod sockets;
mod stacks;
mod sweep;
mod sweep_full;
mod sweep_hook;
mod sweep_hostile;
mod sweep_limits;
mod sweep_loss;
mod sweep_resume;
mod sweep_shards;
mod sweep_ways;
mod truth;
mod tshark;
mod tun;
mod verdicts;
mod weather;

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};

/// One test: a name, what it needs of the machine, and what it does.
pub(crate) struct Case {
    name: String,
    needs: &'static [&'static str],
    work: Box<dyn FnOnce() -> Result<()> + Send>,
}

/// A test that needs nothing but a namespace.
pub(crate) fn case(
    name: impl Into<String>,
    work: impl FnOnce() -> Result<()> + Send + 'static,
) -> Case {
    Case { name: name.into(), needs: &[], work: Box::new(work) }
}

impl Case {
    /// Names the programs and devices without which the test cannot run.
    pub(crate) fn needing(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }
}

/// Why tests were not run, and how many.
type NotRun = Arc<Mutex<BTreeMap<String, usize>>>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    // First of all, while this process has one thread.
    let entered = if arguments.list { Ok(()) } else { namespace::enter() };
    let refusal = entered.err().map(|error| format!("{error:#}"));
    let required = std::env::var_os("SHAKEDOWN_REQUIRE_ALL").is_some_and(|value| value == "1");
    let not_run = NotRun::default();
    let cases = [
        selftest::cases(),
        truth::cases(),
        silence::cases(),
        badinput::cases(),
        capture::cases(),
        listen::cases(),
        request::cases(),
        clocks::cases(),
        loss::cases(),
        mutants::cases(),
        weather::cases(),
        verdicts::cases(),
        rtt::cases(),
        rtt_faults::cases(),
        rtt_capture::cases(),
        stacks::cases(),
        sweep::cases(),
        sweep_full::cases(),
        sweep_hook::cases(),
        sweep_hostile::cases(),
        sweep_limits::cases(),
        sweep_loss::cases(),
        sweep_resume::cases(),
        sweep_shards::cases(),
        sweep_ways::cases(),
    ];
    let trials =
        cases.into_iter().flatten().map(|case| trial(case, refusal.clone(), required, &not_run));
    let trials = trials.collect();
    if refusal.is_none() && !arguments.list {
        println!("the peer's states are witnessed by: {}", oracle::Oracle::name());
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    for (reason, count) in not_run.lock().map(|map| map.clone()).unwrap_or_default() {
        println!("NOT RUN: {count} tests: {reason}");
    }
    conclusion.exit_code()
}

fn trial(case: Case, refusal: Option<String>, required: bool, not_run: &NotRun) -> Trial {
    let not_run = Arc::clone(not_run);
    Trial::ignorable_test(case.name, move || {
        let missing = case.needs.iter().find(|program| !is_installed(program));
        let reason =
            refusal.or_else(|| missing.map(|program| format!("{program} cannot be used here")));
        if let Some(reason) = reason {
            if required {
                return Err(Failed::from(format!("NOT RUN, and all must run: {reason}")));
            }
            if let Ok(mut map) = not_run.lock() {
                *map.entry(reason.clone()).or_default() += 1;
            }
            return Ok(Completion::ignored_with(reason));
        }
        match (case.work)() {
            Ok(()) => Ok(Completion::Completed),
            Err(error) => Err(Failed::from(format!("{error:#}"))),
        }
    })
}

/// What a test needs that has the kernel run a program: a user namespace's capabilities do not do.
pub(crate) const HOST_BPF: &str = "CAP_BPF of the host";

/// Whether a program can be run, a device opened, a capability used, or a file is there.
fn is_installed(program: &str) -> bool {
    if program == HOST_BPF {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let is_host = map.split_whitespace().eq(["0", "0", "4294967295"]);
        let has = caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_BPF);
        return is_host && has.unwrap_or(false);
    }
    if program.starts_with("/dev/") {
        return OpenOptions::new().read(true).write(true).open(program).is_ok();
    }
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}
