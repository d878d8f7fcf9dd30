//! ingress-nginx's metrics: the same names, labels and meanings, so that its
//! dashboards and people's alerts go on working. What it tells apart by status,
//! method, host and path is counted here; everything else is read from what the
//! gateway counts anyway.

mod admission;
mod certificates;
mod configuration;
mod orphans;
mod process;
mod requests;

use std::sync::Arc;

use super::family::Family;
use super::options::NginxOptions;

pub(super) use admission::admission;
pub use admission::{AdmissionChecks, CheckedIngress};
pub(super) use certificates::certificates;
pub(super) use configuration::{Served, configuration};
pub use orphans::Orphan;
pub(super) use orphans::orphans;
pub(super) use process::process;
pub(super) use requests::{Collection, Route, Shared};

/// What every name begins with.
const PREFIX: &str = "nginx_ingress_controller_";

/// The labels that nearly all of its metrics have.
#[derive(Debug)]
pub(super) struct Identity {
    namespace: String,
    class: String,
    pod: String,
}

impl Identity {
    pub(super) fn new(options: &NginxOptions) -> Arc<Self> {
        Arc::new(Self {
            namespace: options.namespace.clone(),
            class: options.class.clone(),
            pod: options.pod.clone(),
        })
    }

    /// The class that is served.
    fn class(&self) -> &str {
        &self.class
    }

    fn labels(&self) -> [(&str, &str); 3] {
        [
            ("controller_namespace", &self.namespace),
            ("controller_class", &self.class),
            ("controller_pod", &self.pod),
        ]
    }

    /// A counter with these labels.
    fn counter(&self, name: &'static str, help: &'static str) -> Family {
        Family::counter(name, help).with_labels(&self.labels())
    }

    /// A gauge with these labels.
    fn gauge(&self, name: &'static str, help: &'static str) -> Family {
        Family::gauge(name, help).with_labels(&self.labels())
    }

    fn histogram(&self, name: &'static str, help: &'static str) -> Family {
        Family::histogram(name, help).with_labels(&self.labels())
    }
}

/// 1 while this replica leads. `name` is the Lease's.
pub(super) fn leader(identity: &Identity, name: &str, leads: bool) -> Family {
    let mut family = identity.gauge(
        "nginx_ingress_controller_leader_election_status",
        "1 while this replica leads, else 0.",
    );
    family.add(&[("name", name)], leads.into());
    family
}

#[cfg(test)]
mod tests;
