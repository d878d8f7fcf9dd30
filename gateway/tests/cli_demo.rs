//! `tidegate demo` from start to end: the page, live edits, broken files, the
//! admin port, the end.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "support/cli.rs"]
mod cli;
#[path = "support/ports.rs"]
mod ports;

use std::net::TcpListener;
use std::path::PathBuf;

use cli::{Program, eventually, get, request, text};
use ports::free_port;

const HOST: &str = "hello.nginx.com";

/// A demo on free ports, in a directory of its own.
struct Demo {
    program: Program,
    directory: tempfile::TempDir,
    http: u16,
    admin: u16,
}

impl Demo {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [http, https, admin, backend] = [(); 4].map(|()| free_port());
        let args = [
            "demo".to_owned(),
            format!("--http-port={http}"),
            format!("--https-port={https}"),
            format!("--admin-port={admin}"),
            format!("--backend-port={backend}"),
        ];
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let program = Program::start(&args, directory.path());
        program.wait_for("Try:");
        Self {
            program,
            directory,
            http,
            admin,
        }
    }

    /// The objects that it serves.
    fn objects(&self) -> PathBuf {
        let mut entries = std::fs::read_dir(self.directory.path()).unwrap();
        entries.next().unwrap().unwrap().path()
    }

    fn page(&self, host: &str) -> String {
        get(self.http, host, "/")
    }

    fn admin(&self, target: &str) -> String {
        get(self.admin, "localhost", target)
    }

    fn expect(&self, host: &str, part: &str) {
        let holds = || self.page(host).contains(part);
        eventually(holds, || {
            format!(
                "{host}: no {part:?} in {:?}\n{}",
                self.page(host),
                self.program.output()
            )
        });
    }
}

#[test]
fn the_page_is_there_and_each_request_is_logged() {
    let demo = Demo::start();
    let page = demo.page(HOST);
    assert!(
        page.starts_with("HTTP/1.1 200 ") && page.contains("Welcome to nginx!"),
        "{page}"
    );
    assert!(demo.page("other.example").starts_with("HTTP/1.1 404 "));
    demo.program.wait_for("\"GET / HTTP/1.1\" 200 ");
    demo.program.wait_for("[default-nginx-svc-80] []");
    demo.program
        .wait_for(&format!("curl 127.0.0.1:{} -H 'host: {HOST}'", demo.http));
}

#[test]
fn edits_take_effect_and_a_broken_file_harms_no_other() {
    let demo = Demo::start();
    let path = demo.objects().join("ingress.yaml");
    let original = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, original.replace(HOST, "edited.example")).unwrap();
    demo.expect("edited.example", "Welcome to nginx!");
    demo.expect(HOST, "404");

    let added = original
        .replace(HOST, "added.example")
        .replace("example-ingress", "added");
    std::fs::write(demo.objects().join("added.yaml"), added).unwrap();
    demo.expect("added.example", "Welcome to nginx!");

    std::fs::write(
        demo.objects().join("broken.yaml"),
        "kind: Ingress\nmetadata: {name: [\n",
    )
    .unwrap();
    demo.program.wait_for("broken.yaml");
    eventually(
        || demo.admin("/problems").contains("broken.yaml"),
        || demo.admin("/problems"),
    );
    assert!(demo.page("edited.example").contains("Welcome to nginx!"));

    std::fs::remove_file(demo.objects().join("added.yaml")).unwrap();
    demo.expect("added.example", "404");
}

#[test]
fn the_admin_port_answers() {
    let demo = Demo::start();
    demo.page(HOST);
    for path in ["/healthz", "/livez", "/readyz"] {
        let answer = demo.admin(path);
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"),
            "{path}: {answer}"
        );
    }
    for (path, part) in [
        ("/", "/metrics"),
        (
            "/metrics",
            "tidegate_requests_total{namespace=\"default\",ingress=\"example-ingress\"",
        ),
        ("/metrics", "tidegate_propagation_seconds_count"),
        ("/metrics", "tidegate_connections_accepted_total"),
        ("/snapshot", "hello.nginx.com"),
        ("/clusters", "default-nginx-svc-80"),
        ("/problems", "[]"),
        ("/explain?url=http://hello.nginx.com/a", "example-ingress"),
        ("/explain?url=http://hello.nginx.com/a&output=json", "\"routes\""),
    ] {
        let answer = demo.admin(path);
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.contains(part),
            "{path}: {answer}"
        );
    }
    assert!(!demo.admin("/snapshot").contains("PRIVATE"));
    assert!(demo.admin("/none").starts_with("HTTP/1.1 404 "));
    assert!(demo.admin("/explain").starts_with("HTTP/1.1 400 "));
    let post = request(
        demo.admin,
        "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    let head = request(
        demo.admin,
        "HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    // Nothing of it on the port for traffic.
    assert!(get(demo.http, "localhost", "/metrics").starts_with("HTTP/1.1 404 "));
}

#[test]
fn explain_asks_a_running_gateway() {
    let demo = Demo::start();
    let admin = format!("127.0.0.1:{}", demo.admin);
    let output = cli::run(
        &["explain", "--url", "http://hello.nginx.com/x", "--admin", &admin],
        "",
    );
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("example-ingress"), "{output:?}");
}

#[test]
fn sigterm_ends_it_cleanly() {
    for signal in ["TERM", "INT"] {
        let mut demo = Demo::start();
        demo.page(HOST);
        demo.program.signal(signal);
        let status = demo.program.wait();
        assert_eq!(status.code(), Some(0), "{}", demo.program.output());
        assert!(demo.page(HOST).is_empty());
        let left = std::fs::read_dir(demo.directory.path()).unwrap().count();
        assert_eq!(left, 0, "its copy of the objects is left behind");
    }
}

#[test]
fn a_busy_port_names_its_flag() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port().to_string();
    for flag in ["--http-port", "--https-port", "--backend-port"] {
        let ports = [(); 4].map(|()| free_port().to_string());
        let mut args = vec!["demo"];
        for (name, free) in ["--http-port", "--https-port", "--admin-port", "--backend-port"]
            .iter()
            .zip(&ports)
        {
            args.extend([*name, if *name == flag { &port } else { free }]);
        }
        let output = cli::run(&args, "");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(flag) && error.contains(&port), "{error}");
    }
}
