//! Which streams' requests leave in what an HTTP/2 connection writes.
//!
//! hyper does not say when a request has left. The headers of the frames do (RFC 9113 §4.1), and
//! nothing else is read here.

/// The client connection preface (RFC 9113 §3.4) stands before the first frame.
const PREFACE: usize = 24;
const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;

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

    /// Passes over `bytes`: the streams whose requests begin in them, and those whose requests end.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) -> (Vec<u32>, Vec<u32>) {
        let (mut begun, mut ended) = (Vec::new(), Vec::new());
        while !bytes.is_empty() {
            if self.skip > 0 {
                let passed = self.skip.min(bytes.len());
                self.skip -= passed;
                bytes = &bytes[passed..];
                continue;
            }
            let wanted = (HEADER - self.header.len()).min(bytes.len());
            self.header.extend_from_slice(&bytes[..wanted]);
            bytes = &bytes[wanted..];
            if let &[a, b, c, kind, flags, w, x, y, z] = self.header.as_slice() {
                self.header.clear();
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                let stream = u32::from_be_bytes([w & 0x7f, x, y, z]);
                if kind == HEADERS {
                    begun.push(stream);
                }
                if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                    ended.push(stream);
                }
            }
        }
        (begun, ended)
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
    fn requests_are_found_however_the_bytes_are_cut() {
        let mut all = vec![b'P'; PREFACE];
        all.extend(frame(4, 0, 0, 6));
        all.extend(frame(HEADERS, END_STREAM, 1, 30));
        all.extend(frame(HEADERS, 0, 3, 0));
        all.extend(frame(DATA, 0, 3, 200));
        all.extend(frame(DATA, END_STREAM, 3, 1));
        all.extend(frame(4, 1, 0, 0));
        for piece in [1, 2, 9, 10, all.len()] {
            let mut watch = FrameWatch::of_client();
            let (mut begun, mut ended) = (Vec::new(), Vec::new());
            for bytes in all.chunks(piece) {
                let (more, done) = watch.pass(bytes);
                begun.extend(more);
                ended.extend(done);
            }
            assert_eq!((begun, ended), (vec![1, 3], vec![1, 3]), "{piece}");
        }
    }
}
