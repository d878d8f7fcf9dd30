use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;
use pingora_http::RequestHeader;
use tidegate_snapshot::{HttpSettings, Listener, ListenerProtocol, RealIp};

use super::super::{edit, set};
use super::*;
use crate::listener::{Connection, Live, Serving};
use crate::runtime::Table;

fn inbound(real_ip: RealIp, client: &RequestHeader) -> Inbound {
    let http = HttpSettings {
        real_ip,
        ..HttpSettings::default()
    };
    let spec = Arc::new(Listener {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        protocol: ListenerProtocol::Http,
        proxy_protocol: None,
        table: "t".into(),
        public_port: 8080,
        http: Arc::new(http),
    });
    let serving = Serving {
        spec: spec.clone(),
        table: Arc::new(Table::default()),
    };
    let peer = SocketAddr::from(([10, 0, 0, 7], 1));
    let local = SocketAddr::from(([127, 0, 0, 1], 80));
    let connection = Connection::new(Live::new("l".into(), serving), peer, local);
    Inbound::new(Arc::new(connection), spec, client).unwrap()
}

fn client(fields: &[(&'static str, &str)]) -> RequestHeader {
    let mut head = RequestHeader::build("POST", b"/a?b=c", None).unwrap();
    head.set_version(Version::HTTP_11);
    for (name, value) in fields {
        head.append_header(*name, *value).unwrap();
    }
    head
}

/// The lines of a head, sorted: their order has no meaning between fields of
/// different names.
fn lines(head: &RequestHeader) -> Vec<String> {
    let mut wire = Vec::new();
    head.header_to_h1_wire(&mut wire);
    let text = String::from_utf8(wire).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines.insert(0, format!("{} {} {:?}", head.method, head.uri, head.version));
    lines
}

/// The head that both ways make of it, and whether the quick one was taken.
fn both(client: &RequestHeader, real_ip: RealIp) -> (Vec<String>, bool) {
    let inbound = inbound(real_ip, client);
    let mut context = RequestContext::new();
    context.request_id = Some(HeaderValue::from_static("the-id"));
    let mut edited = client.clone();
    edit(&mut edited, client, &inbound, &context).unwrap();
    let quick = head(client, client, &inbound, &context).unwrap();
    let mut either = client.clone();
    set(&mut either, client, &inbound, &context).unwrap();
    assert_eq!(lines(&either), lines(&edited));
    if let Some(quick) = &quick {
        assert_eq!(lines(quick), lines(&edited));
    }
    (lines(&edited), quick.is_some())
}

#[test]
fn it_makes_what_editing_makes() {
    let (lines, quick) = both(
        &client(&[
            ("hOST", "Foo.bar:80"),
            ("User-Agent", "x"),
            ("Cookie", "a=1"),
            ("cookie", "b=2"),
            ("Connection", "x-real-ip, close"),
            ("Keep-Alive", "1"),
            ("TE", "trailers"),
            ("Proxy", "evil"),
            ("X-Real-IP", "6.6.6.6"),
            ("X-Request-Id", "their own"),
            ("X-Forwarded-Proto", "https"),
            ("X-Original-Forwarded-For", "6.6.6.6"),
            ("Content-Length", "0"),
        ]),
        RealIp::default(),
    );
    assert!(quick);
    let expected = [
        "POST /a?b=c HTTP/1.1",
        "Content-Length: 0",
        "Cookie: a=1",
        "User-Agent: x",
        "X-Forwarded-For: 10.0.0.7",
        "X-Forwarded-Host: Foo.bar:80",
        "X-Forwarded-Port: 8080",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Scheme: http",
        "X-Real-IP: 10.0.0.7",
        "X-Request-ID: the-id",
        "X-Scheme: http",
        "cookie: b=2",
        "hOST: Foo.bar:80",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn difficult_requests_are_left_to_editing() {
    let host = ("Host", "foo.bar");
    for field in [
        ("Upgrade", "websocket"),
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-Host", "evil"),
    ] {
        assert!(!both(&client(&[host, field]), RealIp::default()).1, "{field:?}");
    }
    let trusting = RealIp {
        use_forwarded_headers: true,
        trusted: vec!["10.0.0.0/8".parse().unwrap()],
        ..RealIp::default()
    };
    assert!(!both(&client(&[host]), trusting).1);
    assert!(both(&client(&[host]), RealIp::default()).1);
}
