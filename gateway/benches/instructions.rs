//! Instructions in user space and allocations, counted by valgrind: the figures that
//! do not depend on what else the machine does. Work is counted in a function of its
//! own, after it has run as often uncounted. Requests are sent twice, once some and
//! once more of them; the difference is free of the set-up.
//!
//! Fails when a count exceeds its baseline in `instructions.txt` by more than
//! 5 %, or that in `allocations.txt`, which is for 1,000 requests, by more than noise;
//! `UPDATE_GENERATED=1` writes the files anew. Counts depend on the compiler
//! too: a new one may need a new baseline. `cargo xtask bench instructions -- request`
//! counts what is named only.

#![allow(
    unreachable_pub,
    clippy::print_stdout,
    reason = "a benchmark's product is its table; it has no users"
)]

#[path = "instructions/baseline.rs"]
mod baseline;
#[path = "instructions/callgrind.rs"]
mod callgrind;
#[path = "common/cluster.rs"]
mod cluster;
#[path = "common/common.rs"]
mod common;
#[path = "common/objects.rs"]
mod objects;
#[path = "../tests/support/ports.rs"]
mod ports;
#[path = "instructions/request.rs"]
mod request;
#[path = "common/table.rs"]
mod table;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use tidegate_controller::objects::Objects;
use tidegate_controller::options::{ListenerOptions, Options};
use tidegate_controller::translate::Translator;
use tidegate_gateway::path;

use baseline::Baseline;
use request::{BESIDE, Counts, PLAIN, REQUESTS};

const INSTRUCTIONS: Baseline = Baseline {
    file: concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt"),
    limit: 1.05,
    noise: 0,
};
/// Of 1,000 requests: what each of them asks for counts a thousand times, more than the
/// noise. A buffer that grew once more or a timer's slot is in the noise, of which a busy
/// machine has more.
const ALLOCATIONS: Baseline = Baseline {
    file: concat!(env!("CARGO_MANIFEST_DIR"), "/benches/allocations.txt"),
    limit: 1.0,
    noise: 900,
};

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

/// What a route may cost more for policies of others: noise, no more.
const BESIDE_LIMIT: f64 = 1.02;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [work, name, count] = &arguments[..]
        && work == "--work"
    {
        return run(name, count.parse()?);
    }
    let names: Vec<&String> = arguments.iter().filter(|word| !word.starts_with("--")).collect();
    ensure!(
        names.is_empty() || std::env::var_os("UPDATE_GENERATED").is_none(),
        "a baseline is of all work: UPDATE_GENERATED=1 without names"
    );
    compare(|name| names.is_empty() || names.iter().any(|chosen| *chosen == name))
}

fn compare(is_chosen: impl Fn(&str) -> bool) -> Result<()> {
    let (mut counts, mut allocations) = (BTreeMap::new(), BTreeMap::new());
    let (before, before_of_allocations) = (INSTRUCTIONS.read()?, ALLOCATIONS.read()?);
    println!(
        "{:<22}{:>14}{:>14}{:>8}",
        "instructions", "each", "baseline", "ratio"
    );
    for (name, about, count) in WORK.iter().filter(|work| is_chosen(work.0)) {
        let each = worked(name, *count)?;
        baseline::show(name, about, each, &before);
        counts.insert(*name, each);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let requests = || REQUESTS.iter().filter(|request| is_chosen(request.name));
    for request in requests() {
        let allowed = |counts: &Counts| {
            let of = |before: &BTreeMap<String, u64>| before.get(request.name).copied().unwrap_or(u64::MAX);
            INSTRUCTIONS.allows(counts.instructions, of(&before))
                && ALLOCATIONS.allows(counts.allocations, of(&before_of_allocations))
        };
        let each = runtime.block_on(request.counted(allowed))?;
        baseline::show(request.name, request.about, each.instructions, &before);
        counts.insert(request.name, each.instructions);
        allocations.insert(request.name, each.allocations);
    }
    println!("allocations of 1,000 requests");
    for request in requests() {
        let each = allocations[request.name];
        baseline::show(request.name, request.about, each, &before_of_allocations);
    }
    // Both are judged, or written, before any of them fails.
    let judged = [
        INSTRUCTIONS.judge(&counts, &before),
        ALLOCATIONS.judge(&allocations, &before_of_allocations),
    ];
    if let (Some(bare), Some(beside)) = (counts.get(PLAIN.name), counts.get(BESIDE)) {
        let ratio = *beside as f64 / *bare as f64;
        ensure!(
            ratio <= BESIDE_LIMIT,
            "policies of another route cost a bare one {:.1} %",
            (ratio - 1.0) * 100.0
        );
    }
    judged.into_iter().collect()
}

fn worked(name: &str, times: usize) -> Result<u64> {
    let mut command = callgrind::around(&std::env::current_exe()?, Some("instructions::measured"), None);
    command.args(["--work", name, &times.to_string()]);
    let count = callgrind::count(command.spawn().context("starting valgrind (package valgrind)")?)?;
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
