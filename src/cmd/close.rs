//! `shakedown close`: open, optionally exchange data, close in the shape asked for, and say what
//! the peer did.

use super::findings;
use super::session::{Prepared, Session};
use super::talk::{Limits, Talk, Waited};
use super::{Environment, ExitStatus, Wanted};
use crate::cli::{CloseArgs, Expect, Shape};
use crate::driver::{Driver, DriverError, Flow, FlowSpec, Gate, HoldPeerFin, Open};
use crate::event::{CloseShape, Outcome, Run, Sink, Summary};
use crate::net::Wire;
use crate::tcp::state::State;

/// What a close is to do once its target and its wire are there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    /// The shape.
    pub(crate) shape: CloseShape,
    /// Data to send once the connection is open.
    pub(crate) data: Vec<u8>,
    /// How long it may wait.
    pub(crate) limits: Limits,
}

/// Runs the subcommand.
///
/// # Errors
/// Whatever keeps this host from measuring.
pub fn run(args: &CloseArgs, environment: &Environment) -> anyhow::Result<ExitStatus> {
    let plan = Plan {
        shape: match args.shape.shape() {
            Shape::Active => CloseShape::Active,
            Shape::Passive => CloseShape::Passive,
            Shape::Simultaneous => CloseShape::Simultaneous,
            Shape::Half => CloseShape::Half,
        },
        data: super::data::payload(&args.data)?,
        limits: Limits { wait: args.timing.timeout, deadline: Some(args.deadline()) },
    };
    let wanted = Wanted::new(&args.expect, Expect::Closed);
    let session = Session {
        command: "close",
        target: &args.target,
        source: &args.source,
        offer: &args.offer,
        timing: &args.timing,
        msl: args.shape.msl,
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
    let gate: Box<dyn Gate> = match plan.shape {
        // From the first segment on: a server that closes first may do so with its first breath.
        CloseShape::Simultaneous => Box::new(HoldPeerFin),
        _ => Box::new(Open),
    };
    let mut talk = Talk::open(driver, run, FlowSpec { gate, ..spec }, plan.limits)?;
    let opened = talk.establish()?;
    if opened {
        if plan.shape == CloseShape::Half {
            talk.send_and_close(&plan.data)?;
        } else {
            talk.exchange(&plan.data)?;
        }
        shape(&mut talk, plan.shape)?;
    }
    let time_wait = talk.linger()?;
    let states = talk.leave()?;
    let asked = plan.shape;
    let sent_data = !plan.data.is_empty();
    let report = |flow: &Flow| {
        let opening = findings::opening(flow);
        let handshake = findings::handshake_report(flow, sent_data);
        let close =
            flow.ending.established.then(|| findings::close_report(flow, asked, states, time_wait));
        let outcome = if opened { findings::closing(flow, asked) } else { opening };
        (outcome, handshake, close)
    };
    let (outcome, handshake, close) =
        talk.look(report).unwrap_or((Outcome::Filtered, Default::default(), None));
    let unfinished = matches!(
        outcome,
        Outcome::Filtered | Outcome::TimedOut | Outcome::StillOpen | Outcome::OtherShape
    );
    let outcome = if talk.interrupted() && unfinished { Outcome::Interrupted } else { outcome };
    talk.finish(outcome, wanted, handshake, close)
}

/// Brings the shape about, as far as the peer plays along.
fn shape<W: Wire, S: Sink>(talk: &mut Talk<W, S>, shape: CloseShape) -> Result<(), DriverError> {
    match shape {
        CloseShape::Active | CloseShape::Half => {}
        CloseShape::Passive => {
            let fin_came = |flow: &Flow| flow.connection.peer_fin_received();
            talk.wait(None, fin_came)?;
        }
        CloseShape::Simultaneous => {
            // The peer's FIN must be out before ours is, or it would answer ours.
            let fin_is_held = |flow: &Flow| flow.held() > 0;
            talk.wait(None, fin_is_held)?;
            talk.close()?;
            // Ours has left when the capture showed it; only then may theirs arrive.
            let fin_left = |flow: &Flow| !flow.timeline.fins.is_empty();
            talk.wait(None, fin_left)?;
            talk.open_gate()?;
        }
        CloseShape::Abort => return talk.abort(),
    }
    talk.close()?;
    let waited =
        talk.wait(None, |flow| matches!(flow.connection.state(), State::TimeWait | State::Closed))?;
    if waited == Waited::TooLong {
        talk.open_gate()?;
    }
    Ok(())
}
