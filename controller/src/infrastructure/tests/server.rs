//! An API server that answers requests with what it is told to, over plain HTTP.

use std::collections::VecDeque;
use std::sync::Arc;

use kube::{Client, Config};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

#[derive(Default)]
struct Script {
    answers: VecDeque<(u16, Value)>,
    requests: Vec<String>,
    body: Value,
}

pub(super) struct Server {
    port: u16,
    script: Arc<Mutex<Script>>,
    _accepting: JoinSet<()>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = Arc::<Mutex<Script>>::default();
        let mut accepting = JoinSet::new();
        let shared = script.clone();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, shared.clone()));
            }
        });
        Self {
            port,
            script,
            _accepting: accepting,
        }
    }

    pub(super) fn client(&self) -> Client {
        let url = format!("http://127.0.0.1:{}", self.port).parse().unwrap();
        // As the program does at its start.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Client::try_from(Config::new(url)).unwrap()
    }

    /// The next answers, one for each request.
    pub(super) fn answers(&self, answers: &[(u16, Value)]) {
        self.script.lock().answers = answers.to_vec().into();
    }

    /// Method and target of each request since the last call.
    pub(super) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.script.lock().requests)
    }

    /// What the last request carried.
    pub(super) fn body(&self) -> Value {
        self.script.lock().body.clone()
    }
}

async fn serve(stream: TcpStream, script: Arc<Mutex<Script>>) {
    let mut stream = BufReader::new(stream);
    while let Some((request, body)) = request(&mut stream).await {
        let (code, answer) = {
            let mut script = script.lock();
            script.requests.push(request);
            script.body = body;
            script.answers.pop_front().unwrap_or((500, Value::Null))
        };
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {code} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        if stream.write_all((head + &answer).as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let (mut request, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        match line.to_ascii_lowercase().strip_prefix("content-length:") {
            Some(value) => length = value.trim().parse().ok()?,
            None if request.is_none() => {
                request = line.rsplit_once(' ').map(|(request, _)| request.to_owned())
            }
            None => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((request?, serde_json::from_slice(&body).unwrap_or_default()))
}
