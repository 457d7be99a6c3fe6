//! Which frames are in what an HTTP/2 connection writes and reads.
//!
//! hyper says neither when a request has left nor what else went to and fro. The headers of the
//! frames do (RFC 9113 §4.1), and nothing else is read here.

use std::ops::Range;

/// The client connection preface (RFC 9113 §3.4) stands before the first frame.
pub(super) const PREFACE: usize = 24;
const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
/// Bit 0 is ACK in SETTINGS and PING, END_STREAM in HEADERS and DATA.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;

/// A frame, or as much of it as was in the bytes that were passed over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    kind: u8,
    flags: u8,
    /// The stream; 0 is the connection itself.
    pub(super) stream: u32,
    /// Where its bytes are among those that were passed over; the beginning of a header that was cut
    /// is not among them.
    pub(super) place: Range<usize>,
}

impl Frame {
    /// Whether a request or response begins or ends in it.
    pub(super) const fn is_edge(&self) -> bool {
        self.kind == HEADERS || self.kind == DATA && self.flags & END_STREAM != 0
    }

    /// What it is called where it is no part of a request or response (RFC 9113 §6; RFC 7838 §4,
    /// RFC 8336 §2, RFC 9218 §7.1).
    pub(super) fn name(&self) -> Option<String> {
        let acknowledges = self.flags & ACK != 0;
        let name = match self.kind {
            DATA | HEADERS | CONTINUATION => return None,
            2 => "PRIORITY",
            3 => return Some(format!("RST_STREAM of stream {}", self.stream)),
            4 if acknowledges => "SETTINGS ACK",
            4 => "SETTINGS",
            5 => "PUSH_PROMISE",
            6 if acknowledges => "PING ACK",
            6 => "PING",
            7 => "GOAWAY",
            8 => "WINDOW_UPDATE",
            10 => "ALTSVC",
            12 => "ORIGIN",
            16 => "PRIORITY_UPDATE",
            kind => return Some(format!("a frame of type {kind}")),
        };
        Some(name.to_owned())
    }
}

/// Follows the frames of one direction.
#[derive(Debug)]
pub(super) struct FrameWatch {
    /// Bytes to pass over before the next frame's header.
    skip: usize,
    header: Vec<u8>,
}

impl FrameWatch {
    /// From the beginning of what a client writes.
    pub(super) const fn of_client() -> Self {
        Self { skip: PREFACE, header: Vec::new() }
    }

    /// From the beginning of what a server writes.
    pub(super) const fn of_server() -> Self {
        Self { skip: 0, header: Vec::new() }
    }

    /// Passes over `bytes`: the frames whose headers end in them.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if self.skip > 0 {
                let passed = self.skip.min(bytes.len() - at);
                self.skip -= passed;
                at += passed;
                continue;
            }
            let wanted = (HEADER - self.header.len()).min(bytes.len() - at);
            self.header.extend_from_slice(&bytes[at..at + wanted]);
            at += wanted;
            if let &[a, b, c, kind, flags, w, x, y, z] = self.header.as_slice() {
                self.header.clear();
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                let stream = u32::from_be_bytes([w & 0x7f, x, y, z]);
                let place = at - wanted..(at + self.skip).min(bytes.len());
                frames.push(Frame { kind, flags, stream, place });
            }
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, length: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, length, kind, flags];
        bytes.extend(stream.to_be_bytes());
        bytes.extend(std::iter::repeat_n(7, length.into()));
        bytes
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let mut all = vec![b'P'; PREFACE];
        all.extend(frame(4, 0, 0, 6));
        all.extend(frame(HEADERS, END_STREAM, 1, 30));
        all.extend(frame(HEADERS, 0, 3, 0));
        all.extend(frame(DATA, 0, 3, 200));
        all.extend(frame(DATA, END_STREAM, 3, 1));
        all.extend(frame(4, 1, 0, 0));
        all.extend(frame(0xee, 0, 0, 4));
        for piece in [1, 2, 9, 10, all.len()] {
            let mut watch = FrameWatch::of_client();
            let frames: Vec<Frame> =
                all.chunks(piece).flat_map(|bytes| watch.pass(bytes)).collect();
            let edges: Vec<u32> =
                frames.iter().filter(|it| it.is_edge()).map(|it| it.stream).collect();
            assert_eq!(edges, [1, 3, 3], "{piece}");
            let names: Vec<String> = frames.iter().filter_map(Frame::name).collect();
            assert_eq!(names, ["SETTINGS", "SETTINGS ACK", "a frame of type 238"], "{piece}");
        }
    }

    #[test]
    fn a_frame_has_its_place_among_the_bytes() {
        let mut watch = FrameWatch::of_server();
        let all = [frame(4, 0, 0, 6), frame(8, 0, 0, 4)].concat();
        let places = |bytes: &[u8], watch: &mut FrameWatch| -> Vec<(usize, usize)> {
            watch.pass(bytes).iter().map(|frame| (frame.place.start, frame.place.end)).collect()
        };
        assert_eq!(places(&all[..18], &mut watch), [(0, 15)]);
        assert_eq!(
            places(&all[18..], &mut watch),
            [(0, 10)],
            "the rest of its header, and what follows"
        );
        assert_eq!(places(&all, &mut watch), [(0, 15), (15, 28)]);
    }
}
