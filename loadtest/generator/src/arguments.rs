//! The command line; every option is a variable of the environment too.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};

use crate::http1;
use crate::load::Pace;

#[derive(Parser)]
#[command(version, about)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve: every WebSocket message comes back, any other request gets 1 KiB.
    Echo {
        /// Where to listen.
        #[arg(long, env = "LISTEN", default_value = "127.0.0.1:9000")]
        listen: SocketAddr,
    },
    /// Serve: the message of every unary call of gRPC comes back, over HTTP/2 without TLS.
    GrpcEcho {
        /// Where to listen.
        #[arg(long, env = "LISTEN", default_value = "127.0.0.1:9000")]
        listen: SocketAddr,
    },
    /// HTTP/1.1 keep-alive requests.
    H1(Plain),
    /// The same over TLS 1.3.
    H1Tls(Secure),
    /// HTTP/1.1 keep-alive requests to many hosts in turn.
    Hosts {
        #[command(flatten)]
        plain: Plain,
        #[command(flatten)]
        hosts: HostNames,
    },
    /// HTTP/1.1 keep-alive requests with bodies.
    Upload {
        /// The gateway's plain listener.
        #[arg(long, env = "ADDRESS", default_value = "127.0.0.1:8080")]
        address: SocketAddr,
        /// Bytes of a body.
        #[arg(long, env = "SIZE", default_value_t = 1 << 20)]
        size: usize,
        #[command(flatten)]
        target: Target,
    },
    /// A TLS 1.3 connection with a full handshake for each request.
    Handshakes(Secure),
    /// A TLS 1.3 connection for each request; each client's first is new, all others resume.
    Resumed(Secure),
    /// HTTP/2 over TLS 1.3, `STREAMS` requests at a time on each connection.
    H2(Secure),
    /// Unary calls of gRPC in the same way; each must come back with status 0.
    Grpc {
        #[command(flatten)]
        secure: Secure,
        /// Bytes of a message.
        #[arg(long, env = "SIZE", default_value_t = 1024)]
        size: u16,
    },
    /// WebSocket messages, one at a time on each connection, each when the last came back.
    Websocket {
        /// The gateway's plain listener.
        #[arg(long, env = "ADDRESS", default_value = "127.0.0.1:8080")]
        address: SocketAddr,
        /// Bytes of a message.
        #[arg(long, env = "SIZE", default_value_t = 1024)]
        size: u16,
        #[command(flatten)]
        target: Target,
    },
}

/// Load without TLS.
#[derive(Args)]
pub(crate) struct Plain {
    /// The gateway's plain listener.
    #[arg(long, env = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) address: SocketAddr,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Load over TLS.
#[derive(Args)]
pub(crate) struct Secure {
    /// The gateway's TLS listener.
    #[arg(long, env = "TLS_ADDRESS", default_value = "127.0.0.1:8443")]
    pub(crate) address: SocketAddr,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Hosts that are asked in turn: `PREFIX0.SUFFIX` and so on.
#[derive(Args)]
pub(crate) struct HostNames {
    /// How many.
    #[arg(long, env = "HOSTS", default_value_t = 1000)]
    pub(crate) hosts: usize,
    /// What stands before their numbers.
    #[arg(long, env = "PREFIX", default_value = "host")]
    pub(crate) prefix: String,
    /// The domain behind their numbers.
    #[arg(long, env = "SUFFIX", default_value = "example")]
    pub(crate) suffix: String,
}

/// What is asked, by how many, for how long.
#[derive(Args)]
pub(crate) struct Target {
    /// Host of the requests, also in TLS.
    #[arg(long, env = "HOST", default_value = "hello.nginx.com")]
    pub(crate) host: String,
    /// Path of the requests.
    #[arg(long, env = "REQUEST_PATH", default_value = "/")]
    pub(crate) path: String,
    /// The Origin field of HTTP/1.1 requests; without it they have none.
    #[arg(long, env = "ORIGIN")]
    pub(crate) origin: Option<String>,
    /// Connections at one time.
    #[arg(long, env = "CONNECTIONS", default_value_t = 64)]
    pub(crate) connections: u32,
    /// Requests at a time on each connection of HTTP/2.
    #[arg(long, env = "STREAMS", default_value_t = 10)]
    pub(crate) streams: u32,
    /// Seconds.
    #[arg(long, env = "DURATION", default_value_t = 10)]
    duration: u32,
    /// Requests a second of all clients together; without it each asks as soon as it is answered.
    #[arg(long, env = "RATE")]
    rate: Option<f64>,
}

impl Target {
    /// How often each of so many clients asks.
    ///
    /// # Errors
    /// Nobody asks, or never.
    pub(crate) fn pace(&self, clients: u32) -> Result<Pace> {
        ensure!(clients > 0, "CONNECTIONS and STREAMS must be at least 1");
        if let Some(rate) = self.rate {
            ensure!(rate.is_finite() && rate > 0.0, "RATE must be above 0");
        }
        let interval = self.rate.map(|rate| f64::from(clients) / rate);
        Ok(Pace {
            duration: Duration::from_secs(self.duration.into()),
            interval: interval.map(Duration::from_secs_f64),
        })
    }

    /// An HTTP/1.1 request, with so many bytes of body.
    pub(crate) fn request(&self, body: usize) -> Vec<u8> {
        http1::request(&self.host, &self.path, self.origin.as_deref(), body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound_and_a_rate_is_shared() {
        Arguments::command().debug_assert();
        let words = ["tidegate-load", "h2", "--rate=100", "--connections=2"];
        let Command::H2(secure) = Arguments::parse_from(words).command else {
            unreachable!("it was asked for");
        };
        let pace = secure.target.pace(20).unwrap();
        assert_eq!(pace.interval, Some(Duration::from_millis(200)));
        assert!(secure.target.pace(0).is_err());
    }
}
