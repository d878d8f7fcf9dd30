//! `tidegate explain` on a directory.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "support/cli.rs"]
mod cli;

use cli::{run, text};

fn explain(args: &[&str]) -> (Option<i32>, String) {
    let demo = format!("{}/../conf/demo", env!("CARGO_MANIFEST_DIR"));
    let mut all = vec!["explain"];
    all.extend(args);
    all.push(&demo);
    let output = run(&all, "");
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn names_the_route_and_its_endpoints() {
    let (code, shown) = explain(&["--url", "http://hello.nginx.com/cart?a=b"]);
    assert_eq!(code, Some(0), "{shown}");
    for part in ["example-ingress", "default-nginx-svc-80", "127.0.0.1:8081"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

/// The same with a directory or a file of examples.
fn explain_example(file: &str, url: &str, more: &[&str]) -> (Option<i32>, String) {
    let path = format!("{}/../conf/examples/{file}", env!("CARGO_MANIFEST_DIR"));
    let all = [&["explain", "--url", url], more, &[&path]].concat();
    let output = run(&all, "");
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn names_the_route_of_gateway_api() {
    let of_http = ("gateway-api.yaml", "http://shop.example.com/api/x");
    let of_grpc = (
        "gateway-api-grpc.yaml",
        "http://orders.example.com/orders.v1.Orders/Get",
    );
    for ((file, url), parts) in [
        (of_http, ["HTTPRoute shop/web", "shop/web-v1:80"]),
        (of_grpc, ["GRPCRoute shop/orders", "shop/orders:9090"]),
    ] {
        let (code, shown) = explain_example(file, url, &["--method", "POST"]);
        assert_eq!(code, Some(0), "{shown}");
        for part in parts {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }
}

#[test]
fn says_when_nothing_answers() {
    let (code, shown) = explain(&["--url", "https://other.example/"]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("404"), "{shown}");
}

#[test]
fn refuses_what_is_no_request() {
    for args in [
        &["--url", "hello.nginx.com/x y"][..],
        &["--url", "ftp://hello.nginx.com/"],
        &["--url", "http://a/", "--header", "no-colon"],
        &["--url", "http://a/", "--method", "G E T"],
        &[],
    ] {
        let (code, shown) = explain(args);
        assert_eq!(code, Some(2), "{args:?}: {shown}");
    }
}
