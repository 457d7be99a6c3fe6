//! What a connection is told at birth.

use std::time::Duration;

use crate::wire::SeqNum;

/// Everything that a connection needs to know at birth. Time, initial sequence number and timestamp
/// offset come from outside, so that a run can be repeated exactly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Our port.
    pub local_port: u16,
    /// The far end's port; 0 for a listener that takes it from the SYN.
    pub remote_port: u16,
    /// Our initial sequence number. Make it unpredictable (RFC 9293 §3.4.1).
    pub iss: SeqNum,
    /// Added to `now` in milliseconds to give TSval, so that the clock of the host does not leak.
    pub ts_offset: u32,
    /// What our SYN or SYN-ACK offers.
    pub offer: Offered,
    /// Bytes that we are ready to hold for the user; once the handshake is over the advertised
    /// window is what is left of them.
    pub receive_buffer: u32,
    /// How long to wait for what.
    pub timers: Timers,
}

/// What our SYN or SYN-ACK offers. A SYN-ACK repeats only what the SYN offered as well.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offered {
    /// The window in the SYN, in bytes: never scaled (RFC 7323 §2.2).
    pub window: u16,
    /// MSS, in bytes of payload that we are ready to receive; `None` leaves the option out.
    pub mss: Option<u16>,
    /// The shift that will scale our windows, 0 to 14; `None` leaves the option out.
    pub window_scale: Option<u8>,
    /// SACK-permitted.
    pub sack: bool,
    /// Timestamps.
    pub timestamps: bool,
    /// ECN, by ECE and CWR in the SYN (RFC 3168 §6.1.1). Only negotiated: we never mark packets.
    pub ecn: bool,
    /// A TCP Fast Open cookie; empty asks for one. Only the option: data never rides on our SYN.
    pub fast_open: Option<Vec<u8>>,
}

/// Like a current Linux over Ethernet: a bare SYN is dropped by some firewalls.
impl Default for Offered {
    fn default() -> Self {
        Self {
            window: 64240,
            mss: Some(1460),
            window_scale: Some(7),
            sack: true,
            timestamps: true,
            ecn: false,
            fast_open: None,
        }
    }
}

/// How long to wait, and how often to try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// The retransmission time-out before there is a round-trip time (RFC 6298 §2.1).
    pub initial_rto: Duration,
    /// The shortest retransmission time-out (RFC 6298 §2.4).
    pub min_rto: Duration,
    /// The longest, however often it doubled (RFC 6298 §2.5: at least 60 s).
    pub max_rto: Duration,
    /// Retransmissions of a SYN or SYN-ACK before giving up.
    pub syn_retries: u32,
    /// Retransmissions of data or FIN, or unanswered window probes, before giving up.
    pub retries: u32,
    /// The maximum segment lifetime: TIME-WAIT lasts twice as long.
    pub msl: Duration,
}

/// By the letter of RFC 6298: one second is also the minimum. Linux takes 0.2 s, but a far end may
/// delay its ACK by up to 0.5 s (RFC 9293 MUST-40), and a measuring client that retransmits into that
/// delay would report a loss that never was. The retry counts are Linux's defaults (`tcp_syn_retries`
/// 6, `tcp_retries2` 15); the MSL is RFC 9293's two minutes.
impl Default for Timers {
    fn default() -> Self {
        Self {
            initial_rto: Duration::from_secs(1),
            min_rto: Duration::from_secs(1),
            max_rto: Duration::from_secs(60),
            syn_retries: 6,
            retries: 15,
            msl: Duration::from_secs(120),
        }
    }
}
