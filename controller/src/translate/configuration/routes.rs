//! What holds for all routes (configmap reference §3 and §6).

use tidegate_snapshot::LoadBalancing;

use super::{Draft, Refusal, value};

pub(super) fn redirect_code(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.http_redirect_code = match text {
        "301" => 301,
        "302" => 302,
        "307" => 307,
        "308" => 308,
        _ => {
            return Err(Refusal::ignored(
                format!("{} is not the status of a redirect", value::shown(text)),
                "write 301, 302, 307 or 308",
            ));
        }
    };
    Ok(())
}

pub(super) fn no_redirect(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.no_tls_redirect_locations = value::list(text).map(Into::into).collect();
    Ok(())
}

pub(super) fn load_balance(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.load_balancing = match text {
        "round_robin" => LoadBalancing::RoundRobin,
        "ewma" => LoadBalancing::Ewma,
        "least_request" => LoadBalancing::LeastRequest,
        _ => {
            return Err(Refusal::ignored(
                format!("{} is not a way to balance load", value::shown(text)),
                "write round_robin, ewma or least_request",
            ));
        }
    };
    Ok(())
}

pub(super) fn retry_non_idempotent(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.retry_non_idempotent = value::bool(text)?;
    Ok(())
}

/// Statuses that are none are left out and reported; the others count.
pub(super) fn error_statuses(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    let (statuses, wrong) = value::statuses(text, 300..=599);
    draft.options.custom_http_errors = statuses;
    match wrong {
        None => Ok(()),
        Some(wrong) => Err(Refusal::ignored(
            format!("{} is not a status from 300 to 599", value::shown(wrong)),
            "write statuses separated by commas",
        )),
    }
}
