//! Metrics, access log.

pub mod metrics;
