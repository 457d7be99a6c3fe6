//! What a terminal shows of clients that come and go.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use super::LiveReporter;
use crate::event::{
    ClientReport, ClientStage, Event, FlowId, ListenReport, Outcome, Run, Sink, Summary, Traffic,
};
use crate::net::GuardKind;
use crate::report::human::Style;
use crate::report::rtt::Size;
use crate::tcp::state::{Cause, End, Known, State, Transition};
use crate::time::{Clock, Instant};

const START: Instant = Instant::from_nanos(5_000_000_000);
const SIZE: Size = Size { columns: 90, rows: 12 };

fn run(target: SocketAddr, at: Instant) -> Event {
    Event::Run(Run {
        command: "listen",
        name: "8080".to_owned(),
        target,
        source: ([192, 0, 2, 2], 8080).into(),
        interface: "any".to_owned(),
        clock: Clock::Kernel,
        guard: GuardKind::Filter,
        end: End::Server,
        at,
        unix_ns: None,
    })
}

fn client(number: u16) -> SocketAddr {
    ([192, 0, 2, 1], 50_000 + number).into()
}

fn moved(end: End, (from, to): (State, State), known: Known) -> Event {
    let cause = Cause::Close;
    Event::Transition(Transition { at: START, end, from, to, cause, known })
}

fn told(number: u16, stage: ClientStage, at: Instant) -> Event {
    let ended = stage == ClientStage::Ended;
    Event::Client(Box::new(ClientReport {
        number: number.into(),
        client: client(number),
        server: ([192, 0, 2, 2], 8080).into(),
        stage,
        at,
        outcome: if ended { Outcome::Reset } else { Outcome::Open },
        established: true,
        offered: None,
        options: Vec::new(),
        granted: None,
        rtt: None,
        suspect: None,
        syn_gaps: Vec::new(),
        fin_gaps: vec![Duration::from_millis(200)],
        received: 12,
        acknowledged: 7,
        resent: 1,
        repeated: 2,
        idle: ended.then_some(Duration::from_secs(300)),
        close: None,
        after_its_fin: None,
        lasted: Duration::from_secs(2),
    }))
}

fn screen(bytes: &[u8]) -> String {
    let side = |length: usize| NonZeroU16::new(length as u16).expect("a screen");
    let mut terminal = vt100::Parser::new(side(SIZE.rows), side(SIZE.columns), 0);
    // As the line discipline of a terminal has it.
    terminal.process(String::from_utf8_lossy(bytes).replace('\n', "\r\n").as_bytes());
    terminal.screen().contents()
}

#[test]
fn a_table_of_those_that_are_there_and_a_line_for_each_that_was() {
    let mut live = LiveReporter::new(Vec::new(), Style::default(), || Some(SIZE));
    let mut tell = |flow: u16, event: &Event| {
        live.record(FlowId(flow.into()), event).expect("written to memory");
    };
    tell(0, &run(([0, 0, 0, 0], 8080).into(), START));
    for number in 1..=12 {
        tell(number, &run(client(number), START));
        tell(number, &moved(End::Client, (State::SynSent, State::Established), Known::Implied));
        tell(number, &moved(End::Server, (State::SynReceived, State::Established), Known::Own));
    }
    tell(12, &moved(End::Client, (State::Established, State::FinWait1), Known::Proved));
    tell(1, &told(1, ClientStage::Opened, START));
    tell(1, &told(1, ClientStage::Ended, START));
    tell(0, &Event::Tick(START + Duration::from_secs(3)));
    let bytes = live.into_inner();
    insta::assert_snapshot!(screen(&bytes));
}

#[test]
fn at_the_end_the_table_is_gone_and_the_summary_stands_in_its_place() {
    let mut live = LiveReporter::new(Vec::new(), Style::default(), || Some(SIZE));
    live.record(FlowId(0), &run(([0, 0, 0, 0], 8080).into(), START)).expect("memory");
    live.record(FlowId(1), &run(client(1), START)).expect("memory");
    live.record(FlowId(0), &Event::Tick(START + Duration::from_secs(1))).expect("memory");
    live.record(FlowId(1), &told(1, ClientStage::Ended, START)).expect("memory");
    let listen = ListenReport {
        outcomes: vec![(Outcome::Reset, 1)],
        opened: 1,
        most: 1,
        received: 12,
        acknowledged: 7,
        turned_away: 2,
        cookies: 9,
        cookies_redeemed: 1,
        evicted: 1,
        idle: 1,
        strays: 1,
        overflow: 3,
        unsent: 1,
    };
    let summary = Summary {
        outcome: Outcome::Reset,
        as_expected: true,
        interrupted: true,
        elapsed: Duration::from_secs(3),
        traffic: Traffic::default(),
        handshake: None,
        close: None,
        probes: Vec::new(),
        listen: Some(listen),
        requests: None,
    };
    live.record(FlowId(0), &Event::Summary(Box::new(summary))).expect("memory");
    let bytes = live.into_inner();
    insta::assert_snapshot!(screen(&bytes));
}
