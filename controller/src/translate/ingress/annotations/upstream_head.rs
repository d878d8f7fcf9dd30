//! What the backend is sent in the request's head (annotations reference §2,
//! §11 and §14).

use tidegate_snapshot::Text;
use tidegate_snapshot::policy::{Connection, UpstreamHead};

use super::{Refusal, Settings, value};

fn headers(settings: &mut Settings) -> &mut UpstreamHead {
    settings.policies.upstream_head.get_or_insert_default()
}

pub(super) fn host(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    if !value::is_regex(text) {
        return Err(Refusal::rejected(
            format!("{} is not a host", value::shown(text)),
            "write a host name, with a port if need be",
        ));
    }
    let host = Text::parse(text).map_err(|error| Refusal::ignored(error.to_string(), "write a host name"))?;
    headers(settings).host = Some(host);
    Ok(())
}

pub(super) fn connection(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    headers(settings).connection = Some(match text {
        "close" => Connection::Close,
        "keep-alive" => Connection::KeepAlive,
        _ => {
            return Err(Refusal::rejected(
                format!("{} is not a kind of connection", value::shown(text)),
                "write close or keep-alive",
            ));
        }
    });
    Ok(())
}

/// Not for gRPC, which is HTTP/2.
pub(super) fn http_version(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    match text {
        // Over a default of the ConfigMap.
        "1.1" => {
            if let Some(head) = &mut settings.policies.upstream_head {
                head.http10 = false;
            }
        }
        "1.0" => headers(settings).http10 = true,
        _ => {
            return Err(Refusal::ignored(
                format!("{} is not a version of HTTP", value::shown(text)),
                "write 1.0 or 1.1",
            ));
        }
    }
    Ok(())
}
