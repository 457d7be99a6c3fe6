//! From arguments to what is to be asked, in which versions, of whom.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Method, Uri, header};

use crate::cli::{HttpArg, RequestArgs, value};
use crate::cmd::data::MAX_PAYLOAD;
use crate::cmd::line::escaped;
use crate::cmd::target::{Services, Target};
use crate::event::HttpVersion;
use crate::http::{Ask, Trust, Wish};

/// What a server is called that does not say which (RFC 9110 §10.1.5).
const AGENT: &str = concat!("shakedown/", env!("CARGO_PKG_VERSION"));

/// What is to be asked, and how.
pub(super) struct Plan {
    /// The server.
    pub(super) target: Target,
    /// As the user wrote it, with a scheme.
    pub(super) name: String,
    /// The requests of one course, in order.
    pub(super) asks: Vec<Ask>,
    /// Whose certificates are believed; `None` on http.
    pub(super) trust: Option<Trust>,
    /// The name that a certificate must be for.
    pub(super) host: String,
    /// The versions of one round.
    pub(super) wishes: Vec<Wish>,
    pub(super) rounds: u32,
    pub(super) compared: bool,
    /// How long to wait for the server to close, if at all.
    pub(super) idle: Option<Duration>,
    /// How long to wait for the next bytes.
    pub(super) wait: Duration,
    /// For everything.
    pub(super) deadline: Option<Duration>,
    /// Whether a status of 400 or more is not as wished.
    pub(super) fail: bool,
    /// Whether certificates are believed unseen.
    pub(super) insecure: bool,
}

impl Plan {
    /// The plan of the arguments. Reads the files that they name.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn new(args: &RequestArgs) -> anyhow::Result<Self> {
        let urls = args.urls.iter().map(|text| url(text)).collect::<anyhow::Result<Vec<Uri>>>()?;
        let [first, others @ ..] = urls.as_slice() else { bail!("there is nothing to ask for") };
        let server = |uri: &Uri| (uri.scheme().cloned(), uri.host().map(str::to_owned), port(uri));
        if let Some(other) = others.iter().find(|other| server(other) != server(first)) {
            // `--idle 5s`: the duration is taken for another URL.
            let word = args.urls.iter().find(|text| value::duration(text).is_ok());
            if let (Some(word), true) = (word, args.http.idle.is_some()) {
                bail!("'{word}' is taken for a URL: write --idle={word}");
            }
            bail!(
                "'{}' and '{}' are of two servers: ask one at a time",
                escaped(&first.to_string()),
                escaped(&other.to_string())
            );
        }
        let host = first.host().unwrap_or_default().to_owned();
        let target = Target::parse(&format!("{host}:{}", port(first)), None, &Services::of_host())?;
        let secure = first.scheme() == Some(&Scheme::HTTPS);
        let trust = match (&args.tls.cacert, args.tls.insecure) {
            _ if !secure => None,
            (Some(path), _) => Some(Trust::of_file(path)?),
            (None, true) => Some(Trust::blind()),
            (None, false) => Some(Trust::of_host()?),
        };
        ensure!(
            secure || !args.tls.insecure && args.tls.cacert.is_none(),
            "there is no certificate on http: leave out {}, or write https",
            if args.tls.insecure { "--insecure" } else { "--cacert" }
        );
        let asks = asks(args, &urls)?;
        Ok(Self {
            target,
            name: args.urls[0].clone(),
            asks,
            trust,
            host,
            wishes: wishes(args, secure),
            rounds: args.compare.rounds,
            compared: args.compare.compare,
            idle: args.http.idle,
            wait: args.timing.timeout,
            deadline: args.timing.deadline,
            fail: args.http.fail,
            insecure: args.tls.insecure,
        })
    }

    /// The versions of a round, each round beginning with another one: whatever changes in the
    /// course of a run falls on all of them alike.
    pub(super) fn wishes_of(&self, round: u32) -> Vec<Wish> {
        let mut wishes = self.wishes.clone();
        let by = round.saturating_sub(1) as usize % wishes.len().max(1);
        wishes.rotate_left(by);
        wishes
    }
}

fn wishes(args: &RequestArgs, secure: bool) -> Vec<Wish> {
    let version = |arg| match arg {
        HttpArg::Http10 => HttpVersion::Http10,
        HttpArg::Http11 => HttpVersion::Http11,
        HttpArg::Http2 => HttpVersion::Http2,
    };
    match args.http.http {
        _ if args.compare.compare => HttpVersion::ALL.map(Wish::Exactly).to_vec(),
        Some(arg) => vec![Wish::Exactly(version(arg))],
        None if secure => vec![Wish::Either],
        None => vec![Wish::Exactly(HttpVersion::Http11)],
    }
}

/// The port of a URL: that of its scheme, where it names none.
fn port(uri: &Uri) -> u16 {
    let usual = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    uri.port_u16().unwrap_or(usual)
}

/// What to do about a URL that is none.
const HOW: &str = "write it as http://example.org/ or https://example.org/";

/// Reads a URL; without a scheme it is http.
fn url(text: &str) -> anyhow::Result<Uri> {
    let shown = escaped(text);
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    if !scheme.is_empty() && !["http", "https"].iter().any(|it| scheme.eq_ignore_ascii_case(it)) {
        bail!("'{shown}' is of {}: only http and https are spoken", escaped(scheme));
    }
    let begins =
        |with: &str| rest.get(..with.len()).is_some_and(|it| it.eq_ignore_ascii_case(with));
    let slip = scheme.is_empty()
        && ["http:", "https:", "http/", "https/"].iter().any(|it| begins(it))
        && !rest.ends_with(|last: char| last.is_ascii_digit());
    if slip
        || text.starts_with("://")
        || rest.is_empty()
        || rest.starts_with(['/', '?', '#', ':'])
        || rest.starts_with("[]")
    {
        bail!("'{shown}' names no host: {HOW}");
    }
    let whole = if scheme.is_empty() { format!("http://{text}") } else { text.to_owned() };
    let uri: Uri = whole.parse().with_context(|| format!("'{shown}' is no URL: {HOW}"))?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        bail!("'{shown}' has a user's name in it: send it by -H 'Authorization: …'");
    }
    let behind = authority.rsplit_once(']').map_or("", |(_, behind)| behind);
    ensure!(
        behind.is_empty() || behind.starts_with(':'),
        "'{shown}' has something between its address and its port: write it as \
         http://[2001:db8::1]:8080/"
    );
    // A port that is none is left out by the parser, which takes the text for a part of the host.
    let after = authority.rsplit_once(':').filter(|(_, rest)| !rest.contains(']'));
    if uri.port().is_none() && after.is_some() || uri.port_u16() == Some(0) {
        bail!("'{shown}' has a port that is none: ports are 1 to 65535");
    }
    if uri.path().is_empty() {
        let mut parts = uri.into_parts();
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        return Ok(Uri::from_parts(parts)?);
    }
    Ok(uri)
}

fn asks(args: &RequestArgs, urls: &[Uri]) -> anyhow::Result<Vec<Ask>> {
    let body = body(args.http.data.as_deref())?;
    let usual = if args.http.data.is_some() { "POST" } else { "GET" };
    let method = args.http.method.as_deref().unwrap_or(usual);
    let method: Method =
        method.parse().with_context(|| format!("'{}' is no method", escaped(method)))?;
    ensure!(method != Method::CONNECT, "CONNECT asks for a tunnel, of which nothing is known here");
    let mut headers = vec![];
    for text in &args.http.headers {
        headers.push(header_of(text)?);
    }
    let given = |name: &HeaderName| args_name(&headers, name);
    let (agent, accept) = (given(&header::USER_AGENT), given(&header::ACCEPT));
    let typed = given(&header::CONTENT_TYPE) || args.http.data.is_none();
    if !agent {
        headers.push((header::USER_AGENT, HeaderValue::from_static(AGENT)));
    }
    if !accept {
        headers.push((header::ACCEPT, HeaderValue::from_static("*/*")));
    }
    if !typed {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.push((header::CONTENT_TYPE, form));
    }
    let one = |uri: &Uri| -> anyhow::Result<Ask> {
        let host = uri.authority().map_or("", |authority| authority.as_str());
        Ok(Ask {
            method: method.clone(),
            uri: uri.clone(),
            host: HeaderValue::from_str(host)?,
            headers: headers.clone(),
            body: body.clone().into(),
        })
    };
    let once = urls.iter().map(one).collect::<anyhow::Result<Vec<_>>>()?;
    let times = args.count() as usize;
    Ok(std::iter::repeat_n(once, times).flatten().collect())
}

fn args_name(headers: &[(HeaderName, HeaderValue)], name: &HeaderName) -> bool {
    headers.iter().any(|(known, _)| known == name)
}

/// Reads `Name: value`.
fn header_of(text: &str) -> anyhow::Result<(HeaderName, HeaderValue)> {
    let shown = escaped(text);
    let (name, value) = text
        .split_once(':')
        .with_context(|| format!("the header '{shown}' has no colon: write it as 'Name: value'"))?;
    let name: HeaderName =
        name.trim().parse().with_context(|| format!("the header '{shown}' has no name"))?;
    if [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH].contains(&name) {
        bail!("the header '{name}' is set by the version that is spoken: leave it out");
    }
    let value: HeaderValue = value
        .trim()
        .parse()
        .with_context(|| format!("the header '{shown}' has a value that cannot be sent"))?;
    Ok((name, value))
}

/// The body of `-d`: the text itself, or the contents of `@FILE`.
fn body(data: Option<&str>) -> anyhow::Result<Vec<u8>> {
    let Some(data) = data else { return Ok(Vec::new()) };
    let Some(path) = data.strip_prefix('@') else { return Ok(data.as_bytes().to_vec()) };
    let name =
        if path == "-" { "standard input".to_owned() } else { format!("'{}'", escaped(path)) };
    let mut bytes = Vec::new();
    let read = |from: &mut dyn Read, bytes: &mut Vec<u8>| -> io::Result<usize> {
        from.take(MAX_PAYLOAD + 1).read_to_end(bytes)
    };
    let done = if path == "-" {
        read(&mut io::stdin().lock(), &mut bytes)
    } else {
        File::open(Path::new(path)).and_then(|mut file| read(&mut file, &mut bytes))
    };
    done.with_context(|| format!("cannot read the body from {name}"))?;
    ensure!(
        bytes.len() as u64 <= MAX_PAYLOAD,
        "{name} is too large to send: at most {} MiB",
        MAX_PAYLOAD >> 20
    );
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn plan(words: &[&str]) -> anyhow::Result<Plan> {
        let cli = Cli::try_parse_from([&["shakedown", "request"], words].concat())?;
        let Command::Request(args) = cli.command else { panic!("not a request") };
        Plan::new(&args)
    }

    fn refusal(words: &[&str]) -> String {
        plan(words).err().map(|error| format!("{error:#}")).expect("refused")
    }

    #[test]
    fn a_url_gives_a_server_and_what_to_ask_it() {
        let plan = plan(&["http://example.org:8080/a/b?c=d#e", "-c", "2"]).expect("a plan");
        assert_eq!((plan.target.to_string().as_str(), plan.asks.len()), ("example.org:8080", 2));
        assert_eq!(plan.asks[0].uri.path_and_query().expect("a path").as_str(), "/a/b?c=d");
        assert_eq!(plan.asks[0].host, "example.org:8080");
        assert_eq!(plan.wishes, [Wish::Exactly(HttpVersion::Http11)]);
        assert!(plan.trust.is_none());
    }

    #[test]
    fn what_is_left_out_is_the_usual() {
        let plan = plan(&["[2001:db8::1]", "--compare"]).expect("a plan");
        assert_eq!(plan.target.to_string(), "[2001:db8::1]:80");
        assert_eq!(plan.asks.len(), 4);
        assert_eq!(plan.asks[0].uri.path(), "/");
        let first = |round| plan.wishes_of(round)[0];
        let (old, middle, new) = (first(1), first(2), first(3));
        assert_eq!([old, middle, new].to_vec(), plan.wishes, "each round begins with another one");
        assert_eq!(first(4), old);
        let secure = super::tests::plan(&["https://example.org", "-k"]).expect("a plan");
        assert_eq!((secure.target.port, secure.wishes), (443, vec![Wish::Either]));
    }

    #[test]
    fn several_urls_of_a_server_take_turns() {
        let plan = plan(&["h/a", "h/b", "-c", "2", "-d", "x=1"]).expect("a plan");
        let paths: Vec<_> = plan.asks.iter().map(|ask| ask.uri.path().to_owned()).collect();
        assert_eq!(paths, ["/a", "/b", "/a", "/b"]);
        assert_eq!(plan.asks[0].method, Method::POST);
        let form = "application/x-www-form-urlencoded";
        let headers = &plan.asks[0].headers;
        assert!(headers.iter().any(|(name, value)| name == header::CONTENT_TYPE && value == form));
    }

    #[test]
    fn a_duration_that_strayed_from_its_option_is_recognised() {
        assert_eq!(
            refusal(&["http://a/", "--idle", "5s"]),
            "'5s' is taken for a URL: write --idle=5s"
        );
        assert!(plan(&["http://a/", "--idle=5s"]).is_ok());
    }

    /// What is left out or mistyped is told by one line that shows a whole URL.
    #[test]
    fn a_url_without_a_host_is_answered_by_one_with() {
        for text in [
            "",
            "http://",
            "https://",
            "HTTP://",
            "http:///",
            "http:///path",
            "http://:80/",
            "http://?q",
            "http://#f",
            "://",
            "://a",
            "/index.html",
            "?x",
            "#x",
            ":80",
            "http://[]/",
            "http:",
            "https:",
            "http:/example.org",
            "http:example.org",
            "https//example.org",
        ] {
            let wanted = format!(
                "'{text}' names no host: write it as http://example.org/ or https://example.org/"
            );
            assert_eq!(refusal(&[text]), wanted);
        }
        for text in ["http://[::1]x/", "http://[::1]8080/", "[::1]x"] {
            let why =
                "something between its address and its port: write it as http://[2001:db8::1]";
            assert!(refusal(&[text]).contains(why), "{}", refusal(&[text]));
        }
        for text in ["file:///etc/passwd", "ws://h/"] {
            assert!(refusal(&[text]).ends_with("only http and https are spoken"), "{text}");
        }
        // A host may be called so.
        for text in ["http", "https", "http:80", "https:8443", "httpd:80/", "http.example/x"] {
            assert!(plan(&[text]).is_ok(), "{text}: {}", refusal(&[text]));
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_what_to_do() {
        for (words, why) in [
            (
                &["ftp://example.org/"][..],
                "'ftp://example.org/' is of ftp: only http and https are spoken",
            ),
            (
                &["http://a/", "http://b/"],
                "'http://a/' and 'http://b/' are of two servers: ask one at a time",
            ),
            (
                &["http://u:p@a/"],
                "'http://u:p@a/' has a user's name in it: send it by -H 'Authorization: …'",
            ),
            (&["http://a:0/"], "'http://a:0/' has a port that is none: ports are 1 to 65535"),
            (
                &["http://a:99999/"],
                "'http://a:99999/' has a port that is none: ports are 1 to 65535",
            ),
            (
                &["http://a/", "-k"],
                "there is no certificate on http: leave out --insecure, or write https",
            ),
            (
                &["http://a/", "-H", "nothing"],
                "the header 'nothing' has no colon: write it as 'Name: value'",
            ),
            (
                &["http://a/", "-H", "Connection: close"],
                "the header 'connection' is set by the version that is spoken: leave it out",
            ),
            (
                &["http://a/", "-X", "CONNECT"],
                "CONNECT asks for a tunnel, of which nothing is known here",
            ),
        ] {
            assert_eq!(refusal(words), why);
        }
        assert_eq!(
            refusal(&["http://a b/"]),
            "'http://a b/' is no URL: write it as http://example.org/ or https://example.org/: \
             invalid uri character"
        );
        assert!(
            refusal(&["http://a/", "-d", "@/no/such"])
                .starts_with("cannot read the body from '/no/such'")
        );
    }
}
