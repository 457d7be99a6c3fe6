//! A sweep for a program: JSON Lines, as the [schema](super) says.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

use super::fields::{Field, Fields, Value};
use super::records::{Run, Summary};
use super::{BUFFER, ink};
use crate::event::{Found, Notice, SweepEnd, SweepProgress, SweepRun, SweepSink};
use crate::report::json::{ascii, records};
use crate::time::Instant;

/// Writes a record for each target, each in one piece; kept until there are enough of them or
/// somebody flushes.
#[derive(Debug)]
pub struct SweepJson<W: Write> {
    out: BufWriter<W>,
    /// Each field, and what stands before its value: `,"port":`.
    fields: Vec<(Field, Box<[u8]>)>,
    origin: Instant,
    line: Vec<u8>,
}

impl<W: Write> SweepJson<W> {
    /// Writes `fields` of each target to `out`.
    pub fn new(out: W, fields: &Fields) -> Self {
        let out = BufWriter::with_capacity(BUFFER, out);
        let key = |field: Field| format!(",\"{}\":", field.name()).into_bytes().into();
        let fields = fields.iter().map(|field| (field, key(field))).collect();
        Self { out, fields, origin: Instant::ZERO, line: Vec::new() }
    }

    /// The writer, for whoever wants what was written to memory.
    ///
    /// # Errors
    /// What was kept could not be written.
    pub fn into_inner(self) -> io::Result<W> {
        self.out.into_inner().map_err(io::IntoInnerError::into_error)
    }

    fn record(&mut self, name: &'static str, record: impl Serialize) -> io::Result<()> {
        let mut bytes = ascii::to_vec(&Line { v: 1, name, record })?;
        bytes.push(b'\n');
        self.out.write_all(&bytes)?;
        self.out.flush()
    }
}

#[derive(Serialize)]
struct Line<T> {
    v: u8,
    #[serde(rename = "type")]
    name: &'static str,
    #[serde(flatten)]
    record: T,
}

/// How every line of a target begins.
pub(super) const TARGET: &[u8] = br#"{"v":1,"type":"target""#;

impl<W: Write> SweepSink for SweepJson<W> {
    fn begin(&mut self, run: &SweepRun) -> io::Result<()> {
        self.origin = run.at;
        self.record("run", Run::from(run))
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        self.line.clear();
        self.line.extend_from_slice(TARGET);
        for (field, key) in &self.fields {
            if let Some(value) = field.of(found) {
                self.line.extend_from_slice(key);
                member(&mut self.line, value);
            }
        }
        self.line.extend_from_slice(b"}\n");
        self.out.write_all(&self.line)
    }

    fn progress(&mut self, _: &SweepProgress) -> io::Result<()> {
        Ok(())
    }

    fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        self.record("notice", records::Notice::new(notice, self.origin))
    }

    fn end(&mut self, end: &SweepEnd) -> io::Result<()> {
        self.record("summary", Summary::from(end))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn member(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Number(number) => ink::number(out, number),
        Value::Signed(number) => ink::signed(out, number),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Text(text) => ink::json_text(out, text),
        Value::Word(_) | Value::Addr(_) | Value::Hex(_) => {
            out.push(b'"');
            match value {
                Value::Word(word) => out.extend_from_slice(word.as_bytes()),
                Value::Addr(addr) => ink::addr(out, addr),
                Value::Hex(bytes) => ink::hex(out, bytes),
                _ => {}
            }
            out.push(b'"');
        }
    }
}
