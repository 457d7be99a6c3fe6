//! Many runs and ends as one.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::facts::Facts;
use crate::event::{
    SweepAccount, SweepCloses, SweepEnd, SweepLoss, SweepMethod, SweepPass, SweepRate, SweepRun,
};
use crate::net::GuardKind;
use crate::report::sweep::records::Summary;
use crate::time::Instant;

/// The run that all shards together are; `None` where a number is none.
pub(super) fn run(facts: &[Facts]) -> Option<SweepRun> {
    let first = &facts.first()?.run;
    let all = || facts.iter().map(|one| &one.run);
    let addrs: BTreeSet<_> = all().flat_map(|run| run.source.addrs.iter().copied()).collect();
    let ports: BTreeSet<_> = all().flat_map(|run| run.source.ports.iter().copied()).collect();
    let methods = [SweepMethod::HalfOpen, SweepMethod::Full, SweepMethod::Banner];
    let guards = [GuardKind::Filter, GuardKind::MinTtl, GuardKind::Unneeded];
    let options = first.options.iter();
    Some(SweepRun {
        hosts: first.hosts,
        ports: first.ports,
        targets: first.targets,
        positions: 0..first.targets,
        shard: None,
        seed: first.seed.parse().ok()?,
        fingerprint: u64::from_str_radix(&first.fingerprint, 16).ok()?,
        method: methods.into_iter().find(|method| method.name() == first.method)?,
        passes: first.passes,
        rate: rate(all().map(|run| run.rate.into())),
        sources: addrs.into_iter().collect(),
        source_ports: ports.into_iter().collect(),
        interface: either(all().map(|run| run.interface.as_str())),
        transmit: either(all().map(|run| run.transmit.as_str())),
        transmit_choice: None,
        receive: either(all().map(|run| run.receive.as_str())),
        guard: guards.into_iter().find(|guard| guard.name() == first.guard)?,
        options: options.map(|(name, value)| (name.clone().into(), value.clone())).collect(),
        resumed: facts.iter().any(|one| one.continued),
        united: u32::try_from(facts.len()).ok(),
        at: Instant::ZERO,
        unix_ns: all().filter_map(|run| run.unix_ns).min(),
    })
}

/// What all of them do together.
fn rate(rates: impl Iterator<Item = SweepRate>) -> SweepRate {
    let sum = rates.reduce(|sum, more| match (sum, more) {
        (SweepRate::Fixed(sum), SweepRate::Fixed(more)) => {
            SweepRate::Fixed(sum.saturating_add(more))
        }
        (SweepRate::Auto(sum), SweepRate::Auto(more)) => {
            SweepRate::Auto(sum.zip(more).map(|(sum, more)| sum.saturating_add(more)))
        }
        (SweepRate::Max, SweepRate::Max) => SweepRate::Max,
        _ => SweepRate::Auto(None),
    });
    sum.unwrap_or(SweepRate::Auto(None))
}

/// How many different words are listed.
const LISTED: usize = 4;

/// `eth0`, `eth0,ens3`.
fn either<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: BTreeSet<&str> = words.collect();
    let listed: Vec<&str> = words.iter().copied().take(LISTED).collect();
    let more = if words.len() > LISTED { ",..." } else { "" };
    format!("{}{more}", listed.join(","))
}

/// The end of all shards together; `None` where the sums are beyond counting.
pub(super) fn end(facts: &[Facts]) -> Option<SweepEnd> {
    let mut end = SweepEnd::default();
    let mut rejected = BTreeMap::new();
    let mut troubles = BTreeMap::new();
    let summaries: Vec<&Summary> = facts.iter().filter_map(|one| one.summary.as_ref()).collect();
    for (place, summary) in summaries.iter().enumerate() {
        let account = summary.account.checked()?;
        end.account = if place == 0 { account } else { both(&end.account, &account)? };
        add_passes(&mut end.passes, summary)?;
        add_named(&mut rejected, &summary.rejected)?;
        add_named(&mut troubles, &summary.send_troubles)?;
        end.duplicates = end.duplicates.checked_add(summary.duplicates)?;
        end.late = end.late.checked_add(summary.late)?;
        end.drops = end.drops.checked_add(summary.drops)?;
        end.discarded = end.discarded.checked_add(summary.discarded)?;
        end.mended = end.mended.checked_add(summary.mended)?;
        end.elapsed = end.elapsed.max(Duration::from_nanos(summary.elapsed_ns));
        end.interrupted |= summary.interrupted;
        end.resumed |= summary.resumed;
    }
    end.rejected = rejected.into_iter().map(|(name, count)| (Cow::Owned(name), count)).collect();
    end.send_troubles =
        troubles.into_iter().map(|(name, count)| (Cow::Owned(name), count)).collect();
    end.loss = estimate(&summaries, |summary| summary.loss.map(SweepLoss::from));
    end.loss_back = estimate(&summaries, |summary| summary.loss_back.map(SweepLoss::from));
    Some(end)
}

fn both(one: &SweepAccount, other: &SweepAccount) -> Option<SweepAccount> {
    let sum = SweepAccount {
        open: one.open.checked_add(other.open)?,
        refused: one.refused.checked_add(other.refused)?,
        unreachable: one.unreachable.checked_add(other.unreachable)?,
        silent: one.silent.checked_add(other.silent)?,
        not_probed: one.not_probed.checked_add(other.not_probed)?,
        prohibited: one.prohibited.checked_add(other.prohibited)?,
        closes: match (one.closes, other.closes) {
            (Some(one), Some(other)) => Some(SweepCloses {
                closed: one.closed.checked_add(other.closed)?,
                still_open: one.still_open.checked_add(other.still_open)?,
                fin_ignored: one.fin_ignored.checked_add(other.fin_ignored)?,
                reset: one.reset.checked_add(other.reset)?,
                banners: one.banners.checked_add(other.banners)?,
            }),
            _ => None,
        },
    };
    // Each class fits; their sum has to, too.
    let parts = [sum.open, sum.refused, sum.unreachable, sum.silent, sum.not_probed];
    parts.into_iter().try_fold(0_u64, u64::checked_add).map(|_| sum)
}

fn add_passes(sums: &mut Vec<SweepPass>, summary: &Summary) -> Option<()> {
    for (place, pass) in summary.passes.iter().enumerate() {
        let pass = SweepPass::from(*pass);
        match sums.get_mut(place) {
            Some(sum) => {
                sum.sent = sum.sent.checked_add(pass.sent)?;
                sum.answered = sum.answered.checked_add(pass.answered)?;
            }
            None => sums.push(pass),
        }
    }
    Some(())
}

fn add_named(sums: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>) -> Option<()> {
    for (name, count) in more {
        let sum = sums.entry(name.clone()).or_insert(0);
        *sum = sum.checked_add(*count)?;
    }
    Some(())
}

/// The mean of the shards' estimates, weighted by the targets that answered, from which each was made;
/// its error as that of independent estimates. Absent where one that had answers has none: then it
/// would speak for less than all.
fn estimate(
    summaries: &[&Summary],
    of: impl Fn(&Summary) -> Option<SweepLoss>,
) -> Option<SweepLoss> {
    let mut weights = 0_u128;
    let mut sum = 0_u128;
    let mut variance = 0_u128;
    for summary in summaries {
        let account = summary.account.checked()?;
        let weight = u128::from(account.answered());
        if weight == 0 {
            continue;
        }
        let loss = of(summary)?;
        weights += weight;
        sum += weight * u128::from(loss.ppm);
        let deviation = weight.saturating_mul(loss.error_ppm.into());
        variance = variance.saturating_add(deviation.saturating_mul(deviation));
    }
    let ppm = u32::try_from(sum.checked_div(weights)?).ok()?;
    let error_ppm = u32::try_from(variance.isqrt().checked_div(weights)?).ok()?;
    Some(SweepLoss { ppm, error_ppm })
}
