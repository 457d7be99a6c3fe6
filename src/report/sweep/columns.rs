//! The targets in columns, for the analyst.
//!
//! A Parquet file, compressed by Snappy, whose columns are the fields of the [schema](super): `addr`
//! and other words as strings, small numbers as unsigned 16 bits, nanoseconds as 64 bits, `unix_ns` as
//! a UTC timestamp in nanoseconds. What is absent is null. The file's metadata holds the `run` and the
//! `summary` record as JSON, under `shakedown.run` and `shakedown.summary`.
//!
//! A file is only readable when its footer stands, which is written last: see
//! [`WholeFile`](super::WholeFile).

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use serde::Serialize;

use super::fields::{Field, Fields, Sort, Value};
use super::ink;
use super::records::{Run, Summary};
use crate::event::{Found, SweepEnd, SweepRun, SweepSink};
use crate::report::json::ascii;

/// Targets of a row group: what is held in memory at most.
const ROWS: usize = 1 << 16;

/// Bytes of text of a row group: banners may be long.
const TEXT: usize = 8 << 20;

/// Writes the columns, in groups of rows.
pub struct SweepParquet<W: Write + Send> {
    columns: Vec<Column>,
    rows: usize,
    text: usize,
    state: State<W>,
    finish: Option<Finish<W>>,
}

type Finish<W> = Box<dyn FnOnce(W) -> io::Result<()> + Send>;

enum State<W: Write + Send> {
    Waiting(W),
    Writing(SerializedFileWriter<W>),
    Over,
}

impl<W: Write + Send> std::fmt::Debug for SweepParquet<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SweepParquet").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl<W: Write + Send> SweepParquet<W> {
    /// Writes `fields` of each target to `out`, and hands `out` to `finish` when everything is in it.
    pub fn new(
        out: W,
        fields: &Fields,
        finish: impl FnOnce(W) -> io::Result<()> + Send + 'static,
    ) -> Self {
        Self {
            columns: fields.iter().map(Column::new).collect(),
            rows: 0,
            text: 0,
            state: State::Waiting(out),
            finish: Some(Box::new(finish)),
        }
    }

    /// Writes what is held as a group of rows.
    fn write_group(&mut self) -> io::Result<()> {
        let State::Writing(writer) = &mut self.state else { return Ok(()) };
        if self.rows == 0 {
            return Ok(());
        }
        (self.rows, self.text) = (0, 0);
        let mut group = writer.next_row_group().map_err(failed)?;
        let mut columns = self.columns.iter_mut();
        while let Some(writer) = group.next_column().map_err(failed)? {
            if let Some(column) = columns.next() {
                column.write(writer).map_err(failed)?;
            }
        }
        group.close().map_err(failed)?;
        Ok(())
    }
}

impl<W: Write + Send> SweepSink for SweepParquet<W> {
    fn begin(&mut self, run: &SweepRun) -> io::Result<()> {
        if let State::Waiting(out) = std::mem::replace(&mut self.state, State::Over) {
            let columns: Vec<String> = self.columns.iter().map(Column::declaration).collect();
            let schema = format!("message sweep {{ {} }}", columns.concat());
            let schema = Arc::new(parse_message_type(&schema).map_err(failed)?);
            let properties = WriterProperties::builder()
                .set_compression(Compression::SNAPPY)
                .set_created_by(concat!("shakedown ", env!("CARGO_PKG_VERSION")).to_owned())
                .build();
            let mut writer =
                SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(failed)?;
            writer.append_key_value_metadata(note("shakedown.run", &Run::from(run))?);
            self.state = State::Writing(writer);
        }
        Ok(())
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        for column in &mut self.columns {
            self.text += column.push(found);
        }
        self.rows += 1;
        if self.rows >= ROWS || self.text >= TEXT { self.write_group() } else { Ok(()) }
    }

    fn end(&mut self, end: &SweepEnd) -> io::Result<()> {
        self.write_group()?;
        if let State::Writing(mut writer) = std::mem::replace(&mut self.state, State::Over) {
            writer.append_key_value_metadata(note("shakedown.summary", &Summary::from(end))?);
            let out = writer.into_inner().map_err(failed)?;
            if let Some(finish) = self.finish.take() {
                finish(out)?;
            }
        }
        Ok(())
    }
}

fn note(key: &str, record: &impl Serialize) -> io::Result<KeyValue> {
    let json = String::from_utf8_lossy(&ascii::to_vec(record)?).into_owned();
    Ok(KeyValue::new(key.to_owned(), json))
}

fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

/// A column of the rows that are held.
struct Column {
    field: Field,
    /// 1 where the row has a value, 0 where not.
    known: Vec<i16>,
    values: Values,
}

enum Values {
    Small(Vec<i32>),
    Large(Vec<i64>),
    Bool(Vec<bool>),
    /// One text behind the other, and where each ends.
    Text(Vec<u8>, Vec<usize>),
}

impl Column {
    fn new(field: Field) -> Self {
        let values = match field.sort() {
            Sort::Small => Values::Small(Vec::new()),
            Sort::Large | Sort::Time => Values::Large(Vec::new()),
            Sort::Bool => Values::Bool(Vec::new()),
            Sort::Text => Values::Text(Vec::new(), Vec::new()),
        };
        Self { field, known: Vec::new(), values }
    }

    fn is_required(&self) -> bool {
        matches!(self.field, Field::Addr | Field::Port | Field::Outcome)
    }

    fn declaration(&self) -> String {
        let repetition = if self.is_required() { "REQUIRED" } else { "OPTIONAL" };
        let (sort, meaning) = match self.field.sort() {
            Sort::Small => ("INT32", "(INTEGER(16,false))"),
            Sort::Large => ("INT64", ""),
            Sort::Time => ("INT64", "(TIMESTAMP(NANOS,true))"),
            Sort::Bool => ("BOOLEAN", ""),
            Sort::Text => ("BYTE_ARRAY", "(STRING)"),
        };
        format!("{repetition} {sort} {} {meaning}; ", self.field.name())
    }

    /// Takes a row in; returns the bytes of text that came with it.
    fn push(&mut self, found: &Found) -> usize {
        let value = self.field.of(found);
        self.known.push(i16::from(value.is_some()));
        let Some(value) = value else { return 0 };
        match (&mut self.values, value) {
            (Values::Small(values), Value::Number(number)) => {
                values.push(i32::try_from(number).unwrap_or(i32::MAX));
            }
            (Values::Large(values), Value::Number(number)) => {
                values.push(i64::try_from(number).unwrap_or(i64::MAX));
            }
            (Values::Large(values), Value::Signed(number)) => values.push(number),
            (Values::Bool(values), Value::Bool(is)) => values.push(is),
            (Values::Text(text, ends), value) => {
                let before = text.len();
                match value {
                    Value::Word(word) => text.extend_from_slice(word.as_bytes()),
                    Value::Text(part) => text.extend_from_slice(part.as_bytes()),
                    Value::Addr(addr) => ink::addr(text, addr),
                    Value::Hex(bytes) => ink::hex(text, bytes),
                    Value::Number(_) | Value::Signed(_) | Value::Bool(_) => {}
                }
                ends.push(text.len());
                return text.len() - before;
            }
            // A field has values of its own sort only.
            _ => {}
        }
        0
    }

    /// Writes the column of a group, and is empty again.
    fn write(&mut self, mut writer: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let known = std::mem::take(&mut self.known);
        let known = (!self.is_required()).then_some(known.as_slice());
        match &mut self.values {
            Values::Small(values) => batch::<Int32Type>(&mut writer, values, known)?,
            Values::Large(values) => batch::<Int64Type>(&mut writer, values, known)?,
            Values::Bool(values) => batch::<BoolType>(&mut writer, values, known)?,
            Values::Text(text, ends) => {
                let all = ByteArray::from(std::mem::take(text));
                let starts = std::iter::once(0).chain(ends.iter().copied());
                let parts =
                    starts.zip(ends.iter()).map(|(start, end)| all.slice(start, end - start));
                let mut parts: Vec<ByteArray> = parts.collect();
                batch::<ByteArrayType>(&mut writer, &mut parts, known)?;
                ends.clear();
            }
        }
        writer.close()
    }
}

fn batch<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    values: &mut Vec<T::T>,
    known: Option<&[i16]>,
) -> Result<(), ParquetError> {
    writer.typed::<T>().write_batch(values, known, None)?;
    values.clear();
    Ok(())
}
