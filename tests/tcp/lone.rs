//! One connection, brought into a state by hand-made segments.

use shakedown::tcp::{Config, Connection, End, Offered, State, Timers, Transmit, Verdict};
use shakedown::time::Instant;
use shakedown::wire::{Flags, Segment, SeqNum};

pub(crate) const LOCAL: u16 = 40000;
pub(crate) const REMOTE: u16 = 80;
pub(crate) const ISS: SeqNum = SeqNum(1000);
pub(crate) const IRS: SeqNum = SeqNum(5000);
pub(crate) const NOW: Instant = Instant::from_nanos(5_000_000_000);

/// No options, so that every segment is its header.
pub(crate) fn bare() -> Config {
    Config {
        local_port: LOCAL,
        remote_port: REMOTE,
        iss: ISS,
        ts_offset: 0,
        offer: Offered {
            window: 64240,
            mss: None,
            window_scale: None,
            sack: false,
            timestamps: false,
            ecn: false,
            fast_open: None,
        },
        receive_buffer: 64240,
        timers: Timers::default(),
    }
}

/// A segment of the far end.
pub(crate) fn segment(flags: Flags, seq: SeqNum, ack: SeqNum, payload: usize) -> Segment {
    Segment {
        src_port: REMOTE,
        dst_port: LOCAL,
        seq,
        ack,
        flags,
        window: 64240,
        payload: vec![b'x'; payload],
        ..Segment::default()
    }
}

/// Everything that a connection wants to send now.
pub(crate) fn drain(connection: &mut Connection, now: Instant) -> Vec<Transmit> {
    std::iter::from_fn(|| connection.poll_transmit(now)).collect()
}

/// Gives a connection an acceptable segment without text.
pub(crate) fn give(connection: &mut Connection, flags: Flags) -> Verdict {
    let seq = connection.irs().map_or(IRS, |_| connection.rcv_nxt());
    let verdict = connection.handle_segment(&segment(flags, seq, connection.snd_nxt(), 0), NOW);
    drain(connection, NOW);
    verdict
}

/// A connection in `state` with nothing left to send, by the way on which `end` gets there.
pub(crate) fn in_state(state: State, end: End) -> Connection {
    let mut connection = opened(end);
    let fin = Flags::FIN | Flags::ACK;
    let close = |connection: &mut Connection| {
        connection.close(NOW).unwrap();
        drain(connection, NOW);
    };
    if state == State::Listen || state == State::SynSent {
        assert_eq!(connection.state(), state);
        return connection;
    }
    match end {
        End::Client if state == State::SynReceived => give(&mut connection, Flags::SYN),
        End::Client => give(&mut connection, Flags::SYN | Flags::ACK),
        End::Server => give(&mut connection, Flags::SYN),
    };
    if end == End::Server && state != State::SynReceived {
        give(&mut connection, Flags::ACK);
    }
    match state {
        State::Closed => connection.abort(NOW),
        State::FinWait1 => close(&mut connection),
        State::FinWait2 => {
            close(&mut connection);
            give(&mut connection, Flags::ACK);
        }
        State::CloseWait => {
            give(&mut connection, fin);
        }
        State::LastAck => {
            give(&mut connection, fin);
            close(&mut connection);
        }
        State::Closing => {
            close(&mut connection);
            let before_ours = connection.snd_una();
            connection.handle_segment(&segment(fin, connection.rcv_nxt(), before_ours, 0), NOW);
        }
        State::TimeWait => {
            close(&mut connection);
            give(&mut connection, fin);
        }
        _ => {}
    }
    drain(&mut connection, NOW);
    while connection.poll_event().is_some() {}
    assert_eq!(connection.state(), state);
    connection
}

fn opened(end: End) -> Connection {
    let mut connection = match end {
        End::Client => Connection::connect(bare(), NOW),
        End::Server => Connection::listen(bare()),
    };
    drain(&mut connection, NOW);
    connection
}
