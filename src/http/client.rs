//! One HTTP connection: hyper above, rustls below it where that is wanted.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error as _;
use std::rc::Rc;

use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};

use super::executor::{Executor, Spawner};
use super::frames::FrameWatch;
use super::pipe::Pipe;
use super::terms::{Ask, Failure, Head, Moment, Wish};
use super::tls::{Session, Trouble, Trust, TrustError};
use crate::event::{HttpVersion, TlsFacts};

/// The frame with which an HTTP/2 server must begin (RFC 9113 §3.4).
const SETTINGS: u8 = 4;

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// What the futures and their owner share.
#[derive(Default)]
struct Shared {
    sender: Option<Sender>,
    moments: VecDeque<Moment>,
}

type Board = Rc<RefCell<Shared>>;

/// The frames that we write, and the requests in the order of their streams.
struct Streams {
    watch: FrameWatch,
    numbers: Vec<u32>,
}

/// See the [module's documentation](super).
pub struct Client {
    wish: Wish,
    version: Option<HttpVersion>,
    tls: Option<Session>,
    pipe: Pipe,
    executor: Executor,
    board: Board,
    outgoing: Vec<u8>,
    /// Bytes that were to be sent so far.
    produced: u64,
    streams: Option<Streams>,
    /// The request of HTTP/1 that leaves now.
    leaving: Option<u32>,
    /// The request of HTTP/1 whose response has not begun.
    awaited: Option<u32>,
    /// The first bytes that came, decrypted: whether an HTTP/2 server speaks.
    greeting: Vec<u8>,
    finishing: bool,
    said_goodbye: bool,
    failed: bool,
}

impl Client {
    /// A connection in the clear.
    #[must_use]
    pub fn plain(version: HttpVersion) -> Self {
        let mut client = Self::new(Wish::Exactly(version), None);
        client.begin(version);
        client
    }

    /// A connection by TLS to `host`. Its first bytes are to be sent at once.
    ///
    /// # Errors
    /// The host's name can have no certificate.
    pub fn secured(wish: Wish, trust: &Trust, host: &str) -> Result<Self, TrustError> {
        let mut client = Self::new(wish, Some(trust.connect(host, wish.protocols())?));
        client.flush();
        Ok(client)
    }

    fn new(wish: Wish, tls: Option<Session>) -> Self {
        Self {
            wish,
            version: None,
            tls,
            pipe: Pipe::default(),
            executor: Executor::default(),
            board: Board::default(),
            outgoing: Vec::new(),
            produced: 0,
            streams: None,
            leaving: None,
            awaited: None,
            greeting: Vec::new(),
            finishing: false,
            said_goodbye: false,
            failed: false,
        }
    }

    /// The version that is spoken, once that is decided.
    #[must_use]
    pub const fn version(&self) -> Option<HttpVersion> {
        self.version
    }

    fn begin(&mut self, version: HttpVersion) {
        self.version = Some(version);
        let (spawner, board, pipe) =
            (self.executor.spawner(), Rc::clone(&self.board), self.pipe.clone());
        if version == HttpVersion::Http2 {
            self.streams = Some(Streams { watch: FrameWatch::of_client(), numbers: Vec::new() });
            spawner.clone().spawn(begin_two(spawner, pipe, board));
        } else {
            spawner.spawn(begin_one(pipe, board, version));
        }
        self.run();
    }

    /// Whether a request can be sent now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match &self.board.borrow().sender {
            Some(Sender::One(sender)) => sender.is_ready(),
            Some(Sender::Two(sender)) => sender.is_ready(),
            None => false,
        }
    }

    /// Sends a request, whose number must be new. One at a time in HTTP/1: where
    /// [`is_ready`](Self::is_ready) says no, it goes unanswered.
    pub fn send(&mut self, number: u32, ask: &Ask) {
        let version = self.version.unwrap_or(HttpVersion::Http11);
        let request = match ask.request(version) {
            Ok(request) => request,
            Err(error) => {
                let unanswered = Moment::Unanswered(number, error.to_string());
                return self.board.borrow_mut().moments.push_back(unanswered);
            }
        };
        let (board, spawner) = (Rc::clone(&self.board), self.executor.spawner());
        match &mut self.board.borrow_mut().sender {
            Some(Sender::One(sender)) => {
                self.leaving = Some(number);
                self.awaited = Some(number);
                spawner.spawn(follow(number, sender.send_request(request), board));
            }
            Some(Sender::Two(sender)) => {
                if let Some(streams) = &mut self.streams {
                    streams.numbers.push(number);
                }
                spawner.spawn(follow(number, sender.send_request(request), board));
            }
            None => {
                let closed = "the connection was closed before it was sent".to_owned();
                spawner.spawn(async move {
                    board.borrow_mut().moments.push_back(Moment::Unanswered(number, closed));
                });
            }
        }
        self.run();
    }

    /// Takes what has arrived.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.failed {
            return;
        }
        let Some(tls) = &mut self.tls else {
            self.greet(bytes);
            self.pipe.push(bytes);
            self.first_byte();
            return self.run();
        };
        let was_handshaking = tls.is_handshaking();
        let brought = tls.receive(bytes, &self.pipe);
        let is_over = was_handshaking && !tls.is_handshaking();
        let facts = is_over.then(|| tls.facts());
        // An alert, or our Finished: before anything of HTTP.
        self.flush();
        let brought = match brought {
            Ok(brought) => brought,
            Err(Trouble::NoProtocol) => return self.decline("it refuses the handshake"),
            Err(Trouble::Other(why)) => return self.fail(Failure::Tls(why)),
        };
        if let Some(facts) = facts {
            self.secured_as(facts);
        }
        if brought {
            self.first_byte();
        }
        self.run();
    }

    fn secured_as(&mut self, facts: TlsFacts) {
        let protocol = facts.protocol.clone();
        let two = protocol.as_deref() == Some("h2");
        let secured = Moment::Secured { facts, until: self.produced };
        self.board.borrow_mut().moments.push_back(secured);
        match self.wish {
            Wish::Exactly(HttpVersion::Http2) if !two => {
                let chosen = match protocol {
                    Some(name) => format!("it chose {name}"),
                    None => "it chose no protocol".to_owned(),
                };
                self.decline(&chosen);
            }
            Wish::Exactly(version) => self.begin(version),
            Wish::Either if two => self.begin(HttpVersion::Http2),
            Wish::Either => self.begin(HttpVersion::Http11),
        }
    }

    /// The server speaks none of what ALPN has offered.
    fn decline(&mut self, how: &str) {
        let names: Vec<_> =
            self.wish.protocols().iter().map(|name| String::from_utf8_lossy(name)).collect();
        let version = match self.wish {
            Wish::Exactly(version) => version.to_string(),
            Wish::Either => "HTTP".to_owned(),
        };
        let offered = names.join(" and ");
        let text = format!("the server does not speak {version}: offered {offered} by ALPN, {how}");
        self.fail(Failure::Declined(text));
    }

    /// Remembers how a server begins that should speak HTTP/2.
    fn greet(&mut self, bytes: &[u8]) {
        let wanted = 9_usize.saturating_sub(self.greeting.len()).min(bytes.len());
        self.greeting.extend_from_slice(&bytes[..wanted]);
    }

    /// Whether what came cannot be the beginning of HTTP/2.
    fn speaks_otherwise(&self) -> bool {
        self.version == Some(HttpVersion::Http2)
            && self.tls.is_none()
            && self.greeting.get(3) != Some(&SETTINGS)
    }

    fn first_byte(&mut self) {
        if let Some(number) = self.awaited.take() {
            self.board.borrow_mut().moments.push_back(Moment::FirstByte(number));
        }
    }

    /// No more will arrive.
    pub fn end(&mut self) {
        if self.tls.as_ref().is_some_and(Session::is_handshaking) {
            return self.fail(Failure::Tls("the server closed in the TLS handshake".to_owned()));
        }
        self.pipe.end();
        self.run();
    }

    /// Nothing more will be asked: the connection is to be left in good order.
    pub fn finish(&mut self) {
        self.board.borrow_mut().sender = None;
        self.finishing = true;
        self.run();
    }

    /// Whether all has been said that was to be said, so that our direction may be closed.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.outgoing.is_empty() && (self.failed || self.pipe.is_shut())
    }

    /// The bytes to be sent.
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// What has happened, in order.
    pub fn next_moment(&mut self) -> Option<Moment> {
        let moment = self.board.borrow_mut().moments.pop_front()?;
        match moment {
            // What hyper says of a server that answers in another language is of no help.
            Moment::Failed(Failure::Http(_)) | Moment::Over if self.speaks_otherwise() => {
                self.failed = true;
                let said = match self.greeting.as_slice() {
                    [] => "it closed the connection without a word",
                    greeting if greeting.starts_with(b"HTTP/1") => "it answered in HTTP/1",
                    _ => "what it answered is no HTTP/2",
                };
                let text = format!("the server does not speak HTTP/2 with prior knowledge: {said}");
                Some(Moment::Failed(Failure::Declined(text)))
            }
            Moment::Failed(_) => {
                self.failed = true;
                Some(moment)
            }
            _ => Some(moment),
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.failed = true;
        self.board.borrow_mut().moments.push_back(Moment::Failed(failure));
    }

    /// Lets the futures go on, and takes what they have written.
    fn run(&mut self) {
        self.executor.run();
        let plain = self.pipe.take_outgoing();
        let from = self.produced;
        match &mut self.tls {
            Some(tls) if !plain.is_empty() => {
                if let Err(error) = tls.write(&plain) {
                    self.fail(Failure::Tls(error.to_string()));
                }
            }
            Some(_) => {}
            None => {
                self.outgoing.extend_from_slice(&plain);
                self.produced += plain.len() as u64;
            }
        }
        // Not as soon as hyper is done: a server that closes first is to be heard before, since one
        // that has closed already would answer the alert by a RST.
        if self.finishing
            && self.pipe.is_shut()
            && !std::mem::replace(&mut self.said_goodbye, true)
            && !self.pipe.has_ended()
            && let Some(tls) = &mut self.tls
        {
            tls.say_goodbye();
        }
        self.flush();
        self.attribute(&plain, from);
    }

    /// Moves what TLS has to send to the outgoing bytes.
    fn flush(&mut self) {
        if let Some(tls) = &mut self.tls {
            let before = self.outgoing.len();
            tls.flush(&mut self.outgoing);
            self.produced += (self.outgoing.len() - before) as u64;
        }
    }

    /// Says which requests are in what was just written.
    fn attribute(&mut self, plain: &[u8], from: u64) {
        if plain.is_empty() {
            return;
        }
        let until = self.produced;
        let numbers: Vec<u32> = match &mut self.streams {
            Some(Streams { watch, numbers }) => {
                let (begun, ended) = watch.pass(plain);
                let mut ids = begun;
                ids.extend(ended);
                ids.sort_unstable();
                ids.dedup();
                // A client's streams are 1, 3, 5 and so on, in the order of the requests.
                ids.iter().filter_map(|id| numbers.get(*id as usize / 2).copied()).collect()
            }
            None => self.leaving.take().into_iter().collect(),
        };
        let mut board = self.board.borrow_mut();
        // Before whatever the answer to it may already have brought.
        for number in numbers.into_iter().rev() {
            board.moments.push_front(Moment::Sent { number, from, until });
        }
    }
}

async fn begin_one(pipe: Pipe, board: Board, version: HttpVersion) {
    let failed = |error: hyper::Error| Moment::Failed(Failure::Http(in_words(&error)));
    match http1::handshake(pipe).await {
        Ok((sender, connection)) => {
            board.borrow_mut().sender = Some(Sender::One(sender));
            board.borrow_mut().moments.push_back(Moment::Ready(version));
            let end = match connection.await {
                Ok(()) => Moment::Over,
                Err(error) => failed(error),
            };
            board.borrow_mut().moments.push_back(end);
        }
        Err(error) => board.borrow_mut().moments.push_back(failed(error)),
    }
}

async fn begin_two(spawner: Spawner, pipe: Pipe, board: Board) {
    let failed = |error: hyper::Error| Moment::Failed(Failure::Http(in_words(&error)));
    match http2::handshake(spawner, pipe).await {
        Ok((sender, connection)) => {
            board.borrow_mut().sender = Some(Sender::Two(sender));
            board.borrow_mut().moments.push_back(Moment::Ready(HttpVersion::Http2));
            let end = match connection.await {
                Ok(()) => Moment::Over,
                Err(error) => failed(error),
            };
            board.borrow_mut().moments.push_back(end);
        }
        Err(error) => board.borrow_mut().moments.push_back(failed(error)),
    }
}

/// Waits for a response and reads it to its end; what was read is counted and dropped.
async fn follow(
    number: u32,
    response: impl Future<Output = hyper::Result<Response<Incoming>>>,
    board: Board,
) {
    let tell = |moment| board.borrow_mut().moments.push_back(moment);
    let response = match response.await {
        Ok(response) => response,
        Err(error) => return tell(Moment::Unanswered(number, in_words(&error))),
    };
    tell(Moment::Head(number, Box::new(Head::of(&response))));
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                if length > 0 {
                    tell(Moment::Body(number, length as u64));
                }
            }
            Err(error) => return tell(Moment::Unanswered(number, in_words(&error))),
        }
    }
    tell(Moment::End(number));
}

/// What hyper says, with what it says of the cause.
fn in_words(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}
