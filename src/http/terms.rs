//! What is asked of a connection, and what is heard of it.

use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};

use crate::event::{HttpCargo, HttpVersion, TlsFacts};

/// The version to be spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// This one.
    Exactly(HttpVersion),
    /// 2 where the server chooses it by ALPN, otherwise 1.1.
    Either,
}

impl Wish {
    /// What ALPN offers for it. For HTTP/1.0 nothing: that there is a name for it (`http/1.0`) is
    /// known to few servers, and some refuse a handshake in which they know no protocol.
    pub(super) const fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Self::Exactly(HttpVersion::Http10) => &[],
            Self::Exactly(HttpVersion::Http11) => &[b"http/1.1"],
            Self::Exactly(HttpVersion::Http2) => &[b"h2"],
            Self::Either => &[b"h2", b"http/1.1"],
        }
    }
}

/// A request to be sent.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub uri: Uri,
    /// The host with its port, as HTTP/1 names it in a header of its own.
    pub host: HeaderValue,
    /// Headers in addition.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Bytes,
}

/// The head of a response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// The version that the server says it speaks; `None` for one that we know nothing of.
    pub version: Option<HttpVersion>,
    /// The status code.
    pub status: u16,
    /// The reason phrase: the server's own, or the standard's.
    pub reason: String,
    /// The headers, in order.
    pub headers: Vec<(String, String)>,
}

/// Why a connection is of no use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The server does not speak what was asked for.
    Declined(String),
    /// TLS did not come about.
    Tls(String),
    /// HTTP broke down.
    Http(String),
}

impl Failure {
    /// What there is to be said of it.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Declined(text) | Self::Tls(text) | Self::Http(text) => text,
        }
    }
}

/// Something that has happened on the connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Moment {
    /// The TLS handshake is over. Its last byte of ours is the one before `until`, counted from the
    /// first byte that the connection had to send.
    Secured {
        /// What it agreed on.
        facts: TlsFacts,
        /// Bytes.
        until: u64,
    },
    /// Requests may be sent in this version.
    Ready(HttpVersion),
    /// A request, or a part of it, is among the bytes `from..until` that the connection had to send.
    Sent {
        /// The request's number.
        number: u32,
        /// Where those bytes begin.
        from: u64,
        /// Where they end.
        until: u64,
    },
    /// Something else that the ladder names is among the bytes `from..until` that the connection had
    /// to send.
    Left {
        /// What.
        what: HttpCargo,
        /// Where those bytes begin.
        from: u64,
        /// Where they end.
        until: u64,
    },
    /// Something else that the ladder names has come.
    Came(HttpCargo),
    /// The first byte of a response has come.
    FirstByte(u32),
    /// The head of a response has come.
    Head(u32, Box<Head>),
    /// So many more bytes of a response's body have come.
    Body(u32, u64),
    /// A response is complete.
    End(u32),
    /// A request will not be answered.
    Unanswered(u32, String),
    /// The connection is of no use any more.
    Failed(Failure),
    /// The connection is of no further use, and that is in order.
    Over,
}

impl Ask {
    /// As this version has it: HTTP/1 names the path and has a header for the host, HTTP/2 has
    /// pseudo-headers for both.
    pub(super) fn request(
        &self,
        version: HttpVersion,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::builder().method(self.method.clone());
        request = match version {
            HttpVersion::Http2 => request.version(Version::HTTP_2).uri(self.uri.clone()),
            HttpVersion::Http10 | HttpVersion::Http11 => {
                let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
                let old = version == HttpVersion::Http10;
                request.version(if old { Version::HTTP_10 } else { Version::HTTP_11 }).uri(path)
            }
        };
        let has_host = self.headers.iter().any(|(name, _)| name == http::header::HOST);
        if version != HttpVersion::Http2 && !has_host {
            request = request.header(http::header::HOST, self.host.clone());
        }
        for (name, value) in &self.headers {
            request = request.header(name.clone(), value.clone());
        }
        request.body(Full::new(self.body.clone()))
    }
}

impl Head {
    pub(super) fn of(response: &Response<Incoming>) -> Self {
        let version = match response.version() {
            Version::HTTP_10 => Some(HttpVersion::Http10),
            Version::HTTP_11 => Some(HttpVersion::Http11),
            Version::HTTP_2 => Some(HttpVersion::Http2),
            _ => None,
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let own = response.extensions().get::<hyper::ext::ReasonPhrase>();
        let standard = || response.status().canonical_reason().unwrap_or_default().to_owned();
        let headers = response.headers().iter();
        Self {
            version,
            status: response.status().as_u16(),
            reason: own.map_or_else(standard, |phrase| text(phrase.as_bytes())),
            headers: headers
                .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
                .collect(),
        }
    }
}
