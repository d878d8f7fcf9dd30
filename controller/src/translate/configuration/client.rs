//! Limits and habits on the client's side (configmap reference §2, §4 and §5).

use std::time::Duration;

use tidegate_snapshot::ServerHeader;

use super::{Draft, Lookup, Refusal, value};

pub(super) fn keep_alive(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.keep_alive = value::seconds(text)?;
    Ok(())
}

pub(super) fn keep_alive_requests(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.keep_alive_requests = value::within(text, 1, u32::MAX)?;
    Ok(())
}

pub(super) fn header_timeout(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.header_timeout = positive(text)?;
    Ok(())
}

pub(super) fn body_timeout(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.body_timeout = positive(text)?;
    Ok(())
}

fn positive(text: &str) -> Result<Duration, Refusal> {
    value::within(text, 1, u32::MAX).map(|seconds| Duration::from_secs(seconds.into()))
}

/// `large-client-header-buffers`: number and size.
pub(super) fn header_buffers(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    let refused = || {
        Refusal::ignored(
            format!("{} is not a number and a size", value::shown(text)),
            "write both, as in \"4 8k\"",
        )
    };
    let (number, size) = text.split_once(' ').ok_or_else(refused)?;
    let number: usize = number.parse().map_err(|_| refused())?;
    let size = usize::try_from(value::size(size.trim())?).map_err(|_| refused())?;
    let total = number
        .checked_mul(size)
        .filter(|total| *total > 0)
        .ok_or_else(refused)?;
    draft.http.max_header_line = size;
    draft.http.max_header_total = total;
    Ok(())
}

pub(super) fn http2(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.http2 = value::bool(text)?;
    Ok(())
}

/// Those of connections that are open stay as they are.
pub(super) fn http2_streams(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.h2_max_streams = value::within(text, 1, u32::MAX)?;
    Ok(())
}

pub(super) fn underscores(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.drop_underscores = !value::bool(text)?;
    Ok(())
}

pub(super) fn invalid_headers(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.drop_invalid = value::bool(text)?;
    Ok(())
}

pub(super) fn request_id(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.generate_request_id = value::bool(text)?;
    Ok(())
}

pub(super) fn original_uri(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.original_uri_header = value::bool(text)?;
    Ok(())
}

pub(super) fn server_tokens(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.server_tokens = value::bool(text)?;
    Ok(())
}

pub(super) fn backend_server_header(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.backend_server_header = value::bool(text)?;
    Ok(())
}

/// The backend's field passes only with both keys (behaviour reference §25).
pub(super) fn finish_server_header(draft: &mut Draft, _: &Lookup<'_>) -> Result<(), Refusal> {
    draft.http.server_header = match (draft.server_tokens, draft.backend_server_header) {
        (false, _) => ServerHeader::None,
        (true, false) => ServerHeader::Own,
        (true, true) => ServerHeader::Backend,
    };
    Ok(())
}

pub(super) fn hsts(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.hsts = value::bool(text)?;
    Ok(())
}

pub(super) fn hsts_max_age(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.hsts_values.max_age = value::count(text)?.into();
    Ok(())
}

pub(super) fn hsts_include_subdomains(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.hsts_values.include_subdomains = value::bool(text)?;
    Ok(())
}

pub(super) fn hsts_preload(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.hsts_values.preload = value::bool(text)?;
    Ok(())
}

pub(super) fn shutdown_timeout(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.shutdown_timeout = Some(value::time(text)?);
    Ok(())
}

pub(super) fn upstream_keep_alive(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.upstream_keep_alive.idle = positive(text)?;
    Ok(())
}

pub(super) fn upstream_requests(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.upstream_keep_alive.requests = value::within(text, 1, u32::MAX)?;
    Ok(())
}

pub(super) fn upstream_life(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.upstream_keep_alive.life = value::time(text)?;
    Ok(())
}

pub(super) fn upstream_connections(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.upstream_keep_alive.connections = value::count(text)?;
    Ok(())
}

pub(super) fn finish_upstream_pool(draft: &mut Draft, _: &Lookup<'_>) -> Result<(), Refusal> {
    let keep_alive = &mut draft.http.upstream_keep_alive;
    if keep_alive.connections == 0 {
        keep_alive.idle = Duration::ZERO;
    }
    Ok(())
}
