use std::time::Duration;

use tidegate_snapshot::policy;
use tidegate_snapshot::policy::AuthorizationProtocol;

use super::*;
use crate::request::fixtures::{Head, Request};

/// A message as Envoy's go-control-plane encodes it, framed.
fn framed(hex: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let message: Vec<u8> = (0..hex.len()).step_by(2).map(digits).collect();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], &message].concat()
}

const OK: &str = "0a001a9301120c0a0a0a05782d73657412013112130a0d0a08782d617070656e641201321202080112120a0e0a09782d6465\
                  6661756c74120133180112160a100a0b782d6f76657277726974651201341200180212120a0e0a09782d7265706c616365\
                  1201351803120c0a0a0a05782d7261771a01e92a06782d676f6e65320d0a0b0a06782d746f6c641201363a060a01611201\
                  37420162";
const DENIED: &str = "0a06080712026e6f12170a03089103120c0a0a0a05782d7768791201381a026e6f";
const REQUEST: &str = "0a81010a120a100a0e12093139322e302e322e3118d20912140a120a10120b323030313a6462383a3a3118bb03224b0a\
                       040801100512430a02696412035055541a0a0a03782d611203312c3222042f703f712a06682e746573743205687474707348\
                       ffffffffffffffffff015206485454502f325a04626f647962080a06682e74657374";

fn authorization(request_headers: &[&str]) -> Authorization {
    Authorization::new(&policy::Authorization {
        cluster: None,
        protocol: AuthorizationProtocol::Grpc,
        request_headers: request_headers
            .iter()
            .map(|name| FieldName::parse(name).unwrap())
            .collect(),
        body: 0,
    })
}

fn question<'a>(request: &'a Request, body: &'a [u8]) -> Question<'a> {
    Question {
        request,
        headers: &request.headers,
        version: Version::HTTP_2,
        id: b"id",
        client: "192.0.2.1:1234".parse().unwrap(),
        local: "[2001:db8::1]:443".parse().unwrap(),
        server_name: Some("h.test"),
        received: UNIX_EPOCH + Duration::new(1, 5),
        body,
        size: None,
    }
}

fn request() -> Request {
    Request {
        method: http::Method::PUT,
        host: "h.test".to_owned(),
        scheme: "https",
        ..Request::get("/p?q")
    }
    .with("x-a", "1")
    .with("x-a", "2")
    .with("x-forwarded-proto", "gopher")
}

#[test]
fn questions_are_what_other_implementations_read() {
    let request = request();
    let asked = authorization(&["X-A", "X-Forwarded-Proto"]).check_request(&question(&request, b"body"));
    assert_eq!(asked, framed(REQUEST));
    let all = authorization(&[]).check_request(&question(&request, b"\xff"));
    let all = CheckRequest::decode(&all[PREFIX..]).unwrap();
    let http = all.attributes.unwrap().request.unwrap().http.unwrap();
    assert_eq!((http.body.as_str(), http.raw_body.as_slice()), ("", &b"\xff"[..]));
    let mut names: Vec<_> = http.headers.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, [":authority", ":method", ":path", ":scheme", "x-a"]);
}

#[test]
fn changes_are_read_as_other_implementations_write_them() {
    let judged = authorization(&[]).judge_message(&framed(OK));
    let Some(Judgement::Granted(grant)) = judged else {
        panic!("{judged:?}");
    };
    let changed = |fields: &[(&str, &str)]| {
        let mut head = Head::new(fields);
        let applied = grant
            .request
            .iter()
            .filter(|change| !matches!(change, Change::Set(name, _) if name.name() == "x-raw"));
        applied.for_each(|change| change.apply(&mut head));
        let pairs = head.pairs().into_iter();
        pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        changed(&[]),
        ["x-append=2", "x-default=3", "x-overwrite=4", "x-set=1"]
    );
    let names = [
        "x-append",
        "x-default",
        "x-overwrite",
        "x-set",
        "x-replace",
        "x-gone",
    ];
    assert_eq!(
        changed(&names.map(|name| (name, "0"))),
        [
            "x-append=0",
            "x-append=2",
            "x-default=0",
            "x-overwrite=4",
            "x-replace=5",
            "x-set=1"
        ]
    );
    let raw = HeaderValue::from_bytes(b"\xe9").unwrap();
    assert!(
        grant
            .request
            .contains(&Change::Set(FieldName::parse("x-raw").unwrap(), raw))
    );
    let told = HeaderValue::from_static("6");
    assert_eq!(
        grant.answer,
        [Change::Set(FieldName::parse("x-told").unwrap(), told)]
    );
    assert_eq!(grant.target("/p?b=1&c").as_deref(), Some("/p?c&a=7"));
}

#[test]
fn refusals_are_read_as_other_implementations_write_them() {
    let judged = authorization(&[]).judge_message(&framed(DENIED));
    let Some(Judgement::Refused(reply)) = judged else {
        panic!("{judged:?}");
    };
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        reply.fields,
        [(FieldName::parse("x-why").unwrap(), HeaderValue::from_static("8"))]
    );
    assert_eq!(reply.body.unwrap().bytes, "no");
}

#[test]
fn what_is_no_message_is_no_answer() {
    let whole = framed(OK);
    for cut in 0..whole.len() {
        assert_eq!(authorization(&[]).judge_message(&whole[..cut]), None, "{cut}");
    }
    let mut compressed = whole;
    compressed[0] = 1;
    assert_eq!(authorization(&[]).judge_message(&compressed), None);
}
