//! Kubernetes objects in; snapshots, statuses and problems out.

pub mod fallback_certificate;
pub mod manifest;
pub mod objects;
pub mod options;
pub mod translate;
