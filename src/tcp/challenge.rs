//! The throttle of challenge ACKs (RFC 5961 §7).

use std::time::Duration;

use crate::time::Instant;

/// Challenge ACKs in one [`PERIOD`]: the figures that RFC 5961 §7 gives as its example.
///
/// Counted per connection. A count for the whole host would tell anybody who can exhaust it whether
/// a guess about somebody else's connection was right.
pub(super) const LIMIT: u32 = 10;
/// See [`LIMIT`].
pub(super) const PERIOD: Duration = Duration::from_secs(5);

/// Counts challenge ACKs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Throttle {
    since: Option<Instant>,
    sent: u32,
}

impl Throttle {
    /// Whether another may be sent; if so, it counts.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        match self.since {
            Some(since) if now.since(since) < PERIOD => {}
            _ => *self = Self { since: Some(now), sent: 0 },
        }
        let admitted = self.sent < LIMIT;
        self.sent += u32::from(admitted);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_in_five_seconds_and_then_ten_more() {
        let mut throttle = Throttle::default();
        let admitted = |throttle: &mut Throttle, at| (0..50).filter(|_| throttle.admit(at)).count();
        assert_eq!(admitted(&mut throttle, Instant::ZERO), 10);
        assert_eq!(admitted(&mut throttle, Instant::ZERO + Duration::from_secs(4)), 0);
        assert_eq!(admitted(&mut throttle, Instant::ZERO + PERIOD), 10);
    }
}
