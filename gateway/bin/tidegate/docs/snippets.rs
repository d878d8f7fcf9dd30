//! `docs/snippets.md`, with the grammar that the parser itself works by.

use std::fmt::Write;

use tidegate_controller::translate::snippet;

use super::cell;

const HEAD: &str = "# Snippets\n\n\
    Generated from the source; change it there, then\n\
    `UPDATE_GENERATED=1 cargo test --workspace --bin tidegate docs`.\n\n\
    nginx text in annotations (`configuration-snippet`, `server-snippet`, `auth-snippet`) and in the ConfigMap\n\
    (`location-snippet`, `server-snippet`, `global-auth-snippet`). Nothing of it is ever executed: it is parsed\n\
    into typed statements when the Ingress is read, and the gateway evaluates those in nginx's order. The\n\
    directives below are what snippets are mostly used for.\n\n\
    Where an annotation does the same, prefer it: annotations need no permission and work with any controller.\n\n\
    ## Switching them on\n\n\
    As in ingress-nginx annotations with snippets are off until the ConfigMap has both\n\n\
    ```yaml\n\
    data:\n\
    \x20 allow-snippet-annotations: \"true\"\n\
    \x20 annotations-risk-level: Critical\n\
    ```\n\n\
    With neither, which is the default, or without the second, the whole Ingress is refused: snippets are a\n\
    Critical risk, and `annotations-risk-level` is High unless it says otherwise. With the second but not the\n\
    first the snippet is passed over and the Ingress is served without it. The webhook denies it in every case.\n\
    Snippets in the ConfigMap need no permission.\n\n\
    Whoever may write snippets may answer for the host and see its headers, but reaches nothing of the\n\
    gateway: there are no files, no code, no other upstreams, no memory to overflow.\n\n\
    ## When a line is not in the grammar\n\n\
    The snippet is refused as a whole, and the routes of its Ingress answer 503: the line may have been there to\n\
    guard something. The Problem (log, Event, `tidegate check`, `/problems`) names the line, the directive, what\n\
    is wrong and what does the same:\n\n\
    ```text\n\
    line 2: `limit_req`: not supported in snippets (routes answer 503); use the annotation `limit-rps`\n\
    ```\n\n\
    A `server-snippet` closes its whole host, routes of other Ingresses too, if it is the one that decides there:\n\
    it may have been there to guard them, and whoever may write one answers for the host anyway. A Problem tells\n\
    the others. The webhook denies such an Ingress. A line in the ConfigMap closes all routes.\n\n\
    ## Directives\n\n\
    `server` is `server-snippet`, `configuration` is `configuration-snippet` and `location-snippet`. `auth-snippet`\n\
    takes `proxy_set_header` alone.\n\n\
    | Directive | Phase | Where | Notes |\n| --- | --- | --- | --- |\n";

const REST: &str = "\n\
    `Connection`, `Content-Length`, `Date`, `TE`, `Trailer`, `Transfer-Encoding` and `Upgrade` cannot be changed: they frame\n\
    messages. A text has at most 64 KiB, 500 directives and 31 `if`.\n\n\
    ## Order\n\n\
    1. The host: `set`, `if`, `return`, `rewrite` of `server-snippet`, before anything of a route, the redirect to https\n\
    \x20  included. Client certificates and `block-*` of the ConfigMap come before it. Then the route of the path is looked for.\n\
    2. The route: too long a body (413), the slash that is missing (301), routes that are closed (503) and CORS preflights;\n\
    \x20  then `set`, `if`, `return`, `rewrite` of `configuration-snippet`, before redirects of annotations and to https. A\n\
    \x20  rewrite without `break` looks for the route again.\n\
    3. `more_set_input_headers`, `more_clear_input_headers`.\n\
    4. Limits, then `allow` and `deny` with the other ways to be let in (`satisfy`).\n\
    5. `rewrite-target`, unless `break` came before, then `proxy_set_header`.\n\
    6. On the answer: `proxy_hide_header`, what annotations add, then `more_set_headers` and `more_clear_headers` from\n\
    \x20  the host inwards, then `expires`, then `add_header`.\n\n\
    The first Ingress of a host (the oldest) with a `server-snippet` decides for the host; others with another one are told.\n\n\
    ## Variables\n\n\
    | Variable | Value |\n| --- | --- |\n\
    | `$host`, `$http_host` | the host in lower case without a port, or as written |\n\
    | `$request_uri` | path and query as the client wrote them |\n\
    | `$uri`, `$document_uri`, `$args`, `$query_string`, `$is_args` | the normalised path and the query, after rewrites |\n\
    | `$arg_NAME`, `$cookie_NAME`, `$http_NAME` | of the request; `$content_type` and `$content_length`, too |\n\
    | `$request_method`, `$scheme`, `$https`, `$pass_access_scheme`, `$server_port` | |\n\
    | `$remote_addr`, `$binary_remote_addr`, `$proxy_add_x_forwarded_for` | the client's address, after the trust rules |\n\
    | `$remote_user` | who the client says it is in basic credentials, verified or not |\n\
    | `$request_id`, `$req_id`, `$msec` | |\n\
    | `$namespace`, `$ingress_name`, `$location_path`, `$service_name`, `$service_port` | the route |\n\
    | `$proxy_host` | `upstream_balancer`, as it is in ingress-nginx |\n\
    | `$geoip2_…` | where the client's address is, with `use-geoip2`: ingress-nginx's names, as `$geoip2_city_country_code` |\n\
    | `$1` to `$9` | groups of the latest regular expression that matched, the route's own path included |\n\
    | `$status`, `$sent_http_NAME`, `$upstream_http_NAME` | in fields of answers only |\n\
    | any other | if `set` sets it in this snippet, the host's or the ConfigMap's |\n\n\
    ## Where nginx is otherwise\n\n\
    | situation | ingress-nginx | here |\n| --- | --- | --- |\n\
    | Two `if` that both hold | `add_header` and `more_*` of the last alone | those of both |\n\
    | `proxy_set_header` of a field that is set already | sent twice | replaced |\n\
    | `add_header Content-Type` | a second field | replaced |\n\
    | `client_max_body_size`, `proxy_read_timeout` and the like in `configuration-snippet` | a duplicate: no configuration is loaded any more | they win over the annotation |\n\
    | A line break in `$uri` that makes a redirect | header injection | 400 |\n\
    | A line break in a query that a rewrite or `set $args` makes of `$uri` | request splitting | escaped |\n\
    | A rewrite whose groups make `..` segments | leads out of the target | 400 |\n\
    | `location` without an answer | a file of nginx's, as a rule 404 | 404 |\n\
    | `location` of a path that an Ingress has, too | a duplicate: no configuration is loaded any more | the snippet's |\n\
    | `return` with a text | the type follows the path's extension | `text/html`, or `default_type` |\n\
    | `server-snippet` in an Ingress that is not the first of its host | passed over | passed over, and reported |\n";

/// The page.
pub(super) fn page() -> String {
    let mut page = HEAD.to_owned();
    for row in snippet::grammar() {
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            cell(row.usage),
            row.phase,
            row.places,
            cell(row.doc)
        );
    }
    page.push_str(REST);
    page
}
