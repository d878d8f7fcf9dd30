//! `servicebackend/`, `settings/disable_service_external_name.go`,
//! `lua/dynamic_configuration.go`, `loadbalance/`: Services and endpoints come,
//! change and go.

use std::collections::BTreeSet;

use crate::site::{HOST, Site, config_map, ingress, ingress_of, service};
use crate::support::PATIENCE;
use crate::support::upstream::Echo;

#[allow(dead_code, reason = "the page of tests is made of it")]
pub(crate) const NOT_TESTED: &[(&str, &str)] =
    &[("dynamic_configuration 1", "asserts a hook in nginx's text")];

const WEB: &[(&str, &str, &str)] = &[("/", "Prefix", "web")];

/// Who answers eight requests: names of endpoints, or statuses.
async fn answering(site: &Site) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for _ in 0..8 {
        let answer = site.get("/").await;
        names.insert(match answer.status {
            200 => answer.json()["upstream"].as_str().unwrap().to_owned(),
            status => status.to_string(),
        });
    }
    names
}

async fn until(site: &Site, wanted: &[&str]) {
    let wanted: BTreeSet<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    let start = std::time::Instant::now();
    loop {
        let found = answering(site).await;
        if found == wanted {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{found:?}, not {wanted:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// A Service that is not there, without endpoints, with one, with two, with
/// none, with one again, and gone: 503 whenever there is nobody.
#[tokio::test]
async fn servicebackend_1_2_10_and_dynamic_configuration_2_to_4() {
    let (one, two) = (Echo::start("one").await, Echo::start("two").await);
    let (a, b) = (one.address.port(), two.address.port());
    let site = Site::with(&[], &ingress_of("web", HOST, &[], WEB), &[]).await;
    until(&site, &["503"]).await;
    let steps: [(&[u16], &[&str]); 5] = [
        (&[], &["503"]),
        (&[a], &["one"]),
        (&[a, b], &["one", "two"]),
        (&[], &["503"]),
        (&[b], &["two"]),
    ];
    for (ports, wanted) in steps {
        site.write("web.yaml", &service("web", ports));
        until(&site, wanted).await;
    }
    std::fs::remove_file(site.program.folder().join("web.yaml")).unwrap();
    until(&site, &["503"]).await;
}

/// A name that cannot be resolved: 5xx.
#[tokio::test]
async fn servicebackend_6_invalid_name() {
    let site = Site::start(&(external() + &ingress_of("web", HOST, &[], WEB))).await;
    let status = site.get("/").await.status;
    assert!((500..600).contains(&status), "{status}");
}

fn external() -> String {
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n\
     spec: {type: ExternalName, externalName: nobody.invalid, ports: [{port: 80}]}\n"
        .to_owned()
}

/// A backend that is no Service: 404 there, other hosts are served.
#[tokio::test]
async fn servicebackend_11_resource() {
    let resource = "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: bucket}\n\
        spec: {ingressClassName: nginx, rules: [{host: bar, http: {paths: [{path: /, pathType: Prefix, \
        backend: {resource: {apiGroup: example.com, kind: Bucket, name: files}}}]}}]}\n";
    let site = Site::start(&(ingress("web", &[]) + resource)).await;
    assert_eq!(site.ask_host("bar", "/").await.status, 404);
    assert_eq!(site.get("/").await.status, 200);
}

/// With `--disable-svc-external-name` the host answers 5xx, others are served.
#[tokio::test]
async fn disable_service_external_name_1() {
    let yaml = external()
        + &ingress_of("named", "bar", &[], WEB)
        + &ingress_of("web", HOST, &[], &[("/", "Prefix", "echo")]);
    let flag = "--disable-svc-external-name=true";
    let site = Site::with(&["echo"], &yaml, &[flag]).await;
    assert_eq!(site.ask_host("bar", "/").await.status, 503);
    assert_eq!(site.get("/").await.status, 200);
}

/// Every algorithm answers every request of three endpoints, and a change of
/// the annotation on the way costs none.
#[tokio::test]
async fn loadbalance_2_3_and_dynamic_configuration_5() {
    let echoes = [
        Echo::start("a").await,
        Echo::start("b").await,
        Echo::start("c").await,
    ];
    let ports = echoes.each_ref().map(|echo| echo.address.port());
    let config = config_map("config", &[("load-balance", "ewma")]);
    let yaml = |own: &[(&str, &str)]| service("web", &ports) + &config + &ingress_of("web", HOST, own, WEB);
    let site = Site::with(&[], &yaml(&[]), &["--configmap=default/config"]).await;
    for algorithm in ["ewma", "round_robin", "least_request"] {
        let objects = yaml(&[("load-balance", algorithm)]);
        site.write("objects.yaml", &site.objects(&objects));
        for _ in 0..60 {
            assert_eq!(site.get("/").await.status, 200, "{algorithm}");
        }
    }
    assert!(echoes.iter().all(|echo| echo.count() > 0));
}

/// A Service whose name has 63 characters.
#[tokio::test]
async fn endpointslices_1_long_name() {
    let name = "a".repeat(63);
    let yaml = ingress_of("web", HOST, &[], &[("/", "Prefix", &name)]);
    let site = Site::with(&[&name], &yaml, &[]).await;
    assert_eq!(site.get("/").await.json()["upstream"], name.as_str());
}

/// Topology hints: with them one endpoint of two, that of our zone, is used; both
/// without them, and where the flag is not set.
#[tokio::test]
async fn endpointslices_2_hints() {
    let echoes = [Echo::start("near").await, Echo::start("far").await];
    let ports = echoes.each_ref().map(|echo| echo.address.port());
    let plain =
        service("web", &ports).replace("spec: {ports", "spec: {trafficDistribution: PreferClose, ports");
    let hinted = |port: u16, zone: &str, yaml: &str| {
        let slice = format!("port: {port}}}]\nendpoints: [{{");
        assert!(yaml.contains(&slice));
        yaml.replace(
            &slice,
            &format!("{slice}hints: {{forZones: [{{name: {zone}}}]}}, "),
        )
    };
    let hints = hinted(ports[1], "b", &hinted(ports[0], "a", &plain));
    let settings = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(settings.path(), "ingress: {zone: a}\n").unwrap();
    let config = format!("--config={}", settings.path().display());
    let web = ingress_of("web", HOST, &[], WEB);
    for (services, flags, wanted) in [
        (
            &hints,
            &[&*config, "--enable-topology-aware-routing"][..],
            &["near"][..],
        ),
        (
            &plain,
            &[&config, "--enable-topology-aware-routing"],
            &["far", "near"],
        ),
        (&hints, &[&config], &["far", "near"]),
    ] {
        let site = Site::with(&[], &(services.clone() + &web), flags).await;
        let found = answering(&site).await;
        assert!(found.iter().eq(wanted), "{flags:?}: {found:?}");
    }
}

/// ConfigMap `load-balance`: clusters have the algorithm; without it they take
/// turns.
#[tokio::test]
async fn loadbalance_1_config_map() {
    for (keys, algorithm) in [(&[("load-balance", "ewma")][..], "Ewma"), (&[], "RoundRobin")] {
        let yaml = ingress("web", &[]) + &config_map("config", keys);
        let site = Site::with(&["echo"], &yaml, &["--configmap=default/config"]).await;
        let snapshot = crate::support::client::get(site.program.admin, "admin", "/snapshot").await;
        let cluster = &snapshot.json()["clusters"]["default-echo-80"];
        assert!(cluster.to_string().contains(algorithm), "{cluster}");
    }
}

/// `annotations/serviceupstream.go`: the Service's own address in place of its
/// endpoints, by annotation (1), by the ConfigMap (2), and not where the annotation
/// says no (3).
#[tokio::test]
async fn serviceupstream_1_to_3() {
    let (virtual_address, pod) = (Echo::start("service").await, Echo::start("pod").await);
    let port = virtual_address.address.port();
    let own = service("web", &[pod.address.port()]).replace(
        "spec: {ports: [{name: http, port: 80}]}",
        &format!("spec: {{clusterIP: 127.0.0.1, ports: [{{name: http, port: {port}}}]}}"),
    );
    assert!(own.contains("clusterIP"));
    let yes = ("service-upstream", "true");
    for (annotation, key, upstream) in [
        (&[yes][..], &[][..], "service"),
        (&[], &[yes], "service"),
        (&[("service-upstream", "false")], &[yes], "pod"),
        (&[], &[], "pod"),
    ] {
        let web = ingress_of("web", HOST, annotation, WEB).replace("number: 80", &format!("number: {port}"));
        let yaml = own.clone() + &web + &config_map("config", key);
        let site = Site::with(&[], &yaml, &["--configmap=default/config"]).await;
        let answer = site.get("/").await;
        assert_eq!(answer.json()["upstream"], upstream, "{annotation:?} {key:?}");
    }
}
