//! What a program reads: JSON Lines, one object for each event.
//!
//! # The schema, version 1
//!
//! One object a line, in ASCII: every other character is written as `\uXXXX`, so that nothing that a
//! peer or DNS says can act on a terminal. Every object has
//!
//! | field | |
//! |---|---|
//! | `v` | schema version, 1. Fields may be added within a version, never renamed or removed |
//! | `type` | `run`, `segment`, `transition`, `confirmed`, `retracted`, `icmp`, `notice`, `probe`, `client`, `http`, `request`, `connection`, `late`, `duplicate`, `statistics`, `interim`, `path`, `server`, `check`, `change`, `target`, `term`, `summary` |
//! | `flow` | which connection or probe of the run, from 0; in records of `rtt` only where they are about one, in those of `check` never |
//!
//! With `--explain`, what a step means stands in `explain`, last in `segment`, `transition`,
//! `confirmed`, `retracted`, `icmp`, `http`, `probe`, `client` and `summary`: a list of objects with `text`,
//! and with `term` where the text is the meaning of a term that is used for the first time. Numbers in
//! it are counted from the initial ones. The language is that of `--lang`, or of the locale.
//!
//! What is absent is left out; it is never 0, `NaN` or `null`. Times are integer nanoseconds.
//! `at_ns` counts from the first `run` record of the stream, on a monotonic axis, and may be
//! negative for an estimate; that record's `unix_ns + at_ns` is the wall-clock time. `clock` says
//! who took the time: `hardware`, `kernel`, `user` or `virtual`. States have RFC 9293's names
//! (`SYN-SENT`), ends are `client` and `server`. Bytes are lower-case hexadecimal in fields whose
//! name ends in `_hex`.
//!
//! **`run`**, first of its flow: `at_ns`; `unix_ns` (wall clock at `at_ns`, nanoseconds since the
//! Unix epoch; absent in virtual time); `command`; `version` of shakedown; `target` {`name` as the
//! user wrote it, `addr`, `port`}; `source` {`addr`, `port`}; `interface`; `clock`; `guard`
//! (`filter`, `minttl`, `unneeded`); `end` where we are the `server`. `listen` begins with one for
//! the listener itself, whose `target` and `source` are the address at which it listens; then there
//! is one for each client, whose `target` is the client.
//!
//! **`segment`**, one that left or arrived: `dir` (`tx` from us, `rx` to us); `at_ns`; `clock`;
//! `flags` (`["SYN","ACK"]`); `seq`, `ack` as in the header, also where ACK is not set; `rel_seq`,
//! `rel_ack` counted from the initial sequence numbers, `rel_ack` only with ACK; `isn` and `peer_isn`
//! from which they count; `win` unscaled; `urg` the urgent pointer; `len` of the payload in bytes;
//! `data_hex` its first 64 bytes; `ttl`; `tos`; `id` and `df` (IPv4) or `flow_label` (IPv6);
//! `options` in order, each with `kind` (number), `name` and
//! `mss`: `value`; `wscale`: `shift`; `ts`: `val`, `ecr`; `sack`: `blocks` (pairs of absolute
//! sequence numbers); `fastopen`, `unknown`, `malformed`, `eol`: `data_hex`; `nop`, `sackok`:
//! nothing; `text` (packetdrill's notation, relative numbers); `note` (`retransmission` with
//! `attempt` from 1, `duplicate`, `rejected` with `reason`, `local-kernel`, `held`,
//! `challenge-ack`, `out-of-order`, `late`: its connection is over).
//!
//! **`transition`**: `end`, `from`, `to`, `at_ns` (an estimate unless `known` is `own`), `cause`
//! (`active open`, `SYN sent`, `FIN+ACK received`, `2 MSL passed` …), `known` (`own`, `proved`,
//! `implied`, `assumed`).
//!
//! **`confirmed`**, what was implied is now proved: `at_ns`, `end`, `state`, `cause`, `known`.
//! **`retracted`**, what was implied did not happen: `at_ns`, `end`, `believed`, `state`, `cause`.
//!
//! **`icmp`**, an error about a segment of ours: `at_ns`, `clock`, `rejected` (why it changed
//! nothing), and the fields of an ICMP error: `from`, `ttl`, `icmp_type`, `code`, `kind`
//! (`unreachable`, `port-unreachable`, `prohibited`, `time-exceeded`, `too-big` with `mtu` in bytes,
//! `parameter-problem`, `other`), `description`, `quote` {`src`, `src_port`, `dst`, `dst_port`,
//! `seq`}.
//!
//! **`notice`**: `at_ns`, `severity` (`info`, `warning`, `error`), `code` (a stable word), `text`.
//!
//! **`probe`**: `seq` from 1, `target`, `outcome`, `rtt_ns`, `clock`, `attempts` (SYNs sent),
//! `answered_by` {`addr`, `ttl`, `initial_ttl`, `hops`: the likely number of routers},
//! `granted` (an offer), `icmp` (an ICMP error), `reason` of an `invalid`.
//!
//! **`client`**, of `listen`, when a client's handshake is over and when its connection is: `number`
//! from 1, `stage` (`opened`, `ended`), `at_ns`, `client` and `server` {`addr`, `port`}, `outcome`
//! (`open` while it is; `closed`, `reset` by the client, `refused`, `filtered` where our SYN-ACK was
//! never acknowledged, `timeout`, `still-open`, `aborted` and `interrupted` by us), `established`,
//! `offered` (an offer: its SYN; absent behind a SYN cookie), `options` of its SYN in order
//! (packetdrill's words), `granted` (our SYN-ACK), `rtt_ns` with `clock` (from our SYN-ACK to its
//! acknowledgment), `suspect` (what its system may be: a suspicion), `syn_gaps_ns` and `fin_gaps_ns`
//! (times between the copies of its SYN and FIN), `received` and `acknowledged` (bytes), `resent`
//! (segments of ours with data that were sent again), `repeated` (segments of its own with data that
//! came again), `idle_ns` (we ended it because nothing had moved for so long), `close` (as in a summary, once ended),
//! `after_its_fin` (what it did with our data behind its FIN: `honoured`, `reset`), `lasted_ns`.
//! Segments are in the stream of `listen` only with `-v`.
//!
//! **`http`**, of `request`, directly behind the segment that carried it: `at_ns`, `dir`, `what`
//! (`tls-handshake`, `tls-ready` with `tls`, `tls-tickets` with their number `tickets`, `tls-alert` of
//! ours in the handshake, `close-notify`, `frames` with `frames`, the names of those of HTTP/2 that are
//! no part of a request or response, `request` and `head` with `line`, `end` with `bytes` of the body),
//! `request` (its number, from 1 in each course).
//!
//! **`request`**, when one has come to its end: `request`, `course` (from 0), `connection` (from 1),
//! `reused` (whether that had carried another), `http` (the version asked for: `1.0`, `1.1`, `2`),
//! `answered_in` (the response's), `method`, `url`, `sent_bytes` (of its body), `status`, `reason`,
//! `headers` (pairs), `bytes` (of the response's body), `complete`, `failure` (why not), `location`,
//! `begun_ns`, `sent_ns`, `first_byte_ns`, `last_byte_ns` (as `at_ns`), `times` {`blocked_ns`,
//! `dns_ns`, `tcp_ns` (SYN to SYN-ACK), `tls_ns`, `send_ns`, `wait_ns` (to the first byte),
//! `receive_ns`, `total_ns`}.
//!
//! **`connection`**, when one that carried requests is over: `connection`, `course`, `http`, `source`,
//! `outcome`, `answered` (requests), `rtt_ns` with `clock`, `tls` {`version`, `cipher`, `alpn`,
//! `verified`, `handshake_ns`}, `costs` {`opening`, `tls`, `exchange`, `closing`: each `segments` and
//! `bytes` of IP packets in both directions}, `closed_by` (`us`, `them`, `both`, `their-reset`,
//! `our-reset`, `nobody`), `close` (as in a summary), `closing_ns` (first FIN to last segment),
//! `idle_ns` (last response to the server's FIN, with `--idle`), `remark`.
//! Segments are in the stream of `request` only with `-v`.
//!
//! **`term`** is of `explain --json`, whose schema is in [`crate::report::explain::json`].
//!
//! **`path`**, **`server`**, **`check`** and **`change`** are of the battery, whose schema is in
//! [`crate::report::check::json`]; **`target`** belongs to the sweep.
//!
//! **`summary`**, always last, also after SIGINT: `outcome` (`open`, `refused`, `filtered`,
//! `unreachable`, `prohibited`, `invalid`, `closed`, `reset`, `timeout`, `still-open`,
//! `other-shape`, `interrupted`, `aborted` by us, `local-interference`;
//! of requests `answered`, `declined`, `untrusted`, `bad-status`), `as_expected`, `interrupted`, `elapsed_ns`,
//! `traffic` {`sent`, `received`, `retransmitted`, `rejected`: segments},
//! `handshake`, `close`, `probes` {outcome: number}, `listen`, `requests`.
//!
//! - `handshake`: `rtt_ns`, `clock`, `rtt_absent` (why, although an answer came), `attempts`,
//!   `offered`, `granted` (offers), `answered_by`, `icmp`, `exchange` {`sent`, `acknowledged`,
//!   `received`: bytes, `ack_delay_ns` until all was acknowledged, `clock`, `reply`: the beginning
//!   of what was received, `U+FFFD` for what is no UTF-8, `reply_hex`: the same, exactly}.
//! - `listen`: `outcomes` {outcome: number}, `opened`, `most` (connections at a time), `received` and
//!   `acknowledged` (bytes), `turned_away` (SYNs refused because the table was full), `cookies`,
//!   `cookies_redeemed`, `evicted` (half-open, for clients that brought a cookie back), `strays`
//!   (segments of no connection), `overflow` (segments dropped unread), `unsent` (packets that this
//!   host would not send).
//! - `requests`: `compared`, `clock` (the worst that stamped a segment), `courses` (each all requests
//!   in one version, once): `course`, `round` from 1, `http`, `outcome`, `finding` (why, where that is
//!   not `answered`), `asked`, `answered`, `connections`, `bytes` (of all bodies), `costs`,
//!   `opening_ns` (mean of TCP and TLS handshake of a connection), `total_ns` (first SYN to the end of
//!   the last response), `saved_ns` (handshakes saved by reuse, at that mean).
//! - an offer: `window` unscaled in bytes, `mss` in bytes, `mtu` that it implies, `wscale` shift,
//!   `sack`, `timestamps`, `ts_val`, `ecn`, `fast_open_hex` (cookie; empty where one is asked for),
//!   `ttl`.
//! - `close`: `asked`, `took_place` (`active`, `passive`, `simultaneous`, `half`, `abort`),
//!   `merged` (whether ACK of our FIN and their FIN came as one segment), `ack_of_fin_ns` with
//!   `ack_of_fin_clock` (the peer's kernel), `close_wait_ns` with `close_wait_clock` (the peer's
//!   application; 0 where both came in one segment), `bytes_after_fin`, `half_close` (`honoured`,
//!   `collapsed`, `reset`, `ignored`), `fin_attempts`, `fins_reacknowledged`, `time_wait_ns`,
//!   `our_state`, `peer_state`.
//!
//! ## Repeated probes
//!
//! What `rtt` prints, by [`crate::report::rtt::RttJsonReporter`]. Times whose names end in `at_ns`,
//! `due_ns`, `sent_ns` and `answered_ns` count from the moment at which the first probe is due.
//!
//! **`run`**, one for each target, before all others: `at_ns` 0; `unix_ns`; `command` `rtt`;
//! `version`; `target`; `target_index` from 0; `source` {`addr`; `port` where it is fixed, `ports`
//! where several take turns}; `interface`; `clock`; `guard`; `method` (`syn`, `handshake`, `fin`,
//! `data`); `interval_ns` from one probe of a target to its next; `count` of probes of each target,
//! absent where there is no end to it; `warm_up` probes before those; `timeout_ns`.
//!
//! **`probe`**, when its answer came or its time ran out: `flow` (its connection), `seq` from 1,
//! `target`, `target_index`, `index` (as in the rows of `--csv`: `seq` less 1), `outcome`, `fate`
//! (`answered`, `ambiguous`, `refused`, `icmp`, `late`, `lost`, `in-flight` where the run ended
//! first), `answer` (`open`, `refused`, `icmp`), `rtt_ns` where it counts in the figures, `phases`
//! {`data_ack_ns`, `fin_ack_ns`, `peer_fin_ns`}, `clock` (the worse of those of its intervals),
//! `attempts` (SYNs sent), `first_try` (`answered`, `lost`, `unknown`), `duplicates` where there are
//! any, `warm_up` (whether it counts in no figure), `source` {`addr`, `port`}, `iss`, `due_ns`,
//! `sent_ns`, `answered_ns`, `answered_by`, `remark` (why something is not there).
//!
//! **`late`**, the same fields, of a probe that was `lost` before and was answered after all.
//! **`duplicate`**, the same fields, of a probe that was answered again, with `at_ns` and `at_clock`
//! of that answer.
//!
//! **`statistics`**, before each `interim` and before the `summary`: for each target, for each of its
//! fixed source ports if there are several, and for all targets if there are several, one for each
//! `phase` (`handshake`, `data-ack`, `fin-ack`, `peer-fin`): `target` (absent: all), `source_port`
//! (absent: all), `times` {`count`, `min_ns`, `avg_ns`, `max_ns`, `mdev_ns`, `p50_ns`, `p90_ns`,
//! `p95_ns`, `p99_ns`, `p999_ns`, `jitter_ns` (RFC 3550), `percentile_error_ppm`: by how many
//! millionths a percentile may be wrong}, and with the handshake `probes` {`sent`; the classes
//! `answered`, `ambiguous`, `refused`, `icmp`, `late`, `lost`, `in_flight`, whose sum is `sent`;
//! `first_answered`, `first_lost`, `first_unknown`; `duplicates`, `reordered`; `lost_percent`,
//! `late_percent`, `first_lost_percent`, `attempts_per_success`}.
//!
//! **`interim`**, how it stands when the user asks: `elapsed_ns`; `traffic`; `probes` of all targets;
//! `left_out` {`unstamped`, `stepped`: intervals, `unsent`: probes}; `schedule` {`late`: by how much
//! probes left after their time, with the fields of `times`; `overrun`, `missed`: probes}; `error`,
//! by how much an interval may be wrong: {`total_ns`, absent where there is no bound;
//! `resolution_ns`, `rate_ns`, `conversion_ns`, `scheduling` (whether a stamp is of this process),
//! `transmit_clock`, `receive_clock`, `longest_ns` for which it holds, `included` in the intervals
//! beside the network}, absent without an interval; `drops` (packets lost between the kernel and us);
//! `clock_steps`. **`summary`** has those fields in place of `handshake`, `close` and `probes` by
//! outcome.

pub(crate) mod ascii;
mod listen;
pub(in crate::report) mod records;
mod request;
mod segment;
pub(in crate::report) mod summary;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use serde::Serialize;

use self::listen::Client;
use self::records::{Confirmed, Explanation, Icmp, Line, Notice, Retracted, Run, Transition};
use self::segment::Segment;
use self::summary::{Probe, Summary};
use crate::event::{Event, FlowId, Sink};
use crate::report::explain::{Lang, Narrator};
use crate::time::Instant;

/// Prints events for a program, each on its line the moment it comes. The schema is in this
/// [module's documentation](self).
#[derive(Debug)]
pub struct JsonReporter<W> {
    out: W,
    /// The moment of the first run, from which `at_ns` counts.
    origin: Option<Instant>,
    /// The family of the last run's addresses: the MTU that an MSS implies depends on it.
    is_ipv6: bool,
    /// Who explains the steps, where they are to be explained.
    narrator: Option<Narrator>,
    /// What the event that is being written means.
    explanation: Vec<Explanation>,
}

impl<W: Write> JsonReporter<W> {
    /// Writes to `out`.
    pub const fn new(out: W) -> Self {
        Self { out, origin: None, is_ipv6: false, narrator: None, explanation: Vec::new() }
    }

    /// Explains each step in `lang`, where there is one.
    #[must_use]
    pub fn explaining(mut self, lang: Option<Lang>) -> Self {
        self.narrator = lang.map(Narrator::new);
        self
    }

    /// The writer, for whoever wants what was written to memory.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Continues a stream whose `at_ns` count from `origin`.
    pub fn continuing(out: W, origin: Instant) -> Self {
        Self { origin: Some(origin), ..Self::new(out) }
    }

    fn line(&mut self, flow: FlowId, name: &'static str, record: impl Serialize) -> io::Result<()> {
        let explain = std::mem::take(&mut self.explanation);
        let mut bytes = ascii::to_vec(&Line { v: 1, name, flow: flow.0, record, explain })?;
        bytes.push(b'\n');
        self.out.write_all(&bytes)?;
        self.out.flush()
    }
}

impl<W: Write> Sink for JsonReporter<W> {
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        if let Event::Run(run) = event {
            self.origin.get_or_insert(run.at);
            self.is_ipv6 = run.target.is_ipv6();
        }
        let origin = self.origin.unwrap_or_default();
        if let Some(narrator) = &mut self.narrator {
            let paragraphs = narrator.hear(flow, event).into_iter();
            self.explanation = paragraphs.map(Explanation::from).collect();
        }
        match event {
            Event::Run(run) => self.line(flow, "run", Run::new(run, origin)),
            Event::Segment(segment) => self.line(flow, "segment", Segment::new(segment, origin)),
            Event::Icmp { at, error, rejected, .. } => {
                self.line(flow, "icmp", Icmp::new(*at, error, *rejected, origin))
            }
            Event::Transition(moved) => {
                self.line(flow, "transition", Transition::new(moved, origin))
            }
            Event::Confirmed { at, end, state, cause, known } => {
                let at_ns = at.signed_nanos_since(origin);
                let record = Confirmed {
                    at_ns,
                    end: end.name(),
                    state: state.name(),
                    cause: cause.to_string(),
                    known: known.name(),
                };
                self.line(flow, "confirmed", record)
            }
            Event::Retracted { at, end, believed, state, cause } => {
                let at_ns = at.signed_nanos_since(origin);
                let record = Retracted {
                    at_ns,
                    end: end.name(),
                    believed: believed.name(),
                    state: state.name(),
                    cause: cause.to_string(),
                };
                self.line(flow, "retracted", record)
            }
            Event::Probe(result) => self.line(flow, "probe", Probe::new(result, self.is_ipv6)),
            Event::Client(report) => self.line(flow, "client", Client::new(report, origin)),
            Event::Http(step) => self.line(flow, "http", request::Http::new(step, origin)),
            Event::Request(report) => {
                self.line(flow, "request", request::Request::new(report, origin))
            }
            Event::Connection(report) => {
                self.line(flow, "connection", request::Connection::from(&**report))
            }
            Event::Packet(_) | Event::Tick(_) => Ok(()),
            Event::Notice(notice) => self.line(flow, "notice", Notice::new(notice, origin)),
            Event::Summary(summary) => {
                self.line(flow, "summary", Summary::new(summary, self.is_ipv6))
            }
        }
    }
}
