use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;
use tidegate_snapshot::{Certificate, Hostname, ObjectRef, PrivateKey, RouteTable};

use super::names::openssl_name;
use super::{Certificates, normalize};

#[test]
fn every_suite_has_its_openssl_name() {
    for suite in super::provider().cipher_suites.iter() {
        let name = openssl_name(suite.suite());
        assert!(
            name.starts_with("TLS_AES") || name.starts_with("TLS_CHACHA") || name.starts_with("ECDHE-"),
            "{name}"
        );
    }
}

fn table(certificates: &[(&str, &Arc<Certificate>)]) -> RouteTable {
    let named = certificates
        .iter()
        .map(|(name, certificate)| (Hostname::parse(name).unwrap(), Arc::clone(certificate)));
    RouteTable {
        certificates: named.collect(),
        ..RouteTable::default()
    }
}

fn certificate(fingerprint: &str) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["a.test".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    Certificate {
        origin: ObjectRef::new("Secret", "test", fingerprint),
        chain: vec![leaf.der().clone()],
        key: PrivateKey::new(PrivateKeyDer::try_from(key.serialize_der()).unwrap()),
        names: vec!["a.test".to_owned()],
        not_after: 0,
        fingerprint: fingerprint.to_owned(),
    }
}

fn key_of(certificates: &Certificates, name: &str) -> *const CertifiedKey {
    let names = &certificates.0.as_ref().unwrap().names;
    Arc::as_ptr(&names.find(Some(name)).unwrap().key.load())
}

#[test]
fn what_did_not_change_is_taken_over() {
    let (one, two) = (Arc::new(certificate("1")), Arc::new(certificate("2")));
    let first = Certificates::compile(
        None,
        &table(&[("a.test", &one), ("b.test", &one), ("c.test", &two)]),
    );
    assert_eq!(
        key_of(&first, "a.test"),
        key_of(&first, "b.test"),
        "one key for all names"
    );

    // The same values, read again from the cluster.
    let again = Arc::new((*one).clone());
    let same = Certificates::compile(
        Some(&first),
        &table(&[("a.test", &again), ("b.test", &one), ("c.test", &two)]),
    );
    assert!(Arc::ptr_eq(first.0.as_ref().unwrap(), same.0.as_ref().unwrap()));

    let three = Arc::new(certificate("3"));
    let changed = Certificates::compile(Some(&first), &table(&[("a.test", &one), ("c.test", &three)]));
    assert_eq!(key_of(&changed, "a.test"), key_of(&first, "a.test"));
    assert_ne!(key_of(&changed, "c.test"), key_of(&first, "c.test"));
    assert!(changed.config(Some("b.test")).is_none());
}

#[test]
fn an_equal_fingerprint_alone_is_no_proof() {
    let one = Arc::new(certificate("1"));
    let first = Certificates::compile(None, &table(&[("a.test", &one)]));
    let other = Arc::new(certificate("1"));
    let changed = Certificates::compile(Some(&first), &table(&[("a.test", &other)]));
    assert_ne!(key_of(&changed, "a.test"), key_of(&first, "a.test"));
}

#[test]
fn an_unusable_key_is_left_out() {
    let mut broken = certificate("1");
    broken.key = PrivateKey::new(PrivateKeyDer::Pkcs8(vec![1, 2, 3].into()));
    let (broken, default) = (Arc::new(broken), Arc::new(certificate("2")));
    let mut table = table(&[("a.test", &broken)]);
    assert!(
        Certificates::compile(None, &table)
            .config(Some("a.test"))
            .is_none()
    );
    table.default_certificate = Some(Arc::clone(&default));
    let certificates = Certificates::compile(None, &table);
    assert!(Arc::ptr_eq(
        certificates.certificate(Some("a.test")).unwrap(),
        &default
    ));
}

#[test]
fn names_are_found_in_any_spelling_of_dns() {
    let (exact, wildcard) = (Arc::new(certificate("1")), Arc::new(certificate("2")));
    let certificates = Certificates::compile(None, &table(&[("a.test", &exact), ("*.test", &wildcard)]));
    let found = |name: &str| {
        let certificate = certificates.certificate(Some(&normalize(name)));
        certificate.map(|certificate| certificate.fingerprint.clone())
    };
    assert_eq!(found("A.Test.").as_deref(), Some("1"));
    assert_eq!(found("B.TEST").as_deref(), Some("2"));
    assert_eq!(found(".test"), None);
    assert_eq!(found("b.a.test"), None);
    assert_eq!(found("test"), None);
    assert!(certificates.certificate(None).is_none());
}
