//! `sessionPersistence` of a rule (GEP-1619).

use tidegate_snapshot::FieldName;
use tidegate_snapshot::policy::{Affinity, AffinityCookie, AffinityMode};

use super::filter::{duration, unsupported};
use super::status::Failure;
use crate::gateway_api::SessionPersistence;

/// Without `sessionName`.
const NAME: &str = "tidegate-session";

/// A client stays with its endpoint until that is gone; then it is bound to
/// another. Of a traffic split it stays with its share.
pub(super) fn affinity(session: &SessionPersistence) -> Result<Affinity, Failure> {
    let name = session.session_name.as_deref().unwrap_or(NAME);
    let field = FieldName::parse(name);
    let field = field.ok_or_else(|| unsupported(format!("`sessionName` {name:?} is not a token")))?;
    let lifetime =
        match session.absolute_timeout.as_deref() {
            None => None,
            Some(text) => {
                let time = duration(text).and_then(|time| u32::try_from(time.as_secs()).ok());
                let time = time.filter(|seconds| *seconds > 0);
                Some(time.ok_or_else(|| {
                    unsupported(format!("`absoluteTimeout` {text:?} is not a time from 1 s"))
                })?)
            }
        };
    let config = session.cookie_config.as_ref();
    let kept = config.and_then(|config| config.lifetime_type.as_deref());
    let max_age = match (kept.unwrap_or("Session"), lifetime) {
        ("Session", _) => None,
        // "AbsoluteTimeout indicates the cookie's lifetime via the Expires or
        // Max-Age cookie attributes and is required."
        ("Permanent", Some(lifetime)) => Some(lifetime),
        ("Permanent", None) => {
            return Err(unsupported(
                "a Permanent cookie needs `absoluteTimeout`".to_owned(),
            ));
        }
        (other, _) => return Err(unsupported(format!("`lifetimeType` {other:?} is not supported"))),
    };
    let header = match session.kind.as_deref().unwrap_or("Cookie") {
        "Cookie" => None,
        "Header" => Some(field),
        other => return Err(unsupported(format!("session type {other:?} is not supported"))),
    };
    Ok(Affinity {
        mode: AffinityMode::Persistent,
        cookie: AffinityCookie {
            name: name.into(),
            max_age,
            ..AffinityCookie::default()
        },
        change_on_failure: true,
        lifetime,
        header,
    })
}
