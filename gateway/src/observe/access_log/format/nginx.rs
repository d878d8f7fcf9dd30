//! ingress-nginx's `log-format-upstream` default:
//! `$remote_addr - $remote_user [$time_local] "$request" $status
//! $body_bytes_sent "$http_referer" "$http_user_agent" $request_length
//! $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name]
//! $upstream_addr $upstream_response_length $upstream_response_time
//! $upstream_status $req_id`. Absent values are `-`; with several attempts the
//! upstream values are lists (nginx, "$upstream_addr").

use http::HeaderValue;

use super::super::{Attempt, Record};
use super::{number, time, version};

pub(super) fn write(record: &Record, line: &mut Vec<u8>) {
    number::ip(line, record.client);
    line.extend_from_slice(b" - ");
    escape(line, record.user.as_deref());
    line.extend_from_slice(b" [");
    time::local(line, record.time);
    line.extend_from_slice(b"] \"");
    line.extend_from_slice(record.method.as_str().as_bytes());
    line.push(b' ');
    escape(line, Some(&record.uri));
    line.push(b' ');
    line.extend_from_slice(version(record).as_bytes());
    line.extend_from_slice(b"\" ");
    number::integer(line, record.status);
    line.push(b' ');
    number::integer(line, record.body_bytes_sent);
    line.extend_from_slice(b" \"");
    header(line, record.referer.as_ref());
    line.extend_from_slice(b"\" \"");
    header(line, record.user_agent.as_ref());
    line.extend_from_slice(b"\" ");
    number::integer(line, record.request_length);
    line.push(b' ');
    number::seconds(line, record.request_time);
    line.extend_from_slice(b" [");
    let name = record.upstream_name.as_ref();
    escape(line, name.map(|key| key.0.as_bytes()));
    line.extend_from_slice(b"] [");
    // This variable is always set, to the empty text without a canary.
    let alternative = record.alternative_upstream_name.as_ref();
    escape(line, Some(alternative.map_or(b"", |key| key.0.as_bytes())));
    line.extend_from_slice(b"] ");
    let attempts = &record.attempts;
    list(line, attempts, |line, attempt| {
        number::socket(line, attempt.address)
    });
    line.push(b' ');
    list(line, attempts, |line, attempt| {
        number::integer(line, attempt.response_length);
    });
    line.push(b' ');
    list(line, attempts, |line, attempt| {
        number::seconds(line, attempt.response_time);
    });
    line.push(b' ');
    list(line, attempts, |line, attempt| {
        number::integer(line, attempt.status)
    });
    line.push(b' ');
    header(line, record.request_id.as_ref());
}

fn header(line: &mut Vec<u8>, value: Option<&HeaderValue>) {
    escape(line, value.map(HeaderValue::as_bytes));
}

pub(super) fn list(line: &mut Vec<u8>, attempts: &[Attempt], one: impl Fn(&mut Vec<u8>, &Attempt)) {
    if attempts.is_empty() {
        line.push(b'-');
    }
    for (index, attempt) in attempts.iter().enumerate() {
        if index > 0 {
            line.extend_from_slice(b", ");
        }
        one(line, attempt);
    }
}

/// nginx's default escaping (`log_format`, "escape=default"): `"`, `\` and
/// everything outside printable ASCII as `\xXX`; absent values as `-`.
pub(super) fn escape(line: &mut Vec<u8>, value: Option<&[u8]>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let Some(value) = value else {
        line.push(b'-');
        return;
    };
    let mut rest = value;
    while let Some(at) = rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | ..=0x1f | 0x7f..))
    {
        let byte = rest[at];
        let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
        line.extend_from_slice(&rest[..at]);
        line.extend_from_slice(b"\\x");
        line.extend_from_slice(&digits);
        rest = &rest[at + 1..];
    }
    line.extend_from_slice(rest);
}
