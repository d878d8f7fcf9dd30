//! `canary` (annotations reference §17): splitting is not supported yet, but a
//! canary must never become a route of its own: it could win over its main.

use tidegate_snapshot::Effect;

use super::{Refusal, Settings, value};

pub(super) fn canary(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.canary = value::bool(text)?;
    if !settings.canary {
        return Ok(());
    }
    Err(Refusal::not_yet(
        Effect::ObjectRejected,
        "canaries are not supported yet: all traffic stays with the main Ingress",
        "",
    ))
}
