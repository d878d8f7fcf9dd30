//! The answer to plain HTTP on a port for TLS.

use std::io;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What nginx answers (its status 497), without a version in the footer.
const PAGE: &str = "<html>\r\n\
    <head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n\
    <body>\r\n\
    <center><h1>400 Bad Request</h1></center>\r\n\
    <center>The plain HTTP request was sent to HTTPS port</center>\r\n\
    <hr><center>nginx</center>\r\n\
    </body>\r\n\
    </html>\r\n";
/// As much of the request as is waited for.
const MAX_HEAD: usize = 8 * 1024;
/// For the client to go away after the answer.
const LINGER: Duration = Duration::from_secs(1);

/// Reads the head of the request that begins with `head`, answers 400, closes.
pub(super) async fn refuse(mut tcp: TcpStream, mut head: BytesMut) -> io::Result<()> {
    while head.len() < MAX_HEAD && !ends_head(&head) {
        if tcp.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nDate: {}\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{PAGE}",
        httpdate::fmt_http_date(SystemTime::now()),
        PAGE.len(),
    );
    tcp.write_all(answer.as_bytes()).await?;
    tcp.shutdown().await?;
    let mut sink = [0; 1024];
    let _ = tokio::time::timeout(LINGER, async { while let Ok(1..) = tcp.read(&mut sink).await {} }).await;
    Ok(())
}

fn ends_head(head: &[u8]) -> bool {
    head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n")
}
