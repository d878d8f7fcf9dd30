//! Cookies of a request.

use http::header::COOKIE;

use crate::request::{self, RequestView};

/// The value of the request's first cookie called `name` (case-sensitive),
/// quotes included. HTTP/2 clients may send several `Cookie` fields (RFC 9113
/// §8.2.3): all of them are looked at.
pub fn value<'a>(view: &'a (impl RequestView + ?Sized), name: &[u8]) -> Option<&'a [u8]> {
    let mut found = None;
    view.each_header(&COOKIE, &mut |field| {
        if found.is_none() {
            found = request::cookie(field, name);
        }
    });
    found
}
