//! `ExternalAuth` of a rule or of one of its backends (GEP-1494).

use tidegate_snapshot::FieldName;
use tidegate_snapshot::policy::{Authorization, AuthorizationProtocol};

use super::unsupported;
use crate::gateway_api::FilterExternalAuth;
use crate::translate::gateway::status::Failure;

/// Without the Service, which is looked up later.
pub(super) fn authorization(settings: &FilterExternalAuth) -> Result<Authorization, Failure> {
    let (protocol, request_headers) = match settings.protocol.as_str() {
        "HTTP" => {
            let http = settings.http.clone().unwrap_or_default();
            let protocol = AuthorizationProtocol::Http {
                prefix: prefix(&http.path)?,
                response_headers: names(&http.allowed_response_headers)?,
            };
            (protocol, http.allowed_headers)
        }
        "GRPC" => {
            let grpc = settings.grpc.clone().unwrap_or_default();
            (AuthorizationProtocol::Grpc, grpc.allowed_headers)
        }
        other => {
            return Err(unsupported(format!(
                "`protocol` {other:?} of ExternalAuth is not supported: write HTTP or GRPC"
            )));
        }
    };
    Ok(Authorization {
        cluster: None,
        protocol,
        request_headers: names(&request_headers)?,
        body: settings
            .forward_body
            .as_ref()
            .map_or(Ok(0), |body| body_limit(body.max_size))?,
    })
}

/// "MaxSize specifies how large in bytes the largest body that will be buffered
/// and sent to the authorization server."
fn body_limit(size: i64) -> Result<u16, Failure> {
    u16::try_from(size).map_err(|_| {
        unsupported(format!(
            "`forwardBody.maxSize` {size} of ExternalAuth must be from 0 to {}",
            u16::MAX
        ))
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
