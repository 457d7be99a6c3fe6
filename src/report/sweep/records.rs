//! The first and the last record of a sweep, as they are written and as they are read again when the
//! reports of shards are united. Field by field what the [schema](super) says.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::event::{
    SweepAccount, SweepCloses, SweepEnd, SweepLoss, SweepPass, SweepRate, SweepRun, SweepTimes,
};
use crate::time::nanos_of;

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(super) struct Run {
    pub(super) command: String,
    pub(super) version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unix_ns: Option<i64>,
    pub(super) hosts: u64,
    pub(super) ports: u32,
    pub(super) targets: u64,
    pub(super) positions: Positions,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shard: Option<Shard>,
    pub(super) seed: String,
    pub(super) fingerprint: String,
    pub(super) method: String,
    pub(super) passes: u8,
    pub(super) rate: Rate,
    pub(super) source: Source,
    pub(super) interface: String,
    pub(super) transmit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) transmit_choice: Option<String>,
    #[serde(default = "ring")]
    pub(super) receive: String,
    pub(super) guard: String,
    pub(super) options: BTreeMap<String, String>,
    pub(super) resumed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) united: Option<u32>,
}

/// How answers are heard unless something else is asked for, and in reports from before there was a
/// choice.
pub(super) const RING: &str = "af_packet";

fn ring() -> String {
    RING.to_owned()
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Positions {
    pub(super) first: u64,
    pub(super) end: u64,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shard {
    pub(super) index: u32,
    pub(super) count: u32,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rate {
    auto: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_second: Option<u64>,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(super) struct Source {
    pub(super) addrs: Vec<IpAddr>,
    pub(super) ports: Vec<u16>,
}

impl From<&SweepRun> for Run {
    fn from(run: &SweepRun) -> Self {
        let options = run.options.iter();
        Self {
            command: "sweep".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            unix_ns: run.unix_ns,
            hosts: run.hosts,
            ports: run.ports,
            targets: run.targets,
            positions: Positions { first: run.positions.start, end: run.positions.end },
            shard: run.shard.map(|shard| Shard { index: shard.index, count: shard.count }),
            seed: run.seed.to_string(),
            fingerprint: format!("{:016x}", run.fingerprint),
            method: run.method.name().to_owned(),
            passes: run.passes,
            rate: run.rate.into(),
            source: Source { addrs: run.sources.clone(), ports: run.source_ports.clone() },
            interface: run.interface.clone(),
            transmit: run.transmit.clone(),
            transmit_choice: run.transmit_choice.clone(),
            receive: run.receive.clone(),
            guard: run.guard.name().to_owned(),
            options: options.map(|(name, value)| (name.to_string(), value.clone())).collect(),
            resumed: run.resumed,
            united: run.united,
        }
    }
}

impl From<SweepRate> for Rate {
    fn from(rate: SweepRate) -> Self {
        match rate {
            SweepRate::Fixed(rate) => Self { auto: false, per_second: Some(rate) },
            SweepRate::Auto(most) => Self { auto: true, per_second: most },
            SweepRate::Max => Self { auto: false, per_second: None },
        }
    }
}

impl From<Rate> for SweepRate {
    fn from(rate: Rate) -> Self {
        match rate {
            Rate { auto: false, per_second: Some(rate) } => Self::Fixed(rate),
            Rate { auto: false, per_second: None } => Self::Max,
            Rate { per_second, .. } => Self::Auto(per_second),
        }
    }
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(super) struct Summary {
    pub(super) outcome: String,
    pub(super) interrupted: bool,
    pub(super) resumed: bool,
    pub(super) elapsed_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sending_ns: Option<u64>,
    pub(super) sent: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) syns_per_second: Option<u64>,
    pub(super) account: Account,
    pub(super) passes: Vec<Pass>,
    pub(super) rejected: BTreeMap<String, u64>,
    pub(super) duplicates: u64,
    pub(super) late: u64,
    pub(super) drops: u64,
    #[serde(default)]
    pub(super) discarded: u64,
    #[serde(default)]
    pub(super) mended: u64,
    pub(super) send_troubles: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) loss: Option<Loss>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) loss_back: Option<Loss>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt: Option<Rtt>,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Account {
    pub(super) targets: u64,
    pub(super) open: u64,
    pub(super) refused: u64,
    pub(super) unreachable: u64,
    pub(super) silent: u64,
    pub(super) not_probed: u64,
    pub(super) prohibited: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) closes: Option<Closes>,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Closes {
    closed: u64,
    still_open: u64,
    fin_ignored: u64,
    reset: u64,
    banners: u64,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pass {
    sent: u64,
    answered: u64,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Loss {
    ppm: u32,
    error_ppm: u32,
}

impl From<SweepLoss> for Loss {
    fn from(SweepLoss { ppm, error_ppm }: SweepLoss) -> Self {
        Self { ppm, error_ppm }
    }
}

impl From<Loss> for SweepLoss {
    fn from(Loss { ppm, error_ppm }: Loss) -> Self {
        Self { ppm, error_ppm }
    }
}

/// Times are taken anew from what was found when reports are united: this is only written.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(transparent)]
struct Rtt(BTreeMap<Cow<'static, str>, u64>);

impl From<&SweepTimes> for Rtt {
    fn from(times: &SweepTimes) -> Self {
        let f = &times.figures;
        let members = [
            ("count", Some(f.count)),
            ("min_ns", f.min_ns),
            ("avg_ns", f.avg_ns),
            ("max_ns", f.max_ns),
            ("mdev_ns", f.mdev_ns),
            ("p50_ns", f.p50_ns),
            ("p90_ns", f.p90_ns),
            ("p95_ns", f.p95_ns),
            ("p99_ns", f.p99_ns),
            ("p999_ns", f.p999_ns),
            ("percentile_error_ppm", f.percentile_error_ppm.map(u64::from)),
            ("by_timestamp", Some(times.by_timestamp)),
            ("by_log", Some(times.by_log)),
            ("timestamp_error_ns", times.timestamp_error_ns),
            ("log_error_ns", times.log_error_ns),
        ];
        let known = members.into_iter().filter_map(|(name, value)| Some((name.into(), value?)));
        Self(known.collect())
    }
}

impl From<&SweepEnd> for Summary {
    fn from(end: &SweepEnd) -> Self {
        let owned = |counts: &[(Cow<'static, str>, u64)]| {
            let counts = counts.iter().filter(|(_, count)| *count > 0);
            counts.map(|(name, count)| (name.to_string(), *count)).collect()
        };
        let passes = end.passes.iter();
        Self {
            outcome: outcome(end).to_owned(),
            interrupted: end.interrupted,
            resumed: end.resumed,
            elapsed_ns: nanos_of(end.elapsed),
            sending_ns: end.sending.map(nanos_of),
            sent: end.sent(),
            syns_per_second: end.syns_per_second(),
            account: (&end.account).into(),
            passes: passes.map(|pass| Pass { sent: pass.sent, answered: pass.answered }).collect(),
            rejected: owned(&end.rejected),
            duplicates: end.duplicates,
            late: end.late,
            drops: end.drops,
            discarded: end.discarded,
            mended: end.mended,
            send_troubles: owned(&end.send_troubles),
            loss: end.loss.map(Loss::from),
            loss_back: end.loss_back.map(Loss::from),
            rtt: end.rtt.as_ref().filter(|rtt| rtt.figures.count > 0).map(Rtt::from),
        }
    }
}

/// The best that was found; in other reports' words, for what reads them all.
fn outcome(end: &SweepEnd) -> &'static str {
    let account = &end.account;
    match account {
        _ if end.interrupted => "interrupted",
        SweepAccount { open: 1.., .. } => "open",
        SweepAccount { refused: 1.., .. } => "refused",
        SweepAccount { unreachable: 1.., .. } => "unreachable",
        _ => "filtered",
    }
}

impl From<&SweepAccount> for Account {
    fn from(account: &SweepAccount) -> Self {
        Self {
            targets: account.total(),
            open: account.open,
            refused: account.refused,
            unreachable: account.unreachable,
            silent: account.silent,
            not_probed: account.not_probed,
            prohibited: account.prohibited,
            closes: account.closes.map(|closes| Closes {
                closed: closes.closed,
                still_open: closes.still_open,
                fin_ignored: closes.fin_ignored,
                reset: closes.reset,
                banners: closes.banners,
            }),
        }
    }
}

impl Account {
    /// What the record says of the targets; `None` where its sum is another than it says.
    pub(super) fn checked(&self) -> Option<SweepAccount> {
        let parts = [self.open, self.refused, self.unreachable, self.silent, self.not_probed];
        let sum = parts.into_iter().try_fold(0_u64, u64::checked_add)?;
        (sum == self.targets).then(|| SweepAccount {
            open: self.open,
            refused: self.refused,
            unreachable: self.unreachable,
            silent: self.silent,
            not_probed: self.not_probed,
            prohibited: self.prohibited,
            closes: self.closes.map(|closes| SweepCloses {
                closed: closes.closed,
                still_open: closes.still_open,
                fin_ignored: closes.fin_ignored,
                reset: closes.reset,
                banners: closes.banners,
            }),
        })
    }
}

impl From<Pass> for SweepPass {
    fn from(pass: Pass) -> Self {
        Self { sent: pass.sent, answered: pass.answered }
    }
}
