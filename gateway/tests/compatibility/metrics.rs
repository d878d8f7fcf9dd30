//! `metrics/metrics.go`: what ingress-nginx's metrics leave out and take in.

use crate::site::{HOST, Site, ingress};
use crate::support::client;

const REQUESTS: &str = "nginx_ingress_controller_requests{";
const DURATION: &str = "nginx_ingress_controller_request_duration_seconds_bucket{";

/// The metrics after a request of nobody's and one of [`HOST`], as soon as these
/// hosts are counted.
async fn metrics(flags: &[&str], hosts: &[&str]) -> String {
    let site = Site::with(&["echo"], &ingress("web", &[]), flags).await;
    assert_eq!(site.ask_host("nobody", "/").await.status, 404);
    assert_eq!(site.get("/").await.status, 200);
    let start = std::time::Instant::now();
    loop {
        let text = client::get(site.program.admin, "admin", "/metrics").await.text();
        // A request is counted when its answer is on its way.
        if hosts.iter().all(|host| counted(&text, host)) {
            return text;
        }
        assert!(start.elapsed() < crate::support::PATIENCE, "{text}");
    }
}

fn counted(text: &str, host: &str) -> bool {
    let label = format!("host=\"{host}\"");
    let mut lines = text.lines().filter(|line| line.starts_with(REQUESTS));
    lines.any(|line| line.contains(&label))
}

/// A metric that is excluded is not there, others are (1); a name that no metric
/// has excludes nothing (2).
#[tokio::test]
async fn metrics_1_and_2_excluded() {
    let excluded = "--exclude-socket-metrics=nginx_ingress_controller_request_duration_seconds";
    let text = metrics(&[excluded], &[HOST]).await;
    assert!(text.contains(REQUESTS) && !text.contains(DURATION), "{text}");
    let text = metrics(&["--exclude-socket-metrics=nobody"], &[HOST]).await;
    assert!(text.contains(REQUESTS) && text.contains(DURATION), "{text}");
}

/// Requests for a host that no Ingress has are counted with the flag alone, as
/// those of the host `_`: names that clients invent would be series without end.
#[tokio::test]
async fn metrics_3_and_4_undefined_host() {
    let text = metrics(&["--metrics-per-undefined-host=true"], &[HOST, "_"]).await;
    assert!(!counted(&text, "nobody"), "{text}");
    let text = metrics(&[], &[HOST]).await;
    assert!(!counted(&text, "_"), "{text}");
}
