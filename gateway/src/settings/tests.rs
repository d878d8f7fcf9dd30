use std::path::Path;

use super::*;

fn parse(text: &str) -> Result<Settings, String> {
    Settings::parse(text, Path::new("gateway.yaml")).map_err(|error| error.to_string())
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(parse("").unwrap(), Settings::default());
    assert_eq!(parse("# nothing\n").unwrap(), Settings::default());
    assert_eq!(parse("admin: {}\n").unwrap(), Settings::default());
}

#[test]
fn a_group_may_be_partial() {
    let settings = parse("listen:\n  httpPort: 8080\nshutdown:\n  grace: 5m\n").unwrap();
    assert_eq!(settings.listen.http_port, Some(8080));
    assert_eq!(settings.listen.https_port, Some(443));
    assert_eq!(settings.shutdown.grace, Some(Span::seconds(300)));
}

#[test]
fn errors_name_file_line_and_key() {
    let error = parse("admin:\n  prot: 1\n").unwrap_err();
    for part in ["gateway.yaml", "line 2", "prot", "port"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let error = parse("shutdown:\n  delay: 5 days\n").unwrap_err();
    for part in ["gateway.yaml", "line 2", "5 days", "1m30s"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let error = Settings::read(Path::new("/nonexistent/x.yaml"))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("/nonexistent/x.yaml: "), "{error}");
}

#[test]
fn contradictions_are_refused_by_key() {
    for (text, key) in [
        ("threads: 0", "threads"),
        ("listen: {httpPort: 443}", "listen.httpsPort"),
        ("listen: {httpPort: null, httpsPort: null}", "listen.httpsPort"),
        ("proxyProtocol: {enabled: true}", "proxyProtocol.trusted"),
        (
            "status: {publishService: a/b, publishAddresses: [192.0.2.1]}",
            "status.publishAddresses",
        ),
        (
            "provider: {kubernetes: {namespace: a, namespaceSelector: b=c}}",
            "provider.kubernetes.namespaceSelector",
        ),
        (
            "gatewayApi: {services: {}, addresses: [192.0.2.1]}",
            "gatewayApi.services",
        ),
        (
            "gatewayApi: {services: {ports: 20999-20000}}",
            "gatewayApi.services.ports",
        ),
        (
            "gatewayApi: {services: {type: ClusterIP, externalTrafficPolicy: Local}}",
            "gatewayApi.services.externalTrafficPolicy",
        ),
        (
            "gatewayApi: {services: {externalTrafficPolicy: Local, addresses: [192.0.2.1]}}",
            "gatewayApi.services.externalTrafficPolicy",
        ),
        (
            "gatewayApi: {services: {type: NodePort, loadBalancerClass: a/b}}",
            "gatewayApi.services.loadBalancerClass",
        ),
        ("client: {maxHeaderTotal: 100}", "client.maxHeaderLine"),
        ("metrics: {seriesCap: 5}", "metrics.seriesCap"),
        ("webhook: {secret: a/b}", "webhook.secret"),
        (
            "webhook: {secret: a/b, configuration: c, key: /k}",
            "webhook.secret",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert!(
            error.starts_with(&format!("gateway.yaml: {key}: ")),
            "{text}: {error}"
        );
    }
}

#[test]
fn durations_have_units() {
    for (text, milliseconds) in [
        ("250ms", 250),
        ("10s", 10_000),
        ("5m", 300_000),
        ("1m30s", 90_000),
        ("7", 7_000),
    ] {
        let span: Span = text.parse().unwrap();
        assert_eq!(span.0.as_millis(), milliseconds, "{text}");
        assert_eq!(span.to_string().parse(), Ok(span), "{text}");
    }
    for text in ["", "s", "5d", "5 s", "-1s", "1.5s", "99999999999999999999s"] {
        assert!(text.parse::<Span>().is_err(), "{text}");
    }
}

#[test]
fn every_key_has_a_comment() {
    for key in keys() {
        assert!(!key.comment.is_empty(), "{}", key.path);
    }
}

/// Compares a generated file with the one in the repository, or writes it when
/// `UPDATE_GENERATED` is set.
fn assert_fresh(path: &str, wanted: &str) {
    let file = repository(path);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&file, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == wanted,
        "{path} is stale: UPDATE_GENERATED=1 cargo test -p tidegate-gateway settings"
    );
}

#[test]
fn the_shown_file_has_every_key_with_its_default() {
    let mut text = String::from(
        "# Tidegate's settings: every key with its default. `tidegate run --config FILE`.\n\
         # Leave out what you do not change. Durations: 250ms, 10s, 5m, 1h, 1m30s.\n",
    );
    for key in keys() {
        let depth = key.path.matches('.').count();
        let indent = "  ".repeat(depth);
        let name = key.path.rsplit('.').next().unwrap();
        if depth == 0 {
            text.push('\n');
        }
        for line in wrap(&key.comment, 98 - indent.len()) {
            text.push_str(&format!("{indent}# {line}\n"));
        }
        text.push_str(format!("{indent}{name}: {}", key.default).trim_end());
        text.push('\n');
    }
    assert_fresh("conf/gateway.yaml", &text);
    assert_eq!(parse(&text).unwrap(), Settings::default());
    let shown: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(shown, serde_json::to_value(Settings::default()).unwrap());
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().unwrap();
        if !last.is_empty() && last.len() + 1 + word.len() > width {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}
