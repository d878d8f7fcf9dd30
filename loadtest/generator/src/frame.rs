//! WebSocket frames (RFC 6455, section 5.2) of at most 65,535 bytes.

use std::io;

/// A whole text message, a whole message's end, and what asks for and gives a sign of life.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

/// Any will do: it is there for the sake of caches that do not know WebSocket.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What stands before a frame's payload.
pub(crate) struct Head {
    /// The first byte: flags and what kind of frame it is.
    pub(crate) first: u8,
    pub(crate) mask: Option<[u8; 4]>,
    /// Bytes of this head, and of the payload behind it.
    pub(crate) size: usize,
    pub(crate) payload: usize,
}

impl Head {
    /// Reads a head; `None`: there is more to come.
    ///
    /// # Errors
    /// A payload of more than 65,535 bytes.
    pub(crate) fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        let &[first, second, ..] = bytes else {
            return Ok(None);
        };
        let (payload, mut size) = match second & 0x7f {
            127 => return Err(io::Error::other("a frame of more than 65,535 bytes")),
            126 => match bytes.get(2..4) {
                Some(length) => (usize::from(u16::from_be_bytes([length[0], length[1]])), 4),
                None => return Ok(None),
            },
            short => (usize::from(short), 2),
        };
        let mut mask = None;
        if second & 0x80 != 0 {
            let Some(&[a, b, c, d]) = bytes.get(size..size + 4) else {
                return Ok(None);
            };
            mask = Some([a, b, c, d]);
            size += 4;
        }
        Ok(Some(Self {
            first,
            mask,
            size,
            payload,
        }))
    }
}

/// A frame as servers send it.
pub(crate) fn write(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    write_head(out, first, 0, payload.len());
    out.extend_from_slice(payload);
}

/// A frame as clients send it.
pub(crate) fn write_masked(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    write_head(out, first, 0x80, payload.len());
    out.extend_from_slice(&MASK);
    let start = out.len();
    out.extend_from_slice(payload);
    mask(&mut out[start..], MASK);
}

fn write_head(out: &mut Vec<u8>, first: u8, masked: u8, length: usize) {
    match u8::try_from(length) {
        Ok(short @ ..=125) => out.extend_from_slice(&[first, masked | short]),
        _ => {
            let length = u16::try_from(length).expect("`parse` and SIZE allow no more than a u16");
            out.extend_from_slice(&[first, masked | 126]);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
}

/// Masks a payload, or takes the mask off.
pub(crate) fn mask(payload: &mut [u8], mask: [u8; 4]) {
    for bytes in payload.chunks_mut(4) {
        for (byte, mask) in bytes.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frames_of_the_rfc() {
        // Section 5.7.
        let mut out = Vec::new();
        write(&mut out, TEXT, b"Hello");
        assert_eq!(out, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        out.clear();
        write_masked(&mut out, TEXT, b"Hello");
        assert_eq!(
            out,
            [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]
        );
    }

    #[test]
    fn what_is_written_is_read_and_cut_frames_wait() {
        for length in [0, 125, 126, 1024, 65_535] {
            let mut out = Vec::new();
            write_masked(&mut out, TEXT, &vec![b'x'; length]);
            let head = Head::parse(&out).unwrap().unwrap();
            assert_eq!(
                (head.first, head.payload, head.size + length),
                (TEXT, length, out.len())
            );
            let mut payload = out.split_off(head.size);
            mask(&mut payload, head.mask.unwrap());
            assert!(payload.iter().all(|byte| *byte == b'x'));
            for cut in 0..head.size {
                assert!(Head::parse(&out[..cut]).unwrap().is_none());
            }
        }
        assert!(Head::parse(&[TEXT, 127]).is_err());
    }
}
