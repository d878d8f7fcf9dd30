use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;
use tidegate_snapshot::{Listener, ListenerProtocol, RealIp};

use super::*;
use crate::listener::{Live, Serving};
use crate::runtime::Table;

fn settings(real_ip: RealIp) -> HttpSettings {
    HttpSettings {
        real_ip,
        ..Default::default()
    }
}

fn client(real_ip: RealIp, peer: &str, lists: &[&'static str]) -> String {
    let http = settings(real_ip);
    let spec = Arc::new(Listener {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        protocol: ListenerProtocol::Http,
        proxy_protocol: None,
        table: "t".into(),
        public_port: 80,
        http: Arc::new(http.clone()),
    });
    let table = Arc::new(Table::default());
    let live = Live::new("l".into(), Serving { spec, table });
    let local = SocketAddr::from(([127, 0, 0, 1], 80));
    let connection = Connection::new(live, SocketAddr::new(peer.parse().unwrap(), 1), local);
    let mut headers = HeaderMap::new();
    for list in lists {
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static(list));
    }
    address(&connection, &headers, &http).to_string()
}

fn trusting(networks: &[&str]) -> RealIp {
    RealIp {
        use_forwarded_headers: true,
        trusted: networks.iter().map(|network| network.parse().unwrap()).collect(),
        ..Default::default()
    }
}

#[test]
fn headers_are_not_believed_by_default() {
    assert_eq!(client(RealIp::default(), "10.0.0.1", &["1.2.3.4"]), "10.0.0.1");
    let switched_off = RealIp {
        trusted: trusting(&["0.0.0.0/0"]).trusted,
        ..Default::default()
    };
    assert_eq!(client(switched_off, "10.0.0.1", &["1.2.3.4"]), "10.0.0.1");
}

#[test]
fn the_rightmost_untrusted_address_is_the_client() {
    let inside = || trusting(&["10.0.0.0/8"]);
    assert_eq!(
        client(inside(), "10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.9.9.9"]),
        "1.2.3.4"
    );
    assert_eq!(client(inside(), "10.0.0.1", &["1.2.3.4", "10.9.9.9"]), "1.2.3.4");
    assert_eq!(client(inside(), "10.0.0.1", &["10.3.3.3, 10.9.9.9"]), "10.3.3.3");
    assert_eq!(client(inside(), "9.0.0.1", &["1.2.3.4"]), "9.0.0.1");
    assert_eq!(client(inside(), "10.0.0.1", &[]), "10.0.0.1");
}

#[test]
fn enable_real_ip_alone_is_enough_for_the_address() {
    let only = RealIp {
        use_forwarded_headers: false,
        enable_real_ip: true,
        ..trusting(&["10.0.0.0/8"])
    };
    assert_eq!(client(only, "10.0.0.1", &["1.2.3.4"]), "1.2.3.4");
}

#[test]
fn entries_may_have_ports_and_brackets_and_nonsense_ends_the_walk() {
    let all = || trusting(&["10.0.0.0/8"]);
    assert_eq!(client(all(), "10.0.0.1", &["1.2.3.4:99"]), "1.2.3.4");
    assert_eq!(client(all(), "10.0.0.1", &["[2001:db8::1]:99"]), "2001:db8::1");
    assert_eq!(client(all(), "10.0.0.1", &["[2001:db8::1]"]), "2001:db8::1");
    assert_eq!(
        client(all(), "10.0.0.1", &["1.2.3.4, unknown, 10.1.1.1"]),
        "10.1.1.1"
    );
    assert_eq!(client(all(), "::ffff:10.0.0.1", &["1.2.3.4"]), "1.2.3.4");
}
