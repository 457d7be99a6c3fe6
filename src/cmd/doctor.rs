//! `shakedown doctor`: what this host can do, what is missing, and the remedy.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use anyhow::Context as _;
use colored::{ColoredString, Colorize as _};
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use super::target::{Family, Services, Target, on_interface, resolve};
use super::{Environment, ExitStatus, escaped};
use crate::cli::DoctorArgs;
use crate::net::linux::doctor::{Finding, Status, examine};
use crate::net::linux::route::{Interface, RouteOptions, route_to};
use crate::report::PipeWriter;
use crate::report::json::ascii;

/// Columns of the mark, and of the topic, with the blanks behind them.
const MARK: usize = 9;
const TOPIC: usize = 14;
/// A text that would be narrower than this is left to the terminal to break.
const NARROWEST: usize = 24;

/// A finding in the JSON stream.
#[derive(Serialize)]
struct Record<'a> {
    v: u32,
    r#type: &'static str,
    topic: &'a str,
    status: &'static str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
}

/// Runs the subcommand. Whatever is missing is the answer, so that it exits with 1, not 2.
///
/// # Errors
/// Where the target's name cannot be resolved or the output cannot be written.
pub fn run(args: &DoctorArgs, environment: &Environment) -> anyhow::Result<ExitStatus> {
    let way = match &args.target {
        Some(text) => Some(way_to(text, args)?),
        None => None,
    };
    let (target, interface) = way.map_or((None, None), |(target, on)| (Some(target), on));
    let findings = examine(target, args.interface.as_deref().or(interface.as_deref()));
    colored::control::set_override(environment.colours(args.color.color));
    let mut out = PipeWriter::new(io::stdout());
    for finding in &findings {
        if args.json {
            let mut line = as_json(finding)?;
            line.push(b'\n');
            out.write_all(&line).context("cannot write")?;
        } else {
            out.write_all(as_text(finding, environment).as_bytes()).context("cannot write")?;
        }
    }
    let sound = findings.iter().all(|finding| finding.status != Status::Missing);
    Ok(if sound { ExitStatus::AsAsked } else { ExitStatus::Otherwise })
}

/// The address that the other commands would take: the first to which there is a way, or else the
/// first; and the interface that a link-local one names.
fn way_to(text: &str, args: &DoctorArgs) -> anyhow::Result<(IpAddr, Option<String>)> {
    // The port does not change the way.
    let target = Target::parse_or(text, 0, &Services::of_host())?;
    let mut first = None;
    for address in resolve(&target, Family::of(&args.family))? {
        let address = on_interface(address, args.interface.as_deref())?;
        let scope_id = match address {
            SocketAddr::V6(v6) => v6.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        let options = RouteOptions { source: None, interface: args.interface.clone(), scope_id };
        let way =
            (address.ip(), Interface::by_index(scope_id).ok().map(|interface| interface.name));
        if route_to(address.ip(), &options).is_ok() {
            return Ok(way);
        }
        first = first.or(Some(way));
    }
    first.context("the name has no address")
}

/// A finding as a line, broken to the terminal's width where there is one, and another with what
/// to do about it.
fn as_text(finding: &Finding, environment: &Environment) -> String {
    let mark: ColoredString = match finding.status {
        Status::Good => "ok     ".green(),
        Status::Limited => "limited".yellow(),
        Status::Missing => "missing".red(),
        Status::Info => "info   ".normal(),
    };
    let width = environment.width.map_or(usize::MAX, usize::from).saturating_sub(MARK + TOPIC);
    let width = if width < NARROWEST { usize::MAX } else { width };
    let mut text = String::new();
    let mut head = format!("{mark}  {:<TOPIC$}", finding.topic);
    for line in broken(&escaped(&finding.text), width) {
        text.push_str(&format!("{head}{line}\n"));
        head = " ".repeat(MARK + TOPIC);
    }
    if let Some(remedy) = &finding.remedy {
        // In one piece, so that a command in it can be pasted.
        let arrow = if environment.utf8 { "\u{2192}" } else { "->" };
        text.push_str(&format!("{head}{} {}\n", arrow.dimmed(), escaped(remedy)));
    }
    text
}

/// `text` in lines of at most `width` columns, as far as its words allow.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn as_json(finding: &Finding) -> anyhow::Result<Vec<u8>> {
    let status = match finding.status {
        Status::Good => "good",
        Status::Limited => "limited",
        Status::Missing => "missing",
        Status::Info => "info",
    };
    let Finding { topic, text, remedy, .. } = finding;
    let record = Record { v: 1, r#type: "finding", topic, status, text, remedy: remedy.as_deref() };
    ascii::to_vec(&record).context("cannot write a finding as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding() -> Finding {
        Finding {
            topic: "offloads",
            status: Status::Info,
            text: "e\u{1b}[2J0: GRO, TSO on; data segments may be merged before they are seen"
                .to_owned(),
            remedy: Some("sudo ethtool -K e\u{1b}[2J0 gro off".to_owned()),
        }
    }

    fn environment(width: Option<u16>, utf8: bool) -> Environment {
        Environment {
            stdout_is_terminal: false,
            stderr_is_terminal: false,
            width,
            no_color: false,
            dumb: false,
            utf8,
            lang: crate::report::explain::Lang::En,
        }
    }

    #[test]
    fn a_finding_is_one_line_and_its_remedy_another() {
        colored::control::set_override(false);
        assert_eq!(
            as_text(&finding(), &environment(None, false)),
            "info     offloads      e\\u{1b}[2J0: GRO, TSO on; data segments may be merged before they are seen\n\
             \x20                      -> sudo ethtool -K e\\u{1b}[2J0 gro off\n"
        );
    }

    #[test]
    fn a_terminal_gets_lines_that_it_need_not_break() {
        colored::control::set_override(false);
        assert_eq!(
            as_text(&finding(), &environment(Some(60), true)),
            "info     offloads      e\\u{1b}[2J0: GRO, TSO on; data\n\
             \x20                      segments may be merged before they\n\
             \x20                      are seen\n\
             \x20                      \u{2192} sudo ethtool -K e\\u{1b}[2J0 gro off\n"
        );
        let narrow = as_text(&finding(), &environment(Some(30), true));
        assert_eq!(narrow.lines().count(), 2, "too narrow to be broken well");
    }

    #[test]
    fn a_record_is_plain_ascii_and_loses_nothing() {
        let line = as_json(&finding()).expect("a record");
        assert!(line.iter().all(|byte| (b' '..=b'~').contains(byte)));
        let record: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(record["v"], 1);
        assert_eq!(record["type"], "finding");
        assert_eq!(record["status"], "info");
        assert_eq!(record["text"], finding().text);
        assert_eq!(record["remedy"], finding().remedy.expect("a remedy"));
    }
}
