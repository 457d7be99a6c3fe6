//! Which saying comes at which segment: what the golden runs do not bring about.

use super::*;
use crate::event::{Note, SegmentEvent};
use crate::net::Dir;
use crate::report::testkit::{ACK, FIN_ACK, PSH_ACK, RST, RST_ACK, SYN, SYN_ACK, Story};
use crate::tcp::state::{Cause, Known, State};
use crate::wire::{Flags, IcmpKind, TcpOption};

/// What is said of the last event of a story, in a language: the step itself, then new terms.
fn last(story: &Story, lang: Lang) -> Vec<Paragraph> {
    let mut narrator = Narrator::new(lang);
    let heard = story.events.iter().map(|event| narrator.hear(FlowId(0), event));
    heard.last().unwrap_or_default()
}

/// Its first paragraph begins with this; both languages have something to say.
#[track_caller]
fn says(story: &Story, beginning: &str) {
    let english = last(story, Lang::En);
    let text = &english.first().expect("something to say").text;
    assert!(text.starts_with(beginning), "{text}");
    let chinese = last(story, Lang::Zh);
    assert_eq!(english.len(), chinese.len());
    for paragraph in english.iter().chain(&chinese) {
        assert!(!paragraph.text.contains(['{', '}']), "{paragraph:?}");
    }
}

fn open() -> Story {
    Story::new("handshake").open()
}

fn windowed(window: u16) -> impl FnOnce(&mut SegmentEvent) {
    move |event| event.packet.segment.window = window
}

fn with_payload(bytes: &[u8]) -> impl FnOnce(&mut SegmentEvent) {
    move |event| event.packet.segment.payload = bytes.to_vec()
}

#[test]
fn data_and_their_acknowledgments() {
    let sent = || open().data(Dir::Tx, (1, 1), b"hello");
    says(&sent(), "The client sends 5 bytes: numbers 1 to 5, so the acknowledgment will be 6.");
    says(&sent().rx(ACK, (1, 6)), "The server acknowledges 5 bytes: ack = 6");
    says(
        &sent().data(Dir::Rx, (1, 6), b"x"),
        "The server sends 1 byte, numbers 1 to 1, and in the same segment acknowledges 5 bytes",
    );
    says(&sent().data(Dir::Tx, (1, 1), b"hello"), "The client sends these bytes again");
    let again = sent().at(300_000).segment(Dir::Tx, PSH_ACK, (1, 1), |event| {
        with_payload(b"hello")(event);
        event.note = Some(Note::Retransmission(1));
    });
    says(&again, "The client sends these bytes again 288.810 ms after the time before");
    says(
        &sent().rx(FIN_ACK, (1, 6)).data(Dir::Tx, (6, 2), b"more"),
        "The server has closed its direction, but the client's is still open (half-close)",
    );
}

#[test]
fn gaps_duplicates_and_blocks() {
    let early = |note| {
        open().segment(Dir::Rx, PSH_ACK, (6, 1), move |event| {
            with_payload(b"world")(event);
            event.note = Some(note);
        })
    };
    let text = last(&early(Note::OutOfOrder), Lang::En)[0].text.clone();
    assert!(
        text.contains("It came too early: the client waits for number 1, and this begins at 6.")
    );
    says(&early(Note::Duplicate), "The server sends bytes again");
    let block = early(Note::OutOfOrder).segment(Dir::Tx, ACK, (1, 1), |event| {
        let origin = event.ack_origin;
        event.packet.segment.options = vec![TcpOption::Sack(vec![(origin + 6, origin + 11)])];
    });
    says(&block, "The client repeats ack = 1: something arrived, but not the byte");
    assert!(last(&block, Lang::En)[0].text.contains("behind the gap: 6 to 10."));
    assert!(last(&block, Lang::Zh)[0].text.contains("6 到 10"));
}

#[test]
fn windows_close_are_probed_and_open() {
    let closed =
        || open().data(Dir::Tx, (1, 1), b"hello").segment(Dir::Rx, ACK, (1, 6), windowed(0));
    let text = last(&closed(), Lang::En)[0].text.clone();
    assert!(text.contains("win = 0: the server's buffer is full"), "{text}");
    says(
        &closed().data(Dir::Tx, (6, 1), b"x"),
        "The client asks whether the window is still closed",
    );
    says(&closed().rx(ACK, (1, 6)), "The server acknowledges nothing new (ack = 6 as before), but");
}

#[test]
fn keep_alives_and_their_answers() {
    let asked = || open().noted(Dir::Rx, ACK, (0, 1), Note::Rejected("before the receive window"));
    says(&asked(), "The server asks whether the client is still there: seq = 0");
    says(
        &asked().noted(Dir::Tx, ACK, (1, 1), Note::ChallengeAck),
        "The client is still there: it answers the keep-alive",
    );
    says(
        &open().noted(Dir::Tx, ACK, (1, 1), Note::ChallengeAck),
        "The client does not simply obey",
    );
}

#[test]
fn every_kind_of_reset() {
    let begun = || Story::new("probe").begin().tx(SYN, (0, 0));
    says(&begun().rx(RST_ACK, (0, 1)), "The server refuses: nobody listens");
    says(
        &begun().rx(SYN_ACK, (0, 1)).tx(RST, (1, 0)),
        "The client breaks the half-open connection off on purpose",
    );
    says(&open().rx(RST, (1, 0)), "The server ends the connection at once: RST with seq = 1");
    says(&open().tx(RST, (1, 0)), "The client ends the connection at once");
    says(&open().tx(FIN_ACK, (1, 1)).rx(RST, (1, 0)), "The server answers the other end's FIN");
    says(
        &open().noted(Dir::Rx, ACK, (1, 1), Note::Late).tx(RST, (1, 0)),
        "The client knows no such connection",
    );
    says(
        &open().noted(Dir::Tx, RST, (1, 0), Note::LocalKernel),
        "This host's own kernel sent this",
    );
    let rejected = Note::Rejected("RST in the window but not at its start (RFC 5961 3.2)");
    says(
        &open().noted(Dir::Rx, RST, (90, 0), rejected),
        "The client drops this segment, and nothing changes: a RST must have exactly the number",
    );
    says(
        &open().noted(Dir::Rx, ACK, (1, 1), Note::Rejected("a reason of tomorrow")),
        "The client drops this segment, and nothing changes: it is not acceptable",
    );
}

#[test]
fn repetitions_of_the_far_end() {
    let twice = |flags, numbers| open().noted(Dir::Rx, flags, numbers, Note::Duplicate);
    says(&twice(SYN_ACK, (0, 1)), "The server repeats its SYN-ACK 27.000 µs after the time before");
    says(&twice(SYN, (0, 0)), "The server repeats its SYN");
    says(&twice(FIN_ACK, (1, 1)), "The server repeats its FIN: ");
    says(&twice(FIN_ACK, (1, 1)).tx(ACK, (1, 2)), "The client acknowledges");
    says(
        &open()
            .rx(FIN_ACK, (1, 1))
            .tx(ACK, (1, 2))
            .noted(Dir::Rx, FIN_ACK, (1, 1), Note::Duplicate)
            .tx(ACK, (1, 2)),
        "The client acknowledges once more what it has: ack = 2.",
    );
}

#[test]
fn a_rejected_segment_leaves_no_trace() {
    // What a stranger says of a FIN must not make the next real one the second.
    let story = open()
        .noted(Dir::Rx, FIN_ACK, (900, 1), Note::Rejected("beyond the receive window"))
        .tx(FIN_ACK, (1, 1));
    says(&story, "The client has nothing more to send");
}

#[test]
fn icmp_errors_say_who_speaks() {
    for (kind, beginning) in [
        (IcmpKind::Unreachable, "192.0.2.254 says that it cannot deliver"),
        (IcmpKind::PortUnreachable, "192.0.2.254 says that nobody takes"),
        (IcmpKind::Prohibited, "192.0.2.254 is or speaks for a firewall"),
        (IcmpKind::TimeExceeded, "192.0.2.254 dropped the packet"),
        (IcmpKind::TooBig(1400), "192.0.2.254 says that the packet is too big"),
        (IcmpKind::ParameterProblem, "192.0.2.254 says that something is wrong"),
    ] {
        says(&open().icmp("192.0.2.254", 1, kind, None), beginning);
    }
    let forged = open().icmp("192.0.2.254", 1, IcmpKind::Unreachable, Some("not in flight"));
    assert!(last(&forged, Lang::En)[0].text.contains("It changes nothing"));
}

#[test]
fn a_term_is_explained_once_a_run_and_a_loss_once_a_flow() {
    let mut narrator = Narrator::new(Lang::En);
    let terms = |narrator: &mut Narrator, flow| -> (usize, bool) {
        let story = Story::new("handshake").begin().tx(SYN, (0, 0));
        let mut told = Vec::new();
        for event in &story.events {
            told.extend(narrator.hear(FlowId(flow), event));
        }
        let losses = told.iter().any(|paragraph| paragraph.text.contains("If it were lost"));
        (told.iter().filter(|paragraph| paragraph.term.is_some()).count(), losses)
    };
    let (first, second) = (terms(&mut narrator, 0), terms(&mut narrator, 1));
    assert!(first.0 > 5 && first.1);
    assert_eq!(second, (0, true));
}

#[test]
fn numbers_are_those_of_the_wire_where_they_are_shown_so() {
    let story = Story::new("handshake").begin().tx(SYN, (0, 0));
    let mut narrator = Narrator::new(Lang::En).writing(true, true);
    let told: Vec<_> = story.events.iter().flat_map(|e| narrator.hear(FlowId(0), e)).collect();
    assert!(told[0].text.contains("seq = x = 3000000000 is its initial sequence number"));
    assert!(told[0].text.contains("will be 3000000001."));
}

/// A move of every pair that the diagram allows, by every cause, has its words in both languages.
#[test]
fn every_legal_move_is_explained() {
    let flags = [SYN, ACK, SYN_ACK, FIN_ACK, RST, RST_ACK];
    let of_flags = flags.into_iter().flat_map(|flags| [Cause::Sent(flags), Cause::Received(flags)]);
    let causes: Vec<Cause> = [
        Cause::Start,
        Cause::ActiveOpen,
        Cause::PassiveOpen,
        Cause::Close,
        Cause::Abort,
        Cause::TimeWaitExpired,
        Cause::GaveUp,
        Cause::Icmp,
    ]
    .into_iter()
    .chain(of_flags)
    .collect();
    for from in State::ALL {
        for to in State::ALL.into_iter().filter(|to| from.may_become(*to)) {
            for cause in &causes {
                says(&Story::new("close").begin().client(from, to, *cause), "");
                for known in [Known::Assumed, Known::Implied, Known::Proved] {
                    says(&Story::new("close").begin().server(from, to, *cause, known), "");
                }
            }
        }
    }
}

/// Whatever comes in whatever order: something is said of every segment, nothing is left to be filled
/// in, and nothing panics.
#[test]
fn every_sequence_of_segments_has_its_words() {
    let kinds = [SYN, SYN_ACK, ACK, PSH_ACK, FIN_ACK, RST, RST_ACK, Flags::NONE];
    let notes = [
        None,
        Some(Note::Retransmission(1)),
        Some(Note::Duplicate),
        Some(Note::Rejected("no ACK bit")),
        Some(Note::LocalKernel),
        Some(Note::Held),
        Some(Note::ChallengeAck),
        Some(Note::OutOfOrder),
        Some(Note::Late),
    ];
    // A simple generator of its own: the same sequences every time.
    let mut dice = 1_u32;
    let mut roll = |most: usize| {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (dice >> 16) as usize % most
    };
    for _ in 0..300 {
        let mut story = Story::new("close").begin();
        for step in 0..12_u32 {
            let dir = if roll(2) == 0 { Dir::Tx } else { Dir::Rx };
            let note = if roll(3) == 0 { notes[roll(notes.len())] } else { None };
            let (seq, ack, length) = (roll(4) as u32, roll(4) as u32, roll(3));
            story = story.at(u64::from(step) * 1000).segment(
                dir,
                kinds[roll(8)],
                (seq, ack),
                |event| {
                    with_payload(&b"ab"[..length])(event);
                    event.note = note;
                },
            );
        }
        for lang in Lang::ALL {
            let mut narrator = Narrator::new(lang);
            for event in &story.events {
                let told = narrator.hear(FlowId(0), event);
                assert!(matches!(event, Event::Run(_)) || !told.is_empty(), "{event:?}");
                assert!(told.iter().all(|paragraph| !paragraph.text.contains(['{', '}'])));
            }
        }
    }
}
