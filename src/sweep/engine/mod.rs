//! A sweep at work: one thread sends, this one hears.
//!
//! The two meet in the books, which are opened for a batch at a time, and in a queue of replies. What a
//! reply says follows from the segment that asked for it; the [ledger](super::ledger) alone knows what
//! was sent and what has answered, in memory that does not depend on the number of targets.
//!
//! | file | what it does |
//! |---|---|
//! | `mission` | what is fixed before the first SYN |
//! | `parts` | what a sweep works with |
//! | `track` | a way out with its frames |
//! | `watch` | what the interface dropped of what was sent |
//! | `sender` | replies, then SYNs as the pace allows |
//! | `listener` | proves, credits, answers and tells what arrives |
//! | `flights` | whole connections until they are told |
//! | `tally` | counts beside the ledger's |
//! | `shared` | what the threads have in common |
//! | `ending` | the account |

mod ending;
mod flights;
mod listener;
mod mission;
mod parts;
mod sender;
mod shared;
mod tally;
mod track;
mod watch;

use std::io;
use std::time::Duration;

use listener::Listener;
pub use mission::{Mission, Sources};
pub use parts::{Keeper, Parts, Rate};
use sender::Sender;
use shared::{Books, Shared};
pub use tally::{HostLosses, Tally};
pub use track::Track;

use super::governor::{Bounds, Governor};
use super::mark::Marks;
use super::pace::Pace;
use super::sendlog::{self, SendLog};
use crate::event::{Notice, Severity, SweepEnd, SweepProgress, SweepRun, SweepSink, SweepStage};
use crate::net::bulk::{Collect, Wake};
use crate::time::Instant;

/// The longest that is listened without looking around.
const GLANCE: Duration = Duration::from_millis(20);
/// What was found is told after this long at the latest.
const FLUSH: Duration = Duration::from_millis(50);
/// From one report of progress to the next.
const PROGRESS: Duration = Duration::from_millis(200);
/// From one checkpoint to the next: so much is probed again after a kill.
const CHECKPOINT: Duration = Duration::from_secs(1);

/// Sweeps. `head` makes the first words of the report, from the way out and why it was chosen.
///
/// # Errors
/// The network or the report failed.
pub fn sweep<S: SweepSink>(
    parts: Parts<'_, S>,
    head: impl FnOnce(&str, Option<String>) -> SweepRun,
) -> io::Result<SweepEnd> {
    let Parts { mission, ledger, tally, track, collect, sink, now, wall, rate, limits, .. } = parts;
    let start = now();
    let quiet = ledger.quiet();
    let logs = if limits.is_none() {
        vec![SendLog::new(sendlog::LINES), SendLog::new(sendlog::LINES)]
    } else {
        vec![SendLog::of_singles(sendlog::SINGLES)]
    };
    let shared = Shared::new(Books { ledger, logs }, parts.discards);
    let pace = match rate {
        Rate::Fixed(rate) => Some(Pace::new(rate, sender::BATCH as u64, start)),
        Rate::Auto => Some(Pace::new(Bounds::default().start, sender::BATCH as u64, start)),
        Rate::Max => None,
    };
    let mut sender = Sender::new(mission, &shared, track, pace, limits, now);
    let choice = if worth_timing(rate, mission) { sender.choose(parts.others)? } else { None };
    let (mut why, track) = choice.map_or((None, None), |it| (Some(it.why), it.second));
    let second = track
        .filter(|_| {
            rate == Rate::Max && std::thread::available_parallelism().is_ok_and(|n| n.get() > 1)
        })
        .map(|track| sender.second(track));
    if let (Some(why), Some(second)) = (&mut why, &second) {
        *why += &format!("; {} beside it on another processor", second.way_out());
    }
    let run = head(sender.way_out(), why);
    let listener = Listener::new(mission, &shared, sink, tally, parts.loss, wall, start);
    let mut work = Work {
        listener,
        shared: &shared,
        collect,
        now,
        start,
        limit: parts.deadline.map(|limit| (start + sending_time(limit, quiet), start + limit)),
        keeper: parts.keeper,
        reader_gone: parts.reader_gone,
        interrupted: false,
        behind: false,
        cut: false,
        drops: 0,
        next_flush: start,
        next_progress: start,
        next_checkpoint: start + CHECKPOINT,
        last: (start, 0),
        positions: mission.positions.end - mission.positions.start,
        before: parts.before,
        resumed: parts.resumed,
        warned: Warned::default(),
        governed: Governed::default(),
    };
    work.listener.governor = (rate == Rate::Auto).then(|| Governor::new(Bounds::default(), start));
    let result = std::thread::scope(|scope| {
        let sending = std::thread::Builder::new()
            .name("sender".to_owned())
            .spawn_scoped(scope, move || sender.run())?;
        let other = second
            .map(|second| {
                let name = "second sender".to_owned();
                std::thread::Builder::new().name(name).spawn_scoped(scope, move || second.run())
            })
            .transpose()?;
        let heard = work.listener.sink.begin(&run).and_then(|()| work.listen());
        shared.end();
        let join = |thread: std::thread::ScopedJoinHandle<'_, io::Result<()>>| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a sender panicked")))
        };
        let sent = join(sending);
        let other = other.map_or(Ok(()), join);
        heard.and(sent).and(other)
    });
    result?;
    work.conclude()
}

/// How long SYNs leave where all must be over after `limit`: so that the last of them have their
/// cool-down, if that leaves half of the time or more.
fn sending_time(limit: Duration, quiet: Duration) -> Duration {
    limit.saturating_sub(quiet).max(limit / 2)
}

/// Whether the time that a frame takes matters: below this, any way out will do.
fn worth_timing(rate: Rate, mission: &Mission) -> bool {
    let fast = match rate {
        Rate::Fixed(rate) => rate >= 20_000,
        Rate::Auto | Rate::Max => true,
    };
    fast && mission.positions.end - mission.positions.start >= 16 * sender::TRIAL as u64
}

/// What the user was told once.
#[derive(Default)]
struct Warned {
    drops: bool,
    own_resets: bool,
    refused: bool,
    clock: bool,
}

/// The listening thread.
struct Work<'a, 's, S> {
    listener: Listener<'s, S>,
    shared: &'s Shared,
    collect: Box<dyn Collect>,
    now: &'a (dyn Fn() -> Instant + Sync),
    start: Instant,
    /// When the last SYN leaves, and when all is over, where the user set a limit.
    limit: Option<(Instant, Instant)>,
    keeper: Option<&'a mut dyn Keeper>,
    reader_gone: &'a dyn Fn() -> bool,
    interrupted: bool,
    /// Whether more arrives than is taken in.
    behind: bool,
    /// No more SYNs: by the user, the deadline, or because nobody reads.
    cut: bool,
    drops: u64,
    next_flush: Instant,
    next_progress: Instant,
    next_checkpoint: Instant,
    /// When the rate was last looked at, and SYNs sent until then.
    last: (Instant, u64),
    positions: u64,
    before: Duration,
    resumed: bool,
    warned: Warned,
    governed: Governed,
}

/// What the governor was told of so far.
#[derive(Default)]
struct Governed {
    sent: u64,
    drops: u64,
    troubles: u64,
}

impl<S: SweepSink> Work<'_, '_, S> {
    /// Listens until every target has had its time.
    fn listen(&mut self) -> io::Result<()> {
        loop {
            let now = (self.now)();
            let next = self.limit.map(|(last, over)| if self.cut { over } else { last });
            let until = next.map_or(now + GLANCE, |next| next.min(now + GLANCE));
            let listener = &mut self.listener;
            let collected = self.collect.collect(until, &mut |packet| listener.packet(&packet))?;
            if let Some(failure) = self.listener.failure.take() {
                return Err(failure);
            }
            self.listener.ask();
            let now = (self.now)();
            self.shared.beat(now);
            self.behind = collected.behind;
            match collected.wake {
                Wake::Interrupted => {
                    self.interrupted = true;
                    self.cut_short(now);
                }
                Wake::StatusRequested => self.status(now)?,
                Wake::Packets | Wake::Deadline | Wake::Called => {}
            }
            if let Some(step) = collected.step
                && !std::mem::replace(&mut self.warned.clock, true)
            {
                self.note(Severity::Warning, "clock-step", format!(
                    "the wall clock was set by {} ms: times across that moment are wrong by as much",
                    step.by / 1_000_000
                ))?;
            }
            if self.limit.is_some_and(|(last, _)| now >= last) && !self.cut {
                self.interrupted = true;
                self.cut_short(now);
            }
            // At once where there is time, and never much later: somebody reads along.
            if collected.packets == 0 || now >= self.next_flush {
                self.next_flush = now + FLUSH;
                self.listener.sink.flush()?;
            }
            if self.look_around(now)? {
                return Ok(());
            }
        }
    }

    /// Closes what has had its time, reports, keeps; and says whether all is over.
    fn look_around(&mut self, now: Instant) -> io::Result<bool> {
        if (self.reader_gone)() && !self.cut {
            // Whoever closed the pipe has read enough, and waits for us to end.
            self.cut = true;
            self.shared.halt();
            self.listener.give_all_up()?;
            self.listener.ask();
            return Ok(true);
        }
        self.listener.wait_no_longer(now)?;
        self.listener.ask();
        self.shared.hold(self.behind || self.listener.flights.is_full());
        self.govern(now)?;
        if now >= self.next_progress {
            self.next_progress = now + PROGRESS;
            self.progress(now)?;
            self.warn()?;
        }
        let over = if self.cut {
            let cool = self.shared.books().ledger.is_cool(now);
            if cool {
                self.keep(now, false)?;
            }
            // Who is still waited for then counts as silent, as after a kill: what was kept before holds.
            cool || self.limit.is_some_and(|(_, over)| now >= over)
        } else {
            if now >= self.next_checkpoint {
                self.keep(now, false)?;
            }
            self.shared.books().ledger.expire(now, Marks::NONE, &mut |_, _| {});
            self.shared.is_finished() && self.listener.flights.is_empty()
        };
        if self.shared.has_left() {
            return Ok(true);
        }
        if over {
            self.listener.give_all_up()?;
            self.listener.ask();
            if !self.cut {
                self.keep(now, false)?;
            }
        }
        Ok(over)
    }

    /// Lets the governor know what has left and what went wrong, and the sender what it decides.
    fn govern(&mut self, now: Instant) -> io::Result<()> {
        if self.listener.governor.is_none() || self.cut {
            return Ok(());
        }
        self.drops = self.collect.drops()?;
        // Later passes go to targets that are mostly silent, and tell nothing.
        let sent = self.shared.books().ledger.account().passes.first().map_or(0, |pass| pass.sent);
        let troubles: u64 = self.shared.troubles().values().sum();
        let Some(governor) = &mut self.listener.governor else { return Ok(()) };
        governor.sent(sent.saturating_sub(self.governed.sent), now);
        if self.drops > self.governed.drops || troubles > self.governed.troubles {
            governor.trouble(now);
        }
        self.governed = Governed { sent, drops: self.drops, troubles };
        self.shared.set_rate(governor.rate(now));
        Ok(())
    }

    /// Sends no more SYNs, and waits for what is under way.
    fn cut_short(&mut self, _now: Instant) {
        if !std::mem::replace(&mut self.cut, true) {
            self.shared.halt();
            self.shared.books().ledger.cut_short();
        }
    }

    /// Keeps how far it has come, once all that was told is written.
    fn keep(&mut self, now: Instant, finished: bool) -> io::Result<()> {
        self.next_checkpoint = now + CHECKPOINT;
        if self.keeper.is_none() {
            return Ok(());
        }
        self.listener.sink.flush()?;
        self.drops = self.collect.drops()?;
        let host = self.host();
        let held = self.shared.books().ledger.held();
        let tally = Tally { host, ..self.listener.tally.clone() };
        self.keeper.as_mut().map_or(Ok(()), |keeper| keeper.keep(held, &tally, finished))
    }

    /// What this host has lost, in earlier parts of the sweep too.
    fn host(&self) -> HostLosses {
        let now = HostLosses {
            drops: self.drops,
            discarded: self.shared.discarded_so_far(),
            mended: self.shared.books().ledger.mended(),
            troubles: ending::troubles(&self.shared.troubles(), self.shared.refused().0),
        };
        now.and(&self.listener.tally.host)
    }

    fn progress(&mut self, now: Instant) -> io::Result<()> {
        let standing = self.standing(now)?;
        self.listener.sink.progress(&standing)
    }

    /// How it stands; its rate is that since the last time this was asked for.
    fn standing(&mut self, now: Instant) -> io::Result<SweepProgress> {
        self.drops = self.collect.drops()?;
        let account = self.shared.books().ledger.account();
        let sent = self.shared.sent();
        let nanos = now.since(self.last.0).as_nanos().max(1);
        let rate = u128::from(sent.saturating_sub(self.last.1)) * 1_000_000_000 / nanos;
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        self.last = (now, sent);
        let left = self.positions.saturating_sub(account.probed());
        let stage =
            if self.cut || left == 0 { SweepStage::CoolingDown } else { SweepStage::Sending };
        Ok(SweepProgress {
            now,
            stage,
            targets: self.positions,
            probed: account.probed(),
            sent: account.sent(),
            rate,
            open: account.answered(),
            refused: account.refused(),
            unreachable: account.unreachable(),
            loss: ending::loss(&self.listener.loss),
            drops: self.drops,
            eta: (rate > 0 && left > 0).then(|| Duration::from_secs(left / rate)),
        })
    }

    /// Where the sweep stands, for whoever asked by a signal and may have no terminal.
    fn status(&mut self, now: Instant) -> io::Result<()> {
        let standing = self.standing(now)?;
        self.listener.sink.progress(&standing)?;
        let SweepProgress { sent, open, refused, unreachable, .. } = standing;
        let text = format!(
            "{} probed, {sent} SYNs sent, {open} open, {refused} refused, {unreachable} unreachable",
            standing.share()
        );
        self.note(Severity::Info, "status", text)?;
        self.listener.sink.flush()
    }

    /// Tells, once each, what goes wrong on this host.
    fn warn(&mut self) -> io::Result<()> {
        if self.drops > 0 && !std::mem::replace(&mut self.warned.drops, true) {
            self.note(
                Severity::Warning,
                "drops",
                "packets arrive faster than they can be fetched, and the kernel drops some: \
                 answers get lost; choose a lower --rate"
                    .to_owned(),
            )?;
        }
        if self.listener.tally.own_resets > 0
            && !std::mem::replace(&mut self.warned.own_resets, true)
        {
            self.note(
                Severity::Warning,
                "local-reset",
                "this host's own kernel resets connections of the sweep: see 'shakedown doctor'"
                    .to_owned(),
            )?;
        }
        if let (1.., Some(why)) = self.shared.refused()
            && !std::mem::replace(&mut self.warned.refused, true)
        {
            self.note(Severity::Warning, "refused", format!("some SYNs could not be sent: {why}"))?;
        }
        Ok(())
    }

    fn note(&mut self, severity: Severity, code: &'static str, text: String) -> io::Result<()> {
        let at = (self.now)();
        self.listener.sink.notice(&Notice { at, severity, code, text })
    }

    /// The last words.
    fn conclude(mut self) -> io::Result<SweepEnd> {
        self.drops = self.collect.drops()?;
        let account = self.shared.books().ledger.account();
        let end = ending::of(&ending::Facts {
            account,
            tally: &self.listener.tally,
            loss: &self.listener.loss,
            method: self.listener.method(),
            host: self.host(),
            elapsed: self.before + (self.now)().since(self.start),
            sending: self.shared.sending(),
            interrupted: self.interrupted,
            resumed: self.resumed,
        });
        self.listener.sink.end(&end)?;
        self.listener.sink.flush()?;
        if !self.cut {
            // After the last words: whoever is killed before them says them when it goes on.
            self.keep((self.now)(), true)?;
        }
        Ok(end)
    }
}
