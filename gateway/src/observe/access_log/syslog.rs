//! Lines to a syslog server, each a datagram of RFC 3164 as nginx makes it
//! (`access_log syslog:server=…`): `<190>Oct 10 13:55:36 host nginx: line`. What
//! cannot be sent is dropped and counted; a server that is away is none of our
//! business, as UDP does not tell.

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::writer::Reopen;

/// nginx's defaults: facility local7 (23), severity info (6).
const PRIORITY: u32 = 23 * 8 + 6;
/// nginx's default, which collectors' rules know.
const TAG: &str = "nginx";
/// What a datagram holds over IPv4; more of a line is cut off.
const LONGEST: usize = 65_507;
/// How long the server's address is used before its name is looked up again.
const KEPT: Duration = Duration::from_secs(60);
/// Until the next lookup after one that failed.
const PAUSE: Duration = Duration::from_secs(5);

/// Sends lines. Blocks only in name lookups, on the writer's thread.
pub(super) struct Syslog {
    host: String,
    port: u16,
    /// Ours, as it stands in messages.
    name: String,
    server: Option<(UdpSocket, SocketAddr)>,
    next_lookup: Instant,
    dropped: Arc<AtomicU64>,
    message: Vec<u8>,
}

impl Syslog {
    /// To the server of this name or address. Lines that cannot be sent are
    /// added to `dropped`.
    pub(super) fn new(host: &str, port: u16, dropped: Arc<AtomicU64>) -> Self {
        Self {
            host: host.to_owned(),
            port,
            name: host_name().to_owned(),
            server: None,
            next_lookup: Instant::now(),
            dropped,
            message: Vec::new(),
        }
    }

    /// Where to; the last address while its name cannot be looked up.
    fn server(&mut self) -> io::Result<&(UdpSocket, SocketAddr)> {
        let mut outcome = Ok(());
        if Instant::now() >= self.next_lookup {
            outcome = self.look_up();
            let pause = if outcome.is_ok() { KEPT } else { PAUSE };
            self.next_lookup = Instant::now() + pause;
        }
        let unknown = || io::Error::new(io::ErrorKind::NotFound, "the syslog server has no address");
        match (&self.server, outcome) {
            (Some(server), _) => Ok(server),
            (None, outcome) => Err(outcome.err().unwrap_or_else(unknown)),
        }
    }

    fn look_up(&mut self) -> io::Result<()> {
        let mut addresses = (self.host.as_str(), self.port).to_socket_addrs()?;
        let address = addresses
            .next()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no address"))?;
        if self.server.as_ref().is_some_and(|(_, known)| *known == address) {
            return Ok(());
        }
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        // Not connected: or one "port unreachable" would cost the next line.
        self.server = Some((UdpSocket::bind(any)?, address));
        Ok(())
    }
}

impl Write for Syslog {
    /// Takes whole lines, and all of them.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let mut message = std::mem::take(&mut self.message);
        message.clear();
        head(&mut message, Timestamp::now(), &self.name);
        let length = message.len();
        let mut lost = 0;
        let mut outcome = Ok(lines.len());
        let each = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        for line in each {
            message.truncate(length);
            message.extend_from_slice(&line[..line.len().min(LONGEST - length)]);
            let sent = self
                .server()
                .and_then(|(socket, address)| socket.send_to(&message, *address));
            if let Err(error) = sent {
                lost += 1;
                outcome = Err(error);
            }
        }
        self.dropped.fetch_add(lost, Relaxed);
        self.message = message;
        outcome
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Reopen for Syslog {
    fn reopen(&mut self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// This machine's name in lower case (nginx `$hostname`).
pub(super) fn host_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name = name.trim();
        if name.is_empty() { "localhost" } else { name }.to_ascii_lowercase()
    })
}

/// What stands before a line (RFC 3164 §4.1; UTC, the time zone of container
/// images).
fn head(message: &mut Vec<u8>, time: Timestamp, host: &str) {
    let time = time.strftime("%b %e %H:%M:%S");
    // Writing to a Vec cannot fail.
    let _ = write!(message, "<{PRIORITY}>{time} {host} {TAG}: ");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    fn receive(socket: &UdpSocket) -> String {
        let mut buffer = vec![0; 70_000];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn the_head_is_nginxs() {
        let mut message = Vec::new();
        head(
            &mut message,
            Timestamp::from_second(970_754_136).unwrap(),
            "edge-0",
        );
        assert_eq!(message, b"<190>Oct  5 13:55:36 edge-0 nginx: ");
    }

    #[test]
    fn each_line_is_a_datagram() {
        let (socket, address) = receiver();
        let dropped = Arc::new(AtomicU64::new(0));
        let mut syslog = Syslog::new("127.0.0.1", address.port(), dropped.clone());
        let long = "x".repeat(70_000);
        syslog
            .write_all(format!("one\ntwo\n{long}\n").as_bytes())
            .unwrap();
        for line in ["one", "two"] {
            let message = receive(&socket);
            assert!(
                message.starts_with("<190>") && message.ends_with(&format!(" nginx: {line}")),
                "{message}"
            );
        }
        assert_eq!(receive(&socket).len(), LONGEST);
        assert_eq!(dropped.load(Relaxed), 0);
    }

    /// Nobody listens: the sender does not notice, and goes on when there is
    /// somebody again.
    #[test]
    fn a_server_that_is_away_harms_nothing() {
        let (socket, address) = receiver();
        drop(socket);
        let mut syslog = Syslog::new("127.0.0.1", address.port(), Arc::default());
        for _ in 0..3 {
            syslog.write_all(b"lost\n").unwrap();
        }
        let socket = UdpSocket::bind(address).unwrap();
        syslog.write_all(b"found\n").unwrap();
        assert!(receive(&socket).ends_with(": found"));
    }

    #[test]
    fn a_name_without_an_address_costs_the_lines_and_is_told() {
        let dropped = Arc::new(AtomicU64::new(0));
        let mut syslog = Syslog::new("", 514, dropped.clone());
        // No lookup here: tests ask no name server.
        syslog.next_lookup = Instant::now() + KEPT;
        assert!(syslog.write_all(b"a\nb\n").is_err());
        assert_eq!(dropped.load(Relaxed), 2);
    }
}
