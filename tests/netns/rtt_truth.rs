//! What witnesses at both ends know of repeated probes, and the comparison with what `rtt` says of
//! them: every stamp and every interval.
//!
//! A packet that leaves is stamped once for all who watch the interface: ours and the witness's are
//! the same to the nanosecond. So is one that arrives, with one exception. Linux's TCP gives what it
//! sends a departure time (`skb_set_delivery_time`) in the place where the arrival is to be stamped;
//! a loopback and a veth pair carry it to the other end, and each packet socket there clears it and
//! takes the time by itself (`skb_clear_delivery_time` in `packet_rcv`), in its turn: the one that was
//! opened last is first. There the arrival must lie between the server's stamp of the same packet's
//! leaving and the witness's of its arriving. Over a relay or a tun device it must be the same.

use crate::namespace::{Link, Topology};
use crate::run::Finished;
use crate::sniffer::{ACK, FIN, RST, SYN, Seen, Sniffer};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::ops::RangeInclusive;

/// A probe's name: its source port and its initial sequence number.
pub(crate) type Key = (u16, u32);

/// How well the witness at the client knows when a packet arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrivals {
    /// To the nanosecond.
    Exact,
    /// Between the server's stamp and its own.
    Bounded,
}

/// The packets of one probe in their order, from its first SYN to the next one of the same port.
#[derive(Default, Debug)]
pub(crate) struct Exchange {
    /// Each with when it passed the client's interface, in nanoseconds since the Unix epoch: at the
    /// earliest and at the latest.
    pub(crate) packets: Vec<(Seen, RangeInclusive<i64>)>,
}

/// The witnesses of a run.
pub(crate) struct Witnesses {
    client: Sniffer,
    server: Option<Sniffer>,
    arrivals: Arrivals,
}

/// Everything that passed the client's interface, by probe.
pub(crate) struct Truth {
    pub(crate) exchanges: HashMap<Key, Exchange>,
    /// All segments that left or arrived there, in their order.
    pub(crate) segments: Vec<Seen>,
}

impl Witnesses {
    /// Posts them. To be done before the run begins: see above who is first.
    pub(crate) fn post(topology: &Topology, arrivals: Arrivals) -> Result<Self> {
        let client = Sniffer::at_client(topology)?;
        let apart = topology.link != Link::Loopback && arrivals == Arrivals::Bounded;
        let server = apart.then(|| Sniffer::start(topology)).transpose()?;
        Ok(Self { client, server, arrivals })
    }

    /// What they have seen of connections to `server_port`.
    pub(crate) fn truth(&mut self, server_port: u16) -> Result<Truth> {
        let all = self.client.segments()?;
        let afar = self.server.as_mut().map(Sniffer::segments).transpose()?;
        // When the server's packets left it, in order.
        let mut departures: HashMap<_, VecDeque<i64>> = HashMap::new();
        let leaving = |seen: &&Seen| seen.outgoing && seen.from.port() == server_port;
        for seen in afar.as_ref().unwrap_or(&all).iter().filter(leaving) {
            departures.entry(name_of(seen)).or_default().push_back(seen.unix_ns());
        }
        let mut truth = Truth { exchanges: HashMap::new(), segments: Vec::new() };
        let mut at_port: HashMap<u16, Vec<u32>> = HashMap::new();
        // A loopback shows each packet in both directions: keep the one that the client sees.
        let far = |seen: &Seen| if seen.outgoing { seen.to } else { seen.from };
        for seen in all.into_iter().filter(|seen| far(seen).port() == server_port) {
            let at = seen.unix_ns();
            let earliest = match self.arrivals {
                Arrivals::Bounded if !seen.outgoing => departures
                    .get_mut(&name_of(&seen))
                    .and_then(VecDeque::pop_front)
                    .with_context(|| format!("{seen:?} arrived and has not left"))?,
                _ => at,
            };
            let port = if seen.outgoing { seen.from.port() } else { seen.to.port() };
            let known = at_port.entry(port).or_default();
            if seen.outgoing && seen.has(SYN) && !known.contains(&seen.seq) {
                known.push(seen.seq);
            }
            let number = if seen.outgoing { seen.seq } else { seen.ack };
            let iss = known.iter().rev().copied().find(|iss| number.wrapping_sub(*iss) < 1 << 16);
            if let Some(iss) = iss {
                let exchange = truth.exchanges.entry((port, iss)).or_default();
                exchange.packets.push((seen.clone(), earliest..=at));
            }
            truth.segments.push(seen);
        }
        Ok(truth)
    }
}

/// What tells a segment from the others of a run.
fn name_of(seen: &Seen) -> (SocketAddr, u32, u32, u8, usize) {
    (seen.to, seen.seq, seen.ack, seen.flags, seen.length)
}

impl Truth {
    /// The exchange that a record names.
    pub(crate) fn of_record(&self, record: &Value) -> Result<&Exchange> {
        let key = key_of(record)?;
        self.exchanges.get(&key).with_context(|| format!("nothing of {record} was seen"))
    }

    /// Compares every probe of a run, as it stood at last, with what was seen: its stamps, what was
    /// credited to it, and its intervals. Gives the number of intervals that were compared.
    pub(crate) fn check(&self, finished: &Finished) -> Result<usize> {
        let start = finished.first("run")?["unix_ns"].as_i64().context("unix_ns")?;
        let last = last_words(finished)?;
        ensure!(
            self.exchanges.len() == last.len(),
            "{} SYNs were seen and {} probes reported",
            self.exchanges.len(),
            last.len()
        );
        let mut compared = 0;
        for record in last.values() {
            let exchange = self.of_record(record)?;
            compared += exchange
                .check(record, start)
                .with_context(|| format!("{record}\nwas seen as {}", exchange.text(start)))?;
        }
        Ok(compared)
    }
}

/// Who a record is about.
pub(crate) fn key_of(record: &Value) -> Result<Key> {
    let port = record["source"]["port"].as_u64().and_then(|port| u16::try_from(port).ok());
    let iss = record["iss"].as_u64().and_then(|iss| u32::try_from(iss).ok());
    port.zip(iss).with_context(|| format!("no port and number in {record}"))
}

/// The last record of each probe; two probes of one name are an error.
pub(crate) fn last_words(finished: &Finished) -> Result<HashMap<Key, &Value>> {
    let mut last = HashMap::new();
    for record in finished.of_type("probe") {
        let before = last.insert(key_of(record)?, record);
        ensure!(before.is_none(), "twice the same name: {record} and {before:?}");
    }
    for record in finished.of_type("late") {
        let before = last.insert(key_of(record)?, record);
        ensure!(before.is_some_and(|it| it["fate"] == "lost"), "{record} after {before:?}");
    }
    Ok(last)
}

/// The time between two packets, at the least and at the most.
fn between(from: &Span<'_>, to: &Span<'_>) -> RangeInclusive<i64> {
    to.1.start() - from.1.end()..=to.1.end() - from.1.start()
}

/// A packet, with when it passed.
pub(crate) type Span<'a> = &'a (Seen, RangeInclusive<i64>);

impl Exchange {
    /// Our SYNs.
    pub(crate) fn syns(&self) -> Vec<Span<'_>> {
        self.packets.iter().filter(|(seen, _)| seen.outgoing && seen.has(SYN)).collect()
    }

    /// Our resets.
    pub(crate) fn resets(&self) -> Vec<&Seen> {
        let leaving = self.packets.iter().map(|(seen, _)| seen);
        leaving.filter(|seen| seen.outgoing && seen.has(RST)).collect()
    }

    /// What answers the SYN: SYN-ACKs and resets that acknowledge it.
    pub(crate) fn answers(&self) -> Vec<Span<'_>> {
        let Some(iss) = self.packets.first().map(|(syn, _)| syn.seq) else { return Vec::new() };
        let answers = |(seen, _): &Span<'_>| {
            let kind = seen.has(ACK) && (seen.has(SYN) || seen.has(RST));
            !seen.outgoing && kind && seen.ack == iss.wrapping_add(1)
        };
        self.packets.iter().filter(answers).collect()
    }

    /// The time from the last SYN to the first answer.
    pub(crate) fn since_last_syn(&self) -> Option<RangeInclusive<i64>> {
        Some(between(self.syns().last()?, self.answers().first()?))
    }

    /// The time from our segment that `asks` to the first arrival after it that `answers`, given the
    /// sequence number behind the segment.
    fn interval(
        &self,
        asks: impl Fn(&Seen) -> bool,
        answers: impl Fn(&Seen, u32) -> bool,
    ) -> Option<RangeInclusive<i64>> {
        let at = self.packets.iter().position(|(seen, _)| seen.outgoing && asks(seen))?;
        let asked = &self.packets[at];
        let length = u32::try_from(asked.0.length).ok()?;
        let beyond = asked.0.seq.wrapping_add(length + u32::from(asked.0.has(FIN)));
        let mut later = self.packets[at..].iter().filter(|(seen, _)| !seen.outgoing);
        let answer = later.find(|(seen, _)| answers(seen, beyond))?;
        Some(between(&asked, &answer))
    }

    fn check(&self, record: &Value, start: i64) -> Result<usize> {
        let (syns, answers) = (self.syns(), self.answers());
        let number = |field: &str| record[field].as_i64();
        let is_at = |field: &str, span: Option<&Span<'_>>| {
            number(field)
                .zip(span)
                .is_some_and(|(said, (_, range))| range.contains(&(said + start)))
        };
        ensure!(number("attempts") == i64::try_from(syns.len()).ok(), "attempts");
        ensure!(is_at("sent_ns", syns.first()), "sent_ns");
        // At the end of a run an answer may come too late for the report.
        let unanswered = matches!(record["fate"].as_str(), Some("lost" | "in-flight"));
        let answered = is_at("answered_ns", answers.first());
        ensure!(answered || unanswered && record["answered_ns"].is_null(), "answered_ns");
        let mut compared = 0;
        let acknowledges = |seen: &Seen, beyond: u32| seen.has(ACK) && seen.ack == beyond;
        let carries = |seen: &Seen| seen.length > 0;
        let closes = |seen: &Seen| seen.has(FIN);
        let phases = [
            (&record["rtt_ns"], self.since_last_syn()),
            (&record["phases"]["data_ack_ns"], self.interval(carries, acknowledges)),
            (&record["phases"]["fin_ack_ns"], self.interval(closes, acknowledges)),
            (&record["phases"]["peer_fin_ns"], self.interval(closes, |seen, _| seen.has(FIN))),
        ];
        for (said, truth) in phases {
            let Some(said) = said.as_i64() else { continue };
            let right = truth.as_ref().is_some_and(|truth| truth.contains(&said));
            ensure!(right, "{said} ns should be {truth:?}");
            compared += 1;
        }
        Ok(compared)
    }

    /// For a failure's message.
    pub(crate) fn text(&self, start: i64) -> String {
        let line = |(seen, range): &(Seen, RangeInclusive<i64>)| {
            let way = if seen.outgoing { "out" } else { "in" };
            let Seen { flags, seq, ack, length, .. } = seen;
            let (from, to) = (range.start() - start, range.end() - start);
            format!("\n  {way} {from}..={to} flags {flags:02x} {seq}+{length} ack {ack}")
        };
        self.packets.iter().map(line).collect()
    }
}
