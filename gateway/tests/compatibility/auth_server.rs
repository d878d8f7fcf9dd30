//! An authentication service in the manner of oauth2-proxy, and of httpbun's
//! endpoints that ingress-nginx's tests ask.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// It ends when dropped, with all its connections.
///
/// - `/auth`: 202, `X-Auth-Request-User: joe` and an `Authorization` with the cookie `_session=joe`,
///   else 401 (oauth2-proxy).
/// - `/basic-auth`: 200 with the credentials `foo:bar`, else 401 and a challenge.
/// - `/cookie`: 200 and `Set-Cookie: alma=armud`.
/// - `/status/N`: N.
/// - `/slow`: 200 after three seconds.
pub(crate) struct AuthServer {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl AuthServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        let accepting = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, SeqCst);
                tasks.spawn(serve(stream, log.clone()));
            }
        });
        Self {
            address,
            seen,
            connections,
            accepting,
        }
    }

    /// A URL of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The heads of all questions, as received.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().clone()
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    /// A field of the newest question.
    pub(crate) fn last(&self, name: &str) -> Option<String> {
        let seen = self.seen.lock();
        field(seen.last().expect("a question"), name).map(str::to_owned)
    }

    /// Ends it: the port answers no more.
    pub(crate) async fn stop(self) {
        self.accepting.abort();
        while tokio::net::TcpStream::connect(self.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for AuthServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.split("\r\n").filter_map(|line| line.split_once(": "));
    let mut named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value)
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        buffer.drain(..end);
        seen.lock().push(head.clone());
        let path = head.split(' ').nth(1)?.split('?').next()?.to_owned();
        if path == "/slow" {
            tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        }
        let (status, fields) = answer(&path, &head);
        let body = "what the service says";
        let answer = format!(
            "HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n{fields}\r\n{}",
            body.len(),
            if head.starts_with("HEAD") { "" } else { body }
        );
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

fn answer(path: &str, head: &str) -> (u16, String) {
    match path {
        "/auth" => match field(head, "cookie") {
            Some(cookie) if cookie.contains("_session=joe") => (
                202,
                "X-Auth-Request-User: joe\r\nX-Auth-Request-Groups: a\r\nX-Auth-Request-Groups: b\r\n\
                 Authorization: Bearer joe\r\n"
                    .to_owned(),
            ),
            _ => (401, "WWW-Authenticate: Bearer\r\n".to_owned()),
        },
        "/basic-auth" => match field(head, "authorization") {
            // foo:bar
            Some("Basic Zm9vOmJhcg==") => (200, String::new()),
            _ => (401, "WWW-Authenticate: Basic realm=\"Fake\"\r\n".to_owned()),
        },
        "/cookie" => (200, "Set-Cookie: alma=armud\r\nSet-Cookie: two=2\r\n".to_owned()),
        _ => {
            let status = path
                .strip_prefix("/status/")
                .and_then(|status| status.parse().ok());
            (status.unwrap_or(200), String::new())
        }
    }
}
