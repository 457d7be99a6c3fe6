//! A recorded trace in place of the network: the same script over the same arrivals at the same
//! times comes to the same verdict.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::Check;
use super::finding::finding_of;
use super::lab::{Core, Lab, Setting, Stand};
use crate::event::{Entry, Finding, Step, Trace};
use crate::net::{ChecksumTrust, Dir, Facts, Frame, GuardKind, Received, Wire};
use crate::time::{Clock, Instant};
use crate::wire::{IpPayload, Packet, Segment, TcpOption, checksum, parse_ip};

/// Runs a check over what was recorded of an earlier run of it.
///
/// # Errors
/// The trace has no conversation, or ends before the script does: it is of another check.
pub fn replay(check: &Check, setting: Setting, trace: &Trace) -> io::Result<Finding> {
    let Some(first) = trace.conversations.first() else {
        return Err(io::Error::other("a trace without a conversation"));
    };
    let stand = Recorded::new(trace);
    // The target that the check was run against: of several remote ports, others are closed ones.
    let closed = setting.path.closed_port.map(|closed| closed.port);
    let target = trace.conversations.iter().map(|ends| ends.remote);
    let target =
        target.clone().find(|remote| Some(remote.port()) != closed).unwrap_or(first.remote);
    let core = Core::new(Box::new(stand), first.local.ip(), target)?;
    let core = Rc::new(RefCell::new(core));
    let lab = Lab::new(&core, &Rc::new(setting));
    let mut script = (check.script)(lab);
    loop {
        if let Poll::Ready(ruling) = script.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Ok(finding_of(ruling));
        }
        core.borrow_mut().turn(None)?;
    }
}

/// One conversation as it was recorded.
struct Ends {
    port: u16,
    iss: u32,
    /// TSval of our segments, in the order of sending.
    said: VecDeque<u32>,
    /// What we said then, by what we say now.
    echoes: HashMap<u32, u32>,
}

/// A wire that plays a trace.
struct Recorded {
    facts: Facts,
    now: Instant,
    /// What arrived, in order of time.
    arrivals: VecDeque<Entry>,
    conversations: Vec<Ends>,
    taken: usize,
}

impl Recorded {
    fn new(trace: &Trace) -> Self {
        let facts = Facts {
            interface: "replay".to_owned(),
            mtu: 1500,
            clock: Clock::Virtual,
            guard: GuardKind::Unneeded,
        };
        let mut conversations: Vec<Ends> = trace
            .conversations
            .iter()
            .map(|ends| Ends {
                port: ends.local.port(),
                iss: ends.iss.0,
                said: VecDeque::new(),
                echoes: HashMap::new(),
            })
            .collect();
        let mut arrivals = VecDeque::new();
        for entry in &trace.entries {
            match &entry.step {
                Step::Segment { dir: Dir::Tx, packet: Some(packet), .. } => {
                    let said = packet.segment.timestamps().map(|(value, _)| value);
                    if let Some(ends) = conversations.get_mut(entry.conversation) {
                        ends.said.extend(said);
                    }
                }
                Step::Segment { dir: Dir::Rx, .. } | Step::Icmp { dir: Dir::Rx, .. } => {
                    arrivals.push_back(entry.clone());
                }
                _ => {}
            }
        }
        let now = trace.entries.first().map_or(Instant::ZERO, |entry| entry.stamp.at);
        Self { facts, now, arrivals, conversations, taken: 0 }
    }

    /// The packet as it would have arrived, had we said then what we say now.
    fn with_our_echo(&self, entry: &Entry) -> Vec<u8> {
        let bytes = bytes_of(entry);
        let Some(ends) = self.conversations.get(entry.conversation) else { return bytes };
        let Ok((ip, IpPayload::Tcp(segment))) = parse_ip(&bytes) else { return bytes };
        let Ok(mut segment) = Segment::parse(segment) else { return bytes };
        for option in &mut segment.options {
            if let TcpOption::Timestamps { echo, .. } = option
                && let Some(now) = ends.echoes.get(echo)
            {
                *echo = *now;
            }
        }
        Packet { ip, segment }.emit().unwrap_or(bytes)
    }
}

fn bytes_of(entry: &Entry) -> Vec<u8> {
    match &entry.step {
        Step::Segment { bytes, .. } | Step::Icmp { bytes, .. } => bytes.clone(),
        Step::Silence(_) => Vec::new(),
    }
}

fn has_right_checksum(entry: &Entry) -> bool {
    let bytes = bytes_of(entry);
    match parse_ip(&bytes) {
        Ok((ip, IpPayload::Tcp(segment))) => checksum::tcp_is_right(ip.src, ip.dst, segment),
        _ => false,
    }
}

impl Wire for Recorded {
    fn now(&self) -> Instant {
        self.now
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        let Ok((_, IpPayload::Tcp(segment))) = parse_ip(packet) else { return Ok(()) };
        let Ok(segment) = Segment::parse(segment) else { return Ok(()) };
        let ends = self.conversations.iter_mut().find(|ends| ends.port == segment.src_port);
        if let (Some(ends), Some((value, _))) = (ends, segment.timestamps())
            && let Some(then) = ends.said.pop_front()
        {
            ends.echoes.insert(then, value);
        }
        Ok(())
    }

    fn receive(&mut self, until: Instant) -> io::Result<Received> {
        let due = self.arrivals.front().is_some_and(|next| next.stamp.at <= until.max(self.now));
        let Some(entry) = due.then(|| self.arrivals.pop_front()).flatten() else {
            self.now = self.now.max(until);
            return Ok(Received::Timeout);
        };
        self.now = self.now.max(entry.stamp.at);
        // Where the capture could not judge a checksum, the bytes that it kept have a wrong one.
        let wrong = entry.label.starts_with("wrong checksum");
        let checksum = if wrong || has_right_checksum(&entry) {
            ChecksumTrust::Verify
        } else {
            ChecksumTrust::Vouched
        };
        let bytes = if wrong { bytes_of(&entry) } else { self.with_our_echo(&entry) };
        Ok(Received::Frame(Frame { dir: Dir::Rx, stamp: entry.stamp, bytes, checksum }))
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl Stand for Recorded {
    fn take_port(&mut self) -> io::Result<u16> {
        let ends = self.conversations.get(self.taken);
        self.taken += 1;
        ends.map(|ends| ends.port)
            .ok_or_else(|| io::Error::other("the script opens more than the trace has"))
    }

    fn release_port(&mut self, _port: u16) {}

    fn words(&mut self) -> io::Result<[u32; 4]> {
        let ends = self.taken.checked_sub(1).and_then(|last| self.conversations.get(last));
        Ok([ends.map_or(1, |ends| ends.iss), 1, 1, 1])
    }
}
