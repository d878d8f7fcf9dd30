//! `if` (nginx `ngx_http_rewrite_if_condition`).

use tidegate_snapshot::Pattern;
use tidegate_snapshot::policy::snippet::{Condition, Step, Test};

use super::Fault;
use super::builder::Builder;
use super::tree::Directive;

/// Takes an `if` with its block.
pub(super) fn take(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let words = within(&directive.arguments).ok_or_else(|| directive.usage(usage))?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (subject, test) = match *words {
        [subject] => (subject, Test::IsSet),
        [subject, "=", text] => (subject, Test::Is(builder.request_value(directive, text)?)),
        [subject, "!=", text] => (subject, Test::IsNot(builder.request_value(directive, text)?)),
        [subject, "~", text] => (subject, Test::Matches(pattern(directive, text, false)?)),
        [subject, "~*", text] => (subject, Test::Matches(pattern(directive, text, true)?)),
        [subject, "!~", text] => (subject, Test::MatchesNot(pattern(directive, text, false)?)),
        [subject, "!~*", text] => (subject, Test::MatchesNot(pattern(directive, text, true)?)),
        _ => {
            return Err(directive.fault(
                "this condition is not supported",
                "compare one variable by =, !=, ~, ~*, !~ or !~*, with spaces around",
            ));
        }
    };
    if !subject.starts_with('$') {
        return Err(directive.fault(
            format!("{subject:?} is not a variable"),
            "compare a variable; files cannot be asked for",
        ));
    }
    let subject = builder.request_value(directive, subject)?;
    if subject.pieces().len() != 1 {
        return Err(directive.fault(
            "more than one variable is compared",
            "`set` a variable, and compare that",
        ));
    }
    let block = builder.inner(directive)?;
    builder
        .block()
        .steps
        .push(Step::If(Condition { subject, test }, block));
    Ok(())
}

/// The words between the parentheses, which may stick to them.
fn within(arguments: &[String]) -> Option<Vec<String>> {
    let mut words = arguments.to_vec();
    let first = words.first_mut()?;
    *first = first.strip_prefix('(')?.to_owned();
    if first.is_empty() {
        words.remove(0);
    }
    let last = words.last_mut()?;
    *last = last.strip_suffix(')')?.to_owned();
    if last.is_empty() {
        words.pop();
    }
    Some(words)
}

/// A regular expression.
pub(super) fn pattern(directive: &Directive, text: &str, ignore_case: bool) -> Result<Pattern, Fault> {
    Pattern::new(text, ignore_case)
        .map_err(|error| directive.fault(format!("{text:?} is {error}"), "write another regular expression"))
}
