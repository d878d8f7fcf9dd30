//! `settings/ingress_class.go`, `settings/disable_catch_all.go`, and
//! `ingress/deep_inspection.go`, `multiple_rules.go`, `without_host.go`: which
//! Ingresses count, and which of their names.

use crate::site::{HOST, Site, ingress, ingress_of};

/// An Ingress whose host is its name, with this class by field and annotation.
fn classed(name: &str, field: Option<&str>, annotation: Option<&str>) -> String {
    let mut yaml = ingress_of(name, name, &[], &[("/", "Prefix", "echo")]);
    let field = field.map_or_else(String::new, |class| format!("  ingressClassName: {class}\n"));
    yaml = yaml.replace("  ingressClassName: nginx\n", &field);
    if let Some(class) = annotation {
        yaml = yaml.replace("    {}\n", &format!("    kubernetes.io/ingress.class: {class}\n"));
    }
    yaml
}

fn class(name: &str, controller: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {{name: {name}}}\n\
         spec: {{controller: {controller}}}\n"
    )
}

async fn statuses(site: &Site, expected: &[(&str, u16)]) {
    for (host, status) in expected {
        assert_eq!(site.ask_host(host, "/").await.status, *status, "{host}");
    }
}

/// By annotation, by field, by another's class, by none.
#[tokio::test]
async fn ingress_class_1_to_4() {
    let yaml = class("foreign", "example.com/other")
        + &classed("annotation", None, Some("nginx"))
        + &classed("field", Some("nginx"), None)
        + &classed("other-annotation", None, Some("other"))
        + &classed("other-field", Some("foreign"), None)
        + &classed("none", None, None);
    let site = Site::start(&yaml).await;
    let expected = [
        ("annotation", 200),
        ("field", 200),
        ("other-annotation", 404),
        ("other-field", 404),
        ("none", 404),
    ];
    statuses(&site, &expected).await;
}

/// The class is taken away, given, and said in the other way.
#[tokio::test]
async fn ingress_class_5_to_7_changes() {
    let site = Site::start(&classed("web", Some("nginx"), None)).await;
    for (field, annotation, status) in [
        (None, None, 404),
        (None, Some("nginx"), 200),
        (Some("nginx"), None, 200),
        (None, None, 404),
        (Some("nginx"), None, 200),
    ] {
        let objects = site.objects(&classed("web", field, annotation));
        site.write("objects.yaml", &objects);
        site.until("web", "/", |answer| answer.status == status).await;
    }
}

/// Where no IngressClass is known, as without the right to read them, the
/// annotation says enough, and the field says nothing.
#[tokio::test]
async fn ingress_class_11_and_12_no_class_known() {
    let yaml = classed("annotation", None, Some("testclass")) + &classed("field", Some("testclass"), None);
    let site = Site::with(&["echo"], &yaml, &["--ingress-class=testclass"]).await;
    statuses(&site, &[("annotation", 200), ("field", 404)]).await;
}

/// Other names of class and controller: both ways to say it go by them.
#[tokio::test]
async fn ingress_class_8_other_names() {
    let yaml = class("testclass", "example.com/other")
        + &classed("annotation", None, Some("testclass"))
        + &classed("field", Some("testclass"), None)
        + &classed("old-annotation", None, Some("nginx"))
        + &classed("old-field", Some("nginx"), None)
        + &classed("none", None, None);
    let flags = [
        "--controller-class=example.com/other",
        "--ingress-class=testclass",
    ];
    let site = Site::with(&["echo"], &yaml, &flags).await;
    let expected = [
        ("annotation", 200),
        ("field", 200),
        ("old-annotation", 404),
        ("old-field", 404),
        ("none", 404),
    ];
    statuses(&site, &expected).await;
}

/// Without a class: served where the flag says so.
#[tokio::test]
async fn ingress_class_9_without() {
    let yaml = classed("none", None, None) + &classed("other", None, Some("other"));
    let flag = "--watch-ingress-without-class=true";
    let site = Site::with(&["echo"], &yaml, &[flag]).await;
    statuses(&site, &[("none", 200), ("other", 404)]).await;
}

/// By the class's name, whatever its controller is.
#[tokio::test]
async fn ingress_class_10_by_name() {
    let yaml = class("testclass", "example.com/other")
        + &classed("field", Some("testclass"), None)
        + &classed("other", None, Some("other"));
    let flags = ["--ingress-class=testclass", "--ingress-class-by-name=true"];
    let site = Site::with(&["echo"], &yaml, &flags).await;
    statuses(&site, &[("field", 200), ("other", 404)]).await;
}

/// Ingresses with a default backend are left out, alone or with rules, and when
/// they become such ones; others are served.
#[tokio::test]
async fn disable_catch_all_1_to_4() {
    let backend = "  defaultBackend: {service: {name: echo, port: {number: 80}}}\n";
    let alone = format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: alone}}\n\
         spec:\n  ingressClassName: nginx\n{backend}"
    );
    let both = classed("both", Some("nginx"), None) + backend;
    let plain = ingress("web", &[]);
    let flag = "--disable-catch-all=true";
    let site = Site::with(&["echo"], &(plain.clone() + &alone + &both), &[flag]).await;
    statuses(&site, &[("nobody", 404), ("both", 404), (HOST, 200)]).await;
    site.write("objects.yaml", &site.objects(&(plain + backend)));
    site.until(HOST, "/", |answer| answer.status == 404).await;
}

/// A path like those of attacks drops its whole Ingress, and no other.
#[tokio::test]
async fn ingress_1_deep_inspection() {
    let hostile = "/bla{alias /var/run/secrets/;}location ~* ^/abcd";
    let paths = [
        (hostile, "ImplementationSpecific", "echo"),
        ("/abcd", "Prefix", "echo"),
    ];
    let yaml = ingress_of("hostile", HOST, &[], &paths)
        + &ingress_of("web", HOST, &[], &[("/xpto", "Prefix", "echo")]);
    let site = Site::with(&["echo"], &yaml, &["--deep-inspect=true"]).await;
    for (path, status) in [("/bla", 404), ("/abcd/", 404), ("/xpto", 200)] {
        assert_eq!(site.get(path).await.status, status, "{path}");
    }
}

/// Variables name the Service of the rule, and the Ingress without a host.
#[tokio::test]
async fn ingress_2_and_10_variables() {
    let vhost = [("upstream-vhost", "$service_name.$ingress_name.$namespace")];
    let two = ingress_of("two", HOST, &vhost, &[("/", "Prefix", "echo")]);
    let second = "  - {host: bar, http: {paths: [{path: /, pathType: Prefix, \
        backend: {service: {name: other, port: {number: 80}}}}]}}\n";
    let bare = ingress_of("bare", "", &vhost, &[("/", "Prefix", "echo")]);
    let site = Site::with(&["echo", "other"], &(two + second + &bare), &[]).await;
    for (host, service, wanted) in [
        (HOST, "echo", "echo.two.default"),
        ("bar", "other", "other.two.default"),
        ("anybody", "echo", "echo.bare.default"),
    ] {
        assert_eq!(site.ask_host(host, "/").await.status, 200, "{host}");
        assert_eq!(site.echo(service).last().header("host"), Some(wanted));
    }
}
