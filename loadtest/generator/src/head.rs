//! The head of an HTTP/1.1 message, as much of it as a load generator reads.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::load::Failure;

/// The longest head that is read.
const MOST: usize = 64 * 1024;

/// Reads until `buffer` holds a head; where it ends, behind its empty line.
/// `None`: the other side closed before the first byte.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> io::Result<Option<usize>> {
    let mut searched = 0;
    loop {
        let end = buffer[searched..]
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n");
        if let Some(end) = end {
            return Ok(Some(searched + end + 4));
        }
        searched = buffer.len().saturating_sub(3);
        if buffer.len() > MOST {
            return Err(io::Error::other("a head of more than 64 KiB"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return match buffer.is_empty() {
                true => Ok(None),
                false => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
    }
}

/// The status in an answer's head.
pub(crate) fn status(head: &[u8]) -> Option<u16> {
    std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}

/// A field's value; names are the same in any case.
pub(crate) fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    std::str::from_utf8(head).ok()?.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The length of the body behind a head.
///
/// # Errors
/// The answer is not a good one, or has no `Content-Length`.
pub(crate) fn good_length(head: &[u8]) -> Result<usize, Failure> {
    match status(head) {
        Some(200..400) => {}
        status => return Err(Failure::Answer(format!("status {status:?}"))),
    }
    let length = field(head, "content-length").and_then(|length| length.parse().ok());
    length.ok_or_else(|| Failure::Answer("an answer without Content-Length".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 204 No Content\r\nX-A: b\r\ncontent-LENGTH:  7 \r\n\r\n";

    #[test]
    fn status_and_fields_are_found() {
        assert_eq!(status(HEAD), Some(204));
        assert_eq!(status(b"HTTP"), None);
        assert_eq!(field(HEAD, "Content-Length"), Some("7"));
        assert_eq!(field(HEAD, "X-B"), None);
    }

    #[tokio::test]
    async fn a_head_ends_with_its_empty_line_wherever_it_is_cut() {
        for cut in 1..HEAD.len() {
            let mut buffer = HEAD[..cut].to_vec();
            let mut rest = [&HEAD[cut..], b"body"].concat();
            let end = read(&mut rest.as_slice(), &mut buffer).await.unwrap();
            assert_eq!(end, Some(HEAD.len()), "cut at {cut}");
            rest.clear();
        }
        assert_eq!(read(&mut [].as_slice(), &mut Vec::new()).await.unwrap(), None);
        assert!(read(&mut [].as_slice(), &mut b"HTTP".to_vec()).await.is_err());
    }
}
