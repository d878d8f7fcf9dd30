//! A client that sends requests before its handshake has ended, and nothing else
//! until it is told to. For threads that may block.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection};

/// A connection.
pub struct Client {
    /// The TLS session.
    pub session: ClientConnection,
    tcp: TcpStream,
    /// All that was sent, as on the wire.
    pub sent: Vec<u8>,
}

/// TLS 1.3 with sessions that connections of this configuration share.
pub fn config(alpn: &[&str]) -> Arc<ClientConfig> {
    let mut config = super::trust_all::client_config(&[&TLS13], alpn);
    config.enable_early_data = true;
    Arc::new(config)
}

impl Client {
    /// A TCP connection: nothing is sent on it yet.
    pub fn connect(config: &Arc<ClientConfig>, address: SocketAddr, name: &str) -> Self {
        let tcp = TcpStream::connect(address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        Self {
            session: ClientConnection::new(Arc::clone(config), name).unwrap(),
            tcp,
            sent: Vec::new(),
        }
    }

    /// Sends the ClientHello with a request behind it. `false`: the session, if
    /// there is one, allows no early data, and nothing is sent.
    pub fn send_early(&mut self, request: &str) -> bool {
        let Some(mut early) = self.session.early_data() else {
            return false;
        };
        early.write_all(request.as_bytes()).unwrap();
        self.send();
        true
    }

    /// Sends what the session has to say.
    pub fn send(&mut self) {
        let before = self.sent.len();
        while self.session.wants_write() {
            self.session.write_tls(&mut self.sent).unwrap();
        }
        self.tcp.write_all(&self.sent[before..]).unwrap();
    }

    /// Reads an answer with a `Content-Length`, and sends nothing: not even the
    /// end of the handshake.
    pub fn answer(&mut self) -> String {
        let mut text = String::new();
        loop {
            let mut piece = Vec::new();
            // No more for now is an error, too.
            let _ = self.session.reader().read_to_end(&mut piece);
            text.push_str(std::str::from_utf8(&piece).unwrap());
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let mut lines = head.lines().map(str::to_ascii_lowercase);
                let length = lines.find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    return text;
                }
            }
            assert_ne!(
                self.session.read_tls(&mut self.tcp).unwrap(),
                0,
                "ended after {text:?}"
            );
            self.session.process_new_packets().unwrap();
        }
    }

    /// Ends the handshake if there is one, sends a request and reads its answer.
    pub fn ask(&mut self, request: &str) -> String {
        self.send();
        while self.session.is_handshaking() {
            assert_ne!(self.session.read_tls(&mut self.tcp).unwrap(), 0, "no handshake");
            self.session.process_new_packets().unwrap();
            self.send();
        }
        self.session.writer().write_all(request.as_bytes()).unwrap();
        self.send();
        self.answer()
    }
}
