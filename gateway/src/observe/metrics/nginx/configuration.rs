//! What ingress-nginx says of its configuration and reloads. There are none
//! here: each snapshot that is put into service counts as a successful one.

use super::Identity;
use crate::observe::metrics::family::Family;

/// What is served.
pub(in super::super) struct Served {
    /// Stands for the configuration: the same for the same.
    pub(in super::super) hash: u64,
    /// Snapshots put into service.
    pub(in super::super) applied: u64,
    /// When the last one was, in seconds since 1970.
    pub(in super::super) applied_at: u64,
}

pub(in super::super) fn configuration(identity: &Identity, served: &Served) -> Vec<Family> {
    let gauge = |name, help, value: u64| {
        let mut family = identity.gauge(name, help);
        family.add(&[], value);
        family
    };
    let counter = |name, help, value: u64| {
        let mut family = identity.counter(name, help);
        family.add(&[], value);
        family
    };
    let mut build = identity.gauge(
        "nginx_ingress_controller_build_info",
        "Always 1; the labels name the build.",
    );
    let version = env!("CARGO_PKG_VERSION");
    build.add(
        &[
            ("release", version),
            ("build", ""),
            ("repository", env!("CARGO_PKG_REPOSITORY")),
        ],
        1,
    );
    vec![
        build,
        gauge(
            "nginx_ingress_controller_config_hash",
            "Stands for the configuration being served; 0 before the first.",
            served.hash,
        ),
        gauge(
            "nginx_ingress_controller_config_last_reload_successful",
            "1: what could not be understood is left out, so that a change never fails as a whole.",
            1,
        ),
        gauge(
            "nginx_ingress_controller_config_last_reload_successful_timestamp_seconds",
            "When the configuration was put into service, in seconds since 1970.",
            served.applied_at,
        ),
        counter(
            "nginx_ingress_controller_success",
            "Configurations put into service.",
            served.applied,
        ),
        counter(
            "nginx_ingress_controller_errors",
            "Configurations that could not be: always 0.",
            0,
        ),
    ]
}
