//! The access log (annotations reference §19).

use super::{Refusal, Settings, value};

pub(super) fn enable(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.policies.unlogged = !value::bool(text)?;
    Ok(())
}
