//! What the proxy's direct path can apply. Both patterns are complete so that a
//! new policy or setting has to choose.

use tidegate_snapshot as snapshot;

/// Whether a route with these policies may take the direct path: see
/// [`super::Policies::is_direct`]. A policy that needs more than that path does
/// (other fields for the upstream, a question to another server) says no
/// wherever it is set.
pub(super) fn is_direct(spec: &snapshot::Policies) -> bool {
    let snapshot::Policies {
        disabled: _,
        redirect: _,
        location: _,
        cors: _,
        https_redirect: _,
        limits: _,
        satisfy: _,
        source_range: _,
        basic_auth,
        digest_auth,
        external_auth,
        authorization,
        bandwidth,
        rewrite,
        upstream_head,
        // Where it would answer there is no endpoint, and Pingora's path takes over.
        default_backend: _,
        error_pages,
        backend_answer: _,
        added_headers: _,
        hsts: _,
        custom_headers: _,
        request_redirect: _,
        url_rewrite,
        request_headers,
        response_headers: _,
        body: _,
        timeouts:
            snapshot::policy::Timeouts {
                connect: _,
                read: _,
                send: _,
                request: request_limit,
                attempt: attempt_limit,
            },
        retry:
            snapshot::policy::Retry {
                on: _,
                tries: _,
                timeout: _,
                backoff,
            },
        buffering:
            snapshot::policy::Buffering {
                request: buffers_request,
                response_head: _,
            },
        mirror,
        request_mirrors,
        affinity,
        server_snippet,
        snippet,
        unlogged: _,
        tracing,
    } = spec;
    let is_open =
        basic_auth.is_none() && digest_auth.is_none() && external_auth.is_none() && authorization.is_none();
    let has_prefix = rewrite
        .as_ref()
        .is_some_and(|rewrite| rewrite.forwarded_prefix.is_some());
    let is_unchanged =
        !has_prefix && url_rewrite.is_none() && upstream_head.is_none() && request_headers.is_none();
    let edits_answers = [server_snippet, snippet]
        .into_iter()
        .flatten()
        .all(|snippet| snippet.edits_answers_only());
    let is_unhurried = request_limit.is_none() && attempt_limit.is_none() && backoff.is_none();
    is_open
        && is_unchanged
        && is_unhurried
        && edits_answers
        && bandwidth.is_none()
        && error_pages.is_none()
        && mirror.is_none()
        && request_mirrors.is_empty()
        && affinity.is_none()
        && tracing.is_none()
        && *buffers_request
}

/// Whether a listener with these settings may use the direct path, which
/// believes no forwarded header and applies [`super::block`].
pub fn serves_directly(http: &snapshot::HttpSettings) -> bool {
    let snapshot::HttpSettings {
        real_ip:
            snapshot::RealIp {
                use_forwarded_headers,
                enable_real_ip,
                compute_full_forwarded_for: _,
                trusted: _,
                header: _,
                host_header: _,
            },
        generate_request_id: _,
        keep_alive: _,
        keep_alive_requests: _,
        header_timeout: _,
        body_timeout: _,
        max_header_line: _,
        max_header_total: _,
        h2_max_streams: _,
        compression,
        https_port: _,
        drop_invalid: _,
        drop_underscores: _,
        block: _,
        http2: _,
        original_uri_header,
        server_header,
        upstream_keep_alive: _,
    } = http;
    let usual_headers = !original_uri_header && *server_header == snapshot::ServerHeader::None;
    usual_headers && compression.is_off() && !use_forwarded_headers && !enable_real_ip
}

#[cfg(test)]
mod tests {
    use snapshot::policy::Rewrite;
    use tidegate_snapshot as snapshot;

    use super::*;

    #[test]
    fn what_the_path_applies_keeps_a_route_on_it() {
        let direct = snapshot::Policies {
            source_range: Some(Box::default()),
            rewrite: Some(Rewrite::parse("/$1").unwrap().into()),
            ..Default::default()
        };
        assert!(is_direct(&direct));
        let mut other = direct;
        other.buffering.request = false;
        assert!(!is_direct(&other));
    }
}
