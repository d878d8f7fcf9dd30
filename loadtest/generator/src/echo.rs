//! The backend of the WebSocket scenario, since nginx cannot echo. It speaks enough
//! of RFC 6455 for any client that neither compresses nor sends large frames.

use std::io;

use anyhow::Result;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{frame, head};

/// Section 1.3: what servers append to a client's key.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Serves until the process ends.
pub(crate) async fn serve(listener: TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        // A client that goes away is none of the others' business.
        tokio::spawn(connection(stream));
    }
}

async fn connection(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let page = [
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1024\r\n\r\n".as_slice(),
        &[b'x'; 1024],
    ]
    .concat();
    let mut input = Vec::with_capacity(4096);
    while let Some(end) = head::read(&mut stream, &mut input).await? {
        let answer = head::field(&input[..end], "sec-websocket-key").map(switching);
        input.drain(..end);
        match answer {
            None => stream.write_all(&page).await?,
            Some(answer) => {
                stream.write_all(answer.as_bytes()).await?;
                return echo(stream, input).await;
            }
        }
    }
    Ok(())
}

fn switching(key: &str) -> String {
    let digest = digest::digest(
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
        [key, MAGIC].concat().as_bytes(),
    );
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: {}\r\n\r\n",
        STANDARD.encode(digest)
    )
}

async fn echo(mut stream: TcpStream, mut input: Vec<u8>) -> io::Result<()> {
    let mut output = Vec::new();
    loop {
        let goes_on = answer(&mut input, &mut output)?;
        stream.write_all(&output).await?;
        output.clear();
        if !goes_on || stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

/// Takes whole frames from `input` and answers each; false after the last.
fn answer(input: &mut Vec<u8>, output: &mut Vec<u8>) -> io::Result<bool> {
    let (mut at, mut goes_on) = (0, true);
    while goes_on && let Some(head) = frame::Head::parse(&input[at..])? {
        let start = at + head.size;
        let Some(payload) = input.get_mut(start..start + head.payload) else {
            break;
        };
        if let Some(mask) = head.mask {
            frame::mask(payload, mask);
        }
        match head.first {
            frame::PING => frame::write(output, frame::PONG, payload),
            frame::PONG => {}
            first => frame::write(output, first, payload),
        }
        goes_on = head.first != frame::CLOSE;
        at = start + head.payload;
    }
    input.drain(..at);
    Ok(goes_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_come_in() {
        let mut sent = Vec::new();
        for (first, payload) in [
            (frame::TEXT, "one"),
            (frame::PING, "two"),
            (frame::PONG, "three"),
            (frame::CLOSE, ""),
            (frame::TEXT, "late"),
        ] {
            frame::write_masked(&mut sent, first, payload.as_bytes());
        }
        let (mut input, mut output, mut goes_on) = (Vec::new(), Vec::new(), true);
        for byte in sent {
            input.push(byte);
            if goes_on {
                goes_on = answer(&mut input, &mut output).unwrap();
            }
        }
        assert_eq!(output, b"\x81\x03one\x8a\x03two\x88\x00");
        assert!(!goes_on);
    }
}
