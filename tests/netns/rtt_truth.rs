//! What a witness on the client's interface knows of repeated probes, and the comparison with what
//! `rtt` says of them: every stamp and every interval, to the nanosecond.

use crate::namespace::Topology;
use crate::run::Finished;
use crate::sniffer::{ACK, FIN, RST, SYN, Seen, Sniffer};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::HashMap;

/// A probe's name: its source port and its initial sequence number.
pub(crate) type Key = (u16, u32);

/// The packets of one probe in their order, from its first SYN to the next one of the same port.
#[derive(Default, Debug)]
pub(crate) struct Exchange {
    pub(crate) packets: Vec<Seen>,
}

/// Everything that passed the client's interface, by probe.
pub(crate) struct Truth {
    pub(crate) exchanges: HashMap<Key, Exchange>,
    /// All segments that left or arrived there, in their order.
    pub(crate) segments: Vec<Seen>,
}

impl Truth {
    /// Sorts what `tap` has seen of connections to `server_port`.
    pub(crate) fn of(tap: &mut Sniffer, topology: &Topology, server_port: u16) -> Result<Self> {
        let ours = topology.client_address(crate::namespace::Family::V4);
        let ours_v6 = topology.client_address(crate::namespace::Family::V6);
        let is_ours = |seen: &Seen| {
            // A loopback shows each packet in both directions: keep the one that an end sees.
            let (near, far) = if seen.outgoing { (seen.from, seen.to) } else { (seen.to, seen.from) };
            far.port() == server_port && (near.ip() == ours || near.ip() == ours_v6)
        };
        let segments: Vec<Seen> = tap.segments()?.into_iter().filter(is_ours).collect();
        let mut exchanges: HashMap<Key, Exchange> = HashMap::new();
        let mut at_port: HashMap<u16, Vec<u32>> = HashMap::new();
        for seen in &segments {
            let port = if seen.outgoing { seen.from.port() } else { seen.to.port() };
            let known = at_port.entry(port).or_default();
            if seen.outgoing && seen.has(SYN) && !known.contains(&seen.seq) {
                known.push(seen.seq);
            }
            let of = |number: u32, known: &[u32]| {
                known.iter().rev().copied().find(|iss| number.wrapping_sub(*iss) < 1 << 20)
            };
            let iss = match seen.outgoing {
                true if seen.has(SYN) => Some(seen.seq),
                true => of(seen.seq, known),
                false => of(seen.ack, known),
            };
            if let Some(iss) = iss {
                exchanges.entry((port, iss)).or_default().packets.push(seen.clone());
            }
        }
        Ok(Self { exchanges, segments })
    }

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
            compared += exchange.check(record, start).with_context(|| {
                format!("{record}\nwas seen as {}", exchange.text(start))
            })?;
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

impl Exchange {
    fn leaving(&self) -> impl Iterator<Item = &Seen> {
        self.packets.iter().filter(|seen| seen.outgoing)
    }

    fn arriving(&self) -> impl Iterator<Item = &Seen> {
        self.packets.iter().filter(|seen| !seen.outgoing)
    }

    /// Our SYNs.
    pub(crate) fn syns(&self) -> Vec<&Seen> {
        self.leaving().filter(|seen| seen.has(SYN)).collect()
    }

    /// Our resets.
    pub(crate) fn resets(&self) -> Vec<&Seen> {
        self.leaving().filter(|seen| seen.has(RST)).collect()
    }

    /// What answers the SYN: SYN-ACKs and resets that acknowledge it.
    pub(crate) fn answers(&self) -> Vec<&Seen> {
        let Some(iss) = self.leaving().next().map(|syn| syn.seq) else { return Vec::new() };
        let answers = |seen: &&Seen| {
            seen.has(ACK) && (seen.has(SYN) || seen.has(RST)) && seen.ack == iss.wrapping_add(1)
        };
        self.arriving().filter(answers).collect()
    }

    /// The nanoseconds from our segment `asks` to the first arrival after it that `answers`, given the
    /// sequence number behind the segment.
    fn interval(
        &self,
        asks: impl Fn(&Seen) -> bool,
        answers: impl Fn(&Seen, u32) -> bool,
    ) -> Option<i64> {
        let at = self.packets.iter().position(|seen| seen.outgoing && asks(seen))?;
        let asked = &self.packets[at];
        let length = u32::try_from(asked.length).ok()?;
        let beyond = asked.seq.wrapping_add(length + u32::from(asked.has(FIN)));
        let mut later = self.packets[at..].iter().filter(|seen| !seen.outgoing);
        let answer = later.find(|seen| answers(seen, beyond))?;
        Some(answer.unix_ns() - asked.unix_ns())
    }

    fn check(&self, record: &Value, start: i64) -> Result<usize> {
        let at = |seen: &Seen| seen.unix_ns() - start;
        let (syns, answers) = (self.syns(), self.answers());
        let number = |field: &str| record[field].as_i64();
        ensure!(number("attempts") == i64::try_from(syns.len()).ok(), "attempts");
        ensure!(number("sent_ns") == syns.first().map(|seen| at(seen)), "sent_ns");
        // At the end of a run an answer may come too late for the report.
        let answered = number("answered_ns");
        if answered.is_some() || !matches!(record["fate"].as_str(), Some("lost" | "in-flight")) {
            ensure!(answered == answers.first().map(|seen| at(seen)), "answered_ns");
        }
        let mut compared = 0;
        if let Some(rtt) = number("rtt_ns") {
            ensure!(syns.len() == 1 && answers[0].has(SYN), "an interval of which SYN?");
            ensure!(rtt == answers[0].unix_ns() - syns[0].unix_ns(), "rtt_ns");
            compared += 1;
        }
        let carries = |seen: &Seen| seen.length > 0;
        let closes = |seen: &Seen| seen.has(FIN);
        let acknowledges = |seen: &Seen, beyond: u32| seen.has(ACK) && seen.ack == beyond;
        let phases = [
            ("data_ack_ns", self.interval(carries, acknowledges)),
            ("fin_ack_ns", self.interval(closes, acknowledges)),
            ("peer_fin_ns", self.interval(closes, |seen, _| seen.has(FIN))),
        ];
        for (name, truth) in phases {
            let said = record["phases"][name].as_i64();
            ensure!(said.is_none() || said == truth, "{name} should be {truth:?}");
            compared += usize::from(said.is_some());
        }
        Ok(compared)
    }

    /// For a failure's message.
    fn text(&self, start: i64) -> String {
        let line = |seen: &Seen| {
            let way = if seen.outgoing { "out" } else { "in" };
            let Seen { flags, seq, ack, length, .. } = seen;
            format!("\n  {way} {} flags {flags:02x} {seq}+{length} ack {ack}", seen.unix_ns() - start)
        };
        self.packets.iter().map(line).collect()
    }
}
