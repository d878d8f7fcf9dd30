//! Clients that are answered 403 on every host (ConfigMap `block-cidrs`,
//! `block-user-agents`, `block-referers`).

use http::StatusCode;
use http::header::{REFERER, USER_AGENT};
use tidegate_snapshot::{HttpSettings, Pattern};

use super::{Flow, Reply};
use crate::request::RequestView;

/// Refuses a blocked client, whatever it asks for.
pub fn block(http: &HttpSettings, request: &dyn RequestView) -> Flow {
    let block = &http.block;
    if block.is_empty() {
        return Flow::Continue;
    }
    let matches = |patterns: &[Pattern], name| {
        !patterns.is_empty() && {
            let value = String::from_utf8_lossy(request.header(name).unwrap_or_default());
            patterns.iter().any(|pattern| pattern.is_match(&value))
        }
    };
    let blocked = block.networks.contains(request.client_ip())
        || matches(&block.user_agents, &USER_AGENT)
        || matches(&block.referers, &REFERER);
    if blocked {
        Flow::Respond(Reply::status(StatusCode::FORBIDDEN))
    } else {
        Flow::Continue
    }
}
