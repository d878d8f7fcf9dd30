//! `enable-opentelemetry` and `opentelemetry-*` (annotations reference §19).

use tidegate_snapshot::Text;
use tidegate_snapshot::policy::Tracing;

use super::{Refusal, Scope, Settings, value};

/// What the annotations say, or the ConfigMap for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    enabled: bool,
    trusts_client: bool,
    operation_name: Option<Text>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            enabled: false,
            trusts_client: true,
            operation_name: None,
        }
    }
}

pub(super) fn enable(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.tracing.enabled = value::bool(text)?;
    Ok(())
}

pub(super) fn trust_client(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.tracing.trusts_client = value::bool(text)?;
    Ok(())
}

pub(super) fn operation_name(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let name = text
        .chars()
        .all(allowed)
        .then(|| Text::parse(text).ok())
        .flatten();
    let Some(name) = name else {
        return Err(Refusal::rejected(
            format!("{} holds a character that is not allowed", value::shown(text)),
            "use letters, digits, `-` and `_`",
        ));
    };
    settings.tracing.operation_name = Some(name);
    Ok(())
}

/// Without `enable-opentelemetry` the others do nothing.
pub(super) fn finish(settings: &mut Settings, scope: &Scope<'_>) -> Result<(), Refusal> {
    let draft = std::mem::take(&mut settings.tracing);
    if draft.enabled {
        settings.policies.tracing = Some(Box::new(Tracing {
            trusts_client: draft.trusts_client,
            operation_name: draft.operation_name.or_else(|| scope.options.span_name.clone()),
        }));
    }
    Ok(())
}
