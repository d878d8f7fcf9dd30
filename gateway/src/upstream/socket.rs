//! Connections to endpoints that are made by us, where Pingora's own will not
//! do. Pingora's pool does not keep them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use pingora_core::connectors::L4Connect;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, OrErr, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Keeps pooled connections, which Pingora made, away from upgrades.
const UPGRADES: u64 = 0x7570_6772_6164_6573;

/// What Pingora takes for a connection.
///
/// Reading waits a turn after each write. Pingora sends a request and then, at
/// once, takes the end of its (empty) body from a queue and the answer from the
/// connection, whichever it looks at first. An answer 101 that is there before
/// that end was taken turns the end into that of the tunnel, and both sides are
/// closed (`proxy_handle_upstream` in pingora-proxy 0.9.1). With the turn, the end
/// is first however fast the endpoint is.
#[derive(Debug)]
pub(super) struct Socket<S> {
    stream: S,
    /// Since the last read.
    written: bool,
}

impl<S> Socket<S>
where
    S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug + 'static,
{
    pub(super) fn over(stream: S) -> Stream {
        let socket = Self {
            stream,
            written: false,
        };
        VirtualSocketStream::new(Box::new(socket)).into()
    }
}

impl<S> VirtualSocket for Socket<S>
where
    S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug,
{
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.written) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written = true;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Connects without a word. Pingora's `total_connection_timeout` bounds it.
///
/// # Errors
/// No connection came about.
pub(super) async fn connect(address: &SocketAddr) -> Result<TcpStream> {
    let Some(address) = address.as_inet() else {
        return Error::e_explain(ErrorType::ConnectError, "endpoints have IP addresses");
    };
    let tcp = TcpStream::connect(address)
        .await
        .or_err(ErrorType::ConnectError, "connecting to an endpoint")?;
    // Only slower without it.
    let _ = tcp.set_nodelay(true);
    Ok(tcp)
}

/// Plain TCP; Pingora's TLS goes on top of it where the endpoint wants that.
#[derive(Debug)]
struct Plain;

#[async_trait]
impl L4Connect for Plain {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        Ok(Socket::over(connect(address).await?))
    }
}

/// Changes how a request is sent that wants its connection upgraded.
pub fn for_upgrade(peer: &mut HttpPeer) {
    peer.group_key ^= UPGRADES;
    peer.options.custom_l4.get_or_insert_with(|| Arc::new(Plain));
}
