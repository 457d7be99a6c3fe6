//! What the segments of each connection were for: their cost, their times, their cargo.
//!
//! A decorator of the reporter. It hears each segment with the stamp of its leaving or arriving, and
//! says behind it what of HTTP or TLS it carried.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::rc::Rc;

use crate::event::{Costs, Event, FlowId, HttpCargo, HttpStep, Load, Note, SegmentEvent, Sink};
use crate::net::Dir;
use crate::time::{Clock, Instant};
use crate::wire::{Flags, Segment, SeqNum};

/// What is known of every connection's segments.
pub(super) type Book = Rc<RefCell<HashMap<FlowId, Account>>>;

/// The reporter, and the book beside it.
pub(super) struct Watch<S> {
    inner: S,
    book: Book,
}

impl<S: Sink> Watch<S> {
    pub(super) fn new(inner: S, book: Book) -> Self {
        Self { inner, book }
    }
}

impl<S: Sink> Sink for Watch<S> {
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        self.inner.record(flow, event)?;
        let Event::Segment(segment) = event else { return Ok(()) };
        let cargo = self.book.borrow_mut().entry(flow).or_default().enter(segment);
        for what in cargo {
            let step = HttpStep { at: segment.stamp.at, dir: segment.dir, what };
            self.inner.record(flow, &Event::Http(step))?;
        }
        Ok(())
    }
}

/// Where a connection's TLS handshake stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Tls {
    /// There is none.
    #[default]
    None,
    /// It is going on.
    Shaking,
    /// It is over; our part of it ended before this byte of ours.
    Over(u64),
}

/// Bytes of ours that left: up to which, and when for the first time.
#[derive(Clone, Copy, Debug)]
struct Left {
    until: u64,
    at: Instant,
}

/// What is among the bytes of ours.
#[derive(Clone, Debug)]
struct Marked {
    from: u64,
    until: u64,
    what: HttpCargo,
}

/// One connection's segments.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    costs: Costs,
    opened: bool,
    tls: Tls,
    /// From the first FIN or RST to the last segment.
    closing: Option<(Instant, Instant)>,
    /// The numbers behind both FINs: ours, theirs.
    fin_ends: [Option<SeqNum>; 2],
    left: VecDeque<Left>,
    /// Up to here everything has left.
    left_until: u64,
    marked: VecDeque<Marked>,
    worst: Option<Clock>,
}

impl Account {
    /// A TLS handshake comes first.
    pub(super) fn expect_tls(&mut self) {
        self.tls = Tls::Shaking;
    }

    /// The TLS handshake is over; our part of it ended before the byte `until`.
    pub(super) fn secured(&mut self, until: u64) {
        self.tls = Tls::Over(until);
    }

    /// This is among the bytes `from..until`.
    pub(super) fn mark(&mut self, what: HttpCargo, (from, until): (u64, u64)) {
        self.marked.push_back(Marked { from, until, what });
    }

    /// When the bytes `from..until` began to leave, and when the last of them left.
    pub(super) fn left(&self, (from, until): (u64, u64)) -> Option<(Instant, Instant)> {
        let when = |byte: u64| {
            let index = self.left.partition_point(|left| left.until <= byte);
            self.left.get(index).map(|left| left.at)
        };
        Some((when(from)?, when(until.checked_sub(1)?)?))
    }

    /// What it cost so far.
    pub(super) const fn costs(&self) -> Costs {
        self.costs
    }

    /// From the first FIN or RST to the last segment.
    pub(super) const fn closing(&self) -> Option<(Instant, Instant)> {
        self.closing
    }

    /// The worst clock that stamped a segment.
    pub(super) const fn worst_clock(&self) -> Option<Clock> {
        self.worst
    }

    /// Takes a segment down, and says what it carried.
    fn enter(&mut self, event: &SegmentEvent) -> Vec<HttpCargo> {
        let segment = &event.packet.segment;
        let ours = event.dir == Dir::Tx;
        let length = segment.payload.len() as u64;
        let from = u64::from(segment.seq.offset_from(event.seq_origin)).saturating_sub(1);
        let at = event.stamp.at;
        self.worst = self.worst.max(Some(event.stamp.clock));
        let size = event.bytes.as_ref().map_or_else(
            || event.packet.emit().map_or(0, |bytes| bytes.len() as u64),
            |bytes| bytes.len() as u64,
        );
        let closes = self.opened && self.is_of_close(segment, ours);
        if closes {
            let (first, _) = self.closing.unwrap_or((at, at));
            self.closing = Some((first, at));
        }
        let part = if !self.opened && (segment.has(Flags::SYN) || length == 0) {
            // Also the RST that refuses it.
            &mut self.costs.opening
        } else if closes && length == 0 {
            &mut self.costs.closing
        } else if self.is_of_tls(ours, length, from) {
            &mut self.costs.tls
        } else {
            &mut self.costs.exchange
        };
        *part += Load { segments: 1, bytes: size };
        self.opened |= ours && !segment.has(Flags::SYN);
        let refused = matches!(event.note, Some(Note::Rejected(_) | Note::LocalKernel));
        if length == 0 || refused || segment.has(Flags::SYN) {
            return Vec::new();
        }
        if !ours {
            let shaking = self.tls == Tls::Shaking;
            return if shaking { vec![HttpCargo::TlsHandshake] } else { Vec::new() };
        }
        if from + length > self.left_until {
            self.left_until = from + length;
            self.left.push_back(Left { until: self.left_until, at });
        }
        self.cargo(from, from + length)
    }

    /// Whether a segment belongs to the close: a FIN, what acknowledges one, a RST. An
    /// acknowledgment of data alone does not, although it may leave behind the FIN.
    fn is_of_close(&mut self, segment: &Segment, ours: bool) -> bool {
        let [own, other] = [usize::from(!ours), usize::from(ours)];
        if segment.has(Flags::FIN) {
            self.fin_ends[own] = Some(segment.seq_end());
        }
        let acks = |end: SeqNum| segment.has(Flags::ACK) && segment.ack.is_at_or_after(end);
        segment.flags.intersects(Flags::FIN | Flags::RST) || self.fin_ends[other].is_some_and(acks)
    }

    /// Whether a segment belongs to the TLS handshake: ours by its bytes, since the request may leave
    /// before the news that the handshake is over has been told; theirs by its time.
    fn is_of_tls(&self, ours: bool, length: u64, from: u64) -> bool {
        match self.tls {
            Tls::None => false,
            Tls::Shaking => true,
            Tls::Over(until) => ours && length > 0 && from < until,
        }
    }

    /// What is among the bytes `from..until` of ours.
    fn cargo(&mut self, from: u64, until: u64) -> Vec<HttpCargo> {
        let (mut frames, mut cargo) = (Vec::new(), Vec::new());
        for Marked { what, .. } in
            self.marked.iter().filter(|marked| marked.from < until && from < marked.until)
        {
            match what {
                HttpCargo::Frames(names) => frames.extend_from_slice(names),
                what => cargo.push(what.clone()),
            }
        }
        if !frames.is_empty() {
            cargo.insert(0, HttpCargo::Frames(frames));
        }
        // An alert in its place says more.
        let broken_off = cargo.contains(&HttpCargo::TlsAlert);
        if self.is_of_tls(true, until - from, from) && !broken_off {
            cargo.insert(0, HttpCargo::TlsHandshake);
        }
        cargo
    }

    /// Forgets what left before the byte `until`: nobody will ask for it.
    pub(super) fn forget(&mut self, until: u64) {
        while self.left.front().is_some_and(|left| left.until <= until) {
            self.left.pop_front();
        }
        while self.marked.front().is_some_and(|marked| marked.until <= until) {
            self.marked.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Stamp;
    use crate::wire::{IpHeader, Packet};

    fn event(
        dir: Dir,
        flags: Flags,
        (seq, ack): (u32, u32),
        length: usize,
        at: u64,
    ) -> SegmentEvent {
        let (src, dst) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let ip = IpHeader { src, dst, ttl: 64, tos: 0, id: 1, dont_fragment: true, flow_label: 0 };
        let payload = vec![0; length];
        let ack = SeqNum(ack);
        let segment = Segment { flags, seq: SeqNum(seq), ack, payload, ..Segment::default() };
        SegmentEvent {
            dir,
            stamp: Stamp { at: Instant::from_nanos(at), clock: Clock::Kernel },
            packet: Packet { ip, segment },
            seq_origin: SeqNum(1000),
            ack_origin: SeqNum(1000),
            note: None,
            bytes: None,
        }
    }

    #[test]
    fn every_segment_is_counted_once_for_what_it_was_for() {
        let (syn, ack, fin) = (Flags::SYN, Flags::ACK, Flags::FIN);
        let mut account = Account::default();
        account.expect_tls();
        for (dir, flags, seq, length) in [
            (Dir::Tx, syn, 1000, 0),
            (Dir::Rx, syn | ack, 1000, 0),
            (Dir::Tx, ack, 1001, 0),
            (Dir::Tx, ack, 1001, 500), // ClientHello
            (Dir::Rx, ack, 1001, 900),
        ] {
            account.enter(&event(dir, flags, (seq, 1000), length, 5));
        }
        account.secured(560);
        let request = HttpCargo::Request { number: 1, line: "GET / HTTP/1.1".to_owned() };
        account.mark(HttpCargo::Frames(vec!["SETTINGS".to_owned()]), (560, 660));
        account.mark(request.clone(), (560, 660));
        account.mark(HttpCargo::Frames(vec!["SETTINGS ACK".to_owned()]), (560, 660));
        account.mark(HttpCargo::CloseNotify, (660, 690));
        // Finished and the request in one segment.
        let cargo = account.enter(&event(Dir::Tx, ack, (1501, 1901), 160, 7));
        assert_eq!(
            cargo,
            [
                HttpCargo::TlsHandshake,
                HttpCargo::Frames(vec!["SETTINGS".to_owned(), "SETTINGS ACK".to_owned()]),
                request,
            ]
        );
        for (dir, flags, numbers, length, at) in [
            (Dir::Rx, ack, (1901, 1661), 300, 8),
            (Dir::Rx, fin | ack, (2201, 1661), 10, 9), // the last data bears the FIN
            (Dir::Tx, ack, (1661, 2201), 0, 10),       // of the data before
            (Dir::Tx, fin | ack, (1661, 2212), 0, 11),
            (Dir::Rx, ack, (2212, 1662), 0, 12),
        ] {
            account.enter(&event(dir, flags, numbers, length, at));
        }
        let costs = account.costs();
        let segments =
            [costs.opening, costs.tls, costs.exchange, costs.closing].map(|it| it.segments);
        assert_eq!(segments, [3, 3, 3, 2]);
        assert_eq!(costs.closing.bytes, 80, "headers of IP and TCP");
        let nanos = Instant::from_nanos;
        assert_eq!(account.closing(), Some((nanos(9), nanos(12))));
        assert_eq!(account.left((560, 660)), Some((nanos(7), nanos(7))));
    }

    #[test]
    fn a_request_that_is_sent_again_left_when_it_first_did() {
        let mut account = Account::default();
        account.enter(&event(Dir::Tx, Flags::ACK, (1001, 1000), 100, 5));
        account.enter(&event(Dir::Tx, Flags::ACK, (1101, 1000), 100, 6));
        account.enter(&event(Dir::Tx, Flags::ACK, (1001, 1000), 100, 9));
        let nanos = Instant::from_nanos;
        assert_eq!(account.left((0, 200)), Some((nanos(5), nanos(6))));
        assert_eq!(account.left((150, 200)), Some((nanos(6), nanos(6))));
        assert_eq!(account.left((0, 201)), None, "that has not left yet");
        account.forget(100);
        assert_eq!(account.left((150, 200)), Some((nanos(6), nanos(6))));
    }
}
