//! From arguments to what is to be done: pure.

use std::time::Duration;

use anyhow::{bail, ensure};

use crate::cli::shared::TimingArgs;
use crate::cli::{MethodArg, RttArgs};
use crate::event::Method;
use crate::stats;

/// The shortest interval without `--fast`.
const GENTLE: Duration = Duration::from_millis(1);
/// The shortest interval at all: more often one thread cannot send and receive.
const SHORTEST: Duration = Duration::from_micros(10);
/// Probes a second, over all targets, without `--fast`.
const GENTLE_RATE: u128 = 20_000;
/// A probe that is later than this, or than its interval where that is longer, is missed.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is to be done, whoever the targets are.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// How each probe asks.
    pub(super) method: Method,
    /// What `--method data` sends.
    pub(super) data: Vec<u8>,
    /// The first of the fixed ports, where it was chosen.
    pub(super) first_port: Option<u16>,
    /// Fixed ports; 0 where each probe has a fresh one.
    pub(super) fixed: u16,
    /// Retransmission.
    pub(super) timing: TimingArgs,
}

/// Reads the arguments. `data` are the bytes of `--send`.
///
/// # Errors
/// Options that contradict each other, in one line.
pub(super) fn plan(args: &RttArgs, data: Vec<u8>) -> anyhow::Result<Plan> {
    let method = match args.method {
        MethodArg::Syn => Method::Syn,
        MethodArg::Handshake => Method::Handshake,
        MethodArg::Fin => Method::Fin,
        MethodArg::Data => Method::Data,
    };
    match method {
        Method::Data => {
            ensure!(!data.is_empty(), "--method data needs something to send: add --send TEXT");
        }
        _ => ensure!(data.is_empty(), "--send is for --method data: add that, or leave it out"),
    }
    ensure!(
        args.offer.isn.is_none(),
        "--isn would give every probe the same number, and no answer could be told from another: \
         leave it out"
    );
    let first_port = args.source.source_port;
    let fixed = args.flows.unwrap_or(u16::from(first_port.is_some()));
    if let Some(first) = first_port
        && first.checked_add(fixed.saturating_sub(1)).is_none()
    {
        bail!("--flows {fixed} from port {first} goes beyond port 65535: choose a lower -g");
    }
    let schedule = &args.schedule;
    if schedule.interval < GENTLE && !schedule.fast {
        bail!("an interval below 1ms is a flood to some: add --fast if it is meant");
    }
    ensure!(schedule.interval >= SHORTEST, "the interval is 10us at least");
    let timing = TimingArgs {
        timeout: schedule.timeout,
        retries: schedule.retries.unwrap_or(if method == Method::Syn { 0 } else { 2 }),
        deadline: schedule.deadline,
    };
    Ok(Plan { method, data, first_port, fixed, timing })
}

/// The schedule for so many targets.
///
/// # Errors
/// That would be too many probes a second.
pub(super) fn schedule(args: &RttArgs, plan: &Plan, targets: usize) -> anyhow::Result<stats::Plan> {
    let schedule = &args.schedule;
    let interval = schedule.interval;
    let rate = targets as u128 * 1_000_000_000 / interval.as_nanos().max(1);
    if rate > GENTLE_RATE && !schedule.fast {
        bail!(
            "{targets} targets every {} are {rate} probes a second: lengthen -i, or add --fast if \
             it is meant",
            humantime::format_duration(interval)
        );
    }
    Ok(stats::Plan {
        targets: u32::try_from(targets)?,
        interval,
        warm_up: schedule.warm_up,
        count: schedule.count,
        deadline: schedule.deadline,
        flows: u32::from(plan.fixed.max(1)),
        patience: Some(PATIENCE.max(interval)),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn args(words: &str) -> RttArgs {
        let line = format!("shakedown rtt h:1 {words}");
        let Command::Rtt(args) = Cli::parse_from(line.split_whitespace()).command else {
            panic!("not rtt")
        };
        *args
    }

    fn refusal(words: &str, data: &[u8]) -> String {
        plan(&args(words), data.to_vec()).expect_err("refused").to_string()
    }

    #[test]
    fn contradictions_are_refused_with_what_to_do() {
        assert!(refusal("-m data", b"").ends_with("add --send TEXT"));
        assert!(refusal("-m fin", b"x").starts_with("--send is for --method data"));
        assert!(refusal("--isn 7", b"").starts_with("--isn would give every probe the same"));
        assert!(refusal("-i 999us", b"").ends_with("add --fast if it is meant"));
        assert_eq!(refusal("-i 9us --fast", b""), "the interval is 10us at least");
        assert!(refusal("-g 65535 --flows 2", b"").contains("beyond port 65535"));
        assert_eq!(plan(&args("-g 65535"), Vec::new()).expect("one port").fixed, 1);
    }

    #[test]
    fn a_lost_syn_is_a_lost_probe_unless_asked_otherwise() {
        let retries = |words| plan(&args(words), Vec::new()).expect("a plan").timing.retries;
        assert_eq!((retries(""), retries("-m fin"), retries("--retries 3")), (0, 2, 3));
    }

    #[test]
    fn a_rate_that_is_a_flood_must_be_meant() {
        let rate = |words, targets| {
            let args = args(words);
            let plan = plan(&args, Vec::new()).expect("a plan");
            schedule(&args, &plan, targets)
        };
        assert!(rate("-i 1ms", 20).is_ok());
        let why = rate("-i 1ms", 21).expect_err("too many").to_string();
        assert!(why.starts_with("21 targets every 1ms are 21000 probes a second"), "{why}");
        assert!(rate("-i 1ms --fast", 21).is_ok());
        assert_eq!(rate("-i 5s", 1).expect("slow").patience, Some(Duration::from_secs(5)));
    }
}
