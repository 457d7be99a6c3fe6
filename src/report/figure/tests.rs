//! What is drawn of stories that are told event by event.

use super::{FigureSink, Look, Scale};
use crate::event::{ClientReport, ClientStage, Event, FlowId, Note, Outcome, Sink};
use crate::net::Dir;
use crate::report::testkit::{ACK, FIN_ACK, RST, SYN, SYN_ACK, Story};
use crate::tcp::state::{Cause, End, Known, State};
use crate::time::Instant;

const FLOW: FlowId = FlowId(0);

/// The picture of a story.
fn drawn_as(story: &Story, look: Look) -> Option<String> {
    let mut picture = None;
    let mut sink = FigureSink::new(look, |svg| {
        picture = Some(svg.to_owned());
        Ok(())
    });
    for event in &story.events {
        sink.record(FLOW, event).expect("nothing is written");
    }
    drop(sink);
    picture
}

fn drawn(story: Story) -> String {
    let story = story.summary(Outcome::Open, true, |_| ());
    drawn_as(&story, Look::default()).expect("a picture")
}

/// What is written, in the order of the file.
fn texts(svg: &str) -> Vec<String> {
    let mut reader = quick_xml::Reader::from_str(svg);
    let (mut texts, mut inside) = (Vec::new(), false);
    loop {
        match reader.read_event().expect("well-formed") {
            quick_xml::events::Event::Start(tag) if tag.name().as_ref() == "text" => {
                inside = true;
                texts.push(String::new());
            }
            quick_xml::events::Event::End(tag) if tag.name().as_ref() == "text" => {
                inside = false;
            }
            quick_xml::events::Event::Text(text) if inside => {
                let last = texts.last_mut().expect("begun");
                last.push_str(&text);
            }
            quick_xml::events::Event::GeneralRef(entity) if inside => {
                let last = texts.last_mut().expect("begun");
                last.push_str(&format!("&{};", &*entity));
            }
            quick_xml::events::Event::Eof => return texts,
            _ => {}
        }
    }
}

#[test]
fn the_description_has_a_line_for_each_step() {
    let svg = drawn(Story::new("handshake").open());
    let description = svg.split_once("<desc id=\"desc\">").expect("a description").1;
    let description = description.split_once("</desc>").expect("its end").0;
    assert!(description.lines().count() > 5, "{description}");
    assert!(description.lines().all(|line| !line.contains("\\n")), "{description}");
}

#[test]
fn both_ends_have_their_states_and_each_segment_its_arrow() {
    let svg = drawn(Story::new("handshake").open());
    let texts = texts(&svg);
    let has = |text: &str| texts.iter().any(|known| known == text);
    for text in [
        "shakedown handshake example.org:443",
        "CLIENT (we), 192.0.2.1:40312",
        "SERVER (they), 192.0.2.7:443",
        "SYN-SENT",
        "LISTEN",
        "assumed",
        "SYN-RECEIVED",
        "proved",
        "implied",
        "SYN seq=0 len=0",
        "mss 1460, sackOK, TS, nop, wscale 7",
        "SYN+ACK seq=0 ack=1 len=0",
        "ACK seq=1 ack=1 len=0",
        "61.000 µs",
        "~5.612 ms",
    ] {
        assert!(has(text), "{text}: {texts:#?}");
    }
    assert_eq!(svg.matches("class=\"tip\"").count(), 3);
    assert!(svg.contains("rect class=\"bar open implied\""), "{svg}");
    assert!(svg.contains("rect class=\"bar opening assumed\""), "{svg}");
}

#[test]
fn sequence_numbers_are_those_of_the_wire_on_demand() {
    let story = Story::new("handshake").open().summary(Outcome::Open, true, |_| ());
    let look = Look { absolute: true, scale: Scale::Even };
    let svg = drawn_as(&story, look).expect("a picture");
    assert!(texts(&svg).contains(&"SYN seq=3000000000 len=0".to_owned()));
}

#[test]
fn a_name_from_outside_stays_text() {
    let mut story = Story::new("handshake").open();
    story.name = "</title><script>x\u{202e}&\"".to_owned();
    let Event::Run(run) = &mut story.events[0] else { panic!("the run comes first") };
    run.name.clone_from(&story.name);
    let svg = drawn(story);
    assert!(!svg.contains("<script>") && !svg.contains('\u{202e}'), "{svg}");
    assert!(texts(&svg)[0].contains("&lt;/title&gt;&lt;script&gt;x\\u{202e}&amp;&quot;"));
}

#[test]
fn what_is_sent_again_or_its_answer_was_lost_and_nobody_says_more() {
    let again = Note::Retransmission(1);
    let story = Story::new("handshake")
        .begin()
        .client(State::Closed, State::SynSent, Cause::ActiveOpen)
        .tx(SYN, (0, 0))
        .at(1_000_000)
        .noted(Dir::Tx, SYN, (0, 0), again)
        .at(1_020_000)
        .rx(SYN_ACK, (0, 1));
    let svg = drawn(story);
    let texts = texts(&svg);
    assert!(texts.contains(&"lost, or its answer was".to_owned()), "{texts:#?}");
    assert!(texts.contains(&"retransmission 1".to_owned()));
    assert_eq!(texts.iter().filter(|text| *text == "?").count(), 2, "the arrow and the legend");
    assert_eq!(svg.matches("class=\"tip\"").count(), 2);
}

#[test]
fn a_segment_that_the_far_end_shows_to_be_lost_ends_in_a_cross_and_what_it_implied_is_gone() {
    let story = Story::new("handshake")
        .open()
        .at(1_011_163)
        .noted(Dir::Rx, SYN_ACK, (0, 1), Note::Duplicate)
        .retracted(State::Established, State::SynReceived, Cause::Sent(SYN_ACK))
        .at(1_011_190)
        .tx(ACK, (1, 1))
        .server(State::SynReceived, State::Established, Cause::Received(ACK), Known::Implied);
    let svg = drawn(story);
    let texts = texts(&svg);
    assert_eq!(texts.iter().filter(|text| *text == "lost").count(), 1, "{texts:#?}");
    let established = texts.iter().filter(|text| *text == "ESTABLISHED");
    assert_eq!(established.count(), 2, "each end's once: {texts:#?}");
}

#[test]
fn a_segment_that_was_rejected_arrives_at_a_cross() {
    let story =
        Story::new("handshake").open().at(20_000).noted(Dir::Rx, RST, (7, 0), Note::Rejected("x"));
    let texts = texts(&drawn(story));
    assert!(texts.contains(&"rejected: x".to_owned()));
    assert!(texts.contains(&"lost, held back or rejected".to_owned()));
}

#[test]
fn without_a_round_trip_there_is_no_estimate() {
    let svg = drawn(Story::new("handshake").begin().tx(SYN, (0, 0)));
    assert!(!svg.contains('~') && svg.contains("no round trip measured"), "{svg}");
    assert!(texts(&svg).contains(&"no answer".to_owned()));
}

#[test]
fn of_very_many_segments_the_first_and_the_last_are_drawn() {
    let mut story = Story::new("handshake").open();
    for number in 0..5_000_u32 {
        story = story.at(u64::from(number) * 1_000 + 20_000).data(Dir::Rx, (1 + number, 1), b"x");
    }
    story = story.at(9_000_000).rx(FIN_ACK, (5_001, 1)).client(
        State::Established,
        State::CloseWait,
        Cause::Received(FIN_ACK),
    );
    let svg = drawn(story);
    let texts = texts(&svg);
    let arrows = svg.matches("class=\"tip\"").count();
    assert!((100..=200).contains(&arrows), "{arrows}");
    let omitted = 5_004 - arrows;
    assert!(texts.contains(&format!("({omitted} segments not drawn)")), "{texts:#?}");
    assert!(texts.contains(&"CLOSE-WAIT".to_owned()));
}

#[test]
fn the_same_events_give_the_same_bytes() {
    let story = || Story::new("close").open();
    assert_eq!(drawn(story()), drawn(story()));
}

/// A listener's run of several clients.
struct Clients<'a> {
    sink: FigureSink<'a>,
}

impl Clients<'_> {
    fn comes(&mut self, flow: u32) {
        let mut story = Story::new("listen").begin().rx(SYN, (0, 0));
        for event in &mut story.events {
            if let Event::Run(run) = event {
                run.end = End::Server;
                run.target.set_port(50_000 + flow as u16);
            }
            self.sink.record(FlowId(flow), event).expect("nothing is written");
        }
    }

    fn is_told(&mut self, flow: u32, stage: ClientStage) {
        let report = ClientReport {
            number: flow.into(),
            client: ([192, 0, 2, 1], 1).into(),
            server: ([192, 0, 2, 2], 2).into(),
            stage,
            at: Instant::ZERO,
            outcome: Outcome::Closed,
            established: true,
            offered: None,
            options: Vec::new(),
            granted: None,
            rtt: None,
            suspect: None,
            syn_gaps: Vec::new(),
            fin_gaps: Vec::new(),
            received: 0,
            acknowledged: 0,
            resent: 0,
            repeated: 0,
            idle: None,
            close: None,
            after_its_fin: None,
            lasted: std::time::Duration::ZERO,
        };
        let event = Event::Client(Box::new(report));
        self.sink.record(FlowId(flow), &event).expect("nothing is written");
    }

    fn ends(&mut self) {
        let story = Story::new("listen").summary(Outcome::Open, true, |_| ());
        self.sink.record(FLOW, &story.events[0]).expect("nothing is written");
    }
}

/// Which client was drawn, after so many steps.
fn listened(steps: impl FnOnce(&mut Clients<'_>)) -> Option<u32> {
    let mut picture = String::new();
    let finished = |svg: &str| {
        assert!(picture.is_empty(), "drawn once");
        svg.clone_into(&mut picture);
        Ok(())
    };
    let mut clients = Clients { sink: FigureSink::new(Look::default(), finished) };
    steps(&mut clients);
    drop(clients);
    let (_, rest) = picture.split_once("client 192.0.2.7:5")?;
    rest.get(..4)?.parse().ok()
}

#[test]
fn of_several_clients_the_first_that_opens_is_drawn_as_soon_as_it_is_over() {
    use ClientStage::{Ended, Opened};
    let drawn = listened(|clients| {
        (1..=3).for_each(|flow| clients.comes(flow));
        clients.is_told(1, Ended);
        clients.is_told(3, Opened);
        clients.is_told(2, Opened);
        clients.is_told(2, Ended);
        clients.is_told(3, Ended);
    });
    assert_eq!(drawn, Some(3));
}

#[test]
fn where_no_client_opens_the_first_that_came_is_drawn_and_of_nobody_nothing() {
    let drawn = listened(|clients| {
        (1..=500).for_each(|flow| clients.comes(flow));
        (1..=400).for_each(|flow| clients.is_told(flow, ClientStage::Ended));
        clients.ends();
    });
    assert_eq!(drawn, Some(1));
    assert_eq!(listened(|clients| clients.ends()), None);
}
