//! admission/admission.go: the validating webhook.

use serde_json::{Value, json};

use crate::program::free_ports;
use crate::site::{HOST, Site, ingress, ingress_of};
use crate::support::client::{Answer, Client};

struct Webhook {
    site: Site,
    address: std::net::SocketAddr,
    _folder: tempfile::TempDir,
}

impl Webhook {
    async fn start(yaml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pair = rcgen::generate_simple_self_signed(["webhook".to_owned()]).unwrap();
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        std::fs::write(&certificate, pair.cert.pem()).unwrap();
        std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
        let [address] = free_ports();
        let flags = [
            format!("--validating-webhook={address}"),
            format!("--validating-webhook-certificate={}", certificate.display()),
            format!("--validating-webhook-key={}", key.display()),
            "--configmap=default/config".to_owned(),
            "--watch-ingress-without-class".to_owned(),
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let site = Site::with(&["echo"], yaml, &flags).await;
        // Readiness is about traffic; the webhook's port may come a moment later.
        let open = || std::net::TcpStream::connect(address).is_ok();
        crate::support::eventually("the webhook's port is open", open).await;
        Self {
            site,
            address,
            _folder: folder,
        }
    }

    async fn post(&self, head: &str, body: &str) -> Answer {
        let mut client = Client::tls(self.address, "webhook", &["http/1.1"]).await;
        client
            .request(format!(
                "POST /networking/v1/ingresses HTTP/1.1\r\nHost: a\r\n{head}\r\n{body}"
            ))
            .await
    }

    /// The denial's message, or `None`.
    async fn denial(&self, object: &Value) -> Option<String> {
        let answer = self.judged("CREATE", object).await.json();
        assert_eq!(answer["response"]["uid"], "7");
        assert_eq!(
            answer["response"]["allowed"] == true,
            answer["response"]["status"].is_null()
        );
        answer["response"]["status"]["message"]
            .as_str()
            .map(str::to_owned)
    }

    async fn judged(&self, operation: &str, object: &Value) -> Answer {
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "7", "operation": operation, "object": object,
                "kind": {"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"},
            },
        })
        .to_string();
        let answer = self
            .post(&format!("Content-Length: {}\r\n", review.len()), &review)
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    }
}

fn object(name: &str, path: &str, annotations: &[(&str, &str)]) -> Value {
    let annotations: serde_json::Map<_, _> = annotations
        .iter()
        .map(|(key, value)| (format!("nginx.ingress.kubernetes.io/{key}"), json!(value)))
        .collect();
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default", "annotations": annotations},
        "spec": {"ingressClassName": "nginx", "rules": [{"host": HOST, "http": {"paths": [{
            "path": path, "pathType": "Prefix",
            "backend": {"service": {"name": "echo", "port": {"number": 80}}},
        }]}}]},
    })
}

/// A body of 9 MiB is answered 413.
#[tokio::test]
async fn admission_1_too_long() {
    let webhook = Webhook::start("").await;
    let answer = webhook.post("Content-Length: 9437184\r\n", "").await;
    assert_eq!(answer.status, 413);
}

/// A second Ingress with the same host and path is refused, with one canary
/// beside it is not.
#[tokio::test]
async fn admission_2_to_4_duplicates() {
    let webhook = Webhook::start(&ingress("first", &[])).await;
    let message = webhook.denial(&object("second", "/", &[])).await.unwrap();
    assert_eq!(
        message,
        "host \"foo\" and path \"/\" is already defined in ingress default/first"
    );
    let canary = [("canary", "true"), ("canary-by-header", "X-Canary")];
    assert_eq!(webhook.denial(&object("second", "/", &canary)).await, None);
    assert_eq!(webhook.denial(&object("second", "/other", &[])).await, None);
}

/// What is right is let in, its class said in either way, and is served.
#[tokio::test]
async fn admission_10_and_11_valid() {
    let by_annotation = ingress_of("old", "old", &[], &[("/", "Prefix", "echo")])
        .replace("  ingressClassName: nginx\n", "")
        .replace("    {}\n", "    kubernetes.io/ingress.class: nginx\n");
    let webhook = Webhook::start(&(ingress("a", &[]) + &by_annotation)).await;
    let by_field = object("a", "/", &[]);
    let mut by_annotation = object("old", "/", &[]);
    by_annotation["spec"] = json!({"rules": [{"host": "old"}]});
    by_annotation["metadata"]["annotations"] = json!({"kubernetes.io/ingress.class": "nginx"});
    for (object, host) in [(by_field, HOST), (by_annotation, "old")] {
        assert_eq!(webhook.denial(&object).await, None, "{host}");
        assert_eq!(webhook.site.ask_host(host, "/").await.status, 200, "{host}");
    }
}

/// Paths of known attacks and with characters that their type does not allow
/// are refused.
#[tokio::test]
async fn admission_5_and_9_paths() {
    let webhook = Webhook::start("").await;
    assert!(webhook.denial(&object("a", "/etc/nginx", &[])).await.is_some());
    assert!(
        webhook
            .denial(&object("a", "/foo/bar/[a-z]{3}", &[]))
            .await
            .is_some()
    );
    assert_eq!(webhook.denial(&object("a", "/mypage", &[])).await, None);
    assert_eq!(webhook.denial(&object("a", "/bloblo", &[])).await, None);
}

/// Annotations with blocklisted words are refused, snippets while they are
/// off, or if they are not in the grammar, and nothing of other classes.
#[tokio::test]
async fn admission_6_to_8_and_12_13_annotations() {
    let config = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config"},
        "data": {"annotation-value-word-blocklist": "}, set_by_lua"},
    });
    let webhook = Webhook::start(&format!("---\n{config}\n")).await;
    for value in ["a }", "set_by_lua x"] {
        let denial = webhook.denial(&object("a", "/", &[("app-root", value)])).await;
        assert!(denial.is_some(), "{value}");
    }
    let snippet = [("configuration-snippet", "something invalid")];
    assert!(webhook.denial(&object("a", "/", &snippet)).await.is_some());
    let allowed = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config"},
        "data": {"allow-snippet-annotations": "true", "annotations-risk-level": "Critical"},
    });
    let allowing = Webhook::start(&format!("---\n{allowed}\n")).await;
    assert!(allowing.denial(&object("a", "/", &snippet)).await.is_some());
    let good = [("configuration-snippet", "return 403;")];
    assert_eq!(allowing.denial(&object("a", "/", &good)).await, None);
    let mut other = object("a", "/", &snippet);
    other["spec"]["ingressClassName"] = json!("other");
    assert_eq!(webhook.denial(&other).await, None);
}

/// `settings/validations.go` 1 and 2: at risk level Medium, High and Critical
/// annotations are refused on an object that is new and on one that changes.
#[tokio::test]
async fn validations_1_and_2_risk_level() {
    let config = crate::site::config_map("config", &[("annotations-risk-level", "Medium")]);
    let webhook = Webhook::start(&(ingress("a", &[]) + &config)).await;
    for (annotation, value, refused) in [
        ("proxy-buffering", "off", false),
        ("proxy-body-size", "8m", false),
        ("upstream-hash-by", "$request_uri", true),
        ("server-snippet", "return 403;", true),
    ] {
        let object = object("a", "/", &[(annotation, value)]);
        for operation in ["CREATE", "UPDATE"] {
            let answer = webhook.judged(operation, &object).await.json();
            assert_eq!(
                answer["response"]["allowed"], !refused,
                "{operation} {annotation}"
            );
        }
    }
}

/// Ours: whoever reaches the port learns nothing of Secrets and of what ConfigMaps
/// hold.
#[tokio::test]
async fn ours_nothing_is_told() {
    let asked = [
        object("a", "/", &[("auth-type", "basic"), ("auth-secret", "users")]),
        object("a", "/", &[("auth-tls-secret", "default/users")]),
        object("a", "/", &[("custom-headers", "default/fields")]),
        object(
            "a",
            "/",
            &[
                ("auth-url", "http://a/"),
                ("auth-proxy-set-headers", "default/fields"),
            ],
        ),
    ];
    let present = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: users}\nstringData: {other: x}\n"
        .to_owned()
        + &crate::site::config_map("fields", &[("not allowed", "a value")]);
    let (with, without) = (Webhook::start(&present).await, Webhook::start("").await);
    for object in &asked {
        let [with, without] = [
            with.judged("CREATE", object).await.body,
            without.judged("CREATE", object).await.body,
        ];
        assert_eq!(String::from_utf8(with), String::from_utf8(without));
    }
}
