//! The head of an upstream's answer: read, edited by policies, written.

use std::mem::MaybeUninit;

use http::{Method, StatusCode};

use super::chunked::Chunked;
use super::date;
use super::fields::{AnswerFields, Kept, Span};
use crate::proxy::head::content_length;
use crate::proxy::page;

/// How the end of a body is known (RFC 9112 §6.3).
pub(super) enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// By its chunks.
    Chunked(Chunked),
    /// By the end of the connection.
    Close,
}

impl Framing {
    /// How many of the bytes belong to the body. `data` gets each piece of it
    /// without its framing.
    ///
    /// # Errors
    /// The framing is broken.
    pub(super) fn take(&mut self, bytes: &[u8], mut data: impl FnMut(&[u8])) -> Result<usize, Malformed> {
        let mine = match self {
            Self::None => 0,
            Self::Length(left) => {
                let mine = (*left).min(bytes.len() as u64);
                *left -= mine;
                mine as usize
            }
            Self::Chunked(chunked) => return chunked.feed(bytes, data).map_err(|_| Malformed),
            Self::Close => bytes.len(),
        };
        data(&bytes[..mine]);
        Ok(mine)
    }

    /// Whether the body is complete.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::None => true,
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_done(),
            Self::Close => false,
        }
    }
}

/// A head as it was read: where its parts lie in the bytes that it was read
/// from, which are needed again for [`Head::fields`] and [`Head::write`].
pub(super) struct Head {
    /// Its bytes, the empty line included.
    pub(super) length: usize,
    pub(super) status: StatusCode,
    reason: Span,
    pub(super) framing: Framing,
    /// The connection may be used again.
    pub(super) keep_alive: bool,
    fields: Kept,
}

/// The answer is not HTTP, or dubious.
#[derive(Debug)]
pub(super) struct Malformed;

/// Reads a head; `None` when there is more to come.
///
/// # Errors
/// [`Malformed`]; also where nginx takes an answer for it: two lengths, or a
/// length beside a transfer coding.
pub(super) fn parse(read: &[u8], method: &Method) -> Result<Option<Head>, Malformed> {
    let mut parsed = [const { MaybeUninit::uninit() }; Kept::MOST];
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let length = match parser.parse_response_with_uninit_headers(&mut response, read, &mut parsed) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Malformed),
    };
    let is_http_11 = response.version == Some(1);
    let status = StatusCode::from_u16(response.code.unwrap_or_default()).map_err(|_| Malformed)?;
    let mut coding = None;
    let mut body_length = None;
    let mut close = !is_http_11;
    let mut fields = Kept::default();
    for httparse::Header { name, value } in response.headers.iter() {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match name.len() {
            // Ours to say.
            4 if is("date") => continue,
            6 if is("server") => continue,
            7 if is("upgrade") && status != StatusCode::SWITCHING_PROTOCOLS => continue,
            10 if is("keep-alive") => continue,
            10 if is("connection") => {
                close = !is_http_11;
                for token in value.split(|&byte| byte == b',') {
                    let token = token.trim_ascii();
                    close |= token.eq_ignore_ascii_case(b"close");
                    close &= !token.eq_ignore_ascii_case(b"keep-alive");
                }
                continue;
            }
            14 if is("content-length") => {
                let length = content_length(value).filter(|_| !value.is_empty());
                if body_length.replace(length.ok_or(Malformed)?).is_some() {
                    return Err(Malformed);
                }
            }
            17 if is("transfer-encoding") => {
                if coding.replace(*value).is_some() {
                    return Err(Malformed);
                }
                continue;
            }
            _ => {}
        }
        fields.push(Span::of(read, name.as_bytes()), Span::of(read, value));
    }
    let bodiless = *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let framing = match (coding, body_length) {
        (Some(_), Some(_)) => return Err(Malformed),
        _ if bodiless => Framing::None,
        (Some(coding), None) if is_http_11 && coding.eq_ignore_ascii_case(b"chunked") => {
            Framing::Chunked(Chunked::default())
        }
        (Some(_), None) => return Err(Malformed),
        (None, Some(0)) => Framing::None,
        (None, Some(length)) => Framing::Length(length),
        (None, None) => Framing::Close,
    };
    Ok(Some(Head {
        length,
        status,
        reason: match response.reason {
            Some(reason) if !reason.is_empty() => Span::of(read, reason.as_bytes()),
            _ => Span::default(),
        },
        keep_alive: !close && !matches!(framing, Framing::Close),
        framing,
        fields,
    }))
}

impl Head {
    /// Takes the fields, for policies to edit.
    pub(super) fn fields<'a>(&mut self, read: &'a [u8]) -> AnswerFields<'a> {
        AnswerFields::new(std::mem::take(&mut self.fields), read)
    }

    /// Appends the head that the client gets to `out`.
    pub(super) fn write(&self, fields: &AnswerFields<'_>, close: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(self.status.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(&fields.read[self.reason.range()]);
        out.extend_from_slice(b"\r\n");
        fields.write(out);
        if matches!(self.framing, Framing::Chunked(_) | Framing::Close) {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        if self.status == StatusCode::SWITCHING_PROTOCOLS {
            date::write(out);
            out.extend_from_slice(b"Connection: upgrade\r\n\r\n");
        } else {
            finish(close, out);
        }
    }
}

/// A whole answer of the gateway's own with its page, and how many of its bytes
/// are its head.
pub(in crate::proxy) fn own(
    status: StatusCode,
    method: &Method,
    fields: &AnswerFields<'_>,
    close: bool,
) -> (Vec<u8>, usize) {
    let (title, page) = page::of(status);
    let mut out = format!(
        "HTTP/1.1 {} {title}\r\nContent-Type: text/html\r\nContent-Length: {}\r\n",
        status.as_str(),
        page.len()
    )
    .into_bytes();
    fields.write(&mut out);
    finish(close, &mut out);
    let head = out.len();
    if *method != Method::HEAD {
        out.extend_from_slice(&page);
    }
    (out, head)
}

/// Ends a head with what every one has.
fn finish(close: bool, out: &mut Vec<u8>) {
    date::write(out);
    out.extend_from_slice(if close {
        b"Connection: close\r\n\r\n"
    } else {
        b"Connection: keep-alive\r\n\r\n"
    });
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tidegate_snapshot::FieldName;

    use super::*;
    use crate::request::Fields;

    fn read(text: &str) -> Result<Option<Head>, Malformed> {
        parse(text.as_bytes(), &Method::GET)
    }

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        let mut head = read(text).unwrap().unwrap();
        let fields = head.fields(text.as_bytes());
        head.write(&fields, false, &mut out);
        let text = String::from_utf8(out).unwrap();
        let start = text.find("Date: ").unwrap();
        let end = start + text[start..].find('\n').unwrap() + 1;
        text[..start].to_owned() + &text[end..]
    }

    #[test]
    fn a_head_passes_but_for_the_connections_own_fields() {
        assert_eq!(
            written(
                "HTTP/1.1 200 Fine\r\nServer: x\r\nX-A: 1\r\nConnection: keep-alive\r\n\
                 Date: x\r\nContent-Length: 2\r\n\r\n"
            ),
            "HTTP/1.1 200 Fine\r\nX-A: 1\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n"
        );
        assert_eq!(
            written("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"
        );
    }

    #[test]
    fn framing_is_strict() {
        let framing = |fields: &str| {
            read(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"))
                .ok()?
                .map(|head| head.framing)
        };
        assert!(matches!(
            framing("Content-Length: 5\r\n"),
            Some(Framing::Length(5))
        ));
        assert!(matches!(framing("Content-Length: 0\r\n"), Some(Framing::None)));
        assert!(matches!(framing(""), Some(Framing::Close)));
        for fields in [
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: x\r\n",
            "Content-Length: \r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
        ] {
            assert!(framing(fields).is_none(), "{fields}");
        }
        let head = "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n";
        assert!(matches!(read(head).unwrap().unwrap().framing, Framing::None));
        assert!(read("HTTP/1.1 200 OK\r\nContent-").unwrap().is_none());
        assert!(read("SMTP\r\n\r\n").is_err());
    }

    #[test]
    fn policies_edit_fields() {
        let text = "HTTP/1.1 200 OK\r\nset-cookie: a\r\nX: 1\r\nSet-Cookie: b\r\n\r\n";
        let mut fields = read(text).unwrap().unwrap().fields(text.as_bytes());
        let cookie = FieldName::from_static("set-cookie", "Set-Cookie");
        let x = FieldName::from_static("x", "X");
        assert_eq!(fields.value(x.name()).unwrap(), "1");
        assert_eq!(fields.values(cookie.name()), ["a", "b"]);
        fields.append(&cookie, HeaderValue::from_static("c"));
        fields.set(&x, HeaderValue::from_static("2"));
        assert_eq!(fields.values(cookie.name()), ["a", "b", "c"]);
        assert_eq!(fields.values(x.name()), ["2"]);
        fields.remove(cookie.name());
        assert!(fields.value(cookie.name()).is_none());
    }
}
