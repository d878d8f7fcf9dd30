//! An API server that answers lists and watches by a script, over plain HTTP.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kube::{Client, Config};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The answer to a list.
#[derive(Clone)]
pub(super) enum Reply {
    /// Objects.
    List(String),
    /// A failure.
    Status(u16),
}

#[derive(Default)]
struct Script {
    lists: HashMap<String, Reply>,
    watches: HashMap<String, mpsc::Sender<String>>,
    asked: Vec<String>,
}

pub(super) struct Server {
    port: u16,
    script: Arc<Mutex<Script>>,
    accepting: JoinSet<()>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let mut server = Self {
            port: 0,
            script: Arc::default(),
            accepting: JoinSet::new(),
        };
        server.restart().await;
        server
    }

    /// Ends every connection and refuses new ones.
    pub(super) async fn stop(&mut self) {
        self.accepting.shutdown().await;
        self.script.lock().watches.clear();
    }

    pub(super) async fn restart(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        self.port = listener.local_addr().unwrap().port();
        let script = self.script.clone();
        self.accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, script.clone()));
            }
        });
    }

    pub(super) fn client(&self) -> Client {
        let url = format!("http://127.0.0.1:{}", self.port).parse().unwrap();
        // As the program does at its start.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Client::try_from(Config::new(url)).unwrap()
    }

    pub(super) fn set(&self, path: &str, reply: Reply) {
        self.script.lock().lists.insert(path.to_owned(), reply);
    }

    pub(super) fn list(&self, path: &str, objects: &[Value]) {
        self.set(path, Reply::List(list(objects)));
    }

    /// Sends a watch event, as soon as somebody watches.
    pub(super) async fn event(&self, path: &str, event: &str) {
        for _ in 0..600 {
            let watch = self.script.lock().watches.get(path).cloned();
            if let Some(watch) = watch
                && watch.send(event.to_owned()).await.is_ok()
            {
                if event.contains("\"ERROR\"") {
                    // Its client leaves: the next event is for another watch.
                    self.script.lock().watches.remove(path);
                }
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("nobody watches {path}");
    }

    /// Every path and query asked for so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.script.lock().asked.clone()
    }
}

fn list(objects: &[Value]) -> String {
    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": objects})
        .to_string()
}

async fn serve(stream: TcpStream, script: Arc<Mutex<Script>>) {
    let mut stream = BufReader::new(stream);
    while let Some(target) = request(&mut stream).await {
        script.lock().asked.push(target.clone());
        let path = target.split('?').next().unwrap_or_default().to_owned();
        let done = if target.contains("watch=true") {
            watch(&mut stream, &path, &script).await
        } else {
            let reply = script.lock().lists.get(&path).cloned();
            let nothing = || match path.as_str() {
                // No kind beyond Kubernetes' own.
                "/apis" => Reply::List(json!({"kind": "APIGroupList", "groups": []}).to_string()),
                _ => Reply::List(list(&[])),
            };
            answer(&mut stream, reply.unwrap_or_else(nothing)).await
        };
        if done.is_err() {
            return;
        }
    }
}

/// The target of the next request; none of them has a body.
async fn request(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut target = None;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            return target;
        }
        if target.is_none() {
            target = line.split(' ').nth(1).map(str::to_owned);
        }
    }
}

async fn answer(stream: &mut BufReader<TcpStream>, reply: Reply) -> std::io::Result<()> {
    let (code, body) = match reply {
        Reply::List(body) => (200, body),
        Reply::Status(code) => (
            code,
            json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                "reason": "Forbidden", "message": "no"})
            .to_string(),
        ),
    };
    let head = format!(
        "HTTP/1.1 {code} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await
}

async fn watch(stream: &mut BufReader<TcpStream>, path: &str, script: &Mutex<Script>) -> std::io::Result<()> {
    let (sender, mut events) = mpsc::channel::<String>(16);
    script.lock().watches.insert(path.to_owned(), sender);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    while let Some(event) = events.recv().await {
        let chunk = format!("{:x}\r\n{event}\n\r\n", event.len() + 1);
        stream.write_all(chunk.as_bytes()).await?;
    }
    stream.write_all(b"0\r\n\r\n").await
}
