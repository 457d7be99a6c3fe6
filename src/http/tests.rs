//! The client against a server in memory, and against servers that misbehave.

use std::convert::Infallible;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;

use super::executor::Executor;
use super::pipe::Pipe;
use super::*;
use crate::event::{HttpCargo, HttpVersion};

const TWO: HttpVersion = HttpVersion::Http2;
const ONE: HttpVersion = HttpVersion::Http11;
const OLD: HttpVersion = HttpVersion::Http10;

/// hyper's server, over bytes.
struct Server {
    pipe: Pipe,
    executor: Executor,
}

impl Server {
    fn new(version: HttpVersion) -> Self {
        let (pipe, executor) = (Pipe::default(), Executor::default());
        let (io, spawner) = (pipe.clone(), executor.spawner());
        if version == TWO {
            let two = hyper::server::conn::http2::Builder::new(spawner.clone());
            let connection = two.serve_connection(io, service_fn(answer));
            spawner.spawn(async move { drop(connection.await) });
        } else {
            let one = hyper::server::conn::http1::Builder::new();
            let connection = one.serve_connection(io, service_fn(answer));
            spawner.spawn(async move { drop(connection.await) });
        }
        Self { pipe, executor }
    }

    fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.pipe.push(bytes);
        self.executor.run();
        self.pipe.take_outgoing()
    }
}

/// Says what it was asked, and how many bytes came with it.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let line = format!("{} {}", request.method(), request.uri().path());
    let length = request.into_body().collect().await.map_or(0, |body| body.to_bytes().len());
    let mut response = Response::new(Full::from(format!("{line} {length}")));
    if line.ends_with("/old") {
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert(header::LOCATION, "/new".parse().expect("a value"));
    }
    Ok(response)
}

fn ask(path: &str, body: &'static [u8]) -> Ask {
    Ask {
        method: if body.is_empty() { Method::GET } else { Method::POST },
        uri: format!("http://example.org{path}").parse().expect("a URL"),
        host: "example.org".parse().expect("a value"),
        headers: vec![(header::ACCEPT, "*/*".parse().expect("a value"))],
        body: Bytes::from_static(body),
    }
}

/// Carries bytes to and fro, `piece` at a time, until nobody has any.
fn exchange(client: &mut Client, server: &mut Server, piece: usize) -> Vec<Moment> {
    let mut moments = Vec::new();
    loop {
        let out = client.take_outgoing();
        let mut back = Vec::new();
        for bytes in out.chunks(piece) {
            back.extend(server.receive(bytes));
        }
        for bytes in back.chunks(piece) {
            client.receive(bytes);
        }
        moments.extend(std::iter::from_fn(|| client.next_moment()));
        if out.is_empty() && back.is_empty() {
            return moments;
        }
    }
}

fn body_of(moments: &[Moment], wanted: u32) -> u64 {
    let bytes = moments.iter().map(|moment| match moment {
        Moment::Body(number, bytes) if *number == wanted => *bytes,
        _ => 0,
    });
    bytes.sum()
}

fn position(moments: &[Moment], wanted: impl Fn(&Moment) -> bool) -> usize {
    moments.iter().position(wanted).unwrap_or_else(|| panic!("not in {moments:?}"))
}

#[test]
fn one_request_after_the_other_on_a_connection() {
    for piece in [1, 7, 10_000] {
        let (mut client, mut server) = (Client::plain(ONE), Server::new(ONE));
        assert_eq!(client.next_moment(), Some(Moment::Ready(ONE)));
        for (number, path) in [(1, "/a"), (2, "/longer"), (3, "/old")] {
            assert!(client.is_ready());
            client.send(number, &ask(path, b""));
            let moments = exchange(&mut client, &mut server, piece);
            let sent = position(
                &moments,
                |it| matches!(it, Moment::Sent { number: n, .. } if *n == number),
            );
            let first = position(&moments, |it| *it == Moment::FirstByte(number));
            let head = position(&moments, |it| matches!(it, Moment::Head(n, _) if *n == number));
            let end = position(&moments, |it| *it == Moment::End(number));
            assert!(sent < first && first < head && head < end, "{moments:?}");
            assert_eq!(body_of(&moments, number), format!("GET {path} 0").len() as u64);
            let Moment::Head(_, head) = &moments[head] else { panic!("no head") };
            let (status, reason) = if number == 3 { (302, "Found") } else { (200, "OK") };
            assert_eq!(
                (head.status, head.reason.as_str(), head.version),
                (status, reason, Some(ONE))
            );
            let location = head.headers.iter().find(|(name, _)| name == "location");
            assert_eq!(location.map(|(_, to)| to.as_str()), (number == 3).then_some("/new"));
        }
        client.finish();
        assert!(client.is_done(), "nothing more to say");
    }
}

#[test]
fn a_request_is_all_of_what_was_written_for_it() {
    let mut client = Client::plain(ONE);
    client.send(1, &ask("/a", b"twelve bytes"));
    let out = client.take_outgoing();
    let moments: Vec<_> = std::iter::from_fn(|| client.next_moment()).collect();
    let sent = Moment::Sent { number: 1, from: 0, until: out.len() as u64 };
    assert!(moments.contains(&sent), "{moments:?}");
    let text = String::from_utf8(out).expect("text");
    assert!(text.starts_with("POST /a HTTP/1.1\r\nhost: example.org\r\n"), "{text}");
    assert!(
        text.contains("content-length: 12\r\n") && text.ends_with("\r\n\r\ntwelve bytes"),
        "{text}"
    );
}

#[test]
fn http_1_0_ends_with_the_connection() {
    let mut client = Client::plain(OLD);
    client.send(1, &ask("/a", b""));
    let out = String::from_utf8(client.take_outgoing()).expect("text");
    assert!(out.starts_with("GET /a HTTP/1.0\r\n"), "{out}");
    client.receive(b"HTTP/1.0 200 Fine\r\n\r\nhel");
    client.receive(b"lo");
    let moments: Vec<_> = std::iter::from_fn(|| client.next_moment()).collect();
    assert_eq!(body_of(&moments, 1), 5);
    assert!(!moments.contains(&Moment::End(1)), "there is no telling yet");
    let head = position(&moments, |it| matches!(it, Moment::Head(1, _)));
    let Moment::Head(_, head) = &moments[head] else { panic!("no head") };
    assert_eq!(head.reason, "Fine", "the server's own words");
    client.end();
    let moments: Vec<_> = std::iter::from_fn(|| client.next_moment()).collect();
    assert!(moments.contains(&Moment::End(1)), "{moments:?}");
    assert!(!client.is_ready());
}

#[test]
fn many_streams_share_a_connection() {
    for piece in [1, 9, 100_000] {
        let (mut client, mut server) = (Client::plain(TWO), Server::new(TWO));
        for number in 1..=20 {
            client.send(number, &ask("/two", if number % 2 == 0 { b"body" } else { b"" }));
        }
        let moments = exchange(&mut client, &mut server, piece);
        let mut from_before = 0;
        for number in 1..=20 {
            let end = position(&moments, |it| *it == Moment::End(number));
            let head = position(&moments, |it| matches!(it, Moment::Head(n, _) if *n == number));
            assert!(head < end);
            let length = if number % 2 == 0 { "POST /two 4".len() } else { "GET /two 0".len() };
            assert_eq!(body_of(&moments, number), length as u64, "{number}");
            let sent = position(
                &moments,
                |it| matches!(it, Moment::Sent { number: n, .. } if *n == number),
            );
            let Moment::Sent { from, until, .. } = moments[sent] else { panic!("not sent") };
            assert!(from >= from_before && until > from, "in the order of asking");
            from_before = from;
        }
        client.finish();
        exchange(&mut client, &mut server, piece);
        assert!(client.is_done(), "the farewell has been said");
    }
}

/// The frames that were to be sent, with their places, or those that came.
fn frames(moments: &[Moment], sent: bool) -> Vec<(Vec<String>, u64, u64)> {
    let frames = moments.iter().filter_map(|moment| match moment {
        Moment::Left { what: HttpCargo::Frames(names), from, until } if sent => {
            Some((names.clone(), *from, *until))
        }
        Moment::Came(HttpCargo::Frames(names)) if !sent => Some((names.clone(), 0, 0)),
        _ => None,
    });
    frames.collect()
}

#[test]
fn frames_of_the_connection_itself_are_named() {
    for piece in [1, 9, 100_000] {
        let (mut client, mut server) = (Client::plain(TWO), Server::new(TWO));
        let mut moments: Vec<_> = std::iter::from_fn(|| client.next_moment()).collect();
        client.send(1, &ask("/two", b""));
        moments.extend(exchange(&mut client, &mut server, piece));
        client.finish();
        moments.extend(exchange(&mut client, &mut server, piece));
        let sent = frames(&moments, true);
        let names: Vec<&str> =
            sent.iter().flat_map(|(names, ..)| names).map(String::as_str).collect();
        assert_eq!(names[..2], ["connection preface", "SETTINGS"], "{names:?}");
        assert!(names.contains(&"SETTINGS ACK"), "{names:?}");
        assert_eq!(names.last(), Some(&"GOAWAY"), "{names:?}");
        assert_eq!((sent[0].1, sent[0].2), (0, 24), "the preface alone");
        assert!(sent[1].1 == 24 && sent[1].2 > 24, "SETTINGS behind it");
        let came: Vec<String> =
            frames(&moments, false).into_iter().flat_map(|(names, ..)| names).collect();
        assert!(came.contains(&"SETTINGS".to_owned()), "{came:?}");
        assert!(came.contains(&"SETTINGS ACK".to_owned()), "{came:?}");
    }
}

#[test]
fn what_is_no_http_2_has_no_frames() {
    for (version, answer) in [
        (TWO, &b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..]),
        (ONE, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ] {
        let mut client = Client::plain(version);
        client.send(1, &ask("/", b""));
        client.receive(answer);
        let moments: Vec<_> = std::iter::from_fn(|| client.next_moment()).collect();
        assert_eq!(frames(&moments, false), [], "{moments:?}");
    }
}

#[test]
fn a_server_that_speaks_no_http_2_is_said_to_decline() {
    for (answer, said) in [
        (&b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..], "it answered in HTTP/1"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "what it answered is no HTTP/2"),
        (b"", "it closed the connection without a word"),
    ] {
        let mut client = Client::plain(TWO);
        client.send(1, &ask("/", b""));
        client.receive(answer);
        client.end();
        let moments: Vec<_> = std::iter::from_fn(|| client.next_moment()).collect();
        let failed = moments.iter().find_map(|moment| match moment {
            Moment::Failed(Failure::Declined(text)) => Some(text.as_str()),
            _ => None,
        });
        let text = format!("the server does not speak HTTP/2 with prior knowledge: {said}");
        assert_eq!(failed, Some(text.as_str()), "{moments:?}");
        assert!(moments.iter().any(|it| matches!(it, Moment::Unanswered(1, _))), "{moments:?}");
    }
}

#[test]
fn garbage_fails_and_never_panics() {
    for answer in [&b"garbage\r\n\r\n"[..], b"HTTP/1.1 99999 \r\n\r\n", &[0xff; 100_000]] {
        let mut client = Client::plain(ONE);
        client.send(1, &ask("/", b""));
        client.receive(answer);
        client.end();
        let moments: Vec<_> = std::iter::from_fn(|| client.next_moment()).collect();
        assert!(moments.iter().any(|it| matches!(it, Moment::Unanswered(1, _))), "{moments:?}");
    }
}

#[test]
fn what_is_cut_off_in_the_middle_is_not_complete() {
    let mut client = Client::plain(ONE);
    client.send(1, &ask("/", b""));
    client.receive(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
    client.end();
    let moments: Vec<_> = std::iter::from_fn(|| client.next_moment()).collect();
    assert_eq!(body_of(&moments, 1), 5);
    assert!(moments.iter().any(|it| matches!(it, Moment::Unanswered(1, _))), "{moments:?}");
    assert!(!moments.contains(&Moment::End(1)));
}

#[test]
fn tls_begins_by_itself_and_says_why_it_fails() {
    let wish = Wish::Exactly(ONE);
    let mut client = Client::secured(wish, &Trust::blind(), "example.org").expect("a connection");
    let hello = client.take_outgoing();
    assert_eq!(hello.first(), Some(&22), "a handshake record leads");
    assert!(hello.windows(8).any(|window| window == b"http/1.1"), "ALPN offers it");
    client.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let moments: Vec<_> = std::iter::from_fn(|| client.next_moment()).collect();
    let [Moment::Left { what, from, until }, Moment::Failed(Failure::Tls(why))] =
        moments.as_slice()
    else {
        panic!("{moments:?}")
    };
    let place = (*from, *until, what);
    let end = (hello.len() + client.take_outgoing().len()) as u64;
    assert_eq!(place, (hello.len() as u64, end, &HttpCargo::TlsAlert), "which says why");
    assert!(why.starts_with("what the server answers is no TLS"), "{why}");
    let mut client = Client::secured(wish, &Trust::blind(), "[::1]").expect("an address is a name");
    client.end();
    let moments: Vec<_> = std::iter::from_fn(|| client.next_moment()).collect();
    assert_eq!(
        moments,
        [Moment::Failed(Failure::Tls("the server closed in the TLS handshake".to_owned()))]
    );
    assert!(matches!(Client::secured(wish, &Trust::blind(), "a b"), Err(TrustError::Name(_))));
}
