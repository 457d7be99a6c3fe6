//! The lines of a report.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};

use serde::Deserialize;

use super::SweepReport;
use super::target;
use crate::event::Found;
use crate::report::sanitize::{self, Charset};
use crate::report::sweep::json::TARGET;
use crate::report::sweep::records::{Run, Summary};

/// Bytes of the longest line that is read: a banner of 64 KiB, escaped at its worst, is shorter.
const LONGEST: u64 = 1 << 20;

/// How a run's record begins.
const RUN: &[u8] = br#"{"v":1,"type":"run""#;

/// What a line holds.
#[derive(Debug)]
pub(super) enum Item {
    Run(Box<Run>),
    Target(Found),
    Summary(Box<Summary>),
    /// A record that matters to no union.
    Other,
    /// The beginning of a record: its writer was killed.
    Cut,
}

/// Reads a report, line by line.
pub(super) struct Lines<'a> {
    name: &'a str,
    input: BufReader<Box<dyn Read>>,
    line: Vec<u8>,
    number: u64,
    /// A record that stands in a line behind another's beginning.
    left: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    v: u32,
    #[serde(rename = "type", borrow)]
    name: Cow<'a, str>,
}

impl<'a> Lines<'a> {
    pub(super) fn open(report: &'a SweepReport) -> Result<Self, String> {
        let name = report.name.as_str();
        let input = (report.open)().map_err(|error| format!("cannot read {name}: {error}"))?;
        let input = BufReader::with_capacity(1 << 16, input);
        Ok(Self { name, input, line: Vec::new(), number: 0, left: None })
    }

    /// The next record; an error names the file and the line.
    pub(super) fn next(&mut self) -> Result<Option<Item>, String> {
        if let Some(left) = self.left.take() {
            return self.record(&left).map(Some);
        }
        let mut line = std::mem::take(&mut self.line);
        let read = self.read_line(&mut line);
        let item = match read {
            Ok(0) => Ok(None),
            Ok(_) => self.item(&line).map(Some),
            Err(error) => Err(format!("cannot read {}: {error}", self.name)),
        };
        self.line = line;
        item
    }

    fn read_line(&mut self, line: &mut Vec<u8>) -> io::Result<usize> {
        line.clear();
        self.number += 1;
        self.input.by_ref().take(LONGEST).read_until(b'\n', line)
    }

    fn item(&mut self, line: &[u8]) -> Result<Item, String> {
        let Some(whole) = line.strip_suffix(b"\n") else {
            if line.len() as u64 >= LONGEST {
                return Err(self.broken("it is longer than any record"));
            }
            // Whole but for its end, or not: its writer did not come to the end.
            return Ok(Item::Cut);
        };
        // A run that continued an earlier one may have written behind the half line that it left.
        let continued = whole.windows(RUN.len()).skip(1).position(|part| part == RUN);
        if let Some(at) = continued.filter(|_| !starts_as_run(whole)) {
            self.left = Some(whole[at + 1..].to_vec());
            return Ok(Item::Cut);
        }
        self.record(whole)
    }

    fn record(&self, line: &[u8]) -> Result<Item, String> {
        if line.starts_with(TARGET) {
            return target::read(line).map(Item::Target).map_err(|why| self.broken(&why));
        }
        let kind: Kind<'_> = self.parse(line)?;
        if kind.v != 1 {
            return Err(self.broken(&format!("its schema is {}, not 1", kind.v)));
        }
        Ok(match &*kind.name {
            "run" => Item::Run(Box::new(self.parse(line)?)),
            "summary" => Item::Summary(Box::new(self.parse(line)?)),
            "target" => Item::Target(target::read(line).map_err(|why| self.broken(&why))?),
            _ => Item::Other,
        })
    }

    fn parse<'l, T: Deserialize<'l>>(&self, line: &'l [u8]) -> Result<T, String> {
        serde_json::from_slice(line).map_err(|error| {
            // There is but one line.
            self.broken(&error.to_string().replace(" at line 1 column ", " in column "))
        })
    }

    fn broken(&self, why: &str) -> String {
        let why = sanitize::text(why, Charset::Ascii);
        format!("{}: line {} is no record of a sweep: {why}", self.name, self.number)
    }
}

fn starts_as_run(line: &[u8]) -> bool {
    line.starts_with(RUN)
}
