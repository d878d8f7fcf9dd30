//! `lua/dynamic_certificates.go`, `ssl/`, `settings/default_ssl_certificate.go`,
//! and cert-manager's HTTP-01 flow: which certificate is shown, and when.

use crate::program::certificate_secret;
use crate::site::{HOST, Site, ingress, ingress_of};
use crate::support::PATIENCE;

const FAKE: &str = "Kubernetes Ingress Controller Fake Certificate";
const TLS: &str = "  tls: [{hosts: [foo], secretName: own}]\n";

/// A Secret for [`HOST`] whose certificate says this name too.
fn secret(name: &str, mark: &str) -> String {
    certificate_secret(name, &[HOST, mark])
}

/// Waits until the host's certificate says this name.
async fn shows(site: &Site, host: &str, mark: &str) {
    let start = std::time::Instant::now();
    loop {
        let certificate = site.tls(host).await.certificate.unwrap();
        if certificate
            .windows(mark.len())
            .any(|part| part == mark.as_bytes())
        {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{host} does not show {mark}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// TLS comes with the Ingress, its certificate with the Secret, whichever is
/// first; another content takes its place; without the Secret it is the default
/// certificate, and without TLS nothing redirects.
#[tokio::test]
async fn dynamic_certificates_1_2_4_5_and_7() {
    let site = Site::start(&ingress("web", &[])).await;
    assert_eq!(site.get("/").await.status, 200);
    site.write("objects.yaml", &site.objects(&(ingress("web", &[]) + TLS)));
    site.until(HOST, "/", |answer| answer.status == 308).await;
    shows(&site, HOST, FAKE).await;
    for mark in ["first.example", "second.example"] {
        site.write("own.yaml", &secret("own", mark));
        shows(&site, HOST, mark).await;
        assert_eq!(site.tls(HOST).await.get(HOST, "/").await.status, 200);
    }
    std::fs::remove_file(site.program.folder().join("own.yaml")).unwrap();
    shows(&site, HOST, FAKE).await;
    site.write("objects.yaml", &site.objects(&ingress("web", &[])));
    site.until(HOST, "/", |answer| answer.status == 200).await;
}

/// A trailing dot of the host does not matter.
#[tokio::test]
async fn dynamic_certificates_3_trailing_dot() {
    let yaml = ingress("web", &[]) + TLS + &secret("own", "first.example");
    let site = Site::start(&yaml).await;
    shows(&site, "foo.", "first.example").await;
    assert_eq!(site.tls("foo.").await.get("foo.", "/").await.status, 200);
}

/// Another host of the Ingress answers, with the default certificate.
#[tokio::test]
async fn dynamic_certificates_6_other_host() {
    let yaml = ingress("web", &[]) + TLS + &secret("own", "first.example");
    let site = Site::start(&yaml).await;
    shows(&site, HOST, "first.example").await;
    let renamed = ingress_of("web", "bar", &[], &[("/", "Prefix", "echo")])
        + "  tls: [{hosts: [bar], secretName: own}]\n"
        + &secret("own", "first.example");
    site.write("objects.yaml", &site.objects(&renamed));
    site.until("bar", "/", |answer| answer.status == 308).await;
    shows(&site, "bar", FAKE).await;
    assert_eq!(site.tls("bar").await.get("bar", "/").await.status, 200);
}

/// A Secret that is not there: redirected all the same.
#[tokio::test]
async fn ssl_1_missing_secret() {
    let site = Site::start(&(ingress("web", &[]) + TLS)).await;
    let answer = site.get("/").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (308, Some("https://foo"))
    );
}

/// Secrets that no Ingress names change nothing: there is one generation for
/// the next Ingress, and none for them.
#[tokio::test]
async fn ssl_2_other_secrets() {
    let site = Site::start(&(ingress("web", &[]) + TLS + &secret("own", "first.example"))).await;
    shows(&site, HOST, "first.example").await;
    let before = generation(&site).await;
    for mark in ["second.example", "third.example"] {
        site.write("other.yaml", &secret("other", mark));
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    let other = ingress_of("bar", "bar", &[], &[("/", "Prefix", "echo")]);
    site.write("bar.yaml", &other);
    site.until("bar", "/", |answer| answer.status == 200).await;
    assert_eq!(generation(&site).await, before + 1);
}

/// How often what is served has changed.
async fn generation(site: &Site) -> u64 {
    let text = crate::support::client::get(site.program.admin, "admin", "/metrics")
        .await
        .text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("tidegate_snapshot_generation "));
    line.unwrap().parse().unwrap()
}

/// A Secret that is not a certificate: the default one, and the Secret is named.
#[tokio::test]
async fn ssl_3_invalid_secret() {
    let broken = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: own}\ntype: kubernetes.io/tls\n\
        stringData: {tls.crt: none, tls.key: none}\n";
    let site = Site::start(&(ingress("web", &[]) + TLS + broken)).await;
    shows(&site, HOST, FAKE).await;
    let problems = site.problems("default/own").await;
    assert!(problems.contains("\"name\": \"web\""), "{problems}");
}

/// `--default-ssl-certificate` is shown where there is none, and where the
/// host's own is for another name.
#[tokio::test]
async fn default_ssl_certificate_1_and_2() {
    let other = ingress_of("other", "bar", &[], &[("/", "Prefix", "echo")])
        + "  tls: [{hosts: [bar], secretName: own}]\n";
    let yaml =
        other + &secret("own", "first.example") + &certificate_secret("fallback", &["fallback.example"]);
    let flags = ["--default-ssl-certificate=default/fallback"];
    let site = Site::with(&["echo"], &yaml, &flags).await;
    shows(&site, "nobody.example", "fallback.example").await;
    shows(&site, "bar", "fallback.example").await;
}

/// cert-manager's HTTP-01 flow: while the host has no certificate yet and lets
/// nobody in, the solver's temporary Ingress answers the challenge in plain HTTP,
/// with what it brings along; then the certificate comes, and the solver goes.
#[tokio::test]
async fn ours_http01() {
    let own = [
        ("force-ssl-redirect", "true"),
        ("whitelist-source-range", "192.0.2.0/24"),
        ("auth-url", "http://127.0.0.1:9/"),
    ];
    let yaml = ingress("web", &own) + TLS;
    let site = Site::with(&["echo", "cm-acme-http-solver-x7k2p"], &yaml, &[]).await;
    let challenge = "/.well-known/acme-challenge/LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
    assert_eq!(site.get("/").await.status, 308);
    assert_ne!(site.get(challenge).await.status, 200);
    let solver = ingress_of(
        "cm-acme-http-solver-9wz4l",
        HOST,
        &[("whitelist-source-range", "0.0.0.0/0,::/0")],
        &[(challenge, "ImplementationSpecific", "cm-acme-http-solver-x7k2p")],
    );
    site.write("solver.yaml", &solver);
    let answer = site.until(HOST, challenge, |answer| answer.status == 200).await;
    assert_eq!(answer.json()["upstream"], "cm-acme-http-solver-x7k2p");
    assert_eq!(answer.json()["uri"], challenge);
    site.write("own.yaml", &secret("own", "issued.example"));
    shows(&site, HOST, "issued.example").await;
    std::fs::remove_file(site.program.folder().join("solver.yaml")).unwrap();
    site.until(HOST, challenge, |answer| answer.status != 200).await;
}
