use http::header::HeaderName;

use super::*;
use crate::request::cookie;
use crate::request::fixtures::Request;

fn request(fields: &[(&'static str, &str)]) -> Request {
    let request = Request {
        host: "shop.example".to_owned(),
        client_ip: IpAddr::from([192, 0, 2, 7]),
        ..Request::get("/a%20b?c=d")
    };
    fields
        .iter()
        .fold(request, |request, (name, value)| request.with(name, value))
}

/// A replica of another release must send a client to the same place: these
/// values are for ever.
#[test]
fn hashes_are_fixed() {
    assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
}

#[test]
fn each_key_reads_its_part() {
    let request = request(&[("x-user", "ann"), ("cookie", "a=1; route=ann; b=2")]);
    let ann = fnv1a(b"ann");
    assert_eq!(key(&HashKey::ClientAddress, &request), fnv1a(&[192, 0, 2, 7]));
    assert_eq!(key(&HashKey::RequestUri, &request), fnv1a(b"/a%20b?c=d"));
    assert_eq!(key(&HashKey::Host, &request), fnv1a(b"shop.example"));
    assert_eq!(
        key(&HashKey::Header(HeaderName::from_static("x-user")), &request),
        ann
    );
    assert_eq!(key(&HashKey::Cookie("route".into()), &request), ann);
}

#[test]
fn what_is_absent_shares_one_place() {
    let with = request(&[("cookie", "other=1")]);
    let without = request(&[]);
    let empty = fnv1a(b"");
    for request in [with, without] {
        assert_eq!(key(&HashKey::Cookie("route".into()), &request), empty);
        assert_eq!(
            key(&HashKey::Header(HeaderName::from_static("x-user")), &request),
            empty
        );
    }
}

#[test]
fn cookies_are_read_in_place() {
    let value =
        |header: &'static str| cookie(header.as_bytes(), b"id").map(|v| std::str::from_utf8(v).unwrap());
    assert_eq!(value("id=1"), Some("1"));
    assert_eq!(value("a=b;id=1"), Some("1"));
    assert_eq!(value("a=b;  id = 1 ; c=d"), Some("1"));
    assert_eq!(value("id=a=b"), Some("a=b"));
    assert_eq!(value("id=first; id=second"), Some("first"));
    assert_eq!(value("id="), Some(""));
    assert_eq!(value("ID=1"), None);
    assert_eq!(value("idx=1; xid=2; id"), None);
    assert_eq!(value(""), None);
}
