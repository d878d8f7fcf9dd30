//! Who is refused everywhere, and with which status others are (configmap
//! reference §8).

use tidegate_snapshot::policy::Block;
use tidegate_snapshot::{Networks, Pattern, Text};

use super::{Draft, Refusal, value};

/// A broken list must not let in whom it was meant to keep out.
fn closed(refusal: Refusal) -> Refusal {
    Refusal::disabled(refusal.message, refusal.fix)
}

pub(super) fn cidrs(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.block.networks = Networks::new(value::networks(text).map_err(closed)?);
    Ok(())
}

pub(super) fn user_agents(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.block.user_agents = patterns(text)?;
    Ok(())
}

pub(super) fn referers(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.http.block.referers = patterns(text)?;
    Ok(())
}

fn patterns(text: &str) -> Result<Vec<Pattern>, Refusal> {
    let pattern = |entry| {
        Block::pattern(entry).map_err(|error| {
            Refusal::disabled(format!("{}: {error}", value::shown(entry)), "mend the expression")
        })
    };
    value::list(text).map(pattern).collect()
}

pub(super) fn request_status(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.limit_req_status_code = status(text)?;
    Ok(())
}

pub(super) fn connection_status(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.limit_conn_status_code = status(text)?;
    Ok(())
}

/// Two of them mean the client's address.
pub(super) fn zone_variable(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    let key = Text::parse(text).map_err(|error| {
        let message = format!("{}: {error}", value::shown(text));
        Refusal::ignored(
            message,
            "clients are told apart by their address until it is mended",
        )
    })?;
    let is_address = matches!(text, "$binary_remote_addr" | "$remote_addr");
    draft.options.limit_key = (!is_address).then_some(key);
    Ok(())
}

fn status(text: &str) -> Result<u16, Refusal> {
    let status = value::within(text, 400, 599)?;
    Ok(u16::try_from(status).expect("at most 599"))
}
