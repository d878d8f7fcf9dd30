//! `auth-tls-*` (annotations reference §5).

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use tidegate_snapshot::{ClientAuth, ClientAuthMode, ClientTrust, Effect, Pattern};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::{Refusal, Scope, Settings, value};

/// What the annotations say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    secret: Option<String>,
    mode: Mode,
    depth: Option<u8>,
    error_page: Option<String>,
    pass_certificate: bool,
    match_cn: Option<Pattern>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    On,
    Off,
    Optional,
    OptionalNoCa,
}

/// What an Ingress says of its hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostClientAuth {
    /// Nobody is asked.
    Off,
    /// This is demanded.
    On(Arc<ClientAuth>),
}

impl HostClientAuth {
    /// Whether both demand the same, whoever says it.
    pub(crate) fn demands_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::On(a), Self::On(b)) => {
                let unsigned = ClientAuth {
                    origin: b.origin.clone(),
                    ..ClientAuth::clone(a)
                };
                unsigned == **b
            }
            (a, b) => a == b,
        }
    }
}

pub(super) fn secret(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.client_auth_draft.secret = Some(text.to_owned());
    Ok(())
}

pub(super) fn verify_client(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.client_auth_draft.mode = match text {
        "on" => Mode::On,
        "off" => Mode::Off,
        "optional" => Mode::Optional,
        "optional_no_ca" => Mode::OptionalNoCa,
        _ => {
            return Err(Refusal::ignored(
                format!("{} is not known: certificates are required", value::shown(text)),
                "write on, off, optional or optional_no_ca",
            ));
        }
    };
    Ok(())
}

pub(super) fn verify_depth(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let depth = value::count(text)?;
    settings.client_auth_draft.depth = Some(u8::try_from(depth.max(1)).unwrap_or(u8::MAX));
    Ok(())
}

pub(super) fn error_page(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/:?&=@%".contains(c);
    if !text.chars().all(allowed) || text.starts_with('@') {
        return Err(Refusal::rejected(
            format!("{} is neither a URL nor a path", value::shown(text)),
            "write a URL",
        ));
    }
    settings.client_auth_draft.error_page = Some(text.to_owned());
    Ok(())
}

pub(super) fn pass_certificate(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.client_auth_draft.pass_certificate =
        value::bool(text).map_err(|refusal| Refusal::rejected(refusal.message, refusal.fix))?;
    Ok(())
}

pub(super) fn match_cn(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let fix = "write CN= and a regular expression";
    if !text.starts_with("CN=") {
        return Err(Refusal::rejected(
            format!("{} does not begin with CN=", value::shown(text)),
            fix,
        ));
    }
    match Pattern::with_look_around(text, false) {
        Ok(pattern) => settings.client_auth_draft.match_cn = Some(pattern),
        Err(error) => return Err(Refusal::rejected(error.to_string(), fix)),
    }
    Ok(())
}

/// Without `auth-tls-secret` the others do nothing. A Secret that cannot be used
/// closes the host (403).
pub(super) fn finish(settings: &mut Settings, scope: &Scope<'_>) -> Result<(), Refusal> {
    let draft = std::mem::take(&mut settings.client_auth_draft);
    let Some(secret) = &draft.secret else {
        return Ok(());
    };
    let mode = match draft.mode {
        Mode::Off => {
            settings.client_auth = Some(HostClientAuth::Off);
            return Ok(());
        }
        Mode::On => ClientAuthMode::Required,
        Mode::Optional => ClientAuthMode::Optional,
        Mode::OptionalNoCa => ClientAuthMode::OptionalNoCa,
    };
    let trust = trust(secret, scope);
    let auth = |trust| ClientAuth {
        origin: scope.object.clone(),
        trust,
        mode,
        depth: draft.depth.unwrap_or(1),
        error_page: draft.error_page.clone().map(Into::into),
        pass_certificate: draft.pass_certificate,
        match_cn: draft.match_cn.clone(),
    };
    let (trust, result) = match trust {
        Ok(trust) => (Some(trust), Ok(())),
        Err(refusal) => (
            None,
            Err(Refusal {
                effect: Effect::RouteDisabled,
                ..refusal
            }),
        ),
    };
    settings.client_auth = Some(HostClientAuth::On(Arc::new(auth(trust))));
    result
}

fn trust(secret: &str, scope: &Scope<'_>) -> Result<ClientTrust, Refusal> {
    let (namespace, name) = value::object(secret, scope)?;
    let refused =
        |why: String| Refusal::disabled(format!("Secret {namespace}/{name} {why}"), "mend the Secret");
    let secret = scope
        .lookup
        .secret(namespace, name)
        .ok_or_else(|| refused("does not exist".to_owned()))?;
    let roots = key(secret, "ca.crt").ok_or_else(|| refused("has no key `ca.crt`".to_owned()))?;
    let trust =
        ClientTrust::parse(roots, key(secret, "ca.crl")).map_err(|error| refused(error.to_string()))?;
    for root in &trust.roots {
        X509Certificate::from_der(root)
            .map_err(|error| refused(format!("holds a certificate in `ca.crt` that is none: {error}")))?;
    }
    for list in &trust.revocations {
        CertificateRevocationList::from_der(list)
            .map_err(|error| refused(format!("holds a list in `ca.crl` that is none: {error}")))?;
    }
    Ok(trust)
}

fn key<'a>(secret: &'a Secret, name: &str) -> Option<&'a [u8]> {
    let value = secret.data.as_ref()?.get(name)?;
    Some(&value.0)
}
