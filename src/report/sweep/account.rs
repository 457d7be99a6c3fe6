//! The account of a sweep: every target once, and what the figures are worth.

use std::borrow::Cow;
use std::time::Duration;

use crate::event::{SweepAccount, SweepEnd, SweepLoss, SweepRun, SweepTimes};
use crate::report::human::paint::{Paint, Span, blank, width, wrap, wrap_text};
use crate::report::human::{Lines, Style, hang};
use crate::report::units;

/// The summary, finished lines.
pub(super) fn lines(run: Option<&SweepRun>, end: &SweepEnd, style: &Style) -> Lines {
    let mut page = Page { style: *style, lines: Vec::new() };
    page.line(vec![Span::new("--- sweep statistics ---", Paint::Bold)]);
    targets(&mut page, run, end);
    passes(&mut page, end);
    loss(&mut page, run, end);
    strays(&mut page, end);
    own_losses(&mut page, end);
    speed(&mut page, run, end);
    times(&mut page, end.rtt.as_ref());
    notes(&mut page, end);
    page.lines
}

struct Page {
    style: Style,
    lines: Lines,
}

impl Page {
    fn line(&mut self, line: Vec<Span>) {
        self.lines.push(line);
    }

    /// A row of the table, and what is to be said of it beside it.
    fn detailed(&mut self, mut row: Vec<Span>, detail: &str) {
        let indent = width(&row) + 2;
        let room = self.style.columns().saturating_sub(indent);
        for mut line in wrap_text(detail, Paint::Dim, room) {
            row.push(blank(indent - width(&row)));
            row.append(&mut line);
            self.line(std::mem::take(&mut row));
        }
        if !row.is_empty() {
            self.line(row);
        }
    }

    /// A sentence, in as many lines as it takes.
    fn say(&mut self, text: &str, paint: Paint) {
        self.lines.extend(hang(wrap_text(text, paint, self.style.columns() - 2), 2));
    }

    fn time(&self, nanos: u64) -> String {
        units::duration(Duration::from_nanos(nanos), self.style.unicode)
    }

    fn plus_minus(&self) -> &'static str {
        if self.style.unicode { "±" } else { "+/-" }
    }
}

/// The table of all targets, with its sum.
fn targets(page: &mut Page, run: Option<&SweepRun>, end: &SweepEnd) {
    let account = &end.account;
    let total = account.total();
    let columns = total.to_string().len().max(5);
    let rows = [
        (account.open, "open", Paint::Good),
        (account.refused, "refused", Paint::Bad),
        (account.unreachable, "unreachable", Paint::Warn),
        (account.silent, "silent", Paint::Plain),
        (account.not_probed, "not probed", Paint::Warn),
    ];
    for (count, name, paint) in rows {
        let paint = if count == 0 { Paint::Dim } else { paint };
        let share = share(count, total);
        let line = vec![
            Span::plain(format!("  {count:>columns$}  ")),
            Span::new(format!("{name:<11}"), paint),
            Span::plain(format!("  {share:>8}")),
        ];
        let detail = match name {
            "open" => closes(account),
            "unreachable" if account.prohibited > 0 => {
                format!("{} of them prohibited by a firewall", account.prohibited)
            }
            _ => String::new(),
        };
        page.detailed(line, &detail);
    }
    page.line(vec![Span::new(format!("= {total:>columns$}  targets"), Paint::Bold)]);
    let wanted = run.map(|run| run.positions.end.saturating_sub(run.positions.start));
    if let Some(wanted) = wanted.filter(|wanted| *wanted != total) {
        page.say(
            &format!(
                "THE ACCOUNT DOES NOT ADD UP: the sweep was of {}. Please report this.",
                units::count(wanted, "target")
            ),
            Paint::Bad,
        );
    }
}

fn closes(account: &SweepAccount) -> String {
    let Some(closes) = account.closes else { return String::new() };
    let parts = [
        (closes.closed, "closed by FIN"),
        (closes.still_open, "still open after our FIN"),
        (closes.fin_ignored, "ignored our FIN"),
        (closes.reset, "reset"),
    ];
    let known: u64 = parts.iter().map(|(count, _)| count).sum();
    let rest = account.open.saturating_sub(known);
    let parts = parts.into_iter().chain([(rest, "not followed to the end")]);
    let mut said: Vec<String> = parts
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if closes.banners > 0 {
        said.push(format!("{} with a banner", closes.banners));
    }
    said.join(", ")
}

/// One decimal, and never `0.0 %` or `100.0 %` of something that is neither nothing nor all.
fn share(count: u64, total: u64) -> String {
    if total == 0 {
        return String::new();
    }
    let tenths = (u128::from(count) * 1000 + u128::from(total) / 2) / u128::from(total);
    match (count, tenths) {
        (0, _) => "0 %".to_owned(),
        (_, 0) => "< 0.1 %".to_owned(),
        (_, 1000) if count < total => "> 99.9 %".to_owned(),
        (_, 1000) => "100 %".to_owned(),
        _ => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

fn passes(page: &mut Page, end: &SweepEnd) {
    let sent = end.sent();
    let mut items = vec![Span::plain(format!("{} sent", units::count(sent, "SYN")))];
    let many = end.passes.len() > 1;
    for (number, pass) in end.passes.iter().enumerate().filter(|_| many) {
        items.push(Span::plain(format!(
            "pass {}: {} sent, {} answered",
            number + 1,
            pass.sent,
            pass.answered
        )));
    }
    if let (false, Some(pass)) = (many, end.passes.first()) {
        items.push(Span::plain(format!("{} answered", pass.answered)));
    }
    let lines = hang(wrap(items, "; ", page.style.columns() - 2), 2);
    page.lines.extend(lines);
}

fn loss(page: &mut Page, run: Option<&SweepRun>, end: &SweepEnd) {
    let many = end.passes.len() > 1 || run.is_some_and(|run| run.passes > 1);
    let text = match end.loss {
        Some(loss) => format!(
            "loss {} of SYNs or their answers, as the later passes show",
            estimate(page, loss)
        ),
        None if !many => {
            "loss unknown: one pass cannot tell what was lost from who is silent; needs --passes 2"
                .to_owned()
        }
        None => "loss unknown: too few answers to tell".to_owned(),
    };
    page.say(&text, Paint::Plain);
    if let Some(back) = end.loss_back {
        let text =
            format!("loss on the way back {}, as repeated SYN-ACKs show", estimate(page, back));
        page.say(&text, Paint::Plain);
    }
}

/// `0.43 % ± 0.02 %`.
fn estimate(page: &Page, loss: SweepLoss) -> String {
    let percent = |ppm: u32| {
        let hundredths = (ppm + 50) / 100;
        match ppm {
            1..50 => "< 0.01 %".to_owned(),
            _ => format!("{}.{:02} %", hundredths / 100, hundredths % 100),
        }
    };
    format!("{} {} {}", percent(loss.ppm), page.plus_minus(), percent(loss.error_ppm))
}

/// What came and counts nowhere.
fn strays(page: &mut Page, end: &SweepEnd) {
    let rejected = named(&end.rejected, &page.style);
    if !rejected.is_empty() {
        let total: u64 = end.rejected.iter().map(|(_, count)| count).sum();
        let text = format!(
            "{} rejected, for they proved nothing: {rejected}",
            units::count(total, "packet")
        );
        page.say(&text, Paint::Warn);
    }
    if end.duplicates > 0 {
        page.say(&units::count(end.duplicates, "duplicate answer"), Paint::Plain);
    }
    if end.late > 0 {
        let text = format!(
            "{} too late: targets that had been silent until then count as silent",
            units::count(end.late, "answer")
        );
        page.say(&text, Paint::Warn);
    }
}

/// `cookie 12, checksum 5`.
fn named(counts: &[(Cow<'static, str>, u64)], style: &Style) -> String {
    let known = counts.iter().filter(|(_, count)| *count > 0);
    let parts: Vec<String> =
        known.map(|(name, count)| format!("{} {count}", style.safe(name))).collect();
    parts.join(", ")
}

/// What we lost ourselves, said loudly.
fn own_losses(page: &mut Page, end: &SweepEnd) {
    if end.drops > 0 {
        let text = format!(
            "THIS HOST DROPPED {} before they were read: answers may be among them, so that targets \
             count as silent that are not. Lower --rate, or repeat with --passes 2",
            units::count(end.drops, "packet")
        );
        page.say(&text, Paint::Bad);
    }
    if end.mended > 0 {
        let text = format!(
            "the interface dropped {} that it had taken; {} again in the same pass, to whoever was silent \
             of those that may have been among them",
            units::count(end.discarded, "frame"),
            units::count(end.mended, "SYN")
                + if end.mended == 1 { " was sent" } else { " were sent" },
        );
        page.say(&text, Paint::Warn);
    }
    let troubles = named(&end.send_troubles, &page.style);
    if !troubles.is_empty() {
        let text =
            format!("the kernel refused frames for a while; they were sent later: {troubles}");
        page.say(&text, Paint::Warn);
    }
}

fn speed(page: &mut Page, run: Option<&SweepRun>, end: &SweepEnd) {
    let unicode = page.style.unicode;
    let mut text = format!("elapsed {}", units::duration(end.elapsed, unicode));
    if run.is_some_and(|run| run.united.is_some()) {
        text += " (the longest of the shards)";
    }
    if let (Some(sending), Some(rate)) = (end.sending, end.syns_per_second()) {
        text += &format!(", {rate} SYNs/s over {}", units::duration(sending, unicode));
    }
    page.say(&text, Paint::Plain);
}

fn times(page: &mut Page, rtt: Option<&SweepTimes>) {
    let Some(rtt) = rtt else { return };
    let f = &rtt.figures;
    if let (Some(min), Some(p50), Some(p99), Some(max)) = (f.min_ns, f.p50_ns, f.p99_ns, f.max_ns) {
        let [min, p50, p99, max] = [min, p50, p99, max].map(millis);
        let text = format!(
            "rtt min/median/p99/max = {min}/{p50}/{p99}/{max} ms of {}",
            units::count(f.count, "target")
        );
        page.say(&text, Paint::Plain);
    }
    let ways = [
        (rtt.by_timestamp, rtt.timestamp_error_ns, "by the timestamp option"),
        (rtt.by_log, rtt.log_error_ns, "by the log of what was sent when"),
    ];
    let said: Vec<String> = ways
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, error, how)| {
            let error = error.map(|nanos| format!(", wrong by at most {}", page.time(nanos)));
            format!("{count} {how}{}", error.unwrap_or_default())
        })
        .collect();
    if !said.is_empty() {
        page.say(&format!("rtt taken: {}", said.join("; ")), Paint::Plain);
    }
}

/// Milliseconds with three decimals.
fn millis(nanos: u64) -> String {
    let micros = nanos.saturating_add(500) / 1000;
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

fn notes(page: &mut Page, end: &SweepEnd) {
    if end.resumed {
        page.say("continued: all counts include those of the earlier runs", Paint::Plain);
    }
    if end.interrupted {
        let text = match end.account.not_probed {
            0 => "interrupted while late answers were waited for".to_owned(),
            left => format!(
                "interrupted: {} not probed; with --resume FILE a sweep can be continued",
                units::count(left, "target")
            ),
        };
        page.say(&text, Paint::Warn);
    }
}
