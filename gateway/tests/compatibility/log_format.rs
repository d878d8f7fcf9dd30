//! `settings/log-format.go`, `settings/access_log.go`: lines of requests, and how
//! values are escaped in them.

use serde_json::{Value, json};

use crate::auth_server::AuthServer;
use crate::site::{Site, config_map, ingress, ingress_of};
use crate::support::eventually;

const FLAG: &str = "--configmap=default/config";

/// The line of a request with this user agent, and of one without.
async fn two_lines(keys: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let log = [
        ("access-log-path", file.to_str().unwrap()),
        ("log-format-upstream", "[$http_user_agent]"),
    ];
    let yaml = ingress("web", &[]) + &config_map("config", &[&log[..], keys].concat());
    let site = Site::with(&["echo"], &yaml, &[FLAG]).await;
    site.ask_with("/", "User-Agent: say \"a\"\r\n").await;
    site.get("/").await;
    let text = || std::fs::read_to_string(&file).unwrap_or_default();
    eventually("two lines", || text().lines().count() == 2).await;
    text().lines().map(str::to_owned).collect()
}

const DEFAULT: [&str; 2] = ["[say \\x22a\\x22]", "[-]"];
const JSON: [&str; 2] = ["[say \\\"a\\\"]", "[]"];
const NONE: [&str; 2] = ["[say \"a\"]", "[]"];

/// Neither JSON nor raw unless a key says so.
#[tokio::test]
async fn log_format_1_default() {
    assert_eq!(two_lines(&[]).await, DEFAULT);
}

/// `log-format-escape-json`, on and off.
#[tokio::test]
async fn log_format_2_and_3_json() {
    assert_eq!(two_lines(&[("log-format-escape-json", "true")]).await, JSON);
    assert_eq!(two_lines(&[("log-format-escape-json", "false")]).await, DEFAULT);
}

/// `log-format-escape-none`, on and off.
#[tokio::test]
async fn log_format_4_and_5_none() {
    assert_eq!(two_lines(&[("log-format-escape-none", "true")]).await, NONE);
    assert_eq!(two_lines(&[("log-format-escape-none", "false")]).await, DEFAULT);
}

/// A format of one's own, to a file, without skipped URIs and quiet routes.
#[tokio::test]
async fn log_format_and_access_log_2_to_3() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let keys = config_map(
        "config",
        &[
            ("access-log-path", file.to_str().unwrap()),
            (
                "log-format-upstream",
                "{\"uri\":\"$request_uri\",\"agent\":\"$http_user_agent\",\"user\":\"$remote_user\",\"status\":$status,\"to\":\"$proxy_upstream_name\"}",
            ),
            ("log-format-escape-json", "true"),
            ("skip-access-log-urls", "/health"),
        ],
    );
    let quiet = ingress_of(
        "quiet",
        "quiet",
        &[("enable-access-log", "false")],
        &[("/", "Prefix", "echo")],
    );
    // A route that is off the direct path.
    let policies = ingress_of(
        "more",
        "more",
        &[("upstream-vhost", "x")],
        &[("/", "Prefix", "echo")],
    );
    let yaml = ingress("web", &[]) + &quiet + &policies + &keys;
    let site = Site::with(&["echo"], &yaml, &[FLAG]).await;
    site.get("/health").await;
    site.ask_host("quiet", "/").await;
    site.ask_host("nobody", "/").await;
    let fields = format!("User-Agent: a\"b\r\n{}", crate::auth::FOO_BAR);
    for (at, host) in ["foo", "more"].into_iter().enumerate() {
        let request = format!("GET /{host} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n");
        assert_eq!(site.request(&request).await.status, 200);
        lines(&file, at + 1).await;
    }
    let seen = lines(&file, 2).await;
    for (line, uri) in seen.iter().zip(["/foo", "/more"]) {
        assert_eq!(
            serde_json::from_str::<Value>(line).unwrap(),
            json!({"uri": uri, "agent": "a\"b", "user": "foo", "status": 200, "to": "default-echo-80"})
        );
    }
    assert_eq!(seen.len(), 2);
}

/// `annotations/disableaccesslog.go` 1 and 2, `annotations/log.go` 1: nothing is
/// logged with `disable-access-log` or `disable-http-access-log`, nor of an Ingress
/// with `enable-access-log: "false"`.
#[tokio::test]
async fn disableaccesslog_1_and_2_and_log_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let keys = |more: &[(&str, &str)]| {
        let log = [
            ("access-log-path", file.to_str().unwrap()),
            ("log-format-upstream", "$request_uri"),
        ];
        config_map("config", &[&log[..], more].concat())
    };
    let quiet = [("enable-access-log", "false")];
    let yaml = ingress("web", &[]) + &ingress_of("quiet", "quiet", &quiet, &[("/", "Prefix", "echo")]);
    for off in ["disable-access-log", "disable-http-access-log"] {
        let _ = std::fs::remove_file(&file);
        let site = Site::with(&["echo"], &(yaml.clone() + &keys(&[(off, "true")])), &[FLAG]).await;
        assert_eq!(site.get("/unseen").await.status, 200);
        site.write("objects.yaml", &site.objects(&(yaml.clone() + &keys(&[]))));
        // Lines come as soon as the log is on.
        let start = std::time::Instant::now();
        while std::fs::read_to_string(&file).unwrap_or_default().is_empty() {
            assert!(start.elapsed() < crate::support::PATIENCE, "no line");
            assert_eq!(site.get("/seen").await.status, 200);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(site.ask_host("quiet", "/unseen").await.status, 200);
        assert_eq!(site.get("/last").await.status, 200);
        let text = || std::fs::read_to_string(&file).unwrap();
        eventually("the last line", || text().ends_with("/last\n")).await;
        assert!(!text().contains("unseen"), "{off}: {}", text());
    }
}

/// Ours: requests of nobody's are logged where that is asked for, but never those
/// for `/healthz`, which nginx's default server keeps out of the log.
#[tokio::test]
async fn access_log_for_default_backend() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let keys = config_map(
        "config",
        &[
            ("access-log-path", file.to_str().unwrap()),
            ("log-format-upstream", "$request_uri $status"),
            ("enable-access-log-for-default-backend", "true"),
        ],
    );
    let site = Site::with(&["echo"], &(ingress("web", &[]) + &keys), &[FLAG]).await;
    assert_eq!(site.ask_host("nobody", "/healthz").await.status, 200);
    assert_eq!(site.ask_host("nobody", "/nothing").await.status, 404);
    lines(&file, 1).await;
    assert_eq!(site.get("/healthz").await.status, 200);
    let seen = lines(&file, 2).await;
    assert_eq!(
        seen,
        ["/nothing 404", "/healthz 200"],
        "the last is the Ingress's own"
    );
}

/// Lines of a log file, as soon as there are this many.
async fn lines(file: &std::path::Path, count: usize) -> Vec<String> {
    let start = std::time::Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if text.ends_with('\n') && text.lines().count() >= count {
            return text.lines().map(str::to_owned).collect();
        }
        assert!(
            start.elapsed() < crate::support::PATIENCE,
            "{count} lines: {text}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// A question to an authentication service is a line of its own, before the
/// line of its request; not on routes without a log, nor while the key is off.
#[tokio::test]
async fn enable_auth_access_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let auth = AuthServer::start().await;
    let keys = |on| {
        config_map(
            "config",
            &[
                ("access-log-path", file.to_str().unwrap()),
                (
                    "log-format-upstream",
                    "$request_uri $status $upstream_addr $upstream_status $body_bytes_sent [$proxy_upstream_name]",
                ),
                ("skip-access-log-urls", "/health"),
                ("enable-auth-access-log", on),
            ],
        )
    };
    let cached = [("auth-cache-key", "$host"), ("auth-cache-duration", "200 5m")];
    let url = auth.url("$uri");
    let with = |name, more: &[(&str, &str)]| {
        let annotations = [&[("auth-url", url.as_str())][..], more].concat();
        ingress_of(name, name, &annotations, &[("/", "Prefix", "echo")])
    };
    let yaml =
        with("web", &[]) + &with("cached", &cached) + &with("quiet", &[("enable-access-log", "false")]);
    let site = Site::with(&["echo"], &(yaml.clone() + &keys("true")), &[FLAG]).await;
    site.ask_host("web", "/health").await;
    site.ask_host("quiet", "/status/200").await;
    let asked = [
        ("web", "/status/403", 403),
        ("web", "/status/200", 200),
        ("cached", "/status/200?1", 200),
        ("cached", "/status/200?2", 200),
    ];
    for (at, (host, path, status)) in asked.into_iter().enumerate() {
        assert_eq!(site.ask_host(host, path).await.status, status);
        // A line is written after its answer: the next request's could overtake it.
        lines(&file, 2 * (at + 1)).await;
    }
    let seen = lines(&file, 8).await;
    let (service, name) = (auth.address, "[default-echo-80]");
    assert_eq!(seen[0], format!("/status/403 403 {service} 403 0 {name}"));
    assert!(seen[1].starts_with("/status/403 403 - - "), "{}", seen[1]);
    assert_eq!(seen[2], format!("/status/200 200 {service} 200 0 {name}"));
    assert!(!seen[3].contains(&service.to_string()), "{}", seen[3]);
    assert_eq!(seen[4], format!("/status/200?1 200 {service} 200 0 {name}"));
    assert_eq!(seen[6], format!("/status/200?2 200 - - 0 {name}"));
    assert_eq!(seen.len(), 8);
    let site = Site::with(&["echo"], &(yaml + &keys("false")), &[FLAG]).await;
    site.ask_host("web", "/status/403").await;
    assert_eq!(lines(&file, 9).await.len(), 9);
}

/// Lines go to a syslog server, and no more to the file; the server may be away.
#[tokio::test]
async fn enable_syslog() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    let keys = config_map(
        "config",
        &[
            ("access-log-path", file.to_str().unwrap()),
            ("log-format-upstream", "$request_uri $status"),
            ("enable-syslog", "true"),
            ("syslog-host", "127.0.0.1"),
            ("syslog-port", &port.to_string()),
        ],
    );
    let site = Site::with(&["echo"], &(ingress("web", &[]) + &keys), &[FLAG]).await;
    let mut buffer = [0; 4096];
    for path in ["/one", "/two"] {
        assert_eq!(site.get(path).await.status, 200);
        let received = tokio::time::timeout(crate::support::PATIENCE, server.recv(&mut buffer));
        let length = received.await.expect("a line in time").unwrap();
        let message = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(message.starts_with("<190>"), "{message}");
        assert!(message.ends_with(&format!(" nginx: {path} 200")), "{message}");
    }
    assert!(!file.exists(), "not to the file, too");
    drop(server);
    for _ in 0..3 {
        assert_eq!(site.get("/").await.status, 200);
    }
}
