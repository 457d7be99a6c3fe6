//! The hearing side of a sweep: what arrives is proved, credited once, answered and told.

use std::io;
use std::time::Duration;

use super::flights::{Awaited, Flight, Flights};
use super::mission::Mission;
use super::shared::{Asked, Shared};
use super::tally::Tally;
use crate::event::{
    Found, RttBy, SweepIcmp, SweepMethod, SweepOffer, SweepOutcome, SweepRtt, SweepSink,
};
use crate::net::bulk::Packet;
use crate::sweep::answer::{Answer, Echoes, Examiner, Heard, Kind, SynAck};
use crate::sweep::conversation::{self, Phase, Progress, ResetPhase, Sent, Step};
use crate::sweep::governor::Governor;
use crate::sweep::loss::Loss;
use crate::sweep::mark::Mark;
use crate::sweep::plan::Credit;
use crate::sweep::stamp::StampClock;
use crate::sweep::template::Reply;
use crate::time::{Instant, nanos_of};
use crate::wire::{Flags, IcmpKind};

/// Nanoseconds by which the kernel's stamp of an arrival may be late, as far as is known.
const ARRIVAL_ERROR: u64 = 1_000;

/// The hearing side.
pub(super) struct Listener<'a, S> {
    mission: &'a Mission,
    shared: &'a Shared,
    examiner: Examiner,
    pub(super) sink: S,
    pub(super) flights: Flights,
    pub(super) tally: Tally,
    pub(super) loss: Loss,
    /// Who decides how fast, where that is not fixed.
    pub(super) governor: Option<Governor>,
    replies: Vec<Asked>,
    /// Wall clock minus our axis, in nanoseconds.
    wall: Option<i64>,
    oldest_echo: u32,
    /// Why nothing more can be told.
    pub(super) failure: Option<io::Error>,
}

impl<'a, S: SweepSink> Listener<'a, S> {
    /// A listener that has heard nothing yet. `wall` is the wall clock minus our axis, in nanoseconds,
    /// and `start` the time before which nothing was sent.
    pub(super) fn new(
        mission: &'a Mission,
        shared: &'a Shared,
        sink: S,
        tally: Tally,
        loss: Loss,
        wall: Option<i64>,
        start: Instant,
    ) -> Self {
        let examiner = Examiner::new(
            mission.cookie.clone(),
            &mission.sources.all(),
            &mission.ports,
            mission.offer.timestamps,
            mission.conversation.beyond(),
        );
        Self {
            mission,
            shared,
            examiner,
            sink,
            flights: Flights::new(mission.patience),
            tally,
            loss,
            governor: None,
            replies: Vec::new(),
            wall,
            oldest_echo: mission.stamps.value(start),
            failure: None,
        }
    }

    /// Takes a packet in.
    pub(super) fn packet(&mut self, packet: &Packet<'_>) {
        if packet.outgoing {
            self.own_kernel(packet.bytes);
            return;
        }
        let newest = self.mission.stamps.value(packet.at + StampClock::SLACK);
        let echoes = Echoes { oldest: self.oldest_echo, newest };
        match self.examiner.examine(packet.bytes, packet.trust, echoes) {
            Heard::Answer(answer) => {
                if let Err(error) = self.answer(&answer, packet.at)
                    && self.failure.is_none()
                {
                    self.failure = Some(error);
                }
            }
            Heard::Rejected(why) => self.tally.reject(why.name()),
            Heard::Foreign => {}
        }
    }

    /// What is done with those that answer.
    pub(super) const fn method(&self) -> SweepMethod {
        self.mission.method
    }

    /// Hands the sender what is to be replied.
    pub(super) fn ask(&mut self) {
        self.shared.ask_for(&mut self.replies);
    }

    /// A RST that left this host: ours bear a window, the kernel's none.
    fn own_kernel(&mut self, bytes: &[u8]) {
        if let Ok((_, crate::wire::IpPayload::Tcp(segment))) = crate::wire::parse_ip(bytes)
            && let Ok(segment) = crate::wire::Segment::parse(segment)
            && segment.has(Flags::RST)
            && segment.window == 0
        {
            self.tally.own_resets += 1;
        }
    }

    fn answer(&mut self, answer: &Answer<'_>, at: Instant) -> io::Result<()> {
        let Some(position) = self.mission.position_of(answer.target) else {
            self.tally.reject("not-a-target");
            return Ok(());
        };
        if let Kind::Unreachable(unreachable) = answer.kind
            && !ends(unreachable.kind)
        {
            self.tally.reject("other-icmp");
            return Ok(());
        }
        let known = self.flights.get_mut(position).and_then(|flight| flight.peer);
        let step =
            conversation::reply(answer, &self.mission.conversation, self.tsval(answer, at), known);
        self.reply(&step);
        match step.progress.phase {
            Phase::Open => self.open(position, answer, &step, at),
            Phase::Reset(phase) => self.reset(position, answer, phase, at),
            Phase::Unreachable => self.unreachable(position, answer, at),
            _ => self.later(position, answer, &step, at),
        }
    }

    /// Our clock for a reply: never before the time that the SYN bore, which is a forecast; the peer
    /// would drop what seems to be older (PAWS, RFC 7323 §5.3).
    fn tsval(&self, answer: &Answer<'_>, at: Instant) -> u32 {
        let now = self.mission.stamps.value(at);
        let echo = match answer.kind {
            Kind::SynAck(syn_ack) => syn_ack.tsecr,
            Kind::Later(later) => later.tsecr,
            _ => None,
        };
        match echo {
            Some(echo) if echo.wrapping_sub(now).cast_signed() > 0 => echo,
            _ => now,
        }
    }

    /// Queues the replies of a step.
    fn reply(&mut self, step: &Step<'_>) {
        for reply in step.replies.iter().flatten() {
            let is_rst = reply.flags.contains(Flags::RST);
            if is_rst && !self.mission.reset {
                continue;
            }
            self.queue(reply);
        }
    }

    fn queue(&mut self, reply: &Reply<'_>) {
        let &Reply { source_port, target, flags, seq, ack, window, timestamps, .. } = reply;
        // What tells our RST from one of the kernel's: the field means nothing in it.
        let window =
            if flags.contains(Flags::RST) { self.mission.offer.window.max(1) } else { window };
        let data = place_of(self.mission, reply);
        self.replies.push(Asked { source_port, target, flags, seq, ack, window, timestamps, data });
    }

    /// Credits an answer.
    fn credit(&self, position: u64, mark: Mark, at: Instant, sent: Option<Instant>) -> Credit {
        self.shared.books().ledger.hear_echo(position, mark, at, sent)
    }

    /// A SYN-ACK.
    fn open(
        &mut self,
        position: u64,
        answer: &Answer<'_>,
        step: &Step<'_>,
        at: Instant,
    ) -> io::Result<()> {
        let Kind::SynAck(syn_ack) = answer.kind else { return Ok(()) };
        let sent = syn_ack.tsecr.and_then(|echo| self.mission.stamps.sent_at(echo, at));
        let (pass, once) = match self.credit(position, Mark::Open, at, sent) {
            Credit::First { pass, once } => (pass, once),
            // What a router or a firewall said was not the last word.
            Credit::Advanced { from: Mark::Unreachable | Mark::Refused } => (1, false),
            credit => {
                self.tally.repeat(credit);
                return Ok(());
            }
        };
        self.loss.first(Mark::Open, pass, sent.map(|sent| at.since(sent)));
        let rtt = self.rtt(position, once, sent, at);
        self.govern(pass, rtt, at);
        let mut found = self.found(answer, SweepOutcome::Open, pass, at);
        found.rtt = rtt;
        found.offer = Some(offer(&syn_ack));
        if self.mission.method == SweepMethod::HalfOpen {
            return self.tell(&found);
        }
        found.phases.handshake = rtt.map(|rtt| rtt.nanos);
        let mut flight = Flight::new(answer.target, answer.source_port, answer.isn, found);
        flight.peer = step.peer;
        flight.ts_recent = syn_ack.tsval;
        if self.mission.method == SweepMethod::Banner {
            flight.awaits = Awaited::Banner;
        } else {
            flight.fin_sent = Some(at);
        }
        self.flights.open(position, flight, at);
        Ok(())
    }

    /// A RST.
    fn reset(
        &mut self,
        position: u64,
        answer: &Answer<'_>,
        phase: ResetPhase,
        at: Instant,
    ) -> io::Result<()> {
        if let Some(mut flight) = self.flights.take(position) {
            self.credit(position, Mark::Reset, at, None);
            flight.found.outcome = SweepOutcome::Reset;
            return self.tell_close(&flight.found);
        }
        if phase != ResetPhase::Syn {
            self.tally.reject("stray-reset");
            return Ok(());
        }
        match self.credit(position, Mark::Refused, at, None) {
            Credit::First { pass, once } => {
                self.loss.first(Mark::Refused, pass, None);
                let mut found = self.found(answer, SweepOutcome::Refused, pass, at);
                found.rtt = self.rtt(position, once, None, at);
                self.govern(pass, found.rtt, at);
                self.tell(&found)
            }
            credit => {
                self.tally.repeat(credit);
                Ok(())
            }
        }
    }

    /// Tells the governor of a first answer.
    fn govern(&mut self, pass: u8, rtt: Option<SweepRtt>, at: Instant) {
        if let (Some(governor), 1, Some(rtt)) = (&mut self.governor, pass, rtt) {
            governor.answered(at.saturating_sub(Duration::from_nanos(rtt.nanos)), at);
        }
    }

    /// An ICMP error that ends it.
    fn unreachable(&mut self, position: u64, answer: &Answer<'_>, at: Instant) -> io::Result<()> {
        let Kind::Unreachable(said) = answer.kind else { return Ok(()) };
        match self.credit(position, Mark::Unreachable, at, None) {
            Credit::First { pass, once } => {
                let prohibited = said.kind == IcmpKind::Prohibited;
                self.tally.prohibited += u64::from(prohibited);
                let outcome =
                    if prohibited { SweepOutcome::Prohibited } else { SweepOutcome::Unreachable };
                let mut found = self.found(answer, outcome, pass, at);
                found.rtt = self.rtt(position, once, None, at);
                found.icmp =
                    Some(SweepIcmp { kind: said.kind, by: said.by, number: Some(said.said) });
                self.tell(&found)
            }
            credit => {
                self.tally.repeat(credit);
                Ok(())
            }
        }
    }

    /// A segment behind the handshake.
    fn later(
        &mut self,
        position: u64,
        answer: &Answer<'_>,
        step: &Step<'_>,
        at: Instant,
    ) -> io::Result<()> {
        let Progress { phase, fin_acked, payload, tsecr, .. } = step.progress;
        let Some(flight) = self.flights.get_mut(position) else { return Ok(()) };
        flight.peer = step.peer.or(flight.peer);
        if let Kind::Later(later) = answer.kind {
            flight.ts_recent = later.tsval.or(flight.ts_recent);
        }
        let closing = step.replies.iter().flatten().any(|reply| reply.flags.contains(Flags::FIN));
        if fin_acked && !flight.fin_acked {
            flight.fin_acked = true;
            // The acknowledgment echoes the segment that bore the FIN.
            let echoed = tsecr.and_then(|echo| self.mission.stamps.sent_at(echo, at));
            flight.fin_sent = echoed.or(flight.fin_sent);
            flight.found.phases.ack_of_fin = flight.fin_sent.map(|left| nanos_of(at.since(left)));
        }
        if closing && flight.fin_sent.is_none() {
            flight.fin_sent = Some(at);
        }
        if phase == Phase::Closed && flight.peer_closed.is_none() {
            flight.peer_closed = Some(at);
        }
        let over = phase == Phase::Cut || (flight.peer_closed.is_some() && flight.fin_acked);
        if !payload.is_empty() {
            flight.awaits = Awaited::Close;
            if self.mission.method == SweepMethod::Banner {
                self.flights.keep_banner(position, payload);
            }
            self.flights.wait(position, at);
        }
        if over {
            return self.closed(position, phase, at);
        }
        match phase {
            Phase::FinAcked => drop(self.credit(position, Mark::FinAcked, at, None)),
            Phase::Data => drop(self.credit(position, Mark::Data, at, None)),
            _ => {}
        }
        Ok(())
    }

    /// Both FINs have come and are acknowledged, or the peer was cut off that would not stop sending.
    fn closed(&mut self, position: u64, phase: Phase, at: Instant) -> io::Result<()> {
        let Some(mut flight) = self.flights.take(position) else { return Ok(()) };
        let (mark, outcome) = if phase == Phase::Cut {
            (Mark::FinAcked, SweepOutcome::StillOpen)
        } else {
            (Mark::Closed, SweepOutcome::Closed)
        };
        self.credit(position, mark, at, None);
        flight.found.outcome = outcome;
        if let (Some(sent), Some(came)) = (flight.fin_sent, flight.peer_closed) {
            // Not where they were first: then it is no answer to ours.
            flight.found.phases.fin = (sent <= came).then(|| nanos_of(came.since(sent)));
        }
        self.tell_close(&flight.found)
    }

    /// Ends the waits that are over at `now`: a server that says nothing is closed, one that does not
    /// close is reset.
    pub(super) fn wait_no_longer(&mut self, now: Instant) -> io::Result<()> {
        while let Some(position) = self.flights.overdue(now) {
            let Some(flight) = self.flights.get_mut(position) else { continue };
            if flight.awaits == Awaited::Banner
                && let Some(peer) = flight.peer
            {
                flight.awaits = Awaited::Close;
                flight.fin_sent = Some(now);
                let config = &self.mission.conversation;
                let stamps = flight.ts_recent.map(|echo| (self.mission.stamps.value(now), echo));
                let fin = Reply {
                    source_port: flight.source_port,
                    target: flight.target,
                    flags: Flags::FIN | Flags::ACK,
                    seq: flight.isn + config.beyond(),
                    ack: peer.next,
                    window: config.window(flight.found.offer.is_some_and(|o| o.wscale.is_some())),
                    timestamps: stamps,
                    payload: &[],
                };
                self.queue(&fin);
                self.flights.wait(position, now);
                continue;
            }
            if let Some(flight) = self.flights.take(position) {
                self.give_up(flight)?;
            }
        }
        Ok(())
    }

    /// Ends every connection that is still under way.
    pub(super) fn give_all_up(&mut self) -> io::Result<()> {
        self.flights.drain().into_iter().try_for_each(|(_, flight)| self.give_up(flight))
    }

    /// Resets a connection that does not come to its end, and tells how far it came.
    fn give_up(&mut self, mut flight: Flight) -> io::Result<()> {
        let sent = if flight.fin_sent.is_some() { Sent::Fin } else { Sent::Data };
        let Flight { source_port, target, isn, .. } = flight;
        let rst = conversation::abort(&self.mission.conversation, source_port, target, isn, sent);
        self.queue(&rst);
        flight.found.outcome = match (flight.fin_sent, flight.fin_acked) {
            (_, true) => SweepOutcome::StillOpen,
            (Some(_), false) => SweepOutcome::FinIgnored,
            // Cut short before it came to a close.
            (None, false) => SweepOutcome::Open,
        };
        self.tell_close(&flight.found)
    }

    /// What is known of a target by its first answer.
    fn found(&self, answer: &Answer<'_>, outcome: SweepOutcome, pass: u8, at: Instant) -> Found {
        let mut found = Found::new(answer.target.addr, answer.target.port, outcome);
        found.pass = Some(pass);
        found.ttl = Some(answer.ttl);
        let nanos = i64::try_from(at.as_nanos()).ok();
        found.unix_ns = self.wall.zip(nanos).map(|(wall, nanos)| wall + nanos);
        found
    }

    /// The round trip that ended at `at`: by the time that came back, else by the log.
    fn rtt(
        &self,
        position: u64,
        once: bool,
        echoed: Option<Instant>,
        at: Instant,
    ) -> Option<SweepRtt> {
        let (sent, by, error) = match echoed {
            Some(sent) => (
                sent,
                RttBy::Timestamp,
                self.shared.batch_nanos() + nanos_of(StampClock::RESOLUTION),
            ),
            None => {
                let (sent, error) = self.shared.books().sent_at(position, once, at)?;
                (sent, RttBy::Log, nanos_of(error))
            }
        };
        let (nanos, error) = interval(sent, error, at)?;
        Some(SweepRtt { nanos, by, error_nanos: error + ARRIVAL_ERROR })
    }

    fn tell(&mut self, found: &Found) -> io::Result<()> {
        self.sink.found(found)
    }

    fn tell_close(&mut self, found: &Found) -> io::Result<()> {
        self.tally.close(found);
        self.tell(found)
    }
}

/// Nanoseconds from `sent`, which may be wrong by `error` either way, to `at`, and by how much they may
/// be wrong. A SYN left before its answer came: where it seems not to have, it left at some time between
/// the earliest possible and `at`, so that no interval is ever nothing or less. `None` where even the
/// earliest lies behind.
///
/// The bound is far wider than the usual error: it says nothing about which part of it is likely.
fn interval(sent: Instant, error: u64, at: Instant) -> Option<(u64, u64)> {
    if sent < at {
        return Some((nanos_of(at.since(sent)), error));
    }
    let longest = nanos_of(at.since(sent.saturating_sub(Duration::from_nanos(error))));
    (longest > 1).then_some((longest / 2, longest / 2))
}

/// Which of the data that every target is sent a reply carries, from and to: its number says it.
fn place_of(mission: &Mission, reply: &Reply<'_>) -> (u16, u16) {
    if reply.payload.is_empty() {
        return (0, 0);
    }
    let Some(source) = mission.sources.toward(reply.target.addr) else { return (0, 0) };
    let isn = mission.cookie.isn(source, reply.source_port, reply.target);
    let from = reply.seq.offset_from(isn + 1);
    let place = |at: u32| u16::try_from(at).unwrap_or(u16::MAX);
    let len = u32::try_from(reply.payload.len()).unwrap_or(u32::MAX);
    (place(from), place(from.saturating_add(len)))
}

/// Whether an ICMP error says that a SYN did not get through.
const fn ends(kind: IcmpKind) -> bool {
    !matches!(kind, IcmpKind::TooBig(_) | IcmpKind::Other)
}

fn offer(syn_ack: &SynAck) -> SweepOffer {
    SweepOffer {
        window: syn_ack.window,
        mss: syn_ack.mss,
        wscale: syn_ack.wscale,
        sack: syn_ack.sack,
        timestamps: syn_ack.tsval.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_interval_is_nothing_or_less() {
        let at = |nanos| Instant::from_nanos(nanos);
        assert_eq!(interval(at(1_000), 200, at(5_000)), Some((4_000, 200)));
        // A bound that reaches beyond does not move it.
        assert_eq!(interval(at(4_900), 200, at(5_000)), Some((100, 200)));
        // It left between 4,800 and 5,000 at the latest.
        assert_eq!(interval(at(5_000), 200, at(5_000)), Some((100, 100)));
        assert_eq!(interval(at(5_100), 200, at(5_000)), Some((50, 50)));
        assert_eq!(interval(at(6_000), 200, at(5_000)), None);
    }
}
