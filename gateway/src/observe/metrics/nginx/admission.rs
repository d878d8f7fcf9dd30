//! What ingress-nginx says of its admission webhook.

use std::time::Duration;

use super::Identity;
use crate::observe::metrics::family::Family;

/// What the webhook has judged.
#[derive(Clone, Debug, Default)]
pub struct AdmissionChecks {
    /// By Ingress; how many is bounded by whoever counts.
    pub ingresses: Vec<CheckedIngress>,
    /// How long the last one took.
    pub last: Duration,
    /// Whether there was one.
    pub any: bool,
}

/// The checks of one Ingress.
#[derive(Clone, Debug)]
pub struct CheckedIngress {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub ingress: String,
    /// How many it passed.
    pub passed: u64,
    /// How many it did not.
    pub failed: u64,
}

pub(in super::super) fn admission(identity: &Identity, checks: &AdmissionChecks) -> Vec<Family> {
    let mut passed = identity.counter(
        "nginx_ingress_controller_check_success",
        "Checks by the admission webhook that an Ingress passed.",
    );
    let mut failed = identity.counter(
        "nginx_ingress_controller_check_errors",
        "Checks by the admission webhook that an Ingress did not pass.",
    );
    for one in &checks.ingresses {
        let labels = [("namespace", &*one.namespace), ("ingress", &*one.ingress)];
        for (family, count) in [(&mut passed, one.passed), (&mut failed, one.failed)] {
            if count > 0 {
                family.add(&labels, count);
            }
        }
    }
    let mut families = vec![passed, failed];
    let seconds = checks.last.as_secs_f64();
    for (name, help, value) in [
        (
            "nginx_ingress_controller_admission_tested_ingresses",
            "Ingresses looked at in the last check.",
            1.0,
        ),
        (
            "nginx_ingress_controller_admission_tested_duration",
            "Seconds that the last check took.",
            seconds,
        ),
        (
            "nginx_ingress_controller_admission_render_ingresses",
            "Ingresses rendered in the last check: always 0, they are parsed.",
            0.0,
        ),
        (
            "nginx_ingress_controller_admission_render_duration",
            "Seconds that rendering took in the last check: always 0.",
            0.0,
        ),
        (
            "nginx_ingress_controller_admission_config_size",
            "Bytes of the configuration rendered in the last check: always 0.",
            0.0,
        ),
        (
            "nginx_ingress_controller_admission_roundtrip_duration",
            "Seconds from the last review to its answer.",
            seconds,
        ),
    ] {
        let mut family = identity.gauge(name, help);
        if checks.any {
            family.add_float(&[], value);
        }
        families.push(family);
    }
    families
}
