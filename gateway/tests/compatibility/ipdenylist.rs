//! `annotations/ipdenylist.go`: the client's address is what a trusted proxy says.

use crate::site::{HOST, Site, ingress};

async fn site(annotations: &[(&str, &str)]) -> (Site, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    std::fs::write(
        &file,
        "forwarding: {useForwardedHeaders: true, trusted: [127.0.0.0/8]}\n",
    )
    .unwrap();
    let flag = format!("--config={}", file.display());
    let site = Site::with(&["echo"], &ingress("a", annotations), &[&flag]).await;
    (site, folder)
}

async fn statuses(site: &Site, clients: &[&str]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for client in clients {
        let answer = site
            .ask_with("/", &format!("X-Forwarded-For: {client}\r\n"))
            .await;
        statuses.push(answer.status);
    }
    statuses
}

/// Denied addresses get 403, others come in.
#[tokio::test]
async fn case_1_deny() {
    let (site, _folder) = site(&[("denylist-source-range", "18.0.0.0/8,56.0.0.1")]).await;
    let clients = ["18.0.0.1", "56.0.0.1", "56.0.0.2"];
    assert_eq!(statuses(&site, &clients).await, [403, 403, 200]);
}

/// With both lists an address must be allowed and not denied.
#[tokio::test]
async fn case_2_deny_and_allow() {
    let (site, _folder) = site(&[
        ("denylist-source-range", "18.1.0.0/16,56.0.0.0/8"),
        ("whitelist-source-range", "18.0.0.0/8,55.0.0.0/8"),
    ])
    .await;
    let clients = ["18.1.0.1", "10.10.10.10", "18.4.0.1", "55.55.55.55"];
    assert_eq!(statuses(&site, &clients).await, [403, 403, 200, 200]);
}

/// Over HTTP/2 the same, on one connection.
#[tokio::test]
async fn ours_http2() {
    let (site, _folder) = site(&[("denylist-source-range", "18.0.0.0/8"), ("ssl-redirect", "false")]).await;
    let mut client = site.http2(HOST).await;
    for (from, status) in [("18.0.0.1", 403), ("56.0.0.2", 200), ("18.0.0.1", 403)] {
        let request = http::Request::get(format!("https://{HOST}/")).header("x-forwarded-for", from);
        let (answer, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), status, "{from}");
    }
    assert_eq!(site.echo("echo").count(), 1);
}
