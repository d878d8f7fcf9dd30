use std::sync::Arc;

use http::StatusCode;
use tidegate_snapshot::policy::snippet::{
    AddedField, AnswerEdit, Assigned, Block, Condition, Content, Edit, Expires, RequestEdit, Return, Step,
    Test, Then, UriRewrite, Value,
};
use tidegate_snapshot::{FieldName, Pattern};

use super::*;
use crate::policy::{Answer, Policies as Compiled};
use crate::request::RequestView;
use crate::request::fixtures::{Head, Request};

fn value(text: &str) -> Value {
    Value::parse(text, &|name| name.starts_with("my")).unwrap()
}

fn name(text: &str) -> FieldName {
    FieldName::parse(text).unwrap()
}

fn steps(steps: Vec<Step>) -> Block {
    Block {
        steps,
        ..Block::default()
    }
}

fn page(status: u16) -> Step {
    Step::Return(Return {
        status,
        content: Content::Page,
    })
}

fn when(subject: &str, test: Test, block: usize) -> Step {
    let subject = value(subject);
    Step::If(Condition { subject, test }, block)
}

fn rewrite(pattern: &str, path: &str, query: Option<&str>, then: Then) -> Step {
    Step::Rewrite(UriRewrite {
        pattern: Pattern::new(pattern, false).unwrap(),
        path: value(path),
        query: query.map(value),
        keep_query: true,
        then,
    })
}

fn compiled(host: Option<Vec<Block>>, route: Option<Vec<Block>>) -> Compiled {
    let snippet = |blocks| Arc::new(policy::Snippet { blocks });
    Compiled::compile(&Policies {
        server_snippet: host.map(snippet),
        snippet: route.map(snippet),
        hsts: None,
        ..Policies::default()
    })
}

/// What the route's steps come to.
fn run(blocks: Vec<Block>, request: &Request) -> (Outcome, Progress) {
    let policies = compiled(None, Some(blocks));
    let snippets = policies.snippets.as_ref().unwrap();
    let mut progress = Progress::default();
    let anywhere = PathMatch::Prefix("".into());
    let outcome = snippets.on_route(
        &anywhere,
        &mut progress,
        &Values::of(request),
        &policies.location,
        80,
    );
    (outcome, progress)
}

fn answered(outcome: Outcome) -> (u16, String) {
    let Outcome::Respond(reply) = outcome else {
        panic!("{outcome:?}");
    };
    let text = match (&reply.body, reply.fields.first()) {
        (Some(body), _) => String::from_utf8_lossy(&body.bytes).into_owned(),
        (None, Some((_, location))) => location.to_str().unwrap().to_owned(),
        (None, None) => String::new(),
    };
    (reply.status.as_u16(), text)
}

fn edited(policies: &Compiled, status: u16, progress: Option<&Progress>, before: &[(&str, &str)]) -> String {
    let request = Request::get("/a?b=c").with("x-id", "7");
    let answer = Answer {
        request: &request,
        request_id: b"",
        status: StatusCode::from_u16(status).unwrap(),
        is_own: false,
        surroundings: Surroundings {
            progress,
            ..Surroundings::default()
        },
    };
    let mut head = Head::new(before);
    policies.on_response(&answer, &mut head);
    let pairs = head.pairs();
    pairs
        .iter()
        .map(|(name, value)| format!("{name}={value};"))
        .collect()
}

#[test]
fn conditions_compare_variables() {
    let request = || Request::get("/a?debug=1&zero=0").with("x-id", "Abc7");
    let holds = |subject: &str, test: Test| {
        let blocks = vec![steps(vec![when(subject, test, 1)]), steps(vec![page(403)])];
        matches!(run(blocks, &request()).0, Outcome::Respond(_))
    };
    let pattern = |text| Pattern::new(text, false).unwrap();
    assert!(holds("$arg_debug", Test::IsSet));
    assert!(!holds("$arg_zero", Test::IsSet));
    assert!(!holds("$arg_none", Test::IsSet));
    assert!(holds("$http_x_id", Test::Is(value("Abc7"))));
    assert!(!holds("$http_x_id", Test::Is(value("abc7"))));
    assert!(holds("$http_x_id", Test::IsNot(value("$host"))));
    assert!(holds("$http_x_id", Test::Matches(pattern("c[0-9]"))));
    assert!(holds("$http_x_id", Test::MatchesNot(pattern("^c"))));
}

#[test]
fn groups_and_variables_are_remembered() {
    let blocks = vec![
        steps(vec![
            Step::Set(Assigned::Own("my".into()), value("a")),
            when(
                "$uri",
                Test::Matches(Pattern::new("^/(x)(y)?", false).unwrap()),
                1,
            ),
            when("$my", Test::Is(value("a")), 2),
            Step::Return(Return {
                status: 200,
                content: Content::Text {
                    content_type: http::HeaderValue::from_static("text/plain"),
                    body: value("$my $1 $2."),
                },
            }),
        ]),
        steps(vec![Step::Set(Assigned::Own("my".into()), value("$my-$1"))]),
        steps(vec![page(404)]),
    ];
    assert_eq!(
        answered(run(blocks.clone(), &Request::get("/x")).0),
        (200, "a-x x .".to_owned())
    );
    assert_eq!(answered(run(blocks, &Request::get("/z")).0), (404, String::new()));
}

#[test]
fn redirects_are_absolute_and_never_two_lines() {
    let to = |text: &str, uri: &str| {
        let answer = Return {
            status: 301,
            content: Content::Location(value(text)),
        };
        answered(run(vec![steps(vec![Step::Return(answer)])], &Request::get(uri)).0)
    };
    assert_eq!(
        to("/new$is_args$args", "/a?b"),
        (301, "http://foo.bar/new?b".to_owned())
    );
    assert_eq!(
        to("https://x$request_uri", "/a%0Ab"),
        (301, "https://x/a%0Ab".to_owned())
    );
    // nginx would send what is decoded: header injection.
    assert_eq!(to("https://x$uri", "/a%0D%0AX:%20b").0, 400);
    assert_eq!(to("", "/"), (301, String::new()));
}

#[test]
fn rewrites_change_path_and_query() {
    let uri = |blocks: Vec<Step>, request: &str| {
        let request = Request::get(request);
        let (outcome, progress) = run(vec![steps(blocks)], &request);
        (outcome, progress.uri(&request).unwrap())
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        uri(
            vec![rewrite("^/a/(.*)$", "/b/$1", Some("c=$1"), Then::FindRoute)],
            "/a/x%20y?d"
        ),
        (Outcome::FindRoute, some("/b/x%20y?c=x%20y&d"))
    );
    assert_eq!(
        uri(vec![rewrite("^/no", "/b", None, Then::FindRoute)], "/a"),
        (Outcome::Continue, None)
    );
    assert_eq!(
        uri(vec![rewrite("^/a", "/b", None, Then::Stay), page(403)], "/a?q"),
        (Outcome::Continue, some("/b?q"))
    );
    // The one after sees what the one before has made.
    let twice = vec![
        rewrite("^/a$", "/b", None, Then::Continue),
        rewrite("^/b$", "/c", None, Then::Continue),
    ];
    assert_eq!(uri(twice, "/a"), (Outcome::FindRoute, some("/c")));
    let query = vec![Step::Set(Assigned::Query, value("$args&x=1"))];
    assert_eq!(uri(query, "/a?b=2"), (Outcome::Continue, some("/a?b=2&x=1")));
}

#[test]
fn nothing_decoded_gets_into_a_request_line() {
    let uri = |blocks: Vec<Step>| {
        let request = Request::get("/a%0D%0AX:%20b%26c=d");
        let (_, progress) = run(vec![steps(blocks)], &request);
        progress.uri(&request).unwrap().unwrap()
    };
    assert_eq!(
        uri(vec![rewrite("(?s)^/(.*)$", "/x", Some("q=$1"), Then::Stay)]),
        "/x?q=a%0D%0AX:%20b%26c=d"
    );
    assert_eq!(
        uri(vec![Step::Set(Assigned::Query, value("q=$uri#"))]),
        "/a%0D%0AX:%20b&c=d?q=/a%0D%0AX:%20b&c=d%23"
    );
}

#[test]
fn groups_of_the_routes_path_are_known() {
    let answer = Return {
        status: 200,
        content: Content::Text {
            content_type: http::HeaderValue::from_static("text/plain"),
            body: value("$1"),
        },
    };
    let policies = compiled(None, Some(vec![steps(vec![Step::Return(answer)])]));
    let snippets = policies.snippets.as_ref().unwrap();
    let matched = PathMatch::Regex(Pattern::new("^/shop/(.*)", true).unwrap());
    let request = Request::get("/shop/shoes");
    let outcome = snippets.on_route(
        &matched,
        &mut Progress::default(),
        &Values::of(&request),
        &policies.location,
        80,
    );
    assert_eq!(answered(outcome), (200, "shoes".to_owned()));
}

#[test]
fn rewrites_redirect_with_escaped_groups() {
    let to = |path: &str, then| {
        let step = rewrite("^/a/(.*)$", path, None, then);
        answered(run(vec![steps(vec![step])], &Request::get("/a/x%20y?q=1")).0)
    };
    assert_eq!(
        to("https://b/$1", Then::Redirect(302)),
        (302, "https://b/x%20y?q=1".to_owned())
    );
    assert_eq!(
        to("/b/$1", Then::Redirect(301)),
        (301, "http://foo.bar/b/x%20y?q=1".to_owned())
    );
}

#[test]
fn a_rewrite_cannot_leave_its_target() {
    let request = Request::get("/static../secret");
    let step = rewrite("^/static(.*)$", "/files/$1", None, Then::Stay);
    let (_, progress) = run(vec![steps(vec![step])], &request);
    assert_eq!(
        progress.uri(&request).unwrap_err().status,
        StatusCode::BAD_REQUEST
    );
    let mut progress = Progress::default();
    assert!((0..10).all(|_| progress.next_round().is_ok()));
    assert!(progress.next_round().is_err());
}

#[test]
fn the_host_chooses_the_route_anew() {
    let policies = compiled(
        Some(vec![steps(vec![rewrite("^/a", "/b", None, Then::Stay)])]),
        None,
    );
    let snippets = policies.snippets.as_ref().unwrap();
    let request = Request::get("/a");
    let mut progress = Progress::default();
    let outcome = snippets.on_host(&mut progress, &Values::of(&request), &policies.location, 80);
    assert_eq!(outcome, Outcome::FindRoute);
    assert_eq!(Seen::new(&request, Some(&progress)).path(), "/b");
    assert_eq!(Seen::new(&request, Some(&progress)).uri(), "/a");
}

#[test]
fn answers_are_edited_from_the_host_inwards() {
    let set = |name_: &str, text: &str| AnswerEdit {
        edit: Edit::Set(name(name_), value(text)),
        statuses: Vec::new(),
        media_types: Vec::new(),
    };
    let host = Block {
        answer: vec![set("A", "host"), set("B", "host")],
        ..Block::default()
    };
    let route = Block {
        steps: vec![when("$http_x_id", Test::IsSet, 1)],
        answer: vec![set("A", "route $http_x_id $upstream_http_via $status")],
        ..Block::default()
    };
    let inner = Block {
        answer: vec![set("C", "if")],
        ..Block::default()
    };
    let policies = compiled(Some(vec![host]), Some(vec![route, inner]));
    let mut progress = Progress::default();
    assert_eq!(edited(&policies, 500, Some(&progress), &[]), "a=host;b=host;");
    progress.enter();
    let before = [("via", "x")];
    assert_eq!(
        edited(&policies, 500, Some(&progress), &before),
        "a=route 7 x 500;b=host;via=x;"
    );
    progress.come_into(1);
    assert_eq!(
        edited(&policies, 500, Some(&progress), &[]),
        "a=route 7  500;b=host;c=if;"
    );
}

#[test]
fn edits_are_for_some_statuses_and_types() {
    let edit = |edit, statuses: &[u16], media: &[&str]| AnswerEdit {
        edit,
        statuses: statuses.to_vec(),
        media_types: media.iter().map(|media| (*media).into()).collect(),
    };
    let block = Block {
        answer: vec![
            edit(Edit::Set(name("A"), value("1")), &[404], &[]),
            edit(Edit::Set(name("B"), value("1")), &[], &["text/html"]),
            edit(Edit::RemoveAll("x-".into()), &[], &[]),
            edit(Edit::RemoveAll("content-".into()), &[404], &[]),
            edit(Edit::Remove(http::header::VIA), &[], &[]),
        ],
        ..Block::default()
    };
    let policies = compiled(None, Some(vec![block]));
    let before = [
        ("content-type", "Text/HTML; charset=utf-8"),
        ("content-length", "1"),
        ("x-a", "1"),
        ("x-b", "2"),
        ("via", "c"),
        ("y", "1"),
    ];
    assert_eq!(
        edited(&policies, 200, None, &before),
        "b=1;content-length=1;content-type=Text/HTML; charset=utf-8;y=1;"
    );
    assert_eq!(
        edited(&policies, 404, None, &before),
        "a=1;b=1;content-length=1;y=1;"
    );
}

#[test]
fn added_fields_follow_nginxs_statuses_and_levels() {
    let added = |text: &str, always| AddedField {
        name: name("A"),
        value: value(text),
        always,
    };
    let block = |fields: Vec<AddedField>| Block {
        added: fields,
        ..Block::default()
    };
    let route = Block {
        steps: vec![when("$host", Test::IsSet, 1)],
        ..block(vec![added("route", false), added("always", true)])
    };
    let host = || Some(vec![block(vec![added("host", false)])]);
    let policies = compiled(host(), Some(vec![route.clone(), block(Vec::new())]));
    assert_eq!(
        edited(&policies, 200, None, &[("a", "own")]),
        "a=always;a=own;a=route;"
    );
    assert_eq!(edited(&policies, 404, None, &[]), "a=always;");
    let policies = compiled(host(), Some(vec![block(Vec::new())]));
    assert_eq!(edited(&policies, 200, None, &[]), "a=host;");
    let policies = compiled(host(), Some(vec![route, block(vec![added("if", false)])]));
    let mut progress = Progress::default();
    progress.enter();
    progress.come_into(1);
    assert_eq!(edited(&policies, 200, Some(&progress), &[]), "a=if;");
}

#[test]
fn expires_replaces_what_the_backend_says() {
    let with = |expires| {
        let block = Block {
            expires: Some(expires),
            ..Block::default()
        };
        compiled(None, Some(vec![block]))
    };
    let before = [("cache-control", "private"), ("cache-control", "x")];
    assert_eq!(
        edited(&with(Expires::Max), 200, None, &before),
        "cache-control=max-age=315360000;expires=Thu, 31 Dec 2037 23:55:55 GMT;"
    );
    assert_eq!(
        edited(&with(Expires::Epoch), 304, None, &before),
        "cache-control=no-cache;expires=Thu, 01 Jan 1970 00:00:01 GMT;"
    );
    let hour = edited(
        &with(Expires::In(std::time::Duration::from_secs(3600))),
        200,
        None,
        &[],
    );
    assert!(hour.starts_with("cache-control=max-age=3600;expires="), "{hour}");
    assert_eq!(edited(&with(Expires::Max), 404, None, &[]), "");
    assert_eq!(
        edited(&with(Expires::Off), 200, None, &before),
        "cache-control=private;cache-control=x;"
    );
}

#[test]
fn fields_of_backends_are_hidden_by_the_innermost_list() {
    let hide = |field: &'static str| {
        vec![Block {
            hide: vec![http::HeaderName::from_static(field)],
            ..Block::default()
        }]
    };
    let before = [("a", "1"), ("b", "2")];
    let policies = compiled(Some(hide("a")), None);
    assert_eq!(edited(&policies, 200, None, &before), "b=2;");
    let policies = compiled(Some(hide("a")), Some(hide("b")));
    assert_eq!(edited(&policies, 200, None, &before), "a=1;");
}

#[test]
fn requests_are_edited_for_backends() {
    let edit = |edit, only_existing| RequestEdit {
        edit,
        only_existing,
        media_types: Vec::new(),
    };
    let block = Block {
        request: vec![
            edit(Edit::Set(name("A"), value("$http_x_id")), true),
            edit(Edit::Set(name("B"), value("$http_x_id")), false),
            edit(Edit::RemoveAll("x-".into()), false),
        ],
        upstream: vec![(name("C"), value("$host")), (name("D"), value(""))],
        ..Block::default()
    };
    let policies = compiled(None, Some(vec![block]));
    assert!(!policies.is_direct());
    let snippets = policies.snippets.as_ref().unwrap();
    let request = Request::get("/").with("x-id", "7");
    let mut progress = Progress::default();
    progress.enter();
    let mut head = Head::new(&[("x-id", "7"), ("d", "4"), ("host", "foo.bar")]);
    snippets
        .request_changes(&progress, &Values::of(&request))
        .apply(&mut head);
    snippets.on_upstream_request(Some(&progress), &Values::of(&request), &mut head);
    let pairs: Vec<_> = head.pairs();
    let names: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(names, ["b=7", "c=foo.bar", "host=foo.bar"]);
}

#[test]
fn editing_answers_alone_is_direct() {
    let block = Block {
        expires: Some(Expires::Max),
        ..Block::default()
    };
    let policies = compiled(None, Some(vec![block]));
    assert!(policies.is_direct());
    assert!(!policies.snippets.as_ref().unwrap().acts_on_requests());
}
