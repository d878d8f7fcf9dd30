//! Header fields that ConfigMaps named by the ConfigMap list (configmap
//! reference §2).

use std::sync::Arc;

use http::HeaderName;
use tidegate_snapshot::policy::AddedHeaders;
use tidegate_snapshot::{FieldName, Text};

use super::{Draft, Refusal, value};
use crate::objects::NamespacedName;
use crate::translate::lookup::Lookup;

/// Fields that say where a message ends or how the connection goes on: who sets
/// them breaks every request.
const FRAMING: [HeaderName; 5] = [
    http::header::CONNECTION,
    http::header::CONTENT_LENGTH,
    http::header::TRANSFER_ENCODING,
    http::header::UPGRADE,
    http::header::TE,
];

/// The ConfigMaps with fields, by the key that names them.
#[derive(Debug, Default)]
pub(super) struct Names {
    add: Option<NamespacedName>,
    set: Option<NamespacedName>,
    hide: Vec<HeaderName>,
}

pub(super) fn add(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.headers.add = Some(name(text)?);
    Ok(())
}

pub(super) fn set(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.headers.set = Some(name(text)?);
    Ok(())
}

pub(super) fn hide(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    for field in value::list(text) {
        let name = HeaderName::from_bytes(field.as_bytes()).map_err(|_| not_a_name(field))?;
        draft.headers.hide.push(name);
    }
    Ok(())
}

fn name(text: &str) -> Result<NamespacedName, Refusal> {
    NamespacedName::parse(text).ok_or_else(|| {
        Refusal::ignored(
            format!("{} does not name a ConfigMap", value::shown(text)),
            "write namespace/name",
        )
    })
}

fn not_a_name(field: &str) -> Refusal {
    Refusal::ignored(
        format!("{} is not the name of a header", value::shown(field)),
        "use letters, digits and `-`",
    )
}

/// `add-headers` with `hide-headers`.
pub(super) fn finish_response(draft: &mut Draft, lookup: &Lookup<'_>) -> Result<(), Refusal> {
    let mut headers = AddedHeaders {
        hide: std::mem::take(&mut draft.headers.hide),
        set: Vec::new(),
    };
    let result = match draft.headers.add.take() {
        Some(name) => read(&name, lookup, &mut headers.set),
        None => Ok(()),
    };
    draft.options.added_headers = (headers != AddedHeaders::default()).then(|| Arc::new(headers));
    result
}

/// `proxy-set-headers`.
pub(super) fn finish_request(draft: &mut Draft, lookup: &Lookup<'_>) -> Result<(), Refusal> {
    let Some(name) = draft.headers.set.take() else {
        return Ok(());
    };
    let mut fields = Vec::new();
    let result = read(&name, lookup, &mut fields);
    draft.options.upstream_head = fields.into();
    result
}

/// Reads every field that can be one; the first that cannot is reported.
fn read(
    name: &NamespacedName,
    lookup: &Lookup<'_>,
    fields: &mut Vec<(FieldName, Text)>,
) -> Result<(), Refusal> {
    let Some(config_map) = lookup.config_map(&name.namespace, &name.name) else {
        return Err(Refusal::ignored(
            format!("ConfigMap {}/{} does not exist", name.namespace, name.name),
            "create it",
        ));
    };
    let mut result = Ok(());
    for (name, text) in config_map.data.iter().flatten() {
        match field(name, text.trim()) {
            Ok(field) => fields.push(field),
            Err(refusal) if result.is_ok() => result = Err(refusal),
            Err(_) => {}
        }
    }
    result
}

fn field(name: &str, text: &str) -> Result<(FieldName, Text), Refusal> {
    let field = FieldName::parse(name).ok_or_else(|| not_a_name(name))?;
    if FRAMING.contains(field.name()) {
        return Err(Refusal::ignored(
            format!("{name} is not to be set: it frames messages"),
            "remove it",
        ));
    }
    let text = Text::parse(text).map_err(|error| {
        Refusal::ignored(
            format!("the value of {name} cannot be served: {error}"),
            "write one line of text with nginx's variables",
        )
    })?;
    Ok((field, text))
}
