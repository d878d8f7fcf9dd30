use super::names::openssl_name;

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
