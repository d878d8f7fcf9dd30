//! Where a chunked body ends, and its data (RFC 9112 §7.1). To clients of HTTP/1
//! the bytes pass as they are: they come from an upstream and go to a client,
//! never the other way.

/// Longer chunk extensions and trailers are refused.
const LONGEST_LINES: usize = 16 * 1024;

/// A reader of chunk framing, fed piece by piece.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    state: State,
    /// Of the chunk being read.
    left: u64,
    /// Bytes of extensions and trailers so far.
    lines: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    #[default]
    Start,
    Size,
    Extension,
    /// After the CR of a size's line.
    SizeEnd,
    Data,
    /// After the data: CR, then LF.
    DataEnd,
    DataLineFeed,
    /// At the start of a trailer's line.
    Trailer,
    TrailerLine,
    TrailerLineFeed,
    /// After the CR of the empty line.
    LastLineFeed,
    Done,
}

/// The framing is broken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Chunked {
    /// Whether the body is complete.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads on; returns how many of the bytes belong to the body. `data` gets
    /// those of the chunks alone.
    ///
    /// # Errors
    /// The framing is broken.
    pub(super) fn feed(&mut self, bytes: &[u8], mut data: impl FnMut(&[u8])) -> Result<usize, Malformed> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            if self.state == State::Data {
                let rest = (bytes.len() - at) as u64;
                let taken = rest.min(self.left);
                self.left -= taken;
                data(&bytes[at..at + taken as usize]);
                at += taken as usize;
                if self.left == 0 {
                    self.state = State::DataEnd;
                }
                continue;
            }
            self.state = self.step(bytes[at])?;
            at += 1;
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<State, Malformed> {
        use State as S;
        if matches!(self.state, S::Extension | S::TrailerLine) {
            self.lines += 1;
            if self.lines > LONGEST_LINES {
                return Err(Malformed);
            }
        }
        Ok(match (self.state, byte) {
            (S::Start | S::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).ok_or(Malformed)?;
                if self.left >> 59 != 0 {
                    return Err(Malformed);
                }
                self.left = self.left << 4 | u64::from(digit);
                S::Size
            }
            (S::Size, b';' | b' ' | b'\t') => S::Extension,
            (S::Size | S::Extension, b'\r') => S::SizeEnd,
            (S::Extension, byte) if byte != b'\n' => S::Extension,
            (S::SizeEnd, b'\n') if self.left == 0 => S::Trailer,
            (S::SizeEnd, b'\n') => S::Data,
            (S::DataEnd, b'\r') => S::DataLineFeed,
            (S::DataLineFeed, b'\n') => S::Start,
            (S::Trailer, b'\r') => S::LastLineFeed,
            (S::TrailerLine, b'\r') => S::TrailerLineFeed,
            (S::TrailerLineFeed, b'\n') => S::Trailer,
            (S::Trailer | S::TrailerLine, byte) if byte != b'\n' => S::TrailerLine,
            (S::LastLineFeed, b'\n') => S::Done,
            _ => return Err(Malformed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        let mut chunked = Chunked::default();
        Ok((chunked.feed(bytes, |_| {})?, chunked.is_done()))
    }

    #[test]
    fn the_end_is_found() {
        let body = b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: x\r\n\r\n";
        let mut more = body.to_vec();
        more.extend_from_slice(b"HTTP/1.1");
        assert_eq!(whole(&more), Ok((body.len(), true)));
        // However it is cut.
        for cut in 0..body.len() {
            let mut chunked = Chunked::default();
            let mut data = Vec::new();
            let mut keep = |bytes: &[u8]| data.extend_from_slice(bytes);
            assert_eq!(chunked.feed(&body[..cut], &mut keep), Ok(cut));
            assert!(!chunked.is_done());
            assert_eq!(chunked.feed(&body[cut..], &mut keep), Ok(body.len() - cut));
            assert!(chunked.is_done());
            assert_eq!(data, b"abc0123456789");
        }
    }

    #[test]
    fn broken_framing_is_noticed() {
        for bytes in [
            &b"\r\n"[..],
            b"x\r\n",
            b"1\na",
            b"1\r\nab\r\n",
            b"1\r\na\n",
            b"-1\r\n",
            b"11111111111111111\r\n",
            b"0\r\nA\n",
        ] {
            assert_eq!(whole(bytes), Err(Malformed), "{bytes:?}");
        }
        let endless = [b"1;", [b'a'; 20_000].as_slice()].concat();
        assert_eq!(whole(&endless), Err(Malformed));
    }
}
