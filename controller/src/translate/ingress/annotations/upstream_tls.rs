//! `proxy-ssl-*`: TLS to the backend (annotations reference §15).

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tidegate_snapshot::{Certificate, Cipher, Effect, HandshakeLimits, TrustAnchors, UpstreamTls};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Refusal, Scope, Settings, value};
use crate::translate::certificate::{self, SecretError};
use crate::translate::ciphers;

/// What the annotations say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    secret: Option<String>,
    verify: bool,
    name: Option<Arc<str>>,
    server_name: bool,
    /// TLS 1.2 and TLS 1.3.
    versions: Option<(bool, bool)>,
    ciphers: Option<ciphers::Chosen>,
    depth: Option<u8>,
    finished: Option<Finished>,
}

/// What they come to, but for the name where none is given.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finished {
    verify: Option<TrustAnchors>,
    client: Option<Arc<Certificate>>,
    limits: Option<HandshakeLimits>,
    identity: Arc<str>,
}

pub(super) fn secret(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.upstream_tls.secret = Some(text.to_owned());
    Ok(())
}

pub(super) fn verify(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.upstream_tls.verify = value::on_off(text)?;
    Ok(())
}

pub(super) fn server_name(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.upstream_tls.server_name = value::on_off(text)?;
    Ok(())
}

pub(super) fn name(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !text.chars().all(allowed) {
        return Err(Refusal::disabled(
            format!("{} is not a host name", value::shown(text)),
            "write the name in the backend's certificate",
        ));
    }
    settings.upstream_tls.name = Some(text.to_ascii_lowercase().into());
    Ok(())
}

pub(super) fn protocols(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let mut versions = (false, false);
    let mut others = Vec::new();
    for word in text.split_ascii_whitespace() {
        match word {
            "TLSv1.2" => versions.0 = true,
            "TLSv1.3" => versions.1 = true,
            _ => others.push(word),
        }
    }
    let fix = "write TLSv1.2, TLSv1.3 or both";
    if versions == (false, false) {
        let message = format!("{} names no version that is spoken", value::shown(text));
        return Err(Refusal::ignored(message, fix));
    }
    settings.upstream_tls.versions = Some(versions);
    match others.is_empty() {
        true => Ok(()),
        false => Err(partly(format!("{} is not spoken", others.join(" ")), fix)),
    }
}

pub(super) fn ciphers(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let chosen = ciphers::parse(text);
    let missing = chosen.missing.join(", ");
    settings.upstream_tls.ciphers = Some(chosen);
    match missing.is_empty() {
        true => Ok(()),
        false => Err(partly(format!("not spoken: {missing}"), SUITES)),
    }
}

pub(super) fn verify_depth(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    let depth = value::count(text)?;
    settings.upstream_tls.depth = Some(u8::try_from(depth).unwrap_or(u8::MAX));
    Ok(())
}

const SUITES: &str = "of TLS 1.2 there is ECDHE with AES-GCM or ChaCha20";

/// A value of which only a part is served.
fn partly(message: String, fix: &str) -> Refusal {
    Refusal {
        effect: Effect::Applied,
        ..Refusal::ignored(message, fix)
    }
}

impl Draft {
    /// # Errors
    /// Nothing would be left to offer.
    fn limits(&self) -> Result<Option<HandshakeLimits>, Refusal> {
        let (mut tls12, tls13) = self.versions.unwrap_or((true, true));
        let mut ciphers = Cipher::ALL.to_vec();
        if let Some(chosen) = self.ciphers.as_ref().map(|chosen| &chosen.ciphers) {
            // nginx offers nothing else, either.
            tls12 &= !chosen.is_empty();
            // In another order all of them are no limit: the backend chooses.
            if chosen.len() < ciphers.len() {
                ciphers = chosen.clone();
            }
        }
        if !tls12 && !tls13 {
            return Err(Refusal::disabled("none of these suites is spoken", SUITES));
        }
        let limits = HandshakeLimits {
            tls12,
            tls13,
            ciphers,
            depth: self.depth.filter(|_| self.verify),
        };
        Ok((limits != HandshakeLimits::default()).then_some(limits))
    }
}

/// Reads the Secret. Whatever is wrong with it closes the routes. Without a
/// Secret ingress-nginx ignores all of these; we do not let a backend pass
/// unverified where verification is asked for.
pub(super) fn finish(settings: &mut Settings, scope: &Scope<'_>) -> Result<(), Refusal> {
    let draft = &settings.upstream_tls;
    let Some(text) = &draft.secret else {
        return if draft.verify {
            Err(Refusal::disabled(
                "proxy-ssl-verify is on, but there is nothing to verify with",
                "name a Secret with `ca.crt`, or switch proxy-ssl-verify off",
            ))
        } else {
            Ok(())
        };
    };
    let own = &*scope.object.namespace;
    let (namespace, name) = text.split_once('/').unwrap_or((own, text));
    if namespace != own && !scope.options.allow_cross_namespace_resources {
        return Err(Refusal::disabled(
            format!("Secret {text} is in another namespace"),
            "put a copy of it into the Ingress's own namespace",
        ));
    }
    let Some(secret) = scope.lookup.secret(namespace, name) else {
        return Err(Refusal::disabled(
            format!("Secret {namespace}/{name} does not exist"),
            "create it with `ca.crt`, or with `tls.crt` and `tls.key`",
        ));
    };
    let refused = |error: &dyn std::fmt::Display| {
        Refusal::disabled(format!("Secret {namespace}/{name}: {error}"), "mend the Secret")
    };
    let verify = match (
        draft.verify,
        authorities(secret).map_err(|error| refused(&error))?,
    ) {
        (false, _) => None,
        (true, Some(authorities)) => Some(TrustAnchors::Certificates(authorities)),
        (true, None) => return Err(refused(&"has no `ca.crt` to verify the backend with")),
    };
    let client = match certificate::from_secret(secret) {
        Ok(certificate) => Some(Arc::new(certificate)),
        Err(SecretError::KeyMissing(_)) => None,
        Err(error) => return Err(refused(&error)),
    };
    let limits = draft.limits()?;
    let mut identity = format!(
        "{namespace}/{name},{},{},{}",
        draft.verify,
        draft.server_name,
        draft.name.as_deref().unwrap_or_default()
    );
    if let Some(limits) = &limits {
        identity.push_str(&of_limits(limits));
    }
    settings.upstream_tls.finished = Some(Finished {
        verify,
        client,
        limits,
        identity: identity.into(),
    });
    Ok(())
}

/// What tells limits apart.
fn of_limits(limits: &HandshakeLimits) -> String {
    let versions = [(limits.tls12, "1.2"), (limits.tls13, "1.3")];
    let versions = versions.into_iter().filter(|(spoken, _)| *spoken);
    let versions: Vec<_> = versions.map(|(_, version)| version).collect();
    let ciphers: Vec<_> = match limits.ciphers == Cipher::ALL {
        true => Vec::new(),
        false => limits.ciphers.iter().map(|cipher| cipher.name()).collect(),
    };
    let depth = limits.depth.map(|depth| depth.to_string()).unwrap_or_default();
    format!(",{},{},{depth}", versions.join("+"), ciphers.join(":"))
}

/// The certificates in `ca.crt`; each is looked at, because the gateway's TLS
/// library takes them for granted.
fn authorities(secret: &Secret) -> Result<Option<Arc<[CertificateDer<'static>]>>, String> {
    let data = secret.data.as_ref().and_then(|data| data.get("ca.crt"));
    let Some(pem) = data else {
        return Ok(None);
    };
    let broken =
        |error: &dyn std::fmt::Display| format!("`ca.crt` is not a list of PEM certificates: {error}");
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem.0)
        .collect::<Result<_, _>>()
        .map_err(|error| broken(&error))?;
    for der in &certificates {
        X509Certificate::from_der(der).map_err(|error| broken(&error))?;
    }
    match certificates.is_empty() {
        true => Err(broken(&"it has none")),
        false => Ok(Some(certificates.into())),
    }
}

impl Settings {
    /// The settings of TLS to a Service, and what tells them apart. Where no
    /// name is given the Service's own stands in: nginx would ask for the name
    /// of its own configuration, which no certificate has.
    pub(crate) fn upstream_tls(
        &self,
        namespace: &str,
        service: &str,
    ) -> (Option<Arc<UpstreamTls>>, Option<Arc<str>>) {
        let draft = &self.upstream_tls;
        let Some(finished) = &draft.finished else {
            return (None, None);
        };
        let named = draft.server_name || finished.verify.is_some();
        let name = || match &draft.name {
            Some(name) => name.clone(),
            None => format!("{service}.{namespace}.svc").into(),
        };
        let tls = UpstreamTls {
            server_name: named.then(name),
            verify: finished.verify.clone(),
            alt_names: Vec::new(),
            client_certificate: finished.client.clone(),
            limits: finished.limits.clone(),
        };
        (Some(Arc::new(tls)), Some(finished.identity.clone()))
    }
}
