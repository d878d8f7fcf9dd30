use rcgen::ExtendedKeyUsagePurpose;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tidegate_snapshot::{Certificate, Hostname, Networks, ObjectRef, PrivateKey, RouteTable};
use x509_cert::der::Decode;
use x509_ocsp::{CertStatus, OcspRequest, OcspResponseStatus};
use x509_parser::pem::Pem;

use super::question::Unasked;
use super::responder::may_be_asked;
use super::*;

#[path = "../../../tests/support/ocsp.rs"]
mod authority;
use authority::{Authority, Leaf, Says};

const SERIAL: u64 = 4711;
const URL: &str = "http://ocsp.test/";
const OCSP_SIGNING: &[ExtendedKeyUsagePurpose] = &[ExtendedKeyUsagePurpose::OcspSigning];

fn question(leaf: &Leaf) -> Question {
    Question::about(&leaf.chain).unwrap().unwrap()
}

fn judged(response: &[u8], question: &Question) -> Result<Duration, Unusable> {
    judge(
        response,
        question,
        now(),
        &provider().signature_verification_algorithms,
    )
}

/// What is thought of an answer about a certificate of `authority`.
fn verdict(authority: &Authority, response: &[u8]) -> Result<Duration, Unusable> {
    judged(response, &question(&authority.leaf("a.test", SERIAL, &[URL])))
}

/// `tests/openssl.pem`: a certificate with its issuer's (`openssl x509`), the
/// question that `openssl ocsp` makes of them without a nonce, and its answers
/// with the signatures of the issuer (RSA) and of a responder that it appointed
/// (ECDSA).
#[test]
fn openssl_asks_the_same_and_its_answers_hold() {
    let text = include_bytes!("tests/openssl.pem");
    let chain: Vec<_> = CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .unwrap();
    let blocks: Vec<Pem> = Pem::iter_from_buffer(text).map(Result::unwrap).collect();
    let labelled = |label: &'static str| blocks.iter().filter(move |block| block.label == label);
    let question = Question::about(&chain).unwrap().unwrap();
    assert_eq!(question.responder, URL);
    assert_eq!(
        question.request,
        labelled("OCSP REQUEST").next().unwrap().contents
    );
    // 2026-11-23 15:09:37, and a week later.
    let (begin, end) = (1_795_446_577, 1_796_051_377);
    let algorithms = provider().signature_verification_algorithms;
    let at = |second, response: &[u8]| judge(response, &question, Duration::from_secs(second), &algorithms);
    assert_eq!(labelled("OCSP RESPONSE").count(), 2);
    for Pem { contents, .. } in labelled("OCSP RESPONSE") {
        assert_eq!(at(begin, contents), Ok(Duration::from_secs(end)));
        assert_eq!(at(end - 1, contents), Ok(Duration::from_secs(end)));
        assert_eq!(at(end, contents), Err(Unusable::Expired));
    }
}

#[test]
fn only_the_issuer_and_whom_it_appoints_may_answer() {
    let (authority, stranger) = (Authority::default(), Authority::default());
    let says = Says::good(SERIAL);
    assert!(verdict(&authority, &authority.says(&says)).is_ok());
    let by = |signer: &rcgen::KeyPair, shown: &[CertificateDer<'_>]| {
        verdict(&authority, &authority.says_by(&says, signer, shown))
    };
    let (key, appointed) = authority.responder(OCSP_SIGNING, 3600);
    let (other_key, other) = authority.responder(OCSP_SIGNING, 3600);
    assert!(by(&key, std::slice::from_ref(&appointed)).is_ok());
    assert!(by(&key, &[other, appointed.clone()]).is_ok(), "not the first");
    assert_eq!(by(&key, &[]), Err(Unusable::Signature));
    assert_eq!(by(&other_key, &[appointed]), Err(Unusable::Signature));
    assert_eq!(by(&stranger.key, &[]), Err(Unusable::Signature));

    for purposes in [&[ExtendedKeyUsagePurpose::ServerAuth][..], &[]] {
        let (key, other) = authority.responder(purposes, 3600);
        assert_eq!(by(&key, &[other]), Err(Unusable::Signature), "{purposes:?}");
    }
    let (key, ended) = authority.responder(OCSP_SIGNING, -60);
    assert_eq!(by(&key, &[ended]), Err(Unusable::Signature));
    // Of the same name, and with another key.
    let (key, strange) = stranger.responder(OCSP_SIGNING, 3600);
    assert_eq!(by(&key, &[strange]), Err(Unusable::Signature));
    // A server of the authority's says what it likes with its own certificate.
    let leaf = authority.leaf("b.test", 1, &[URL]);
    assert_eq!(by(&leaf.key, &leaf.chain), Err(Unusable::Signature));
}

#[test]
fn answers_are_about_this_certificate_and_this_time() {
    let authority = Authority::default();
    let about = |says: Says| verdict(&authority, &authority.says(&says));
    let good = || Says::good(SERIAL);
    let in_seconds = |until: Duration| until.saturating_sub(now()).as_secs();

    assert!((3590..=3600).contains(&in_seconds(about(good()).unwrap())));
    assert_eq!(about(Says::good(SERIAL + 1)), Err(Unusable::Other));
    // The same number of another authority, whose key it is signed with.
    let renamed = Authority::named("Other");
    let mut question = question(&renamed.leaf("a.test", SERIAL, &[URL]));
    question.issuer = authority.certificate.clone();
    assert_eq!(judged(&authority.says(&good()), &question), Err(Unusable::Other));

    let at = |begin, end| about(Says { begin, end, ..good() });
    assert!(at(200, Some(3600)).is_ok(), "a clock that is ahead");
    assert_eq!(at(400, Some(3600)), Err(Unusable::Early));
    assert_eq!(at(-3600, Some(-1)), Err(Unusable::Expired));
    assert!((86_300..=86_400).contains(&in_seconds(at(-60, None).unwrap())));
    assert_eq!(at(-90_000, None), Err(Unusable::Expired));

    let critical = Says {
        critical: true,
        ..good()
    };
    assert_eq!(about(critical), Err(Unusable::Type));
    let unknown = Says {
        status: CertStatus::unknown(),
        ..good()
    };
    for (says, error) in [
        (Says::revoked(SERIAL), Unusable::Revoked),
        (unknown, Unusable::Unknown),
    ] {
        assert!(error.is_verdict());
        assert_eq!(about(says), Err(error));
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    let authority = Authority::default();
    let try_later = [0x30, 0x03, 0x0a, 0x01, 0x03];
    assert_eq!(
        verdict(&authority, &try_later),
        Err(Unusable::Status(OcspResponseStatus::TryLater))
    );
    let good = authority.says(&Says::good(SERIAL));
    let successful_without_answer = [0x30, 0x03, 0x0a, 0x01, 0x00];
    assert_eq!(
        verdict(&authority, &successful_without_answer),
        Err(Unusable::Type)
    );
    for garbage in [&b""[..], b"<html>", &good[..good.len() - 1]] {
        let outcome = verdict(&authority, garbage);
        assert!(matches!(outcome, Err(Unusable::Malformed(_))), "{outcome:?}");
    }
}

#[test]
fn no_byte_of_an_answer_can_be_changed() {
    let authority = Authority::default();
    let question = question(&authority.leaf("a.test", SERIAL, &[URL]));
    let good = authority.says(&Says::good(SERIAL));
    assert!(judged(&good, &question).is_ok());
    for place in 0..good.len() {
        let mut other = good.clone();
        other[place] ^= 1;
        assert!(judged(&other, &question).is_err(), "{place}");
    }
}

#[test]
fn who_is_asked_stands_in_the_certificate() {
    let authority = Authority::default();
    let about = |urls: &[&str]| Question::about(&authority.leaf("a.test", SERIAL, urls).chain);
    assert_eq!(about(&[]), Ok(None));
    let asked = about(&["https://a.test/", "ldap://a.test", "http://b.test:81/x?y"]);
    let asked = asked.unwrap().unwrap();
    assert_eq!(asked.responder, "http://b.test:81/x?y");
    let request = OcspRequest::from_der(&asked.request).unwrap();
    assert_eq!(request.tbs_request.request_list[0].req_cert, asked.id);
    for url in ["https://a.test/", "http://user@a.test/", "http://", "a.test"] {
        assert_eq!(about(&[url]), Err(Unasked::Scheme(url.to_owned())), "{url}");
    }
    let leaf = authority.leaf("a.test", SERIAL, &[URL]);
    let other = Authority::named("Other").certificate;
    let chain = |certificates: &[&CertificateDer<'static>]| {
        let chain: Vec<_> = certificates.iter().copied().cloned().collect();
        Question::about(&chain)
    };
    assert_eq!(chain(&[&leaf.chain[0]]), Err(Unasked::NoIssuer));
    assert_eq!(chain(&[&leaf.chain[0], &other]), Err(Unasked::NoIssuer));
    let behind = chain(&[&leaf.chain[0], &other, &leaf.chain[1]]);
    assert_eq!(behind.unwrap().unwrap().issuer, authority.certificate);
    assert_eq!(chain(&[]), Ok(None));
}

#[test]
fn responders_are_public_unless_the_operator_says_otherwise() {
    let closed = Ocsp::default();
    let open = Ocsp {
        responders: Networks::parse("10.0.0.0/8, fd00::/8").unwrap(),
    };
    let allowed = |address: &str, ocsp| may_be_asked(address.parse().unwrap(), ocsp);
    for public in [
        "1.1.1.1",
        "100.63.255.255",
        "172.32.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00::1",
        "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1",
    ] {
        assert!(allowed(public, &closed), "{public}");
    }
    for private in [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1.1.1.1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "fc00::1",
        "fd00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(!allowed(private, &closed), "{private}");
    }
    assert!(allowed("10.0.0.1", &open));
    assert!(allowed("::ffff:10.0.0.1", &open));
    assert!(allowed("fd00::1", &open));
    assert!(!allowed("127.0.0.1", &open));
    assert!(!allowed("192.168.0.1", &open));
}

#[test]
fn questions_come_in_time_and_never_in_storms() {
    let minutes = |count: u64| Duration::from_secs(60 * count);
    assert_eq!(refresh(minutes(0)), minutes(5));
    assert_eq!(refresh(minutes(8)), minutes(5));
    assert_eq!(refresh(minutes(60)), minutes(30));
    assert_eq!(refresh(minutes(7 * 24 * 60)), minutes(24 * 60));
    let waits = [1, 2, 3, 7, 8, 9, u32::MAX].map(|failures| backoff(failures).as_secs());
    assert_eq!(waits, [30, 60, 120, 1920, 3600, 3600, 3600]);
}

fn table(certificates: &[(&str, &Leaf)]) -> RouteTable {
    let certificate = |leaf: &Leaf| {
        Arc::new(Certificate {
            origin: ObjectRef::new("Secret", "test", "own"),
            chain: leaf.chain.clone(),
            key: PrivateKey::new(leaf.key.serialize_der().try_into().unwrap()),
            names: vec!["a.test".to_owned()],
            not_after: 0,
            fingerprint: format!("{:p}", leaf.chain[0].as_ptr()),
        })
    };
    let named = certificates
        .iter()
        .map(|(name, leaf)| (Hostname::parse(name).unwrap(), certificate(leaf)));
    RouteTable {
        certificates: named.collect(),
        ..RouteTable::default()
    }
}

fn entry(certificates: &Certificates, name: &str) -> Arc<Entry> {
    let names = &certificates.0.as_ref().unwrap().names;
    names.find(Some(name)).unwrap().clone()
}

fn shown(entry: &Entry) -> Option<Vec<u8>> {
    entry.key.load().ocsp.clone()
}

/// Every certificate that a question is about has the answer: also those that
/// come later, and no more when they are not in use.
#[test]
fn answers_are_shown_by_all_certificates_in_use() {
    let leaf = Authority::default().leaf("a.test", SERIAL, &[URL]);
    let first = Certificates::compile(None, &table(&[("a.test", &leaf), ("b.test", &leaf)]));
    let second = Certificates::compile(None, &table(&[("a.test", &leaf)]));
    let (one, two) = (entry(&first, "a.test"), entry(&second, "a.test"));
    assert_eq!(one.question(), two.question());

    let subject = Subject::new(one.question().unwrap().clone(), vec![one.clone()]);
    assert_eq!(subject.to_string(), "Secret test/own");
    let staple = |response: &[u8]| {
        Some(Staple {
            response: response.to_vec(),
            until: Duration::MAX,
        })
    };
    subject.staple(staple(b"good"));
    assert_eq!(shown(&one).as_deref(), Some(&b"good"[..]));
    assert_eq!(shown(&entry(&first, "b.test")).as_deref(), Some(&b"good"[..]));
    subject.serve(vec![one.clone(), two.clone()]);
    assert_eq!(shown(&two).as_deref(), Some(&b"good"[..]));
    subject.serve(vec![two.clone()]);
    assert_eq!((shown(&one), shown(&two).is_some()), (None, true));
    subject.staple(None);
    assert_eq!(shown(&two), None);
}

/// Where two tables have the same certificate it is asked about once; what is
/// not wanted any more is forgotten, and its answer is not shown any more.
#[tokio::test]
async fn the_same_certificate_is_asked_about_once() {
    let authority = Authority::default();
    // An address that may not be asked, so that nothing leaves this machine.
    let leaf = authority.leaf("a.test", SERIAL, &["http://127.0.0.1:9/"]);
    let mute = authority.leaf("b.test", 2, &[]);
    let tables = [
        table(&[("a.test", &leaf), ("b.test", &mute)]),
        table(&[("a.test", &leaf)]),
    ];
    let wanted = Wanted {
        ocsp: Some(Arc::default()),
        certificates: tables.map(|table| Certificates::compile(None, &table)).to_vec(),
    };
    let desk = Arc::new(Desk {
        responders: Responders::default(),
        permits: Semaphore::new(1),
        counters: Arc::default(),
    });
    let settings = watch::Sender::default();
    let mut watched = HashMap::new();
    follow(&mut watched, &wanted, &desk, &settings);
    assert_eq!(watched.len(), 1);
    let subject = watched.values().next().unwrap().subject.clone();
    assert_eq!(subject.state.lock().entries.len(), 2);
    let kept = entry(&wanted.certificates[0], "a.test");
    subject.staple(Some(Staple {
        response: b"good".to_vec(),
        until: Duration::MAX,
    }));
    follow(&mut watched, &wanted, &desk, &settings);
    assert!(shown(&kept).is_some(), "nothing has changed");
    follow(&mut watched, &Wanted::default(), &desk, &settings);
    assert!(watched.is_empty());
    assert_eq!(shown(&kept), None);
}
