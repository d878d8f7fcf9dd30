//! Which request heads are plain enough for the direct path. The rule is to
//! doubt: whatever is unusual, malformed or merely rare is [`Parsed::Odd`] and
//! goes to Pingora, whose answer counts. Nothing is refused here.

use std::mem::MaybeUninit;

use http::Method;
use pingora_http::RequestHeader;
use tidegate_snapshot::HttpSettings;

use crate::proxy::head::{FIELD_OVERHEAD, REQUEST_LINE_OVERHEAD, content_length};
use crate::proxy::inbound;

/// More fields than this are odd.
const MOST_FIELDS: usize = 64;
/// Most requests have fewer: what is larger moves slower.
const USUAL_FIELDS: usize = 24;

/// What the bytes read so far are.
#[allow(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
pub(super) enum Parsed<'a> {
    /// The start of a head.
    Partial,
    /// Not for this path.
    Odd,
    /// A head for this path.
    Plain(Head<'a>),
}

/// A plain head: an HTTP/1.1 request in origin form with one `Host`, no body or
/// one of known length, and no wish about the connection but to close it.
pub(super) struct Head<'a> {
    /// Its bytes, the empty line included.
    pub(super) length: usize,
    pub(super) method: Method,
    /// Path and query as the client wrote them.
    pub(super) target: &'a str,
    /// The `Host` field's value.
    pub(super) host: &'a [u8],
    /// The body's length; `None` without a `Content-Length`.
    pub(super) content_length: Option<u64>,
    /// The client wants the connection closed.
    pub(super) close: bool,
    /// The client wants to go on with another protocol (RFC 9110 §7.8), which the
    /// upstream may agree to by 101.
    pub(super) upgrade: bool,
    /// Every field, in order.
    pub(super) fields: Fields<'a>,
}

/// The fields of a head.
pub(super) struct Fields<'a> {
    // Not `SmallVec`, which would hold on to what it was read from until it is dropped.
    first: [httparse::Header<'a>; USUAL_FIELDS],
    count: usize,
    rest: Vec<httparse::Header<'a>>,
}

impl<'a> Fields<'a> {
    fn of(fields: &[httparse::Header<'a>]) -> Self {
        let count = fields.len().min(USUAL_FIELDS);
        let mut first = [httparse::EMPTY_HEADER; USUAL_FIELDS];
        first[..count].copy_from_slice(&fields[..count]);
        Self {
            first,
            count,
            rest: fields[count..].to_vec(),
        }
    }

    /// `None`: there are too many.
    fn push(&mut self, field: httparse::Header<'a>) -> Option<()> {
        if let Some(place) = self.first.get_mut(self.count) {
            *place = field;
            self.count += 1;
            return Some(());
        }
        (self.count + self.rest.len() < MOST_FIELDS).then(|| self.rest.push(field))
    }

    /// Name and value, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let fields = self.first[..self.count].iter().chain(&self.rest);
        fields.map(|field| (field.name, field.value))
    }
}

impl Head<'_> {
    /// Bytes of the whole request.
    pub(super) fn total(&self) -> u64 {
        self.length as u64 + self.content_length.unwrap_or_default()
    }
}

/// Looks at what was read.
pub(super) fn parse<'a>(read: &'a [u8], http: &HttpSettings) -> Parsed<'a> {
    // Empty lines in front of the request line are allowed, and odd.
    if read.first().is_some_and(|byte| !byte.is_ascii_uppercase()) {
        return Parsed::Odd;
    }
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(read, &mut fields) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if read.len() < http.max_header_total => return Parsed::Partial,
        Ok(httparse::Status::Partial) | Err(_) => return Parsed::Odd,
    };
    let (Some(1), Some(method), Some(target)) = (request.version, request.method, request.path) else {
        return Parsed::Odd;
    };
    match plain(&read[..length], method, target, request.headers, http) {
        Some(head) => Parsed::Plain(head),
        None => Parsed::Odd,
    }
}

/// A head of HTTP/2 as one of HTTP/1, if it is as plain. Its length is what it
/// would be there.
pub(super) fn of_http2<'a>(request: &'a RequestHeader, http: &HttpSettings) -> Option<Head<'a>> {
    let target = request.uri.path_and_query()?.as_str();
    let authority = inbound::raw_host(request)?;
    let method = plain_method(request.method.as_str())?;
    if !is_plain_target(target) {
        return None;
    }
    let line = method.as_str().len() + target.len() + REQUEST_LINE_OVERHEAD;
    let mut head = Head {
        length: line + 2,
        method,
        target,
        host: &[],
        content_length: None,
        close: false,
        upgrade: false,
        fields: Fields::of(&[]),
    };
    let mut seen = Seen::default();
    let fields = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        // `Host` is `:authority`; `TE` is about this connection.
        .filter(|(name, _)| !matches!(*name, "host" | "te"));
    for (name, value) in std::iter::once(("Host", authority)).chain(fields) {
        seen.take(&mut head, name, value, http)?;
        head.fields.push(httparse::Header { name, value })?;
        head.length += name.len() + value.len() + FIELD_OVERHEAD;
    }
    (line <= http.max_header_line && head.length <= http.max_header_total).then_some(head)
}

fn is_plain_target(target: &str) -> bool {
    let bytes = target.as_bytes();
    let fine = |byte: &u8| byte.is_ascii_graphic() && *byte != b'#';
    bytes.first() == Some(&b'/') && bytes.get(1) != Some(&b'/') && bytes.iter().all(fine)
}

fn plain<'a>(
    raw: &'a [u8],
    method: &str,
    target: &'a str,
    fields: &[httparse::Header<'a>],
    http: &HttpSettings,
) -> Option<Head<'a>> {
    // A line ends in CR LF here; servers disagree about a bare LF.
    let mut before = 0;
    for &byte in raw {
        if byte == b'\n' && before != b'\r' {
            return None;
        }
        before = byte;
    }
    let line = raw.iter().position(|&byte| byte == b'\n')?;
    if line + 1 > http.max_header_line || raw.len() > http.max_header_total {
        return None;
    }
    if !is_plain_target(target) {
        return None;
    }
    let mut head = Head {
        length: raw.len(),
        method: plain_method(method)?,
        target,
        host: &[],
        content_length: None,
        close: false,
        upgrade: false,
        fields: Fields::of(fields),
    };
    let mut seen = Seen::default();
    for &httparse::Header { name, value } in fields {
        seen.take(&mut head, name, value, http)?;
    }
    // What a tunnel begins with, or a body before it: not worth a thought here.
    let upgrades = !head.upgrade || head.method == Method::GET && head.content_length.is_none();
    (seen.host && upgrades).then_some(head)
}

fn plain_method(method: &str) -> Option<Method> {
    Some(match method {
        "GET" => Method::GET,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "HEAD" => Method::HEAD,
        "DELETE" => Method::DELETE,
        "PATCH" => Method::PATCH,
        "OPTIONS" => Method::OPTIONS,
        _ => return None,
    })
}

/// Fields of which a second one would be odd.
#[derive(Default)]
struct Seen {
    host: bool,
    connection: bool,
    forwarded_for: bool,
    forwarded_host: bool,
    request_id: bool,
}

impl Seen {
    /// `None`: the field is odd.
    fn take<'a>(
        &mut self,
        head: &mut Head<'a>,
        name: &str,
        value: &'a [u8],
        http: &HttpSettings,
    ) -> Option<()> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !name.bytes().all(letter) || name.len() + value.len() + 4 > http.max_header_line {
            return None;
        }
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let once = |seen: &mut bool| (!std::mem::replace(seen, true)).then_some(());
        match name.len() {
            2 if is("te") => None,
            4 if is("host") => {
                head.host = value;
                once(&mut self.host)
            }
            6 if is("expect") => None,
            7 if is("trailer") => None,
            7 if is("upgrade") => {
                is_plain_upgrade(value).then_some(())?;
                (!std::mem::replace(&mut head.upgrade, true)).then_some(())
            }
            10 if is("connection") => {
                head.close = value.eq_ignore_ascii_case(b"close");
                (head.close || keeps_alive(value)).then_some(())?;
                once(&mut self.connection)
            }
            12 if is("x-request-id") => once(&mut self.request_id),
            14 if is("content-length") => {
                if head.content_length.is_some() || value.is_empty() {
                    return None;
                }
                head.content_length = Some(content_length(value)?);
                Some(())
            }
            15 if is("x-forwarded-for") => once(&mut self.forwarded_for),
            16 if is("x-forwarded-host") => once(&mut self.forwarded_host),
            17 if is("transfer-encoding") => None,
            _ => Some(()),
        }
    }
}

/// Whether `Connection` says no more than that the connection goes on, maybe with
/// another protocol.
fn keeps_alive(value: &[u8]) -> bool {
    value.split(|&byte| byte == b',').all(|token| {
        let token = token.trim_ascii();
        token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"upgrade")
    })
}

/// Whether one protocol is asked for, and not HTTP/2, which never passes
/// (`forwarded::upgrades`).
fn is_plain_upgrade(value: &[u8]) -> bool {
    !value.is_empty() && !value.contains(&b',') && !value.eq_ignore_ascii_case(b"h2c")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_plain(text: &str) -> bool {
        matches!(parse(text.as_bytes(), &HttpSettings::default()), Parsed::Plain(_))
    }

    #[test]
    fn the_usual_is_plain() {
        let head = "POST /a?b=%20 HTTP/1.1\r\nHost: foo.bar:80\r\nContent-Length: 3\r\n\
             Connection: keep-alive\r\nX-Forwarded-For: 1.2.3.4\r\n\r\nabc";
        let http = HttpSettings::default();
        let Parsed::Plain(head) = parse(head.as_bytes(), &http) else {
            panic!("not plain");
        };
        assert_eq!(head.method, Method::POST);
        assert_eq!(head.target, "/a?b=%20");
        assert_eq!(head.host, b"foo.bar:80");
        assert_eq!(head.total(), head.length as u64 + 3);
        assert!(!head.close);
        assert_eq!(head.fields.iter().count(), 4);
    }

    #[test]
    fn an_upgrade_is_plain() {
        for (fields, upgrade) in [
            ("Connection: keep-alive, Upgrade\r\nUpgrade: websocket", true),
            ("Upgrade: SPDY/3.1\r\nConnection: upgrade", true),
            ("Connection: upgrade", false),
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
            let Parsed::Plain(head) = parse(head.as_bytes(), &HttpSettings::default()) else {
                panic!("not plain: {fields}");
            };
            assert_eq!(head.upgrade, upgrade, "{fields}");
        }
        let post = "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
        assert!(!is_plain(post));
    }

    #[test]
    fn a_start_of_a_head_is_partial() {
        for text in ["", "G", "GET / HTTP/1.1\r\nHost: a\r\n"] {
            assert!(matches!(
                parse(text.as_bytes(), &HttpSettings::default()),
                Parsed::Partial
            ));
        }
        let endless = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(40_000));
        assert!(matches!(
            parse(endless.as_bytes(), &HttpSettings::default()),
            Parsed::Odd
        ));
    }

    #[test]
    fn everything_doubtful_is_odd() {
        let with = |field: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
        for field in [
            "Host: b",
            "Transfer-Encoding: chunked",
            "Content-Length: +1",
            "Content-Length: ",
            "Content-Length: 1\r\nContent-Length: 1",
            "Connection: close, x",
            "Connection: close, upgrade",
            "Upgrade: h2c",
            "Upgrade: websocket, h2c",
            "Upgrade: ",
            "Upgrade: websocket\r\nUpgrade: websocket",
            "Upgrade: websocket\r\nContent-Length: 0",
            "Expect: 100-continue",
            "TE: trailers",
            "Trailer: x",
            "X_Y: 1",
            "X-Forwarded-For: a\r\nX-Forwarded-For: b",
            "X-Request-ID: a\r\nX-Request-ID: b",
            "A: b\nB: c",
        ] {
            assert!(!is_plain(&with(field)), "{field}");
        }
        assert!(is_plain(&with("A: b")));
        for text in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET //a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
            "get / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            assert!(!is_plain(text), "{text}");
        }
    }
}
