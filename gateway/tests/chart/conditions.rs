//! What depends on values, case by case.

use serde_json::{Value, json};

use super::helm::{self, Objects, rendered, rendered_file};

const NAME: &str = "edge-tidegate-controller";

/// `kind/name` of every object, sorted.
fn names(objects: &Objects) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut names: Vec<String> = objects
        .0
        .iter()
        .map(|object| format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"])))
        .collect();
    names.sort();
    names
}

#[test]
fn a_disruption_budget_needs_a_second_replica() {
    let budgets = |pairs: &[&str]| rendered(pairs).of_kind("PodDisruptionBudget").len();
    assert_eq!(budgets(&[]), 0);
    assert_eq!(budgets(&["controller.replicaCount=2"]), 1);
    assert_eq!(
        budgets(&["controller.replicaCount=2", "controller.kind=DaemonSet"]),
        0
    );
    assert_eq!(
        budgets(&[
            "controller.autoscaling.enabled=true",
            "controller.autoscaling.minReplicas=2"
        ]),
        1
    );
    let both = rendered(&["controller.replicaCount=3", "controller.maxUnavailable=0"]);
    let spec = &both.one("PodDisruptionBudget", NAME)["spec"];
    assert_eq!(
        (&spec["maxUnavailable"], &spec["minAvailable"]),
        (&json!(0), &Value::Null)
    );
}

#[test]
fn who_scales_sets_no_replicas() {
    let replicas = |pairs: &[&str]| rendered(pairs).one("Deployment", NAME)["spec"]["replicas"].clone();
    assert_eq!(replicas(&["controller.replicaCount=4"]), 4);
    assert_eq!(replicas(&["controller.autoscaling.enabled=true"]), Value::Null);
    assert_eq!(replicas(&["controller.keda.enabled=true"]), Value::Null);
}

#[test]
fn the_service_is_published_unless_addresses_are_given() {
    let published = |pairs: &[&str]| {
        let objects = rendered(pairs);
        let flag = objects
            .args()
            .into_iter()
            .find(|arg| arg.starts_with("--publish-service="));
        flag.map(str::to_owned)
    };
    let own = "--publish-service=ingress-nginx/edge-tidegate-controller";
    assert_eq!(published(&[]).as_deref(), Some(own));
    assert_eq!(published(&["controller.publishService.enabled=false"]), None);
    assert_eq!(published(&["controller.service.enabled=false"]), None);
    assert_eq!(
        published(&["controller.extraArgs.publish-status-address=localhost"]),
        None
    );
    assert_eq!(
        published(&["controller.publishService.pathOverride=a/b"]).as_deref(),
        Some("--publish-service=a/b")
    );
    let internal = [
        "controller.service.external.enabled=false",
        "controller.service.internal.enabled=true",
    ];
    assert_eq!(published(&internal).unwrap(), format!("{own}-internal"));
}

/// Rights go with what the program then asks for, and no further.
#[test]
fn rights_are_the_least() {
    let resources = |objects: &Objects, kind: &str| {
        let rules = objects
            .of_kind(kind)
            .into_iter()
            .flat_map(|role| role["rules"].as_array().unwrap());
        let named = rules.flat_map(|rule| rule["resources"].as_array().unwrap().clone());
        let mut named: Vec<String> = named.map(|value| value.as_str().unwrap().to_owned()).collect();
        named.sort();
        named.dedup();
        named.join(" ")
    };
    let without = |pairs: &[&str]| {
        let mut pairs = pairs.to_vec();
        pairs.push("controller.gatewayAPI.enabled=false");
        rendered(&pairs)
    };
    let watched = "configmaps endpointslices events ingressclasses ingresses ingresses/status";
    let all = without(&[]);
    assert_eq!(
        resources(&all, "ClusterRole"),
        format!("{watched} secrets services")
    );
    assert_eq!(resources(&all, "Role"), "leases pods");
    let nodes = without(&["controller.publishService.enabled=false"]);
    assert_eq!(
        resources(&nodes, "ClusterRole"),
        format!("{watched} nodes secrets services")
    );
    let silent = rendered(&[
        "controller.extraArgs.update-status=false",
        "controller.disableLeaderElection=true",
    ]);
    assert!(!resources(&silent, "ClusterRole").contains("/status"));
    assert_eq!(resources(&silent, "Role"), "pods");

    let shop = ["controller.scope.enabled=true", "controller.scope.namespace=shop"];
    let scoped = without(&shop);
    assert_eq!(resources(&scoped, "ClusterRole"), "ingressclasses");
    let role = scoped.one("Role", "edge-tidegate-watched");
    assert_eq!(role["metadata"]["namespace"], "shop");
    let alone = rendered_file("one-namespace");
    assert!(alone.of_kind("ClusterRole").is_empty() && alone.of_kind("ClusterRoleBinding").is_empty());
    let labelled = rendered_file("labelled-namespaces");
    assert!(!resources(&labelled, "ClusterRole").contains("secrets"));
    let none = rendered(&["rbac.create=false"]);
    let kinds = none.0.iter().map(|object| object["kind"].as_str().unwrap());
    assert!(kinds.into_iter().all(|kind| !kind.contains("Role")));

    // Classes and namespaces are the cluster's, routes where they are watched.
    let gateways = rendered(&shop);
    let classes = "customresourcedefinitions gatewayclasses gatewayclasses/status ingressclasses namespaces";
    assert_eq!(resources(&gateways, "ClusterRole"), classes);
    assert!(resources(&gateways, "Role").contains("httproutes httproutes/status"));
    let gateways = rendered(&[]);
    assert!(resources(&gateways, "ClusterRole").contains("httproutes httproutes/status"));
}

/// With Services of Gateways: who may write them, and what lets their traffic in.
#[test]
fn services_of_gateways_need_rights_and_open_ports() {
    let policy = "controller.networkPolicy.enabled=true";
    let writes = |objects: &Objects| {
        let rules = objects
            .of_kind("ClusterRole")
            .into_iter()
            .flat_map(|role| role["rules"].as_array().unwrap());
        let mut writes: Vec<String> = rules
            .filter(|rule| rule["verbs"].as_array().unwrap().contains(&json!("create")))
            .map(|rule| format!("{} {}", rule["resources"], rule["verbs"]))
            .collect();
        writes.sort();
        writes
    };
    let ranges = |objects: &Objects| {
        let rules = &objects.one("NetworkPolicy", NAME)["spec"]["ingress"];
        let ports = rules[0]["ports"].as_array().unwrap().clone();
        let ports = ports.into_iter().filter(|port| port.get("endPort").is_some());
        ports.collect::<Vec<Value>>()
    };
    let none = rendered(&[policy]);
    assert_eq!(writes(&none), [r#"["events"] ["create","patch"]"#]);
    assert_eq!(ranges(&none), [Value::Null; 0]);
    let services = "controller.settings.gatewayApi.services";
    let off = rendered(&[policy, &format!("{services}=null")]);
    assert_eq!(writes(&off).len(), 1);
    let on = rendered(&[policy, &format!("{services}.type=LoadBalancer")]);
    assert_eq!(
        writes(&on),
        [
            r#"["endpointslices"] ["get","create","patch"]"#,
            r#"["events"] ["create","patch"]"#,
            r#"["services"] ["get","create","patch","delete"]"#,
        ]
    );
    let range = |protocol: &str| json!({"port": 20000, "endPort": 20999, "protocol": protocol});
    assert_eq!(ranges(&on), [range("TCP"), range("UDP")]);
    let other = rendered(&[policy, &format!("{services}.ports=21000-21099")]);
    assert_eq!(ranges(&other)[0]["endPort"], 21099);
}

#[test]
fn root_only_for_low_ports_of_the_node() {
    let security = |pairs: &[&str]| rendered(pairs).container()["securityContext"].clone();
    for pairs in [
        &[][..],
        &["controller.hostPort.enabled=true"],
        &["controller.containerPort.http=80"],
        &[
            "controller.hostNetwork=true",
            "controller.containerPort.http=8080",
            "controller.containerPort.https=8443",
        ],
    ] {
        let context = security(pairs);
        assert_eq!(context["runAsUser"], 65532, "{pairs:?}");
        assert_eq!(context["runAsNonRoot"], true, "{pairs:?}");
        assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{pairs:?}");
    }
    let context = security(&["controller.hostNetwork=true"]);
    assert_eq!(
        (&context["runAsUser"], &context["runAsNonRoot"]),
        (&json!(0), &json!(false))
    );
    assert_eq!(
        context["capabilities"],
        json!({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]})
    );
    let context = security(&["controller.hostNetwork=true", "controller.image.runAsUser=7"]);
    assert_eq!(context["runAsUser"], 7, "what is said wins");
}

/// A release of ingress-nginx's chart can become one of this: names and
/// selectors, which cannot change, are equal.
#[test]
fn an_ingress_nginx_release_can_be_taken_over() {
    let mut arguments = helm::values("from-ingress-nginx");
    arguments.extend(["--debug".to_owned()]);
    let text = helm::chart_command(&["template", "ingress-nginx"], &arguments, None).unwrap();
    let objects = Objects(helm::objects(&text));
    let found = names(&objects);
    for name in [
        "ClusterRole/ingress-nginx",
        "ConfigMap/ingress-nginx-controller",
        "ConfigMap/ingress-nginx-custom-add-headers",
        "ConfigMap/ingress-nginx-custom-proxy-headers",
        "ConfigMap/ingress-nginx-tcp",
        "Deployment/ingress-nginx-controller",
        "IngressClass/nginx",
        "Role/ingress-nginx",
        "Service/ingress-nginx-controller",
        "Service/ingress-nginx-controller-metrics",
        "ServiceAccount/ingress-nginx",
    ] {
        assert!(found.iter().any(|found| found == name), "no {name} in {found:?}");
    }
    let selector = &objects.one("Deployment", "ingress-nginx-controller")["spec"]["selector"]["matchLabels"];
    let wanted = json!({
        "app.kubernetes.io/name": "ingress-nginx",
        "app.kubernetes.io/instance": "ingress-nginx",
        "app.kubernetes.io/component": "controller",
    });
    assert_eq!(*selector, wanted);
    assert_eq!(
        objects.container()["lifecycle"],
        Value::Null,
        "the image has no /wait-shutdown"
    );
}

/// Replicas find each other by their labels, in an upgrade of the chart, too.
#[test]
fn pods_carry_no_version() {
    let objects = rendered_file("everything");
    let labels = objects.pod()["metadata"]["labels"].as_object().unwrap();
    let versioned = |key: &str| key == "helm.sh/chart" || key == "app.kubernetes.io/version";
    assert!(labels.keys().all(|key| !versioned(key)), "{labels:?}");
}

#[test]
fn changed_settings_roll_the_pods() {
    let annotation = |pairs: &[&str]| rendered(pairs).pod()["metadata"]["annotations"].clone();
    let first = annotation(&["controller.settings.accessLog.format=json"]);
    assert_ne!(first, Value::Null);
    assert_ne!(first, annotation(&["controller.settings.accessLog.format=off"]));
    assert_eq!(annotation(&[]), Value::Null);
}

#[test]
fn a_short_grace_period_shortens_the_drain() {
    let grace = |seconds: &str| {
        let objects = rendered(&[&format!("controller.terminationGracePeriodSeconds={seconds}")]);
        let flag = objects
            .args()
            .into_iter()
            .find_map(|arg| arg.strip_prefix("--shutdown-grace="));
        flag.map(str::to_owned)
    };
    assert_eq!(grace("300"), None, "the program's own 240 s fit");
    assert_eq!(grace("60").as_deref(), Some("45s"));
    assert_eq!(grace("11").as_deref(), Some("1s"));
}

/// A dashboard in a ConfigMap is the file, byte for byte.
#[test]
fn dashboards_arrive_unchanged() {
    let objects = rendered(&[
        "controller.metrics.enabled=true",
        "controller.metrics.dashboards.enabled=true",
    ]);
    for name in ["traffic", "gateway", "configuration"] {
        let map = objects.one("ConfigMap", &format!("edge-tidegate-dashboard-{name}"));
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
        let text = map["data"][format!("{name}.json")].as_str().unwrap();
        let file = super::read(&format!("helm/tidegate/dashboards/{name}.json"));
        assert_eq!(text.trim_end(), file.trim_end());
    }
}

/// Braces in alerts are Prometheus', not the chart's.
#[test]
fn alerts_arrive_unchanged() {
    let objects = rendered(&[
        "controller.metrics.enabled=true",
        "controller.metrics.prometheusRule.enabled=true",
        "controller.metrics.prometheusRule.rules[0].alert=Mine",
        "controller.metrics.prometheusRule.rules[0].expr=up",
    ]);
    let file: Value = serde_saphyr::from_str(&super::read("helm/tidegate/alerts.yaml")).unwrap();
    let mut wanted = file["groups"].as_array().unwrap().clone();
    wanted.push(json!({"name": NAME, "rules": [{"alert": "Mine", "expr": "up"}]}));
    assert_eq!(
        objects.one("PrometheusRule", NAME)["spec"]["groups"],
        json!(wanted)
    );
}
