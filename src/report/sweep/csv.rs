//! One row for each target, for whoever wants to compute for himself.
//!
//! RFC 4180, with lines that end in a single line feed; the first line names the columns, which are
//! the fields of the [schema](super). What is absent is an empty field, never 0; yes and no are 1 and
//! 0. A banner is quoted, and what could act on a terminal is written out in it (`\r`, `\x1b`,
//! `\u{202e}`, the backslash doubled), so that a row is always a line.

use std::io::{self, BufWriter, Write};

use super::fields::{Fields, Value};
use super::{BUFFER, ink};
use crate::event::{Found, SweepEnd, SweepRun, SweepSink};
use crate::report::sanitize::{self, Charset};

/// Writes the rows, each in one piece; kept until there are enough of them or somebody flushes.
#[derive(Debug)]
pub struct SweepCsv<W: Write> {
    out: BufWriter<W>,
    fields: Fields,
    /// The file is continued: it has its header.
    headed: bool,
    line: Vec<u8>,
}

impl<W: Write> SweepCsv<W> {
    /// Writes `fields` of each target to `out`.
    pub fn new(out: W, fields: &Fields) -> Self {
        let out = BufWriter::with_capacity(BUFFER, out);
        Self { out, fields: fields.clone(), headed: false, line: Vec::new() }
    }

    /// Continues a file: the names of the columns stand in it already.
    #[must_use]
    pub fn continuing(self) -> Self {
        Self { headed: true, ..self }
    }

    /// The writer, for whoever wants what was written to memory.
    ///
    /// # Errors
    /// What was kept could not be written.
    pub fn into_inner(self) -> io::Result<W> {
        self.out.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl<W: Write> SweepSink for SweepCsv<W> {
    fn begin(&mut self, _: &SweepRun) -> io::Result<()> {
        if std::mem::replace(&mut self.headed, true) {
            return Ok(());
        }
        let names: Vec<&str> = self.fields.iter().map(|field| field.name()).collect();
        self.out.write_all(format!("{}\n", names.join(",")).as_bytes())?;
        self.out.flush()
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        self.line.clear();
        for (place, field) in self.fields.iter().enumerate() {
            if place > 0 {
                self.line.push(b',');
            }
            if let Some(value) = field.of(found) {
                cell(&mut self.line, value);
            }
        }
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }

    fn end(&mut self, _: &SweepEnd) -> io::Result<()> {
        self.out.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn cell(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Number(number) => ink::number(out, number),
        Value::Signed(number) => ink::signed(out, number),
        Value::Bool(is) => out.push(if is { b'1' } else { b'0' }),
        Value::Word(word) => out.extend_from_slice(word.as_bytes()),
        Value::Addr(addr) => ink::addr(out, addr),
        Value::Hex(bytes) => ink::hex(out, bytes),
        Value::Text(text) => {
            out.push(b'"');
            let text = sanitize::text(text, Charset::Unicode);
            for part in text.split_inclusive('"') {
                out.extend_from_slice(part.as_bytes());
                if part.ends_with('"') {
                    out.push(b'"');
                }
            }
            out.push(b'"');
        }
    }
}
