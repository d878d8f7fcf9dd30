//! What the benchmarks share: a keep-alive HTTP/1.1 load generator, a backend
//! that answers a fixed body, CPU and memory figures of a process.

#![allow(dead_code, unreachable_pub, reason = "each benchmark uses its own part")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Serves `body` to every request on `listener` until the runtime ends; a
/// WebSocket gets its bytes back.
pub async fn backend(listener: TcpListener, body: Arc<[u8]>) {
    backend_with(listener, body, "").await;
}

/// The same with more fields in its answers, each with the end of its line.
pub async fn backend_with(listener: TcpListener, body: Arc<[u8]>, fields: &str) {
    let answer = answer(&body, fields);
    while let Ok((stream, _)) = listener.accept().await {
        let answer = answer.clone();
        tokio::spawn(async move {
            let _ = serve(stream, &answer).await;
        });
    }
}

/// What a backend says to every request.
pub fn answer(body: &[u8], fields: &str) -> Arc<[u8]> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n{fields}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer.into()
}

/// Gives this answer to every request of a connection.
pub async fn serve(mut stream: TcpStream, answer: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::with_capacity(4096);
    loop {
        head.clear();
        loop {
            if stream.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
            if head.ends_with(b"\r\n\r\n") {
                break;
            }
        }
        if find(&head.to_ascii_lowercase(), b"upgrade: websocket").is_some() {
            return echo(stream).await;
        }
        stream.write_all(answer).await?;
    }
}

/// An upgraded connection: every byte comes back.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        .await?;
    let (mut read, mut write) = stream.split();
    tokio::io::copy(&mut read, &mut write).await?;
    Ok(())
}

/// After so long the allocator has given back what was used only for a moment (3 s:
/// `dirty_decay_ms` in `.cargo/config.toml`).
pub const SETTLED: Duration = Duration::from_secs(6);

/// Exchanges on one connection. nginx and Tidegate end it after 1,000.
pub const EXCHANGES: u32 = 900;

/// A keep-alive client: one connection at a time, one request at a time.
pub struct Client {
    address: SocketAddr,
    stream: TcpStream,
    exchanges: u32,
    request: Vec<u8>,
    buffer: Vec<u8>,
    /// Bytes of the last answer's head.
    head: usize,
}

impl Client {
    /// Connects to a gateway and prepares `GET path` for `host`.
    pub async fn connect(address: SocketAddr, host: &str, path: &str) -> io::Result<Self> {
        Self::connect_with(address, host, path, "").await
    }

    /// The same with more fields, each with the end of its line.
    pub async fn connect_with(address: SocketAddr, host: &str, path: &str, fields: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: bench\r\n{fields}\r\n").into_bytes();
        Ok(Self {
            address,
            stream,
            exchanges: 0,
            request,
            buffer: Vec::with_capacity(16 * 1024),
            head: 0,
        })
    }

    /// A field of the last answer.
    pub fn field(&self, name: &str) -> Option<&str> {
        let head = std::str::from_utf8(&self.buffer[..self.head]).ok()?;
        head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Leaves its connection for a new one, if there is anybody.
    pub async fn reconnect(&mut self) {
        if let Ok(stream) = TcpStream::connect(self.address).await {
            let _ = stream.set_nodelay(true);
            (self.stream, self.exchanges) = (stream, 0);
        }
    }

    /// Nothing came of an answer.
    pub fn got_nothing(&self) -> bool {
        self.buffer.is_empty()
    }

    /// How many exchanges its connection has had.
    pub fn exchanges(&self) -> u32 {
        self.exchanges
    }

    /// One exchange: the status and the body.
    pub async fn exchange(&mut self) -> io::Result<(u16, &[u8])> {
        if self.exchanges == EXCHANGES {
            self.stream = TcpStream::connect(self.address).await?;
            self.stream.set_nodelay(true)?;
            self.exchanges = 0;
        }
        self.exchanges += 1;
        self.buffer.clear();
        self.head = 0;
        self.stream.write_all(&self.request).await?;
        let head = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = std::str::from_utf8(&self.buffer[..head]).map_err(io::Error::other)?;
        let status = text
            .get(9..12)
            .and_then(|code| code.parse().ok())
            .ok_or(io::ErrorKind::InvalidData)?;
        let length: usize = text
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length:")?
                    .trim()
                    .parse()
                    .ok()
            })
            .ok_or_else(|| io::Error::other("the answer has no content-length"))?;
        while self.buffer.len() < head + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.head = head;
        Ok((status, &self.buffer[head..head + length]))
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Sends `requests` in all over `connections` keep-alive connections; every
/// answer must be 200. The time that it took.
pub async fn load(
    address: SocketAddr,
    host: &str,
    connections: usize,
    requests: u64,
) -> io::Result<Duration> {
    load_with(address, host, "", connections, requests).await
}

/// The same with more fields in each request.
pub async fn load_with(
    address: SocketAddr,
    host: &str,
    fields: &str,
    connections: usize,
    requests: u64,
) -> io::Result<Duration> {
    let left = Arc::new(AtomicU64::new(requests));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let (left, host, fields) = (left.clone(), host.to_owned(), fields.to_owned());
        tasks.push(tokio::spawn(async move {
            let mut client = Client::connect_with(address, &host, "/", &fields).await?;
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                .is_ok()
            {
                let (status, _) = client.exchange().await?;
                if status != 200 {
                    return Err(io::Error::other(format!("status {status}")));
                }
            }
            Ok::<_, io::Error>(())
        }));
    }
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    Ok(start.elapsed())
}

/// Waits until a program answers 200 for `host`.
pub async fn ready(address: SocketAddr, host: &str, patience: Duration) -> io::Result<()> {
    let start = Instant::now();
    while start.elapsed() < patience {
        if let Ok(mut client) = Client::connect(address, host, "/").await
            && matches!(client.exchange().await, Ok((200, _)))
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(io::Error::other(format!(
        "{address} did not answer 200 within {} s",
        patience.as_secs()
    )))
}

/// CPU time of a process so far, user and system, in seconds.
pub fn cpu_seconds(pid: u32) -> io::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after = stat.rsplit_once(") ").ok_or(io::ErrorKind::InvalidData)?.1;
    let fields: Vec<&str> = after.split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().map_err(io::Error::other)?
        + fields[12].parse::<f64>().map_err(io::Error::other)?;
    Ok(ticks / 100.0)
}

/// Resident memory of a process in MiB.
pub fn resident_mib(pid: u32) -> io::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .trim()
                .strip_suffix(" kB")?
                .trim()
                .parse::<f64>()
                .ok()
        })
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok(kib / 1024.0)
}

/// The value below which `permille` of the sorted samples lie.
pub fn percentile(samples: &mut [f64], permille: usize) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[((samples.len() - 1) * permille) / 1000]
}
