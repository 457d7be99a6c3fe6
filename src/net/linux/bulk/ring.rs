//! Hears what arrives for a sweep, through a ring of memory that is shared with the kernel.
//!
//! As with the [capture](crate::net::linux::capture), the socket is cooked, opened deaf, given its
//! filter, and bound last, to every interface: our own kernel's ICMP errors come by the loopback.
//! Of what leaves it shows RSTs alone, whose window is zero as the kernel's is, so that "your own
//! kernel reset this" can be told from the peer's doing.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use socket2::{Domain, SockFilter, Socket, Type};

use super::mapping::Blocks;
use super::records::Records;
use super::spare::Spare;
use crate::net::bulk::{Collect, Collected, Packet, Step, Wake};
use crate::net::linux::clock::{self, ClockMap, ClockStep, Sample};
use crate::net::linux::filter::{Coverage, sweep_program};
use crate::net::linux::signals::{Request, Signals};
use crate::net::linux::sys;
use crate::time::Instant;

/// Bytes of a block: 900 answers, or two segments merged by receive offload.
const BLOCK: usize = 128 << 10;
/// Blocks of the ring, 16 MB: at a million packets a second a tenth of a second, at low rates as
/// many answers as come within half a second, each in a block of its own.
const BLOCKS: [usize; 3] = [128, 32, 8];
/// Of a ring that hears only what is left over: 2 MB.
const FEW: [usize; 2] = [16, 4];
/// Milliseconds after which the kernel hands a block over that is not full: the delay of an answer
/// at low rates, which its stamp does not have.
const RETIRE: u32 = 4;
/// `TPACKET_V3`.
const VERSION: i32 = 2;
/// Our own kernel's ICMP errors. Its index is 1 in every namespace.
const LOOPBACK: u32 = 1;

/// What to hear.
#[derive(Clone, Debug, Default)]
pub struct Interest {
    /// The indexes of the interfaces that answers come by; the loopback is always heard.
    pub interfaces: Vec<u32>,
    /// Our addresses.
    pub sources: BTreeSet<IpAddr>,
    /// Our ports. More than 48 of them are heard as a range, in which others' may be.
    pub ports: BTreeSet<u16>,
}

/// Ends a wait of the ring from another thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<UnixDatagram>);

impl Waker {
    /// Ends the wait that goes on, or the next one.
    pub fn wake(&self) {
        // Full means that a wake-up waits already; closed, that nobody does.
        let _ = self.0.send(&[0]);
    }
}

/// The receive ring.
#[derive(Debug)]
pub struct Ring {
    blocks: Blocks,
    socket: Socket,
    map: ClockMap,
    drops: u64,
    called: UnixDatagram,
    waker: Waker,
    signals: Option<Signals>,
    spares: Vec<Spare>,
}

impl Ring {
    /// Opens the ring. Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// The kernel refuses the socket, one of its options, or the memory.
    pub fn open(interest: &Interest) -> io::Result<Self> {
        Self::of(interest, &BLOCKS)
    }

    /// Opens a ring for what something in front of it leaves over. Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn for_the_rest(interest: &Interest) -> io::Result<Self> {
        Self::of(interest, &FEW)
    }

    /// Opens a ring of the first number of blocks that there is memory for.
    fn of(interest: &Interest, blocks: &[usize]) -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
        let fd = socket.as_fd();
        let mut interfaces = interest.interfaces.clone();
        if !interfaces.contains(&LOOPBACK) {
            interfaces.push(LOOPBACK);
        }
        let coverage = Coverage::of(&interest.ports);
        let program = sweep_program(&interfaces, &interest.sources, &coverage);
        let program: Vec<SockFilter> = program.into_iter().map(Into::into).collect();
        socket.attach_filter(&program)?;
        sys::set_option(fd, libc::SOL_PACKET, libc::PACKET_VERSION, VERSION)?;
        let mut result = Err(io::Error::from_raw_os_error(libc::ENOMEM));
        for &count in blocks {
            result = request(&socket, count).map(|()| count);
            if !matches!(&result, Err(error) if error.raw_os_error() == Some(libc::ENOMEM)) {
                break;
            }
        }
        let blocks = Blocks::map(fd, BLOCK, result?)?;
        // Before the first packet: no stamp may be older by much.
        let map = ClockMap::new(Sample::careful());
        sys::bind_packet(fd, libc::ETH_P_ALL as u16, 0)?;
        let (called, waker) = UnixDatagram::pair()?;
        called.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        let waker = Waker(Arc::new(waker));
        let (signals, spares) = (None, Vec::new());
        Ok(Self { blocks, socket, map, drops: 0, called, waker, signals, spares })
    }

    /// Also ends a wait when one of `signals` arrives.
    pub fn heed(&mut self, signals: Signals) {
        self.signals = Some(signals);
    }

    /// Also answers for `spare` whenever it waits or looks.
    pub fn answer_for(&mut self, spare: Spare) {
        self.spares.push(spare);
    }

    /// Ends waits from another thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// The wall-clock time of a point in time, nanoseconds since 1970.
    #[must_use]
    pub const fn unix_ns(&self, at: Instant) -> u64 {
        self.map.unix_ns(at)
    }

    /// Hands over all that is there, at most one ring full.
    fn drain(&mut self, step: &mut Option<Step>, each: &mut dyn FnMut(Packet<'_>)) -> usize {
        let mut packets = 0;
        for _ in 0..self.blocks.count() {
            let Some(block) = self.blocks.ready() else { break };
            // After the block has come: see ClockMap::check.
            let read = check_clock(&mut self.map, step);
            for record in Records::of(block) {
                let at = self.map.instant(record.wall, read).unwrap_or(read);
                let (bytes, trust) = (record.bytes, record.trust);
                each(Packet { bytes, at, trust, outgoing: record.outgoing });
                packets += 1;
            }
            self.blocks.release();
        }
        packets
    }

    /// Waits for a packet, or for one of `others`, for `left` at the longest; says what else there was.
    fn wait(&mut self, left: TimeSpec, others: &[BorrowedFd<'_>]) -> io::Result<Option<Wake>> {
        let mut set = vec![
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.called.as_fd(), PollFlags::POLLIN),
        ];
        if let Some(signals) = &self.signals {
            set.push(PollFd::new(signals.as_fd(), PollFlags::POLLIN));
        }
        set.extend(self.spares.iter().map(|it| PollFd::new(it.as_fd(), PollFlags::POLLIN)));
        set.extend(others.iter().map(|it| PollFd::new(*it, PollFlags::POLLIN)));
        match ppoll(&mut set, Some(left), None) {
            Ok(0) | Err(Errno::EINTR) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let failed = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        let events = |at: usize| set[at].revents().unwrap_or(PollFlags::empty());
        let (failed, called) = (events(0).intersects(failed), !events(1).is_empty());
        let other = (set.len() - others.len()..set.len()).any(|at| !events(at).is_empty());
        if failed && let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        for spare in &mut self.spares {
            spare.answer()?;
        }
        if let Some(signals) = &mut self.signals {
            match signals.read()? {
                Some(Request::End) => return Ok(Some(Wake::Interrupted)),
                Some(Request::Status) => return Ok(Some(Wake::StatusRequested)),
                None => {}
            }
        }
        if called {
            while self.called.recv(&mut [0; 8]).is_ok() {}
            return Ok(Some(Wake::Called));
        }
        Ok(other.then_some(Wake::Packets))
    }
}

/// Gives the socket its ring.
fn request(socket: &Socket, count: usize) -> io::Result<()> {
    let word = |value: usize| u32::try_from(value).map_err(io::Error::other);
    // `struct tpacket_req3`: block size, blocks, frame size, frames, timeout, private, features.
    // Frames have no fixed size here; the kernel only checks that the numbers agree.
    let frame = 2048;
    let words =
        [word(BLOCK)?, word(count)?, word(frame)?, word(BLOCK / frame * count)?, RETIRE, 0, 0];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    sys::set_structure(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_RX_RING, &bytes)
}

/// Looks for a step of the wall clock; says what time it is.
fn check_clock(map: &mut ClockMap, step: &mut Option<Step>) -> Instant {
    let sample = Sample::take();
    let best = if map.agrees(sample) { sample } else { Sample::careful() };
    if let Some(ClockStep { at, by, error, .. }) = map.check(best) {
        // Two within one call count as one: nothing between them is placed by the first alone.
        let before = step.map_or((0, 0), |step| (step.by, step.error));
        *step = Some(Step { at, by: before.0 + by, error: before.1 + error });
    }
    Instant::from_nanos(sample.before)
}

impl Ring {
    /// As [`Collect::collect`]; what arrives at one of `others` ends the wait, too, and is left there.
    pub(super) fn gather(
        &mut self,
        until: Instant,
        others: &[BorrowedFd<'_>],
        each: &mut dyn FnMut(Packet<'_>),
    ) -> io::Result<Collected> {
        let mut step = None;
        loop {
            let packets = self.drain(&mut step, each);
            let now = clock::now();
            let left = if packets > 0 { std::time::Duration::ZERO } else { until.since(now) };
            if let Some(wake) = self.wait(TimeSpec::from_duration(left), others)? {
                return Ok(Collected { packets, wake, step, behind: false });
            }
            if packets > 0 {
                return Ok(Collected { packets, wake: Wake::Packets, step, behind: false });
            }
            if now >= until && self.blocks.ready().is_none() {
                // While there is time: the oftener, the surer a step's place.
                check_clock(&mut self.map, &mut step);
                return Ok(Collected { packets, wake: Wake::Deadline, step, behind: false });
            }
        }
    }
}

impl Collect for Ring {
    fn name(&self) -> &'static str {
        "af_packet"
    }

    fn collect(
        &mut self,
        until: Instant,
        each: &mut dyn FnMut(Packet<'_>),
    ) -> io::Result<Collected> {
        self.gather(until, &[], each)
    }

    fn drops(&mut self) -> io::Result<u64> {
        // Reading resets the kernel's counter.
        self.drops += u64::from(sys::packet_drops(self.socket.as_fd())?);
        Ok(self.drops)
    }
}
