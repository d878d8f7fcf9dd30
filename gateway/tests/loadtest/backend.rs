//! Backends for the scripts: plain answers, WebSockets that echo, gRPC.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use aws_lc_rs::digest;

/// Answers every request with 200 once its body is read; on `/socket` it is a
/// WebSocket that echoes. The port; it lives as long as the test.
pub fn plain() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(serve(stream)));
        }
    });
    port
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let field = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut values = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
            values.next().map(|(_, value)| value.to_owned())
        };
        if let Some(key) = field("sec-websocket-key").filter(|_| head.contains(" /socket ")) {
            let accept = accept(&key);
            write!(
                stream,
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            )?;
            return echo(reader, stream);
        }
        let length = field("content-length").map_or(0, |value| value.parse().unwrap());
        std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink())?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")?;
    }
}

/// Frames back as they come, without their mask (RFC 6455 section 5.2); short
/// ones only.
fn echo(mut reader: impl Read, mut stream: TcpStream) -> std::io::Result<()> {
    loop {
        let mut head = [0; 6];
        reader.read_exact(&mut head)?;
        let length = head[1] & 0x7f;
        assert!(length < 126, "a short frame");
        let mut payload = vec![0; usize::from(length)];
        reader.read_exact(&mut payload)?;
        for (byte, mask) in payload.iter_mut().zip(head[2..].iter().cycle()) {
            *byte ^= mask;
        }
        stream.write_all(&[&[head[0], length], &*payload].concat())?;
        // The other side's goodbye, answered.
        if head[0] & 0x0f == 8 {
            return Ok(());
        }
    }
}

/// RFC 6455 section 4.2.2.
fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref())
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .chain([&0; 2])
            .take(3)
            .fold(0_usize, |all, byte| all << 8 | usize::from(*byte));
        for index in 0..4 {
            let letter = char::from(LETTERS[group >> (18 - 6 * index) & 63]);
            text.push(if index <= chunk.len() { letter } else { '=' });
        }
    }
    text
}

/// gRPC's health check, always "serving". The port.
pub async fn grpc() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(calls(stream));
        }
    });
    port
}

async fn calls(stream: tokio::net::TcpStream) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let head = http::Response::builder().header("content-type", "application/grpc");
        let Ok(mut stream) = respond.send_response(head.body(()).unwrap(), false) else {
            continue;
        };
        // A message of two bytes: field 1, value 1.
        let known = request.uri().path() == "/grpc.health.v1.Health/Check";
        if known {
            let _ = stream.send_data(bytes::Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1]), false);
        }
        let mut trailers = http::HeaderMap::new();
        trailers.insert(
            "grpc-status",
            http::HeaderValue::from_static(if known { "0" } else { "12" }),
        );
        let _ = stream.send_trailers(trailers);
    }
}
