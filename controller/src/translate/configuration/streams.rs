//! TCP and UDP services (configmap reference §13).

use super::{Draft, Refusal, value};

pub(super) fn idle_timeout(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.streams.idle_timeout = value::time(text)?;
    Ok(())
}

pub(super) fn next_upstream(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.streams.next_upstream = value::bool(text)?;
    Ok(())
}

pub(super) fn tries(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.streams.tries = value::within(text, 1, 100)?;
    Ok(())
}

pub(super) fn responses(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.streams.responses = value::count(text)?;
    Ok(())
}
