//! `limit-*` (annotations reference §9).

use tidegate_snapshot::Networks;
use tidegate_snapshot::policy::{Bandwidth, Limits, RateLimit};

use super::{Refusal, Scope, Settings, value};

/// What the annotations say; 0 is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    per_second: u32,
    per_minute: u32,
    connections: u32,
    burst_multiplier: Option<u32>,
    exempt: Option<Networks>,
    /// `limit-whitelist`: counts only without the new name.
    exempt_alias: Option<Networks>,
    /// Kilobytes a second.
    rate: u32,
    /// Kilobytes.
    rate_after: u32,
}

pub(super) fn rps(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.limit.per_second = limit(text)?;
    Ok(())
}

pub(super) fn rpm(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.limit.per_minute = limit(text)?;
    Ok(())
}

pub(super) fn connections(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.limit.connections = limit(text)?;
    Ok(())
}

/// What ingress-nginx refuses the whole Ingress for; a negative number is no
/// limit there.
fn limit(text: &str) -> Result<u32, Refusal> {
    match text.parse::<i64>() {
        Ok(number) => Ok(u32::try_from(number.max(0)).unwrap_or(u32::MAX)),
        Err(_) => Err(Refusal::rejected(
            format!("{} is not a whole number", value::shown(text)),
            "write digits only",
        )),
    }
}

pub(super) fn burst_multiplier(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.limit.burst_multiplier = Some(value::count(text)?);
    Ok(())
}

pub(super) fn allowlist(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.limit.exempt = Some(networks(text)?);
    Ok(())
}

pub(super) fn whitelist(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.limit.exempt_alias = Some(networks(text)?);
    Ok(())
}

fn networks(text: &str) -> Result<Networks, Refusal> {
    Networks::parse(text).map_err(|error| {
        Refusal::rejected(
            error.to_string(),
            "write addresses or networks with commas between",
        )
    })
}

pub(super) fn rate(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.limit.rate = value::count(text)?;
    Ok(())
}

pub(super) fn rate_after(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.limit.rate_after = value::count(text)?;
    Ok(())
}

pub(super) fn finish(settings: &mut Settings, scope: &Scope<'_>) -> Result<(), Refusal> {
    let draft = std::mem::take(&mut settings.limit);
    let options = scope.options;
    let multiplier = draft.burst_multiplier.unwrap_or(Limits::DEFAULT_BURST_MULTIPLIER);
    let rate = |rate: u32| {
        (rate > 0).then_some(RateLimit {
            rate,
            burst: rate.saturating_mul(multiplier),
        })
    };
    let limits = Limits {
        zone: format!("{}/{}", scope.object.namespace, scope.object.name).into(),
        key: options.limit_key.clone(),
        connections: (draft.connections > 0).then_some(draft.connections),
        per_second: rate(draft.per_second),
        per_minute: rate(draft.per_minute),
        exempt: draft.exempt.or(draft.exempt_alias).unwrap_or_default(),
        rate_status: options.limit_req_status_code,
        connection_status: options.limit_conn_status_code,
    };
    let limited = limits.connections.is_some() || limits.per_second.is_some() || limits.per_minute.is_some();
    settings.policies.limits = limited.then(|| Box::new(limits));
    let kilobytes = |number: u32| u64::from(number) * 1024;
    let bandwidth = Bandwidth {
        rate: kilobytes(draft.rate),
        after: kilobytes(draft.rate_after),
    };
    settings.policies.bandwidth = (bandwidth.rate > 0).then_some(bandwidth);
    Ok(())
}
