//! `nginx_ingress_controller_nginx_process_*`, with the figures of this process:
//! there is no other.

use std::fs;
use std::sync::atomic::Ordering::Relaxed;

use super::Identity;
use crate::listener::Counters;
use crate::observe::metrics::family::Family;
use crate::observe::metrics::process::Figures;

pub(in super::super) fn process(identity: &Identity, counters: &Counters, started: f64) -> Vec<Family> {
    let mut families = connections(identity, counters);
    let figures = Figures::read();
    for (name, help, value) in [
        (
            "nginx_ingress_controller_nginx_process_resident_memory_bytes",
            "Resident memory.",
            figures.resident,
        ),
        (
            "nginx_ingress_controller_nginx_process_virtual_memory_bytes",
            "Virtual memory.",
            figures.virtual_size,
        ),
        (
            "nginx_ingress_controller_nginx_process_num_procs",
            "Processes: always 1.",
            Some(1),
        ),
    ] {
        let mut family = identity.gauge(name, help);
        if let Some(value) = value {
            family.add(&[], value);
        }
        families.push(family);
    }
    let mut since = identity.gauge(
        "nginx_ingress_controller_nginx_process_oldest_start_time_seconds",
        "When the process started, in seconds since 1970.",
    );
    since.add_float(&[], started);
    let mut cpu = identity.counter(
        "nginx_ingress_controller_nginx_process_cpu_seconds_total",
        "User and system CPU time.",
    );
    if let Some(seconds) = figures.cpu {
        cpu.add_float(&[], seconds);
    }
    families.extend([since, cpu]);
    families.extend(disk(identity));
    families
}

fn connections(identity: &Identity, counters: &Counters) -> Vec<Family> {
    let active = counters.active.load(Relaxed) as u64;
    // Requests of HTTP/2 share connections.
    let writing = counters.requests_in_flight().min(active);
    let mut states = identity.gauge(
        "nginx_ingress_controller_nginx_process_connections",
        "Client connections open now: with a request under way (writing), without one (waiting), all (active).",
    );
    for (state, value) in [
        ("active", active),
        ("reading", 0),
        ("writing", writing),
        ("waiting", active - writing),
    ] {
        states.add(&[("state", state)], value);
    }
    let mut accepted = identity.counter(
        "nginx_ingress_controller_nginx_process_connections_total",
        "Client connections accepted, and those of them that were not refused (handled).",
    );
    let all = counters.accepted.load(Relaxed);
    accepted.add(&[("state", "accepted")], all);
    accepted.add(
        &[("state", "handled")],
        all.saturating_sub(counters.over_limit.load(Relaxed)),
    );
    let mut requests = identity.counter(
        "nginx_ingress_controller_nginx_process_requests_total",
        "Requests begun.",
    );
    requests.add(&[], counters.requests_started.load(Relaxed));
    vec![states, accepted, requests]
}

/// What the process read from and wrote to disks.
fn disk(identity: &Identity) -> [Family; 2] {
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    [
        (
            "nginx_ingress_controller_nginx_process_read_bytes_total",
            "Bytes read from disks.",
            "read_bytes: ",
        ),
        (
            "nginx_ingress_controller_nginx_process_write_bytes_total",
            "Bytes written to disks.",
            "write_bytes: ",
        ),
    ]
    .map(|(name, help, field)| {
        let mut family = identity.counter(name, help);
        let value = io.lines().find_map(|line| line.strip_prefix(field)?.parse().ok());
        // Some containers may not read it.
        family.add(&[], value.unwrap_or(0));
        family
    })
}
