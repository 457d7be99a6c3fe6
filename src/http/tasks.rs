//! What goes on at the same time on a connection: hyper's own work, and the wait for each response.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error as _;
use std::rc::Rc;

use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};

use super::executor::Spawner;
use super::pipe::Pipe;
use super::terms::{Failure, Head, Moment};
use crate::event::HttpVersion;

/// By which requests are handed to hyper.
pub(super) enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// What the futures and their owner share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) sender: Option<Sender>,
    pub(super) moments: VecDeque<Moment>,
}

pub(super) type Board = Rc<RefCell<Shared>>;

/// Opens a connection of HTTP/1, and attends to it until its end.
pub(super) async fn begin_one(pipe: Pipe, board: Board, version: HttpVersion) {
    let opened = http1::handshake(pipe).await;
    attend(opened.map(|(sender, it)| (Sender::One(sender), it)), board, version).await;
}

/// The same of HTTP/2.
pub(super) async fn begin_two(spawner: Spawner, pipe: Pipe, board: Board) {
    let opened = http2::handshake(spawner, pipe).await;
    let opened = opened.map(|(sender, it)| (Sender::Two(sender), it));
    attend(opened, board, HttpVersion::Http2).await;
}

/// Attends to a connection, if it was opened, until its end.
async fn attend(
    opened: hyper::Result<(Sender, impl Future<Output = hyper::Result<()>>)>,
    board: Board,
    version: HttpVersion,
) {
    let failed = |error: hyper::Error| Moment::Failed(Failure::Http(in_words(&error)));
    let end = match opened {
        Ok((sender, connection)) => {
            board.borrow_mut().sender = Some(sender);
            board.borrow_mut().moments.push_back(Moment::Ready(version));
            connection.await.map_or_else(failed, |()| Moment::Over)
        }
        Err(error) => failed(error),
    };
    board.borrow_mut().moments.push_back(end);
}

/// Waits for a response and reads it to its end; what was read is counted and dropped.
pub(super) async fn follow(
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
