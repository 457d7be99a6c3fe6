//! The figures of one phase of one target as a record for programs.

use serde::Serialize;

use crate::stats::{Counts, Figures, Phase};

/// A JSON record. The names of the fields are those of [`Figures`] and [`Counts`]; what is absent is
/// left out. Percentages are of 100.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Statistics<'a> {
    /// The target as the user wrote it; absent where several are taken together.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    /// The fixed source port; absent where all are taken together.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_port: Option<u16>,
    phase: &'static str,
    times: Times,
    /// Only with the phase in which probes are answered or lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    probes: Option<Probes>,
}

/// An object whose fields are named as the variables, those that are `None` left out.
macro_rules! record {
    ($name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        #[derive(Clone, Copy, PartialEq, Debug, Serialize)]
        pub(super) struct $name {
            $(#[serde(skip_serializing_if = "is_absent")] $field: $type,)*
        }
    };
}

/// What may be absent: everything else is always written.
trait Absent {
    fn is_absent(&self) -> bool;
}

impl<T> Absent for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl Absent for u64 {
    fn is_absent(&self) -> bool {
        false
    }
}

fn is_absent(value: &impl Absent) -> bool {
    value.is_absent()
}

record!(Times {
    count: u64,
    min_ns: Option<u64>,
    avg_ns: Option<u64>,
    max_ns: Option<u64>,
    mdev_ns: Option<u64>,
    p50_ns: Option<u64>,
    p90_ns: Option<u64>,
    p95_ns: Option<u64>,
    p99_ns: Option<u64>,
    p999_ns: Option<u64>,
    jitter_ns: Option<u64>,
    percentile_error_ppm: Option<u32>,
});

record!(Probes {
    sent: u64,
    answered: u64,
    ambiguous: u64,
    refused: u64,
    icmp: u64,
    late: u64,
    lost: u64,
    in_flight: u64,
    first_answered: u64,
    first_lost: u64,
    first_unknown: u64,
    duplicates: u64,
    reordered: u64,
    lost_percent: Option<f64>,
    late_percent: Option<f64>,
    first_lost_percent: Option<f64>,
    attempts_per_success: Option<f64>,
});

impl<'a> Statistics<'a> {
    /// The record of `phase`, with the account of the probes where this is the phase of it.
    #[must_use]
    pub fn new(
        target: Option<&'a str>,
        source_port: Option<u16>,
        phase: Phase,
        figures: &Figures,
        counts: Option<&Counts>,
    ) -> Self {
        Self {
            target,
            source_port,
            phase: phase.name(),
            times: figures.into(),
            probes: counts.map(Into::into),
        }
    }
}

impl From<&Figures> for Times {
    fn from(f: &Figures) -> Self {
        Self {
            count: f.count,
            min_ns: f.min_ns,
            avg_ns: f.avg_ns,
            max_ns: f.max_ns,
            mdev_ns: f.mdev_ns,
            p50_ns: f.p50_ns,
            p90_ns: f.p90_ns,
            p95_ns: f.p95_ns,
            p99_ns: f.p99_ns,
            p999_ns: f.p999_ns,
            jitter_ns: f.jitter_ns,
            percentile_error_ppm: f.percentile_error_ppm,
        }
    }
}

impl From<&Counts> for Probes {
    fn from(c: &Counts) -> Self {
        Self {
            sent: c.sent,
            answered: c.answered,
            ambiguous: c.ambiguous,
            refused: c.refused,
            icmp: c.icmp,
            late: c.late,
            lost: c.lost,
            in_flight: c.in_flight,
            first_answered: c.first_answered,
            first_lost: c.first_lost,
            first_unknown: c.first_unknown,
            duplicates: c.duplicates,
            reordered: c.reordered,
            lost_percent: c.lost_percent(),
            late_percent: c.late_percent(),
            first_lost_percent: c.first_lost_percent(),
            attempts_per_success: c.attempts_per_success(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::rtt::table::tests::figures;

    #[test]
    fn without_answers_there_is_no_figure_at_all() {
        let counts = Counts { sent: 2, lost: 2, first_lost: 2, ..Counts::default() };
        let record =
            Statistics::new(Some("h:1"), None, Phase::Handshake, &figures(&[]), Some(&counts));
        assert_eq!(
            serde_json::to_string(&record).unwrap(),
            r#"{"target":"h:1","phase":"handshake","times":{"count":0},"probes":{"sent":2,"answered":0,"ambiguous":0,"refused":0,"icmp":0,"late":0,"lost":2,"in_flight":0,"first_answered":0,"first_lost":2,"first_unknown":0,"duplicates":0,"reordered":0,"lost_percent":100.0,"late_percent":0.0,"first_lost_percent":100.0}}"#
        );
    }

    #[test]
    fn a_later_phase_has_times_alone() {
        let record = Statistics::new(None, Some(40_002), Phase::FinAck, &figures(&[7]), None);
        assert_eq!(
            serde_json::to_string(&record).unwrap(),
            r#"{"source_port":40002,"phase":"fin-ack","times":{"count":1,"min_ns":7,"avg_ns":7,"max_ns":7,"mdev_ns":0,"p50_ns":7,"p90_ns":7,"p95_ns":7,"p99_ns":7,"p999_ns":7,"percentile_error_ppm":0}}"#
        );
    }
}
