//! A capture file of exactly our packets, for Wireshark, tshark, tcpdump and their family.
//!
//! **Format**: pcapng. One section, whose header names the program and its command line. An
//! interface for each one that the run uses, `if_tsresol` 9. A packet block for each packet, with
//! the bytes that the kernel's capture saw, the clock's stamp in nanoseconds, the direction
//! (`epb_flags`) and one comment. At the end statistics of each interface, with the kernel's drops.
//!
//! **Link type**: `LINKTYPE_RAW`, on Ethernet, loopback and tun alike. The capture is cooked and has
//! no link header; a made-up one (SLL2) would show addresses and types that nobody saw, and what of
//! it is true, the direction and the interface, pcapng says by itself: in Wireshark
//! `frame.packet_flags_direction` and `frame.interface_name`.
//!
//! **Comments**: what is special about the packet (`retransmission 1`, `rejected: …`), then the
//! transitions that it causes or that caused it, and notices, with `; ` between: one comment, because
//! readers of before 2021 keep one only. What happened at another time than the packet's says by how
//! much; `~` marks an estimate. What has no packet that is still to be written (a timer ended a probe
//! among many) is in the comment of the statistics.
//!
//! **Time**: the stamp on the axis of the JSON stream: `unix_ns` of the first `run` plus `at_ns`.
//! Simulated packets have virtual time, from 1970 on.
//!
//! **Whole at any time**: a packet is held back until the next one comes, since what is to be said of
//! it follows it; every block goes out in one write; so the file ends with a whole block whenever the
//! process is killed.
//!
//! A segment of which the capture has not shown a copy is not in the file: it may not have left.

mod block;
mod comment;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write};

use self::comment::Remark;
use crate::event::{ClientStage, Event, FlowId, Run, Sink};
use crate::net::Dir;
use crate::time::{Instant, Stamp};

/// Remarks without a packet that are kept for the end.
const LEFTOVERS: usize = 200;

/// Asks how many packets the kernel has dropped, where it knows.
pub type Drops = Box<dyn FnMut() -> Option<u64>>;

/// Writes a capture file. See the [module's documentation](self).
pub struct PcapngReporter<W: Write> {
    out: W,
    /// Asked at the end, and let go of with that: it may hold a socket.
    drops: Option<Drops>,
    /// Names of the interfaces, with the packets written of each.
    interfaces: Vec<(String, u64)>,
    /// The flows that are not over.
    flows: HashMap<FlowId, Flow>,
    held: Option<Held>,
    origin: Option<Origin>,
    /// The latest time heard of.
    latest: Instant,
    leftovers: Vec<String>,
    leftovers_beyond: usize,
    /// Written to its end, or failed: nothing more is written.
    over: bool,
}

/// What is known of a flow.
struct Flow {
    interface: u32,
    /// The two ends, for remarks that stand far from its packets.
    ends: String,
    /// What is to be said of the next packet.
    ahead: Vec<Remark>,
}

/// A packet that is still to be written.
struct Held {
    flow: FlowId,
    interface: u32,
    dir: Dir,
    at: Instant,
    bytes: Vec<u8>,
    remarks: Vec<Remark>,
}

/// A moment on the axis of the stamps, and the wall clock's time at it.
#[derive(Clone, Copy)]
struct Origin {
    at: Instant,
    unix_ns: i64,
}

impl Origin {
    fn unix_ns(self, at: Instant) -> u64 {
        let nanos = i128::from(self.unix_ns) + i128::from(at.signed_nanos_since(self.at));
        u64::try_from(nanos).unwrap_or(0)
    }
}

impl<W: Write> PcapngReporter<W> {
    /// Begins a file: by `application` (name and version), which was called as `command_line`.
    /// Each block is one [`write`](Write::write) to `out`.
    ///
    /// # Errors
    /// The beginning cannot be written.
    pub fn new(mut out: W, application: &str, command_line: &str) -> io::Result<Self> {
        out.write_all(&block::section_header(application, command_line))?;
        out.flush()?;
        Ok(Self {
            out,
            drops: None,
            interfaces: Vec::new(),
            flows: HashMap::new(),
            held: None,
            origin: None,
            latest: Instant::ZERO,
            leftovers: Vec::new(),
            leftovers_beyond: 0,
            over: false,
        })
    }

    /// Asks `drops` at the end how many packets the kernel has dropped.
    pub fn count_drops(&mut self, drops: Drops) {
        self.drops = Some(drops);
    }

    fn write(&mut self, block: &[u8]) -> io::Result<()> {
        if self.over {
            return Ok(());
        }
        let written = self.out.write_all(block).and_then(|()| self.out.flush());
        // What cannot be written once would leave a hole if it went on later.
        self.over = written.is_err();
        written
    }

    /// The flow's interface, described in the file.
    fn begin(&mut self, id: FlowId, run: &Run) -> io::Result<()> {
        self.origin.get_or_insert(Origin { at: run.at, unix_ns: run.unix_ns.unwrap_or_default() });
        self.latest = self.latest.max(run.at);
        let known = self.interfaces.iter().position(|(name, _)| *name == run.interface);
        let index = match known {
            Some(index) => index,
            None => {
                self.interfaces.push((run.interface.clone(), 0));
                let description =
                    format!("packets of shakedown without link headers, {} clock", run.clock);
                self.write(&block::interface_description(&run.interface, &description))?;
                self.interfaces.len() - 1
            }
        };
        let interface = u32::try_from(index).unwrap_or_default();
        let ends = format!("{} > {}", run.source, run.target);
        self.flows.insert(id, Flow { interface, ends, ahead: Vec::new() });
        Ok(())
    }

    /// Writes the packet before, and holds this one back.
    fn packet(
        &mut self,
        id: FlowId,
        (dir, stamp): (Dir, Stamp),
        bytes: &[u8],
        remark: Option<Remark>,
    ) -> io::Result<()> {
        let written = self.release();
        let flow = self.flows.get_mut(&id);
        let (interface, mut remarks) = match flow {
            Some(flow) => (flow.interface, std::mem::take(&mut flow.ahead)),
            None => (0, Vec::new()),
        };
        // What the packet is comes first.
        remarks.splice(0..0, remark);
        self.held =
            Some(Held { flow: id, interface, dir, at: stamp.at, bytes: bytes.to_vec(), remarks });
        written
    }

    /// Writes the packet that is held back.
    fn release(&mut self) -> io::Result<()> {
        let (Some(held), Some(origin)) = (self.held.take(), self.origin) else { return Ok(()) };
        let Held { interface, dir, at, bytes, remarks, .. } = held;
        if let Some((_, packets)) = self.interfaces.get_mut(interface as usize) {
            *packets += 1;
        }
        self.latest = self.latest.max(at);
        let comment: Vec<String> = remarks.iter().map(|remark| remark.on(at)).collect();
        let nanos = origin.unix_ns(at);
        self.write(&block::packet(interface, nanos, dir, &bytes, &comment.join("; ")))
    }

    /// Says something of the flow's packet that is held back, or of its next one.
    fn remark(&mut self, id: FlowId, remark: Remark, of_the_next: bool) {
        let held = self.held.as_mut().filter(|held| held.flow == id && !of_the_next);
        if let Some(held) = held {
            held.remarks.push(remark);
        } else if let Some(flow) = self.flows.get_mut(&id) {
            flow.ahead.push(remark);
        }
    }

    /// No more packets of this flow are awaited: what was to be said of the next one is said of the
    /// last, or at the end.
    fn conclude(&mut self, id: FlowId) {
        let Some(flow) = self.flows.get_mut(&id) else { return };
        let ahead = std::mem::take(&mut flow.ahead);
        if let Some(held) = self.held.as_mut().filter(|held| held.flow == id) {
            held.remarks.extend(ahead);
            return;
        }
        let start = self.origin.map_or(Instant::ZERO, |origin| origin.at);
        let room = LEFTOVERS - self.leftovers.len();
        self.leftovers_beyond += ahead.len().saturating_sub(room);
        let ends = &flow.ends;
        let lines = ahead.iter().map(|remark| format!("{ends}: {}", remark.since(start)));
        self.leftovers.extend(lines.take(room));
    }

    /// Writes what is left, and the statistics.
    fn finish(&mut self) -> io::Result<()> {
        if self.over {
            return Ok(());
        }
        let mut open: Vec<FlowId> = self.flows.keys().copied().collect();
        open.sort_unstable();
        for id in open {
            self.conclude(id);
        }
        let written = self.release();
        let Some(origin) = self.origin else { return written };
        let mut dropped = self.drops.take().and_then(|mut ask| ask());
        let mut comment = std::mem::take(&mut self.leftovers);
        if self.leftovers_beyond > 0 {
            comment.push(format!("and {} more", self.leftovers_beyond));
        }
        let (start, end) = (origin.unix_ns(origin.at), origin.unix_ns(self.latest));
        for (interface, (_, delivered)) in (0..).zip(std::mem::take(&mut self.interfaces)) {
            // One socket hears all of them: its drops are counted once.
            let (dropped, comment) = (dropped.take(), std::mem::take(&mut comment).join("; "));
            let statistics =
                block::Statistics { interface, start, end, dropped, delivered, comment };
            self.write(&block::interface_statistics(&statistics))?;
        }
        self.over = true;
        written
    }
}

impl<W: Write> Sink for PcapngReporter<W> {
    /// # Errors
    /// The output failed; from then on nothing more is written, and nothing more fails.
    fn record(&mut self, flow: FlowId, event: &Event) -> io::Result<()> {
        match event {
            Event::Run(run) => self.begin(flow, run),
            Event::Segment(segment) => {
                let remark = segment.note.map(|note| Remark::plain(note.to_string()));
                if let Some(bytes) = &segment.bytes {
                    return self.packet(flow, (segment.dir, segment.stamp), bytes, remark);
                }
                // What follows is about this segment, and not about the one before.
                let written = self.release();
                if let Some(remark) = remark {
                    self.remark(flow, remark, true);
                }
                written
            }
            Event::Icmp { at, rejected, bytes, .. } => {
                let remark = rejected.map(|reason| Remark::plain(format!("rejected: {reason}")));
                self.packet(flow, (Dir::Rx, *at), bytes, remark)
            }
            Event::Packet(packet) => {
                let remark =
                    (!packet.remark.is_empty()).then(|| Remark::plain(packet.remark.clone()));
                self.packet(flow, (packet.dir, packet.stamp), &packet.bytes, remark)
            }
            Event::Transition(_)
            | Event::Confirmed { .. }
            | Event::Retracted { .. }
            | Event::Http(_)
            | Event::Notice(_) => {
                if let Some(remark) = Remark::of(event) {
                    self.remark(flow, remark, comment::leads(event));
                }
                Ok(())
            }
            Event::Tick(_) | Event::Request(_) => Ok(()),
            Event::Client(client) if client.stage == ClientStage::Opened => Ok(()),
            Event::Probe(_) | Event::Client(_) | Event::Connection(_) => {
                self.conclude(flow);
                self.flows.remove(&flow);
                Ok(())
            }
            Event::Summary(summary) => {
                let start = self.origin.map_or(Instant::ZERO, |origin| origin.at);
                self.latest = self.latest.max(start + summary.elapsed);
                self.finish()
            }
        }
    }
}

impl<W: Write> Drop for PcapngReporter<W> {
    /// A run that ends by an error has no summary.
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

impl<W: Write> fmt::Debug for PcapngReporter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PcapngReporter").field("over", &self.over).finish_non_exhaustive()
    }
}
