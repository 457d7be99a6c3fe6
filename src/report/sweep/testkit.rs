//! A sweep for the tests of its reports.

use std::time::Duration;

use super::SweepFan;
use crate::event::{
    Found, RttBy, SweepAccount, SweepCloses, SweepEnd, SweepIcmp, SweepLoss, SweepMethod,
    SweepOffer, SweepOutcome, SweepPass, SweepPhases, SweepRate, SweepRtt, SweepRun, SweepSink,
};
use crate::net::GuardKind;
use crate::time::Instant;
use crate::wire::IcmpKind;

pub(super) fn run() -> SweepRun {
    SweepRun {
        hosts: 65_536,
        ports: 1,
        targets: 65_536,
        positions: 0..65_536,
        shard: None,
        seed: 0xfeed_beef_dead_cafe,
        fingerprint: 0x0123_4567_89ab_cdef,
        method: SweepMethod::HalfOpen,
        passes: 2,
        rate: SweepRate::Fixed(50_000),
        sources: vec!["10.9.0.1".parse().unwrap()],
        source_ports: vec![40_000, 40_001, 40_002, 40_003],
        interface: "veth0".to_owned(),
        transmit: "af_xdp".to_owned(),
        receive: "af_packet".to_owned(),
        transmit_choice: Some("measured 310000/s, af_packet 240000/s".to_owned()),
        guard: GuardKind::Filter,
        options: vec![("ttl".into(), "64".to_owned())],
        resumed: false,
        united: None,
        at: Instant::from_nanos(5_000_000),
        unix_ns: Some(1_700_000_000_000_000_000),
    }
}

pub(super) fn end() -> SweepEnd {
    SweepEnd {
        account: SweepAccount {
            open: 1234,
            refused: 60_000,
            unreachable: 12,
            silent: 4290,
            not_probed: 0,
            prohibited: 3,
            closes: None,
        },
        passes: vec![
            SweepPass { sent: 65_536, answered: 61_000 },
            SweepPass { sent: 4536, answered: 246 },
        ],
        rejected: vec![("cookie".into(), 12), ("checksum".into(), 0), ("malformed".into(), 5)],
        duplicates: 3,
        late: 0,
        drops: 0,
        discarded: 0,
        mended: 0,
        send_troubles: Vec::new(),
        loss: Some(SweepLoss { ppm: 4321, error_ppm: 250 }),
        loss_back: None,
        rtt: None,
        elapsed: Duration::from_millis(12_345),
        sending: Some(Duration::from_millis(1_400)),
        interrupted: false,
        resumed: false,
    }
}

fn rtt(nanos: u64, by: RttBy) -> Option<SweepRtt> {
    let error_nanos = if by == RttBy::Timestamp { 1_000 } else { 42_000 };
    Some(SweepRtt { nanos, by, error_nanos })
}

/// One of each kind.
pub(super) fn found() -> Vec<Found> {
    let of = |addr: &str, port, outcome| Found {
        pass: Some(1),
        ttl: Some(63),
        unix_ns: Some(1_700_000_000_123_456_789),
        ..Found::new(addr.parse().unwrap(), port, outcome)
    };
    let offer = SweepOffer {
        window: 65_535,
        mss: Some(1460),
        wscale: Some(7),
        sack: true,
        timestamps: true,
    };
    let icmp = SweepIcmp {
        kind: IcmpKind::Prohibited,
        by: "203.0.113.1".parse().unwrap(),
        number: Some((3, 13)),
    };
    let phases =
        SweepPhases { handshake: Some(123_456), ack_of_fin: Some(99_000), fin: Some(1_250_000) };
    let banner = |bytes: &[u8]| Some(bytes.into());
    vec![
        Found {
            rtt: rtt(123_456, RttBy::Timestamp),
            offer: Some(offer),
            ..of("10.9.0.7", 443, SweepOutcome::Open)
        },
        Found {
            rtt: rtt(2_345_678, RttBy::Log),
            pass: Some(2),
            ..of("10.9.255.254", 443, SweepOutcome::Refused)
        },
        Found { icmp: Some(icmp), ..of("10.9.3.4", 443, SweepOutcome::Prohibited) },
        Found::new("2001:db8::7".parse().unwrap(), 22, SweepOutcome::Unreachable),
        Found {
            offer: Some(SweepOffer { window: 1024, ..SweepOffer::default() }),
            phases,
            banner: banner("SSH-2.0-\"x\",\u{202e}\u{e9}\x1b[2J\\\r\n".as_bytes()),
            ..of("2001:db8::8", 22, SweepOutcome::Closed)
        },
        Found {
            phases: SweepPhases { fin: None, ..phases },
            banner: banner(b"\xff\xfb\x01login"),
            ..of("10.9.0.9", 23, SweepOutcome::StillOpen)
        },
        of("10.9.0.10", 23, SweepOutcome::FinIgnored),
        of("10.9.0.11", 23, SweepOutcome::Reset),
    ]
}

pub(super) fn closes() -> SweepCloses {
    SweepCloses { closed: 1200, still_open: 20, fin_ignored: 3, reset: 10, banners: 1100 }
}

/// Tells a whole sweep as whoever drives it does.
pub(super) fn tell(sink: impl SweepSink + Send, run: &SweepRun, found: &[Found], end: &SweepEnd) {
    let mut fan = SweepFan::new().with(sink);
    fan.begin(run).unwrap();
    for found in found {
        fan.found(found).unwrap();
    }
    fan.end(end).unwrap();
}

/// What a report writes, as text.
pub(super) fn written<'a, S: SweepSink + Send + 'a>(
    make: impl FnOnce(&'a mut Vec<u8>) -> S,
    out: &'a mut Vec<u8>,
    found: &[Found],
) {
    tell(make(out), &run(), found, &end());
}
