//! Two questions to a gateway: a GET, and which certificate it shows.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::trust_all::client_config;

const TIMEOUT: Duration = Duration::from_secs(10);

pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// GETs over a new connection; `None` when there is none, or no answer.
pub fn get(address: SocketAddr, host: &str, path: &str) -> Option<Answer> {
    let mut stream = connect(address)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some(Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        body: body.trim_end().to_owned(),
    })
}

/// The leaf certificate for a server name, in DER.
pub fn certificate(address: SocketAddr, name: &str) -> Option<Vec<u8>> {
    let config = client_config(rustls::DEFAULT_VERSIONS, &[]);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = connect(address)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).ok()?;
    }
    Some(connection.peer_certificates()?.first()?.to_vec())
}

fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    Some(stream)
}
