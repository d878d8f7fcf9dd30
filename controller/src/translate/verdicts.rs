//! The tables of names, as the docs show them.

use super::configuration;
use super::ingress::annotations;
use crate::verdict::Row;

/// Every annotation of ingress-nginx, those that it has dropped included.
pub fn annotations() -> impl Iterator<Item = Row> {
    annotations::rows()
}

/// Every key of ingress-nginx's ConfigMap, and ours.
pub fn configuration_keys() -> impl Iterator<Item = Row> {
    configuration::keys()
}
