use super::*;
use crate::translate::gateway::status::Address;

const NOW: &str = "2026-01-02T03:04:05Z";
const BEFORE: &str = "2025-01-01T00:00:00Z";

fn scene(bound: &Bound) -> Scene<'_> {
    Scene {
        controller: "tidegate.dev/gateway",
        bound,
        shared: Some(&[]),
        service: &|_| None,
        now: NOW.parse().unwrap(),
    }
}

fn seen(value: Value) -> Seen {
    Seen::from(&CustomStatus::new(&value, "7"))
}

fn wanted(status: bool) -> RouteStatus {
    let parent = ParentRef {
        name: "edge".to_owned(),
        ..ParentRef::default()
    };
    let condition = Condition {
        status,
        ..Condition::holds("Accepted", "Accepted")
    };
    RouteStatus {
        generation: 3,
        parents: Box::new([(parent.into(), std::sync::Arc::new([condition]))]),
    }
}

fn entry(controller: &str, status: &str, generation: i64, since: &str) -> Value {
    json!({
        "parentRef": {"name": "edge"},
        "controllerName": controller,
        "conditions": [{
            "type": "Accepted", "status": status, "reason": "Accepted", "message": "",
            "observedGeneration": generation, "lastTransitionTime": since,
        }],
    })
}

#[test]
fn foreign_parents_stay_and_a_condition_that_stays_keeps_its_time() {
    let bound = Bound::new();
    let foreign = entry("else.where/gateway", "True", 1, BEFORE);
    let ours = |status, generation, since| entry("tidegate.dev/gateway", status, generation, since);
    let current = seen(json!({"parents": [ours("True", 2, BEFORE), foreign]}));
    assert_eq!(
        route(Some(&wanted(true)), &current, &scene(&bound)).unwrap(),
        json!({
            "metadata": {"resourceVersion": "7"},
            "status": {"parents": [foreign, ours("True", 3, BEFORE)]},
        })
    );
    let flipped = route(Some(&wanted(false)), &current, &scene(&bound)).unwrap();
    assert_eq!(flipped["status"]["parents"][1], ours("False", 3, NOW));
}

#[test]
fn nothing_is_written_twice() {
    let bound = Bound::new();
    let current = seen(json!({"parents": [entry("tidegate.dev/gateway", "True", 3, BEFORE)]}));
    assert_eq!(route(Some(&wanted(true)), &current, &scene(&bound)), None);
}

#[test]
fn our_entries_go_when_the_route_is_not_ours_any_more() {
    let bound = Bound::new();
    let foreign = entry("else.where/gateway", "True", 1, BEFORE);
    let current = seen(json!({"parents": [entry("tidegate.dev/gateway", "True", 3, BEFORE), foreign]}));
    let patch = route(None, &current, &scene(&bound)).unwrap();
    assert_eq!(patch["status"], json!({"parents": [foreign]}));
    assert_eq!(
        route(None, &seen(json!({"parents": [foreign]})), &scene(&bound)),
        None
    );
}

#[test]
fn a_gateway_is_programmed_when_its_port_is_bound() {
    let listener = ListenerStatus {
        name: "http".to_owned(),
        port: 80,
        kinds: Vec::new(),
        attached: 2,
        conditions: vec![Condition::holds("Accepted", "Accepted")],
        served_by: vec!["gateway/10.0.0.1:80".into()],
    };
    let wanted = GatewayStatus {
        generation: 1,
        conditions: vec![Condition::holds("Accepted", "Accepted")],
        unprogrammable: None,
        address: Address::Own([[10, 0, 0, 1].into()].into()),
        attached_sets: 0,
        listeners: vec![listener],
    };
    let state = |bound: &Bound| {
        let patch = gateway(&wanted, &seen(Value::Null), &scene(bound)).unwrap();
        assert_eq!(
            patch["status"]["addresses"],
            json!([{"type": "IPAddress", "value": "10.0.0.1"}])
        );
        assert_eq!(patch["status"]["listeners"][0]["attachedRoutes"], 2);
        [
            patch["status"]["conditions"][1]["status"].clone(),
            patch["status"]["listeners"][0]["conditions"][1]["status"].clone(),
        ]
    };
    let key = ListenerKey::from("gateway/10.0.0.1:80");
    assert_eq!(state(&Bound::new()), ["False", "False"]);
    assert_eq!(
        state(&Bound::from([(key.clone(), Err("in use".to_owned()))])),
        ["False", "False"]
    );
    assert_eq!(state(&Bound::from([(key, Ok(()))])), ["True", "True"]);
}

#[test]
fn conditions_that_are_ours_go_when_they_are_not_wanted_any_more() {
    let bound = Bound::new();
    let condition = |kind: &str| {
        json!({
            "type": kind, "status": "True", "reason": "Accepted", "message": "",
            "observedGeneration": 1, "lastTransitionTime": BEFORE,
        })
    };
    let listener = json!({
        "name": "https", "supportedKinds": [], "attachedRoutes": 0,
        "conditions": [condition("Accepted"), condition("OverlappingTLSConfig")],
    });
    let current = seen(json!({
        "conditions": [
            condition("Accepted"), condition("ResolvedRefs"), condition("example.test/Ours"),
            condition("InsecureFrontendValidationMode"),
        ],
        "listeners": [listener],
    }));
    let wanted = GatewayStatus {
        generation: 1,
        conditions: vec![Condition::holds("Accepted", "Accepted")],
        unprogrammable: None,
        address: Address::None,
        attached_sets: 0,
        listeners: vec![ListenerStatus {
            name: "https".to_owned(),
            port: 443,
            kinds: Vec::new(),
            attached: 0,
            conditions: vec![Condition::holds("Accepted", "Accepted")],
            served_by: Vec::new(),
        }],
    };
    let patch = gateway(&wanted, &current, &scene(&bound)).unwrap();
    let kinds = |object: &Value| -> Vec<String> {
        let conditions = object["conditions"].as_array().unwrap().iter();
        conditions
            .map(|entry| entry["type"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        kinds(&patch["status"]),
        ["Accepted", "Programmed", "example.test/Ours"]
    );
    assert_eq!(
        kinds(&patch["status"]["listeners"][0]),
        ["Accepted", "Programmed"]
    );
}

#[test]
fn a_class_claims_the_features_of_its_translation() {
    let bound = Bound::new();
    let wanted = ClassStatus {
        generation: 1,
        conditions: vec![Condition::holds("Accepted", "Accepted")],
        features: vec!["Gateway", "HTTPRoute"],
    };
    let patch = class(&wanted, &seen(Value::Null), &scene(&bound)).unwrap();
    assert_eq!(
        patch["status"]["supportedFeatures"],
        json!([{"name": "Gateway"}, {"name": "HTTPRoute"}])
    );
}

#[test]
fn a_gateway_with_a_service_is_where_that_is_reached() {
    let bound = Bound::from([("gateway/shop/edge:80".into(), Ok(()))]);
    let listener = ListenerStatus {
        name: "http".to_owned(),
        port: 80,
        kinds: Vec::new(),
        attached: 0,
        conditions: Vec::new(),
        served_by: vec!["gateway/shop/edge:80".into()],
    };
    let wanted = |asked: &[IpAddr]| GatewayStatus {
        generation: 1,
        conditions: Vec::new(),
        unprogrammable: None,
        address: Address::Service {
            name: NamespacedName::new("shop", "edge-tidegate"),
            asked: asked.into(),
        },
        attached_sets: 0,
        listeners: vec![listener.clone()],
    };
    let written = |asked: &[IpAddr], reached: Option<&[&str]>| {
        let texts =
            |reached: &[&str]| -> Vec<String> { reached.iter().map(|text| (*text).to_owned()).collect() };
        let scene = Scene {
            service: &|name| reached.filter(|_| &*name.name == "edge-tidegate").map(texts),
            ..scene(&bound)
        };
        let status = gateway(&wanted(asked), &seen(Value::Null), &scene).unwrap()["status"].take();
        let condition = &status["conditions"][0];
        (
            condition["reason"].as_str().unwrap().to_owned(),
            status["addresses"].clone(),
        )
    };
    let asked: IpAddr = [192, 0, 2, 1].into();
    assert_eq!(written(&[], None), ("AddressNotAssigned".to_owned(), Value::Null));
    assert_eq!(
        written(&[], Some(&[])),
        ("AddressNotAssigned".to_owned(), Value::Null)
    );
    let shown =
        json!([{"type": "Hostname", "value": "lb.test"}, {"type": "IPAddress", "value": "192.0.2.1"}]);
    assert_eq!(
        written(&[asked], Some(&["lb.test", "192.0.2.1"])),
        ("Programmed".to_owned(), shown)
    );
    let (reason, _) = written(&[asked], Some(&["192.0.2.2"]));
    assert_eq!(reason, "AddressNotUsable");
}

#[test]
fn a_listener_of_several_addresses_serves_when_all_are_bound() {
    let listener = ListenerStatus {
        name: "http".to_owned(),
        port: 80,
        kinds: Vec::new(),
        attached: 0,
        conditions: Vec::new(),
        served_by: vec!["a".into(), "b".into()],
    };
    let mut bound = Bound::from([("a".into(), Ok(()))]);
    assert!(!serves(&listener, &bound).status);
    bound.insert("b".into(), Ok(()));
    assert!(serves(&listener, &bound).status);
}
