//! `shakedown doctor`: what this host can do, what is missing, and the remedy.

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::Context as _;
use colored::{ColoredString, Colorize as _};
use serde::Serialize;

use super::target::{Family, Services, Target, resolve};
use super::{Environment, ExitStatus};
use crate::cli::DoctorArgs;
use crate::net::linux::doctor::{Finding, Status, examine};

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
    let target = match &args.target {
        Some(text) => {
            // The port does not change the way.
            let target = Target::parse_or(text, 0, &Services::of_host())?;
            let addresses = resolve(&target, Family::of(&args.family))?;
            addresses.first().map(SocketAddr::ip)
        }
        None => None,
    };
    let findings = examine(target);
    colored::control::set_override(environment.colours(args.color.color));
    let mut out = std::io::stdout().lock();
    for finding in &findings {
        let line = if args.json { as_json(finding)? } else { as_line(finding) };
        writeln!(out, "{line}").context("cannot write")?;
    }
    let sound = findings.iter().all(|finding| finding.status != Status::Missing);
    Ok(if sound { ExitStatus::AsAsked } else { ExitStatus::Otherwise })
}

fn as_line(finding: &Finding) -> String {
    let mark: ColoredString = match finding.status {
        Status::Good => "ok     ".green(),
        Status::Limited => "limited".yellow(),
        Status::Missing => "missing".red(),
        Status::Info => "info   ".normal(),
    };
    let head = format!("{mark}  {:<12} {}", finding.topic, finding.text);
    match &finding.remedy {
        Some(remedy) => format!("{head}\n         {:<12} {} {remedy}", "", "→".dimmed()),
        None => head,
    }
}

fn as_json(finding: &Finding) -> anyhow::Result<String> {
    let status = match finding.status {
        Status::Good => "good",
        Status::Limited => "limited",
        Status::Missing => "missing",
        Status::Info => "info",
    };
    let Finding { topic, text, remedy, .. } = finding;
    let record = Record { v: 1, r#type: "finding", topic, status, text, remedy: remedy.as_deref() };
    serde_json::to_string(&record).context("cannot write a finding as JSON")
}
