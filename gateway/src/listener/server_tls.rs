//! The server's side of TLS, over rustls.
//!
//! tokio-rustls would do for the most part. This is our own for three reasons:
//! - It hands a connection over when its handshake has ended, a round trip later
//!   than what early data is for (RFC 8446 section 2.3, nginx `ssl_early_data`).
//! - It sends the tickets of TLS 1.3 in a packet of their own. Nobody waits for
//!   them: here they leave with the first answer.
//! - It sends the alert that closes a connection in a packet of its own as well.
//!   Here it can leave with the last answer.

use std::future::poll_fn;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

/// A TLS connection over `io`.
#[derive(Debug)]
pub(super) struct ServerTls<I> {
    session: ServerConnection,
    io: I,
    /// The client has ended the TCP connection.
    ended: bool,
    /// Nothing that was early is left, and nothing more will be.
    early_is_over: bool,
}

/// Reads a ClientHello.
///
/// # Errors
/// The connection's, and what is wrong with the ClientHello, after the client
/// has been told.
pub(super) async fn hello<I: AsyncRead + AsyncWrite + Unpin>(io: &mut I) -> io::Result<Box<Accepted>> {
    // What is large is on the heap, not in the future, of which each connection has one.
    let mut acceptor = Box::new(Acceptor::default());
    loop {
        match acceptor.accept().map(|accepted| accepted.map(Box::new)) {
            Ok(Some(accepted)) => return Ok(accepted),
            Ok(None) => {}
            Err((error, alert)) => return Err(Box::pin(refuse(error, alert, io)).await),
        }
        let read = poll_fn(|cx| pending(acceptor.read_tls(&mut Adapter { io: &mut *io, cx })));
        if read.await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Tells the client why there is no handshake, and ends the connection.
pub(super) async fn refuse<I: AsyncWrite + Unpin>(
    error: rustls::Error,
    mut alert: AcceptedAlert,
    io: &mut I,
) -> io::Error {
    let mut bytes = Vec::new();
    // The first error is the one to tell; writing into memory cannot fail.
    let _ = alert.write(&mut bytes);
    let _ = io.write_all(&bytes).await;
    let _ = io.shutdown().await;
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl<I: AsyncRead + AsyncWrite + Unpin> ServerTls<I> {
    /// Takes in a ClientHello.
    ///
    /// # Errors
    /// There is nothing to agree on; for [`refuse`].
    pub(super) fn start(
        accepted: Box<Accepted>,
        config: Arc<ServerConfig>,
        io: I,
    ) -> Result<Box<Self>, Box<(rustls::Error, AcceptedAlert, I)>> {
        match accepted.into_connection(config) {
            Ok(session) => Ok(Box::new(Self {
                session,
                io,
                ended: false,
                early_is_over: false,
            })),
            Err((error, alert)) => Err(Box::new((error, alert, io))),
        }
    }

    /// Answers the ClientHello, and returns as soon as there is something to read:
    /// at the end of the handshake, or at once if the client sends early data.
    ///
    /// # Errors
    /// The connection's, and the handshake's after the client has been told.
    pub(super) async fn handshake(&mut self) -> io::Result<()> {
        let done = match self.process() {
            Ok(()) => self.shake_hands().await,
            Err(error) => Err(error),
        };
        if done.is_err() {
            // The alert, if there is one; the first error is the one to tell.
            let _ = self.flush().await;
            let _ = self.io.shutdown().await;
        }
        done
    }

    async fn shake_hands(&mut self) -> io::Result<()> {
        self.flush().await?;
        while self.session.is_handshaking() {
            if self.session.early_data().is_some() {
                return Ok(());
            }
            if poll_fn(|cx| self.poll_fill(cx)).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if self.session.is_handshaking() || !self.speaks_first() {
                self.flush().await?;
            }
        }
        self.early_is_over = true;
        Ok(())
    }

    /// Whether the client may speak as soon as it has ended the handshake: what is
    /// left for it then, tickets, can wait (RFC 8446 section 2).
    fn speaks_first(&self) -> bool {
        self.session.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }
}

impl<I> ServerTls<I> {
    pub(super) fn session(&self) -> &ServerConnection {
        &self.session
    }

    pub(super) fn io(&self) -> &I {
        &self.io
    }

    pub(super) fn io_mut(&mut self) -> &mut I {
        &mut self.io
    }

    /// Whether what was read until now may have come before the end of the handshake.
    pub(super) fn is_early(&self) -> bool {
        self.session.is_handshaking()
    }

    fn process(&mut self) -> io::Result<()> {
        let state = self.session.process_new_packets();
        state
            .map(drop)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> ServerTls<I> {
    /// Takes in what has come; 0 at the end of the TCP connection.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut adapter = Adapter { io: &mut self.io, cx };
        let n = ready!(pending(self.session.read_tls(&mut adapter)))?;
        self.ended |= n == 0;
        if let Err(error) = self.process() {
            // The alert; should it not fit now, the connection ends without.
            let _ = self.poll_send(cx);
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(n))
    }

    /// Writes all that the session has for the client.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            let mut adapter = Adapter { io: &mut self.io, cx };
            if ready!(pending(self.session.write_tls(&mut adapter)))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what it has room for, to send it with whatever is sent next.
    pub(super) fn queue(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.session.writer().write(bytes)
    }

    /// Tells the client that nothing more comes, and leaves the TCP connection open.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Only the first of these alerts is sent.
        self.session.send_close_notify();
        self.poll_send(cx)
    }

    /// What `write` takes into the session, which holds so much and no more.
    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&mut ServerConnection) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let n = write(&mut self.session)?;
            let sent = self.poll_send(cx)?;
            if n > 0 {
                return Poll::Ready(Ok(n));
            }
            ready!(sent);
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for ServerTls<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            // What is early comes before all else.
            if !this.early_is_over
                && buf.remaining() > 0
                && let Some(mut early) = this.session.early_data()
            {
                let n = early.read(buf.initialize_unfilled())?;
                if n > 0 {
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
                this.early_is_over = !this.session.is_handshaking();
            }
            match this.session.reader().fill_buf() {
                Ok(ready) => {
                    let n = ready.len().min(buf.remaining());
                    buf.put_slice(&ready[..n]);
                    this.session.reader().consume(n);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !this.ended => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
            let was_early = this.is_early();
            ready!(this.poll_fill(cx))?;
            if was_early {
                // The end of the handshake brings tickets, maybe after the last
                // answer; whatever does not fit now leaves with the next one.
                let _ = this.poll_send(cx)?;
            }
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ServerTls<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.get_mut()
            .poll_accept(cx, |session| session.writer().write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let write = |session: &mut ServerConnection| session.writer().write_vectored(bufs);
        self.get_mut().poll_accept(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_close(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

fn pending<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

/// `io` as rustls reads and writes it: without a task.
struct Adapter<'a, 'b, I> {
    io: &'a mut I,
    cx: &'a mut Context<'b>,
}

fn blocking<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<I: AsyncRead + Unpin> Read for Adapter<'_, '_, I> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        blocking(Pin::new(&mut *self.io).poll_read(self.cx, &mut buf))?;
        Ok(buf.filled().len())
    }
}

impl<I: AsyncWrite + Unpin> Write for Adapter<'_, '_, I> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        blocking(Pin::new(&mut *self.io).poll_write(self.cx, buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        blocking(Pin::new(&mut *self.io).poll_write_vectored(self.cx, bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        blocking(Pin::new(&mut *self.io).poll_flush(self.cx))
    }
}
