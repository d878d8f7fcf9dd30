//! The demo's backend: answers everything with a welcome page.

use std::net::TcpListener;
use std::sync::Arc;

use anyhow::Context;
use tidegate_gateway::admin::{self, Pages, Reply};

/// In the manner of the page that a fresh nginx shows.
const PAGE: &str = "<!DOCTYPE html>\n<html>\n<head><title>Welcome to nginx!</title></head>\n<body>\n\
                    <h1>Welcome to nginx!</h1>\n\
                    <p>This page comes from the demo's backend, through Tidegate.</p>\n\
                    </body>\n</html>\n";

struct Welcome;

impl Pages for Welcome {
    fn page(&self, _path: &str, _query: &str) -> Option<Reply> {
        Some(Reply::html(PAGE))
    }
}

/// Serves it on a thread of its own until the process ends.
pub(super) fn start(listener: TcpListener) -> anyhow::Result<()> {
    listener.set_nonblocking(true).context("demo backend")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("demo backend")?;
    let serve = move || {
        runtime.block_on(async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                return;
            };
            // The sender lives as long as the server: it never stops.
            let (_stop, stopping) = tokio::sync::watch::channel(false);
            admin::serve(listener, Arc::new(Welcome), stopping).await;
        });
    };
    std::thread::Builder::new()
        .name("demo-backend".to_owned())
        .spawn(serve)
        .context("demo backend")?;
    Ok(())
}
