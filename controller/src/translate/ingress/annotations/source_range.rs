//! `allowlist-source-range`, `denylist-source-range` and `satisfy` (annotations
//! reference §2 and §8).

use tidegate_snapshot::Networks;
use tidegate_snapshot::policy::{Satisfy, SourceRange};

use super::{Refusal, Scope, Settings, value};

/// What the annotations say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    allow: Option<Networks>,
    /// `whitelist-source-range`: counts only without the new name.
    allow_alias: Option<Networks>,
    deny: Option<Networks>,
}

pub(super) fn allowlist(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.source_range.allow = Some(networks(text)?);
    Ok(())
}

pub(super) fn whitelist(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.source_range.allow_alias = Some(networks(text)?);
    Ok(())
}

pub(super) fn denylist(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.source_range.deny = Some(networks(text)?);
    Ok(())
}

/// A list that cannot be read in full closes the routes: half a list is another
/// list.
fn networks(text: &str) -> Result<Networks, Refusal> {
    let fix = "write addresses or networks with commas between, as in \"10.0.0.0/8, 192.0.2.7\"";
    match Networks::parse(text) {
        Ok(networks) if networks.is_empty() => Err(Refusal::disabled("the list is empty", fix)),
        Ok(networks) => Ok(networks),
        Err(error) => Err(Refusal::disabled(error.to_string(), fix)),
    }
}

pub(super) fn satisfy(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.policies.satisfy = match text {
        "all" => Satisfy::All,
        "any" => Satisfy::Any,
        _ => {
            return Err(Refusal::ignored(
                format!("{} is neither \"any\" nor \"all\"", value::shown(text)),
                "write \"any\" or \"all\"",
            ));
        }
    };
    Ok(())
}

/// Lists of annotations replace those of the ConfigMap, each its own.
pub(super) fn finish(settings: &mut Settings, scope: &Scope<'_>) -> Result<(), Refusal> {
    let draft = std::mem::take(&mut settings.source_range);
    let options = scope.options;
    let allow = draft
        .allow
        .or(draft.allow_alias)
        .or_else(|| options.allowlist_source_range.clone());
    let deny = draft
        .deny
        .unwrap_or_else(|| options.denylist_source_range.clone());
    if allow.is_some() || !deny.is_empty() {
        settings.policies.source_range = Some(Box::new(SourceRange {
            allow,
            deny,
            rules: Vec::new(),
        }));
    }
    Ok(())
}
