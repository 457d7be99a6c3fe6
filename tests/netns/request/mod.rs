//! `request`: web servers from Debian, whose kernel's trace of states is the truth.

mod faults;
mod servers;
mod truth;

use self::servers::Web;
use crate::Case;
use crate::namespace::Topology;
use crate::run::{Finished, Privilege, run_with};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

pub(crate) fn cases() -> Vec<Case> {
    [truth::cases(), faults::cases()].into_iter().flatten().collect()
}

/// Asks, and has it end with this exit status.
fn ask(
    topology: &Topology,
    privilege: Privilege,
    url: &str,
    options: &[&str],
    status: i32,
) -> Result<Finished> {
    let arguments = [&["request", url, "--json"], options].concat();
    let finished = run_with(&topology.client, privilege, &arguments)?;
    finished.expect_status(status)?;
    Ok(finished)
}

/// The options that trust a server's certificate.
fn trust(web: &Web) -> [String; 2] {
    ["--cacert".to_owned(), web.authority()]
}

/// The connections that it tells of: their numbers, and who closed them.
fn connections(finished: &Finished) -> Vec<&Value> {
    finished.of_type("connection").collect()
}

/// The courses of its summary.
fn courses(finished: &Finished) -> Result<Vec<Value>> {
    let summary = finished.first("summary")?;
    let courses = summary["requests"]["courses"].as_array();
    Ok(courses.with_context(|| finished.account())?.clone())
}

/// Has every request been answered by 200 and so many bytes.
fn ensure_answered(finished: &Finished, count: usize, bytes: u64) -> Result<()> {
    let answered = finished
        .of_type("request")
        .filter(|request| request["complete"] == true)
        .filter(|request| request["status"] == 200 && request["bytes"] == bytes);
    ensure!(answered.count() == count, "{}", finished.account());
    ensure!(finished.outcome()? == "answered", "{}", finished.account());
    Ok(())
}
