use serde_json::{Value as Json, json};
use tidegate_snapshot::policy::AccessRule;

use super::*;

fn location(text: &str) -> Directives {
    parse(text, Level::Location, &[]).unwrap()
}

fn blocks(text: &str) -> Json {
    serde_json::to_value(location(text).snippet.unwrap()).unwrap()["blocks"].take()
}

fn fault(text: &str, level: Level) -> (usize, String, String) {
    let fault = parse(text, level, &[]).unwrap_err();
    (fault.line, fault.what, fault.fix)
}

#[test]
fn nothing_is_nothing() {
    assert_eq!(location(""), Directives::default());
    assert_eq!(location("# just a comment"), Directives::default());
}

#[test]
fn a_condition_has_a_block_of_its_own() {
    let text = "if ($http_x_forwarded_proto = http) { return 301 https://$host$request_uri; }\nreturn 403;";
    assert_eq!(
        blocks(text),
        json!([
            {"steps": [
                {"If": [{"subject": "${http_x_forwarded_proto}", "test": {"Is": "http"}}, 1]},
                {"Return": {"status": 403, "content": "Page"}},
            ]},
            {"steps": [
                {"Return": {"status": 301, "content": {"Location": "https://${host}${request_uri}"}}},
            ]},
        ])
    );
}

#[test]
fn conditions_are_those_of_nginx() {
    let test = |condition: &str| {
        let blocks = blocks(&format!("if {condition} {{ break; }}"));
        blocks[0]["steps"][0]["If"][0]["test"].clone()
    };
    assert_eq!(test("($host)"), "IsSet");
    assert_eq!(test("( $host )"), "IsSet");
    assert_eq!(test("($host = \"a b\")"), json!({"Is": "a b"}));
    assert_eq!(test("($host != 'a')"), json!({"IsNot": "a"}));
    assert_eq!(test("($host ~ ^/a$)"), json!({"Matches": "/^/a$/"}));
    assert_eq!(test("($host ~* \"a{2}\")"), json!({"Matches": "(?i)/a{2}/"}));
    assert_eq!(test("($host !~* a)"), json!({"MatchesNot": "(?i)/a/"}));
}

#[test]
fn returns_are_those_of_nginx() {
    let content = |text: &str| {
        let blocks = blocks(text);
        let answer = &blocks[0]["steps"][0]["Return"];
        (answer["status"].clone(), answer["content"].clone())
    };
    assert_eq!(content("return 204;"), (json!(204), json!("Empty")));
    assert_eq!(content("return 444;"), (json!(444), json!("Page")));
    assert_eq!(content("return 301;"), (json!(301), json!("Page")));
    assert_eq!(
        content("return https://a/;"),
        (json!(302), json!({"Location": "https://a/"}))
    );
    assert_eq!(
        content("return 308 /new$is_args$args;"),
        (json!(308), json!({"Location": "/new${is_args}${args}"}))
    );
    let text = json!({"Text": {"content_type": "application/json", "body": "{\"a\":1}"}});
    assert_eq!(
        content("return 200 '{\"a\":1}'; default_type application/json;"),
        (json!(200), text)
    );
}

#[test]
fn rewrites_are_those_of_nginx() {
    let rewrite = |text: &str| blocks(text)[0]["steps"][0]["Rewrite"].clone();
    assert_eq!(
        rewrite("rewrite ^/a/(.*)$ /b/$1?c=$2 last;"),
        json!({
            "pattern": "/^/a/(.*)$/", "path": "/b/$1", "query": "c=$2",
            "keep_query": true, "then": "FindRoute",
        })
    );
    let then = |text: &str| rewrite(text)["then"].clone();
    assert_eq!(then("rewrite a b;"), "Continue");
    assert_eq!(then("rewrite a b break;"), "Stay");
    assert_eq!(then("rewrite a https://b;"), json!({"Redirect": 302}));
    assert_eq!(then("rewrite a b permanent;"), json!({"Redirect": 301}));
    let replaced = rewrite("rewrite a /b? redirect;");
    assert_eq!(
        (&replaced["keep_query"], &replaced["path"]),
        (&json!(false), &json!("/b"))
    );
}

#[test]
fn fields_of_answers_are_selected() {
    let text = "more_set_headers -s '404 500' -s 403 -t 'text/html Text/Plain' 'A: $host' \"B:\";";
    let blocks = blocks(text);
    let selected = json!({"statuses": [404, 500, 403], "media_types": ["text/html", "text/plain"]});
    let edit = |edit: Json| {
        let mut all = selected.clone();
        all["edit"] = edit;
        all
    };
    assert_eq!(
        blocks[0]["answer"],
        json!([
            edit(json!({"Set": ["A", "${host}"]})),
            edit(json!({"Remove": "b"}))
        ])
    );
    let blocks = super::tests::blocks("more_clear_headers X-* Via; add_header A 'b c' always; expires -1d;");
    assert_eq!(
        blocks[0],
        json!({
            "answer": [{"edit": {"RemoveAll": "x-"}}, {"edit": {"Remove": "via"}}],
            "expires": {"Ago": {"secs": 86400, "nanos": 0}},
            "added": [{"name": "A", "value": "b c", "always": true}],
        })
    );
}

#[test]
fn fields_of_requests_are_edited() {
    let blocks = blocks(
        "more_set_input_headers -r 'A: 1'; more_clear_input_headers B*;\n\
         proxy_set_header C $remote_addr; proxy_set_header Upgrade $http_upgrade;\n\
         proxy_set_header Connection $connection_upgrade;",
    );
    assert_eq!(
        blocks[0],
        json!({
            "request": [
                {"edit": {"Set": ["A", "1"]}, "only_existing": true},
                {"edit": {"RemoveAll": "b"}},
            ],
            "upstream": [["C", "${remote_addr}"]],
        })
    );
}

#[test]
fn what_is_a_policy_already_becomes_that() {
    let directives = location(
        "deny 10.0.0.1; allow 10.0.0.0/8; deny all; client_max_body_size 0; proxy_read_timeout 1m;\n\
         proxy_request_buffering off; access_log off; proxy_buffering on;",
    );
    let rule = |allow, from: &str| AccessRule {
        allow,
        from: from.parse().ok(),
    };
    assert_eq!(
        directives.access,
        [
            rule(false, "10.0.0.1/32"),
            rule(true, "10.0.0.0/8"),
            rule(false, "all")
        ]
    );
    assert_eq!(directives.max_body, Some(None));
    assert_eq!(directives.read_timeout, Some(Duration::from_secs(60)));
    assert_eq!(
        (directives.request_buffering, directives.unlogged),
        (Some(false), true)
    );
    assert_eq!((directives.snippet, directives.notes), (None, Vec::new()));
}

#[test]
fn a_host_has_no_settings_of_routes() {
    let text = "client_max_body_size 8m;\nproxy_set_header A b;\nreturn 403;";
    let directives = parse(text, Level::Server, &[]).unwrap();
    let lines: Vec<_> = directives.notes.iter().map(|note| note.line).collect();
    assert_eq!(lines, [1, 2]);
    assert_eq!(directives.max_body, None);
    assert!(directives.snippet.is_some());
}

#[test]
fn a_host_has_paths_of_its_own() {
    let text = "set $a 1;\nlocation = /a { return 403 $a; }\nlocation /b { deny all; client_max_body_size 1k; }\n\
        location ~* \\.(env|git) { default_type text/plain; return 200 x; }\nlocation ^~ /c { }";
    let directives = parse(text, Level::Server, &[]).unwrap();
    let shown: Vec<_> = directives
        .locations
        .iter()
        .map(|location| {
            (
                location.precedence,
                serde_json::to_value(&location.matches).unwrap(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (Precedence::Exact, json!({"Exact": "/a"})),
            (Precedence::Prefix, json!({"Regex": "/^/b/"})),
            (Precedence::Regex, json!({"Regex": "(?i)/\\.(env|git)/"})),
            (Precedence::First, json!({"Regex": "/^/c/"})),
        ]
    );
    assert_eq!(directives.locations[1].directives.access.len(), 1);
    for text in [
        "location a { }",
        "location @named { }",
        "location /a;",
        "location !~ /a { }",
        "location /a { proxy_pass http://b; }",
        "location /a { location /a/b { } }",
        "if ($host) { location /a { } }",
        "location ~ ( { }",
    ] {
        assert!(parse(text, Level::Server, &[]).is_err(), "{text}");
    }
    assert!(parse("location /a { }", Level::Location, &[]).is_err());
}

#[test]
fn variables_must_be_set_somewhere() {
    assert!(parse("set $a 1; add_header X $a$b;", Level::Location, &[]).is_err());
    let known: [Arc<str>; 1] = ["b".into()];
    assert!(parse("set $a 1; add_header X $a$b;", Level::Location, &known).is_ok());
    // nginx knows a variable wherever it is set.
    assert!(parse("add_header X $a; if ($host) { set $a 1; }", Level::Location, &[]).is_ok());
    let (_, what, _) = fault("set $host a;", Level::Location);
    assert_eq!(what, "`set`: $host is not to be set");
    assert_eq!(
        blocks("set $args a=b;")[0]["steps"],
        json!([{"Set": ["Query", "a=b"]}])
    );
}

#[test]
fn what_does_the_same_is_named() {
    for (text, fix) in [
        ("limit_req zone=a;", "use the annotation `limit-rps`"),
        ("auth_request /a;", "use the annotation `auth-url`"),
        ("proxy_cache a;", "remove it: nothing here does the same"),
        ("satisfy any;", "use the annotation `satisfy`"),
        ("ad_header A b;", "did you mean `add_header`?"),
        ("nonsense;", "docs/snippets.md lists the directives that are"),
        (
            "proxy_set_header Connection close;",
            "use the annotation `connection-proxy-header`",
        ),
    ] {
        assert_eq!(fault(text, Level::Location).2, fix, "{text}");
    }
}

#[test]
fn faults_name_line_and_directive() {
    for (text, line, what) in [
        (
            "add_header A b;\n\nproxy_pass http://a;",
            3,
            "`proxy_pass`: not supported in snippets",
        ),
        ("return 99;", 1, "`return`: 99 is not the status of an answer"),
        ("return /a;", 1, "`return`: wrong arguments"),
        ("add_header A;", 1, "`add_header`: wrong arguments"),
        (
            "add_header A \"b\nc\";",
            1,
            "`add_header`: the value has several lines",
        ),
        (
            "more_set_headers 'Content-Length: 1';",
            1,
            "`more_set_headers`: Content-Length is not to be changed: it frames messages",
        ),
        (
            "more_set_input_headers 'Host: a';",
            1,
            "`more_set_input_headers`: Host has chosen the route already",
        ),
        (
            "if ($host) { if ($host) { } }",
            1,
            "`if`: not allowed in an `if` of a configuration-snippet",
        ),
        (
            "if ($host) {\nproxy_set_header A b; }",
            2,
            "`proxy_set_header`: not allowed in an `if` of a configuration-snippet",
        ),
        (
            "if (-f /etc/passwd) { }",
            1,
            "`if`: this condition is not supported",
        ),
        ("if ($host = a b) { }", 1, "`if`: this condition is not supported"),
        ("if ($a$b) { }", 1, "`if`: \"$a$b\": there is no variable $a"),
        ("if ($host) return 403;", 1, "`if`: wrong arguments"),
        (
            "deny 10.0.0.0/33;",
            1,
            "`deny`: \"10.0.0.0/33\" is not an address and not a network",
        ),
        (
            "proxy_read_timeout 0;",
            1,
            "`proxy_read_timeout`: \"0\" is not a time",
        ),
        ("expires modified 1d;", 1, "`expires`: wrong arguments"),
        (
            "set $a $status;",
            1,
            "`set`: \"$status\" asks for the answer, and there is none yet",
        ),
        (
            "default_type json;",
            1,
            "`default_type`: \"json\" is not a media type",
        ),
    ] {
        let (at, said, _) = fault(text, Level::Location);
        assert_eq!((at, said.as_str()), (line, what), "{text}");
    }
    let broken = fault("if ($host ~ \"(\") { }", Level::Location).1;
    assert!(broken.contains("not a regular expression"), "{broken}");
}

#[test]
fn there_is_an_end_to_everything() {
    let many = "if ($host) { break; }\n".repeat(40);
    let (line, what, _) = fault(&many, Level::Location);
    assert_eq!((line, what.as_str()), (32, "`if`: more than 31 of them"));
}

#[test]
fn questions_take_fields_alone() {
    let headers = parse_auth("proxy_set_header A $host;\nproxy_set_header B \"\";").unwrap();
    let shown: Vec<_> = headers
        .iter()
        .map(|h| format!("{}: {}", h.name, h.value))
        .collect();
    assert_eq!(shown, ["A: ${host}", "B: "]);
    assert_eq!(
        parse_auth("proxy_set_header A b;\nreturn 403;").unwrap_err().line,
        2
    );
    assert!(parse_auth("proxy_set_header Host a;").is_err());
}
