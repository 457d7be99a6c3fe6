//! Congestion control: initial window, slow start, congestion avoidance, and the answers to a time-out
//! (RFC 5681 §3.1) and to a loss that acknowledgments tell of (§3.2).

/// The congestion window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Congestion {
    cwnd: u32,
    ssthresh: u32,
}

impl Congestion {
    /// The window after the handshake. One segment where the SYN or SYN-ACK had to be repeated.
    pub(super) fn new(smss: u32, syn_lost: bool) -> Self {
        let segments = match smss {
            _ if syn_lost => 1,
            0..=1095 => 4,
            1096..=2190 => 3,
            _ => 2,
        };
        Self { cwnd: segments * smss, ssthresh: u32::MAX }
    }

    /// Bytes that may be in flight.
    pub(super) fn window(&self) -> u32 {
        self.cwnd
    }

    /// `acked` bytes of new data were acknowledged.
    pub(super) fn on_acknowledged(&mut self, acked: u32, smss: u32) {
        let growth = if self.cwnd < self.ssthresh {
            acked.min(smss)
        } else {
            // About one segment per round trip; never nothing.
            (u64::from(smss) * u64::from(smss) / u64::from(self.cwnd.max(1)))
                .max(1)
                .try_into()
                .unwrap_or(smss)
        };
        self.cwnd = self.cwnd.saturating_add(growth);
    }

    /// Acknowledgments tell of a loss, with `flight` bytes on their way (equation 4). What of them
    /// is still under way is counted by whoever repairs it, so that the window is not inflated.
    pub(super) fn on_loss(&mut self, flight: u32, smss: u32) {
        self.ssthresh = (flight / 2).max(2 * smss);
        self.cwnd = self.ssthresh;
    }

    /// The retransmission timer expired with `flight` bytes on their way (equation 4). Only the
    /// first time-out of a segment lowers the threshold.
    pub(super) fn on_timeout(&mut self, flight: u32, smss: u32, first: bool) {
        if first {
            self.ssthresh = (flight / 2).max(2 * smss);
        }
        self.cwnd = smss;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_with_three_segments_doubles_and_falls_back_to_one() {
        let mut window = Congestion::new(1460, false);
        assert_eq!(window.window(), 3 * 1460);
        (0..3).for_each(|_| window.on_acknowledged(1460, 1460));
        assert_eq!(window.window(), 6 * 1460);
        window.on_timeout(6 * 1460, 1460, true);
        assert_eq!(window.window(), 1460);
        (0..2).for_each(|_| window.on_acknowledged(1460, 1460));
        assert_eq!(window.window(), 3 * 1460, "slow start up to half the flight");
        window.on_acknowledged(1460, 1460);
        assert_eq!(window.window(), 3 * 1460 + 1460 / 3, "then one segment per round trip");
    }

    #[test]
    fn a_loss_halves_what_may_be_in_flight() {
        let mut window = Congestion::new(1000, false);
        window.on_loss(20_000, 1000);
        assert_eq!(window.window(), 10_000);
        window.on_acknowledged(1000, 1000);
        assert_eq!(window.window(), 10_100, "congestion avoidance");
        window.on_loss(1000, 1000);
        assert_eq!(window.window(), 2000, "two segments at least");
    }

    #[test]
    fn a_lost_syn_leaves_one_segment() {
        assert_eq!(Congestion::new(536, true).window(), 536);
        assert_eq!(Congestion::new(536, false).window(), 4 * 536);
    }
}
