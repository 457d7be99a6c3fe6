//! `shakedown request`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::shared::{ExplainArgs, FamilyArgs, OfferArgs, OutputArgs, SourceArgs, TimingArgs};
use super::value;

/// Arguments of `request`.
#[derive(Args, Clone, Debug)]
#[allow(missing_docs)]
pub struct RequestArgs {
    /// What to ask for: http://example.org/page, https://[2001:db8::1]:8443/; http without a scheme
    ///
    /// Several URLs are asked for in turn; they must be of one server, since it is its connections
    /// that are looked at.
    #[arg(value_name = "URL", required = true, help_heading = None::<&str>)]
    pub urls: Vec<String>,

    #[command(flatten)]
    pub family: FamilyArgs,

    #[command(flatten)]
    pub http: HttpArgs,

    #[command(flatten)]
    pub compare: CompareArgs,

    #[command(flatten)]
    pub tls: TlsArgs,

    #[command(flatten)]
    pub offer: OfferArgs,

    #[command(flatten)]
    pub timing: TimingArgs,

    #[command(flatten)]
    pub source: SourceArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub explain: ExplainArgs,

    /// Write all requests as an HTTP archive (HAR 1.2)
    ///
    /// What browsers' developer tools read and write: each request with its headers, its status and
    /// its times. Bodies are not in it. Times are to the microsecond, from the stamps of segments.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub har: Option<PathBuf>,
}

/// A version of HTTP.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum HttpArg {
    /// A connection for each request; the server closes it
    #[value(name = "1.0")]
    Http10,
    /// One request after the other on a connection
    #[value(name = "1.1")]
    Http11,
    /// All requests at the same time on a connection
    #[value(name = "2")]
    Http2,
}

/// What is asked.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Request")]
pub struct HttpArgs {
    /// Version to speak [default: 1.1; over TLS 2, where the server chooses it]
    ///
    /// 2 is spoken with prior knowledge on http, and asked for by ALPN on https. A server that does
    /// not speak it is a finding, with exit status 1.
    #[arg(long, value_name = "VERSION", conflicts_with = "compare")]
    pub http: Option<HttpArg>,

    /// Ask for each URL N times [default: 1; with --compare 4]
    #[arg(short, long, value_name = "N", allow_negative_numbers = true,
          value_parser = requests)]
    pub count: Option<u32>,

    /// Method [default: GET; with -d POST]
    #[arg(short = 'X', long, visible_alias = "request", value_name = "METHOD")]
    pub method: Option<String>,

    /// Header to send, as in 'Accept: text/html'; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,

    /// Body to send; @FILE is the contents of a file, @- of stdin
    #[arg(short, long, value_name = "DATA")]
    pub data: Option<String>,

    /// Exit with 1 if a status is 400 or more
    #[arg(short, long)]
    pub fail: bool,

    /// After the last response wait for the server to close, and time it [MAX: 2m]
    ///
    /// How long the server keeps an idle connection: from its last byte to its FIN. Without this
    /// option the connection is closed as soon as all is answered.
    #[arg(long, value_name = "MAX", num_args = 0..=1, require_equals = true,
          default_missing_value = "2m", value_parser = value::positive_duration)]
    pub idle: Option<Duration>,
}

/// All versions against the same server.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Comparison")]
pub struct CompareArgs {
    /// Ask by HTTP/1.0, 1.1 and 2 in turn, and say what each of them costs
    #[arg(long)]
    pub compare: bool,

    /// Compare N times; each round begins with another version
    #[arg(long, value_name = "N", default_value = "1", requires = "compare",
          allow_negative_numbers = true, value_parser = rounds)]
    pub rounds: u32,
}

/// Whom to trust.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// Trust the certificates of FILE (PEM) in place of this host's
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub cacert: Option<PathBuf>,

    /// DANGEROUS: believe any certificate; anybody on the way can read and change everything
    #[arg(short = 'k', long)]
    pub insecure: bool,
}

/// The most requests of one URL in one course.
const MOST_REQUESTS: u32 = 100_000;
/// The most rounds of a comparison.
const MOST_ROUNDS: u32 = 10_000;

fn requests(text: &str) -> Result<u32, String> {
    value::within(text, 1, MOST_REQUESTS)
}

fn rounds(text: &str) -> Result<u32, String> {
    value::within(text, 1, MOST_ROUNDS)
}

impl RequestArgs {
    /// How often each URL is asked for in one course.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.http.count.unwrap_or(if self.compare.compare { 4 } else { 1 })
    }
}
