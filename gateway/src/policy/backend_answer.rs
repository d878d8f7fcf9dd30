//! Cookies and redirects of backends in the clients' terms
//! (`proxy-cookie-domain`, `proxy-cookie-path`, `proxy-redirect-from` and `-to`;
//! nginx directives of the same names).

use http::header::{LOCATION, REFRESH, SET_COOKIE};
use http::{HeaderName, HeaderValue};
use tidegate_snapshot::FieldName;
use tidegate_snapshot::policy::{self, Replacement};

use super::{Answer, LocationStyle};
use crate::request::Fields;

const SET_COOKIE_NAME: FieldName = FieldName::from_static("set-cookie", "Set-Cookie");
const LOCATION_NAME: FieldName = FieldName::from_static("location", "Location");
const REFRESH_NAME: FieldName = FieldName::from_static("refresh", "Refresh");

/// Edits answers of backends.
pub struct BackendAnswer {
    spec: policy::BackendAnswer,
}

impl BackendAnswer {
    pub(super) fn new(spec: &policy::BackendAnswer) -> Self {
        Self { spec: spec.clone() }
    }

    pub(super) fn on_response(&self, answer: &Answer<'_>, style: &LocationStyle, fields: &mut dyn Fields) {
        if answer.is_own {
            return;
        }
        if self.spec.cookie_domain.is_some() || self.spec.cookie_path.is_some() {
            self.cookies(fields);
        }
        if let Some(replacement) = &self.spec.location {
            if let Some(location) = text(fields, &LOCATION).and_then(|text| start(text, replacement)) {
                // nginx makes those absolute that it has changed.
                let location = match location.starts_with('/') {
                    true => style.of(&location, answer.request, None),
                    false => location,
                };
                set(fields, &LOCATION_NAME, location);
            }
            if let Some(refresh) = text(fields, &REFRESH).and_then(|text| refreshed(text, replacement)) {
                set(fields, &REFRESH_NAME, refresh);
            }
        }
    }

    fn cookies(&self, fields: &mut dyn Fields) {
        let before = fields.values(&SET_COOKIE);
        let after: Vec<_> = before.iter().map(|cookie| self.cookie(cookie)).collect();
        if after.iter().all(Option::is_none) {
            return;
        }
        fields.remove(&SET_COOKIE);
        for (before, after) in before.into_iter().zip(after) {
            fields.append(&SET_COOKIE_NAME, after.unwrap_or(before));
        }
    }

    /// A `Set-Cookie` value in other words; `None`: as it is.
    fn cookie(&self, value: &HeaderValue) -> Option<HeaderValue> {
        let mut changed = false;
        let attributes: Vec<String> = value
            .to_str()
            .ok()?
            .split(';')
            .enumerate()
            .map(
                |(number, attribute)| match self.attribute(attribute).filter(|_| number > 0) {
                    Some(attribute) => {
                        changed = true;
                        attribute
                    }
                    None => attribute.to_owned(),
                },
            )
            .collect();
        changed.then(|| HeaderValue::try_from(attributes.join(";")).ok())?
    }

    fn attribute(&self, attribute: &str) -> Option<String> {
        let (name, value) = attribute.split_once('=')?;
        let value = value.trim();
        let replaced = match name.trim() {
            trimmed if trimmed.eq_ignore_ascii_case("domain") => {
                domain(value, self.spec.cookie_domain.as_ref()?)?
            }
            trimmed if trimmed.eq_ignore_ascii_case("path") => start(value, self.spec.cookie_path.as_ref()?)?,
            _ => return None,
        };
        Some(format!("{name}={replaced}"))
    }
}

/// The whole domain, without regard to case and to a dot before it; the dot
/// stays.
fn domain(value: &str, replacement: &Replacement) -> Option<String> {
    let bare = value.strip_prefix('.').unwrap_or(value);
    let dot = &value[..value.len() - bare.len()];
    let undotted = |text: &str| text.strip_prefix('.').unwrap_or(text).to_owned();
    bare.eq_ignore_ascii_case(&undotted(&replacement.from))
        .then(|| format!("{dot}{}", undotted(&replacement.to)))
}

/// The start of a text.
fn start(value: &str, replacement: &Replacement) -> Option<String> {
    let rest = value.strip_prefix(&*replacement.from)?;
    Some(format!("{}{rest}", replacement.to))
}

/// The URL in a `Refresh` value.
fn refreshed(value: &str, replacement: &Replacement) -> Option<String> {
    let at = value.to_ascii_lowercase().find("url=")? + "url=".len();
    Some(format!("{}{}", &value[..at], start(&value[at..], replacement)?))
}

fn text<'a>(fields: &'a dyn Fields, name: &HeaderName) -> Option<&'a str> {
    fields.value(name)?.to_str().ok()
}

fn set(fields: &mut dyn Fields, name: &FieldName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        fields.set(name, value);
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::request::fixtures::{Head, Request};

    fn replacement(from: &str, to: &str) -> Option<Replacement> {
        Some(Replacement {
            from: from.into(),
            to: to.into(),
        })
    }

    fn edited(spec: &policy::BackendAnswer, relative: bool, name: &str, value: &str) -> String {
        let request = Request::get("/");
        let answer = Answer {
            request: &request,
            request_id: b"",
            status: StatusCode::OK,
            is_own: false,
            surroundings: Default::default(),
        };
        let style = LocationStyle::new(&policy::LocationStyle {
            relative,
            name_port: false,
        });
        let mut head = Head::new(&[(name, value)]);
        BackendAnswer::new(spec).on_response(&answer, &style, &mut head);
        head.pairs().remove(0).1
    }

    #[test]
    fn cookies_get_other_domains_and_paths() {
        let spec = policy::BackendAnswer {
            cookie_domain: replacement("backend.local", ".example.com"),
            cookie_path: replacement("/", "/app/"),
            location: None,
        };
        let cookie = |value| edited(&spec, false, "set-cookie", value);
        assert_eq!(
            cookie("domain=/; Domain=Backend.local; path=/a; Secure"),
            "domain=/; Domain=example.com; path=/app/a; Secure"
        );
        assert_eq!(cookie("a=b; Domain=.backend.local"), "a=b; Domain=.example.com");
        assert_eq!(
            cookie("a=b; Domain=x.backend.local;HttpOnly"),
            "a=b; Domain=x.backend.local;HttpOnly"
        );
    }

    #[test]
    fn redirects_get_another_start() {
        let spec = policy::BackendAnswer {
            location: replacement("http://backend:8080/", "/"),
            ..Default::default()
        };
        let location = |value| edited(&spec, false, "location", value);
        assert_eq!(location("http://backend:8080/a?b"), "http://foo.bar/a?b");
        assert_eq!(edited(&spec, true, "location", "http://backend:8080/a"), "/a");
        assert_eq!(location("/elsewhere"), "/elsewhere");
        assert_eq!(
            edited(&spec, false, "refresh", "5; URL=http://backend:8080/a"),
            "5; URL=/a"
        );
    }
}
