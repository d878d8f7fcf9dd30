//! Which annotations may be used at all (annotations reference §1: risk levels,
//! blocklist, snippets).

use super::{Refusal, risk, value};
use crate::options::Options;
use crate::translate::reason;

/// Whether an annotation is let in, before its value is looked at.
pub(super) fn admit(name: &str, value: &str, options: &Options) -> Result<(), Refusal> {
    let risk = risk::of(name);
    if risk > options.risk_level {
        return Err(Refusal::rejected(
            format!(
                "its risk is {risk:?}; annotations up to {:?} are taken",
                options.risk_level
            ),
            "remove it, or raise `annotations-risk-level` in the ConfigMap",
        )
        .because(reason::RISKY_ANNOTATION));
    }
    let blocked = options.blocked_words.iter().find(|word| value.contains(&***word));
    if let Some(word) = blocked {
        return Err(Refusal::rejected(
            format!(
                "contains {}, which `annotation-value-word-blocklist` forbids",
                value::shown(word)
            ),
            "write it without",
        )
        .because(reason::BLOCKED_WORD));
    }
    if name.ends_with("-snippet") && !options.allow_snippet_annotations {
        return Err(Refusal::ignored(
            "snippets are switched off",
            "remove it, or set `allow-snippet-annotations` in the ConfigMap",
        )
        .because(reason::SNIPPETS_OFF));
    }
    Ok(())
}
