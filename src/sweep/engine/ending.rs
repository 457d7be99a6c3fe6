//! The account of a sweep.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use super::tally::{HostLosses, Tally};
use crate::event::{SweepAccount, SweepEnd, SweepLoss, SweepMethod, SweepPass};
use crate::net::SendTrouble;
use crate::sweep::account::Account;
use crate::sweep::loss::{Estimate, Loss};

/// What is known at the end.
pub(super) struct Facts<'a> {
    pub(super) account: Account,
    pub(super) tally: &'a Tally,
    pub(super) loss: &'a Loss,
    pub(super) method: SweepMethod,
    pub(super) host: HostLosses,
    pub(super) elapsed: Duration,
    pub(super) sending: Option<Duration>,
    pub(super) interrupted: bool,
    pub(super) resumed: bool,
}

/// The account in the words of the report.
pub(super) fn of(facts: &Facts<'_>) -> SweepEnd {
    let Facts { account, tally, .. } = facts;
    let mut rejected: Vec<(Cow<'static, str>, u64)> =
        tally.rejected.iter().map(|(why, count)| (why.clone().into(), *count)).collect();
    rejected.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let troubles = facts.host.troubles.iter().map(|(why, count)| (why.clone().into(), *count));
    SweepEnd {
        account: SweepAccount {
            open: account.answered(),
            refused: account.refused(),
            unreachable: account.unreachable(),
            silent: account.silent(),
            not_probed: account.not_probed,
            prohibited: tally.prohibited.min(account.unreachable()),
            closes: facts.method.is_full().then(|| tally.closes()),
        },
        passes: account
            .passes
            .iter()
            .map(|pass| SweepPass { sent: pass.sent, answered: pass.answers() })
            .collect(),
        rejected,
        duplicates: account.duplicates,
        late: account.late,
        drops: facts.host.drops,
        discarded: facts.host.discarded,
        mended: facts.host.mended,
        send_troubles: troubles.collect(),
        loss: loss(facts.loss),
        loss_back: facts.loss.way_back().map(share),
        rtt: None,
        elapsed: facts.elapsed,
        sending: facts.sending,
        interrupted: facts.interrupted,
        resumed: facts.resumed,
    }
}

/// How many SYNs or their answers got lost, where the passes tell.
pub(super) fn loss(loss: &Loss) -> Option<SweepLoss> {
    loss.way_out().or_else(|| loss.round_trip()).map(share)
}

fn share(estimate: Estimate) -> SweepLoss {
    let ppm = |share: f64| (share * 1e6).round().clamp(0.0, 1e6) as u32;
    SweepLoss { ppm: ppm(estimate.value), error_ppm: ppm(estimate.error) }
}

/// Frames that the kernel would not take for a while or at all, by the reason.
pub(super) fn troubles(
    passing: &BTreeMap<SendTrouble, u64>,
    refused: u64,
) -> BTreeMap<String, u64> {
    let passing = passing.iter().map(|(trouble, count)| (word(*trouble), *count));
    let lasting = Some(("refused", refused)).filter(|(_, count)| *count > 0);
    passing.chain(lasting).map(|(why, count)| (why.to_owned(), count)).collect()
}

const fn word(trouble: SendTrouble) -> &'static str {
    match trouble {
        SendTrouble::InterfaceDown => "interface-down",
        SendTrouble::NoRoute => "no-route",
        SendTrouble::Firewall => "firewall",
        SendTrouble::QueueFull => "queue-full",
    }
}
