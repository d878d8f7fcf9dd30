//! `set`, `return`, `rewrite`, `break` (nginx `ngx_http_rewrite_module`).

use std::sync::Arc;

use http::HeaderValue;
use tidegate_snapshot::Variable;
use tidegate_snapshot::policy::snippet::{Assigned, Content, Return, Step, Then, UriRewrite};

use super::Fault;
use super::builder::{self, Builder};
use super::condition::pattern;
use super::tree::Directive;

/// ingress-nginx's `default_type`.
const HTML: HeaderValue = HeaderValue::from_static("text/html");
/// Statuses whose text is a URL (`ngx_http_send_response`).
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// The variables that `set` makes anywhere in a text: nginx knows them
/// everywhere, also before.
pub(super) fn assigned(tree: &[Directive]) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = Vec::new();
    for directive in tree {
        if directive.name == "set" {
            names.extend(
                directive
                    .arguments
                    .first()
                    .and_then(|name| name.strip_prefix('$'))
                    .map(Arc::from),
            );
        }
        names.extend(directive.block.iter().flat_map(|block| assigned(block)));
    }
    names.sort();
    names.dedup();
    names
}

pub(super) fn set(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let [name, text] = directive.exactly(usage)?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = name
        .strip_prefix('$')
        .filter(|name| !name.is_empty() && name.chars().all(is_word))
        .ok_or_else(|| directive.usage(usage))?;
    let target = match Variable::parse(name) {
        Some(Variable::Query) => Assigned::Query,
        None if !is_builtin(name) => Assigned::Own(name.into()),
        _ => {
            return Err(directive.fault(
                format!("${name} is not to be set"),
                "set a variable of another name",
            ));
        }
    };
    let value = builder.request_value(directive, text)?;
    builder.block().steps.push(Step::Set(target, value));
    Ok(())
}

/// Names that stand for something else.
fn is_builtin(name: &str) -> bool {
    name == "status"
        || name.starts_with("sent_http_")
        || name.starts_with("upstream_http_")
        || name.starts_with(|c: char| c.is_ascii_digit())
}

pub(super) fn stop(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let [] = directive.exactly(usage)?;
    builder.block().steps.push(Step::Break);
    Ok(())
}

/// The type of the texts of `return`.
pub(super) fn default_type(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let [text] = directive.exactly(usage)?;
    builder.content_type = Some(content_type(directive, text)?);
    Ok(())
}

fn content_type(directive: &Directive, text: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::from_str(text)
        .ok()
        .filter(|_| text.contains('/'))
        .ok_or_else(|| {
            directive.fault(
                format!("{text:?} is not a media type"),
                "write one as `text/plain`",
            )
        })
}

pub(super) fn answer(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let arguments: Vec<&str> = directive.arguments.iter().map(String::as_str).collect();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (status, text) = match *arguments {
        [url] if !is_number(url) => {
            let value = builder.request_value(directive, url)?;
            if !value.begins_like_a_url() {
                return Err(directive.usage(usage));
            }
            (302, Some(url))
        }
        [code] => (status(directive, code)?, None),
        [code, text] if is_number(code) => (status(directive, code)?, Some(text)),
        _ => return Err(directive.usage(usage)),
    };
    let content = match text {
        None if status < 400 && !REDIRECTS.contains(&status) => Content::Empty,
        None => Content::Page,
        Some(url) if REDIRECTS.contains(&status) => {
            builder::one_line(directive, url)?;
            Content::Location(builder.request_value(directive, url)?)
        }
        Some(text) => Content::Text {
            content_type: builder.content_type.clone().unwrap_or(HTML),
            body: builder.request_value(directive, text)?,
        },
    };
    builder
        .block()
        .steps
        .push(Step::Return(Return { status, content }));
    Ok(())
}

fn status(directive: &Directive, code: &str) -> Result<u16, Fault> {
    let status = code.parse().ok().filter(|status| (200..1000).contains(status));
    status.ok_or_else(|| {
        directive.fault(
            format!("{code} is not the status of an answer"),
            "write 200 to 999",
        )
    })
}

pub(super) fn uri(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let arguments: Vec<&str> = directive.arguments.iter().map(String::as_str).collect();
    let (regex, replacement, flag) = match *arguments {
        [regex, replacement] => (regex, replacement, None),
        [regex, replacement, flag] => (regex, replacement, Some(flag)),
        _ => return Err(directive.usage(usage)),
    };
    builder::one_line(directive, replacement)?;
    // nginx: a `?` at the end keeps the request's own query away.
    let (replacement, keep_query) = match replacement.strip_suffix('?') {
        Some(replacement) => (replacement, false),
        None => (replacement, true),
    };
    let (path, query) = match replacement.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (replacement, None),
    };
    let path = builder.request_value(directive, path)?;
    let then = match flag {
        Some("permanent") => Then::Redirect(301),
        Some("redirect") => Then::Redirect(302),
        _ if path.begins_like_a_url() => Then::Redirect(302),
        None => Then::Continue,
        Some("last") => Then::FindRoute,
        Some("break") => Then::Stay,
        Some(_) => return Err(directive.usage(usage)),
    };
    let rewrite = UriRewrite {
        pattern: pattern(directive, regex, false)?,
        path,
        query: query
            .map(|query| builder.request_value(directive, query))
            .transpose()?,
        keep_query,
        then,
    };
    builder.block().steps.push(Step::Rewrite(rewrite));
    Ok(())
}
