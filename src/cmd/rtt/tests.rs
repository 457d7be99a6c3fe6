//! Whole runs over the simulated network, in virtual time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;

use super::{Listeners, Prepared, plan, targets};
use crate::cli::{Cli, Command};
use crate::cmd::ExitStatus;
use crate::cmd::ground::Ground;
use crate::cmd::sim::Simulation;
use crate::event::{Event, FlowId, Note, RttEnd, RttEvent, RttProbe, RttSink, RttView, Sink};
use crate::net::Dir;
use crate::report::ClosedPipe;
use crate::stats::{Account, Fate, FirstTry, Phase};
use crate::time::{Instant, nanos_of};
use crate::wire::Flags;

/// What was heard.
#[derive(Default)]
struct Heard {
    began: Option<Instant>,
    /// When each probe was first told of, in order.
    told: Vec<RttProbe>,
    late: Vec<RttProbe>,
    last: Vec<RttProbe>,
    duplicates: usize,
    notices: Vec<&'static str>,
    accounts: Vec<Account>,
    flows: Vec<Account>,
    segments: Vec<(FlowId, Event)>,
}

#[derive(Clone, Default)]
struct Recorder(Rc<RefCell<Heard>>);

impl RttSink for Recorder {
    fn hear(&mut self, event: &RttEvent<'_>, view: &RttView<'_>) -> io::Result<()> {
        let mut heard = self.0.borrow_mut();
        match event {
            RttEvent::Began => heard.began = Some(view.run.start),
            RttEvent::Probe(probe) => heard.told.push((*probe).clone()),
            RttEvent::Late(probe) => heard.late.push((*probe).clone()),
            RttEvent::Final(probe) => heard.last.push((*probe).clone()),
            RttEvent::Duplicate(..) => heard.duplicates += 1,
            RttEvent::Notice(notice) => heard.notices.push(notice.code),
            RttEvent::Interim | RttEvent::Tick => {}
            RttEvent::Ended(_) => {
                heard.accounts = view.accounts.to_vec();
                heard.flows = view.flows.to_vec();
            }
        }
        Ok(())
    }
}

impl Sink for Recorder {
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        self.0.borrow_mut().segments.push((flow, event.clone()));
        Ok(())
    }
}

/// Runs `shakedown rtt` with these words over that network.
fn run(network: &str, words: &str) -> (Heard, RttEnd, ExitStatus) {
    let line = format!("shakedown rtt {words}");
    let cli = Cli::parse_from(line.split_whitespace());
    let Command::Rtt(args) = cli.command else { panic!("not rtt") };
    let ground = Ground::Simulated(Simulation::parse(network).expect("a network"));
    let data = args.data.send.clone().map(|text| text.0).unwrap_or_default();
    let plan = plan::plan(&args, data).expect("a plan");
    let found = targets::find(&args, &ground).expect("targets");
    let schedule = plan::schedule(&args, &plan, found.aims.len()).expect("a schedule");
    let recorder = Recorder::default();
    let (segments, out) = (Box::new(recorder.clone()), Box::new(recorder.clone()));
    let prepared = Prepared { plan, found, schedule, ground };
    let (end, status) = prepared
        .run(&args, |_, _| Listeners { segments, out, reader: ClosedPipe::default() })
        .expect("a run");
    let heard = Rc::into_inner(recorder.0).expect("the run is over").into_inner();
    (heard, end, status)
}

const ONE: &str = "192.0.2.7:80";

fn millis(probe: &RttProbe, phase: Phase) -> Option<u128> {
    probe.interval(phase).map(|interval| interval.as_millis())
}

fn fates(probes: &[RttProbe]) -> Vec<Fate> {
    let mut probes: Vec<_> = probes.iter().map(|probe| (probe.index, probe.fate)).collect();
    probes.sort_unstable();
    probes.into_iter().map(|(_, fate)| fate).collect()
}

#[test]
fn each_method_times_its_phases_and_no_other() {
    let network = "echo:dwell=30ms";
    for (method, expected) in [
        ("syn", [Some(20), None, None, None]),
        ("handshake", [Some(20), None, None, None]),
        ("fin", [Some(20), None, Some(20), Some(50)]),
        ("data --send hello", [Some(20), Some(20), None, None]),
    ] {
        let (heard, end, status) = run(network, &format!("{ONE} -c 3 -i 100ms -m {method}"));
        assert_eq!((heard.told.len(), status), (3, ExitStatus::AsAsked), "{method}");
        assert!(end.as_expected && !end.interrupted);
        for probe in &heard.told {
            assert_eq!(Phase::ALL.map(|phase| millis(probe, phase)), expected, "{method}");
            assert_eq!((probe.fate, probe.remark), (Fate::Answered, None), "{method}");
        }
    }
}

#[test]
fn a_half_open_probe_never_acknowledges_and_always_resets() {
    let (heard, ..) = run("echo", &format!("{ONE} -c 2"));
    let flags: Vec<_> = heard
        .segments
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Segment(it) if it.dir == Dir::Tx => Some(it.packet.segment.flags),
            _ => None,
        })
        .collect();
    assert_eq!(flags, [Flags::SYN, Flags::RST, Flags::SYN, Flags::RST]);
}

#[test]
fn probes_leave_by_the_schedule_whether_or_not_those_before_were_answered() {
    let (heard, ..) = run("silent", &format!("{ONE} -c 20 -i 50ms -W 1s"));
    let mut left: Vec<_> =
        heard.last.iter().map(|probe| (probe.index, probe.sent.expect("sent").at)).collect();
    left.sort_unstable();
    for (index, at) in left {
        let due = heard.began.expect("began") + Duration::from_millis(50) * index as u32;
        assert_eq!(at, due, "probe {index}");
    }
    assert_eq!(fates(&heard.last), [Fate::Lost; 20]);
}

#[test]
fn every_probe_has_a_port_and_a_number_of_its_own() {
    let (heard, ..) = run("echo", &format!("{ONE} -c 50 -i 10ms"));
    let ports: std::collections::HashSet<_> = heard.last.iter().map(|it| it.from).collect();
    let numbers: std::collections::HashSet<_> = heard.last.iter().map(|it| it.iss).collect();
    assert_eq!((ports.len(), numbers.len()), (50, 50));
}

#[test]
fn fixed_ports_take_turns_and_have_accounts_of_their_own() {
    let (heard, ..) = run("echo", &format!("{ONE} -c 9 -i 100ms -g 5000 --flows 3"));
    let mut ports: Vec<_> = heard.last.iter().map(|it| (it.index, it.from.port())).collect();
    ports.sort_unstable();
    let ports: Vec<_> = ports.into_iter().map(|(_, port)| port).collect();
    assert_eq!(ports, [5000, 5001, 5002, 5000, 5001, 5002, 5000, 5001, 5002]);
    let answered: Vec<_> = heard.flows.iter().map(|flow| flow.counts().answered).collect();
    assert_eq!(answered, [3, 3, 3]);
}

#[test]
fn an_answer_after_the_timeout_is_late_and_timed_from_its_own_probe() {
    // 200 ms there and back, given up after 50 ms, while later probes are under way.
    let (heard, _, status) = run("echo:delay=100ms", &format!("{ONE} -c 10 -i 60ms -W 50ms"));
    assert_eq!(fates(&heard.told), [Fate::Lost; 10]);
    // The run does not wait for answers beyond their time: those of the last four probes.
    assert_eq!(heard.late.len(), 7);
    for probe in &heard.late {
        assert_eq!(millis(probe, Phase::Handshake), Some(200), "probe {}", probe.index);
    }
    let counts = heard.accounts[0].counts();
    assert_eq!((counts.late, counts.lost, counts.answered), (7, 3, 0));
    assert_eq!(status, ExitStatus::AsAsked, "the port is open");
}

#[test]
fn a_late_answer_to_a_fixed_port_is_not_the_next_probes() {
    let (heard, ..) = run("echo:delay=100ms", &format!("{ONE} -c 6 -i 250ms -W 50ms -g 7000"));
    assert!(heard.late.len() >= 5, "{}", heard.late.len());
    for probe in &heard.late {
        assert_eq!(millis(probe, Phase::Handshake), Some(200), "probe {}", probe.index);
    }
}

#[test]
fn a_syn_ack_that_was_lost_and_repeated_is_no_slow_answer() {
    // The first answer is lost; the server repeats it after a second.
    let (heard, ..) = run("echo:drop=rx2", &format!("{ONE} -c 4 -i 3s"));
    assert_eq!(
        fates(&heard.told),
        [Fate::Answered, Fate::Ambiguous, Fate::Answered, Fate::Answered]
    );
    let figures = heard.accounts[0].times(Phase::Handshake).expect("timed").figures();
    assert_eq!((figures.count, figures.max_ns), (3, Some(20_000_000)));
    assert_eq!(heard.accounts[0].counts().first_unknown, 1);
}

#[test]
fn an_answer_to_a_repeated_syn_is_timed_only_where_the_echo_proves_which() {
    let with = |more: &str| run("echo:drop=tx1", &format!("{ONE} -c 1 --retries 2 {more}")).0;
    let proved = with("");
    let probe = &proved.told[0];
    assert_eq!(millis(probe, Phase::Handshake), Some(20));
    assert_eq!((probe.attempts, probe.first_try), (2, Some(FirstTry::Lost)));
    assert_eq!(proved.accounts[0].counts().first_lost, 1);
    let ambiguous = with("--no-timestamps");
    let probe = &ambiguous.told[0];
    assert_eq!((probe.fate, millis(probe, Phase::Handshake)), (Fate::Ambiguous, None));
    assert!(probe.remark.is_some_and(|why| why.contains("Karn")));
}

#[test]
fn a_refusal_is_an_answer_of_the_host() {
    let (heard, end, status) = run("closed", &format!("{ONE} -c 2"));
    assert_eq!(fates(&heard.told), [Fate::Refused; 2]);
    assert_eq!(millis(&heard.told[0], Phase::Handshake), Some(20));
    assert_eq!((status, end.as_expected), (ExitStatus::Otherwise, false));
    let (.., status) = run("closed", &format!("{ONE} -c 2 --expect refused"));
    assert_eq!(status, ExitStatus::AsAsked);
}

#[test]
fn what_is_under_way_at_the_end_is_neither_lost_nor_answered() {
    let (heard, end, _) = run("echo:delay=100ms,interrupt=250ms", &format!("{ONE} -i 100ms"));
    assert!(end.interrupted);
    let counts = heard.accounts[0].counts();
    assert_eq!((counts.sent, counts.answered, counts.in_flight, counts.lost), (3, 1, 2, 0));
    let (heard, ..) = run("silent", &format!("{ONE} -w 1s -i 200ms"));
    let counts = heard.accounts[0].counts();
    assert_eq!((counts.sent, counts.in_flight, counts.lost), (5, 5, 0));
}

#[test]
fn warm_up_is_told_and_not_counted() {
    let (heard, ..) = run("echo", &format!("{ONE} -c 2 --warm-up 3 -i 10ms"));
    let warm_up: Vec<_> = heard.told.iter().map(|probe| probe.warm_up).collect();
    assert_eq!(warm_up, [true, true, true, false, false]);
    assert_eq!(heard.accounts[0].counts().sent, 2);
    assert_eq!(heard.accounts[0].times(Phase::Handshake).expect("timed").count(), 2);
}

#[test]
fn duplicated_answers_are_counted_with_their_probes() {
    let (heard, ..) = run("echo:duplicate=1", &format!("{ONE} -c 5 -i 100ms"));
    let counts = heard.accounts[0].counts();
    // Both copies of a SYN are answered, and both answers come twice. The run does not wait for those
    // to its last probe.
    assert_eq!((counts.answered, counts.duplicates), (5, 4 * 3));
    assert_eq!(heard.duplicates as u64, counts.duplicates);
    assert_eq!(heard.last.iter().map(|it| u64::from(it.duplicates)).sum::<u64>(), 12);
}

#[test]
fn a_peer_that_does_not_close_is_left_and_said() {
    let (heard, ..) = run("stubborn", &format!("{ONE} -c 1 -m fin -W 300ms"));
    let probe = &heard.told[0];
    assert_eq!(probe.remark, Some("the peer did not close in time"));
    assert_eq!(
        Phase::ALL.map(|phase| millis(probe, phase)),
        [Some(20), None, Some(20), None],
        "its kernel answered"
    );
    assert_eq!(probe.fate, Fate::Answered);
}

#[test]
fn several_targets_share_the_interval_and_keep_their_books_apart() {
    let (heard, ..) = run("echo:ports=80", "192.0.2.7:80,81 192.0.2.8:80 -c 4 -i 300ms");
    let answered: Vec<_> = heard.accounts.iter().map(|it| it.counts().answered).collect();
    let refused: Vec<_> = heard.accounts.iter().map(|it| it.counts().refused).collect();
    assert_eq!((answered, refused), (vec![4, 0, 4], vec![0, 4, 0]));
    let second = heard.last.iter().find(|it| (it.target, it.index) == (1, 0)).expect("probed");
    assert_eq!(second.due, heard.began.expect("began") + Duration::from_millis(100));
}

#[test]
fn one_target_named_twice_is_two_with_ports_of_their_own() {
    let (heard, ..) = run("echo", &format!("{ONE} {ONE} -c 3 -i 10ms"));
    let answered: Vec<_> = heard.accounts.iter().map(|it| it.counts().answered).collect();
    assert_eq!(answered, [3, 3]);
    let (heard, ..) = run("echo", &format!("{ONE} {ONE} -c 2 -i 100ms -g 600"));
    let mut ports: Vec<_> = heard.last.iter().map(|it| (it.target, it.from.port())).collect();
    ports.sort_unstable();
    assert_eq!(ports, [(0, 600), (0, 600), (1, 601), (1, 601)]);
}

/// Whatever the network does: each probe is counted once, and every interval is that between exactly
/// its SYN and the first answer that names its sequence number.
#[test]
fn no_answer_is_ever_credited_to_another_probe() {
    for seed in 0..60 {
        let network = format!(
            "echo:seed={seed},delay=5ms,jitter=40ms,loss=0.1,duplicate=0.2,reorder=0.2,corrupt=0.05"
        );
        let ports = if seed % 2 == 0 { "" } else { "--flows 8" };
        let words = format!("{ONE} -c 80 -i 7ms -W 60ms --retries {} {ports}", seed % 3 % 2);
        let (heard, ..) = run(&network, &words);
        assert_eq!(heard.last.len(), 80, "seed {seed}");
        let truth = truth(&heard.segments);
        for probe in &heard.last {
            let Some(interval) = probe.interval(Phase::Handshake) else { continue };
            let wire = truth.get(&(probe.from.port(), probe.iss));
            let (sent, answered) = wire.expect("both packets were on the wire");
            assert!(
                sent.iter().any(|sent| answered.since(*sent) == interval),
                "seed {seed}, probe {}: {interval:?}",
                probe.index
            );
        }
        let counts = heard.accounts[0].counts();
        let classes = [counts.answered, counts.ambiguous, counts.refused, counts.icmp];
        let sum: u64 = classes.iter().sum::<u64>() + counts.late + counts.lost + counts.in_flight;
        assert_eq!((sum, counts.sent), (80, 80), "seed {seed}");
    }
}

type Wires = HashMap<(u16, u32), (Vec<Instant>, Instant)>;

/// When each probe's SYNs left and its first answer came, by port and initial sequence number, from
/// the packets alone.
fn truth(segments: &[(FlowId, Event)]) -> Wires {
    let mut syns: HashMap<(u16, u32), Vec<Instant>> = HashMap::new();
    let mut wires = Wires::new();
    for (_, event) in segments {
        let Event::Segment(it) = event else { continue };
        let (segment, at) = (&it.packet.segment, it.stamp.at);
        if it.dir == Dir::Tx && segment.has(Flags::SYN) {
            syns.entry((segment.src_port, segment.seq.0)).or_default().push(at);
        } else if it.dir == Dir::Rx && segment.has(Flags::SYN | Flags::ACK) {
            // Damaged ones are not: their ports and numbers may be anything.
            let intact = !matches!(it.note, Some(Note::Rejected(_)));
            let key = (segment.dst_port, (segment.ack - 1).0);
            if let Some(sent) = syns.get(&key).filter(|_| intact) {
                wires.entry(key).or_insert((sent.clone(), at));
            }
        }
    }
    wires
}

#[test]
fn the_last_word_on_a_probe_comes_once_and_sums_to_the_account() {
    let (heard, ..) =
        run("echo:loss=0.3,jitter=30ms,seed=5", &format!("{ONE} -c 200 -i 5ms -W 30ms"));
    let mut numbers: Vec<_> = heard.last.iter().map(|probe| probe.index).collect();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..200));
    let timed = heard.last.iter().filter_map(|probe| probe.interval(Phase::Handshake));
    let sum: u64 = timed.clone().map(nanos_of).sum();
    let figures = heard.accounts[0].times(Phase::Handshake).expect("timed").figures();
    assert_eq!(figures.count, timed.count() as u64);
    assert_eq!(figures.avg_ns, sum.checked_div(figures.count));
}

#[test]
fn a_port_that_is_still_half_open_at_the_peer_is_no_loss_of_the_network() {
    // Our second segment is the RST after the first answer: it is lost, so that the peer still
    // expects the rest of that handshake when the next SYN comes from the same port.
    let (heard, ..) = run("echo:drop=tx2", &format!("{ONE} -c 3 -i 200ms -W 150ms -g 5000"));
    assert_eq!(fates(&heard.told), [Fate::Answered, Fate::Ambiguous, Fate::Answered]);
    let remark = heard.told.iter().find(|it| it.index == 1).and_then(|it| it.remark);
    assert!(remark.is_some_and(|why| why.contains("challenge ACK")), "{remark:?}");
    assert_eq!(heard.accounts[0].counts().lost, 0);
}
