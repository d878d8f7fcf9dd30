//! Compression of answers by Pingora's module: here is decided whether, and
//! with what (nginx `ngx_http_gzip_filter`).

use std::str::from_utf8;

use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT,
};
use http::{HeaderValue, Version};
use pingora_core::modules::http::compression::ResponseCompression;
use pingora_core::protocols::http::compression::Algorithm;
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use tidegate_snapshot::{Compression, Encoding, Pattern};

/// Lets the body of an answer be compressed if the settings and both sides
/// allow it. To be called with the final head, before it is written. The module
/// sets `Content-Encoding` and `Vary`, weakens `ETag` and drops
/// `Content-Length`.
pub(super) fn prepare(settings: &Compression, session: &mut Session, response: &mut ResponseHeader) {
    if settings.is_off() || !is_candidate(response) {
        return;
    }
    let Some(chosen) = choose(settings, session.req_header(), response) else {
        return;
    };
    let (algorithm, encoding) = chosen;
    // The module would take the client's first; it is shown the chosen one only.
    let Ok(mut request) = RequestHeader::build("GET", b"/", Some(1)) else {
        return;
    };
    let name = HeaderValue::from_static(algorithm.as_str());
    if request.insert_header(ACCEPT_ENCODING, name).is_err() {
        return;
    }
    if let Some(module) = session.downstream_modules_ctx.get_mut::<ResponseCompression>()
        && module.is_header_phase()
    {
        module.adjust_algorithm_level(algorithm, encoding.level);
        module.request_filter(&request);
    }
}

/// nginx compresses these statuses, and nothing that is encoded already.
fn is_candidate(response: &ResponseHeader) -> bool {
    let transforms = |value: &HeaderValue| {
        from_utf8(value.as_bytes()).is_ok_and(|value| value.to_ascii_lowercase().contains("no-transform"))
    };
    matches!(response.status.as_u16(), 200 | 403 | 404)
        && !response.headers.contains_key(CONTENT_ENCODING)
        && !response.headers.get_all(CACHE_CONTROL).iter().any(transforms)
}

/// The encoding for an answer, if there is one.
fn choose<'a>(
    settings: &'a Compression,
    request: &RequestHeader,
    response: &ResponseHeader,
) -> Option<(Algorithm, &'a Encoding)> {
    if request.version < Version::HTTP_11 {
        return None;
    }
    let content_type = from_utf8(response.headers.get(CONTENT_TYPE)?.as_bytes()).ok()?;
    let length = response.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| from_utf8(length.as_bytes()).ok()?.parse().ok());
    let fits = |encoding: &Encoding| {
        length.is_none_or(|length: u64| length >= encoding.min_length) && encoding.covers(content_type)
    };
    let ways = [
        (Algorithm::Zstd, &settings.zstd),
        (Algorithm::Brotli, &settings.brotli),
        (Algorithm::Gzip, &settings.gzip),
    ];
    ways.into_iter().find_map(|(algorithm, encoding)| {
        let encoding = encoding.as_ref().filter(|encoding| fits(encoding))?;
        if algorithm == Algorithm::Gzip && is_spared(settings, request) {
            return None;
        }
        accepts(request, algorithm.as_str()).then_some((algorithm, encoding))
    })
}

/// Whether the client is one that gets no gzip.
fn is_spared(settings: &Compression, request: &RequestHeader) -> bool {
    let agent = || from_utf8(request.headers.get(USER_AGENT)?.as_bytes()).ok();
    let spared = |pattern: &Pattern| agent().is_some_and(|agent| pattern.is_match(agent));
    settings.not_gzip.as_ref().is_some_and(spared)
}

/// Whether the client takes an encoding by its name (RFC 9110 §12.5.3); `*` is
/// not looked at, as in nginx.
fn accepts(request: &RequestHeader, name: &str) -> bool {
    let fields = request.headers.get_all(ACCEPT_ENCODING).iter();
    let mut items = fields
        .filter_map(|field| from_utf8(field.as_bytes()).ok())
        .flat_map(|field| field.split(','));
    items.any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|coding| coding.eq_ignore_ascii_case(name));
        named && parts.find_map(quality).is_none_or(|quality| quality > 0.0)
    })
}

fn quality(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    name.trim()
        .eq_ignore_ascii_case("q")
        .then(|| value.trim().parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(accept: &str) -> RequestHeader {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        request.insert_header(ACCEPT_ENCODING, accept).unwrap();
        request
    }

    fn response(content_type: &str, length: &str) -> ResponseHeader {
        let mut response = ResponseHeader::build(200, None).unwrap();
        response.insert_header(CONTENT_TYPE, content_type).unwrap();
        response.insert_header(CONTENT_LENGTH, length).unwrap();
        response
    }

    fn chosen(
        settings: &Compression,
        accept: &str,
        content_type: &str,
        length: &str,
    ) -> Option<&'static str> {
        let found = choose(settings, &request(accept), &response(content_type, length));
        found.map(|(algorithm, _)| algorithm.as_str())
    }

    #[test]
    fn the_best_that_the_client_takes() {
        let all = Compression {
            zstd: Some(Encoding::zstd()),
            brotli: Some(Encoding::brotli()),
            gzip: Some(Encoding::gzip()),
            not_gzip: None,
        };
        let html = |accept| chosen(&all, accept, "text/html; charset=utf-8", "1000");
        assert_eq!(html("gzip, br"), Some("br"));
        assert_eq!(html("gzip, br;q=0, zstd ; q=0.5"), Some("zstd"));
        assert_eq!(html("GZIP;q=1"), Some("gzip"));
        assert_eq!(html("gzip;q=0, *"), None);
        assert_eq!(html("identity"), None);
    }

    #[test]
    fn length_and_type_decide() {
        let gzip = Compression {
            gzip: Some(Encoding::gzip()),
            ..Compression::default()
        };
        assert_eq!(chosen(&gzip, "gzip", "text/html", "255"), None);
        assert_eq!(chosen(&gzip, "gzip", "Application/JSON", "256"), Some("gzip"));
        assert_eq!(chosen(&gzip, "gzip", "image/png", "1000"), None);
    }

    #[test]
    fn what_is_encoded_or_not_to_be_touched_stays() {
        let mut head = response("text/html", "1000");
        assert!(is_candidate(&head));
        head.insert_header(CACHE_CONTROL, "private, No-Transform")
            .unwrap();
        assert!(!is_candidate(&head));
        let mut head = response("text/html", "1000");
        head.insert_header(CONTENT_ENCODING, "br").unwrap();
        assert!(!is_candidate(&head));
        head = response("text/html", "1000");
        head.set_status(206).unwrap();
        assert!(!is_candidate(&head));
    }
}
