//! TCP and UDP services (configmap reference §13).

use super::{Draft, Refusal, value};

const MOST_TRIES: u32 = 100;

pub(super) fn idle_timeout(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.streams.idle_timeout = value::time(text)?;
    Ok(())
}

pub(super) fn next_upstream(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.streams.next_upstream = value::bool(text)?;
    Ok(())
}

pub(super) fn tries(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    // nginx's 0 is no limit; as many tries are enough for anybody.
    draft.options.streams.tries = match value::within(text, 0, MOST_TRIES)? {
        0 => MOST_TRIES,
        tries => tries,
    };
    Ok(())
}

pub(super) fn responses(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.streams.responses = value::count(text)?;
    Ok(())
}
