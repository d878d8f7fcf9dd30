//! Kubernetes objects in; snapshots, statuses and problems out.
//!
//! A provider (`provider`) fills the store (`objects`); one task (`reconcile`)
//! translates it (`translate`, pure) and publishes; what else follows from a
//! translation goes to the leader's status writers and to Events.

mod controller;
mod error;
mod events;
mod infrastructure;
mod lease;
mod metrics;
mod queue;
mod reconcile;
mod state;

pub mod admission;
pub mod fallback_certificate;
pub mod gateway_api;
pub mod manifest;
pub mod objects;
pub mod options;
pub mod provider;
pub mod status;
pub mod translate;
pub mod verdict;

pub use controller::{AskBound, AskProblems, Config, run, run_events};
pub use error::Error;
pub use lease::{DEFAULT_ELECTION_ID, DEFAULT_ELECTION_TTL, LeaseConfig};
pub use metrics::Metrics;
pub use provider::kubernetes::pods::PodIdentity;
pub use reconcile::Publish;
pub use state::State;
