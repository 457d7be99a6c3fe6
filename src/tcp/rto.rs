//! The retransmission time-out (RFC 6298).

use std::time::Duration;

use super::config::Timers;
use crate::time::{Instant, nanos_of};
use crate::wire::SeqNum;

/// What the time-out becomes when the SYN had to be repeated and nothing was measured since
/// (RFC 6298 §5.7).
const AFTER_LOST_SYN: Duration = Duration::from_secs(3);

/// Estimates the round trip and derives the time-out from it.
#[derive(Clone, Debug)]
pub(super) struct RtoEstimator {
    limits: Timers,
    rto: Duration,
    smoothed: Option<(Duration, Duration)>,
    /// The one segment being timed: the first number behind it, and when it left.
    timed: Option<(SeqNum, Instant)>,
}

impl RtoEstimator {
    pub(super) fn new(limits: Timers) -> Self {
        Self { limits, rto: limits.initial_rto.min(limits.max_rto), smoothed: None, timed: None }
    }

    pub(super) fn rto(&self) -> Duration {
        self.rto
    }

    /// SRTT.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed.map(|(srtt, _)| srtt)
    }

    /// A segment left for the first time.
    pub(super) fn on_first_sent(&mut self, end: SeqNum, now: Instant) {
        self.timed.get_or_insert((end, now));
    }

    /// Something was sent again: an acknowledgment could be of either copy (Karn, RFC 6298 §3).
    pub(super) fn on_resent(&mut self) {
        self.timed = None;
    }

    /// `ack` moved SND.UNA. `echo` is the age of the timestamp that it echoes, which also tells the
    /// copies of a retransmission apart (RFC 7323 §4.1), but only to the millisecond: the segment
    /// that was timed is preferred.
    pub(super) fn on_acknowledged(&mut self, ack: SeqNum, echo: Option<Duration>, now: Instant) {
        let timed = match self.timed {
            Some((end, at)) if end.is_at_or_before(ack) => {
                self.timed = None;
                Some(now.since(at))
            }
            _ => None,
        };
        if let Some(sample) = timed.or(echo.filter(|_| self.timed.is_none())) {
            self.sample(sample);
        }
    }

    /// RFC 6298 §2.2 to §2.4, with alpha = 1/8, beta = 1/4, K = 4.
    fn sample(&mut self, rtt: Duration) {
        let (srtt, rttvar) = match self.smoothed {
            None => (rtt, rtt / 2),
            Some((srtt, rttvar)) => ((srtt * 7 + rtt) / 8, (rttvar * 3 + srtt.abs_diff(rtt)) / 4),
        };
        self.smoothed = Some((srtt, rttvar));
        let rto = srtt.saturating_add(rttvar.saturating_mul(4));
        self.rto = rto.max(self.limits.min_rto).min(self.limits.max_rto);
    }

    /// The timer expired: twice as long next time (RFC 6298 §5.5).
    pub(super) fn back_off(&mut self) {
        self.rto = self.rto.saturating_mul(2).min(self.limits.max_rto);
    }

    /// Data transmission begins although the SYN had to be repeated (RFC 6298 §5.7). With a
    /// measurement, by a timestamp, the doubt is gone and it stands.
    pub(super) fn after_lost_syn(&mut self) {
        if self.smoothed.is_none() {
            self.rto = AFTER_LOST_SYN.min(self.limits.max_rto);
        }
    }

    /// How long to wait for the answer to the n-th window probe, from 0 (RFC 9293 §3.8.6.1: first
    /// after one RTO, then exponentially longer).
    pub(super) fn probe_interval(&self, probes: u32) -> Duration {
        let doubled = 1_u64.checked_shl(probes.min(32)).unwrap_or(u64::MAX);
        Duration::from_nanos(nanos_of(self.rto).saturating_mul(doubled)).min(self.limits.max_rto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn estimator(min_ms: u32) -> RtoEstimator {
        RtoEstimator::new(Timers { min_rto: MS * min_ms, ..Timers::default() })
    }

    #[test]
    fn follows_the_formulas() {
        let mut rto = estimator(1);
        assert_eq!(rto.rto(), Duration::from_secs(1), "2.1");
        rto.on_first_sent(SeqNum(1), at(0));
        rto.on_acknowledged(SeqNum(1), None, at(100));
        assert_eq!((rto.smoothed(), rto.rto()), (Some(MS * 100), MS * 300), "2.2");
        rto.on_first_sent(SeqNum(2), at(200));
        rto.on_acknowledged(SeqNum(2), None, at(380));
        // SRTT = 7/8 100 + 1/8 180 = 110; RTTVAR = 3/4 50 + 1/4 80 = 57.5; RTO = 340.
        assert_eq!((rto.smoothed(), rto.rto()), (Some(MS * 110), MS * 340), "2.3");
    }

    #[test]
    fn a_second_is_the_least_and_a_minute_the_most() {
        let mut rto = estimator(1000);
        rto.on_first_sent(SeqNum(1), at(0));
        rto.on_acknowledged(SeqNum(1), None, at(1));
        assert_eq!(rto.rto(), Duration::from_secs(1), "2.4");
        for _ in 0..10 {
            rto.back_off();
        }
        assert_eq!(rto.rto(), Duration::from_secs(60), "2.5");
    }

    #[test]
    fn a_segment_sent_twice_is_measured_only_by_its_timestamp() {
        let mut rto = estimator(1);
        rto.on_first_sent(SeqNum(1), at(0));
        rto.back_off();
        rto.on_resent();
        rto.on_acknowledged(SeqNum(1), None, at(1010));
        assert_eq!((rto.smoothed(), rto.rto()), (None, Duration::from_secs(2)), "3, 5.5");
        rto.on_acknowledged(SeqNum(2), Some(MS * 10), at(1010));
        assert_eq!(rto.smoothed(), Some(MS * 10), "RFC 7323 4.1");
    }

    #[test]
    fn a_repeated_syn_makes_the_data_wait_three_seconds() {
        let mut rto = estimator(1000);
        rto.back_off();
        rto.after_lost_syn();
        assert_eq!(rto.rto(), Duration::from_secs(3), "5.7");
    }
}
