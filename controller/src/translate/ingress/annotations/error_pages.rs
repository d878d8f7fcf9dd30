//! Error pages, and the Service behind them (annotations reference §16).

use std::sync::Arc;

use tidegate_snapshot::ClusterKey;
use tidegate_snapshot::policy::ErrorPages;

use super::{Refusal, Scope, Settings, value};
use crate::translate::services;

/// What the annotations say, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    statuses: Arc<[u16]>,
    passes_errors: bool,
    service: Option<Box<str>>,
    /// Name and port of the Service of `default-backend`, once it was found.
    pub(crate) backend: Option<(Box<str>, Arc<str>)>,
}

impl Draft {
    /// With the statuses of the ConfigMap.
    pub(super) fn new(statuses: &Arc<[u16]>) -> Self {
        Self {
            statuses: statuses.clone(),
            ..Self::default()
        }
    }
}

pub(super) fn statuses(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let (statuses, wrong) = value::statuses(text, 400..=599);
    if let Some(wrong) = wrong {
        return Err(Refusal::rejected(
            format!("{} is not the status of an error", value::shown(wrong)),
            "write statuses from 400 to 599, separated by commas",
        ));
    }
    settings.error_pages.statuses = statuses;
    Ok(())
}

pub(super) fn passes_errors(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.error_pages.passes_errors = value::bool(text)?;
    Ok(())
}

pub(super) fn default_backend(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.len() > 63 || !text.bytes().all(allowed) {
        return Err(Refusal::rejected(
            format!("{} is not the name of a Service", value::shown(text)),
            "name a Service of the same namespace",
        ));
    }
    settings.error_pages.service = Some(text.into());
    Ok(())
}

/// A Service that does not exist is as good as none, as in ingress-nginx.
pub(super) fn finish(settings: &mut Settings, scope: &Scope<'_>) -> Result<(), Refusal> {
    let mut result = Ok(());
    if let Some(name) = settings.error_pages.service.take() {
        let namespace = &scope.object.namespace;
        let service = scope.lookup.service(namespace, &name);
        match service.and_then(|service| services::first_port(service)) {
            Some(port) => {
                let key = ClusterKey(format!("{namespace}-{name}-{port}").into());
                settings.policies.default_backend = Some(key);
                settings.error_pages.backend = Some((name, port));
            }
            None => {
                result = Err(Refusal::ignored(
                    format!("Service {namespace}/{name} does not exist, or has no port"),
                    "create it, or correct the name",
                ));
            }
        }
    }
    let draft = &settings.error_pages;
    if !draft.statuses.is_empty() {
        let global = scope.options.default_backend_service.as_ref();
        settings.policies.error_pages = Some(ErrorPages {
            statuses: draft.statuses.clone(),
            intercept: !draft.passes_errors,
            backend: global.map(|_| ClusterKey(services::DEFAULT_BACKEND.into())),
        });
    }
    result
}
