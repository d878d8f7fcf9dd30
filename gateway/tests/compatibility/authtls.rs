//! `annotations/authtls.go`: client certificates.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::TlsConnector;

use crate::auth::secret;
use crate::program::certificate_secret;
use crate::site::{Site, config_map, ingress, ingress_of};
use crate::support::client::{Answer, Client, tls_config};
use crate::support::early_data;

/// An authority, and what it makes.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, and those between it and its authority.
#[derive(Clone)]
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(authority_params(name), key).unwrap())
    }

    /// An authority below this one.
    fn below(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(authority_params(name), key, &self.0).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn client(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Acme, Inc.");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(SerialNumber::from(7));
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            chain: vec![certificate.der().clone()],
            key: key.serialize_der(),
        }
    }

    /// A list that revokes these serial numbers.
    fn revoking(&self, numbers: &[u64]) -> String {
        let revoked = numbers.iter().map(|number| RevokedCertParams {
            serial_number: SerialNumber::from(*number),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

fn client(name: &str, authority: &Authority) -> Identity {
    authority.client(name, |_| {})
}

/// A connection for a server name, with a certificate or without.
async fn connect(site: &Site, server_name: &str, identity: Option<&Identity>) -> Client {
    let mut config = tls_config(&["http/1.1"]);
    if let Some(identity) = identity {
        let key = PrivateKeyDer::try_from(identity.key.clone()).unwrap();
        let provider = aws_lc_rs::default_provider();
        let certified = CertifiedKey::from_der(identity.chain.clone(), key, &provider).unwrap();
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    }
    let tcp = tokio::net::TcpStream::connect(site.program.https).await.unwrap();
    let name = ServerName::try_from(server_name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .unwrap();
    Client::over(stream)
}

async fn get(site: &Site, identity: Option<&Identity>) -> Answer {
    connect(site, "foo", identity).await.get("foo", "/").await
}

fn objects(authority: &Authority, annotations: &[(&str, &str)]) -> String {
    let mut all = vec![("auth-tls-secret", "default/ca")];
    all.extend_from_slice(annotations);
    let tls = "  tls: [{hosts: [foo], secretName: foo-tls}]\n";
    ingress("a", &all)
        + tls
        + &secret("ca", &[("ca.crt", &authority.pem())])
        + &certificate_secret("foo-tls", &["foo", "bar"])
}

async fn site(authority: &Authority, annotations: &[(&str, &str)]) -> Site {
    Site::start(&objects(authority, annotations)).await
}

/// 400 without a certificate or with one of somebody else, 200 with a good one;
/// the handshake succeeds in any case.
#[tokio::test]
async fn case_1_required() {
    let ca = Authority::new("ca");
    let site = site(&ca, &[]).await;
    let answer = get(&site, None).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("No required SSL certificate was sent"));
    let stranger = client("client", &Authority::new("ca"));
    let answer = get(&site, Some(&stranger)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("The SSL certificate error"));
    assert_eq!(site.echo("echo").count(), 0);
    assert_eq!(get(&site, Some(&client("client", &ca))).await.status, 200);
    let seen = site.echo("echo").last();
    assert_eq!(seen.header("ssl-client-verify"), Some("SUCCESS"));
    assert_eq!(
        seen.header("ssl-client-subject-dn"),
        Some("CN=client,O=Acme\\, Inc.")
    );
    assert_eq!(seen.header("ssl-client-cert"), None);
    assert!(seen.header("ssl-client-issuer-dn").unwrap().contains("CN=ca"));
}

/// Ours: who sends is known before anything is read, so `ssl-early-data` is not
/// for hosts that ask for certificates.
#[tokio::test]
async fn ours_no_early_data() {
    let keys = config_map("config", &[("ssl-early-data", "true")]);
    let yaml = objects(&Authority::new("ca"), &[("auth-tls-verify-client", "optional")])
        + &ingress_of("b", "bar", &[], &[("/", "Prefix", "echo")])
        + &keys;
    let site = Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await;
    let address = site.program.https;
    for (host, invited) in [("foo", false), ("bar", true)] {
        let second = tokio::task::spawn_blocking(move || {
            let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let config = early_data::config(&["http/1.1"]);
            let mut first = early_data::Client::connect(&config, address, host);
            assert!(first.ask(&request).starts_with("HTTP/1.1 200"), "{host}");
            early_data::Client::connect(&config, address, host).send_early(&request)
        });
        assert_eq!(second.await.unwrap(), invited, "{host}");
    }
}

/// `off`: nobody is asked.
#[tokio::test]
async fn case_2_5_off() {
    let ca = Authority::new("ca");
    let site = site(
        &ca,
        &[("auth-tls-verify-client", "off"), ("auth-tls-verify-depth", "2")],
    )
    .await;
    assert_eq!(get(&site, None).await.status, 200);
    site.write("objects.yaml", &site.objects(&objects(&ca, &[])));
    let start = std::time::Instant::now();
    while get(&site, None).await.status != 400 {
        assert!(start.elapsed() < crate::support::PATIENCE, "still open");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Refused clients are sent to the page.
#[tokio::test]
async fn case_3_error_page() {
    let ca = Authority::new("ca");
    let page = "https://foo.example/error";
    let site = site(&ca, &[("auth-tls-error-page", page)]).await;
    let answer = get(&site, None).await;
    assert_eq!((answer.status, answer.header("location")), (302, Some(page)));
    assert_eq!(get(&site, Some(&client("client", &ca))).await.status, 200);
}

/// The backend gets the certificate.
#[tokio::test]
async fn case_4_pass_certificate() {
    let ca = Authority::new("ca");
    let site = site(&ca, &[("auth-tls-pass-certificate-to-upstream", "true")]).await;
    assert_eq!(get(&site, None).await.status, 400);
    assert_eq!(get(&site, Some(&client("client", &ca))).await.status, 200);
    let seen = site.echo("echo").last();
    let pem = seen.header("ssl-client-cert").unwrap();
    assert!(pem.starts_with("-----BEGIN%20CERTIFICATE-----%0A"), "{pem}");
    assert!(pem.ends_with("%0A-----END%20CERTIFICATE-----%0A"), "{pem}");
}

/// The subject must match.
#[tokio::test]
async fn case_6_to_9_match_cn() {
    let ca = Authority::new("ca");
    let site = site(&ca, &[("auth-tls-match-cn", "CN=notgonnamatch")]).await;
    let identity = client("authtls", &ca);
    let answer = get(&site, Some(&identity)).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.text(), "client certificate unauthorized");
    // In turns, so that each change shows; the last two are ours: with look-around.
    for (pattern, status) in [
        ("CN=authtls", 200),
        ("CN=no", 403),
        ("CN=(a|b|authtls)", 200),
        ("CN=(?!auth)", 403),
        ("CN=(?!no)auth", 200),
    ] {
        let yaml = objects(&ca, &[("auth-tls-match-cn", pattern)]);
        site.write("objects.yaml", &site.objects(&yaml));
        let start = std::time::Instant::now();
        while get(&site, Some(&identity)).await.status != status {
            assert!(start.elapsed() < crate::support::PATIENCE, "{pattern}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

/// `optional`: none is fine, a bad one is not. `optional_no_ca`: the backend
/// decides.
#[tokio::test]
async fn optional_modes() {
    let ca = Authority::new("ca");
    let stranger = client("client", &Authority::new("other"));
    let expired = ca.client("client", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    for (mode, by_stranger) in [("optional", 400), ("optional_no_ca", 200)] {
        let site = site(&ca, &[("auth-tls-verify-client", mode)]).await;
        assert_eq!(get(&site, None).await.status, 200, "{mode}");
        assert_eq!(site.echo("echo").last().header("ssl-client-verify"), Some("NONE"));
        assert_eq!(get(&site, Some(&stranger)).await.status, by_stranger, "{mode}");
        if by_stranger == 200 {
            assert_eq!(
                site.echo("echo").last().header("ssl-client-verify"),
                Some("FAILED:unable to get local issuer certificate")
            );
        }
        assert_eq!(get(&site, Some(&expired)).await.status, 400, "{mode}");
        assert_eq!(
            get(&site, Some(&client("client", &ca))).await.status,
            200,
            "{mode}"
        );
    }
}

/// Intermediate certificates count against the depth; revoked certificates are
/// bad.
#[tokio::test]
async fn depth_and_revocation() {
    let ca = Authority::new("ca");
    let (one, two);
    one = ca.below("one");
    two = one.below("two");
    let mut by_one = client("client", &one);
    by_one.chain.push(one.0.der().clone());
    let mut by_two = client("client", &two);
    by_two.chain.extend([two.0.der().clone(), one.0.der().clone()]);
    for (depth, by_two_status) in [("1", 400), ("2", 200)] {
        let site = site(&ca, &[("auth-tls-verify-depth", depth)]).await;
        assert_eq!(get(&site, Some(&by_one)).await.status, 200, "{depth}");
        assert_eq!(get(&site, Some(&by_two)).await.status, by_two_status, "{depth}");
    }
    for (revoked, status) in [(7, 400), (8, 200)] {
        let authorities = secret(
            "ca",
            &[("ca.crt", &ca.pem()), ("ca.crl", &ca.revoking(&[revoked]))],
        );
        let yaml = objects(&ca, &[]).replace(&secret("ca", &[("ca.crt", &ca.pem())]), &authorities);
        let site = Site::start(&yaml).await;
        assert_eq!(
            get(&site, Some(&client("client", &ca))).await.status,
            status,
            "{revoked}"
        );
    }
}

/// A Secret that says nobody is trusted closes the host: ingress-nginx opens it
/// when `ca.crt` is missing.
#[tokio::test]
async fn unusable_secrets_close_the_host() {
    let ca = Authority::new("ca");
    let good = secret("ca", &[("ca.crt", &ca.pem())]);
    for broken in [
        String::new(),
        secret("ca", &[("auth", "x")]),
        secret("ca", &[("ca.crt", "not PEM")]),
        secret("ca", &[("ca.crt", &ca.pem()), ("ca.crl", "not PEM")]),
    ] {
        let site = Site::start(&objects(&ca, &[]).replace(&good, &broken)).await;
        let answer = get(&site, Some(&client("client", &ca))).await;
        assert_eq!(answer.status, 403, "{broken}");
    }
}

/// A connection that was made for another host is sent back; plain HTTP does not
/// get around it, and nobody says who he is by himself.
#[tokio::test]
async fn no_way_around() {
    let ca = Authority::new("ca");
    let other = crate::site::ingress_of("b", "bar", &[], &[("/", "Prefix", "echo")]);
    let site = Site::start(&(objects(&ca, &[("ssl-redirect", "false")]) + &other)).await;
    let mut client = connect(&site, "bar", None).await;
    assert_eq!(client.get("foo", "/").await.status, 421);
    let mut client = connect(&site, "bar", None).await;
    let forged =
        "GET / HTTP/1.1\r\nHost: bar\r\nssl-client-verify: SUCCESS\r\nSSL-Client-Subject-DN: CN=root\r\n\r\n";
    assert_eq!(client.request(forged).await.status, 200);
    let seen = site.echo("echo").last();
    assert_eq!(seen.header("ssl-client-verify"), None);
    assert_eq!(seen.header("ssl-client-subject-dn"), None);
    assert_eq!(site.get("/").await.status, 400, "plain HTTP");
    let forged = forged.replace("Host: bar", "Host: foo");
    assert_eq!(site.request(&forged).await.status, 400);
}

/// A session is not resumed past a change of the authorities.
#[tokio::test]
async fn sessions_do_not_outlive_their_authority() {
    let (old, new) = (Authority::new("ca"), Authority::new("ca"));
    let site = site(&old, &[]).await;
    let identity = client("client", &old);
    let mut config = tls_config(&["http/1.1"]);
    let key = PrivateKeyDer::try_from(identity.key.clone()).unwrap();
    let certified =
        CertifiedKey::from_der(identity.chain.clone(), key, &aws_lc_rs::default_provider()).unwrap();
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    // The same configuration: it keeps tickets.
    let connector = TlsConnector::from(Arc::new(config));
    let ask = async || {
        let tcp = tokio::net::TcpStream::connect(site.program.https).await.unwrap();
        let name = ServerName::try_from("foo").unwrap();
        let stream = connector.connect(name, tcp).await.unwrap();
        Client::over(stream).get("foo", "/").await.status
    };
    assert_eq!(ask().await, 200);
    assert_eq!(ask().await, 200);
    site.write("objects.yaml", &site.objects(&objects(&new, &[])));
    let start = std::time::Instant::now();
    while ask().await != 400 {
        assert!(start.elapsed() < crate::support::PATIENCE, "still open");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(ask().await, 400);
}
