//! Runs of repeated probes for tests: what became of each is told, the accounts follow.

use std::net::SocketAddr;
use std::time::Duration;

use crate::event::{
    Answerer, FlowId, Method, Notice, Outcome, RttEnd, RttEvent, RttProbe, RttRun, RttSink,
    RttTarget, RttView, Severity, Traffic,
};
use crate::net::GuardKind;
use crate::stats::{Account, Answer, Fate, FirstTry, Measurement, Phase, Plan, Schedule, Settled};
use crate::time::{Clock, Instant, Stamp};

/// Not zero, so that a reporter which forgets to subtract it shows.
const START: Instant = Instant::from_nanos(7_000_000_000);

/// What becomes of a probe; times in microseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::report) enum Becomes {
    Open(u64),
    Refused(u64),
    /// With the acknowledgment of our FIN or data, and the peer's FIN.
    Phases(u64, u64, Option<u64>),
    Ambiguous(u64),
    Icmp(u64),
    Lost,
    Late(u64),
    InFlight,
    Unsent,
}

/// A run on the stage: its sink hears whatever happens.
pub(in crate::report) struct Stage {
    pub(in crate::report) run: RttRun,
    pub(in crate::report) now: Instant,
    pub(in crate::report) accounts: Vec<Account>,
    pub(in crate::report) flows: Vec<Account>,
    schedule: Schedule,
    measurement: Measurement,
    pub(in crate::report) drops: u64,
    pub(in crate::report) clock_steps: u32,
    traffic: Traffic,
}

impl Stage {
    pub(in crate::report) fn new(method: Method, names: &[&str]) -> Self {
        let targets = names.iter().zip(1_u8..=255).map(|(name, number)| RttTarget {
            name: (*name).to_owned(),
            to: SocketAddr::from(([192, 0, 2, number], 443)),
            from: SocketAddr::from(([198, 51, 100, 9], 0)),
            interface: "eth0".into(),
        });
        let run = RttRun {
            method,
            interval: Duration::from_secs(1),
            count: None,
            warm_up: 0,
            timeout: Duration::from_secs(2),
            fixed_ports: Vec::new(),
            clock: Clock::Kernel,
            guard: GuardKind::Filter,
            start: START,
            unix_ns: Some(1_700_000_000_123_456_789),
            targets: targets.collect(),
        };
        Self::of(run)
    }

    pub(in crate::report) fn of(run: RttRun) -> Self {
        let plan = Plan {
            targets: u32::try_from(run.targets.len()).unwrap(),
            interval: run.interval,
            warm_up: run.warm_up,
            count: run.count,
            deadline: None,
            flows: u32::try_from(run.fixed_ports.len().max(1)).unwrap(),
            patience: None,
        };
        Self {
            now: run.start,
            accounts: vec![Account::default(); run.targets.len()],
            flows: vec![Account::default(); run.targets.len() * run.fixed_ports.len()],
            schedule: Schedule::new(plan, run.start).unwrap(),
            measurement: Measurement {
                transmit: Clock::Kernel,
                receive: Clock::Kernel,
                resolution: Duration::from_nanos(1),
                conversion: None,
            },
            drops: 0,
            clock_steps: 0,
            traffic: Traffic::default(),
            run,
        }
    }

    pub(in crate::report) fn view(&self) -> RttView<'_> {
        RttView {
            run: &self.run,
            now: self.now,
            accounts: &self.accounts,
            flows: &self.flows,
            schedule: &self.schedule,
            measurement: &self.measurement,
            traffic: self.traffic,
            drops: self.drops,
            clock_steps: self.clock_steps,
        }
    }

    pub(in crate::report) fn hear(&self, sink: &mut impl RttSink, event: &RttEvent<'_>) {
        sink.hear(event, &self.view()).unwrap();
    }

    pub(in crate::report) fn begin(&self, sink: &mut impl RttSink) {
        self.hear(sink, &RttEvent::Began);
    }

    /// The next probe of the schedule leaves, 7 µs late, and this becomes of it.
    pub(in crate::report) fn probe(&mut self, sink: &mut impl RttSink, becomes: Becomes) {
        let due = self.schedule.next_due().unwrap();
        let due = self.schedule.next(due + Duration::from_micros(7)).unwrap();
        self.traffic.sent += 2;
        let mut probe = self.blank(due.target, due.index, due.due);
        probe.warm_up = due.warm_up;
        probe.flow = due.flow;
        if let Some(port) = self.run.fixed_ports.get(due.flow as usize) {
            probe.from.set_port(*port);
        }
        fill(&mut probe, becomes);
        self.now = self.now.max(due.due);
        for account in self.accounts_of(&probe) {
            count(account, &probe, becomes);
        }
        if let Becomes::Late(_) = becomes {
            let lost = RttProbe {
                fate: Fate::Lost,
                outcome: Outcome::Filtered,
                answer: None,
                answered: None,
                answered_by: None,
                ..probe.clone()
            };
            self.hear(sink, &RttEvent::Probe(&lost));
            self.hear(sink, &RttEvent::Late(&probe));
        } else {
            self.hear(sink, &RttEvent::Probe(&probe));
        }
        self.hear(sink, &RttEvent::Final(&probe));
    }

    pub(in crate::report) fn probes(&mut self, sink: &mut impl RttSink, all: &[Becomes]) {
        all.iter().for_each(|becomes| self.probe(sink, *becomes));
    }

    /// The probe at `index` of `target` is answered again.
    pub(in crate::report) fn duplicate(&mut self, sink: &mut impl RttSink, index: u64) {
        let mut probe = self.blank(0, index, self.run.start + Duration::from_secs(index));
        fill(&mut probe, Becomes::Open(11_102));
        probe.duplicates = 1;
        self.accounts[0].duplicate();
        let at = probe.sent.unwrap().at + Duration::from_micros(23_000);
        let stamp = Stamp { at, clock: Clock::Kernel };
        self.hear(sink, &RttEvent::Duplicate(&probe, stamp));
    }

    pub(in crate::report) fn notice(&self, sink: &mut impl RttSink, text: &str) {
        let notice = Notice {
            at: self.now,
            severity: Severity::Warning,
            code: "clock-step",
            text: text.to_owned(),
        };
        self.hear(sink, &RttEvent::Notice(&notice));
    }

    pub(in crate::report) fn end(&mut self, sink: &mut impl RttSink) {
        self.now += Duration::from_millis(12);
        let outcome = Outcome::Open;
        let end = RttEnd { outcome, as_expected: true, interrupted: false };
        self.hear(sink, &RttEvent::Ended(end));
    }

    fn blank(&self, target: u32, index: u64, due: Instant) -> RttProbe {
        let to = &self.run.targets[target as usize];
        let port = 40_000 + u16::try_from(index % 10_000).unwrap();
        let late = Duration::from_micros(7);
        RttProbe {
            id: FlowId(u32::try_from(index).unwrap_or(u32::MAX)),
            target,
            index,
            flow: 0,
            warm_up: false,
            from: SocketAddr::new(to.from.ip(), port),
            iss: 4_000_000_000,
            due,
            sent: Some(Stamp { at: due + late, clock: Clock::Kernel }),
            answered: None,
            ended: due + Duration::from_secs(2),
            fate: Fate::Lost,
            outcome: Outcome::Filtered,
            answer: None,
            first_try: Some(FirstTry::Lost),
            attempts: 1,
            duplicates: 0,
            clock: None,
            intervals: [None; Phase::ALL.len()],
            answered_by: Some(Answerer::new(to.to.ip(), 52)),
            remark: None,
        }
    }

    fn accounts_of(&mut self, probe: &RttProbe) -> Vec<&mut Account> {
        if probe.warm_up {
            return Vec::new();
        }
        let flow = probe.target as usize * self.run.fixed_ports.len() + probe.flow as usize;
        let whole = &mut self.accounts[probe.target as usize];
        std::iter::once(whole).chain(self.flows.get_mut(flow)).collect()
    }
}

fn fill(probe: &mut RttProbe, becomes: Becomes) {
    let mut answer = |fate, outcome, answer, micros: u64, timed: bool| {
        let rtt = Duration::from_micros(micros);
        probe.fate = fate;
        probe.outcome = outcome;
        probe.answer = Some(answer);
        probe.first_try = Some(FirstTry::Answered);
        probe.answered = probe.sent.map(|sent| Stamp { at: sent.at + rtt, ..sent });
        probe.clock = timed.then_some(Clock::Kernel);
        probe.intervals[0] = timed.then_some(rtt);
    };
    match becomes {
        Becomes::Open(micros) => answer(Fate::Answered, Outcome::Open, Answer::Open, micros, true),
        Becomes::Refused(micros) => {
            answer(Fate::Refused, Outcome::Refused, Answer::Refused, micros, true);
        }
        Becomes::Phases(micros, ack, fin) => {
            answer(Fate::Answered, Outcome::Open, Answer::Open, micros, true);
            let place = if fin.is_some() { 2 } else { 1 };
            probe.intervals[place] = Some(Duration::from_micros(ack));
            probe.intervals[3] = fin.map(Duration::from_micros);
        }
        Becomes::Ambiguous(micros) => {
            answer(Fate::Ambiguous, Outcome::Open, Answer::Open, micros, false);
            probe.attempts = 2;
            probe.first_try = Some(FirstTry::Unknown);
        }
        Becomes::Icmp(micros) => {
            answer(Fate::Icmp, Outcome::Unreachable, Answer::Icmp, micros, false);
            probe.answered_by = Some(Answerer::new([203, 0, 113, 1].into(), 63));
        }
        Becomes::Late(micros) => {
            answer(Fate::Late, Outcome::Open, Answer::Open, micros, false);
            probe.first_try = Some(FirstTry::Lost);
        }
        Becomes::Lost => probe.answered_by = None,
        Becomes::InFlight => {
            probe.fate = Fate::InFlight;
            (probe.answered_by, probe.first_try) = (None, None);
        }
        Becomes::Unsent => {
            (probe.sent, probe.answered_by, probe.first_try) = (None, None, None);
            probe.remark = Some("the interface is down");
        }
    }
}

fn count(account: &mut Account, probe: &RttProbe, becomes: Becomes) {
    if becomes == Becomes::Unsent {
        account.left_out_mut().unsent += 1;
        return;
    }
    account.sent();
    let first = probe.first_try.unwrap_or(FirstTry::Lost);
    match (becomes, probe.answer) {
        (Becomes::InFlight, _) => {}
        (Becomes::Late(_), Some(answer)) => {
            account.arrived(probe.index);
            account.settle(Settled::Lost);
            account.answer_late(answer, probe.attempts);
        }
        (_, Some(answer)) => {
            let how = Settled::Answered { answer, attempts: probe.attempts, first };
            account.arrived(probe.index);
            account.settle(how);
        }
        (_, None) => {
            account.settle(Settled::Lost);
        }
    }
    for phase in Phase::ALL {
        if let Some(interval) = probe.interval(phase) {
            account.record(phase, interval);
        }
    }
}
