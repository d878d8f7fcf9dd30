//! Load that neither wrk nor h2load makes: WebSocket messages that are echoed, and
//! TLS connections that resume a session. `loadtest/saturate` runs it, with the
//! variables that its other scenarios have; the report is the same line of JSON.

mod echo;
mod frame;
mod head;
mod load;
mod report;
mod resumed;
#[path = "../../../gateway/tests/support/trust_all.rs"]
mod trust_all;
mod websocket;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};

use load::Pace;
use report::Report;

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve: every WebSocket message comes back, any other request gets 1 KiB.
    Echo {
        /// Where to listen.
        #[arg(long, env = "LISTEN", default_value = "127.0.0.1:9000")]
        listen: SocketAddr,
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
    /// A TLS 1.3 connection for each request; each client's first is new, all others resume.
    Resumed {
        /// The gateway's TLS listener.
        #[arg(long, env = "TLS_ADDRESS", default_value = "127.0.0.1:8443")]
        address: SocketAddr,
        #[command(flatten)]
        target: Target,
    },
}

/// What is asked, by how many, for how long.
#[derive(Args)]
struct Target {
    /// Host of the requests, also in TLS.
    #[arg(long, env = "HOST", default_value = "hello.nginx.com")]
    host: String,
    /// Path of the requests.
    #[arg(long, env = "REQUEST_PATH", default_value = "/")]
    path: String,
    /// Clients, each with one connection at a time.
    #[arg(long, env = "CONNECTIONS", default_value_t = 64)]
    connections: u32,
    /// Seconds.
    #[arg(long, env = "DURATION", default_value_t = 10)]
    duration: u32,
    /// Requests a second of all clients together; without it each asks as soon as it is answered.
    #[arg(long, env = "RATE")]
    rate: Option<f64>,
}

impl Target {
    fn pace(&self) -> Result<Pace> {
        ensure!(self.connections > 0, "CONNECTIONS must be at least 1");
        if let Some(rate) = self.rate {
            ensure!(rate.is_finite() && rate > 0.0, "RATE must be above 0");
        }
        let interval = self.rate.map(|rate| f64::from(self.connections) / rate);
        Ok(Pace {
            duration: Duration::from_secs(self.duration.into()),
            interval: interval.map(Duration::from_secs_f64),
        })
    }
}

// One thread: scenarios compare proxies that have one core, and so has the load.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let report = match Arguments::parse().command {
        Command::Echo { listen } => return echo::serve(tokio::net::TcpListener::bind(listen).await?).await,
        Command::Websocket {
            address,
            size,
            target,
        } => websocket(address, size, &target).await?,
        Command::Resumed { address, target } => resumed(address, &target).await?,
    };
    report.print();
    Ok(())
}

async fn websocket(address: SocketAddr, size: u16, target: &Target) -> Result<Report> {
    let pace = target.pace()?;
    let mut clients = Vec::new();
    for _ in 0..target.connections {
        clients.push(websocket::Client::connect(address, &target.host, &target.path, size.into()).await?);
    }
    let (report, _) = load::run(clients, pace).await?;
    Ok(report)
}

async fn resumed(address: SocketAddr, target: &Target) -> Result<Report> {
    let pace = target.pace()?;
    let client = |_| resumed::Client::new(address, &target.host, &target.path);
    let clients = (0..target.connections).map(client).collect::<Result<Vec<_>>>()?;
    let (mut report, clients) = load::run(clients, pace).await?;
    report.handshakes = Some(clients.iter().map(|client| client.handshakes).sum());
    Ok(report)
}
