//! One HTTP connection: hyper above, rustls below it where that is wanted.

use std::ops::Range;
use std::rc::Rc;

use super::executor::Executor;
use super::frames::{Frame, FrameWatch, PREFACE};
use super::pipe::Pipe;
use super::tasks::{Board, Sender, begin_one, begin_two, follow};
use super::terms::{Ask, Failure, Moment, Wish};
use super::tls::{Brought, Session, Trouble, Trust, TrustError};
use crate::event::{HttpCargo, HttpVersion, TlsFacts};

/// The frame with which an HTTP/2 server must begin (RFC 9113 §3.4).
const SETTINGS: u8 = 4;

/// The frames that we write, and the requests in the order of their streams.
struct Streams {
    watch: FrameWatch,
    numbers: Vec<u32>,
    /// The connection preface was written.
    greeted: bool,
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
    /// The frames that come, if they are frames.
    arriving: FrameWatch,
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
            arriving: FrameWatch::of_server(),
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
            let watch = FrameWatch::of_client();
            self.streams = Some(Streams { watch, numbers: Vec::new(), greeted: false });
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
            if self.version == Some(HttpVersion::Http2) {
                let frames = self.arriving.pass(bytes);
                if !self.speaks_otherwise() {
                    self.name_frames(&frames);
                }
            }
            self.first_byte();
            return self.run();
        };
        let was_handshaking = tls.is_handshaking();
        let mut frames = Vec::new();
        // A server may speak before the handshake is over for us; whether it speaks HTTP/2 is known
        // by then.
        let may_be_two = !matches!(self.version, Some(HttpVersion::Http10 | HttpVersion::Http11));
        let brought = tls.receive(bytes, |plain| {
            self.pipe.push(plain);
            if may_be_two {
                frames.extend(self.arriving.pass(plain));
            }
        });
        let is_over = was_handshaking && !tls.is_handshaking();
        let facts = is_over.then(|| tls.facts());
        // An alert, or our Finished: before anything of HTTP.
        let from = self.produced;
        self.flush();
        let brought = match brought {
            Ok(brought) => brought,
            Err(trouble) => {
                self.left(HttpCargo::TlsAlert, from);
                return match trouble {
                    Trouble::NoProtocol => self.decline("it refuses the handshake"),
                    Trouble::Other(why) => self.fail(Failure::Tls(why)),
                };
            }
        };
        if let Some(facts) = facts {
            self.secured_as(facts);
        }
        self.name_records(brought);
        if self.version == Some(HttpVersion::Http2) {
            self.name_frames(&frames);
        }
        if brought.data {
            self.first_byte();
        }
        self.run();
    }

    /// Says what records were there for, other than for HTTP.
    fn name_records(&mut self, brought: Brought) {
        let moments = &mut self.board.borrow_mut().moments;
        if brought.tickets > 0 {
            moments.push_back(Moment::Came(HttpCargo::TlsTickets(brought.tickets)));
        }
        if brought.goodbye && !self.pipe.has_ended() {
            moments.push_back(Moment::Came(HttpCargo::CloseNotify));
            self.pipe.end();
        }
    }

    /// Says which frames came, other than those of a response.
    fn name_frames(&mut self, frames: &[Frame]) {
        let names: Vec<String> = frames.iter().filter_map(Frame::name).collect();
        if !names.is_empty() {
            let came = Moment::Came(HttpCargo::Frames(names));
            self.board.borrow_mut().moments.push_back(came);
        }
    }

    /// Says what is in the bytes that were to be sent since there were `from` of them, if any.
    fn left(&mut self, what: HttpCargo, from: u64) {
        let until = self.produced;
        if from < until {
            self.board.borrow_mut().moments.push_back(Moment::Left { what, from, until });
        }
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
        self.flush();
        self.attribute(&plain, from);
        // Not as soon as hyper is done: a server that closes first is to be heard before, since one
        // that has closed already would answer the alert by a RST.
        if self.finishing
            && self.pipe.is_shut()
            && !std::mem::replace(&mut self.said_goodbye, true)
            && !self.pipe.has_ended()
            && let Some(tls) = &mut self.tls
        {
            tls.say_goodbye();
            let from = self.produced;
            self.flush();
            self.left(HttpCargo::CloseNotify, from);
        }
    }

    /// Moves what TLS has to send to the outgoing bytes.
    fn flush(&mut self) {
        if let Some(tls) = &mut self.tls {
            let before = self.outgoing.len();
            tls.flush(&mut self.outgoing);
            self.produced += (self.outgoing.len() - before) as u64;
        }
    }

    /// Says which requests, and what else, are in what was just written.
    fn attribute(&mut self, plain: &[u8], from: u64) {
        if plain.is_empty() {
            return;
        }
        let until = self.produced;
        // Records hide where in them a byte is.
        let clear = self.tls.is_none();
        let place = |range: Range<usize>| match clear {
            true => (from + range.start as u64, from + range.end as u64),
            false => (from, until),
        };
        let (mut numbers, mut moments) = (Vec::new(), Vec::new());
        match &mut self.streams {
            Some(streams) => {
                let mut frame = |name: String, range| {
                    let (what, (from, until)) = (HttpCargo::Frames(vec![name]), place(range));
                    moments.push(Moment::Left { what, from, until });
                };
                if !std::mem::replace(&mut streams.greeted, true) {
                    frame("connection preface".to_owned(), 0..PREFACE.min(plain.len()));
                }
                let frames = streams.watch.pass(plain);
                for (name, it) in frames.iter().filter_map(|it| Some((it.name()?, it))) {
                    frame(name, it.place.clone());
                }
                let mut ids: Vec<u32> =
                    frames.iter().filter(|it| it.is_edge()).map(|it| it.stream).collect();
                ids.sort_unstable();
                ids.dedup();
                // A client's streams are 1, 3, 5 and so on, in the order of the requests.
                let known = &streams.numbers;
                numbers.extend(ids.iter().filter_map(|id| known.get(*id as usize / 2).copied()));
            }
            None => numbers.extend(self.leaving.take()),
        }
        moments.extend(numbers.into_iter().map(|number| Moment::Sent { number, from, until }));
        let mut board = self.board.borrow_mut();
        // Before whatever the answer to it may already have brought.
        for moment in moments.into_iter().rev() {
            board.moments.push_front(moment);
        }
    }
}
