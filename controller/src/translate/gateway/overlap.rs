//! Listeners whose TLS clients may mix up: "TLS configuration within this Listener
//! conflicts with TLS configuration in another Listener on the same port." A client
//! may send requests for one on a connection that was made for the other; such
//! requests are answered 421 ([`super::table`]).

use tidegate_snapshot::Hostname;

use super::hostname::{self, Index};
use super::listener::Model;
use super::status::Condition;

/// Marks the listeners of one port. "Controllers MUST detect the presence of
/// overlapping hostnames and MAY detect the presence of overlapping certificates."
pub(super) fn mark(listeners: &mut [Model], port: &[usize]) {
    let over_tls = port.iter().copied();
    let over_tls: Vec<usize> = over_tls
        .filter(|index| listeners[*index].protocol.is_over_tls())
        .collect();
    if over_tls.len() < 2 {
        return;
    }
    let mut hostnames = Index::default();
    let mut certificates = Index::default();
    for index in &over_tls {
        hostnames.insert(&listeners[*index].hostname, *index);
        for name in certified(&listeners[*index]) {
            certificates.insert(&name, *index);
        }
    }
    for index in over_tls {
        let listener = &listeners[index];
        let certificate = certified(listener).find_map(|name| {
            let other = certificates.meeting(&name, index)?;
            Some(condition(
                "OverlappingCertificates",
                "certificates",
                &listeners[other],
            ))
        });
        // "If a controller supports checking for both possible reasons and finds that
        // both are true, it SHOULD set the "OverlappingCertificates" Reason."
        let overlap = certificate.or_else(|| {
            let other = hostnames.meeting(&listener.hostname, index)?;
            Some(condition("OverlappingHostnames", "host names", &listeners[other]))
        });
        listeners[index].overlap = overlap;
    }
}

/// The names of its certificates; a wildcard counts as one for any number of labels.
fn certified(listener: &Model) -> impl Iterator<Item = Hostname> {
    let certificates = listener.certificates.iter();
    let names = certificates.flat_map(|certificate| certificate.names.iter());
    names.filter_map(|name| hostname::parse(name).ok())
}

fn condition(reason: &'static str, what: &str, other: &Model) -> Condition {
    let owner = &other.owner;
    Condition {
        message: format!(
            "the {what} overlap with those of listener {:?} of {} {}/{}",
            other.name, owner.kind, owner.namespace, owner.name
        ),
        ..Condition::holds("OverlappingTLSConfig", reason)
    }
}
