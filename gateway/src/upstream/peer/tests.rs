use std::sync::Arc;

use pingora_core::connectors::TransportConnector;
use pingora_core::protocols::ALPN;
use pingora_core::upstreams::peer::Peer;
use rustls_pki_types::PrivateKeyDer;
use tokio::net::TcpListener;

use super::*;

const TIMEOUTS: Timeouts = Timeouts::new(
    Duration::from_secs(5),
    Duration::from_secs(60),
    Duration::from_secs(70),
);

fn build(protocol: UpstreamProtocol) -> Box<HttpPeer> {
    connect(protocol).peer(([10, 0, 0, 1], 8080).into(), false, &TIMEOUTS)
}

fn connect(protocol: UpstreamProtocol) -> Connect {
    Connect::new(&spec(protocol))
}

fn spec(protocol: UpstreamProtocol) -> snapshot::Cluster {
    let mut spec = crate::upstream::fixtures::spec(tidegate_snapshot::LoadBalancing::Ewma);
    spec.protocol = protocol;
    spec
}

#[test]
fn timeouts_and_upgrades_follow_nginx() {
    let options = build(UpstreamProtocol::Http).options;
    assert_eq!(options.connection_timeout, Some(TIMEOUTS.connect));
    assert_eq!(options.total_connection_timeout, Some(TIMEOUTS.connect));
    assert_eq!(options.read_timeout, Some(TIMEOUTS.read));
    assert_eq!(options.write_timeout, Some(TIMEOUTS.send));
    assert_eq!(options.idle_timeout, Some(Duration::from_secs(60)));
    assert_eq!(
        options.http_upstream_request_policy.h1_upgrade,
        H1UpgradePolicy::Preserve
    );
    assert!(options.http_upstream_request_policy.strip_hop_by_hop);
}

#[test]
fn protocols_differ_in_tls_and_alpn() {
    use UpstreamProtocol::*;
    let facts = [Http, Https, H2c, H2].map(|protocol| {
        let peer = build(protocol);
        (
            peer.is_tls(),
            matches!(peer.options.alpn, ALPN::H2),
            peer.sni.clone(),
        )
    });
    let auto = connect(Auto);
    let address = ([10, 0, 0, 1], 8080).into();
    assert!(auto.peer(address, true, &TIMEOUTS).is_tls());
    assert!(!auto.peer(address, false, &TIMEOUTS).is_tls());
    assert_eq!(
        facts,
        [
            (false, false, String::new()),
            (true, false, "10.0.0.1".to_owned()),
            (false, true, String::new()),
            (true, true, "10.0.0.1".to_owned()),
        ]
    );
}

#[test]
fn connections_are_shared_only_between_equal_settings() {
    use UpstreamProtocol::*;
    let groups: std::collections::HashSet<u64> = [Http, Https, H2c, H2]
        .map(|protocol| pool_group(&spec(protocol)))
        .into_iter()
        .collect();
    assert_eq!(groups.len(), 4);
    let mut other = spec(Https);
    other.origin = tidegate_snapshot::ObjectRef::new("Service", "other", "name");
    assert_eq!(pool_group(&other), pool_group(&spec(Https)));

    let hash = |tls: Option<UpstreamTls>| {
        let spec = snapshot::Cluster {
            tls: tls.map(Arc::new),
            ..spec(Https)
        };
        Connect::new(&spec)
            .peer(([10, 0, 0, 1], 8080).into(), false, &TIMEOUTS)
            .reuse_hash()
    };
    let named = |verify| UpstreamTls {
        server_name: Some("a.example".into()),
        verify,
        alt_names: Vec::new(),
        client_certificate: None,
        limits: None,
    };
    let roots = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        Some(TrustAnchors::Certificates([made.cert.der().clone()].into()))
    };
    let limited = |limits| {
        let limits = Some(limits);
        Some(UpstreamTls {
            limits,
            ..named(None)
        })
    };
    let all = [
        limited(snapshot::HandshakeLimits::default()),
        limited(snapshot::HandshakeLimits {
            tls12: false,
            ..snapshot::HandshakeLimits::default()
        }),
        None,
        Some(named(None)),
        Some(named(Some(TrustAnchors::System))),
        Some(named(roots("b"))),
        Some(named(roots("c"))),
    ];
    let hashes: std::collections::HashSet<u64> = all.clone().into_iter().map(hash).collect();
    assert_eq!(hashes.len(), 7);
    assert_eq!(hash(all[5].clone()), hash(all[5].clone()));
}

/// An endpoint with a self-signed certificate is reached, without a server name.
#[tokio::test]
async fn tls_connects_without_a_name_and_without_verification() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let signed = rcgen::generate_simple_self_signed(vec!["unrelated.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = acceptor.accept(stream).await.unwrap();
        stream.get_ref().1.server_name().map(str::to_owned)
    });
    let peer = connect(UpstreamProtocol::Https).peer(address, false, &TIMEOUTS);
    TransportConnector::new(None).new_stream(&*peer).await.unwrap();
    assert_eq!(server.await.unwrap(), None);
}
