//! `annotations/auth.go`: passwords.

use crate::site::{Site, config_map, ingress, ingress_of};
use crate::support::client::Answer;

#[allow(dead_code, reason = "documentation is made of it")]
pub(crate) const NOT_TESTED: &[(&str, &str)] = &[
    (
        "case_25_26",
        "auth-keepalive-share-vars is about variables of nginx's subrequests",
    ),
    (
        "case_35",
        "the reason phrase of an upstream is not passed on: HTTP/2 has none",
    ),
];

/// `foo` with the password `bar`.
pub(crate) const FOO_BAR: &str = "Authorization: Basic Zm9vOmJhcg==\r\n";
const WRONG: &str = "Authorization: Basic Zm9vOndyb25n\r\n";
/// Bcrypt of `bar`, at the lowest cost.
pub(crate) const BAR: &str = "$2b$04$abcdefghijklmnopqrstuuEnktNu4dNa/sMz6nY.lAbxawdTTajT2";

/// A Secret of any type.
pub(crate) fn secret(name: &str, data: &[(&str, &str)]) -> String {
    let mut yaml = format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData:\n");
    for (key, value) in data {
        yaml += &format!("  {key}: {value:?}\n");
    }
    yaml
}

pub(crate) fn htpasswd() -> String {
    secret("users", &[("auth", &format!("foo:{BAR}\n"))])
}

const BASIC: [(&str, &str); 3] = [
    ("auth-type", "basic"),
    ("auth-secret", "users"),
    ("auth-realm", "test auth"),
];

async fn protected(secret: &str, more: &[(&str, &str)]) -> Site {
    let annotations = [&BASIC[..], more].concat();
    Site::start(&(ingress("a", &annotations) + secret)).await
}

async fn get(site: &Site, fields: &str) -> Answer {
    site.ask_with("/", fields).await
}

/// Without annotations everybody comes in.
#[tokio::test]
async fn case_1_none() {
    let site = Site::start(&ingress("a", &[])).await;
    assert_eq!(site.get("/").await.status, 200);
}

/// A Secret that does not exist closes the routes, until it does.
#[tokio::test]
async fn case_2_missing_secret() {
    let site = protected("", &[]).await;
    assert_eq!(site.get("/").await.status, 503);
    assert_eq!(get(&site, FOO_BAR).await.status, 503);
    site.write("users.yaml", &htpasswd());
    site.until("foo", "/", |answer| answer.status == 401).await;
    assert_eq!(get(&site, FOO_BAR).await.status, 200);
}

/// No or wrong credentials: 401 with a challenge; right ones: 200, and they do
/// not reach the backend.
#[tokio::test]
async fn case_3_4_6_credentials() {
    let site = protected(&htpasswd(), &[]).await;
    for fields in [
        "",
        WRONG,
        "Authorization: Bearer x\r\n",
        "Authorization: Basic !\r\n",
    ] {
        let answer = get(&site, fields).await;
        assert_eq!(answer.status, 401, "{fields}");
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Basic realm=\"test auth\"")
        );
    }
    assert_eq!(site.echo("echo").count(), 0);
    for _ in 0..2 {
        assert_eq!(get(&site, FOO_BAR).await.status, 200);
        assert_eq!(site.echo("echo").last().header("authorization"), None);
    }
    assert_eq!(get(&site, WRONG).await.status, 401);
}

/// The backend learns the user where the ConfigMap's headers say so
/// (`$remote_user`), and a client cannot say it for itself.
#[tokio::test]
async fn the_user_is_told() {
    let yaml = ingress("a", &BASIC)
        + &ingress_of("open", "open", &[], &[("/", "Prefix", "echo")])
        + &htpasswd()
        + &config_map("fields", &[("X-User", "$remote_user")])
        + &config_map("controller", &[("proxy-set-headers", "default/fields")]);
    let site = Site::with(&["echo"], &yaml, &["--configmap=default/controller"]).await;
    let forged = format!("X-User: root\r\n{FOO_BAR}");
    assert_eq!(get(&site, &forged).await.status, 200);
    assert_eq!(site.echo("echo").last().header("x-user"), Some("foo"));
    site.ask_host("open", "/").await;
    assert_eq!(site.echo("echo").last().header("x-user"), None);
}

/// 401 carries CORS headers.
#[tokio::test]
async fn case_5_cors() {
    let site = protected(&htpasswd(), &[("enable-cors", "true")]).await;
    let answer = site.get("/").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
}

/// A Secret whose keys are users.
#[tokio::test]
async fn case_7_map() {
    let users = secret("users", &[("foo", BAR), ("note", "no hash")]);
    let site = protected(&users, &[("auth-secret-type", "auth-map")]).await;
    assert_eq!(get(&site, FOO_BAR).await.status, 200);
    assert_eq!(get(&site, WRONG).await.status, 401);
}

/// A file without users lets nobody in.
#[tokio::test]
async fn case_8_invalid_file() {
    let site = protected(&secret("users", &[("auth", "invalid")]), &[]).await;
    assert_eq!(get(&site, FOO_BAR).await.status, 401);
    assert_eq!(get(&site, "").await.status, 401);
}

/// A neighbour with a broken Secret does not keep others from working, nor new
/// ones.
#[tokio::test]
async fn case_18_bad_neighbour() {
    let bad = ingress_of("bad", "bad", &BASIC, &[("/", "Prefix", "echo")]);
    let site = Site::start(&bad).await;
    assert_eq!(site.ask_host("bad", "/").await.status, 503);
    site.write("good.yaml", &ingress("good", &[]));
    site.until("foo", "/", |answer| answer.status == 200).await;
}

/// `settings/no_auth_locations.go`, its default: ACME needs no password.
#[tokio::test]
async fn acme_needs_no_password() {
    let paths = [
        ("/", "Prefix", "echo"),
        ("/.well-known/acme-challenge", "Prefix", "echo"),
    ];
    let yaml = ingress_of("a", "foo", &BASIC, &paths) + &htpasswd();
    let site = Site::start(&yaml).await;
    assert_eq!(site.get("/").await.status, 401);
    assert_eq!(site.get("/.well-known/acme-challenge/x").await.status, 200);
    assert_eq!(
        site.get("/.well-known/acme-challenge/../../secret").await.status,
        401,
        "by the path that is matched"
    );
}

/// MD5 of texts with colons between, as clients of digest authentication make
/// it.
fn md5(text: &str) -> String {
    use md5::{Digest, Md5};
    let digest = Md5::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a client answers to a challenge for `GET uri`.
fn proof(challenge: &str, uri: &str, password: &str) -> String {
    let (_, rest) = challenge.split_once("nonce=\"").unwrap();
    let nonce = rest.split('"').next().unwrap();
    let user = md5(&format!("foo:test auth:{password}"));
    let action = md5(&format!("GET:{uri}"));
    let response = md5(&format!("{user}:{nonce}:00000001:c:auth:{action}"));
    format!(
        "Authorization: Digest username=\"foo\", realm=\"test auth\", nonce=\"{nonce}\", uri=\"{uri}\", \
         algorithm=MD5, qop=auth, nc=00000001, cnonce=\"c\", response=\"{response}\"\r\n"
    )
}

/// Digest authentication, which ingress-nginx has no case for: the challenge,
/// the proof, which does not reach the backend, and what is no proof.
#[tokio::test]
async fn digest() {
    let users = secret(
        "users",
        &[("auth", &format!("foo:test auth:{}\n", md5("foo:test auth:bar")))],
    );
    let annotations = [("auth-type", "digest"), BASIC[1], BASIC[2]];
    let site = Site::start(&(ingress("a", &annotations) + &users)).await;
    let asked = site.get("/x?y").await;
    assert_eq!(asked.status, 401);
    let challenge = asked.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Digest realm=\"test auth\", qop=\"auth\", algorithm=MD5, nonce=\""));
    assert_eq!(site.echo("echo").count(), 0);
    let right = proof(challenge, "/x?y", "bar");
    for _ in 0..2 {
        assert_eq!(site.ask_with("/x?y", &right).await.status, 200);
        assert_eq!(site.echo("echo").last().header("authorization"), None);
    }
    for (path, fields) in [
        ("/x?y", proof(challenge, "/x?y", "baz")),
        ("/other", right.clone()),
        ("/x?y", FOO_BAR.to_owned()),
    ] {
        let answer = site.ask_with(path, &fields).await;
        assert_eq!(answer.status, 401, "{path} {fields}");
        assert!(!answer.header("www-authenticate").unwrap().contains("stale"));
    }
    let old = challenge.replace("nonce=\"", "nonce=\"0");
    let answer = site.ask_with("/x?y", &proof(&old, "/x?y", "bar")).await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").unwrap().ends_with("stale=true"));
}
