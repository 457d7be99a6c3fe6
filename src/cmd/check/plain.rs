//! Plain lines of everything.

use std::io::{self, Write};

use crate::event::{CheckEvent, CheckSink, Step, Verdict};
use crate::net::Dir;

/// Prints all events as lines.
pub(super) struct Plain;

impl CheckSink for Plain {
    fn record(&mut self, event: &CheckEvent) -> io::Result<()> {
        let mut out = io::stdout();
        match event {
            CheckEvent::Result(result) => {
                writeln!(
                    out,
                    "{:<14} {:<24} {} ({:?}) {:?}",
                    result.finding.verdict.name(),
                    result.info.id,
                    result.finding.observed,
                    result.elapsed,
                    result.finding.figures
                )?;
                if result.finding.verdict > Verdict::Pass || std::env::var_os("CHECK_V").is_some() {
                    let start = result.trace.entries.first().map(|entry| entry.stamp.at);
                    for entry in &result.trace.entries {
                        let ends = result.trace.conversations[entry.conversation];
                        let at = start.map(|start| entry.stamp.at.since(start)).unwrap_or_default();
                        let irs = ends.irs.unwrap_or_default();
                        let text = match &entry.step {
                            Step::Segment { dir, packet: Some(packet), .. } => match dir {
                                Dir::Tx => {
                                    format!("> {}", packet.segment.relative_to(ends.iss, irs))
                                }
                                Dir::Rx => {
                                    format!("< {}", packet.segment.relative_to(irs, ends.iss))
                                }
                            },
                            other => format!("{other:?}").chars().take(90).collect(),
                        };
                        writeln!(
                            out,
                            "    {:>9.3} ms  #{} {}  {}",
                            at.as_secs_f64() * 1e3,
                            entry.conversation,
                            text,
                            entry.label
                        )?;
                    }
                }
                Ok(())
            }
            CheckEvent::Run(run) => writeln!(out, "run {} {} checks", run.target, run.checks.len()),
            CheckEvent::Started(_) => Ok(()),
            CheckEvent::Confirming(info, times) => writeln!(out, "confirming {} {times}", info.id),
            other => writeln!(out, "{other:?}"),
        }
    }
}
