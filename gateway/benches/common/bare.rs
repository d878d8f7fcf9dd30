//! A bare Pingora proxy that does nothing but forward, for comparisons: a
//! process of its own, as Tidegate is.

#![allow(unreachable_pub, reason = "several benchmarks use it")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use async_trait::async_trait;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session};

/// No routing, no header work, no metrics.
struct Bare(SocketAddr);

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _ctx: &mut (),
    ) -> pingora_core::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.0, false, String::new())))
    }
}

/// Serves until it is killed; `certificate` is a folder with `tls.crt` and `tls.key`,
/// which make it serve TLS.
pub fn run(listen: &str, upstream: &str, certificate: Option<&Path>) -> Result<()> {
    let conf = ServerConf {
        threads: 1,
        upstream_keepalive_pool_size: 320,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = pingora_proxy::http_proxy_service(&server.configuration, Bare(upstream.parse()?));
    match certificate {
        None => service.add_tcp(listen),
        Some(folder) => {
            let file = |name: &str| folder.join(name).display().to_string();
            service.add_tls(listen, &file("tls.crt"), &file("tls.key"))?;
        }
    }
    server.add_service(service);
    server.run_forever()
}

/// A proxy; it is killed when dropped.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program on the first core.
pub fn pinned(program: &str, args: &[String]) -> Result<Process> {
    let child = Command::new("taskset")
        .args(["-c", "0", program])
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting a proxy under taskset (package util-linux)")?;
    Ok(Process(child))
}
