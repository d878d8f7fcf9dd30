//! Metrics: the settings as the gateway wants them, and what the controller
//! tells under ingress-nginx's names.

use std::sync::Arc;
use std::time::Duration;

use tidegate_controller::options::INGRESS_NGINX_CONTROLLER_CLASS;
use tidegate_gateway::gateway::Gateway;
use tidegate_gateway::observe::metrics::{
    AdmissionChecks, Bounds, CheckedIngress, Metrics, NginxOptions, Options,
};
use tidegate_gateway::settings::{Buckets, MetricsCompat, Settings};

use super::controller::{Controller, pod};

/// The options that settings ask for.
pub(super) fn options(settings: &Settings) -> Options {
    let metrics = &settings.metrics;
    let classes = &settings.ingress.controller_classes;
    let adopted = classes
        .iter()
        .any(|class| class == INGRESS_NGINX_CONTROLLER_CLASS);
    let nginx = match metrics.compat {
        MetricsCompat::Auto => adopted,
        MetricsCompat::IngressNginx => true,
        MetricsCompat::None => false,
    };
    let pod = pod();
    let class = if adopted {
        INGRESS_NGINX_CONTROLLER_CLASS
    } else {
        classes.first().map_or("", String::as_str)
    };
    Options {
        series_cap: metrics.series_cap,
        exclude: metrics.exclude.clone(),
        nginx: nginx.then(|| NginxOptions {
            namespace: pod.as_ref().map(|pod| pod.namespace.clone()).unwrap_or_default(),
            class: class.to_owned(),
            pod: pod.map(|pod| pod.name).unwrap_or_default(),
            per_host: metrics.per_host,
            per_undefined_host: metrics.per_undefined_host,
            status_classes: metrics.status_classes,
            time_buckets: durations(&metrics.time_buckets),
            length_buckets: sizes(&metrics.length_buckets),
            size_buckets: sizes(&metrics.size_buckets),
        }),
    }
}

fn durations(buckets: &Buckets) -> Bounds {
    let bounds = buckets.values().into_iter();
    // What is too long for a duration is longer than any request.
    let bounds = bounds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    Bounds::durations(&bounds.collect::<Vec<_>>())
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn sizes(buckets: &Buckets) -> Bounds {
    let bounds = buckets.values().into_iter();
    Bounds::sizes(&bounds.map(|bytes| bytes as u64).collect::<Vec<_>>())
}

/// Shows what the gateway and the controller know of themselves.
pub(super) fn show(settings: &Settings, gateway: &Arc<Gateway>, controller: &Controller, metrics: &Metrics) {
    let weak = Arc::downgrade(gateway);
    metrics.show_configuration(move || {
        let gateway = weak.upgrade();
        gateway.map(|gateway| gateway.configuration()).unwrap_or_default()
    });
    let state = controller.state().clone();
    let lease = settings.leader_election.lease.clone();
    metrics.show_leader(lease, move || state.leader());
    let state = controller.state().clone();
    metrics.show_admission(move || {
        let reviews = state.reviews();
        AdmissionChecks {
            last: reviews.last,
            any: reviews.any,
            ingresses: reviews
                .ingresses
                .into_iter()
                .map(|(name, counts)| CheckedIngress {
                    namespace: name.namespace.to_string(),
                    ingress: name.name.to_string(),
                    passed: counts.passed,
                    failed: counts.failed,
                })
                .collect(),
        }
    });
}
