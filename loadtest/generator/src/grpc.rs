//! The backend of the gRPC scenario: every message of a unary call comes back, with
//! its status in trailers, over HTTP/2 without TLS.

use anyhow::Result;
use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tokio::net::{TcpListener, TcpStream};

/// Streams of one connection: a gateway may put all of its clients' calls on one.
const STREAMS: u32 = 4096;

/// Serves until the process ends.
pub(crate) async fn serve(listener: TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        // A client that goes away is none of the others' business.
        tokio::spawn(connection(stream));
    }
}

async fn connection(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(STREAMS);
    let mut connection = builder.handshake::<_, Bytes>(stream).await?;
    while let Some(call) = connection.accept().await {
        let (request, respond) = call?;
        tokio::spawn(answer(request, respond));
    }
    Ok(())
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) -> Result<()> {
    let (head, mut body) = request.into_parts();
    let field = |name: &str| {
        head.headers
            .get(name)
            .map_or(b"".as_slice(), HeaderValue::as_bytes)
    };
    // What the protocol asks of clients, and so of the gateway that hands it on.
    if !field("content-type").starts_with(b"application/grpc") || field("te") != b"trailers" {
        let refused = Response::builder().status(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        respond.send_response(refused.body(())?, true)?;
        return Ok(());
    }
    let mut parts = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        parts.push(data);
    }
    let good = Response::builder().header("content-type", "application/grpc");
    let mut stream = respond.send_response(good.body(())?, false)?;
    for part in parts {
        stream.send_data(part, false)?;
    }
    let status = HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    stream.send_trailers(status)?;
    Ok(())
}
