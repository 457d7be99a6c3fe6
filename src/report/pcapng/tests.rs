//! The file is read back by a reader that knows the format and nothing of the writer.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use super::*;
use crate::event::{Note, Outcome, PacketEvent, Severity};
use crate::report::testkit::{ACK, FIN_ACK, RST, RST_ACK, SYN, SYN_ACK, Story};
use crate::tcp::state::{Cause, State};
use crate::time::Clock;
use crate::wire::IcmpKind;

/// A file in memory that outlives its writer, with the lengths of the writes.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<(Vec<u8>, Vec<usize>)>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut memory = self.0.borrow_mut();
        memory.0.extend_from_slice(bytes);
        memory.1.push(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A block, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Block {
    kind: u32,
    /// Everything before the options.
    body: Vec<u8>,
    options: Vec<(u16, Vec<u8>)>,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn time_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) << 32 | u64::from(u32_at(bytes, at + 4))
}

fn padded(len: usize) -> usize {
    len.div_ceil(4) * 4
}

fn read(mut bytes: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    while !bytes.is_empty() {
        let (kind, total) = (u32_at(bytes, 0), u32_at(bytes, 4) as usize);
        assert_eq!(total % 4, 0);
        assert_eq!(u32_at(bytes, total - 4) as usize, total, "both lengths agree");
        let inside = &bytes[8..total - 4];
        let fixed = match kind {
            0x0a0d_0d0a => 16,
            1 => 8,
            5 => 12,
            6 => 20 + padded(u32_at(inside, 12) as usize),
            _ => panic!("a block of type {kind}"),
        };
        let (body, mut rest) = inside.split_at(fixed);
        let mut options = Vec::new();
        loop {
            let (code, len) = (u16_at(rest, 0), usize::from(u16_at(rest, 2)));
            if code == 0 {
                assert_eq!(rest, [0; 4], "nothing behind the end of the options");
                break;
            }
            options.push((code, rest[4..4 + len].to_vec()));
            rest = &rest[4 + padded(len)..];
        }
        blocks.push(Block { kind, body: body.to_vec(), options });
        bytes = &bytes[total..];
    }
    blocks
}

impl Block {
    fn option(&self, code: u16) -> Option<&[u8]> {
        self.options.iter().find(|(known, _)| *known == code).map(|(_, value)| &**value)
    }

    fn text(&self, code: u16) -> &str {
        std::str::from_utf8(self.option(code).unwrap_or_default()).unwrap()
    }

    fn comment(&self) -> &str {
        assert!(self.options.iter().filter(|(code, _)| *code == 1).count() < 2);
        self.text(1)
    }

    fn data(&self) -> &[u8] {
        &self.body[20..20 + u32_at(&self.body, 12) as usize]
    }
}

/// The blocks that are in the file after `events`, while the run goes on.
fn blocks_of(events: &[Event]) -> (Memory, PcapngReporter<Memory>) {
    let memory = Memory::default();
    let mut reporter = PcapngReporter::new(memory.clone(), "shakedown 9", "shakedown x").unwrap();
    for event in events {
        reporter.record(FlowId(0), event).unwrap();
    }
    (memory, reporter)
}

fn of_kind(memory: &Memory, kind: u32) -> Vec<Block> {
    read(&memory.0.borrow().0).into_iter().filter(|block| block.kind == kind).collect()
}

fn comments(memory: &Memory) -> Vec<String> {
    of_kind(memory, 6).iter().map(|block| block.comment().to_owned()).collect()
}

fn done(story: Story) -> Story {
    story.summary(Outcome::Open, true, |_| ())
}

#[test]
fn a_handshake_is_in_the_file_with_bytes_times_directions_and_transitions() {
    let story = done(Story::new("handshake").open());
    let (memory, _reporter) = blocks_of(&story.events);
    let blocks = read(&memory.0.borrow().0);
    let kinds: Vec<u32> = blocks.iter().map(|block| block.kind).collect();
    assert_eq!(kinds, [0x0a0d_0d0a, 1, 6, 6, 6, 5]);

    let section = &blocks[0];
    assert_eq!(u32_at(&section.body, 0), 0x1a2b_3c4d);
    assert_eq!((section.text(4), section.comment()), ("shakedown 9", "shakedown x"));

    let interface = &blocks[1];
    assert_eq!(u16_at(&interface.body, 0), 101, "LINKTYPE_RAW");
    assert_eq!(interface.text(2), "eth0");
    assert_eq!(interface.option(9), Some(&[9][..]), "nanoseconds");

    let segments = story.events.iter().filter_map(|event| match event {
        Event::Segment(segment) => Some(segment),
        _ => None,
    });
    for ((block, segment), micros) in blocks[2..5].iter().zip(segments).zip([61, 11_163, 11_190]) {
        assert_eq!(block.data(), segment.packet.emit().unwrap());
        assert_eq!(time_at(&block.body, 4), 1_700_000_000_123_456_789 + micros * 1000);
        let direction = if segment.dir == Dir::Rx { 1 } else { 2 };
        assert_eq!(block.option(2), Some(&[direction, 0, 0, 0][..]));
    }
    assert_eq!(
        comments(&memory),
        [
            "server CLOSED -> LISTEN: start, assumed; \
             client CLOSED -> SYN-SENT: active open, 61.000 µs before",
            "server LISTEN -> SYN-RECEIVED: SYN received, proved, ~5.551 ms before; \
             client SYN-SENT -> ESTABLISHED: SYN+ACK received",
            "server SYN-RECEIVED -> ESTABLISHED: ACK received, implied, ~5.551 ms after",
        ]
    );
}

#[test]
fn what_is_special_about_a_packet_comes_first_in_its_comment() {
    let story = Story::new("close")
        .begin()
        .at(10)
        .noted(Dir::Tx, SYN, (0, 0), Note::Retransmission(1))
        .at(20)
        .noted(Dir::Rx, RST, (5, 0), Note::Rejected("not in the window"))
        .at(30)
        .rx(SYN_ACK, (0, 1))
        .client(State::SynSent, State::Established, Cause::Received(SYN_ACK))
        .at(40)
        .client(State::Established, State::FinWait1, Cause::Close)
        .at(45)
        .tx(FIN_ACK, (1, 1))
        .at(50)
        .noted(Dir::Tx, RST, (1, 0), Note::LocalKernel)
        .notice(Severity::Error, "local-reset", "your own\nkernel");
    let (memory, _reporter) = blocks_of(&done(story).events);
    assert_eq!(
        comments(&memory),
        [
            "retransmission 1",
            "rejected: not in the window",
            "client SYN-SENT -> ESTABLISHED: SYN+ACK received",
            "client ESTABLISHED -> FIN-WAIT-1: close, 5.000 µs before",
            "sent by your own kernel, not by the peer or by us; local-reset: your own kernel",
        ]
    );
}

#[test]
fn icmp_errors_and_packets_that_nobody_could_read_are_kept_as_they_came() {
    let bytes = b"\x45 neither whole nor right".to_vec();
    let stamp = Stamp { at: Instant::from_nanos(7_000_090_001), clock: Clock::Kernel };
    let odd = PacketEvent {
        dir: Dir::Rx,
        stamp,
        bytes: bytes.clone(),
        remark: "rejected: malformed".into(),
    };
    let story = Story::new("probe")
        .begin()
        .at(80)
        .icmp("203.0.113.9", 13, IcmpKind::Prohibited, Some("quotes nothing of ours"))
        .at(90)
        .event(Event::Packet(Box::new(odd)))
        .notice(Severity::Warning, "malformed", "data offset of 3");
    let (memory, _reporter) = blocks_of(&done(story).events);
    let packets = of_kind(&memory, 6);
    assert_eq!(packets[0].comment(), "rejected: quotes nothing of ours");
    assert_eq!((packets[0].data().len(), packets[1].data()), (57, &*bytes));
    let comment = "rejected: malformed; malformed: data offset of 3, 0.001 µs before";
    assert_eq!(packets[1].comment(), comment);
    assert_eq!(time_at(&packets[1].body, 4), 1_700_000_000_123_456_789 + 90_001);
}

#[test]
fn a_segment_that_has_not_been_seen_leaving_waits_for_its_copy() {
    let unseen = |story: Story| {
        story.segment(Dir::Tx, SYN, (0, 0), |event| event.note = Some(Note::Retransmission(1)))
    };
    let mut story = unseen(Story::new("handshake").begin().at(10));
    let Some(Event::Segment(segment)) = story.events.last_mut() else { panic!("a segment") };
    let bytes = segment.bytes.take().unwrap();
    let stamp = Stamp { at: Instant::from_nanos(7_000_500_000), clock: Clock::Kernel };
    let late = PacketEvent { dir: Dir::Tx, stamp, bytes, remark: "left late".into() };
    let (memory, mut reporter) = blocks_of(&story.events);
    reporter.release().unwrap();
    assert_eq!(of_kind(&memory, 6), [], "it may not have left");
    reporter.record(FlowId(0), &Event::Packet(Box::new(late))).unwrap();
    drop(reporter);
    assert_eq!(comments(&memory), ["left late; retransmission 1"]);
}

#[test]
fn the_file_is_whole_after_every_event_and_lacks_one_packet_at_most() {
    let story = done(Story::new("handshake").open());
    let memory = Memory::default();
    let mut reporter = PcapngReporter::new(memory.clone(), "shakedown 9", "x").unwrap();
    let mut packets = 0;
    for event in &story.events {
        reporter.record(FlowId(0), event).unwrap();
        packets += usize::from(matches!(event, Event::Segment(_)));
        let written = of_kind(&memory, 6).len();
        assert!(written + 1 >= packets, "{written} of {packets}");
    }
    let (bytes, writes) = &*memory.0.borrow();
    let mut rest = &bytes[..];
    for write in writes {
        assert_eq!(*write, u32_at(rest, 4) as usize, "one write for each block");
        rest = &rest[*write..];
    }
}

#[test]
fn flows_keep_their_remarks_apart_and_what_has_no_packet_left_is_told_at_the_end() {
    let (a, b) = (FlowId(0), FlowId(1));
    let memory = Memory::default();
    let mut reporter = PcapngReporter::new(memory.clone(), "shakedown 9", "x").unwrap();
    let story = |micros| Story::new("probe").at(micros);
    let mut tell = |flow, story: Story| {
        for event in &story.events {
            reporter.record(flow, event).unwrap();
        }
    };
    tell(a, story(0).begin());
    tell(b, story(0).begin());
    tell(a, story(10).tx(SYN, (0, 0)));
    tell(b, story(20).client(State::Closed, State::SynSent, Cause::ActiveOpen));
    tell(b, story(30).tx(SYN, (0, 0)));
    tell(a, story(2_000_000).client(State::SynSent, State::Closed, Cause::GaveUp));
    tell(
        b,
        story(40).rx(RST_ACK, (0, 1)).client(
            State::SynSent,
            State::Closed,
            Cause::Received(RST_ACK),
        ),
    );
    tell(a, done(story(2_000_000)));
    assert_eq!(
        comments(&memory),
        [
            "",
            "client CLOSED -> SYN-SENT: active open, 10.000 µs before",
            "client SYN-SENT -> CLOSED: RST+ACK received",
        ]
    );
    let statistics = of_kind(&memory, 5);
    assert_eq!(
        statistics[0].comment(),
        "192.0.2.1:40312 > 192.0.2.7:443: client SYN-SENT -> CLOSED: gave up, 2.000 s after the \
         start"
    );
}

#[test]
fn the_statistics_count_what_was_written_and_what_was_dropped() {
    let story = done(Story::new("handshake").open());
    let memory = Memory::default();
    let mut reporter = PcapngReporter::new(memory.clone(), "shakedown 9", "x").unwrap();
    reporter.count_drops(Box::new(|| Some(7)));
    for event in &story.events {
        reporter.record(FlowId(0), event).unwrap();
    }
    drop(reporter);
    let statistics = of_kind(&memory, 5);
    assert_eq!(statistics.len(), 1, "once, also when the reporter is dropped after the summary");
    let [statistics] = &statistics[..] else { unreachable!() };
    assert_eq!(statistics.option(5), Some(&7u64.to_le_bytes()[..]));
    assert_eq!(statistics.option(8), Some(&3u64.to_le_bytes()[..]));
    let start = 1_700_000_000_123_456_789;
    assert_eq!(time_at(statistics.option(2).unwrap(), 0), start);
    assert_eq!(time_at(statistics.option(3).unwrap(), 0), start + 11_190_000);
    let (unknown, _reporter) = blocks_of(&story.events);
    assert_eq!(of_kind(&unknown, 5)[0].option(5), None, "unknown is absent, not 0");
}

#[test]
fn a_run_that_ends_by_an_error_leaves_all_its_packets() {
    let story = Story::new("handshake").begin().at(5).tx(SYN, (0, 0)).at(9).tx(ACK, (1, 1));
    let (memory, reporter) = blocks_of(&story.events);
    drop(reporter);
    assert_eq!((of_kind(&memory, 6).len(), of_kind(&memory, 5).len()), (2, 1));
}

#[test]
fn another_interface_gets_its_own_description() {
    let memory = Memory::default();
    let mut reporter = PcapngReporter::new(memory.clone(), "shakedown 9", "x").unwrap();
    for (flow, name) in [(0, "eth0"), (1, "wg0"), (2, "eth0")] {
        let mut event = Story::new("probe").run();
        if let Event::Run(run) = &mut event {
            run.interface = name.to_owned();
        }
        reporter.record(FlowId(flow), &event).unwrap();
        let story = Story::new("probe").tx(SYN, (0, 0));
        reporter.record(FlowId(flow), &story.events[0]).unwrap();
    }
    drop(reporter);
    let names: Vec<_> = of_kind(&memory, 1).iter().map(|block| block.text(2).to_owned()).collect();
    assert_eq!(names, ["eth0", "wg0"]);
    let used: Vec<u32> = of_kind(&memory, 6).iter().map(|block| u32_at(&block.body, 0)).collect();
    assert_eq!(used, [0, 1, 0]);
}

#[test]
fn after_a_failure_nothing_more_is_written_and_nothing_more_fails() {
    struct Full(Rc<RefCell<u32>>);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            *self.0.borrow_mut() += 1;
            if *self.0.borrow() > 2 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let writes = Rc::new(RefCell::new(0));
    let mut reporter = PcapngReporter::new(Full(Rc::clone(&writes)), "shakedown 9", "x").unwrap();
    let story = done(Story::new("handshake").open());
    let mut failures = 0;
    for event in &story.events {
        failures += u32::from(reporter.record(FlowId(0), event).is_err());
    }
    drop(reporter);
    assert_eq!((failures, *writes.borrow()), (1, 3));
}

#[test]
fn a_comment_that_is_too_long_is_cut_between_characters() {
    let long = format!("x{}", "µ".repeat(40_000));
    let bytes = block::packet(0, 1, Dir::Tx, &[0x45], &long);
    let blocks = read(&bytes);
    let comment = blocks[0].comment();
    assert_eq!(comment.len(), 65_535);
    assert!(long.starts_with(comment));
}

#[test]
fn what_we_do_is_told_with_the_packet_that_shows_it() {
    // A state that a timer ends belongs to the packet before; one that a call ends to the next.
    for (cause, leads) in [
        (Cause::Close, true),
        (Cause::Abort, true),
        (Cause::GaveUp, false),
        (Cause::TimeWaitExpired, false),
        (Cause::Received(ACK), false),
    ] {
        let story = Story::new("x").client(State::Established, State::Closed, cause);
        assert_eq!(comment::leads(&story.events[0]), leads, "{cause:?}");
    }
}
