use clap::Args;

use super::*;

fn apply(args: &[&str]) -> Result<(Settings, Vec<String>), String> {
    let command = Given::augment_args(Command::new("run").no_binary_name(true));
    let matches = command
        .try_get_matches_from(args)
        .map_err(|error| error.to_string())?;
    let given = Given::from_arg_matches(&matches).map_err(|error| error.to_string())?;
    let mut settings = Settings::default();
    let warnings = given.apply(&mut settings).map_err(|error| error.to_string())?;
    Ok((settings, warnings))
}

#[test]
fn the_args_of_the_usual_deployment_work() {
    let (settings, warnings) = apply(&[
        "--publish-service=ingress-nginx/ingress-nginx-controller",
        "--election-id=ingress-nginx-leader",
        "--controller-class=k8s.io/ingress-nginx",
        "--ingress-class",
        "nginx",
        "--configmap=ingress-nginx/ingress-nginx-controller",
        "--validating-webhook=:8443",
        "--watch-ingress-without-class",
        "--update-status=false",
        "--v=2",
    ])
    .unwrap();
    assert_eq!(settings.ingress.controller_classes, ["k8s.io/ingress-nginx"]);
    assert_eq!(settings.leader_election.lease, "ingress-nginx-leader");
    assert!(settings.ingress.without_class);
    assert!(!settings.status.update);
    assert_eq!(settings.log.level, "info");
    assert_eq!(
        settings.ingress.config_map.as_deref(),
        Some("ingress-nginx/ingress-nginx-controller")
    );
    assert_eq!(settings.webhook.address.as_deref(), Some(":8443"));
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn a_switch_takes_no_separate_value() {
    let error = apply(&["--update-status", "false"]).err().unwrap();
    assert!(error.contains("false"), "{error}");
    let (settings, _) = apply(&["--disable-leader-election"]).unwrap();
    assert!(!settings.leader_election.enabled);
}

#[test]
fn the_last_of_equal_flags_wins() {
    let (settings, _) = apply(&["--http-port=1", "--http-port=2"]).unwrap();
    assert_eq!(settings.listen.http_port, Some(2));
}

#[test]
fn errors_name_the_flag() {
    for (arg, part) in [
        ("--http-port=x", "--http-port: \"x\" is not a port"),
        (
            "--publish-service=web",
            "--publish-service: \"web\" is not of the form namespace/name",
        ),
        (
            "--update-status=perhaps",
            "--update-status: \"perhaps\" is neither true nor false",
        ),
        (
            "--election-ttl=soon",
            "--election-ttl: \"soon\" is not a duration",
        ),
        ("--no-such-flag=1", "--no-such-flag"),
    ] {
        let error = apply(&[arg]).err().unwrap();
        assert!(error.contains(part), "{arg}: {error}");
    }
}

#[test]
fn names_are_unique_and_keys_exist() {
    let mut names: Vec<_> = table().map(|flag| flag.name).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        assert_ne!(pair[0], pair[1]);
    }
    let keys: Vec<_> = tidegate_gateway::settings::keys()
        .into_iter()
        .map(|key| key.path)
        .collect();
    for flag in table() {
        if let Effect::Set { key, .. } = flag.effect {
            assert!(keys.iter().any(|known| known == key), "--{}: {key}", flag.name);
        }
    }
}

/// A flag that says it sets a key must set that one and no other.
#[test]
fn every_flag_changes_its_key() {
    for flag in table() {
        let Effect::Set { apply, key, .. } = flag.effect else {
            continue;
        };
        let values = [
            "true",
            "false",
            "7",
            "192.0.2.1",
            "a/b",
            "json",
            "5",
            "/x",
            "none",
        ];
        let defaults = serde_json::to_value(Settings::default()).unwrap();
        let pointer = format!("/{}", key.replace('.', "/"));
        let changed = values.iter().any(|value| {
            let mut settings = Settings::default();
            if apply(&mut settings, value).is_err() {
                return false;
            }
            let now = serde_json::to_value(&settings).unwrap();
            now.pointer(&pointer) != defaults.pointer(&pointer)
        });
        assert!(changed, "--{} never changes {key}", flag.name);
    }
}
