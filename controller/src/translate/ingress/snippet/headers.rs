//! Header fields of requests and answers (nginx `ngx_http_headers_module`,
//! `proxy_set_header`, and the module headers-more).

use http::HeaderName;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use tidegate_snapshot::policy::HeaderText;
use tidegate_snapshot::policy::snippet::{AddedField, AnswerEdit, Edit, Expires, RequestEdit, Value};
use tidegate_snapshot::{FieldName, Text};

use super::Fault;
use super::builder::{self, Builder};
use super::tree::Directive;
use crate::translate::ingress::annotations::value;

/// Fields that say where a message ends or how the connection goes on: who
/// sets them breaks every request.
const FRAMING: [HeaderName; 7] = [
    CONNECTION,
    CONTENT_LENGTH,
    DATE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// How `Connection` is written for WebSockets.
const FOR_UPGRADES: [&str; 4] = ["upgrade", "Upgrade", "$connection_upgrade", "$http_connection"];

/// A name that may be changed.
fn name(directive: &Directive, text: &str) -> Result<FieldName, Fault> {
    let name = builder::field_name(directive, text)?;
    if FRAMING.contains(name.name()) {
        return Err(directive.fault(
            format!("{name} is not to be changed: it frames messages"),
            "remove it",
        ));
    }
    Ok(name)
}

pub(super) fn add(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let arguments: Vec<&str> = directive.arguments.iter().map(String::as_str).collect();
    let (field, text, always) = match *arguments {
        [field, text] => (field, text, false),
        [field, text, "always"] => (field, text, true),
        _ => return Err(directive.usage(usage)),
    };
    let added = AddedField {
        name: name(directive, field)?,
        value: builder.field_value(directive, text)?,
        always,
    };
    builder.block().added.push(added);
    Ok(())
}

pub(super) fn hide(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let [field] = directive.exactly(usage)?;
    let name = name(directive, field)?;
    builder.block().hide.push(name.name().clone());
    Ok(())
}

/// `proxy_set_header`.
pub(super) fn upstream(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let [field, text] = directive.exactly(usage)?;
    if is_about_upgrades(directive, field, text)? {
        return Ok(());
    }
    builder::one_line(directive, text)?;
    let pair = (name(directive, field)?, builder.request_value(directive, text)?);
    if builder.is_server() {
        let fix = "write it in `configuration-snippet`";
        builder.note(
            directive,
            "no effect for a host: every route sets fields of its own",
            fix,
        );
    } else {
        builder.block().upstream.push(pair);
    }
    Ok(())
}

/// The two fields that let WebSockets pass in nginx; here they always do.
fn is_about_upgrades(directive: &Directive, field: &str, text: &str) -> Result<bool, Fault> {
    if field.eq_ignore_ascii_case("upgrade") && text == "$http_upgrade" {
        return Ok(true);
    }
    if !field.eq_ignore_ascii_case("connection") {
        return Ok(false);
    }
    match FOR_UPGRADES.contains(&text) {
        true => Ok(true),
        false => Err(directive.fault(
            "Connection is not to be changed: it frames messages",
            "use the annotation `connection-proxy-header`",
        )),
    }
}

/// A directive of `auth-snippet`.
pub(super) fn of_question(directive: &Directive) -> Result<HeaderText, Fault> {
    if directive.name != "proxy_set_header" || directive.block.is_some() {
        return Err(directive.fault(
            "not supported in auth-snippet",
            "only `proxy_set_header NAME VALUE;` is; `auth-*` annotations do the rest",
        ));
    }
    let [field, text] = directive.exactly("proxy_set_header NAME VALUE;")?;
    let name = name(directive, field)?;
    if *name.name() == HOST {
        return Err(directive.fault("Host is that of auth-url", "write the host in `auth-url`"));
    }
    let value = Text::parse(text).map_err(|error| {
        directive.fault(
            format!("{text:?}: {error}"),
            "docs/snippets.md lists the variables",
        )
    })?;
    Ok(HeaderText { name, value })
}

/// The options and the rest of a directive of headers-more.
#[derive(Default)]
struct Selected<'a> {
    statuses: Vec<u16>,
    media_types: Vec<Box<str>>,
    only_existing: bool,
    fields: Vec<&'a str>,
}

fn select<'a>(directive: &'a Directive, usage: &str, options: &[&str]) -> Result<Selected<'a>, Fault> {
    let mut selected = Selected::default();
    let mut arguments = directive.arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        match argument {
            option if option.starts_with('-') && !options.contains(&option) => {
                return Err(directive.usage(usage));
            }
            "-r" => selected.only_existing = true,
            "-s" => {
                for status in arguments.next().unwrap_or_default().split_ascii_whitespace() {
                    let status = status.parse().ok().filter(|status| (100..1000).contains(status));
                    selected
                        .statuses
                        .push(status.ok_or_else(|| directive.usage(usage))?);
                }
            }
            "-t" => {
                let types = arguments.next().unwrap_or_default().split_ascii_whitespace();
                selected
                    .media_types
                    .extend(types.map(|media| media.to_ascii_lowercase().into()));
            }
            field => selected.fields.push(field),
        }
    }
    match selected.fields.is_empty() {
        true => Err(directive.usage(usage)),
        false => Ok(selected),
    }
}

/// `Name: value`; without a value the field is removed.
fn set_edit(
    directive: &Directive,
    field: &str,
    value: impl Fn(&str) -> Result<Value, Fault>,
) -> Result<Edit, Fault> {
    let (field, text) = field.split_once(':').unwrap_or((field, ""));
    let name = name(directive, field.trim())?;
    match text.trim_start() {
        "" => Ok(Edit::Remove(name.name().clone())),
        text => Ok(Edit::Set(name, value(text)?)),
    }
}

/// A name, or the start of some with a `*` after it.
fn clear_edit(directive: &Directive, field: &str) -> Result<Edit, Fault> {
    let field = field.trim_end_matches(':');
    match field.strip_suffix('*') {
        Some(start) => {
            let start = builder::field_name(directive, start)?;
            Ok(Edit::RemoveAll(start.name().as_str().into()))
        }
        None => Ok(Edit::Remove(name(directive, field)?.name().clone())),
    }
}

pub(super) fn set(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let selected = select(directive, usage, &["-s", "-t"])?;
    for field in &selected.fields {
        let edit = set_edit(directive, field, |text| builder.field_value(directive, text))?;
        output(builder, edit, &selected);
    }
    Ok(())
}

pub(super) fn clear(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let selected = select(directive, usage, &["-s", "-t"])?;
    for field in &selected.fields {
        let edit = clear_edit(directive, field)?;
        output(builder, edit, &selected);
    }
    Ok(())
}

fn output(builder: &mut Builder<'_>, edit: Edit, selected: &Selected<'_>) {
    builder.block().answer.push(AnswerEdit {
        edit,
        statuses: selected.statuses.clone(),
        media_types: selected.media_types.clone(),
    });
}

pub(super) fn set_input(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let selected = select(directive, usage, &["-r", "-t"])?;
    for field in &selected.fields {
        let value = |text: &str| {
            builder::one_line(directive, text)?;
            builder.request_value(directive, text)
        };
        let edit = set_edit(directive, field, value)?;
        input(builder, directive, edit, &selected)?;
    }
    Ok(())
}

pub(super) fn clear_input(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let selected = select(directive, usage, &["-t"])?;
    for field in &selected.fields {
        let edit = clear_edit(directive, field)?;
        input(builder, directive, edit, &selected)?;
    }
    Ok(())
}

fn input(
    builder: &mut Builder<'_>,
    directive: &Directive,
    edit: Edit,
    selected: &Selected<'_>,
) -> Result<(), Fault> {
    let is_host = match &edit {
        Edit::Set(name, _) => *name.name() == HOST,
        Edit::Remove(name) => *name == HOST,
        Edit::RemoveAll(_) => false,
    };
    if is_host {
        return Err(directive.fault(
            "Host has chosen the route already",
            "use the annotation `upstream-vhost` for the host that the backend sees",
        ));
    }
    builder.block().request.push(RequestEdit {
        edit,
        only_existing: selected.only_existing,
        media_types: selected.media_types.clone(),
    });
    Ok(())
}

/// `expires`.
pub(super) fn expires(
    builder: &mut Builder<'_>,
    directive: &Directive,
    usage: &'static str,
) -> Result<(), Fault> {
    let [text] = directive.exactly(usage)?;
    let (sign, time) = match text.strip_prefix('-') {
        Some(time) => (-1, time),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let expires = match (text, value::time(time)) {
        ("off", _) => Expires::Off,
        ("epoch", _) => Expires::Epoch,
        ("max", _) => Expires::Max,
        (_, Some(time)) if sign < 0 => Expires::Ago(time),
        (_, Some(time)) => Expires::In(time),
        _ => return Err(directive.usage(usage)),
    };
    builder.block().expires = Some(expires);
    Ok(())
}
