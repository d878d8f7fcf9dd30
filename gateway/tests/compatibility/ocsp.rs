//! `settings/ocsp.go`: what handshakes show of a responder's answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::authority::{Authority, Says};
use crate::site::{HOST, Site, config_map, ingress, ingress_of};
use crate::support::{PATIENCE, client, eventually};

const SERIAL: u64 = 4711;
const TLS: &str = "  tls: [{hosts: [foo], secretName: own}]\n";
/// Where the responders of these tests are.
const LOOPBACK: (&str, &str) = ("ocsp-responder-cidr", "127.0.0.0/8");
const ON: (&str, &str) = ("enable-ocsp", "true");
const OFF: (&str, &str) = ("enable-ocsp", "false");

/// A responder on loopback; it ends when dropped.
struct Responder {
    url: String,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<Option<Vec<u8>>>>,
    accepting: JoinHandle<()>,
}

impl Responder {
    /// It never answers before [`Responder::answers`].
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let answer = Arc::new(Mutex::new(None));
        let (count, what) = (asked.clone(), answer.clone());
        let accepting = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tasks.spawn(respond(stream, what.clone()));
            }
        });
        Self {
            url: format!("http://{address}/ocsp"),
            asked,
            answer,
            accepting,
        }
    }

    fn answers(&self, response: Vec<u8>) {
        *self.answer.lock() = Some(response);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A question is a POST of its type, with a body of the length that it says.
async fn respond(mut stream: TcpStream, answer: Arc<Mutex<Option<Vec<u8>>>>) -> Option<()> {
    let mut received = Vec::new();
    loop {
        stream.read_buf(&mut received).await.ok()?;
        let text = String::from_utf8_lossy(&received).to_lowercase();
        let Some((head, _)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        assert!(
            head.starts_with("post /ocsp http/1.1\r\nhost: 127.0.0.1:"),
            "{head}"
        );
        assert!(head.contains("content-type: application/ocsp-request"), "{head}");
        let length = head.split_once("content-length: ")?.1;
        let length: usize = length.split("\r\n").next()?.parse().ok()?;
        if received.len() == head.len() + 4 + length {
            break;
        }
    }
    let response = loop {
        if let Some(response) = answer.lock().clone() {
            break response;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\nContent-Length: {}\r\n\r\n",
        response.len()
    );
    stream
        .write_all(&[head.as_bytes(), &response].concat())
        .await
        .ok()
}

/// Takes every certificate, and notes what was stapled.
#[derive(Debug)]
struct Noting {
    provider: CryptoProvider,
    stapled: Mutex<Vec<u8>>,
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        stapled: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.stapled.lock() = stapled.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// What a new handshake shows; empty: nothing.
async fn stapled_over(address: SocketAddr, version: &'static SupportedProtocolVersion) -> Vec<u8> {
    let provider = aws_lc_rs::default_provider();
    let noting = Arc::new(Noting {
        provider: provider.clone(),
        stapled: Mutex::default(),
    });
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(noting.clone())
        .with_no_client_auth();
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    drop(connector.connect(name, tcp).await.unwrap());
    noting.stapled.lock().clone()
}

async fn stapled(site: &Site) -> Vec<u8> {
    stapled_over(site.program.https, &TLS13).await
}

/// Waits until handshakes show this; empty: nothing.
async fn shows(site: &Site, response: &[u8]) {
    let start = Instant::now();
    while stapled(site).await != response {
        assert!(start.elapsed() < PATIENCE, "not shown: {} bytes", response.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until so many questions came to nothing.
async fn failed(site: &Site, count: usize) {
    let wanted = format!("\ntidegate_ocsp_responses_total{{result=\"failed\"}} {count}\n");
    let start = Instant::now();
    loop {
        let metrics = client::get(site.program.admin, "admin", "/metrics").await.text();
        if metrics.contains(&wanted) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{metrics}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An Ingress whose certificate names the responder.
fn objects(authority: &Authority, responder: &Responder) -> String {
    let leaf = authority.leaf(HOST, SERIAL, &[&responder.url]);
    ingress("web", &[]) + TLS + &leaf.secret("own")
}

async fn site(yaml: &str) -> Site {
    Site::with(&["echo"], yaml, &["--configmap=default/config"]).await
}

/// The responder's "good" is in handshakes, of TLS 1.2 and 1.3, soon after the
/// certificate is in use; it stays while other things change, and goes with the
/// key.
#[tokio::test]
async fn ocsp_1_good_answer() {
    let (authority, responder) = (Authority::default(), Responder::start().await);
    let good = authority.says(&Says::good(SERIAL));
    responder.answers(good.clone());
    let own = objects(&authority, &responder);
    let yaml = |keys: &[(&str, &str)]| own.clone() + &config_map("config", keys);
    let site = site(&yaml(&[OFF])).await;
    assert_eq!(stapled(&site).await, b"", "off unless it is wanted");
    site.write("objects.yaml", &site.objects(&yaml(&[ON, LOOPBACK])));
    shows(&site, &good).await;
    assert_eq!(stapled_over(site.program.https, &TLS12).await, good);

    let other = ingress_of("other", "bar", &[], &[("/", "Prefix", "echo")])
        + "  tls: [{hosts: [bar], secretName: own}]\n";
    site.write("other.yaml", &other);
    site.until("bar", "/", |answer| answer.status == 308).await;
    assert_eq!(stapled(&site).await, good);
    assert_eq!(responder.asked(), 1);

    site.write("objects.yaml", &site.objects(&yaml(&[OFF])));
    shows(&site, b"").await;
}

/// Ours: a responder that does not answer holds nobody up.
#[tokio::test]
async fn ocsp_responder_hangs() {
    let (authority, responder) = (Authority::default(), Responder::start().await);
    let site = site(&(objects(&authority, &responder) + &config_map("config", &[ON, LOOPBACK]))).await;
    eventually("asked", || responder.asked() == 1).await;
    let start = Instant::now();
    assert_eq!(stapled(&site).await, b"");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let good = authority.says(&Says::good(SERIAL));
    responder.answers(good.clone());
    shows(&site, &good).await;
}

/// Ours: answers of somebody else, about something else, of yesterday, that the
/// certificate is revoked, or none at all: nothing is stapled.
#[tokio::test]
async fn ocsp_unusable_answers() {
    let authority = Authority::default();
    let yesterday = Says {
        begin: -3600,
        end: Some(-1),
        ..Says::good(SERIAL)
    };
    for answer in [
        authority.says_by(&Says::good(SERIAL), &Authority::default().key, &[]),
        authority.says(&Says::good(1)),
        authority.says(&yesterday),
        authority.says(&Says::revoked(SERIAL)),
        vec![0; 100_000],
        Vec::new(),
    ] {
        let responder = Responder::start().await;
        responder.answers(answer);
        let site = site(&(objects(&authority, &responder) + &config_map("config", &[ON, LOOPBACK]))).await;
        failed(&site, 1).await;
        assert_eq!(responder.asked(), 1);
        assert_eq!(stapled(&site).await, b"");
    }
}

/// Ours: when an answer ends and there is no other, nothing is stapled.
#[tokio::test]
async fn ocsp_answer_ends() {
    let (authority, responder) = (Authority::default(), Responder::start().await);
    let short = authority.says(&Says {
        end: Some(4),
        ..Says::good(SERIAL)
    });
    responder.answers(short.clone());
    let site = site(&(objects(&authority, &responder) + &config_map("config", &[ON, LOOPBACK]))).await;
    shows(&site, &short).await;
    shows(&site, b"").await;
    assert_eq!(responder.asked(), 1);
}

/// Ours: an answer holds while the responder has nothing better to say, until it
/// says that the certificate is revoked.
#[tokio::test]
async fn ocsp_later_answers() {
    let (authority, responder) = (Authority::default(), Responder::start().await);
    let good = authority.says(&Says::good(SERIAL));
    responder.answers(good.clone());
    let own = objects(&authority, &responder);
    let yaml = |keys: &[(&str, &str)]| own.clone() + &config_map("config", keys);
    let site = site(&yaml(&[ON, LOOPBACK])).await;
    shows(&site, &good).await;
    // Other settings are a reason to ask again.
    responder.answers(Vec::new());
    let wider = ("ocsp-responder-cidr", "127.0.0.0/8, 10.0.0.0/8");
    site.write("objects.yaml", &site.objects(&yaml(&[ON, wider])));
    failed(&site, 1).await;
    assert_eq!(stapled(&site).await, good);
    responder.answers(authority.says(&Says::revoked(SERIAL)));
    site.write("objects.yaml", &site.objects(&yaml(&[ON, LOOPBACK])));
    shows(&site, b"").await;
}

/// Ours: a certificate cannot have the gateway connect to an address that is not
/// public, unless the ConfigMap names its network; then it does at once.
#[tokio::test]
async fn ocsp_private_responder() {
    let (authority, responder) = (Authority::default(), Responder::start().await);
    let good = authority.says(&Says::good(SERIAL));
    responder.answers(good.clone());
    let own = objects(&authority, &responder);
    let yaml = |keys: &[(&str, &str)]| own.clone() + &config_map("config", keys);
    let site = site(&yaml(&[ON, ("ocsp-responder-cidr", "10.0.0.0/8")])).await;
    failed(&site, 1).await;
    assert_eq!(stapled(&site).await, b"");
    assert_eq!(responder.asked(), 0);
    site.write("objects.yaml", &site.objects(&yaml(&[ON, LOOPBACK])));
    shows(&site, &good).await;
}
