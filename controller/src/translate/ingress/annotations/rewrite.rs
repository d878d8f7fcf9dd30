//! Rewriting and regular expressions (annotations reference §2).

use http::HeaderValue;
use tidegate_snapshot::policy;

use super::{Refusal, Scope, Settings, value};

/// What the annotations say, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    /// `rewrite-target`.
    pub(crate) target: Option<Box<str>>,
    /// `use-regex`.
    pub(crate) use_regex: bool,
    forwarded_prefix: Option<HeaderValue>,
}

pub(super) fn rewrite_target(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    if !value::is_path(text) {
        return Err(Refusal::ignored(
            format!("{} is not a path", value::shown(text)),
            "use letters, digits and `- . _ ~ / : $`",
        ));
    }
    settings.rewrite.target = Some(text.into());
    Ok(())
}

pub(super) fn use_regex(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.rewrite.use_regex = value::bool(text)?;
    Ok(())
}

pub(super) fn forwarded_prefix(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let value = HeaderValue::from_str(text).ok().filter(|_| value::is_path(text));
    let refused = || {
        Refusal::rejected(
            format!("{} is not a path", value::shown(text)),
            "use letters, digits and `- . _ ~ / : $`",
        )
    };
    settings.rewrite.forwarded_prefix = Some(value.ok_or_else(refused)?);
    Ok(())
}

/// Parses the target. Where nginx would refuse its configuration, or where we
/// do not have a variable, nothing is rewritten.
pub(super) fn finish(settings: &mut Settings, _: &Scope<'_>) -> Result<(), Refusal> {
    let draft = &mut settings.rewrite;
    let Some(target) = &draft.target else {
        return Ok(());
    };
    match policy::Rewrite::parse(target) {
        Ok(rewrite) => {
            settings.policies.rewrite = Some(Box::new(policy::Rewrite {
                forwarded_prefix: draft.forwarded_prefix.clone(),
                ..rewrite
            }));
            Ok(())
        }
        Err(error) => {
            draft.target = None;
            Err(Refusal::ignored(
                error.to_string(),
                "use $1 to $9 for the groups of the path",
            ))
        }
    }
}
