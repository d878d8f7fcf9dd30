//! Limits, timeouts and retries (annotations reference §14).

use std::time::Duration;

use tidegate_snapshot::policy::RetryOn;

use super::{Refusal, Settings, value};

pub(super) fn body_size(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let size = value::size(text)?;
    settings.policies.body.max_size = (size > 0).then_some(size);
    Ok(())
}

pub(super) fn connect_timeout(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.policies.timeouts.connect = value::seconds(text)?;
    Ok(())
}

pub(super) fn read_timeout(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.policies.timeouts.read = value::seconds(text)?;
    Ok(())
}

pub(super) fn send_timeout(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.policies.timeouts.send = value::seconds(text)?;
    Ok(())
}

pub(super) fn next_upstream(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.policies.retry.on = retry_on(text)?;
    Ok(())
}

pub(super) fn next_upstream_tries(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.policies.retry.tries = value::count(text)?;
    Ok(())
}

pub(super) fn next_upstream_timeout(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let seconds = value::count(text)?;
    settings.policies.retry.timeout = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
    Ok(())
}

pub(super) fn request_buffering(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.policies.buffering.request = value::on_off(text)?;
    Ok(())
}

pub(super) fn buffer_size(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let size = value::size(text)?;
    let size = u32::try_from(size).ok().filter(|size| *size > 0).ok_or_else(|| {
        Refusal::ignored(
            format!("{} is not the size of a response head", value::shown(text)),
            "write a size such as \"16k\"",
        )
    })?;
    settings.policies.buffering.response_head = size;
    Ok(())
}

/// nginx `proxy_next_upstream`: `off` switches everything off, wherever it stands.
fn retry_on(text: &str) -> Result<RetryOn, Refusal> {
    let mut on = RetryOn {
        error: false,
        timeout: false,
        statuses: Vec::new(),
        non_idempotent: false,
        statuses_of_any_method: false,
    };
    let mut off = false;
    for word in text.split_ascii_whitespace() {
        match word {
            "error" | "invalid_header" => on.error = true,
            "timeout" => on.timeout = true,
            "non_idempotent" => on.non_idempotent = true,
            "off" => off = true,
            "http_500" | "http_502" | "http_503" | "http_504" | "http_403" | "http_404" | "http_429" => {
                on.statuses.extend(word["http_".len()..].parse::<u16>());
            }
            _ => {
                return Err(Refusal::ignored(
                    format!("{} is not a condition", value::shown(word)),
                    "use error, timeout, invalid_header, http_500, http_502, http_503, http_504, \
                     http_403, http_404, http_429, non_idempotent or off",
                ));
            }
        }
    }
    on.statuses.sort_unstable();
    on.statuses.dedup();
    if off {
        on.error = false;
        on.timeout = false;
        on.statuses.clear();
    }
    Ok(on)
}
