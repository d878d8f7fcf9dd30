//! What listeners, clusters and the access log count by themselves.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::Family;
use crate::listener::Counters;
use crate::observe::access_log::AccessLog;
use crate::observe::spans;
use crate::tls::ocsp;
use crate::upstream;

pub(super) fn listeners(counters: &Counters) -> Vec<Family> {
    let mut active = Family::gauge("tidegate_connections", "Client connections open now.");
    active.add(&[], counters.active.load(Relaxed) as u64);
    let mut requests = Family::gauge("tidegate_requests_in_flight", "Requests under way.");
    requests.add(&[], counters.requests_in_flight());
    vec![
        active,
        requests,
        one(
            "tidegate_connections_accepted_total",
            "Client connections accepted, refused ones included.",
            &counters.accepted,
        ),
        one(
            "tidegate_connections_over_limit_total",
            "Client connections closed because there were too many.",
            &counters.over_limit,
        ),
        one(
            "tidegate_accept_errors_total",
            "Failures to accept, such as too many open files.",
            &counters.accept_errors,
        ),
        one(
            "tidegate_connections_cut_off_total",
            "Client connections cut off at the end of a drain.",
            &counters.cut_off,
        ),
        labelled(
            "tidegate_tls_handshakes_total",
            "Finished TLS handshakes.",
            "kind",
            counters.handshakes.samples(),
        ),
        labelled(
            "tidegate_tls_handshake_failures_total",
            "Failed TLS handshakes.",
            "reason",
            counters.handshake_failures.samples(),
        ),
        labelled(
            "tidegate_proxy_protocol_errors_total",
            "Connections refused because of the PROXY protocol.",
            "reason",
            counters.proxy_protocol_errors.samples(),
        ),
        labelled(
            "tidegate_connection_timeouts_total",
            "Client connections closed because the client took too long.",
            "phase",
            counters.timeouts.samples(),
        ),
        labelled(
            "tidegate_streams_total",
            "Connections and sessions of TCP and UDP services and of TLS passthrough, by what became of them.",
            "event",
            counters.streams.samples(),
        ),
        labelled(
            "tidegate_stream_bytes_total",
            "Bytes of TCP and UDP services and of TLS passthrough, counted when a connection ends.",
            "direction",
            counters.stream_bytes.samples(),
        ),
    ]
}

pub(super) fn upstreams(counters: &upstream::Counters) -> Vec<Family> {
    let counter = |name, help, counter: &upstream::Counter| {
        let mut family = Family::counter(name, help);
        family.add(&[], counter.value());
        family
    };
    let results = |passed: &upstream::Counter, failed: &upstream::Counter| {
        [("ok", passed.value()), ("failed", failed.value())].into_iter()
    };
    vec![
        counter(
            "tidegate_upstream_ejections_total",
            "Endpoints put aside because connecting failed.",
            &counters.ejections,
        ),
        counter(
            "tidegate_upstream_panic_picks_total",
            "Requests sent to an endpoint put aside, because no other was left.",
            &counters.panic_picks,
        ),
        labelled(
            "tidegate_upstream_health_checks_total",
            "Active health checks.",
            "result",
            results(&counters.checks_passed, &counters.checks_failed),
        ),
        labelled(
            "tidegate_upstream_health_changes_total",
            "Endpoints whose health changed by active checks.",
            "to",
            [
                ("healthy", counters.became_healthy.value()),
                ("unhealthy", counters.became_unhealthy.value()),
            ]
            .into_iter(),
        ),
        labelled(
            "tidegate_upstream_names_resolved_total",
            "DNS names of ExternalName Services looked up.",
            "result",
            results(&counters.names_resolved, &counters.names_failed),
        ),
    ]
}

pub(super) fn access_log(log: &AccessLog) -> Vec<Family> {
    let mut dropped = Family::counter(
        "tidegate_access_log_dropped_total",
        "Lines of the access log dropped because its reader was too slow, or because the syslog server could not be sent to.",
    );
    dropped.add(&[], log.dropped());
    vec![dropped]
}

pub(super) fn spans(counters: &spans::Counters) -> Vec<Family> {
    vec![labelled(
        "tidegate_spans_total",
        "Spans of requests, by what became of them: exported, dropped because too many waited, or not taken by the collector.",
        "outcome",
        [
            ("exported", counters.exported.load(Relaxed)),
            ("dropped", counters.dropped.load(Relaxed)),
            ("failed", counters.failed.load(Relaxed)),
        ]
        .into_iter(),
    )]
}

/// OCSP responses.
pub(super) fn ocsp(counters: &ocsp::Counters) -> Vec<Family> {
    vec![labelled(
        "tidegate_ocsp_responses_total",
        "OCSP responses asked for, by what became of them: stapled to their certificate, or none that could be.",
        "result",
        [
            ("stapled", counters.stapled.load(Relaxed)),
            ("failed", counters.failed.load(Relaxed)),
        ]
        .into_iter(),
    )]
}

fn one(name: &'static str, help: &'static str, counter: &AtomicU64) -> Family {
    let mut family = Family::counter(name, help);
    family.add(&[], counter.load(Relaxed));
    family
}

fn labelled(
    name: &'static str,
    help: &'static str,
    label: &str,
    samples: impl Iterator<Item = (&'static str, u64)>,
) -> Family {
    let mut family = Family::counter(name, help);
    for (value, count) in samples {
        family.add(&[(label, value)], count);
    }
    family
}
