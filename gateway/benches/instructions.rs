//! Instructions in user space, counted by valgrind: the figures that do not
//! depend on what else the machine does. Work is counted in a function of its own,
//! after it has run as often uncounted. Requests are sent twice, once some and once
//! more of them; the difference is free of the set-up.
//!
//! Fails when a count exceeds its baseline in `instructions.txt` by more than
//! 5 %; `UPDATE_GENERATED=1` writes the file anew. Counts depend on the compiler
//! too: a new one may need a new baseline.

#![allow(clippy::print_stdout, reason = "a benchmark's product is its table")]

#[path = "common/cluster.rs"]
mod cluster;
#[path = "common/common.rs"]
mod common;
#[path = "common/objects.rs"]
mod objects;
#[path = "../tests/support/ports.rs"]
mod ports;
#[path = "common/table.rs"]
mod table;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tidegate_controller::objects::Objects;
use tidegate_controller::options::{ListenerOptions, Options};
use tidegate_controller::translate::Translator;
use tidegate_gateway::path;
use tokio::net::TcpStream;

/// More than this times the baseline fails.
const LIMIT: f64 = 1.05;
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");
const CONNECTIONS: usize = 8;

/// Work in a process of its own: its name, what it is, how often it runs.
const WORK: &[(&str, &str, usize)] = &[
    ("lookup", "a route among 1,000 hosts", 20_000),
    ("normalise", "a path with something to decode", 20_000),
    ("compile", "1,000 hosts, from nothing", 4),
    ("compile-change", "1,000 hosts, one of them changed", 20),
    ("compile-change-10k", "10,000 hosts, one of them changed", 10),
    ("translate", "1,000 Ingresses, from nothing", 2),
    ("translate-change", "1,000 Ingresses, one of them changed", 10),
    (
        "translate-change-10k",
        "10,000 Ingresses, one of them changed",
        20,
    ),
    ("translate-route", "5,000 HTTPRoutes, one more", 20),
];

/// A request through the whole program.
struct Request {
    name: &'static str,
    about: &'static str,
    annotation: &'static str,
    /// An Ingress with many policies beside the one that is asked.
    neighbour: bool,
    http2: bool,
    access_log: &'static str,
}

const PLAIN: Request = Request {
    name: "request",
    about: "GET over HTTP/1.1 keep-alive, 1 KiB, the direct path",
    annotation: "",
    neighbour: false,
    http2: false,
    access_log: "off",
};

const BESIDE: &str = "request-beside";
/// What a route may cost more for policies of others: noise, no more.
const BESIDE_LIMIT: f64 = 1.02;
const SESSION: &str = "nginx.ingress.kubernetes.io/proxy-request-buffering: \"off\"";
const REQUESTS: &[Request] = &[
    PLAIN,
    Request {
        name: BESIDE,
        about: "the first beside a route with many policies, which it does not pay for",
        neighbour: true,
        ..PLAIN
    },
    Request {
        name: "request-session",
        about: "the same through Pingora's session, as a policy wants it",
        annotation: SESSION,
        ..PLAIN
    },
    Request {
        name: "request-log",
        about: "the first with a line in the access log",
        access_log: "nginx",
        ..PLAIN
    },
    Request {
        name: "request-h2",
        about: "GET over HTTP/2, one stream at a time, 1 KiB, the direct path",
        http2: true,
        ..PLAIN
    },
    Request {
        name: "request-h2-session",
        about: "the same through Pingora's proxy, as a policy wants it",
        annotation: SESSION,
        http2: true,
        ..PLAIN
    },
];
const SENT: u64 = 2_000;
/// How often requests are counted: how many of them one wake-up finds is the
/// scheduler's, which only adds. The least count.
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [work, name, count] = &arguments[..]
        && work == "--work"
    {
        return run(name, count.parse()?);
    }
    let mut counts = BTreeMap::new();
    println!(
        "{:<20}{:>14}{:>14}{:>8}",
        "instructions", "each", "baseline", "ratio"
    );
    let baseline = baseline()?;
    for (name, about, count) in WORK {
        let each = worked(name, *count)?;
        show(name, about, each, &baseline);
        counts.insert(*name, each);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for request in REQUESTS {
        let each = runtime.block_on(requested(request))?;
        show(request.name, request.about, each, &baseline);
        counts.insert(request.name, each);
    }
    judge(&counts, &baseline)
}

fn show(name: &str, about: &str, each: u64, baseline: &BTreeMap<String, u64>) {
    match baseline.get(name) {
        Some(before) => println!(
            "{name:<20}{each:>14}{before:>14}{:>8.3}  {about}",
            each as f64 / *before as f64
        ),
        None => println!("{name:<20}{each:>14}{:>14}{:>8}  {about}", "-", "-"),
    }
}

fn judge(counts: &BTreeMap<&str, u64>, baseline: &BTreeMap<String, u64>) -> Result<()> {
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        let mut text = String::new();
        for (name, count) in counts {
            writeln!(text, "{name} {count}")?;
        }
        return std::fs::write(BASELINE, text).context("writing the baseline");
    }
    let (bare, beside) = (counts[PLAIN.name] as f64, counts[BESIDE] as f64);
    ensure!(
        beside <= bare * BESIDE_LIMIT,
        "policies of another route cost a bare one {:.1} %",
        (beside / bare - 1.0) * 100.0
    );
    let mut grown = Vec::new();
    for (name, count) in counts {
        let Some(before) = baseline.get(*name) else {
            bail!("{name} has no baseline: UPDATE_GENERATED=1 cargo xtask bench instructions");
        };
        if *count as f64 > *before as f64 * LIMIT {
            grown.push(*name);
        }
    }
    ensure!(
        grown.is_empty(),
        "more than 5 % over the baseline: {}. If that is meant to be, change {BASELINE} in the same commit: \
         UPDATE_GENERATED=1 cargo xtask bench instructions",
        grown.join(", ")
    );
    Ok(())
}

fn baseline() -> Result<BTreeMap<String, u64>> {
    let text = match std::fs::read_to_string(BASELINE) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context(BASELINE),
    };
    let line = |line: &str| {
        let (name, count) = line.split_once(' ').context("a line is a name and a count")?;
        Ok((name.to_owned(), count.parse()?))
    };
    text.lines().map(line).collect()
}

/// valgrind around a program, or around `only` a function of it; what it counts
/// comes on its standard error.
fn counted(program: &Path, only: Option<&str>) -> Command {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(only.map(|function| format!("--toggle-collect=*{function}*")))
        .arg(program)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// The count in valgrind's last words.
fn count(child: Child) -> Result<u64> {
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = line.with_context(|| format!("valgrind counted nothing: {text}"))?;
    Ok(count.trim().parse()?)
}

fn worked(name: &str, times: usize) -> Result<u64> {
    let mut command = counted(&std::env::current_exe()?, Some("instructions::measured"));
    command.args(["--work", name, &times.to_string()]);
    let count = count(command.spawn().context("starting valgrind (package valgrind)")?)?;
    ensure!(count > 0, "valgrind did not find the function to count in");
    Ok(count / times as u64)
}

/// Where valgrind counts.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
}

/// Does work with the numbers to `times` uncounted, and with as many more counted:
/// buffers have grown and places been found by then.
fn repeated(times: usize, mut work: impl FnMut(usize)) {
    (0..times).for_each(&mut work);
    measured(&mut || (times..times * 2).for_each(&mut work));
}

fn run(name: &str, times: usize) -> Result<()> {
    match name {
        "lookup" => {
            let (bench, requests) = (table::Bench::new(1000), table::requests(1000, 10));
            measured(&mut || table::lookups(&bench.runtime, &requests, times));
        }
        "normalise" => repeated(times, |_| {
            drop(black_box(path::normalise(black_box(
                "/api//v1/./users/%31%32/orders",
            ))));
        }),
        "compile" => {
            let mut bench = table::Bench::new(1000);
            repeated(times, |_| {
                bench.cold();
            });
        }
        "compile-change" => compile_change(1000, times),
        "compile-change-10k" => compile_change(10_000, times),
        "translate" => {
            let objects = cluster::of_ingresses(1000)?;
            repeated(times, |_| {
                drop(black_box(Translator::new(options()).translate(&objects)));
            });
        }
        "translate-change" => translate_change(cluster::of_ingresses(1000)?, times, change)?,
        "translate-change-10k" => translate_change(cluster::of_ingresses(10_000)?, times, change)?,
        "translate-route" => translate_change(cluster::of_routes(5000)?, times, |time| {
            objects::http_route(5000 + time, time)
        })?,
        _ => bail!("no work {name:?}"),
    }
    Ok(())
}

fn options() -> Options {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    Options {
        controller_classes: vec!["k8s.io/ingress-nginx".to_owned()],
        http: Some(ListenerOptions::new(address, 80)),
        ..Options::default()
    }
}

/// An Ingress whose Service is another every time.
fn change(time: usize) -> String {
    objects::ingress(7, time % 2)
}

fn compile_change(hosts: usize, times: usize) {
    let mut bench = table::Bench::new(hosts);
    repeated(times, |_| {
        bench.one_host();
    });
}

/// As the reconciler does: what was translated before is held until the next.
fn translate_change(mut objects: Objects, times: usize, change: fn(usize) -> String) -> Result<()> {
    let mut translator = Translator::new(options());
    let mut latest = translator.translate(&objects);
    let mut applied = Ok(());
    repeated(times, |time| {
        if let Err(error) = cluster::apply(&mut objects, &change(time)) {
            applied = Err(error);
        }
        latest = black_box(translator.translate(&objects));
    });
    drop(latest);
    applied
}

/// Instructions of the program for each request; load and backend are here.
async fn requested(request: &Request) -> Result<u64> {
    let annotation = request.annotation;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let upstream = listener.local_addr()?.port();
    tokio::spawn(common::backend(listener, vec![b'x'; 1024].into()));
    let folder = tempfile::tempdir()?;
    let mut manifest = include_str!("common/one-route.yaml")
        .replace("PORT", &upstream.to_string())
        .replace(
            "metadata: {name: bench}\nspec:\n  ingressClassName",
            &format!("metadata: {{name: bench, annotations: {{{annotation}}}}}\nspec:\n  ingressClassName"),
        );
    ensure!(
        annotation.is_empty() || manifest.contains(annotation),
        "the annotation has no place"
    );
    if request.neighbour {
        manifest += include_str!("common/many-policies.yaml");
    }
    std::fs::write(folder.path().join("route.yaml"), manifest)?;
    let (mut once, mut twice) = (u64::MAX, u64::MAX);
    for _ in 0..ROUNDS {
        once = once.min(served(folder.path(), SENT, request).await?);
        twice = twice.min(served(folder.path(), SENT * 2, request).await?);
    }
    Ok((twice - once) / SENT)
}

async fn served(folder: &Path, requests: u64, kind: &Request) -> Result<u64> {
    let ports = [(); 3].map(|()| ports::free_port());
    let mut command = counted(&PathBuf::from(env!("CARGO_BIN_EXE_tidegate")), None);
    command
        .args(["run", "--controller-class=k8s.io/ingress-nginx", "--threads=1"])
        .arg(format!("--access-log={}", kind.access_log))
        .args(["--shutdown-grace-period=0"])
        .arg(format!("--provider-directory={}", folder.display()))
        .arg(format!("--http-port={}", ports[0]))
        .arg(format!("--https-port={}", ports[1]))
        .arg(format!("--healthz-port={}", ports[2]));
    let mut child = command.spawn().context("starting valgrind (package valgrind)")?;
    let address = SocketAddr::from(([127, 0, 0, 1], ports[0]));
    let sent = async {
        common::ready(address, "bench.test", Duration::from_secs(60)).await?;
        if kind.http2 {
            load_http2(address, requests).await
        } else {
            common::load(address, "bench.test", CONNECTIONS, requests).await?;
            Ok(())
        }
    };
    if let Err(error) = sent.await {
        child.kill()?;
        let output = child.wait_with_output()?;
        return Err(error.context(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    // SIGTERM: the program ends by itself, and valgrind reports.
    Command::new("kill").arg(child.id().to_string()).status()?;
    tokio::task::spawn_blocking(|| count(child)).await?
}

/// The same as `common::load`, over HTTP/2.
async fn load_http2(address: SocketAddr, requests: u64) -> Result<()> {
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (mut client, connection) = h2::client::handshake(stream).await?;
        tokio::spawn(connection);
        tasks.push(tokio::spawn(async move {
            for _ in 0..requests / CONNECTIONS as u64 {
                client = client.ready().await?;
                let request = http::Request::get("http://bench.test/").body(())?;
                let answer = client.send_request(request, true)?.0.await?;
                ensure!(answer.status() == 200, "status {}", answer.status());
                let mut body = answer.into_body();
                while let Some(data) = body.data().await {
                    body.flow_control().release_capacity(data?.len())?;
                }
            }
            Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}
