//! The stream that Pingora gets: plain TCP or TLS, with a small write buffer.
//!
//! No read buffer: Pingora's HTTP/1 reader, h2 and rustls have their own. The
//! write buffer joins a response's head and small body into one packet and one
//! TLS record; it is above TLS for that reason, and what does not fit goes out
//! together with it, uncopied (`writev`).

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use pingora_core::protocols::l4::socket::SocketAddr as PingoraAddress;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use pingora_http::ResponseHeader;
use std::os::fd::AsRawFd;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::server_tls::ServerTls;
use super::{Connection, Refusal};

const WRITE_BUFFER: usize = 2048;
/// What is held back while the stream is corked: a full TLS record.
const CORKED_BUFFER: usize = 16 * 1024;
/// nginx `lingering_timeout` and `lingering_time`: how long bytes that a client
/// is still sending are read after the last answer. Closing at once would reset
/// the connection, and the client might never see the answer.
const LINGERING_TIMEOUT: Duration = Duration::from_secs(5);
const LINGERING_TIME: Duration = Duration::from_secs(30);

/// TCP with bytes in front that were read while the connection was set up.
#[derive(Debug)]
pub(super) struct Prefixed {
    prefix: Bytes,
    tcp: TcpStream,
}

impl Prefixed {
    pub(super) fn new(prefix: Bytes, tcp: TcpStream) -> Self {
        Self { prefix, tcp }
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.tcp).poll_read(cx, buf);
        }
        let n = self.prefix.len().min(buf.remaining());
        buf.put_slice(&self.prefix[..n]);
        self.prefix.advance(n);
        if self.prefix.is_empty() {
            // Gives the memory back.
            self.prefix = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

pub(super) enum Io {
    Plain(Prefixed),
    Tls(Box<ServerTls<Prefixed>>),
}

impl Io {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(io) => &io.tcp,
            Self::Tls(io) => &io.io().tcp,
        }
    }

    fn tcp_mut(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(io) => &mut io.tcp,
            Self::Tls(io) => &mut io.io_mut().tcp,
        }
    }

    fn pin(&mut self) -> Pin<&mut dyn Transport> {
        match self {
            Self::Plain(io) => Pin::new(io),
            Self::Tls(io) => Pin::new(&mut **io),
        }
    }
}

pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Transport for T {}

/// A client's connection as Pingora reads and writes it.
pub(crate) struct Stream {
    io: Io,
    /// Bytes that Pingora wrote and did not flush yet.
    written: Vec<u8>,
    alpn: Option<ALPN>,
    connection: Arc<Connection>,
    proxy_digest: Arc<ProxyDigest>,
    socket_digest: Arc<SocketDigest>,
    ssl_digest: Option<Arc<SslDigest>>,
    established: SystemTime,
    lingering: Option<Lingering>,
    refusal: Option<Refusal>,
    refused: bool,
}

impl Stream {
    pub(super) fn new(io: Io, alpn: Option<ALPN>, connection: Connection) -> pingora_core::Result<Self> {
        let socket_digest = SocketDigest::from_raw_fd(io.tcp().as_raw_fd());
        // Now, because the digest would ask the kernel by number later, when
        // the number may belong to another connection.
        let inet = |address| Some(PingoraAddress::Inet(address));
        let _ = socket_digest.peer_addr.set(inet(connection.client));
        let _ = socket_digest.local_addr.set(inet(connection.local));
        let _ = socket_digest.original_dst.set(None);
        let ssl_digest = connection
            .tls
            .as_ref()
            .map(|tls| Arc::new(SslDigest::new(tls.cipher, tls.protocol, None, None, Vec::new())));
        let connection = Arc::new(connection);
        let data: Box<Arc<Connection>> = Box::new(Arc::clone(&connection));
        let response = Box::new(ResponseHeader::build(200, Some(0))?);
        Ok(Self {
            io,
            written: Vec::new(),
            alpn,
            connection,
            proxy_digest: Arc::new(ProxyDigest::new(response, Some(data))),
            socket_digest: Arc::new(socket_digest),
            ssl_digest,
            established: SystemTime::now(),
            lingering: None,
            refusal: None,
            refused: false,
        })
    }

    /// Its facts.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The connection itself, if there is no TLS on it and nothing waits to be written.
    pub(crate) fn plain(&self) -> Option<&TcpStream> {
        match &self.io {
            Io::Plain(io) if self.written.is_empty() => Some(&io.tcp),
            _ => None,
        }
    }

    /// Writes this instead of Pingora's own answer to a bad head.
    pub(super) fn refusing_with(mut self, refusal: Option<Refusal>) -> Self {
        self.refusal = refusal.filter(|_| !self.is_h2());
        self
    }

    /// Whether what Pingora writes now is its own: no request is in flight. Of
    /// such an answer only the first piece counts.
    fn refuses(&mut self) -> bool {
        let Some(refusal) = &self.refusal else {
            return self.refused;
        };
        if self.connection.activity.is_busy() {
            return false;
        }
        self.written = refusal(&self.connection);
        self.refusal = None;
        self.refused = true;
        true
    }

    pub(super) fn is_h2(&self) -> bool {
        self.alpn == Some(ALPN::H2)
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.written.is_empty() {
            let n = ready!(self.io.pin().poll_write(cx, &self.written))?;
            consume(&mut self.written, n)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what is left, with TLS together with the alert that nothing more comes.
    fn poll_last(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Io::Tls(io) = &mut self.io
            && !self.written.is_empty()
        {
            let n = io.queue(&self.written)?;
            self.written.drain(..n);
        }
        ready!(self.poll_drain(cx))?;
        match &mut self.io {
            Io::Tls(io) => io.poll_close(cx),
            Io::Plain(_) => Poll::Ready(Ok(())),
        }
    }

    /// What is read from now on is thrown away. Only who waits for the client needs
    /// to tell it so; otherwise closing the connection does.
    fn linger(&mut self, cx: &mut Context<'_>) -> &mut Lingering {
        let Self { lingering, io, .. } = self;
        lingering.get_or_insert_with(|| {
            // A socket does it at once or not at all.
            let _ = Pin::new(io.tcp_mut()).poll_shutdown(cx);
            Lingering::new()
        })
    }

    /// After the last answer: reads what the client is still sending, if the
    /// proxy knows that it is ([`Connection::linger`]) or something has come
    /// already.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut sink = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut sink);
            let read = self.io.pin().poll_read(cx, &mut buf);
            let lingering = match read {
                Poll::Pending if self.lingering.is_none() && !self.connection.activity.lingers() => {
                    return Poll::Ready(());
                }
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    self.linger(cx).heard();
                    continue;
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => self.linger(cx),
            };
            return lingering.silence.as_mut().poll(cx);
        }
    }
}

/// How long a closing connection is still read.
struct Lingering {
    end: Instant,
    silence: Pin<Box<Sleep>>,
}

impl Lingering {
    fn new() -> Self {
        Self {
            end: Instant::now() + LINGERING_TIME,
            silence: Box::pin(sleep(LINGERING_TIMEOUT)),
        }
    }

    fn heard(&mut self) {
        let deadline = self.end.min(Instant::now() + LINGERING_TIMEOUT);
        self.silence.as_mut().reset(deadline);
    }
}

/// Takes `n` written bytes from the front.
fn consume(written: &mut Vec<u8>, n: usize) -> io::Result<()> {
    if n == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    written.drain(..n);
    Ok(())
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.io.pin().poll_read(cx, buf))?;
        if let Io::Tls(io) = &self.io {
            self.connection.early.store(io.is_early(), Ordering::Relaxed);
        }
        if buf.filled().len() > before {
            self.connection.activity.bytes_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.refuses() {
            return Poll::Ready(Ok(buf.len()));
        }
        loop {
            if this.written.len() + buf.len() <= WRITE_BUFFER {
                this.written.reserve_exact(WRITE_BUFFER - this.written.len());
                this.written.extend_from_slice(buf);
                return Poll::Ready(Ok(buf.len()));
            }
            if this.written.is_empty() {
                return this.io.pin().poll_write(cx, buf);
            }
            let both = [IoSlice::new(&this.written), IoSlice::new(buf)];
            let n = ready!(this.io.pin().poll_write_vectored(cx, &both))?;
            if n > this.written.len() {
                let taken = n - this.written.len();
                this.written.clear();
                return Poll::Ready(Ok(taken));
            }
            consume(&mut this.written, n)?;
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Used by h2, which joins small frames itself, but not those of data.
        let this = self.get_mut();
        if this.connection.cork.is_held() {
            let length = bufs.iter().map(|buf| buf.len()).sum::<usize>();
            if this.written.len() + length <= CORKED_BUFFER {
                this.written.reserve_exact(CORKED_BUFFER - this.written.len());
                bufs.iter().for_each(|buf| this.written.extend_from_slice(buf));
                return Poll::Ready(Ok(length));
            }
        }
        ready!(this.poll_drain(cx))?;
        this.io.pin().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.written.is_empty() && this.connection.cork.defers_flush() {
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_drain(cx))?;
        if this.written.capacity() > WRITE_BUFFER {
            // Idle connections are many.
            this.written = Vec::new();
        }
        this.io.pin().poll_flush(cx)
    }

    /// Pingora ends HTTP/1 connections with this, not with its `Shutdown`.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            ready!(this.poll_last(cx))?;
        }
        if !this.is_h2() {
            ready!(this.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("client", &self.connection.client)
            .field("local", &self.connection.local)
            .field("tls", &self.ssl_digest.is_some())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Shutdown for Stream {
    async fn shutdown(&mut self) {
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for Stream {
    fn id(&self) -> UniqueIDType {
        self.io.tcp().as_raw_fd()
    }
}

impl Ssl for Stream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.ssl_digest.clone()
    }

    /// Also for HTTP/2 without TLS: the set-up has seen the preface.
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.alpn.clone()
    }
}

#[async_trait]
impl Peek for Stream {
    /// Pingora would look for HTTP/2's preface here, without a timeout. That is
    /// decided already: nothing is filled in, so that it finds none.
    async fn try_peek(&mut self, _buf: &mut [u8]) -> io::Result<bool> {
        Ok(true)
    }
}

impl GetTimingDigest for Stream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        vec![Some(TimingDigest {
            established_ts: self.established,
            ..TimingDigest::default()
        })]
    }
}

impl GetProxyDigest for Stream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(Arc::clone(&self.proxy_digest))
    }
}

impl GetSocketDigest for Stream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.socket_digest))
    }
}
