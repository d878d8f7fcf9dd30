//! `annotations/satisfy.go`.

use crate::auth::{FOO_BAR, htpasswd};
use crate::auth_server::AuthServer;
use crate::site::{Site, ingress};

async fn statuses(site: &Site) -> (u16, u16) {
    (
        site.get("/").await.status,
        site.ask_with("/", FOO_BAR).await.status,
    )
}

/// `any`: the address or the password; `all`: both.
#[tokio::test]
async fn case_1_any_and_all() {
    let annotations = |satisfy, range| {
        [
            ("satisfy", satisfy),
            ("whitelist-source-range", range),
            ("auth-type", "basic"),
            ("auth-secret", "users"),
        ]
    };
    for (satisfy, range, expected) in [
        ("any", "127.0.0.0/8", (200, 200)),
        ("any", "10.0.0.0/8", (401, 200)),
        ("all", "127.0.0.0/8", (401, 200)),
        ("all", "10.0.0.0/8", (403, 403)),
    ] {
        let yaml = ingress("a", &annotations(satisfy, range)) + &htpasswd();
        let site = Site::start(&yaml).await;
        assert_eq!(statuses(&site).await, expected, "{satisfy} {range}");
    }
}

/// `any` with a password and a service: the right password comes in, none is
/// sent to sign in.
#[tokio::test]
async fn case_2_password_or_service() {
    let auth = AuthServer::start().await;
    let url = auth.url("/auth");
    let annotations = [
        ("satisfy", "any"),
        ("auth-type", "basic"),
        ("auth-secret", "users"),
        ("auth-url", &url),
        ("auth-signin", "http://$host/auth/start"),
        ("auth-response-headers", "X-Auth-Request-User"),
    ];
    let site = Site::start(&(ingress("a", &annotations) + &htpasswd())).await;
    assert_eq!(statuses(&site).await, (302, 200));
    let answer = site
        .ask_with("/", "Cookie: _session=joe\r\nAuthorization: Basic eDp5\r\n")
        .await;
    assert_eq!(answer.status, 200);
    let seen = site.echo("echo").last();
    assert_eq!(seen.header("x-auth-request-user"), Some("joe"));
    assert_eq!(seen.header("authorization"), None);
    // By password, the service was not asked: the field is nobody's.
    let forged = format!("{FOO_BAR}X-Auth-Request-User: root\r\n");
    assert_eq!(site.ask_with("/", &forged).await.status, 200);
    assert_eq!(site.echo("echo").last().header("x-auth-request-user"), None);
}
