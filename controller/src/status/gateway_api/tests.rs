use super::*;
use crate::translate::gateway::status::Address;

const NOW: &str = "2026-01-02T03:04:05Z";
const BEFORE: &str = "2025-01-01T00:00:00Z";

fn scene(bound: &Bound) -> Scene<'_> {
    Scene {
        controller: "tidegate.dev/gateway",
        bound,
        shared: Some(&[]),
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
        parents: vec![(parent.into(), vec![condition])],
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
        served_by: Some("gateway/10.0.0.1:80".into()),
    };
    let wanted = GatewayStatus {
        generation: 1,
        conditions: vec![Condition::holds("Accepted", "Accepted")],
        unprogrammable: None,
        address: Address::Own([10, 0, 0, 1].into()),
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
            served_by: None,
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
