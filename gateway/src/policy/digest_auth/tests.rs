use std::time::Duration;

use tidegate_snapshot::policy::{DigestUsers, Seed};

use super::*;
use crate::request::fixtures::Request;

/// MD5 of `Mufasa:testrealm@host.com:Circle Of Life` (RFC 2617 §3.5).
const FILE: &str = "Mufasa:testrealm@host.com:939e7578ed9e3c518a452acee763bce9";

fn auth(seed: Option<&str>) -> DigestAuth {
    DigestAuth::new(&policy::DigestAuth {
        realm: "testrealm@host.com".into(),
        users: DigestUsers::parse(FILE, "testrealm@host.com"),
        seed: seed.map(|seed| Seed(seed.into())),
    })
}

fn request(authorization: &str) -> Request {
    Request::get("/dir/index.html").with("authorization", authorization)
}

/// The field of a challenge; panics when the request came in.
fn challenge(verdict: Verdict) -> String {
    let Verdict::Refused(reply) = verdict else {
        panic!("not refused: {verdict:?}");
    };
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    reply.fields[0].1.to_str().unwrap().to_owned()
}

fn nonce(challenge: &str) -> &str {
    let (_, rest) = challenge.split_once("nonce=\"").unwrap();
    rest.split_once('"').unwrap().0
}

/// What a browser sends, computed apart from the code under test's order.
fn answer(nonce: &str, uri: &str, password: &str) -> String {
    let ha1 = md5(&["Mufasa", "testrealm@host.com", password]);
    let ha2 = md5(&["GET", uri]);
    let response = md5(&[&format!("{ha1}:{nonce}:00000001:0a4f113b:auth:{ha2}")]);
    format!(
        "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", nonce=\"{nonce}\", uri=\"{uri}\", \
         qop=auth, nc=00000001, cnonce=\"0a4f113b\", response=\"{response}\""
    )
}

/// The RFC's own example: a right proof, with a nonce that is not ours.
#[test]
fn the_example_of_the_rfc_is_a_right_proof() {
    let given = "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
        nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", qop=auth, \
        nc=00000001, cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\", \
        opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
    let verdict = auth(None).check(&request(given), SystemTime::now());
    assert!(challenge(verdict).ends_with(", stale=true"));
    let wrong = given.replace("6629", "6628");
    let verdict = auth(None).check(&request(&wrong), SystemTime::now());
    assert!(!challenge(verdict).contains("stale"));
}

#[test]
fn a_nonce_lets_in_for_a_minute() {
    let auth = auth(None);
    let now = SystemTime::now();
    let asked = challenge(auth.check(&Request::get("/dir/index.html"), now));
    assert!(
        asked.starts_with("Digest realm=\"testrealm@host.com\", qop=\"auth\", algorithm=MD5, nonce=\""),
        "{asked}"
    );
    assert!(!asked.contains("stale"), "{asked}");
    let right = request(&answer(nonce(&asked), "/dir/index.html", "Circle Of Life"));
    assert_eq!(auth.check(&right, now), Verdict::Granted);
    assert_eq!(
        auth.check(&right, now + Duration::from_secs(59)),
        Verdict::Granted
    );
    let late = challenge(auth.check(&right, now + Duration::from_secs(61)));
    assert!(late.ends_with(", stale=true"), "{late}");
    assert_ne!(nonce(&late), nonce(&asked));
}

#[test]
fn wrong_passwords_and_other_requests_are_asked_again() {
    let auth = auth(None);
    let now = SystemTime::now();
    let nonce = auth.nonces.make(now);
    for given in [
        answer(&nonce, "/dir/index.html", "circle of life"),
        answer(&nonce, "/other", "Circle Of Life"),
        answer(&nonce, "/dir/index.html", "Circle Of Life").replace("Mufasa", "Scar"),
        answer(&nonce, "/dir/index.html", "Circle Of Life").replace("host.com", "host.org"),
        "Basic TXVmYXNhOkNpcmNsZSBPZiBMaWZl".to_owned(),
    ] {
        assert!(
            !challenge(auth.check(&request(&given), now)).contains("stale"),
            "{given}"
        );
    }
    let mut post = request(&answer(&nonce, "/dir/index.html", "Circle Of Life"));
    post.method = http::Method::POST;
    assert!(!challenge(auth.check(&post, now)).contains("stale"));
}

/// Replicas that know the same Secret take each other's nonces; without it each
/// process keeps to itself, and a forged nonce is stale.
#[test]
fn replicas_agree_by_the_secret() {
    let now = SystemTime::now();
    let made = auth(Some("uid")).nonces.make(now);
    assert!(auth(Some("uid")).nonces.is_fresh(&made, now));
    assert!(!auth(Some("other")).nonces.is_fresh(&made, now));
    assert!(!auth(None).nonces.is_fresh(&made, now));
    assert!(auth(None).nonces.is_fresh(&auth(None).nonces.make(now), now));
    let forged = format!("{:016x}{:016x}{}", seconds_of(now), 0, &made[32..]);
    assert!(!auth(Some("uid")).nonces.is_fresh(&forged, now));
    assert!(!auth(Some("uid")).nonces.is_fresh("\u{e9}", now));
    let changed = DigestAuth::new(&policy::DigestAuth {
        realm: "testrealm@host.com".into(),
        users: DigestUsers::default(),
        seed: Some(Seed("uid".into())),
    });
    assert!(
        !changed.nonces.is_fresh(&made, now),
        "a changed password ends nonces"
    );
}

fn seconds_of(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}
