//! What Ingresses may do (configmap reference §9).

use std::sync::Arc;

use super::{Draft, Refusal, value};
use crate::options::Risk;
use crate::translate::ingress::annotations::snippet_refusal;
use crate::translate::ingress::snippet::{self, Directives, Level};

pub(super) fn cross_namespace(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.allow_cross_namespace_resources = value::bool(text)?;
    Ok(())
}

pub(super) fn snippets(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.allow_snippet_annotations = value::bool(text)?;
    Ok(())
}

pub(super) fn location_snippet(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.location_snippet = Some(directives(text, Level::Location)?);
    Ok(())
}

pub(super) fn server_snippet(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.server_snippet = Some(directives(text, Level::Server)?);
    Ok(())
}

/// A line that cannot be served closes all routes, as it does for an Ingress.
fn directives(text: &str, level: Level) -> Result<Arc<Directives>, Refusal> {
    let parsed = snippet::parse(text, level, &[]);
    parsed.map(Arc::new).map_err(|fault| snippet_refusal(&fault))
}

pub(super) fn blocklist(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.blocked_words = value::list(text).map(Into::into).collect();
    Ok(())
}

pub(super) fn risk_level(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.risk_level = match text {
        "Low" => Risk::Low,
        "Medium" => Risk::Medium,
        "High" => Risk::High,
        "Critical" => Risk::Critical,
        _ => {
            return Err(Refusal::ignored(
                format!("{} is not a risk level", value::shown(text)),
                "write Low, Medium, High or Critical",
            ));
        }
    };
    Ok(())
}

pub(super) fn allowed_response_headers(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.global_allowed_response_headers = value::list(text).map(str::to_owned).collect();
    Ok(())
}

pub(super) fn strict_paths(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.options.strict_path_types = value::bool(text)?;
    Ok(())
}
