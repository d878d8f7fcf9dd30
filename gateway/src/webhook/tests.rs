use std::net::SocketAddr;
use std::path::Path;

use super::*;
use crate::trust_all::client_config;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Length;

#[async_trait]
impl Answer for Length {
    async fn answer(&self, body: Vec<u8>) -> Result<Vec<u8>, (StatusCode, String)> {
        match &body[..] {
            b"no" => Err((StatusCode::SERVICE_UNAVAILABLE, "not now".to_owned())),
            body => Ok(body.len().to_string().into_bytes()),
        }
    }
}

fn write_pair(folder: &Path, name: &str) {
    let pair = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), pair.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
}

async fn start(folder: &Path) -> (SocketAddr, watch::Sender<bool>) {
    let files = CertificateFiles::read(&folder.join("cert.pem"), &folder.join("key.pem")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(serve(listener, Arc::new(files), Arc::new(Length), stopping));
    (address, stop)
}

/// One request that ends its connection: the answer, and the names in the
/// certificate.
async fn ask(address: SocketAddr, request: &[u8]) -> (String, Vec<u8>) {
    let config = client_config(rustls::ALL_VERSIONS, &["http/1.1"]);
    let tcp = TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("webhook.test").unwrap();
    let mut stream = connector.connect(name, tcp).await.unwrap();
    let leaf = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // A reset after a refusal is an end too.
    let _ = stream.read_to_end(&mut answer).await;
    (String::from_utf8_lossy(&answer).into_owned(), leaf)
}

fn post(length: usize, body: &str) -> Vec<u8> {
    format!("POST /networking/v1/ingresses HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

#[tokio::test]
async fn bodies_are_answered_up_to_a_limit() {
    crate::tls::install_provider();
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path(), "a");
    let (address, _stop) = start(folder.path()).await;
    let (answer, _) = ask(address, &post(5, "12345")).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n5"),
        "{answer}"
    );
    let (answer, _) = ask(address, &post(2, "no")).await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("not now"),
        "{answer}"
    );
    let (answer, _) = ask(address, &post(MAX_BODY, "")).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let (answer, _) = ask(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
}

#[tokio::test]
async fn a_new_certificate_is_shown_at_once_and_a_broken_one_never() {
    crate::tls::install_provider();
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path(), "a");
    let (address, _stop) = start(folder.path()).await;
    let (_, before) = ask(address, &post(1, "1")).await;
    std::fs::write(folder.path().join("cert.pem"), "nonsense").unwrap();
    let (answer, kept) = ask(address, &post(1, "1")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && kept == before);
    write_pair(folder.path(), "b");
    let (_, after) = ask(address, &post(1, "1")).await;
    assert_ne!(after, before);
}

#[test]
fn files_of_no_use_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let error = CertificateFiles::read(&certificate, &key)
        .unwrap_err()
        .to_string();
    assert!(error.contains("cert.pem"), "{error}");
    write_pair(folder.path(), "a");
    let other = rcgen::KeyPair::generate().unwrap();
    std::fs::write(&key, other.serialize_pem()).unwrap();
    let error = CertificateFiles::read(&certificate, &key)
        .unwrap_err()
        .to_string();
    assert!(error.contains("key.pem"), "{error}");
}
