//! A backend of gRPC's kind that tells what it saw.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Response};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::PATIENCE;

/// What a [`Backend`] does.
#[derive(Clone)]
pub(crate) struct Behaviour {
    /// Streams at a time on a connection.
    pub(crate) streams: Option<u32>,
    /// It says good-bye after so many requests on a connection.
    pub(crate) requests: Option<usize>,
    /// It closes the connection a while after so many.
    pub(crate) closes_after: Option<usize>,
    pub(crate) answer: Answer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Sends back every piece as it comes, then trailers.
    Echo,
    /// As many bytes as the client takes, while it counts what comes.
    Flood,
    /// The head alone, with the status of gRPC.
    HeadOnly,
    /// A piece, then a reset.
    Reset(Reason),
    /// A piece, then nothing.
    Silence,
    /// Nothing at all.
    Nothing,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            streams: None,
            requests: None,
            closes_after: None,
            answer: Answer::Echo,
        }
    }
}

/// A server of HTTP/2 without TLS.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    /// Those that it has closed after a while ([`Behaviour::closes_after`]).
    pub(crate) closed: AtomicUsize,
    pub(crate) requests: AtomicUsize,
    /// Bytes of bodies that came, and that were sent by [`Answer::Flood`].
    pub(crate) received: AtomicUsize,
    pub(crate) sent: AtomicUsize,
    pub(crate) open: AtomicUsize,
    pub(crate) most_open: AtomicUsize,
    pub(crate) resets: Mutex<Vec<Reason>>,
    pub(crate) heads: Mutex<Vec<http::request::Parts>>,
}

impl Backend {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let log = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                log.connections.fetch_add(1, SeqCst);
                tokio::spawn(serve(stream, behaviour.clone(), log.clone()));
            }
        });
        Self { address, seen }
    }
}

pub(crate) async fn serve(stream: TcpStream, behaviour: Behaviour, seen: Arc<Seen>) -> Option<()> {
    let mut builder = h2::server::Builder::new();
    if let Some(streams) = behaviour.streams {
        builder.max_concurrent_streams(streams);
    }
    let mut connection: Connection<_, Bytes> = builder.handshake(stream).await.ok()?;
    let mut count = 0;
    loop {
        let is_last = behaviour.closes_after == Some(count);
        let patience = if is_last {
            Duration::from_millis(100)
        } else {
            PATIENCE
        };
        let Ok(next) = timeout(patience, connection.accept()).await else {
            drop(connection);
            seen.closed.fetch_add(1, SeqCst);
            return None;
        };
        let (request, respond) = next?.ok()?;
        count += 1;
        seen.requests.fetch_add(1, SeqCst);
        let (parts, body) = request.into_parts();
        seen.heads.lock().push(parts);
        tokio::spawn(answer(behaviour.answer, body, respond, seen.clone()));
        if behaviour.requests == Some(count) {
            connection.graceful_shutdown();
        }
    }
}

async fn answer(answer: Answer, body: RecvStream, mut respond: SendResponse<Bytes>, seen: Arc<Seen>) {
    let open = seen.open.fetch_add(1, SeqCst) + 1;
    seen.most_open.fetch_max(open, SeqCst);
    let head = Response::builder()
        .header("content-type", "application/grpc")
        .header("server", "x");
    match answer {
        Answer::HeadOnly => {
            let head = head.header("grpc-status", "5").body(()).unwrap();
            respond.send_response(head, true).unwrap();
        }
        Answer::Nothing => {
            let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            seen.resets.lock().extend(reason);
        }
        _ => {
            let mut to = respond.send_response(head.body(()).unwrap(), false).unwrap();
            talk(answer, body, &mut to, &seen).await;
        }
    }
    seen.open.fetch_sub(1, SeqCst);
}

async fn talk(answer: Answer, body: RecvStream, to: &mut SendStream<Bytes>, seen: &Arc<Seen>) {
    match answer {
        Answer::Flood => {
            tokio::spawn(count(body, seen.clone()));
            let piece = Bytes::from(vec![b'x'; 16 * 1024]);
            while send(to, piece.clone(), false).await.is_some() {
                seen.sent.fetch_add(piece.len(), SeqCst);
            }
        }
        Answer::Reset(reason) => {
            send(to, "before".into(), false).await;
            // It has left by then.
            tokio::time::sleep(Duration::from_millis(20)).await;
            to.send_reset(reason);
        }
        Answer::Silence => {
            send(to, "before".into(), false).await;
            let reason = std::future::poll_fn(|cx| to.poll_reset(cx)).await;
            seen.resets.lock().extend(reason);
        }
        _ => echo(body, to, seen).await,
    }
}

async fn count(mut body: RecvStream, seen: Arc<Seen>) {
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        seen.received.fetch_add(data.len(), SeqCst);
    }
}

async fn echo(mut body: RecvStream, to: &mut SendStream<Bytes>, seen: &Seen) {
    loop {
        match body.data().await {
            None => break,
            Some(Ok(data)) => {
                body.flow_control().release_capacity(data.len()).unwrap();
                seen.received.fetch_add(data.len(), SeqCst);
                if send(to, data, false).await.is_none() {
                    return;
                }
            }
            Some(Err(error)) => return seen.resets.lock().extend(error.reason()),
        }
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert("x-own", HeaderValue::from_static("1"));
    to.send_trailers(trailers).unwrap();
}

/// Sends as the window allows; `None`: the other side wants no more.
pub(crate) async fn send(to: &mut SendStream<Bytes>, mut data: Bytes, end: bool) -> Option<()> {
    while !data.is_empty() {
        to.reserve_capacity(data.len());
        let room = match to.capacity() {
            0 => std::future::poll_fn(|cx| to.poll_capacity(cx)).await?.ok()?,
            room => room,
        };
        let piece = data.split_to(room.min(data.len()));
        to.send_data(piece, end && data.is_empty()).ok()?;
    }
    Some(())
}
