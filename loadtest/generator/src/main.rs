//! Load that neither wrk nor h2load makes: fixed rates with what lateness costs,
//! gRPC, WebSocket messages that are echoed, TLS connections that resume a session.
//! `loadtest/saturate` runs it, with the variables that its other scenarios have;
//! the report is the same line of JSON.

mod arguments;
mod echo;
mod frame;
mod grpc;
mod head;
mod http1;
mod http2;
mod load;
mod report;
mod resumed;
mod timer;
mod tls;
mod transport;
#[path = "../../../gateway/tests/support/trust_all.rs"]
mod trust_all;
mod websocket;

use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::net::TcpListener;

use arguments::{Arguments, Command, HostNames, Plain, Secure, Target};
use report::Report;
use transport::Endpoint;

// One thread: scenarios compare proxies that have one core, and so has the load.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let report = match Arguments::parse().command {
        Command::Echo { listen } => return echo::serve(TcpListener::bind(listen).await?).await,
        Command::GrpcEcho { listen } => return grpc::serve(TcpListener::bind(listen).await?).await,
        Command::H1(Plain { address, target }) => {
            http1(Endpoint::plain(address), &target, [target.request(0)].into()).await
        }
        Command::H1Tls(Secure { address, target }) => {
            let endpoint = Endpoint::tls(address, &target.host, "http/1.1")?;
            http1(endpoint, &target, [target.request(0)].into()).await
        }
        Command::Hosts { plain, hosts } => {
            let requests = requests(&plain.target, &hosts);
            http1(Endpoint::plain(plain.address), &plain.target, requests).await
        }
        Command::Upload {
            address,
            size,
            target,
        } => http1(Endpoint::plain(address), &target, [target.request(size)].into()).await,
        Command::Handshakes(secure) => connections(&secure, false).await,
        Command::Resumed(secure) => connections(&secure, true).await,
        Command::H2(secure) => http2(&secure, None).await,
        Command::Grpc { secure, size } => http2(&secure, Some(size)).await,
        Command::Websocket {
            address,
            size,
            target,
        } => {
            let mut clients = Vec::new();
            for _ in 0..target.connections {
                let client = websocket::Client::connect(address, &target.host, &target.path, size.into());
                clients.push(client.await?);
            }
            run(clients, &target, target.connections).await
        }
    };
    report?.print();
    Ok(())
}

fn requests(target: &Target, hosts: &HostNames) -> Arc<[Vec<u8>]> {
    let host = |number| format!("{}{number}.{}", hosts.prefix, hosts.suffix);
    let request = |number| http1::request(&host(number), &target.path, target.origin.as_deref(), 0);
    (0..hosts.hosts.max(1)).map(request).collect()
}

async fn run<C: load::Client>(clients: Vec<C>, target: &Target, count: u32) -> Result<Report> {
    Ok(load::run(clients, target.pace(count)?).await?.0)
}

async fn http1(endpoint: Endpoint, target: &Target, requests: Arc<[Vec<u8>]>) -> Result<Report> {
    let (clients, count) = (target.connections as usize, requests.len());
    // They do not walk in step.
    let client = |number| {
        let first = number * count / clients;
        http1::Client::new(endpoint.clone(), requests.clone(), first)
    };
    run((0..clients).map(client).collect(), target, target.connections).await
}

/// With `STREAMS` clients on each connection; a size makes it calls of gRPC.
async fn http2(Secure { address, target }: &Secure, size: Option<u16>) -> Result<Report> {
    let uri = format!("https://{}{}", target.host, target.path);
    let uri: http::Uri = uri.parse().context("HOST and REQUEST_PATH")?;
    let message = size.map(http2::message);
    let mut clients = Vec::new();
    for _ in 0..target.connections {
        let endpoint = Endpoint::tls(*address, &target.host, "h2")?;
        let connection = http2::Connection::new(endpoint);
        for _ in 0..target.streams {
            let client = http2::Client::new(connection.clone(), uri.clone(), message.clone());
            clients.push(client);
        }
    }
    run(clients, target, target.connections * target.streams).await
}

async fn connections(Secure { address, target }: &Secure, keeps_tickets: bool) -> Result<Report> {
    let client = |_| resumed::Client::new(*address, &target.host, &target.path, keeps_tickets);
    let clients = (0..target.connections).map(client).collect::<Result<Vec<_>>>()?;
    let (mut report, clients) = load::run(clients, target.pace(target.connections)?).await?;
    if keeps_tickets {
        report.handshakes = Some(clients.iter().map(|client| client.handshakes).sum());
    }
    Ok(report)
}
