//! W3C Trace Context: the field `traceparent`, without allocation.

use http::HeaderValue;

/// Version, trace, span and flags with three hyphens.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;

/// The span that a client names as the parent of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace: u128,
    pub(super) span: u64,
    pub(super) sampled: bool,
}

impl Parent {
    /// Reads `traceparent` (§3.2.2); of a later version what this one knows of
    /// it (§4.3).
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let (known, rest) = value.split_at_checked(LENGTH)?;
        let text = std::str::from_utf8(known).ok()?;
        let mut parts = text.split('-');
        let mut part = |length| parts.next().filter(|part| is_hexadecimal(part, length));
        let version = part(2)?;
        let trace = u128::from_str_radix(part(32)?, 16).ok()?;
        let span = u64::from_str_radix(part(16)?, 16).ok()?;
        let flags = u8::from_str_radix(part(2)?, 16).ok()?;
        let whole = match version {
            "ff" => false,
            "00" => rest.is_empty(),
            _ => rest.is_empty() || rest.starts_with(b"-"),
        };
        (whole && trace != 0 && span != 0).then_some(Self {
            trace,
            span,
            sampled: flags & SAMPLED != 0,
        })
    }
}

/// In lower case, as it must be.
fn is_hexadecimal(part: &str, length: usize) -> bool {
    part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The field's value for a span.
pub(super) fn traceparent(trace: u128, span: u64, sampled: bool) -> HeaderValue {
    use std::io::Write;
    let mut text = [0; LENGTH];
    let mut rest = &mut text[..];
    // It is just as long.
    let _ = write!(rest, "00-{trace:032x}-{span:016x}-{:02x}", u8::from(sampled));
    HeaderValue::from_bytes(&text).expect("hexadecimal digits and hyphens make a header value")
}

/// A trace of its own; never 0, which would be no ID.
pub(super) fn random_trace() -> u128 {
    rand::random::<u128>().max(1)
}

pub(super) fn random_span() -> u64 {
    rand::random::<u64>().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's own example.
    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_read_is_what_is_written() {
        let parent = Parent::parse(EXAMPLE.as_bytes()).unwrap();
        assert!(parent.sampled);
        assert_eq!(traceparent(parent.trace, parent.span, true), EXAMPLE);
        assert_eq!(
            traceparent(1, 2, false),
            "00-00000000000000000000000000000001-0000000000000002-00"
        );
    }

    #[test]
    fn later_versions_may_be_longer() {
        let later = EXAMPLE.replacen("00", "cc", 1);
        assert!(Parent::parse(later.as_bytes()).is_some());
        assert!(Parent::parse((later.clone() + "-what-the-future-holds").as_bytes()).is_some());
        assert!(Parent::parse((later + ".").as_bytes()).is_none());
    }

    #[test]
    fn anything_else_is_no_parent() {
        for value in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319cb7-ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00.0af7651916cd43dd8448eb211c80319c.b7ad6b7169203331.01",
        ] {
            assert_eq!(Parent::parse(value.as_bytes()), None, "{value}");
        }
        let flags = EXAMPLE.replace("-01", "-02");
        assert!(!Parent::parse(flags.as_bytes()).unwrap().sampled);
    }
}
