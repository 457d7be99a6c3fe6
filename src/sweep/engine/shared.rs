//! What the two threads of a sweep have in common.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::net::SendTrouble;
use crate::net::bulk::Discards;
use crate::sweep::ledger::Ledger;
use crate::sweep::plan::{Draw, Next};
use crate::sweep::sendlog::SendLog;
use crate::sweep::space::Target;
use crate::time::Instant;
use crate::wire::{Flags, SeqNum};

/// Replies that wait for the sender at most: the listener waits for room, and the ring keeps what
/// arrives meanwhile.
const MOST_REPLIES: usize = 1 << 15;
/// Nanoseconds after which a listener that has not come round is behind: far below what its ring holds
/// at the highest rate, and above the time for which it waits where nothing arrives.
const BEHIND: u64 = 40_000_000;
/// The longest that either thread waits without looking around.
const GLANCE: Duration = Duration::from_millis(50);

/// What is asked, answered, and was sent when.
#[derive(Debug)]
pub(super) struct Books {
    /// Every target, exactly once.
    pub(super) ledger: Ledger,
    /// When SYNs left, for answers that do not say it: a log for each sender, in the order of its own.
    pub(super) logs: Vec<SendLog>,
}

impl Books {
    /// When the SYN to `position` left, and by how much that may be wrong: see [`SendLog::lookup`].
    pub(super) fn sent_at(
        &self,
        position: u64,
        once: bool,
        heard: Instant,
    ) -> Option<(Instant, Duration)> {
        self.logs.iter().find_map(|log| log.lookup(position, once, heard))
    }

    /// Draws for the sender of this number: see [`Ledger::draw`].
    pub(super) fn draw(
        &mut self,
        sender: usize,
        now: Instant,
        room: usize,
        out: &mut Vec<Draw>,
    ) -> Next {
        let next = self.ledger.draw(now, room, out);
        let mut fresh = out.iter().filter(|draw| draw.pass == 1);
        if let Some((log, first)) = self.logs.get_mut(sender).zip(fresh.next()) {
            let last = fresh.next_back().unwrap_or(first);
            log.expect(first.position, last.position, now);
        }
        next
    }
}

/// A segment that the listener wants sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    /// From this port of ours.
    pub(super) source_port: u16,
    /// To whom.
    pub(super) target: Target,
    /// The control bits.
    pub(super) flags: Flags,
    /// SEG.SEQ.
    pub(super) seq: SeqNum,
    /// SEG.ACK.
    pub(super) ack: SeqNum,
    /// SEG.WND.
    pub(super) window: u16,
    /// TSval and TSecr, where timestamps were agreed on.
    pub(super) timestamps: Option<(u32, u32)>,
    /// Which of the data of `--send` it carries, from and to.
    pub(super) data: (u16, u16),
}

/// The books, the replies that wait for the sender, and the word of each thread to the other.
pub(super) struct Shared {
    books: Mutex<Books>,
    replies: Mutex<Vec<Asked>>,
    /// Rung when a reply waits, and when a word was given.
    bell: Condvar,
    /// Rung when the replies were taken.
    room: Condvar,
    /// No more SYNs, for good: the user, or the deadline.
    halted: AtomicBool,
    /// No more SYNs for now: the report's reader is slow, or the connections under way are too many.
    held: AtomicBool,
    /// When the listener last came round.
    pulse: AtomicU64,
    /// Every target has had its time.
    finished: AtomicBool,
    /// Nothing more will be asked for.
    over: AtomicBool,
    /// The sender has gone.
    left: AtomicBool,
    /// Nanoseconds within which all SYNs of a batch leave: what was seen of late, at its slowest.
    batch: AtomicU64,
    /// SYNs a second, where the governor decides; 0 where it does not.
    rate: AtomicU64,
    /// SYNs sent by this process.
    sent: AtomicU64,
    /// When the first and the last of them left.
    first: AtomicU64,
    last: AtomicU64,
    /// Frames that the kernel refused for a while, by the reason.
    troubles: Mutex<BTreeMap<SendTrouble, u64>>,
    /// The interface's counter of frames that it dropped; what it said at first, and how many of them
    /// since then nobody was told of.
    discards: Option<Box<dyn Discards>>,
    discarded: (u64, AtomicU64),
    /// Frames that it refused for good, and what it said of the first.
    refused: Mutex<(u64, Option<String>)>,
}

impl Shared {
    /// Before the first SYN.
    pub(super) fn new(books: Books, discards: Option<Box<dyn Discards>>) -> Self {
        let before = discards.as_ref().and_then(|counter| counter.discarded()).unwrap_or(0);
        Self {
            discards,
            discarded: (before, AtomicU64::new(0)),
            books: Mutex::new(books),
            replies: Mutex::default(),
            bell: Condvar::new(),
            room: Condvar::new(),
            halted: AtomicBool::new(false),
            held: AtomicBool::new(false),
            pulse: AtomicU64::new(u64::MAX),
            finished: AtomicBool::new(false),
            over: AtomicBool::new(false),
            left: AtomicBool::new(false),
            batch: AtomicU64::new(0),
            rate: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            first: AtomicU64::new(u64::MAX),
            last: AtomicU64::new(0),
            troubles: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// The books. Whoever has them holds the other thread up: for a batch, not for a system call.
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.books)
    }

    /// Hands replies to the sender, and waits while it has too many.
    pub(super) fn ask_for(&self, replies: &mut Vec<Asked>) {
        if replies.is_empty() {
            return;
        }
        let mut waiting = lock(&self.replies);
        while waiting.len() >= MOST_REPLIES && !self.has_left() {
            let (guard, _) =
                self.room.wait_timeout(waiting, GLANCE).unwrap_or_else(PoisonError::into_inner);
            waiting = guard;
        }
        waiting.append(replies);
        self.bell.notify_one();
    }

    /// Takes all replies that wait; `taken` must be empty.
    pub(super) fn take_replies(&self, taken: &mut Vec<Asked>) {
        std::mem::swap(&mut *lock(&self.replies), taken);
        if taken.len() >= MOST_REPLIES {
            self.room.notify_one();
        }
    }

    /// The listener has come round.
    pub(super) fn beat(&self, now: Instant) {
        self.pulse.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// Whether the listener is behind: what arrives would be dropped if it got no time.
    pub(super) fn is_behind(&self, now: Instant) -> bool {
        now.as_nanos().saturating_sub(self.pulse.load(Ordering::Relaxed)) > BEHIND
    }

    /// Whether a reply waits.
    pub(super) fn is_asked(&self) -> bool {
        !lock(&self.replies).is_empty()
    }

    /// Waits for a reply or a word, for `time` at most.
    pub(super) fn wait(&self, time: Duration) {
        let waiting = lock(&self.replies);
        if waiting.is_empty() && !self.is_over() {
            // Whether it was rung for, timed out or woke for nothing: the sender looks around.
            drop(self.bell.wait_timeout(waiting, time.min(GLANCE)));
        }
    }

    /// No more SYNs, for good.
    pub(super) fn halt(&self) {
        self.halted.store(true, Ordering::Relaxed);
        self.bell.notify_one();
    }

    /// Whether there will be no more SYNs.
    pub(super) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    /// Holds SYNs back, or lets them go on.
    pub(super) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// Whether SYNs are held back.
    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Lets the kernel come to itself, whoever rings.
    pub(super) fn rest(&self, time: Duration) {
        let mutex = Mutex::new(());
        let pause = Condvar::new();
        drop(pause.wait_timeout(lock(&mutex), time));
    }

    /// Every target has had its time.
    pub(super) fn finish(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }

    /// Whether every target has had its time.
    pub(super) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }

    /// The sender goes, and takes no more replies.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Release);
        self.room.notify_one();
    }

    /// Whether the sender has gone.
    pub(super) fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// A batch of SYNs left within so many nanoseconds.
    pub(super) fn note_batch(&self, nanos: u64) {
        let before = self.batch.load(Ordering::Relaxed);
        self.batch.store(nanos.max(before - before / 64), Ordering::Relaxed);
    }

    /// Nanoseconds by which the time that a SYN bears may be wrong.
    pub(super) fn batch_nanos(&self) -> u64 {
        self.batch.load(Ordering::Relaxed)
    }

    /// Nothing more will be asked for: the sender may go once it has sent what waits.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.bell.notify_one();
        self.room.notify_one();
    }

    /// Whether nothing more will be asked for.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// What the governor wants, in SYNs a second.
    pub(super) fn set_rate(&self, rate: u64) {
        self.rate.store(rate, Ordering::Relaxed);
    }

    /// The governor's rate, where there is one.
    pub(super) fn rate(&self) -> Option<u64> {
        Some(self.rate.load(Ordering::Relaxed)).filter(|rate| *rate > 0)
    }

    /// Counts SYNs that have left by `now`.
    pub(super) fn count_sent(&self, count: u64, now: Instant) {
        self.sent.fetch_add(count, Ordering::Relaxed);
        self.first.fetch_min(now.as_nanos(), Ordering::Relaxed);
        self.last.fetch_max(now.as_nanos(), Ordering::Relaxed);
    }

    /// From the first SYN of this process to its last.
    pub(super) fn sending(&self) -> Option<Duration> {
        let (first, last) = (self.first.load(Ordering::Relaxed), self.last.load(Ordering::Relaxed));
        last.checked_sub(first).map(Duration::from_nanos)
    }

    /// SYNs sent by this process.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Counts a refusal of the kernel to take frames.
    pub(super) fn count_trouble(&self, trouble: SendTrouble) {
        *lock(&self.troubles).entry(trouble).or_default() += 1;
    }

    /// Frames that the interface has dropped meanwhile without a word, if the kernel counts them. It
    /// counts those, too, of which it did say so, and which were sent again.
    pub(super) fn discarded(&self) -> Option<u64> {
        let count = self.discards.as_ref()?.discarded()?.saturating_sub(self.discarded.0);
        let told = lock(&self.troubles).get(&SendTrouble::QueueFull).copied().unwrap_or(0);
        let silent = count.saturating_sub(told);
        Some(silent.max(self.discarded.1.fetch_max(silent, Ordering::Relaxed)))
    }

    /// The same, as far as was looked.
    pub(super) fn discarded_so_far(&self) -> u64 {
        self.discarded.1.load(Ordering::Relaxed)
    }

    /// Counts a frame that the kernel will never take.
    pub(super) fn count_refused(&self, why: &io::Error) {
        let mut refused = lock(&self.refused);
        refused.0 += 1;
        if refused.1.is_none() {
            refused.1 = Some(why.to_string());
        }
    }

    /// Frames that the kernel would not take at all, and what it said of the first.
    pub(super) fn refused(&self) -> (u64, Option<String>) {
        lock(&self.refused).clone()
    }

    /// The refusals so far.
    pub(super) fn troubles(&self) -> BTreeMap<SendTrouble, u64> {
        lock(&self.troubles).clone()
    }
}

/// A thread that panicked has ended the process already: what it held is as good as ever.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
