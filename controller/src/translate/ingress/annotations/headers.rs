//! `custom-headers` (annotations reference §11).

use tidegate_snapshot::FieldName;
use tidegate_snapshot::policy::CustomHeaders;

use super::{Refusal, Scope, Settings, value};

pub(super) fn custom_headers(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.custom_headers = Some(text.to_owned());
    Ok(())
}

/// Reads the ConfigMap. Any fault in it closes the routes, as in ingress-nginx:
/// a field may be there for security.
pub(super) fn finish(settings: &mut Settings, scope: &Scope<'_>) -> Result<(), Refusal> {
    let Some(text) = settings.custom_headers.take() else {
        return Ok(());
    };
    if !text.contains('/') {
        return Err(Refusal::ignored(
            format!("{} does not name a ConfigMap", value::shown(&text)),
            "write namespace/name",
        ));
    }
    let (namespace, name) = value::object(&text, scope)?;
    let Some(config_map) = scope.lookup.config_map(namespace, name) else {
        return Err(Refusal::disabled(
            format!("ConfigMap {namespace}/{name} does not exist"),
            "create it",
        ));
    };
    let allowed = &scope.options.global_allowed_response_headers;
    let mut fields = Vec::new();
    for (name, text) in config_map.data.iter().flatten() {
        if !allowed.contains(name) {
            return Err(Refusal::disabled(
                format!("the response header {} is not allowed", value::shown(name)),
                "add it to `global-allowed-response-headers` of the controller's ConfigMap",
            ));
        }
        let name = FieldName::parse(name).ok_or_else(|| {
            Refusal::disabled(
                format!("{} is not the name of a header", value::shown(name)),
                "use letters, digits, `-` and `_`",
            )
        })?;
        let text = text.parse().map_err(|_| {
            Refusal::disabled(
                format!("the value of {name} is not one of a header"),
                "write one line of visible characters",
            )
        })?;
        fields.push((name, text));
    }
    settings.policies.custom_headers = (!fields.is_empty()).then_some(CustomHeaders { set: fields });
    Ok(())
}
