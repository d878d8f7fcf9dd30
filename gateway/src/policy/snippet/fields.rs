//! Fields of requests and answers (`more_set_headers` and its kin,
//! `proxy_set_header`, `add_header`, `expires`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, HOST, LAST_MODIFIED, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderName, HeaderValue};
use tidegate_snapshot::FieldName;
use tidegate_snapshot::policy::snippet::{AddedField, AnswerEdit, Block, Edit, Expires, RequestEdit, Value};

use super::progress::Progress;
use super::value::{Sent, filled};
use crate::policy::Answer;
use crate::request::Fields;
use crate::template::Values;

/// Statuses that `add_header` and `expires` are for.
const GOOD: [u16; 10] = [200, 201, 204, 206, 301, 302, 303, 304, 307, 308];
/// Fields that no pattern of names takes away: messages need them.
const KEPT: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    DATE,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
/// Fields that a message has once.
const SINGLE: [HeaderName; 3] = [CONTENT_TYPE, ETAG, LAST_MODIFIED];
const EXPIRES: FieldName = FieldName::from_static("expires", "Expires");
const CACHE_CONTROL_NAME: FieldName = FieldName::from_static("cache-control", "Cache-Control");
const EPOCH: HeaderValue = HeaderValue::from_static("Thu, 01 Jan 1970 00:00:01 GMT");
const FAR: HeaderValue = HeaderValue::from_static("Thu, 31 Dec 2037 23:55:55 GMT");
const FAR_AGE: HeaderValue = HeaderValue::from_static("max-age=315360000");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// The edits of answers of one block.
pub(super) struct Edits {
    changes: Box<[(AnswerEdit, Option<HeaderValue>)]>,
    expires: Option<Expires>,
    added: Box<[(AddedField, Option<HeaderValue>)]>,
}

impl Edits {
    pub(super) fn new(block: &Block) -> Self {
        let change = |edit: &AnswerEdit| {
            let fixed = match &edit.edit {
                Edit::Set(_, value) => fixed(value),
                Edit::Remove(_) | Edit::RemoveAll(_) => None,
            };
            (edit.clone(), fixed)
        };
        Self {
            changes: block.answer.iter().map(change).collect(),
            expires: block.expires,
            added: block
                .added
                .iter()
                .map(|added| (added.clone(), fixed(&added.value)))
                .collect(),
        }
    }
}

/// A value without variables, made once.
fn fixed(value: &Value) -> Option<HeaderValue> {
    HeaderValue::from_str(value.as_literal()?).ok()
}

/// Changes of the request's fields, their values made already.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RequestChanges(Vec<Change>);

#[derive(Debug, PartialEq, Eq)]
enum Change {
    Set(FieldName, HeaderValue),
    Remove(HeaderName),
    RemoveAll(Box<str>),
}

impl RequestChanges {
    /// Adds what holds for a request.
    pub(super) fn collect(&mut self, edits: &[RequestEdit], progress: &Progress, values: &Values<'_>) {
        let request = values.request;
        for edit in edits {
            if !is_of_type(&edit.media_types, request.header(&CONTENT_TYPE)) {
                continue;
            }
            let change = match &edit.edit {
                Edit::Set(name, _) if edit.only_existing && request.header(name.name()).is_none() => continue,
                Edit::Set(name, value) => {
                    match HeaderValue::from_bytes(&filled(value, Some(progress), values, None)) {
                        Ok(value) if !value.is_empty() => Change::Set(name.clone(), value),
                        _ => Change::Remove(name.name().clone()),
                    }
                }
                Edit::Remove(name) => Change::Remove(name.clone()),
                Edit::RemoveAll(start) => Change::RemoveAll(start.clone()),
            };
            self.0.push(change);
        }
    }

    /// Makes the changes.
    pub fn apply(self, fields: &mut dyn Fields) {
        for change in self.0 {
            match change {
                Change::Set(name, value) => fields.set(&name, value),
                Change::Remove(name) => fields.remove(&name),
                Change::RemoveAll(start) => remove_all(&start, fields),
            }
        }
    }
}

fn remove_all(start: &str, fields: &mut dyn Fields) {
    for name in fields.names() {
        if name.as_str().starts_with(start) && !KEPT.contains(&name) {
            fields.remove(&name);
        }
    }
}

/// Whether a body's type is one of these; parameters do not count.
fn is_of_type(wanted: &[Box<str>], content_type: Option<&[u8]>) -> bool {
    if wanted.is_empty() {
        return true;
    }
    let media = content_type.unwrap_or_default();
    let media = media
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    wanted
        .iter()
        .any(|wanted| media.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// `proxy_set_header`: an empty value is no field.
pub(super) fn set_upstream(
    set: &[(FieldName, Value)],
    progress: Option<&Progress>,
    values: &Values<'_>,
    fields: &mut dyn Fields,
) {
    for (name, value) in set {
        match HeaderValue::from_bytes(&filled(value, progress, values, None)) {
            Ok(value) if !value.is_empty() => fields.set(name, value),
            _ if *name.name() != HOST => fields.remove(name.name()),
            _ => {}
        }
    }
}

/// Applies the edits of all blocks that count, from the host inwards.
pub(super) fn edit_answer(all: &[&Edits], answer: &Answer<'_>, fields: &mut dyn Fields) {
    for (edit, fixed) in all.iter().flat_map(|edits| &edits.changes) {
        change(edit, fixed.as_ref(), answer, fields);
    }
    let is_good = GOOD.contains(&answer.status.as_u16());
    let expires = all.iter().rev().find_map(|edits| edits.expires);
    if let Some(expires) = expires.filter(|_| is_good) {
        expire(expires, fields);
    }
    // A level's own list stands for those around it.
    let inner = all.iter().rev().find(|edits| !edits.added.is_empty());
    for (added, fixed) in inner.into_iter().flat_map(|edits| &edits.added) {
        if !added.always && !is_good {
            continue;
        }
        let value = made(&added.value, fixed.as_ref(), answer, fields);
        match value {
            Some(value) if SINGLE.contains(added.name.name()) => fields.set(&added.name, value),
            Some(value) => fields.append(&added.name, value),
            None => {}
        }
    }
}

fn change(edit: &AnswerEdit, fixed: Option<&HeaderValue>, answer: &Answer<'_>, fields: &mut dyn Fields) {
    if !edit.statuses.is_empty() && !edit.statuses.contains(&answer.status.as_u16()) {
        return;
    }
    let content_type = fields.value(&CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !is_of_type(&edit.media_types, content_type) {
        return;
    }
    match &edit.edit {
        Edit::Set(name, value) => match made(value, fixed, answer, fields) {
            Some(value) => fields.set(name, value),
            None => fields.remove(name.name()),
        },
        Edit::Remove(name) => fields.remove(name),
        Edit::RemoveAll(start) => remove_all(start, fields),
    }
}

/// The value of a field; `None` where it is empty or none.
fn made(
    value: &Value,
    fixed: Option<&HeaderValue>,
    answer: &Answer<'_>,
    fields: &dyn Fields,
) -> Option<HeaderValue> {
    if let Some(fixed) = fixed {
        return Some(fixed.clone()).filter(|value| !value.is_empty());
    }
    let surroundings = &answer.surroundings;
    let values = Values {
        request: answer.request,
        request_id: answer.request_id,
        port: surroundings.port,
        route: surroundings.route,
        service: surroundings.service,
    };
    let sent = Sent {
        status: answer.status,
        is_own: answer.is_own,
        fields,
    };
    let value = filled(value, surroundings.progress, &values, Some(sent));
    HeaderValue::from_bytes(&value)
        .ok()
        .filter(|value| !value.is_empty())
}

/// Sets `Expires` and `Cache-Control` instead of the backend's.
fn expire(expires: Expires, fields: &mut dyn Fields) {
    let (date, control) = match expires {
        Expires::Off => return,
        Expires::Epoch => (EPOCH, NO_CACHE),
        Expires::Max => (FAR, FAR_AGE),
        Expires::In(time) => (date(SystemTime::now().checked_add(time)), max_age(time)),
        Expires::Ago(time) => (date(SystemTime::now().checked_sub(time)), NO_CACHE),
    };
    fields.remove(&CACHE_CONTROL);
    fields.set(&EXPIRES, date);
    fields.set(&CACHE_CONTROL_NAME, control);
}

fn date(time: Option<SystemTime>) -> HeaderValue {
    let latest = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    let time = time.unwrap_or(UNIX_EPOCH).clamp(UNIX_EPOCH, latest);
    HeaderValue::try_from(httpdate::fmt_http_date(time)).unwrap_or(EPOCH)
}

fn max_age(time: Duration) -> HeaderValue {
    HeaderValue::try_from(format!("max-age={}", time.as_secs())).unwrap_or(NO_CACHE)
}
