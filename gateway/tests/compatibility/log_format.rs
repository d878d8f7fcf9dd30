//! `settings/log-format.go`: how values are escaped in lines of the access log.

use crate::site::{Site, config_map, ingress};
use crate::support::eventually;

/// The line of a request with this user agent, and of one without.
async fn lines(keys: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let log = [
        ("access-log-path", file.to_str().unwrap()),
        ("log-format-upstream", "[$http_user_agent]"),
    ];
    let yaml = ingress("web", &[]) + &config_map("config", &[&log[..], keys].concat());
    let site = Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await;
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
    assert_eq!(lines(&[]).await, DEFAULT);
}

/// `log-format-escape-json`, on and off.
#[tokio::test]
async fn log_format_2_and_3_json() {
    assert_eq!(lines(&[("log-format-escape-json", "true")]).await, JSON);
    assert_eq!(lines(&[("log-format-escape-json", "false")]).await, DEFAULT);
}

/// `log-format-escape-none`, on and off.
#[tokio::test]
async fn log_format_4_and_5_none() {
    assert_eq!(lines(&[("log-format-escape-none", "true")]).await, NONE);
    assert_eq!(lines(&[("log-format-escape-none", "false")]).await, DEFAULT);
}
