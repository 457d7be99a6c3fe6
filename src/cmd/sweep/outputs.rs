//! Where a sweep is told: the terminal, a pipe, files.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail, ensure};

use crate::cli::SweepArgs;
use crate::cmd::Environment;
use crate::cmd::file::{self, WholeBlocks, shown};
use crate::event::SweepSink;
use crate::report::human::Style;
use crate::report::sweep::{
    Fields, OpenOnly, SweepCsv, SweepFan, SweepJson, SweepParquet, SweepPlain, SweepRows,
    SweepSummary, SweepWithProgress, WholeFile,
};
use crate::report::{ClosedPipe, PipeWriter};

/// Columns where nobody says.
const WIDTH: usize = 100;
/// What the files are for, in messages.
const ANSWERS: &str = "the answers";

/// How answers are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Json,
    Csv,
    Plain,
    /// For people.
    Rows,
}

/// Who hears of a sweep, and what came of it.
pub(super) struct Outputs {
    pub(super) sink: SweepFan<'static>,
    /// Whether anybody still reads standard output.
    pub(super) reader: ClosedPipe,
    /// Bytes that stand in the output file, for a checkpoint; 0 where there is none.
    pub(super) written: Arc<AtomicU64>,
}

/// The form asked for.
pub(super) fn form(args: &SweepArgs, environment: &Environment) -> Form {
    let output = &args.output;
    match output {
        _ if output.json => Form::Json,
        _ if output.csv => Form::Csv,
        _ if output.plain => Form::Plain,
        _ if output.output.is_none() && environment.stdout_is_terminal => Form::Rows,
        _ => Form::Plain,
    }
}

/// The fields asked for.
///
/// # Errors
/// A field is not known, or the form has none.
pub(super) fn fields(args: &SweepArgs, form: Form) -> anyhow::Result<Option<Fields>> {
    let Some(text) = &args.output.fields else { return Ok(None) };
    ensure!(
        matches!(form, Form::Json | Form::Csv) || args.output.parquet.is_some(),
        "--fields is for --json, --csv and --parquet: add one of them"
    );
    Ok(Some(text.parse::<Fields>()?))
}

/// Opens the outputs; to be done before privileges are dropped. `kept` is the length to which the output
/// file is cut back when a sweep goes on.
///
/// # Errors
/// One of them cannot be written.
pub(super) fn open(
    args: &SweepArgs,
    environment: &Environment,
    kept: Option<u64>,
) -> anyhow::Result<Outputs> {
    let form = form(args, environment);
    let fields = fields(args, form)?.unwrap_or_default();
    let output = &args.output;
    if let (Some(one), Some(other)) = (&output.output, &output.parquet) {
        ensure!(one != other, "{} is named twice: each form needs a file of its own", shown(one));
    }
    let written = Arc::<AtomicU64>::default();
    let pipe = PipeWriter::new(io::stdout());
    let reader = pipe.closed();
    let style = style(args, environment);
    let out: Box<dyn Write + Send> = match &output.output {
        Some(path) => {
            Box::new(Counted { inner: WholeBlocks(file(path, kept)?), written: written.clone() })
        }
        None => Box::new(pipe),
    };
    if let Some(kept) = kept.filter(|_| output.output.is_some()) {
        written.store(kept, Ordering::Relaxed);
    }
    let mut fan = SweepFan::new();
    let continues = kept.is_some_and(|kept| kept > 0);
    let report: Box<dyn SweepSink + Send> = match form {
        Form::Json => filtered(SweepJson::new(out, &fields), output.open_only),
        Form::Csv => {
            let csv = SweepCsv::new(out, &fields);
            filtered(if continues { csv.continuing() } else { csv }, output.open_only)
        }
        Form::Plain => filtered(SweepPlain::new(out), output.open_only),
        Form::Rows => filtered(SweepRows::new(out, style), output.open_only),
    };
    if let Some(path) = &output.parquet {
        fan.push(parquet(path, &fields, output.open_only)?);
    }
    let mut all = SweepFan::new();
    // A person reads the account beside the answers, unless they are read by a program from here.
    let to_file = output.output.is_some() || output.parquet.is_some();
    all.push(report);
    if !output.quiet && (to_file || form != Form::Json) {
        // Never among what another program reads.
        let beside: Box<dyn Write + Send> = if form == Form::Rows || output.output.is_some() {
            Box::new(PipeWriter::new(io::stdout()))
        } else {
            Box::new(io::stderr())
        };
        let columns = terminal_size::terminal_size_of(io::stderr());
        let width = match columns.filter(|_| !environment.stdout_is_terminal) {
            // In a pipe the terminal is where the errors go.
            Some((width, _)) => style.width.min(usize::from(width.0)),
            None => style.width,
        };
        all.push(SweepSummary::new(beside, Style { width, ..style }));
    }
    if !output.quiet && environment.stderr_is_terminal && !environment.dumb {
        let columns =
            || terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| usize::from(width.0));
        let piped = output.output.is_none() && !environment.stdout_is_terminal;
        fan.push(SweepWithProgress::new(all, io::stderr(), columns).piped(piped));
    } else {
        fan.push(all);
    }
    Ok(Outputs { sink: fan, reader, written })
}

fn filtered(sink: impl SweepSink + Send + 'static, open_only: bool) -> Box<dyn SweepSink + Send> {
    if open_only { Box::new(OpenOnly(sink)) } else { Box::new(sink) }
}

/// The output file, empty or cut back to what was noted.
fn file(path: &Path, kept: Option<u64>) -> anyhow::Result<File> {
    let Some(kept) = kept else { return file::create(path, ANSWERS) };
    let mut file = file::open(path, ANSWERS)?;
    let name = shown(path);
    let metadata = file.metadata().with_context(|| format!("cannot read {name}"))?;
    if !metadata.is_file() {
        return Ok(file);
    }
    if metadata.len() < kept {
        bail!(
            "{name} is shorter than when progress was noted: it is another file, or was changed; put \
             it back, or begin anew with another --resume"
        );
    }
    file.set_len(kept)
        .and_then(|()| file.seek(SeekFrom::End(0)))
        .with_context(|| format!("cannot cut {name} back to where progress was noted"))?;
    Ok(file)
}

fn parquet(
    path: &Path,
    fields: &Fields,
    open_only: bool,
) -> anyhow::Result<Box<dyn SweepSink + Send>> {
    let name = shown(path);
    let whole =
        WholeFile::create(path).with_context(|| format!("cannot write {ANSWERS} to {name}"))?;
    let sink = SweepParquet::new(whole, fields, move |whole: WholeFile| {
        whole.publish().map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write {ANSWERS} to {name}: {error}"))
        })
    });
    Ok(filtered(sink, open_only))
}

/// How things look.
pub(super) fn style(args: &SweepArgs, environment: &Environment) -> Style {
    Style {
        color: environment.colours(args.output.color.color),
        width: environment.width.map_or(WIDTH, usize::from),
        absolute: false,
        verbosity: 0,
        quiet: args.output.quiet,
        unicode: environment.utf8,
        explain: None,
    }
}

/// Counts what was written.
struct Counted<W> {
    inner: W,
    written: Arc<AtomicU64>,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.written.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
