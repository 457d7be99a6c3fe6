//! The sending side of a sweep: replies first, then SYNs as the pace allows.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use super::mission::Mission;
use super::shared::{Asked, Shared};
use super::track::Track;
use super::watch::Watch;
use crate::net::bulk::Refusal;
use crate::sweep::limits::Limits;
use crate::sweep::pace::Pace;
use crate::sweep::parking::{self, Parking};
use crate::sweep::plan::{Draw, Next};
use crate::time::{Instant, nanos_of};

/// SYNs between two readings of the clock: each bears the time at which it will leave.
pub(super) const BATCH: usize = 16;
/// SYNs that are drawn at once: the books are opened for all of them together.
const ROUND: usize = 8 * BATCH;
/// Wakings a second at most, where the rate is high.
const WAKINGS: u64 = 4_000;
/// SYNs by which each way out is timed.
pub(super) const TRIAL: usize = 256;
/// How long the kernel is left alone that has refused a frame.
const RESPITE: Duration = Duration::from_micros(200);
/// Respites for one lot of replies at most: a second in all.
const MOST_RESTS: u32 = 5_000;
/// Frames that the interface drops without a word between two looks, for a second sender to give up.
const MANY: u64 = 16;
/// How soon a sender looks again that is held back.
const HELD: Duration = Duration::from_millis(1);
/// How soon it looks again where nothing is to be done.
const IDLE: Duration = Duration::from_secs(1);

/// What the sender does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rest {
    /// There is more to do at once.
    Busy,
    /// Nothing before this, unless a reply is asked for.
    Until(Instant),
    /// Nothing ever.
    Over,
}

/// The sending side.
pub(super) struct Sender<'a> {
    mission: &'a Mission,
    shared: &'a Shared,
    track: Track,
    /// Which of the senders it is, from 0.
    number: usize,
    watch: Watch,
    /// A second sender that has seen the interface drop frames sends no more SYNs.
    resigned: bool,
    /// `None`: as fast as this host can.
    pace: Option<Pace>,
    limits: Limits,
    now: &'a (dyn Fn() -> Instant + Sync),
    /// Drawn from the ledger and not sent yet, the next one last.
    drawn: Vec<Draw>,
    /// Held back by a limit.
    parking: Parking,
    /// What a batch under limits has to say to the books: held back for the first time, let go at
    /// last, and all that leave.
    held_back: Vec<u64>,
    let_go: Vec<u64>,
    leaving: Vec<(u64, IpAddr)>,
    asked: Vec<Asked>,
}

impl<'a> Sender<'a> {
    /// A sender that has sent nothing yet.
    pub(super) fn new(
        mission: &'a Mission,
        shared: &'a Shared,
        track: Track,
        pace: Option<Pace>,
        limits: Limits,
        now: &'a (dyn Fn() -> Instant + Sync),
    ) -> Self {
        Self {
            mission,
            shared,
            track,
            number: 0,
            watch: Watch::default(),
            resigned: false,
            pace,
            limits,
            now,
            drawn: Vec::with_capacity(ROUND),
            parking: Parking::new(parking::ROOM),
            held_back: Vec::new(),
            let_go: Vec::new(),
            leaving: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Sends until there is nothing more to send.
    ///
    /// # Errors
    /// The way out is gone.
    pub(super) fn run(mut self) -> io::Result<()> {
        let result = loop {
            match self.step() {
                Ok(Rest::Busy) => {}
                Ok(Rest::Until(at)) => self.shared.wait(at.since((self.now)())),
                Ok(Rest::Over) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.shared.leave();
        result
    }

    /// Sends what is asked for and allowed now.
    ///
    /// # Errors
    /// The way out is gone.
    pub(super) fn step(&mut self) -> io::Result<Rest> {
        // Read before the replies are taken: whoever says that it is over has asked for them before.
        let over = self.shared.is_over();
        self.reply()?;
        if over {
            return Ok(Rest::Over);
        }
        // Two together are more than the interface takes: one alone is held up by what it does itself.
        if self.watch.look(self.shared, self.now, false) > MANY && self.number > 0 {
            self.resigned = true;
        }
        let now = (self.now)();
        if self.shared.is_halted() {
            self.give_back();
            return Ok(Rest::Until(now + IDLE));
        }
        if self.shared.is_held() || self.shared.is_behind(now) {
            return Ok(Rest::Until(now + HELD));
        }
        let allowed = match self.allowance(now) {
            Ok(allowed) => allowed.min(ROUND),
            Err(at) => return Ok(Rest::Until(at)),
        };
        let waiting = self.parking.next_at().is_some_and(|at| at <= now);
        if self.drawn.is_empty() && !waiting {
            let room = allowed.min(self.parking.room());
            if self.resigned {
                return Ok(Rest::Until(now + IDLE));
            }
            if room == 0 {
                return Ok(Rest::Until(self.parking.next_at().unwrap_or(now + HELD)));
            }
            let next = self.shared.books().draw(self.number, now, room, &mut self.drawn);
            match next {
                // Taken from the end.
                Next::Drawn => self.drawn.reverse(),
                // The last that were sent may be lost, too.
                Next::Wait(_) if self.watch.look(self.shared, self.now, true) > 0 => {}
                Next::Wait(at) => {
                    let at = self.parking.next_at().map_or(at, |parked| parked.min(at));
                    return Ok(Rest::Until(at.min(now + IDLE)));
                }
                Next::Finished => {
                    self.shared.finish();
                    return Ok(Rest::Until(now + IDLE));
                }
            }
        }
        self.probe(allowed)
    }

    /// SYNs that may leave now.
    ///
    /// # Errors
    /// None before then.
    fn allowance(&mut self, now: Instant) -> Result<usize, Instant> {
        let Some(pace) = &mut self.pace else { return Ok(ROUND) };
        if let Some(rate) = self.shared.rate()
            && rate != pace.rate()
        {
            pace.set_rate(rate, now);
        }
        match pace.allowance(now) {
            // A few at a time, where the rate is high: each waking costs more than a SYN.
            0 => {
                let few = usize::try_from(pace.rate() / WAKINGS).unwrap_or(BATCH).clamp(1, BATCH);
                Err(pace.wait_until(now, few))
            }
            allowed => Ok(allowed),
        }
    }

    /// Sends SYNs, a batch after the other, as long as nobody waits for a reply.
    fn probe(&mut self, allowed: usize) -> io::Result<Rest> {
        let mut left = allowed;
        while left > 0 {
            let now = (self.now)();
            let (first, last) = (self.drawn.last().copied(), self.drawn.len());
            let (queued, full) = self.queue(BATCH.min(left), now);
            self.announce(now);
            let ended = self.flush(queued, now)?;
            self.write_down(first, last - self.drawn.len(), now, ended.at);
            if queued > 0 {
                left -= queued.min(left);
                self.shared.count_sent(queued as u64, ended.at);
                if let Some(pace) = &mut self.pace {
                    pace.spent(queued);
                }
            }
            if ended.refused || full {
                return Ok(Rest::Until(ended.at + RESPITE));
            }
            if queued == 0 || self.shared.is_asked() {
                break;
            }
        }
        Ok(Rest::Busy)
    }

    /// Queues up to `most` SYNs: those whose time has come, then fresh ones. Gives how many, and
    /// whether there was no room for more.
    fn queue(&mut self, most: usize, now: Instant) -> (usize, bool) {
        let mut queued = 0;
        while queued < most {
            let parked = self.parking.next(now);
            let Some(draw) = parked.or_else(|| self.drawn.pop()) else { break };
            let target = self.mission.target_at(draw.position);
            if self.limits.take(target.addr, now).is_err() {
                if parked.is_none() {
                    self.held_back.push(draw.position);
                }
                let at = self.limits.line_up(target.addr, now);
                self.parking.park(draw, at);
                continue;
            }
            let leaves = self.track.forecast(now, queued);
            if !self.track.syn(self.mission, target, leaves) {
                match parked {
                    Some(_) => self.parking.park(draw, now),
                    None => self.drawn.push(draw),
                }
                return (queued, true);
            }
            self.watch.note(draw.position);
            if parked.is_some() {
                self.let_go.push(draw.position);
            }
            if !self.limits.is_none() {
                self.leaving.push((draw.position, target.addr));
            }
            queued += 1;
        }
        (queued, false)
    }

    /// Tells the books what a batch under limits will do, before it does: an answer may be here sooner
    /// than the call that sends is back.
    fn announce(&mut self, now: Instant) {
        if self.held_back.is_empty() && self.leaving.is_empty() {
            return;
        }
        let mut books = self.shared.books();
        for position in self.held_back.drain(..) {
            books.ledger.park(position);
        }
        for position in self.let_go.drain(..) {
            books.ledger.release(position, now);
        }
        if let Some(log) = books.logs.get_mut(self.number) {
            self.leaving.iter().for_each(|(position, _)| log.single(*position, now, None));
        }
    }

    /// Tells the books what a batch did: `taken` draws from the pile, from `first` on.
    fn write_down(&mut self, first: Option<Draw>, taken: usize, began: Instant, ended: Instant) {
        let noted = first.filter(|first| taken > 0 && first.pass == 1);
        if noted.is_none() && self.leaving.is_empty() {
            return;
        }
        let mut books = self.shared.books();
        let Some(log) = books.logs.get_mut(self.number) else { return };
        if let Some(first) = noted {
            let last = first.position + (taken as u64 - 1);
            log.note(first.position, last, began, ended);
        }
        for (position, addr) in self.leaving.drain(..) {
            log.single(position, began, Some(ended));
            self.limits.left(addr, ended);
        }
    }

    /// Says of what was drawn and will never leave that it has not.
    fn give_back(&mut self) {
        if self.drawn.is_empty() {
            return;
        }
        let mut books = self.shared.books();
        for draw in self.drawn.drain(..) {
            books.ledger.park(draw.position);
        }
    }

    /// Sends the replies that wait.
    fn reply(&mut self) -> io::Result<()> {
        self.shared.take_replies(&mut self.asked);
        let mut asked = std::mem::take(&mut self.asked);
        let mut queued = 0;
        // What cannot leave for so long is given up, or nobody could end this.
        let mut rests = 0;
        for reply in &asked {
            while !self.track.reply(self.mission, reply) && rests < MOST_RESTS {
                if self.flush(0, (self.now)())?.refused {
                    self.shared.rest(RESPITE);
                    rests += 1;
                }
                queued = 0;
            }
            queued += 1;
            if queued == BATCH {
                self.flush(0, (self.now)())?;
                queued = 0;
            }
        }
        while self.track.queued() > 0 && !asked.is_empty() && rests < MOST_RESTS {
            if self.flush(0, (self.now)())?.refused {
                self.shared.rest(RESPITE);
                rests += 1;
            }
        }
        asked.clear();
        self.asked = asked;
        Ok(())
    }

    /// Gives the kernel what is queued, `syns` of it SYNs of a batch that was begun at `began`.
    fn flush(&mut self, syns: usize, began: Instant) -> io::Result<Ended> {
        if self.track.queued() == 0 {
            return Ok(Ended { at: began, refused: false });
        }
        let made = (self.now)();
        let flushed = self.track.flush()?;
        let at = (self.now)();
        if syns > 0 {
            self.track.learn(syns, made.since(began), at.since(made));
            self.shared.note_batch(nanos_of(at.since(began)));
        }
        let Some(Refusal { error, trouble, kept }) = flushed.refused else {
            return Ok(Ended { at, refused: false });
        };
        match trouble {
            Some(trouble) => self.shared.count_trouble(trouble),
            // Something is wrong with this frame alone, as a neighbour that cannot be found.
            None => self.shared.count_refused(&error),
        }
        Ok(Ended { at, refused: kept })
    }
}

/// The ways out in the order of their speed.
pub(super) struct Choice {
    /// The times, for people.
    pub(super) why: String,
    /// The second fastest; the fastest is taken.
    pub(super) second: Option<Track>,
}

/// How a batch ended.
#[derive(Clone, Copy)]
struct Ended {
    at: Instant,
    /// Frames are left that the kernel would not take yet.
    refused: bool,
}

/// The choice among several ways out.
impl Sender<'_> {
    /// Sends `frames` SYNs, and gives what each took of our time, in nanoseconds.
    fn time(&mut self, frames: usize) -> io::Result<u64> {
        let (mut sent, mut spent) = (0, Duration::ZERO);
        while sent < frames {
            let now = (self.now)();
            let next = self.shared.books().draw(self.number, now, BATCH, &mut self.drawn);
            if next != Next::Drawn {
                break;
            }
            self.drawn.reverse();
            let (first, count) = (self.drawn.last().copied(), self.drawn.len());
            let began = (self.now)();
            let (queued, _) = self.queue(BATCH, began);
            let mut ended = self.flush(queued, began)?;
            while ended.refused {
                self.shared.rest(RESPITE);
                ended = self.flush(0, began)?;
            }
            spent += ended.at.since(began);
            self.write_down(first, count - self.drawn.len(), began, ended.at);
            self.shared.count_sent(queued as u64, ended.at);
            sent += queued;
        }
        Ok(nanos_of(spent).checked_div(sent as u64).unwrap_or(u64::MAX))
    }

    /// Times the ways out by real SYNs, takes the fastest, and says why; nothing where there is one only.
    ///
    /// # Errors
    /// A way out is gone.
    pub(super) fn choose(&mut self, others: Vec<Track>) -> io::Result<Option<Choice>> {
        if others.is_empty() || !self.limits.is_none() {
            return Ok(None);
        }
        let mut next: Option<(u64, Track)> = None;
        let mut timed = vec![(self.time(TRIAL)?, self.track.name())];
        for other in others {
            let before = std::mem::replace(&mut self.track, other);
            let (each, name) = (self.time(TRIAL)?, self.track.name());
            let best = timed.iter().map(|(each, _)| *each).min().unwrap_or(u64::MAX);
            timed.push((each, name));
            let (beaten, by) = if each >= best {
                (each, std::mem::replace(&mut self.track, before))
            } else {
                (best, before)
            };
            if next.as_ref().is_none_or(|(second, _)| beaten < *second) {
                next = Some((beaten, by));
            }
        }
        timed.sort_unstable();
        let words = timed.iter().filter(|(each, _)| *each < u64::MAX);
        let words =
            words.map(|(each, name)| format!("{name} {}.{} µs", each / 1000, each % 1000 / 100));
        let why = format!("by the time of a SYN: {}", words.collect::<Vec<_>>().join(", "));
        Ok(Some(Choice { why, second: next.map(|(_, track)| track) }))
    }

    /// A second sender beside this one, on another way out: where everything may be sent that can be,
    /// one processor's time for the kernel's work is the limit.
    pub(super) fn second(&self, track: Track) -> Self {
        let mut sender =
            Self::new(self.mission, self.shared, track, None, Limits::new(None, None, 0), self.now);
        sender.number = 1;
        sender
    }

    /// The name of the way out.
    pub(super) fn way_out(&self) -> &'static str {
        self.track.name()
    }
}
