//! What the handshake negotiates, and what the options do afterwards.

use std::time::Duration;

use shakedown::tcp::{Connection, End, Offered, Rejection, State, TransmitKind, Verdict};
use shakedown::wire::{Flags, Segment, SeqNum, TcpOption};

use crate::lone::{IRS, ISS, NOW, bare, drain, segment};
use crate::pair::{CLIENT, Pair, SERVER, config};

fn with_options(mut segment: Segment, options: Vec<TcpOption>) -> Segment {
    segment.options = options;
    segment
}

fn stamps(value: u32) -> Vec<TcpOption> {
    vec![TcpOption::Nop, TcpOption::Nop, TcpOption::Timestamps { value, echo: 0 }]
}

/// A client that offers `offer`, after a SYN-ACK with `options` and `flags` beside SYN and ACK.
fn after(offer: Offered, options: Vec<TcpOption>, flags: Flags) -> Connection {
    let mut connection = Connection::connect(shakedown::tcp::Config { offer, ..bare() }, NOW);
    drain(&mut connection, NOW);
    let answer = segment(Flags::SYN | Flags::ACK | flags, IRS, ISS + 1, 0);
    let verdict = connection.handle_segment(&with_options(answer, options), NOW);
    assert_eq!(verdict, Verdict::Accepted);
    drain(&mut connection, NOW);
    connection
}

#[test]
fn the_default_syn_is_that_of_a_current_linux() {
    let mut pair = Pair::default_pair();
    pair.run();
    assert!(
        pair.log[0]
            .ends_with("S 1000:1000(0) win 64240 <mss 1460,sackOK,TS val 1007 ecr 0,nop,wscale 7>"),
        "{}",
        pair.log[0]
    );
}

#[test]
fn a_syn_ack_repeats_only_what_was_offered() {
    for bits in 0..16 {
        let offered = move |bit: u8| bits & (1 << bit) != 0;
        let mut client = config(End::Client, SeqNum(1));
        client.offer = Offered {
            mss: offered(0).then_some(1000),
            window_scale: offered(1).then_some(3),
            sack: offered(2),
            timestamps: offered(3),
            ..Offered::default()
        };
        let mut pair = Pair::new(client, config(End::Server, SeqNum(9)));
        pair.filter(move |from, n, segment| {
            if (from, n) == (SERVER, 1) {
                assert_eq!(segment.window_scale(), offered(1).then_some(7));
                assert_eq!(segment.sack_permitted(), offered(2));
                assert_eq!(segment.timestamps().is_some(), offered(3));
            }
            if n > 1 {
                assert_eq!(segment.timestamps().is_some(), offered(3), "on every later segment");
                assert_eq!(segment.mss(), None, "MUST-65");
            }
            true
        });
        pair.run();
        pair.send(SERVER, &[0; 5000]);
        pair.run();
        let (ours, theirs) =
            (pair.sides[CLIENT].machine.negotiated(), pair.sides[SERVER].machine.negotiated());
        assert_eq!((ours.sack, ours.timestamps), (offered(2), offered(3)));
        assert_eq!((theirs.sack, theirs.timestamps), (offered(2), offered(3)));
        assert_eq!(ours.snd_wscale, offered(1).then_some(7));
        assert_eq!(
            (ours.rcv_wscale, theirs.snd_wscale),
            (offered(1).then_some(3), ours.rcv_wscale)
        );
        assert_eq!(theirs.send_mss, if offered(0) { 1000 } else { 536 }, "MUST-15");
        assert_eq!(pair.sides[CLIENT].received.len(), 5000);
    }
}

#[test]
fn no_segment_exceeds_the_mss_of_the_far_end_options_included() {
    for mss in [0, 1, 12, 13, 100, 536, 1460] {
        let mut client = config(End::Client, SeqNum(1));
        client.offer.mss = Some(mss);
        let mut pair = Pair::new(client, config(End::Server, SeqNum(9)));
        pair.filter(move |_, n, segment| {
            let options: usize = segment.options.iter().map(TcpOption::len).sum();
            let most = usize::from(mss).saturating_sub(options).max(1);
            assert!(n == 1 || segment.payload.len() <= most, "{segment}");
            true
        });
        pair.run();
        let data = vec![b'm'; 300];
        pair.send(SERVER, &data);
        pair.run();
        assert_eq!(pair.sides[CLIENT].received, data, "MUST-16, mss {mss}");
    }
}

#[test]
fn a_shift_above_fourteen_counts_as_fourteen() {
    let connection = after(Offered::default(), vec![TcpOption::WindowScale(200)], Flags::NONE);
    assert_eq!(connection.negotiated().snd_wscale, Some(14), "RFC 7323 2.3");
}

#[test]
fn ecn_needs_the_answer_that_the_rfc_gives() {
    let offer = Offered { ecn: true, ..Offered::default() };
    let granted = |flags| after(offer.clone(), vec![], flags).negotiated().ecn;
    assert!(granted(Flags::ECE));
    assert!(!granted(Flags::NONE));
    assert!(!granted(Flags::ECE | Flags::CWR), "a mirror, not an answer (RFC 3168 6.1.1)");

    let mut client = config(End::Client, SeqNum(1));
    client.offer.ecn = true;
    let mut server = config(End::Server, SeqNum(9));
    server.offer.ecn = true;
    let mut pair = Pair::new(client, server);
    pair.run();
    assert!(pair.log[0].contains("client: SEW ") && pair.log[1].contains("server: SE. "));
    assert!(pair.sides[CLIENT].machine.negotiated().ecn);
    assert!(pair.sides[SERVER].machine.negotiated().ecn);
}

#[test]
fn a_fast_open_cookie_is_asked_for() {
    let mut client = config(End::Client, SeqNum(1));
    client.offer.fast_open = Some(vec![]);
    let mut pair = Pair::new(client, config(End::Server, SeqNum(9)));
    pair.run();
    assert!(pair.log[0].ends_with("wscale 7,FO (cookie request)>"), "{}", pair.log[0]);
    assert_eq!(pair.states(), (State::Established, State::Established));
}

#[test]
fn data_on_a_syn_waits_for_established_and_data_on_a_syn_ack_counts_at_once() {
    let mut listener = Connection::listen(bare());
    let mut syn = segment(Flags::SYN, IRS, SeqNum(0), 0);
    syn.payload = b"early".to_vec();
    listener.handle_segment(&syn, NOW);
    let answer = drain(&mut listener, NOW).remove(0).segment;
    assert_eq!((answer.ack, listener.take_received()), (IRS + 1, vec![]), "only the SYN");
    listener.handle_segment(&segment(Flags::ACK, IRS + 1, listener.snd_nxt(), 0), NOW);
    assert_eq!(listener.take_received(), b"early");
    assert_eq!(drain(&mut listener, NOW)[0].segment.ack, IRS + 6);

    let mut client = Connection::connect(bare(), NOW);
    drain(&mut client, NOW);
    let mut answer = segment(Flags::SYN | Flags::ACK | Flags::FIN, IRS, ISS + 1, 0);
    answer.payload = b"all of it".to_vec();
    client.handle_segment(&answer, NOW);
    assert_eq!(client.take_received(), b"all of it");
    assert_eq!((client.state(), client.rcv_nxt()), (State::CloseWait, IRS + 11));
}

#[test]
fn a_segment_of_the_past_is_dropped_and_acknowledged() {
    let mut connection = after(Offered::default(), stamps(100), Flags::NONE);
    let text = |value, seq: SeqNum| {
        with_options(segment(Flags::PSH | Flags::ACK, seq, ISS + 1, 4), stamps(value))
    };
    let verdict = connection.handle_segment(&text(99, IRS + 1), NOW);
    assert_eq!(verdict, Verdict::Rejected(Rejection::TimestampOld), "RFC 7323 5.3 R1");
    assert_eq!(drain(&mut connection, NOW).len(), 1);
    assert_eq!(connection.handle_segment(&text(100, IRS + 1), NOW), Verdict::Accepted);
    drain(&mut connection, NOW);
    // 2^31 later the clock has wrapped, and the same value is of the past no more.
    assert_eq!(connection.handle_segment(&text(100 + (1 << 30), IRS + 5), NOW), Verdict::Accepted);
    drain(&mut connection, NOW);
    let much_later = NOW + Duration::from_secs(25 * 24 * 3600);
    let verdict = connection.handle_segment(&text(7, IRS + 9), much_later);
    assert_eq!(verdict, Verdict::Accepted, "RFC 7323 5.5: after 24 days nothing is compared");
}

#[test]
fn a_segment_without_the_agreed_timestamp_is_dropped_in_silence_unless_it_resets() {
    let mut connection = after(Offered::default(), stamps(100), Flags::NONE);
    let text = segment(Flags::PSH | Flags::ACK, IRS + 1, ISS + 1, 4);
    let verdict = connection.handle_segment(&text, NOW);
    assert_eq!(verdict, Verdict::Rejected(Rejection::TimestampMissing));
    assert!(drain(&mut connection, NOW).is_empty());
    connection.handle_segment(&segment(Flags::RST, IRS + 1, SeqNum(0), 0), NOW);
    assert_eq!(connection.state(), State::Closed);
}

#[test]
fn the_echo_is_of_the_segment_that_filled_the_hole() {
    // RFC 7323 4.3 (C): an out-of-order segment's timestamp is not echoed.
    let mut connection = after(Offered::default(), stamps(100), Flags::NONE);
    let text = |value, seq: SeqNum| {
        with_options(segment(Flags::PSH | Flags::ACK, seq, ISS + 1, 4), stamps(value))
    };
    let mut echo_after = |segment: Segment| {
        connection.handle_segment(&segment, NOW);
        drain(&mut connection, NOW)[0].segment.timestamps().unwrap().1
    };
    assert_eq!(echo_after(text(101, IRS + 1)), 101);
    assert_eq!(echo_after(text(103, IRS + 9)), 101, "a hole before it");
    assert_eq!(echo_after(text(102, IRS + 5)), 102);
}

#[test]
fn selective_acknowledgments_name_the_latest_block_first() {
    let offer = Offered { timestamps: false, ..Offered::default() };
    let mut connection = after(offer, vec![TcpOption::SackPermitted], Flags::NONE);
    let first = IRS + 1;
    let mut sack_after = |offset: u32| {
        let text = segment(Flags::ACK, first + offset, ISS + 1, 10);
        assert_eq!(connection.handle_segment(&text, NOW), Verdict::OutOfOrder);
        let sent = drain(&mut connection, NOW).remove(0);
        assert_eq!((sent.segment.ack, sent.kind), (first, TransmitKind::First));
        let blocks = sent.segment.options.into_iter().find_map(|option| match option {
            TcpOption::Sack(blocks) => Some(blocks),
            _ => None,
        });
        let offsets = |(a, b): (SeqNum, SeqNum)| (a.offset_from(first), b.offset_from(first));
        blocks.unwrap().into_iter().map(offsets).collect::<Vec<_>>()
    };
    assert_eq!(sack_after(10), [(10, 20)]);
    assert_eq!(sack_after(50), [(50, 60), (10, 20)]);
    assert_eq!(sack_after(30), [(30, 40), (10, 20), (50, 60)]);
    assert_eq!(sack_after(20), [(10, 40), (50, 60)]);
    for hole in [70, 90, 110, 130] {
        assert!(sack_after(hole).len() <= 4, "no more than a header holds");
    }
}
