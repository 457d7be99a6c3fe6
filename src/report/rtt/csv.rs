//! One row for each probe, for whoever wants to compute for himself.
//!
//! RFC 4180, with lines that end in a single line feed; UTF-8; the first line names the columns.
//! Times are integer nanoseconds, on the monotonic axis, counted from the start of the run. What is
//! absent is an empty field, never 0. Columns may be added at the end, never renamed.
//!
//! | column | |
//! |---|---|
//! | `target` | as the user wrote it |
//! | `addr`, `port` | where the probe went |
//! | `probe` | its place in this target's row of probes, from 0, warm-up and missed ones included |
//! | `flow` | which of the source ports, from 0 |
//! | `warm_up` | 1 where it does not count in any figure, else 0 |
//! | `due_ns` | when it should have left |
//! | `sent_ns` | when its first packet left |
//! | `answered_ns` | when its first answer arrived: what is reordered is so by this |
//! | `fate` | `answered`, `ambiguous`, `refused`, `icmp`, `late`, `lost`, `in-flight` |
//! | `answer` | `open`, `refused` or `icmp`, also of a late one |
//! | `first_try` | `answered`, `lost` or `unknown`: what became of its first packet |
//! | `attempts` | packets sent for it |
//! | `duplicates` | answers beyond the first |
//! | `clock` | the worse of the clocks that took its intervals |
//! | `handshake_ns`, `data_ack_ns`, `fin_ack_ns`, `peer_fin_ns` | its intervals, by phase: those, and only those, that count in the figures |
//! | `source_port`, `iss` | our port and initial sequence number, by which a capture knows the probe |
//! | `ended_ns` | when it was over, or answered late: the jitter takes the intervals in this order |

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use crate::report::sanitize::{self, Charset};
use crate::stats::{Answer, Fate, FirstTry, Phase};
use crate::time::{Clock, Instant, nanos_of};

const HEADER: &str = "target,addr,port,probe,flow,warm_up,due_ns,sent_ns,answered_ns,fate,answer,\
first_try,attempts,duplicates,clock,handshake_ns,data_ack_ns,fin_ack_ns,peer_fin_ns,source_port,iss,ended_ns\n";

/// One probe, when its fate is final or the run ends. The columns are in this module's table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row<'a> {
    /// The target as the user wrote it.
    pub target: &'a str,
    /// Where the probe went.
    pub to: SocketAddr,
    /// Its place in the target's row of probes.
    pub probe: u64,
    /// Which of the source ports.
    pub flow: u32,
    /// It counts in no figure.
    pub warm_up: bool,
    /// When it should have left.
    pub due: Instant,
    /// When its first packet left.
    pub sent: Option<Instant>,
    /// When its first answer arrived.
    pub answered: Option<Instant>,
    /// What became of it.
    pub fate: Fate,
    /// What its answer said.
    pub answer: Option<Answer>,
    /// What became of its first packet.
    pub first_try: Option<FirstTry>,
    /// Packets sent for it.
    pub attempts: u32,
    /// Answers beyond the first.
    pub duplicates: u32,
    /// The worse of the clocks that took its intervals.
    pub clock: Option<Clock>,
    /// Its intervals, in the order of [`Phase::ALL`].
    pub intervals: [Option<Duration>; Phase::ALL.len()],
    /// Our port.
    pub source_port: u16,
    /// Our initial sequence number.
    pub iss: u32,
    /// When it was over.
    pub ended: Instant,
}

/// Writes the rows. A failure is the output's: a row is either whole or the last of the file.
#[derive(Debug)]
pub struct CsvWriter<W> {
    out: W,
    start: Instant,
}

impl<W: Write> CsvWriter<W> {
    /// Writes the names of the columns to `out`; times will count from `start`.
    ///
    /// # Errors
    /// The output failed.
    pub fn new(mut out: W, start: Instant) -> io::Result<Self> {
        out.write_all(HEADER.as_bytes())?;
        Ok(Self { out, start })
    }

    /// Writes one row.
    ///
    /// # Errors
    /// The output failed.
    pub fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        let at = |at: Instant| at.signed_nanos_since(self.start).to_string();
        let mut fields = vec![
            quoted(row.target),
            row.to.ip().to_string(),
            row.to.port().to_string(),
            row.probe.to_string(),
            row.flow.to_string(),
            u8::from(row.warm_up).to_string(),
            at(row.due),
            row.sent.map(at).unwrap_or_default(),
            row.answered.map(at).unwrap_or_default(),
            row.fate.name().to_owned(),
            row.answer.map_or("", Answer::name).to_owned(),
            row.first_try.map_or("", FirstTry::name).to_owned(),
            row.attempts.to_string(),
            row.duplicates.to_string(),
            row.clock.map_or("", Clock::name).to_owned(),
        ];
        let nanos = |interval: Duration| nanos_of(interval).to_string();
        fields.extend(row.intervals.iter().map(|interval| interval.map(nanos).unwrap_or_default()));
        fields.extend([row.source_port.to_string(), row.iss.to_string(), at(row.ended)]);
        // One write: what stands in the file after a failure are whole rows, or the last is cut.
        self.out.write_all(format!("{}\n", fields.join(",")).as_bytes())
    }

    /// The writer, after everything was handed to it.
    ///
    /// # Errors
    /// The output failed.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// A text field: control characters are written out, and what a spreadsheet would take for a formula
/// or a reader for several fields is quoted.
fn quoted(text: &str) -> String {
    let text = sanitize::text(text, Charset::Unicode);
    if text.contains([',', '"', ' ']) || text.is_empty() {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(target: &str) -> Row<'_> {
        Row {
            target,
            to: "192.0.2.7:443".parse().unwrap(),
            probe: 3,
            flow: 1,
            warm_up: false,
            due: Instant::from_nanos(2_000),
            sent: Some(Instant::from_nanos(2_007)),
            answered: Some(Instant::from_nanos(14_107)),
            fate: Fate::Answered,
            answer: Some(Answer::Open),
            first_try: Some(FirstTry::Answered),
            attempts: 1,
            duplicates: 0,
            clock: Some(Clock::Kernel),
            intervals: [Some(Duration::from_nanos(12_100)), None, None, None],
            source_port: 40_001,
            iss: 4_000_000_000,
            ended: Instant::from_nanos(14_200),
        }
    }

    fn written(rows: &[Row<'_>]) -> String {
        let mut csv = CsvWriter::new(Vec::new(), Instant::from_nanos(1_000)).unwrap();
        rows.iter().for_each(|row| csv.row(row).unwrap());
        String::from_utf8(csv.finish().unwrap()).unwrap()
    }

    #[test]
    fn a_row_names_everything_and_leaves_what_is_absent_empty() {
        let lost = Row {
            sent: Some(Instant::from_nanos(900)),
            answered: None,
            fate: Fate::Lost,
            answer: None,
            first_try: Some(FirstTry::Lost),
            clock: None,
            intervals: [None; 4],
            ..row("[2001:db8::1]:443")
        };
        let text = written(&[row("example.org:443"), lost]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[1],
            "example.org:443,192.0.2.7,443,3,1,0,1000,1007,13107,answered,open,answered,1,0,kernel,\
             12100,,,,40001,4000000000,13200"
        );
        // Stamped before the start, by a little: the sign is not hidden.
        assert_eq!(
            lines[2],
            "[2001:db8::1]:443,192.0.2.7,443,3,1,0,1000,-100,,lost,,lost,1,0,,,,,,40001,4000000000,13200"
        );
        let columns = |line: &str| line.split(',').count();
        assert!(lines.iter().all(|line| columns(line) == columns(lines[0])));
    }

    #[test]
    fn a_hostile_name_stays_in_its_field() {
        let text = written(&[row("a,\"b\"\n=c\r")]);
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().nth(1).is_some_and(|l| l.starts_with(r#""a,""b""\n=c\r",192."#)));
    }
}
