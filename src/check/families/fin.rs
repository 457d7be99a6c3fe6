//! We close first: what the server's kernel makes of our FIN.

use crate::check::finding::{Ruling, fail, found, pass, tolerated};
use crate::check::lab::{Class, Lab, data, fin};
use crate::check::{Check, check};
use crate::event::{CheckInfo, Cost, Group, Level, Rule, Verdict};
use crate::wire::Flags;

const EIGHTH: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "eighth, check the FIN bit" };
const QUEUE: Rule = Rule { rfc: 9293, section: "3.10.7.4", detail: "SHLD-31" };

/// In the order of the table.
pub(in crate::check) static CHECKS: &[&Check] = &[&FIN_HOLE];

check!(
    FIN_HOLE,
    fin_hole,
    CheckInfo {
        id: "fin-hole",
        title: "A FIN ahead of missing data",
        rules: &[EIGHTH, QUEUE],
        level: Level::Must,
        cost: Cost::Safe,
        groups: &[Group::Fin],
        expect: "the FIN is not acknowledged before the five bytes are there; then all of it is",
        why: "A server that takes a FIN ahead of a hole loses the end of what was sent, in silence.",
    }
);

async fn fin_hole(lab: Lab) -> Ruling {
    let mut c = lab.ready_to_close().await?;
    let s = c.snd_nxt;
    let ahead = fin().seq(5).label("FIN, and five bytes before it missing");
    let early = lab.ask(&mut c, &ahead, lab.ack_window(), |_, got| got.has(Flags::ACK)).await;
    if let Some(early) = &early
        && (early.segment.ack.is_after(s) || early.segment.has(Flags::FIN))
    {
        return Ok(fail(format!("the FIN was taken early: {}", c.notation(&early.segment))));
    }
    let fill = data(b"hello").label("the missing five bytes");
    let filled = |_: &_, got: &crate::wire::Segment| got.ack.is_after(s);
    let Some(filled) = lab.ask(&mut c, &fill, lab.ack_window(), filled).await else {
        let verdict = lab.on_silence(Class::Ordinary, Verdict::Fail);
        return Ok(found(verdict, "the missing bytes were never acknowledged"));
    };
    if filled.segment.ack == s + 6 {
        return Ok(pass("acknowledged once complete: bytes and FIN together"));
    }
    c.advance(5);
    let again = fin().label("the FIN again");
    match lab.ask(&mut c, &again, lab.ack_window(), |_, got| got.ack == s + 6).await {
        Some(_) => Ok(tolerated("the early FIN was forgotten, and taken when it was repeated")),
        None => Ok(found(
            lab.on_silence(Class::Ordinary, Verdict::Fail),
            "the repeated FIN was never acknowledged",
        )),
    }
}
