//! `shakedown handshake`: SYN, SYN-ACK, ACK; what was offered and granted; then the end asked for.

use std::time::Duration;

use super::findings;
use super::session::{Prepared, Session};
use super::talk::{Limits, Talk};
use super::{Environment, ExitStatus, Wanted};
use crate::cli::value::Then;
use crate::cli::{Expect, HandshakeArgs};
use crate::driver::{Driver, DriverError, FlowSpec, Open};
use crate::event::{CloseShape, HandshakeReport, Outcome, Run, Sink, Summary};
use crate::net::Wire;

/// How long TIME-WAIT lasts behind a handshake whose close is a courtesy: 2 MSL of this. Long
/// enough to answer a FIN repeated at once, too short for anyone to wait for.
const COURTESY_MSL: Duration = Duration::from_millis(50);

/// What a handshake is to do once its target and its wire are there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    /// Data to send once the connection is open.
    pub(crate) data: Vec<u8>,
    /// What comes after.
    pub(crate) then: Then,
    /// How long it may wait.
    pub(crate) limits: Limits,
}

/// Runs the subcommand.
///
/// # Errors
/// Whatever keeps this host from measuring.
pub fn run(args: &HandshakeArgs, environment: &Environment) -> anyhow::Result<ExitStatus> {
    let plan = Plan {
        data: super::data::payload(&args.data)?,
        then: args.then,
        limits: Limits { wait: args.timing.timeout, deadline: args.timing.deadline },
    };
    let wanted = Wanted::new(&args.expect, Expect::Open);
    let session = Session {
        command: "handshake",
        target: &args.target,
        source: &args.source,
        offer: &args.offer,
        timing: &args.timing,
        msl: COURTESY_MSL,
        output: &args.output,
        explain: &args.explain,
        figure: &args.figure,
    };
    let Prepared { wire, sink, run, spec, capture, figure } = session.prepare(environment)?;
    let summary = converse(Driver::new(wire, sink), run, spec, &plan, &wanted)?;
    Ok(figure.status(capture.status(wanted.status(summary.outcome))))
}

/// The conversation itself, over whichever wire.
pub(crate) fn converse<W: Wire, S: Sink>(
    driver: Driver<W, S>,
    run: Run,
    spec: FlowSpec,
    plan: &Plan,
    wanted: &Wanted,
) -> Result<Summary, DriverError> {
    let spec = FlowSpec { gate: Box::new(Open), ..spec };
    let mut talk = Talk::open(driver, run, spec, plan.limits)?;
    let mut wants_close = true;
    if talk.establish()? {
        talk.exchange(&plan.data)?;
        match plan.then {
            Then::Close => {}
            Then::Rst => wants_close = false,
            Then::Hold(duration) => talk.hold(duration)?,
        }
        if !wants_close {
            talk.abort()?;
        } else if !talk.interrupted() {
            talk.close()?;
            talk.await_peer_fin()?;
        }
    }
    let time_wait = talk.linger()?;
    let states = talk.leave()?;
    let report = |flow: &crate::driver::Flow| {
        let opened = findings::opening(flow);
        let closed = flow.ending.established.then(|| {
            let asked = if wants_close { CloseShape::Active } else { CloseShape::Abort };
            findings::close_report(flow, asked, states, time_wait)
        });
        (opened, findings::handshake_report(flow, !plan.data.is_empty()), closed)
    };
    let (outcome, handshake, close) =
        talk.look(report).unwrap_or((Outcome::Filtered, Default::default(), None));
    let outcome = match outcome {
        Outcome::Filtered if talk.interrupted() => Outcome::Interrupted,
        // The handshake is what was asked for; a reset later is told in the close report, unless it
        // came in the middle of what we had to say.
        Outcome::Open if cut_short(&handshake, plan.data.len()) => {
            if talk.interrupted() {
                Outcome::Interrupted
            } else if talk.look(|flow| flow.ending.reset).unwrap_or(false) {
                Outcome::Reset
            } else {
                Outcome::TimedOut
            }
        }
        other => other,
    };
    talk.finish(outcome, wanted, handshake, close)
}

/// Whether some of our data was never acknowledged, sent or not.
fn cut_short(report: &HandshakeReport, to_send: usize) -> bool {
    report.exchange.as_ref().is_some_and(|exchange| exchange.acknowledged < to_send as u64)
}
