//! The short pages of the gateway's own answers, in the shape of nginx's, with
//! its titles and without a version.

use bytes::Bytes;
use http::StatusCode;

macro_rules! page {
    ($title:literal) => {
        (
            &$title[4..],
            Bytes::from_static(
                concat!(
                    "<html>\r\n<head><title>",
                    $title,
                    "</title></head>\r\n<body>\r\n<center><h1>",
                    $title,
                    "</h1></center>\r\n<hr><center>tidegate</center>\r\n</body>\r\n</html>\r\n"
                )
                .as_bytes(),
            ),
        )
    };
}

/// Title (also the reason phrase) and page of a status; an empty page for
/// statuses without a body.
pub(super) fn of(status: StatusCode) -> (&'static str, Bytes) {
    match status.as_u16() {
        301 => page!("301 Moved Permanently"),
        302 => page!("302 Found"),
        303 => page!("303 See Other"),
        307 => page!("307 Temporary Redirect"),
        308 => page!("308 Permanent Redirect"),
        400 => page!("400 Bad Request"),
        401 => page!("401 Authorization Required"),
        403 => page!("403 Forbidden"),
        404 => page!("404 Not Found"),
        405 => page!("405 Not Allowed"),
        408 => page!("408 Request Time-out"),
        409 => page!("409 Conflict"),
        413 => page!("413 Request Entity Too Large"),
        414 => page!("414 Request-URI Too Large"),
        421 => page!("421 Misdirected Request"),
        429 => page!("429 Too Many Requests"),
        500 => page!("500 Internal Server Error"),
        501 => page!("501 Not Implemented"),
        502 => page!("502 Bad Gateway"),
        503 => page!("503 Service Temporarily Unavailable"),
        504 => page!("504 Gateway Time-out"),
        _ => (status.canonical_reason().unwrap_or("Unknown"), Bytes::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_nginxs() {
        let (title, page) = of(StatusCode::NOT_FOUND);
        assert_eq!(title, "Not Found");
        let expected = "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n\
             <center><h1>404 Not Found</h1></center>\r\n<hr><center>tidegate</center>\r\n\
             </body>\r\n</html>\r\n";
        assert_eq!(page, expected);
    }
}
