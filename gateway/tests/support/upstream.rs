//! An upstream that answers what it saw, by hand over TCP, so that nothing is
//! normalised on the way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running upstream; it stops when dropped.
///
/// It answers JSON: `upstream` (its name), `connection` (a count from 1),
/// `method`, `uri`, `headers` (pairs, as received) and `body`. A request with
/// `Upgrade` gets 101 and then every byte back.
pub struct Echo {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// How an [`Echo`] answers; [`Echo::set`] changes it at any time.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Shown in answers.
    pub name: String,
    /// The status of answers.
    pub status: u16,
    /// Time between a request and its answer.
    pub delay: Duration,
    /// More fields for the answer's head, each with its line end.
    pub headers: String,
    /// A body instead of the JSON.
    pub body: Option<Vec<u8>>,
    /// Exactly these bytes instead of an answer; the connection closes after.
    pub raw: Option<Vec<u8>>,
    /// When connections are closed.
    pub close: Close,
}

/// When an [`Echo`] closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// When the client does.
    Never,
    /// As soon as it is accepted.
    AtOnce,
    /// When a request was read, without an answer.
    BeforeAnswer,
    /// After each answer, announced by `Connection: close`.
    AfterAnswer,
    /// After each answer, silently: the client's next request meets a closed
    /// connection.
    Silently,
}

/// A request as an [`Echo`] received it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The connection that it came by, counted from 1.
    pub connection: usize,
    /// Request line and header fields exactly as received.
    pub head: String,
    /// Its method.
    pub method: String,
    /// Its target as received.
    pub uri: String,
    /// Its fields as received.
    pub headers: Vec<(String, String)>,
    /// Its body, without chunk framing.
    pub body: Vec<u8>,
}

impl Seen {
    /// The first field of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    ended: AtomicUsize,
}

impl Echo {
    /// Starts one on a free port.
    pub async fn start(name: &str) -> Self {
        Self::start_at(name, "127.0.0.1:0").await
    }

    /// Starts one at this address.
    pub async fn start_at(name: &str, address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(Behaviour {
                name: name.to_owned(),
                status: 200,
                delay: Duration::ZERO,
                headers: String::new(),
                body: None,
                raw: None,
                close: Close::Never,
            }),
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// Changes how it answers from now on.
    pub fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.shared.behaviour.lock());
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().clone()
    }

    /// The newest request.
    ///
    /// # Panics
    /// When there was none.
    pub fn last(&self) -> Seen {
        self.shared
            .seen
            .lock()
            .last()
            .expect("the upstream saw a request")
            .clone()
    }

    /// Requests so far.
    pub fn count(&self) -> usize {
        self.shared.seen.lock().len()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }

    /// Connections that neither side has closed.
    pub fn open(&self) -> usize {
        self.connections() - self.shared.ended.load(SeqCst)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Owns the connections' tasks, so that dropping the server ends them too.
    let mut tasks = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = shared.connections.fetch_add(1, SeqCst) + 1;
        let _ = stream.set_nodelay(true);
        let shared = shared.clone();
        tasks.spawn(async move {
            serve(stream, number, shared.clone()).await;
            shared.ended.fetch_add(1, SeqCst);
        });
        while tasks.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, number: usize, shared: Arc<Shared>) -> Option<()> {
    if shared.behaviour.lock().close == Close::AtOnce {
        return None;
    }
    let mut buffer = Vec::new();
    loop {
        let seen = read_request(&mut stream, &mut buffer, number).await?;
        shared.seen.lock().push(seen.clone());
        let behaviour = shared.behaviour.lock().clone();
        // Tokio sleeps a millisecond for none at all, and a fast upstream is a case of its own.
        if !behaviour.delay.is_zero() {
            tokio::time::sleep(behaviour.delay).await;
        }
        if behaviour.close == Close::BeforeAnswer {
            return None;
        }
        if let Some(raw) = &behaviour.raw {
            stream.write_all(raw).await.ok()?;
            return None;
        }
        if seen.header("upgrade").is_some() {
            return tunnel(stream, &buffer).await;
        }
        stream.write_all(&answer(&seen, &behaviour)).await.ok()?;
        if matches!(behaviour.close, Close::AfterAnswer | Close::Silently) {
            return None;
        }
    }
}

async fn tunnel(mut stream: TcpStream, early: &[u8]) -> Option<()> {
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(early).await.ok()?;
    let (mut read, mut write) = stream.split();
    tokio::io::copy(&mut read, &mut write).await.ok()?;
    None
}

fn answer(seen: &Seen, behaviour: &Behaviour) -> Vec<u8> {
    let json = json!({
        "upstream": behaviour.name,
        "connection": seen.connection,
        "method": seen.method,
        "uri": seen.uri,
        "headers": seen.headers,
        "body": String::from_utf8_lossy(&seen.body),
    });
    let body = behaviour
        .body
        .clone()
        .unwrap_or_else(|| Value::to_string(&json).into_bytes());
    let close = if behaviour.close == Close::AfterAnswer {
        "Connection: close\r\n"
    } else {
        ""
    };
    let mut answer = format!(
        "HTTP/1.1 {} Status\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{close}{}\r\n",
        behaviour.status,
        body.len(),
        behaviour.headers,
    )
    .into_bytes();
    if seen.method != "HEAD" {
        answer.extend(body);
    }
    answer
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>, connection: usize) -> Option<Seen> {
    let end = fill_until(stream, buffer, b"\r\n\r\n").await?;
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end);
    let mut lines = head.trim_end().split("\r\n");
    let mut line = lines.next()?.split(' ').map(str::to_owned);
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut seen = Seen {
        connection,
        method: line.next()?,
        uri: line.next()?,
        head: head.clone(),
        headers,
        body: Vec::new(),
    };
    if seen
        .header("expect")
        .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
    }
    if seen.header("transfer-encoding").is_some() {
        seen.body = read_chunks(stream, buffer).await?;
    } else if let Some(length) = seen.header("content-length") {
        seen.body = take(stream, buffer, length.parse().ok()?).await?;
    }
    Some(seen)
}

async fn read_chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = fill_until(stream, buffer, b"\r\n").await?;
        let line = String::from_utf8_lossy(&buffer[..end]).into_owned();
        buffer.drain(..end);
        let size = usize::from_str_radix(line.trim().split(';').next()?, 16).ok()?;
        body.extend(take(stream, buffer, size).await?);
        take(stream, buffer, 2).await?;
        if size == 0 {
            return Some(body);
        }
    }
}

async fn fill_until(stream: &mut TcpStream, buffer: &mut Vec<u8>, end: &[u8]) -> Option<usize> {
    loop {
        if let Some(at) = buffer.windows(end.len()).position(|window| window == end) {
            return Some(at + end.len());
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

async fn take(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> Option<Vec<u8>> {
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    Some(buffer.drain(..length).collect())
}
