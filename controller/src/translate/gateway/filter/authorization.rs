//! `ExternalAuth` of a rule, protocol HTTP (GEP-1494).

use tidegate_snapshot::FieldName;
use tidegate_snapshot::policy::Authorization;

use super::unsupported;
use crate::gateway_api::FilterExternalAuth;
use crate::translate::gateway::status::Failure;

/// Without the Service, which is looked up later.
pub(super) fn authorization(settings: &FilterExternalAuth) -> Result<Authorization, Failure> {
    if settings.protocol != "HTTP" {
        return Err(unsupported(format!(
            "`protocol` {:?} of ExternalAuth is not supported: only HTTP is",
            settings.protocol
        )));
    }
    let body = settings.forward_body.as_ref();
    if body.is_some_and(|body| body.max_size != 0) {
        return Err(unsupported(
            "`forwardBody` of ExternalAuth is not supported".to_owned(),
        ));
    }
    let http = settings.http.as_ref();
    Ok(Authorization {
        cluster: None,
        prefix: http.map_or(Ok("".into()), |http| prefix(&http.path))?,
        request_headers: http.map_or(Ok(Vec::new()), |http| names(&http.allowed_headers))?,
        response_headers: http.map_or(Ok(Vec::new()), |http| names(&http.allowed_response_headers))?,
    })
}

/// "Even with the validation, implementations MUST sanitize this input before
/// using it directly."
fn prefix(path: &str) -> Result<Box<str>, Failure> {
    let is_plain = path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"?#\\".contains(&byte));
    let has_dots = path.split('/').any(|segment| matches!(segment, "." | ".."));
    if !is_plain || has_dots {
        return Err(unsupported(format!(
            "`path` {path:?} of ExternalAuth is not a path"
        )));
    }
    let path = path.trim_end_matches('/');
    Ok(match path {
        "" => "".into(),
        path if path.starts_with('/') => path.into(),
        path => format!("/{path}").into(),
    })
}

fn names(names: &[String]) -> Result<Vec<FieldName>, Failure> {
    let name = |text: &String| {
        FieldName::parse(text).ok_or_else(|| unsupported(format!("{text:?} is not a field name")))
    };
    names.iter().map(name).collect()
}
