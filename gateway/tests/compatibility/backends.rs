//! `annotations/proxyssl.go`, `annotations/backendprotocol.go`,
//! `annotations/upstreamhashby.go`: a backend that speaks TLS.

use std::collections::BTreeSet;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::site::{HOST, Site, config_map, ingress_of, service};
use crate::support::tls;
use crate::support::upstream::Echo;

/// A certificate authority and what it signs.
struct Authority {
    pem: String,
    der: rustls::pki_types::CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A Secret with `ca.crt` and a client's pair.
    fn secret(&self) -> String {
        let (certificate, key) = self.sign("client.example");
        let indent = |pem: String| pem.trim_end().replace('\n', "\n    ");
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: backend}}\ntype: kubernetes.io/tls\nstringData:\n  \
             ca.crt: |\n    {}\n  tls.crt: |\n    {}\n  tls.key: |\n    {}\n",
            indent(self.pem.clone()),
            indent(certificate.pem()),
            indent(key.serialize_pem())
        )
    }

    /// A backend with a certificate for `name` that answers with the server
    /// name that it was asked for, and whether it saw a client certificate.
    async fn backend(&self, name: &str) -> u16 {
        let (certificate, key) = self.sign(name);
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = tls::asking_config(self.der.clone(), vec![certificate.der().clone()], key);
        tls::backend(config, |mut stream| async move {
            let session = stream.get_ref().1;
            let body = format!(
                "{:?} {}",
                session.server_name(),
                session.peer_certificates().is_some()
            );
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).await.ok()? > 0 {
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.ok()?;
            }
            Some(())
        })
        .await
    }
}

/// How a connection to a backend was secured.
async fn secured(annotations: &[(&str, &str)]) -> String {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("anything");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = tls::asking_config(authority.der.clone(), vec![certificate.der().clone()], key);
    let port = tls::backend(config, |mut stream| async move {
        let session = stream.get_ref().1;
        let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
        let body = format!("{:?} {suite:?}", session.protocol_version());
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).await.ok()? > 0 {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.ok()?;
        }
        Some(())
    })
    .await;
    let site = site(&authority, port, annotations).await;
    let first = site.get("/").await.text();
    assert_eq!(site.get("/").await.text(), first);
    first
}

async fn site(authority: &Authority, port: u16, annotations: &[(&str, &str)]) -> Site {
    let mut all = vec![("backend-protocol", "HTTPS")];
    all.extend(annotations);
    let yaml = ingress_of("a", HOST, &all, &[("/", "Prefix", "secure")])
        + &authority.secret()
        + &service("secure", &[port]);
    Site::with(&[], &yaml, &[]).await
}

const SECRET: (&str, &str) = ("proxy-ssl-secret", "default/backend");
const VERIFY: (&str, &str) = ("proxy-ssl-verify", "on");

/// HTTPS, in any case: no server name, no client certificate, any certificate.
#[tokio::test]
async fn backendprotocol_1_and_2_https() {
    let authority = Authority::new();
    let port = authority.backend("anything").await;
    let answer = site(&authority, port, &[]).await.get("/").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "None false"));
}

/// AUTO_HTTP: the scheme of the client's connection.
#[tokio::test]
async fn backendprotocol_3_auto() {
    let authority = Authority::new();
    let port = authority.backend("anything").await;
    let annotations = [("backend-protocol", "AUTO_HTTP")];
    let yaml =
        ingress_of("a", HOST, &annotations, &[("/", "Prefix", "secure")]) + &service("secure", &[port]);
    let site = Site::with(&[], &yaml, &[]).await;
    assert_eq!(site.tls(HOST).await.get(HOST, "/").await.status, 200);
    assert_eq!(site.get("/").await.status, 502, "plain HTTP to a TLS port");
}

/// With the Secret the client certificate is shown, and nothing is verified.
#[tokio::test]
async fn proxyssl_1_secret() {
    let authority = Authority::new();
    let port = authority.backend("anything").await;
    let answer = site(&authority, port, &[SECRET]).await.get("/").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "None true"));
}

/// Verification passes for the right name and authority, with SNI.
#[tokio::test]
async fn proxyssl_2_verify() {
    let authority = Authority::new();
    let port = authority.backend("backend.example").await;
    let right = [
        SECRET,
        VERIFY,
        ("proxy-ssl-name", "backend.example"),
        ("proxy-ssl-server-name", "on"),
    ];
    let answer = site(&authority, port, &right).await.get("/").await;
    assert_eq!(answer.text(), "Some(\"backend.example\") true");
    let port = authority.backend("secure.default.svc").await;
    let answer = site(&authority, port, &[SECRET, VERIFY]).await.get("/").await;
    assert_eq!(answer.status, 200, "without a name: the Service's");
}

/// The ciphers of TLS 1.2 that are offered.
#[tokio::test]
async fn proxyssl_3_ciphers() {
    let annotations = [
        SECRET,
        ("proxy-ssl-protocols", "TLSv1.2"),
        ("proxy-ssl-ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ];
    let expected = "Some(TLSv1_2) Some(TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384)";
    assert_eq!(secured(&annotations).await, expected);
}

/// The versions that are offered.
#[tokio::test]
async fn proxyssl_4_protocols() {
    for (protocols, expected) in [
        ("TLSv1.2", "Some(TLSv1_2)"),
        ("TLSv1.3", "Some(TLSv1_3)"),
        ("TLSv1.2 TLSv1.3", "Some(TLSv1_3)"),
    ] {
        let secured = secured(&[SECRET, ("proxy-ssl-protocols", protocols)]).await;
        assert!(secured.starts_with(expected), "{protocols}: {secured}");
    }
}

/// Settings belong to the paths of their Ingress and never to the host, whatever
/// `proxy-ssl-location-only` says.
#[tokio::test]
async fn proxyssl_5_location_only() {
    let authority = Authority::new();
    let port = authority.backend("other.example").await;
    let https = ("backend-protocol", "HTTPS");
    let verified = [https, SECRET, VERIFY, ("proxy-ssl-name", "backend.example")];
    for only in ["true", "false"] {
        let yaml = ingress_of("a", HOST, &verified, &[("/verified", "Prefix", "secure")])
            + &ingress_of("b", HOST, &[https], &[("/", "Prefix", "secure")])
            + &config_map("config", &[("proxy-ssl-location-only", only)])
            + &authority.secret()
            + &service("secure", &[port]);
        let site = Site::with(&[], &yaml, &["--configmap=default/config"]).await;
        assert_eq!(site.get("/verified").await.status, 502, "{only}");
        assert_eq!(site.get("/").await.status, 200, "{only}");
    }
}

/// Another name or another authority: 502.
#[tokio::test]
async fn verification_that_fails_is_502() {
    let authority = Authority::new();
    let port = authority.backend("other.example").await;
    let name = ("proxy-ssl-name", "backend.example");
    assert_eq!(
        site(&authority, port, &[SECRET, VERIFY, name])
            .await
            .get("/")
            .await
            .status,
        502
    );
    let port = Authority::new().backend("backend.example").await;
    assert_eq!(
        site(&authority, port, &[SECRET, VERIFY, name])
            .await
            .get("/")
            .await
            .status,
        502
    );
}

/// A route that verifies never rides on a connection that another opened
/// without.
#[tokio::test]
async fn verified_and_unverified_connections_are_kept_apart() {
    let authority = Authority::new();
    let port = Authority::new().backend("backend.example").await;
    let open = ingress_of(
        "open",
        HOST,
        &[("backend-protocol", "HTTPS")],
        &[("/open", "Prefix", "secure")],
    );
    let strict = [
        ("backend-protocol", "HTTPS"),
        SECRET,
        VERIFY,
        ("proxy-ssl-name", "backend.example"),
    ];
    let strict = ingress_of("strict", HOST, &strict, &[("/strict", "Prefix", "secure")]);
    let yaml = open + &strict + &authority.secret() + &service("secure", &[port]);
    let site = Site::with(&[], &yaml, &[]).await;
    for _ in 0..3 {
        assert_eq!(site.get("/open").await.status, 200);
        assert_eq!(site.get("/strict").await.status, 502);
    }
}

/// A Secret that does not exist closes the routes.
#[tokio::test]
async fn a_missing_secret_is_503() {
    let authority = Authority::new();
    let port = authority.backend("backend.example").await;
    let annotations = [("proxy-ssl-secret", "default/nothing")];
    assert_eq!(
        site(&authority, port, &annotations).await.get("/").await.status,
        503
    );
}

async fn hashed(annotations: &[(&str, &str)]) -> BTreeSet<String> {
    let mut echoes = Vec::new();
    for number in 0..8 {
        echoes.push(Echo::start(&number.to_string()).await);
    }
    let ports: Vec<u16> = echoes.iter().map(|echo| echo.address.port()).collect();
    let yaml = ingress_of("a", HOST, annotations, &[("/", "Prefix", "many")]) + &service("many", &ports);
    let site = Site::with(&[], &yaml, &[]).await;
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        seen.insert(site.get("/same?thing").await.json()["upstream"].to_string());
    }
    seen
}

/// By `$request_uri` one endpoint answers.
#[tokio::test]
async fn upstreamhashby_1() {
    assert_eq!(hashed(&[("upstream-hash-by", "$request_uri")]).await.len(), 1);
    assert_eq!(
        hashed(&[("upstream-hash-by", "$request_uri$host")]).await.len(),
        1
    );
}

/// With a subset exactly three do.
#[tokio::test]
async fn upstreamhashby_2_subset() {
    let annotations = [
        ("upstream-hash-by", "$request_uri"),
        ("upstream-hash-by-subset", "true"),
        ("upstream-hash-by-subset-size", "3"),
    ];
    assert_eq!(hashed(&annotations).await.len(), 3);
}
