use super::*;

fn broken(path: &str, text: &str) -> Vec<String> {
    check(&[Source::new(path, text)])
        .into_iter()
        .map(|violation| violation.message)
        .collect()
}

#[track_caller]
fn forbidden(path: &str, text: &str) {
    assert_eq!(
        broken(path, text).len(),
        1,
        "{path}: {text}: {:?}",
        broken(path, text)
    );
}

#[track_caller]
fn allowed(path: &str, text: &str) {
    assert_eq!(broken(path, text), [""; 0], "{path}: {text}");
}

#[test]
fn every_ban_of_every_rule_can_fail() {
    for rule in RULES {
        let file = if rule.files.ends_with('/') {
            format!("{}a.rs", rule.files)
        } else {
            format!("{}.rs", rule.files)
        };
        for ban in rule.bans {
            let text = match ban {
                Ban::Crate(name) => format!("use {name}::thing;"),
                Ban::Family(name) => format!("use {name}_core::thing;"),
                Ban::Below(path) => format!("use {}::thing;", path.join("::")),
                Ban::Sibling(name) => format!("use crate::{name}::thing;"),
                Ban::Clock => "fn f() { Instant::now(); }".to_owned(),
            };
            forbidden(&file, &text);
            allowed("xtask/src/a.rs", &text);
        }
    }
}

#[test]
fn the_snapshot_is_plain_values() {
    forbidden("snapshot/src/route.rs", "#[tokio::test] fn f() {}");
    forbidden("snapshot/src/route.rs", "use pingora_http::RequestHeader;");
    allowed(
        "snapshot/src/route.rs",
        "//! Unlike `kube::Api`.\nfn f(kube: u8) -> u8 { kube }",
    );
    allowed("snapshot/tests/route.rs", "use tokio::time;");
}

#[test]
fn translation_is_pure() {
    let file = "controller/src/translate/ingress.rs";
    forbidden(file, "use std::{collections::BTreeMap, env};");
    forbidden(file, "use jiff::Zoned; fn f() { Zoned::now(); }");
    forbidden(file, "use kube::{Client, ResourceExt};");
    forbidden("controller/src/translate.rs", "fn f() { std::fs::read(p); }");
    allowed(
        file,
        "use kube::ResourceExt; use k8s_openapi::api::core::v1::Secret; const N: &str = env!(\"X\");",
    );
    allowed(
        "controller/src/reconcile.rs",
        "use tokio::time; fn f() { std::time::Instant::now(); }",
    );
}

#[test]
fn only_the_program_joins_both_sides() {
    forbidden("gateway/src/lib.rs", "pub use tidegate_controller::Options;");
    allowed(
        "gateway/bin/tidegate/run.rs",
        "use tidegate_controller::Options; use kube::Client;",
    );
}

#[test]
fn nothing_below_the_proxy_reaches_up() {
    forbidden(
        "gateway/src/upstream/peer.rs",
        "use super::super::proxy::Context;",
    );
    forbidden("gateway/src/policy/cors.rs", "fn f(c: &crate::proxy::Context) {}");
    forbidden(
        "gateway/src/router/path.rs",
        "use crate::{proxy, runtime::Runtime};",
    );
    allowed(
        "gateway/src/policy/cors.rs",
        "use pingora_http::ResponseHeader; use tidegate_snapshot::proxy;",
    );
    allowed(
        "gateway/src/proxy/context.rs",
        "use crate::proxy::failure; use pingora_core::Error;",
    );
}

#[test]
fn a_rule_without_files_is_told() {
    let all: Vec<Source> = RULES
        .iter()
        .map(|rule| Source::new(&format!("{}x.rs", rule.files), ""))
        .collect();
    assert_eq!(idle(&all), [""; 0]);
    assert!(idle(&all[..1]).contains(&"gateway/src/router"));
}
