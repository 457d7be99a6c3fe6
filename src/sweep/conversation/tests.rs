//! Segment by segment; whole conversations are in `tests/sweep_conversation.rs`.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::sweep::answer::Reset;

const ISN: SeqNum = SeqNum(u32::MAX - 2);
const IRS: SeqNum = SeqNum(u32::MAX - 9);
const SYN_ACK: SynAck = SynAck {
    seq: IRS,
    flags: Flags::SYN.union(Flags::ACK),
    window: 65535,
    mss: Some(1460),
    wscale: Some(9),
    sack: true,
    tsval: Some(50),
    tsecr: Some(7),
};

fn answer(kind: Kind<'_>) -> Answer<'_> {
    let source = "192.0.2.1".parse().unwrap();
    let target = Target { addr: "198.51.100.7".parse().unwrap(), port: 25 };
    Answer { target, source, source_port: 40000, isn: ISN, ttl: 60, kind }
}

fn config(mode: Mode, send: &[u8]) -> Config {
    Config::new(mode, 64240, Some(7)).sending(send).unwrap()
}

/// A segment of the peer's stream from `from` on, the first byte being 0.
fn later(from: u32, acked: u32, flags: Flags, payload: &[u8]) -> Later<'_> {
    let (seq, tsval, tsecr) = (IRS + 1 + from, Some(60), Some(8));
    Later { seq, acked, flags: flags | Flags::ACK, window: 500, tsval, tsecr, payload }
}

/// What goes back, at most one segment: flags, distance of SEG.SEQ from ISN + 1 and of SEG.ACK from
/// IRS + 1, payload.
#[track_caller]
fn said<'a>(step: &Step<'a>) -> Option<(Flags, u32, u32, &'a [u8])> {
    assert_eq!(step.replies[1], None);
    let reply = step.replies[0]?;
    let ack = reply.ack.offset_from(IRS + 1);
    Some((reply.flags, reply.seq.offset_from(ISN + 1), ack, reply.payload))
}

fn hear<'a>(config: &'a Config, kind: Kind<'a>, known: Option<Peer>) -> Step<'a> {
    reply(&answer(kind), config, 99, known)
}

const ACK: Flags = Flags::ACK;
const FIN_ACK: Flags = Flags::FIN.union(Flags::ACK);
const PSH_ACK: Flags = Flags::PSH.union(Flags::ACK);
const NOTHING: &[u8] = &[];

#[test]
fn the_handshakes_ack_carries_what_comes_next() {
    let syn_ack = Kind::SynAck(SYN_ACK);
    let full = config(Mode::Full, b"");
    let step = hear(&full, syn_ack, None);
    assert_eq!(said(&step), Some((FIN_ACK, 0, 0, NOTHING)));
    assert_eq!(step.replies[0].unwrap().timestamps, Some((99, 50)));
    assert_eq!((step.progress.phase, step.progress.tsecr), (Phase::Open, Some(7)));
    assert_eq!(said(&hear(&config(Mode::Banner, b""), syn_ack, None)), Some((ACK, 0, 0, NOTHING)));
    let asking = config(Mode::Banner, b"EHLO");
    assert_eq!(said(&hear(&asking, syn_ack, None)), Some((PSH_ACK, 0, 0, &b"EHLO"[..])));
    let both = config(Mode::Full, b"QUIT");
    let all = PSH_ACK | Flags::FIN;
    assert_eq!(said(&hear(&both, syn_ack, None)), Some((all, 0, 0, &b"QUIT"[..])));
}

#[test]
fn two_segments_where_that_is_asked_for() {
    let separate = Config { separate: true, ..config(Mode::Full, b"") };
    let step = hear(&separate, Kind::SynAck(SYN_ACK), None);
    let flags = step.replies.map(|reply| reply.unwrap().flags);
    assert_eq!(flags, [ACK, FIN_ACK]);
    let quiet = Config { separate: true, ..config(Mode::Banner, b"") };
    assert_eq!(said(&hear(&quiet, Kind::SynAck(SYN_ACK), None)), Some((ACK, 0, 0, NOTHING)));
}

#[test]
fn a_half_open_probe_is_taken_back_exactly() {
    let config = config(Mode::HalfOpen, b"");
    let reset = hear(&config, Kind::SynAck(SYN_ACK), None).replies[0].unwrap();
    assert_eq!((reset.flags, reset.seq, reset.timestamps), (Flags::RST, ISN + 1, None));
}

#[test]
fn a_closed_window_is_waited_for() {
    let config = config(Mode::Full, b"hello");
    let closed = SynAck { window: 0, ..SYN_ACK };
    assert_eq!(said(&hear(&config, Kind::SynAck(closed), None)), Some((ACK, 0, 0, NOTHING)));
    // A pure ACK that opens it is a reason to go on; one that does not, none.
    let opens = |window| Kind::Later(Later { window, ..later(0, 1, ACK, b"") });
    assert_eq!(said(&hear(&config, opens(0), None)), None);
    assert_eq!(said(&hear(&config, opens(3), None)), Some((PSH_ACK, 0, 0, &b"hel"[..])));
    let wide = PSH_ACK | Flags::FIN;
    assert_eq!(said(&hear(&config, opens(5), None)), Some((PSH_ACK, 0, 0, &b"hello"[..])));
    assert_eq!(said(&hear(&config, opens(6), None)), Some((wide, 0, 0, &b"hello"[..])));
}

#[test]
fn what_the_peer_has_not_is_said_again_and_nothing_else() {
    let config = config(Mode::Full, b"hello");
    let fin = PSH_ACK | Flags::FIN;
    for (acked, expected) in [
        (1, Some((fin, 0, 0, &b"hello"[..]))),
        (3, Some((fin, 2, 0, &b"llo"[..]))),
        (6, Some((FIN_ACK, 5, 0, NOTHING))),
        (7, None),
    ] {
        let step = hear(&config, Kind::Later(later(0, acked, ACK, b"")), None);
        assert_eq!(said(&step), expected);
        assert_eq!(step.progress.fin_acked, acked == 7);
    }
    // A segment of data is answered whatever it acknowledges.
    let step = hear(&config, Kind::Later(later(0, 7, Flags::PSH, b"bye")), None);
    assert_eq!(said(&step), Some((ACK, 6, 3, NOTHING)));
    assert_eq!((step.progress.phase, step.progress.payload), (Phase::FinAcked, &b"bye"[..]));
}

#[test]
fn a_small_mss_takes_pieces_and_leaves_room_for_options() {
    let config = config(Mode::Banner, b"0123456789");
    let small = SynAck { mss: Some(16), ..SYN_ACK };
    let first = hear(&config, Kind::SynAck(small), None);
    assert_eq!(said(&first), Some((PSH_ACK, 0, 0, &b"0123"[..])));
    let plain = SynAck { tsval: None, ..small };
    assert_eq!(said(&hear(&config, Kind::SynAck(plain), None)).unwrap().3, b"0123456789");
    let rest = hear(&config, Kind::Later(later(0, 5, ACK, b"")), None);
    assert_eq!(said(&rest), Some((PSH_ACK, 4, 0, &b"456789"[..])));
    assert!(Config::new(Mode::Full, 1, None).sending(&[0; 1208]).is_ok());
    let error = Config::new(Mode::Full, 1, None).sending(&[0; 1209]).unwrap_err();
    assert!(error.to_string().contains("1209"), "{error}");
}

#[test]
fn first_bytes_are_answered_by_fin_and_the_peers_fin_by_its_ack() {
    let config = config(Mode::Banner, b"");
    let data = hear(&config, Kind::Later(later(0, 1, Flags::PSH, b"220 hi")), None);
    assert_eq!(said(&data), Some((FIN_ACK, 0, 6, NOTHING)));
    assert_eq!((data.progress.phase, data.progress.payload), (Phase::Data, &b"220 hi"[..]));
    let acked = hear(&config, Kind::Later(later(6, 2, ACK, b"")), None);
    assert_eq!(said(&acked), None);
    assert_eq!((acked.progress.phase, acked.progress.tsecr), (Phase::FinAcked, Some(8)));
    let fin = Kind::Later(later(6, 2, Flags::FIN, b""));
    // Repeated as often as it comes.
    for _ in 0..3 {
        let closed = hear(&config, fin, None);
        assert_eq!(said(&closed), Some((ACK, 1, 7, NOTHING)));
        assert_eq!(closed.progress.phase, Phase::Closed);
        assert!(closed.progress.fin_acked);
    }
    // The peer is first: CLOSE-WAIT, and LAST-ACK by the same segment.
    let first = hear(&config, Kind::Later(later(0, 1, Flags::FIN, b"")), None);
    assert_eq!(said(&first), Some((FIN_ACK, 0, 1, NOTHING)));
    assert!(!first.progress.fin_acked);
}

#[test]
fn whoever_remembers_asks_for_what_is_missing() {
    let config = config(Mode::Banner, b"");
    let known = Some(Peer { irs: IRS, next: IRS + 1 });
    for ahead in [later(3, 1, ACK, b"def"), later(6, 1, Flags::FIN, b"")] {
        let step = hear(&config, Kind::Later(ahead), known);
        assert_eq!(said(&step), Some((ACK, 0, 0, NOTHING)), "the hole, and no FIN yet");
        assert_eq!((step.progress.phase, step.peer), (Phase::Nothing, known));
        // Who does not remember takes it as it comes.
        assert_ne!(hear(&config, Kind::Later(ahead), None).progress.phase, Phase::Nothing);
    }
    let step = hear(&config, Kind::Later(later(0, 1, ACK, b"abc")), known);
    assert_eq!(step.peer, Some(Peer { irs: IRS, next: IRS + 4 }));
    // Of what overlaps, the new part; of a repetition, nothing, but an answer.
    let more = hear(&config, Kind::Later(later(1, 1, ACK, b"bcde")), step.peer);
    assert_eq!((more.progress.payload, more.progress.seq), (&b"de"[..], IRS + 4));
    let again = hear(&config, Kind::Later(later(0, 1, ACK, b"abc")), more.peer);
    assert_eq!(said(&again), Some((FIN_ACK, 0, 5, NOTHING)));
    assert_eq!((again.progress.phase, again.peer), (Phase::Nothing, more.peer));
    // A repeated SYN-ACK forgets nothing, unless it is of another connection.
    assert_eq!(hear(&config, Kind::SynAck(SYN_ACK), more.peer).peer, more.peer);
    let other = SynAck { seq: IRS + 100, ..SYN_ACK };
    let fresh = Some(Peer { irs: IRS + 100, next: IRS + 101 });
    assert_eq!(hear(&config, Kind::SynAck(other), more.peer).peer, fresh);
}

#[test]
fn who_never_stops_is_reset() {
    let config = Config { most: 100, ..config(Mode::Full, b"") };
    let at = |next| Some(Peer { irs: IRS, next: IRS + 1 + next });
    let step = hear(&config, Kind::Later(later(90, 2, ACK, &[0; 10])), at(90));
    assert_eq!(said(&step).unwrap().0, ACK);
    let step = hear(&config, Kind::Later(later(90, 2, ACK, &[0; 11])), at(90));
    assert_eq!(step.progress.phase, Phase::Cut);
    let reset = step.replies[0].unwrap();
    assert_eq!((reset.flags, reset.seq), (Flags::RST, ISN + 2), "the number that it expects");
}

#[test]
fn the_windows_right_edge_does_not_move_back() {
    let config = config(Mode::Full, b"");
    let window = |wscale| {
        let syn_ack = SynAck { wscale, ..SYN_ACK };
        hear(&config, Kind::SynAck(syn_ack), None).replies[0].unwrap().window
    };
    assert_eq!(window(None), 64240);
    assert_eq!(window(Some(0)), 502, "64,256 bytes");
    assert_eq!(Config::new(Mode::Full, 65535, Some(14)).window(true), 4);
    assert_eq!(Config::new(Mode::Full, 65535, None).window(true), 65535);
}

fn kinds() -> impl Strategy<Value = (SeqNum, u32, u16, u16, Vec<u8>)> {
    let number = prop_oneof![any::<u32>(), Just(0), Just(u32::MAX)].prop_map(SeqNum);
    (number, 1..=12_u32, any::<u16>(), any::<u16>(), vec(any::<u8>(), 0..20))
}

proptest! {
    #[test]
    fn no_segment_gets_more_than_one_and_all_that_is_said_is_true(
        (seq, acked, bits, window, data) in kinds(),
        mode in prop_oneof![Just(Mode::HalfOpen), Just(Mode::Full), Just(Mode::Banner)],
        known in proptest::option::of((any::<u32>(), any::<u32>())),
    ) {
        let send = b"ten bytes!";
        let config = config(mode, send);
        let flags = Flags::from_bits(bits & !0x6) | ACK;
        let payload = &data[..];
        let heard = Later { seq, acked, flags, window, tsval: None, tsecr: None, payload };
        let known = known.map(|(irs, next)| Peer { irs: SeqNum(irs), next: SeqNum(next) });
        let step = hear(&config, Kind::Later(heard), known);
        prop_assert_eq!(step.replies[1], None);
        let fin = flags.contains(Flags::FIN);
        let asks = fin || !payload.is_empty();
        let Some(reply) = step.replies[0] else {
            prop_assert!(!asks, "data and FIN are always answered");
            return Ok(());
        };
        prop_assert_eq!(reply.seq, ISN + acked, "no hole");
        if reply.flags.contains(Flags::RST) {
            prop_assert!(mode == Mode::HalfOpen || step.progress.phase == Phase::Cut);
            return Ok(());
        }
        // Where it has everything, or has no room, only what asks is answered.
        prop_assert!(asks || acked < 12 && window > 0);
        let from = acked as usize - 1;
        prop_assert!(send[from.min(10)..].starts_with(reply.payload));
        let ours = reply.payload.len() + usize::from(reply.flags.contains(Flags::FIN));
        prop_assert!(ours <= usize::from(window) && from + ours <= 11);
        if known.is_none() {
            let end = seq + u32::try_from(payload.len()).unwrap() + u32::from(fin);
            prop_assert_eq!(reply.ack, end);
        }
    }
}

#[test]
fn a_reset_and_an_icmp_error_are_never_answered() {
    let config = config(Mode::Banner, b"");
    let reset = Reset { seq: IRS, acked: 2, flags: Flags::RST | ACK, window: 0 };
    let step = hear(&config, Kind::Reset(reset), None);
    assert_eq!((said(&step), step.progress.phase), (None, Phase::Reset(ResetPhase::Fin)));
    assert_eq!(refuse(&answer(Kind::Reset(reset))), None);
}
