//! Stateless conversations with an end that keeps to RFC 9293: our own machine as the server, across a
//! path that loses, repeats and reorders.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use shakedown::net::ChecksumTrust;
use shakedown::net::sim::Rng;
use shakedown::sweep::answer::{Answer, Echoes, Examiner, Heard, Kind};
use shakedown::sweep::conversation::{
    Config, Mode, Peer, Phase, Progress, ResetPhase, Sent, abort, refuse, reply,
};
use shakedown::sweep::cookie::Cookie;
use shakedown::sweep::space::Target;
use shakedown::sweep::template::{Offer, Reply, Template};
use shakedown::tcp::{self, Connection, Offered, State, Timers};
use shakedown::time::Instant;
use shakedown::wire::{Flags, IpHeader, IpPayload, Packet, Segment, SeqNum, parse_ip};

const PORT: u16 = 40000;
const SECRET: [u8; 16] = *b"sixteen bytes...";
/// Where the client's clock stands at the start: about to wrap.
const CLOCK: u32 = u32::MAX - 3000;

/// What the server's program does.
#[derive(Clone, Copy, Debug)]
struct Habit {
    /// It says this as soon as the connection stands.
    greets: &'static [u8],
    /// It says this when it has so many bytes of the client.
    answers: (usize, &'static [u8]),
    /// It closes when the client has.
    closes_after_fin: bool,
    /// It closes as soon as it has said what it had to say.
    closes_first: bool,
}

const SINK: Habit =
    Habit { greets: b"", answers: (usize::MAX, b""), closes_after_fin: true, closes_first: false };
const SSH: Habit = Habit { greets: b"SSH-2.0-server\r\n", ..SINK };
const WEB: Habit = Habit { answers: (4, b"HTTP/1.0 200 OK\r\n\r\n"), closes_first: true, ..SINK };
const DAYTIME: Habit = Habit { greets: b"now", closes_first: true, ..SINK };
const DEAF: Habit = Habit { closes_after_fin: false, ..SINK };

/// What a path does, of a thousand packets each.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    loss: u64,
    duplication: u64,
    /// The most that a packet is late, in milliseconds.
    jitter: u64,
}

/// A client without memory, a server with it, and the packets between them.
struct World {
    v6: bool,
    now: Instant,
    rng: Rng,
    weather: Weather,
    config: Config,
    template: Template,
    examiner: Examiner,
    server: Connection,
    habit: Habit,
    /// What the server's program has read, and has said.
    read: Vec<u8>,
    greeted: bool,
    answered: bool,
    /// By arrival and number: whether for the server, and the packet.
    on_the_way: BTreeMap<(Instant, u64), (bool, Vec<u8>)>,
    count: u64,
    /// What the caller remembers, if it does.
    remembers: bool,
    /// Whether the sweep has no more time, and resets whoever speaks.
    over: bool,
    peer: Option<Peer>,
    /// Every packet that arrived at the client, and every reply.
    heard: usize,
    replied: usize,
    seen: Vec<Phase>,
    /// Of the peer's stream, what was acknowledged in order.
    banner: Vec<(SeqNum, Vec<u8>)>,
    states: Vec<State>,
}

fn ends(v6: bool) -> (IpAddr, Target) {
    let (source, addr) =
        if v6 { ("2001:db8::1", "2001:db8::7") } else { ("192.0.2.1", "198.51.100.7") };
    (source.parse().unwrap(), Target { addr: addr.parse().unwrap(), port: 443 })
}

fn isn(v6: bool) -> SeqNum {
    let (source, target) = ends(v6);
    Cookie::new(SECRET).isn(source, PORT, target)
}

impl World {
    fn new(seed: u64, v6: bool, config: Config, habit: Habit, weather: Weather) -> Self {
        let mut rng = Rng::new(seed);
        let offer = Offer { timestamps: !seed.is_multiple_of(3), ..Offer::default() };
        let (source, target) = ends(v6);
        let examiner = Examiner::new(
            Cookie::new(SECRET),
            &[source],
            &[PORT],
            offer.timestamps,
            config.beyond(),
        );
        let offered =
            Offered { timestamps: !seed.is_multiple_of(5), mss: Some(1220), ..Offered::default() };
        let server = Connection::listen(tcp::Config {
            local_port: target.port,
            remote_port: 0,
            iss: SeqNum(rng.bits() as u32),
            ts_offset: rng.bits() as u32,
            offer: offered,
            receive_buffer: 65536,
            timers: Timers { msl: Duration::from_secs(1), ..Timers::default() },
        });
        Self {
            v6,
            now: Instant::default() + Duration::from_secs(1),
            rng,
            weather,
            template: Template::new(&[], source, &offer),
            config,
            examiner,
            server,
            habit,
            read: vec![],
            greeted: false,
            answered: false,
            on_the_way: BTreeMap::new(),
            count: 0,
            over: false,
            remembers: seed.is_multiple_of(2),
            peer: None,
            heard: 0,
            replied: 0,
            seen: vec![],
            banner: vec![],
            states: vec![],
        }
    }

    /// The client's clock, in milliseconds.
    fn tsval(&self) -> u32 {
        CLOCK.wrapping_add((self.now.as_nanos() / 1_000_000) as u32)
    }

    fn post(&mut self, to_server: bool, packet: &[u8]) {
        let copies = match self.rng.below(1000) {
            lost if lost < self.weather.loss => 0,
            _ => 1 + u64::from(self.rng.below(1000) < self.weather.duplication),
        };
        for _ in 0..copies {
            let late = Duration::from_millis(10 + self.rng.below(self.weather.jitter + 1));
            self.count += 1;
            self.on_the_way.insert((self.now + late, self.count), (to_server, packet.to_vec()));
        }
    }

    fn say(&mut self, reply: &Reply<'_>) {
        let mut out = [0; 2048];
        let len = self.template.segment(&mut out, reply);
        self.post(true, &out[..len]);
    }

    fn probe(&mut self) {
        let (_, target) = ends(self.v6);
        let mut out = [0; 2048];
        let len = self.template.syn(&mut out, PORT, target, isn(self.v6), self.tsval());
        self.post(true, &out[..len]);
    }

    /// The server reads, says and closes what it wants; its machine sends.
    fn serve(&mut self) {
        let (source, target) = ends(self.v6);
        self.read.extend(self.server.take_received());
        let open = matches!(self.server.state(), State::Established | State::CloseWait);
        if open && !std::mem::replace(&mut self.greeted, true) {
            self.server.send(self.habit.greets, self.now).unwrap();
        }
        let (enough, text) = self.habit.answers;
        if open && self.read.len() >= enough && !std::mem::replace(&mut self.answered, true) {
            self.server.send(text, self.now).unwrap();
        }
        let said = self.answered || enough == usize::MAX;
        let leaves = self.server.state() == State::CloseWait && self.habit.closes_after_fin;
        if open && (leaves || self.habit.closes_first && said) {
            self.server.close(self.now).unwrap();
        }
        while self.server.poll_event().is_some() {}
        while let Some(sent) = self.server.poll_transmit(self.now) {
            let (src, dst) = (target.addr, source);
            let ip =
                IpHeader { src, dst, ttl: 60, tos: 0, id: 0, dont_fragment: true, flow_label: 0 };
            let packet = Packet { ip, segment: sent.segment }.emit().unwrap();
            self.post(false, &packet);
        }
        if self.states.last() != Some(&self.server.state()) {
            self.states.push(self.server.state());
        }
    }

    fn hear(&mut self, packet: &[u8]) {
        let echoes = Echoes { oldest: CLOCK, newest: self.tsval() };
        self.heard += 1;
        let answer = match self.examiner.examine(packet, ChecksumTrust::Verify, echoes) {
            Heard::Answer(answer) => answer,
            // All that an honest server says without a proof.
            Heard::Rejected(rejection) => return assert_eq!(rejection.name(), "bare-reset"),
            Heard::Foreign => panic!("foreign"),
        };
        if self.over {
            return refuse(&answer).iter().for_each(|reset| self.say(reset));
        }
        let config = self.config.clone();
        let known = self.peer.filter(|_| self.remembers);
        let step = reply(&answer, &config, self.tsval(), known);
        self.check_order(&answer, &step.progress, step.replies[0].map(|reply| reply.ack));
        self.peer = step.peer.or(self.peer);
        self.seen.push(step.progress.phase);
        if !step.progress.payload.is_empty() {
            self.banner.push((step.progress.seq, step.progress.payload.to_vec()));
        }
        for said in step.replies.into_iter().flatten() {
            self.replied += 1;
            assert!(!matches!(answer.kind, Kind::Reset(_)), "nothing answers a RST");
            self.say(&said);
        }
    }

    /// Where the peer's numbers are remembered, no ACK is ahead of what came.
    fn check_order(&self, answer: &Answer<'_>, progress: &Progress<'_>, ack: Option<SeqNum>) {
        let (Kind::Later(later), Some(peer), true) = (answer.kind, self.peer, self.remembers)
        else {
            return;
        };
        assert!(progress.payload.is_empty() || progress.seq == peer.next, "in order");
        let fin = u32::from(later.flags.contains(Flags::FIN));
        let end = later.seq + later.payload.len() as u32 + fin;
        let expected = if later.seq.is_after(peer.next) { peer.next } else { peer.next.later(end) };
        assert!(ack.is_none_or(|ack| ack == expected), "{ack:?} {expected}");
    }

    /// One arrival or one of the server's deadlines; false where there is neither.
    fn step(&mut self) -> bool {
        let arrival = self.on_the_way.first_key_value().map(|(key, _)| key.0);
        let deadline = self.server.poll_timeout();
        let next = match (arrival, deadline) {
            (None, None) => return false,
            (arrival, deadline) => arrival.into_iter().chain(deadline).min().unwrap(),
        };
        self.now = self.now.max(next);
        if arrival == Some(next) {
            let (_, (to_server, packet)) = self.on_the_way.pop_first().unwrap();
            if to_server {
                let (_, IpPayload::Tcp(bytes)) = parse_ip(&packet).unwrap() else { panic!() };
                self.server.handle_segment(&Segment::parse(bytes).unwrap(), self.now);
            } else {
                self.hear(&packet);
            }
        } else {
            self.server.handle_timeout(self.now);
        }
        self.serve();
        true
    }

    /// Runs until all is quiet. SYNs are repeated until the target is heard of, as passes would.
    fn run(&mut self) {
        for pass in 0.. {
            self.probe();
            for _ in 0..2000 {
                if !self.step() {
                    break;
                }
            }
            assert!(self.on_the_way.is_empty(), "no end: {:?} {:?}", self.states, self.seen);
            if !self.seen.is_empty() || pass == 20 {
                return;
            }
        }
    }

    fn reached(&self, phase: Phase) -> bool {
        self.seen.contains(&phase)
    }
}

fn config(mode: Mode, send: &[u8], separate: bool) -> Config {
    let offer = Offer::default();
    let mut config = Config::new(mode, offer.window, offer.wscale).sending(send).unwrap();
    config.separate = separate;
    config
}

const FAIR: Weather = Weather { loss: 0, duplication: 0, jitter: 0 };

/// Every server meets every conversation that suits it.
fn pairs() -> Vec<(Config, Habit)> {
    let full = config(Mode::Full, b"", false);
    let banner = config(Mode::Banner, b"", false);
    let asking = config(Mode::Banner, b"GET / HTTP/1.0\r\n\r\n", false);
    vec![
        (full.clone(), SINK),
        (full.clone(), SSH),
        (full.clone(), DAYTIME),
        (config(Mode::Full, b"GET /", false), WEB),
        (banner.clone(), SSH),
        (banner, DAYTIME),
        (asking.clone(), WEB),
        (asking.clone(), SSH),
        (asking, DAYTIME),
    ]
}

#[test]
fn in_fair_weather_everybody_closes_gracefully_and_few_segments_are_needed() {
    for (config, habit) in pairs() {
        for (seed, v6) in (1..=30).zip([false, true].into_iter().cycle()) {
            let mut world = World::new(seed, v6, config.clone(), habit, FAIR);
            world.run();
            let told = format!("{config:?} {habit:?} {:?} {:?}", world.states, world.seen);
            assert!(world.reached(Phase::Open) && world.reached(Phase::Closed), "{told}");
            assert!(!world.states.contains(&State::SynSent), "{told}");
            assert!(matches!(world.server.state(), State::Closed | State::TimeWait), "{told}");
            assert!(world.heard <= 5 && world.replied <= 3, "{told}");
            if config.mode() == Mode::Banner {
                let expected = [habit.greets, habit.answers.1].into_iter().find(|t| !t.is_empty());
                assert_eq!(world.banner[0].1, expected.unwrap(), "{told}");
            }
        }
    }
}

#[test]
fn two_segments_close_as_well_as_one() {
    for seed in 1..=12 {
        for habit in [SINK, SSH, DAYTIME] {
            let config = config(Mode::Full, b"", true);
            let mut world = World::new(seed, false, config, habit, FAIR);
            world.run();
            assert!(world.reached(Phase::Closed), "{habit:?} {:?}", world.states);
        }
    }
}

#[test]
fn in_foul_weather_every_conversation_ends_and_ends_well() {
    let weather = Weather { loss: 150, duplication: 100, jitter: 40 };
    for (config, habit) in pairs() {
        for seed in 1..=150 {
            let mut world = World::new(seed, seed % 4 == 1, config.clone(), habit, weather);
            world.run();
            let told =
                format!("seed {seed} {config:?} {habit:?} {:?} {:?}", world.states, world.seen);
            assert!(world.reached(Phase::Open), "{told}");
            let ended = world.reached(Phase::Closed)
                || world.seen.iter().any(|phase| matches!(phase, Phase::Reset(_)));
            // What it takes to fail: 16 repetitions of the peer's lost, one after the other.
            assert!(ended, "{told}");
            assert!(world.replied <= world.heard, "{told}");
            assert!(world.heard < 120, "{told}");
            assert!(world.read.len() <= config.beyond() as usize, "{told}");
        }
    }
}

#[test]
fn a_server_that_ignores_our_fin_is_known_by_it_and_aborted_exactly() {
    for mode in [Mode::Full, Mode::Banner] {
        let habit = Habit { greets: if mode == Mode::Banner { b"220\r\n" } else { b"" }, ..DEAF };
        let mut world = World::new(1, false, config(mode, b"", false), habit, FAIR);
        world.run();
        assert!(world.reached(Phase::FinAcked) && !world.reached(Phase::Closed));
        assert_eq!(world.server.state(), State::CloseWait);
        let (_, target) = ends(false);
        let reset = abort(&world.config, PORT, target, isn(false), Sent::Fin);
        world.say(&reset);
        while world.step() {}
        assert_eq!(world.server.state(), State::Closed);
    }
}

#[test]
fn a_half_open_probe_leaves_nothing_behind() {
    let mut world = World::new(1, true, config(Mode::HalfOpen, b"", false), SINK, FAIR);
    world.run();
    assert_eq!(world.seen, [Phase::Open]);
    assert_eq!(world.server.state(), State::Listen, "{:?}", world.states);
}

#[test]
fn a_silent_server_is_aborted_at_the_number_that_it_expects() {
    let mut world = World::new(1, false, config(Mode::Banner, b"hello", false), DEAF, FAIR);
    world.run();
    assert_eq!(world.server.state(), State::Established);
    let (_, target) = ends(false);
    assert_eq!(abort(&world.config, PORT, target, isn(false), Sent::Syn).seq, isn(false) + 1);
    let reset = abort(&world.config, PORT, target, isn(false), Sent::Data);
    assert_eq!(reset.seq, world.server.rcv_nxt());
    // A number too high is challenged, and the challenge answered exactly.
    let reset = abort(&world.config, PORT, target, isn(false), Sent::Fin);
    world.over = true;
    world.say(&reset);
    while world.step() {}
    assert_eq!(world.server.state(), State::Closed, "{:?}", world.states);
}

#[test]
fn our_syn_offers_what_the_machines_syn_offers() {
    for bits in 0..32 {
        let offer = Offer {
            mss: (bits & 1 == 0).then_some(1460),
            wscale: (bits & 2 == 0).then_some(7),
            sack: bits & 4 == 0,
            timestamps: bits & 8 == 0,
            ecn: bits & 16 != 0,
            ..Offer::default()
        };
        let mut machine = Connection::connect(
            tcp::Config {
                local_port: 1,
                remote_port: 2,
                iss: SeqNum(3),
                ts_offset: 4,
                offer: Offered {
                    window: offer.window,
                    mss: offer.mss,
                    window_scale: offer.wscale,
                    sack: offer.sack,
                    timestamps: offer.timestamps,
                    ecn: offer.ecn,
                    fast_open: None,
                },
                receive_buffer: 65536,
                timers: Timers::default(),
            },
            Instant::default(),
        );
        let syn = machine.poll_transmit(Instant::default()).unwrap().segment;
        assert_eq!(syn.options, offer.options(4), "{offer:?}");
        assert_eq!((syn.flags, syn.window), (offer.flags(), offer.window));
    }
    let (ours, theirs) = (Offer::default(), Offered::default());
    let scale = (ours.window, ours.mss, ours.wscale);
    assert_eq!(scale, (theirs.window, theirs.mss, theirs.window_scale));
}

#[test]
fn nobody_answers_a_reset() {
    let (source, target) = ends(false);
    let kind = |acked| {
        let seq = SeqNum(0);
        let flags = Flags::RST | Flags::ACK;
        Kind::Reset(shakedown::sweep::answer::Reset { seq, acked, flags, window: 0 })
    };
    let answer = |acked| Answer {
        target,
        source,
        source_port: PORT,
        isn: isn(false),
        ttl: 64,
        kind: kind(acked),
    };
    let config = config(Mode::Banner, b"12345", false);
    for (acked, phase) in [
        (0, ResetPhase::Syn),
        (1, ResetPhase::Syn),
        (2, ResetPhase::Data),
        (6, ResetPhase::Data),
        (7, ResetPhase::Fin),
    ] {
        let step = reply(&answer(acked), &config, 1, None);
        assert_eq!(step.progress.phase, Phase::Reset(phase));
        assert_eq!(step.replies, [None; 2]);
        assert_eq!(refuse(&answer(acked)), None);
    }
}
