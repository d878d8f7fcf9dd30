//! Whether a request with a route and an endpoint may go on: limits, then the
//! ways to be let in.

use super::context::RequestContext;
use super::inbound::Inbound;
use crate::policy::{Access, Reply};

/// Counts the request. What it counts as under way ends with the request.
pub(super) fn limit(inbound: &Inbound, context: &mut RequestContext) -> Option<Reply> {
    let route = context.route.as_ref()?;
    match route.policies.limits.as_ref()?.take(inbound.client_ip) {
        Ok(permit) => {
            context.permit = permit;
            None
        }
        Err(reply) => Some(reply),
    }
}

/// Asks every way to be let in, until one settles it. `None`: come in.
pub(super) fn check(access: &Access, inbound: &Inbound) -> Option<Reply> {
    let mut tally = access.tally();
    if let Some(source_range) = &access.source_range
        && let Some(verdict) = source_range.check(inbound.client_ip)
        && tally.count(verdict)
    {
        return tally.refusal();
    }
    tally.refusal()
}
