//! The first of the two frames by which HTTP/2 takes leave.
//!
//! RFC 9113 (6.8) wants two: the first tells the client to open no more streams, the second, a round
//! trip later, which ones were served. hyper sends both, but takes the answer to a ping for the round
//! trip, and clients answer pings before they send what they have queued: a request that waits there
//! comes just after the second frame, and is not served. So the first frame goes out ahead of that,
//! and time is given. hyper knows nothing of it, so a place between two of its frames is needed.

/// GOAWAY without an error, after which every stream that the client has opened is served.
const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Bytes of a frame before its payload: length (3), type, flags, stream (4).
const HEAD: usize = 9;

const HEADERS: u8 = 1;
const PUSH_PROMISE: u8 = 5;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Follows the frames that are written, and keeps the one that is to be put between them.
#[derive(Debug, Default)]
pub(super) struct GoAway {
    head: [u8; HEAD],
    /// Bytes of the head that are written.
    headed: usize,
    /// Bytes of the payload that are not.
    left: usize,
    /// Whether a frame has been written that another may follow.
    between: bool,
    /// Bytes of the frame itself that are written.
    sent: usize,
}

impl GoAway {
    /// Looks at bytes of the connection that were written.
    pub(super) fn wrote(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.between = false;
            if self.headed < HEAD {
                let (now, later) = bytes.split_at(bytes.len().min(HEAD - self.headed));
                self.head[self.headed..self.headed + now.len()].copy_from_slice(now);
                self.headed += now.len();
                bytes = later;
                if self.headed < HEAD {
                    return;
                }
                let [a, b, c, ..] = self.head;
                self.left = u32::from_be_bytes([0, a, b, c]) as usize;
            }
            let now = bytes.len().min(self.left);
            self.left -= now;
            bytes = &bytes[now..];
            if self.left == 0 {
                self.headed = 0;
                // Headers that are continued must be, by the very next frame.
                let (kind, flags) = (self.head[3], self.head[4]);
                let headers = matches!(kind, HEADERS | PUSH_PROMISE | CONTINUATION);
                self.between = !headers || flags & END_HEADERS != 0;
            }
        }
    }

    /// What is to be written before anything else; empty where it is written, or its place is not here.
    pub(super) fn due(&self) -> &'static [u8] {
        const FRAME: &[u8] = &GOAWAY;
        if self.between || self.sent > 0 { &FRAME[self.sent..] } else { &[] }
    }

    /// So many bytes of it are written.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.resize(HEAD + payload, 0xaa);
        frame
    }

    #[test]
    fn its_place_is_between_two_frames_however_they_are_written() {
        let frames = [
            (frame(4, 0, 12), true),
            (frame(HEADERS, 0, 300), false),
            (frame(CONTINUATION, 0, 70_000), false),
            (frame(CONTINUATION, END_HEADERS, 1), true),
            (frame(0, 1, 0), true),
        ];
        for piece in [1, 2, 8, 9, 10, 1000, 100_000] {
            let mut goaway = GoAway::default();
            assert!(goaway.due().is_empty(), "not before the first frame");
            for (bytes, between) in &frames {
                let (begun, last) = bytes.split_at(bytes.len() - 1);
                for piece in begun.chunks(piece) {
                    goaway.wrote(piece);
                    assert!(goaway.due().is_empty());
                }
                goaway.wrote(last);
                assert_eq!(goaway.due().len(), if *between { 17 } else { 0 });
            }
        }
    }

    #[test]
    fn it_is_written_once_and_whole() {
        let mut goaway = GoAway::default();
        goaway.wrote(&[frame(4, 0, 0), frame(0, 0, 5)].concat());
        let first = goaway.due();
        goaway.sent(5);
        assert_eq!(goaway.due(), &first[5..]);
        goaway.sent(12);
        assert!(goaway.due().is_empty());
        goaway.wrote(&frame(0, 1, 9));
        assert!(goaway.due().is_empty());
    }
}
