//! `settings/geoip2.go`: databases from a folder, written here.

use std::path::Path;

use serde_json::{Value, json};

use crate::site::{Site, config_map, ingress};
use crate::support::client::Answer;
use crate::support::mmdb::database;

const FLAGS: [&str; 2] = [
    "--configmap=default/config",
    "--maxmind-edition-ids=GeoLite2-Country,GeoLite2-City,GeoLite2-ASN",
];

const GERMANY: &str = "192.0.2.0/24";
const AMERICA: &str = "198.51.100.0/24";

const BLOCK: &str = "if ($geoip2_country_code = US) {\n  return 403;\n}\n\
    more_set_headers \"X-Place: $geoip2_city/$geoip2_region_code/$geoip2_latitude/$geoip2_asn\";\n";

fn country(code: &str) -> Value {
    json!({"country": {"iso_code": code, "names": {"en": code}, "geoname_id": 7}})
}

fn city() -> Value {
    json!({
        "city": {"names": {"en": "Berlin"}},
        "location": {"latitude": 52.5},
        "subdivisions": [{"iso_code": "BE"}],
    })
}

fn write(folder: &Path, edition: &str, records: &[(&str, Value)]) {
    let file = folder.join(format!("{edition}.mmdb"));
    let new = folder.join("new");
    std::fs::write(&new, database(records)).unwrap();
    std::fs::rename(new, file).unwrap();
}

fn countries(folder: &Path, america: &str) {
    let records = [(GERMANY, country("DE")), (AMERICA, country(america))];
    write(folder, "GeoLite2-Country", &records);
}

fn all(folder: &Path) {
    countries(folder, "US");
    write(folder, "GeoLite2-City", &[(GERMANY, city())]);
    let network = json!({"autonomous_system_number": 64512, "autonomous_system_organization": "Example"});
    write(folder, "GeoLite2-ASN", &[(GERMANY, network)]);
}

/// A site that blocks a country; addresses are those that the client names.
async fn site(folder: &Path, keys: &[(&str, &str)], flags: &[&str]) -> Site {
    let all = [
        ("allow-snippet-annotations", "true"),
        ("annotations-risk-level", "Critical"),
        ("use-forwarded-headers", "true"),
        ("proxy-real-ip-cidr", "127.0.0.0/8"),
    ];
    let keys = [&all[..], keys].concat();
    let settings = folder.join("gateway.yaml");
    let geoip = json!({"geoip": {"directory": folder}});
    std::fs::write(&settings, geoip.to_string()).unwrap();
    let config = format!("--config={}", settings.display());
    let flags = [&[&*config], &FLAGS[..], flags].concat();
    let yaml = ingress("a", &[("configuration-snippet", BLOCK)]) + &config_map("config", &keys);
    Site::with(&["echo"], &yaml, &flags).await
}

async fn ask(site: &Site, address: &str) -> Answer {
    site.ask_with("/", &format!("X-Forwarded-For: {address}\r\n"))
        .await
}

/// A country is kept out by a snippet, others and the unknown come in; the
/// variables have what the databases say.
#[tokio::test]
async fn geoip2_1_and_2_country() {
    let folder = tempfile::tempdir().unwrap();
    all(folder.path());
    let site = site(folder.path(), &[("use-geoip2", "true")], &[]).await;
    let german = ask(&site, "192.0.2.7").await;
    assert_eq!(german.status, 200);
    assert_eq!(german.header("x-place"), Some("Berlin/BE/52.50000/64512"));
    assert_eq!(ask(&site, "198.51.100.7").await.status, 403);
    let unknown = ask(&site, "203.0.113.7").await;
    assert_eq!((unknown.status, unknown.header("x-place")), (200, Some("///")));
    assert_eq!(ask(&site, "2001:db8::1").await.status, 200);
}

/// A file that changes is read again.
#[tokio::test]
async fn geoip2_3_reload() {
    let folder = tempfile::tempdir().unwrap();
    all(folder.path());
    let site = site(folder.path(), &[("use-geoip2", "true")], &[]).await;
    assert_eq!(ask(&site, "198.51.100.7").await.status, 403);
    countries(folder.path(), "AU-NZ");
    // Looked for every ten seconds.
    let start = std::time::Instant::now();
    while ask(&site, "198.51.100.7").await.status != 200 {
        assert!(start.elapsed().as_secs() < 30, "still the old database");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// What a snippet decides by a database that is not there stays closed, and a
/// Problem says which file is missing.
#[tokio::test]
async fn a_missing_database_lets_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(folder.path(), &[("use-geoip2", "true")], &[]).await;
    assert_eq!(ask(&site, "192.0.2.7").await.status, 503);
    let problems = site.problems("use-geoip2").await;
    assert!(problems.contains("GeoLite2-Country.mmdb"), "{problems}");
}

/// The access log knows them, too.
#[tokio::test]
async fn places_are_logged() {
    let folder = tempfile::tempdir().unwrap();
    all(folder.path());
    let log = folder.path().join("access.log");
    let path = log.to_str().unwrap();
    let keys = [
        ("use-geoip2", "true"),
        ("access-log-path", path),
        ("log-format-upstream", "$geoip2_country_code $geoip2_org"),
    ];
    let site = site(folder.path(), &keys, &["--access-log=nginx"]).await;
    assert_eq!(ask(&site, "192.0.2.7").await.status, 200);
    crate::support::eventually("a line", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("DE Example"))
    })
    .await;
}
