//! What a host demands of its clients' certificates (nginx `ssl_verify_client`
//! and its errors 495 and 496).

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use tidegate_snapshot::{ClientAuth, ClientAuthMode, FieldName};

use super::{Flow, Reply, ReplyBody};
use crate::listener::TlsSession;
use crate::request::Fields;
use crate::tls::{Client, Verdict};

/// ingress-nginx's fields, which nobody but the gateway may send on.
pub const FIELDS: [FieldName; 4] = [
    FieldName::from_static("ssl-client-verify", "ssl-client-verify"),
    FieldName::from_static("ssl-client-subject-dn", "ssl-client-subject-dn"),
    FieldName::from_static("ssl-client-issuer-dn", "ssl-client-issuer-dn"),
    FieldName::from_static("ssl-client-cert", "ssl-client-cert"),
];

/// Judges a request to a host that has `auth`; `tls` is what is known of its
/// handshake, `None` over plain HTTP.
pub fn check(auth: &Arc<ClientAuth>, tls: Option<&TlsSession>) -> Flow {
    if auth.trust.is_none() {
        return Flow::Respond(Reply::status(StatusCode::FORBIDDEN));
    }
    let client = tls.and_then(|tls| tls.client.as_ref());
    let made_for_it = |client: &Client| {
        let spec = &client.authority.spec;
        Arc::ptr_eq(spec, auth) || spec == auth
    };
    if tls.is_some() && !client.is_some_and(made_for_it) {
        // The handshake was made for another host (RFC 9110 §15.5.20).
        return Flow::Respond(Reply::status(StatusCode::MISDIRECTED_REQUEST));
    }
    let verdict = client.map_or(&Verdict::Missing, |client| &client.verdict);
    let fine = match (auth.mode, verdict) {
        (_, Verdict::Good) | (ClientAuthMode::Unchecked, _) => true,
        (ClientAuthMode::Required | ClientAuthMode::Handshake, _) | (_, Verdict::Bad(_)) => false,
        (ClientAuthMode::Optional, verdict) => *verdict == Verdict::Missing,
        (ClientAuthMode::OptionalNoCa, Verdict::Missing | Verdict::UnknownIssuer) => true,
    };
    if !fine {
        return Flow::Respond(match &auth.error_page {
            Some(page) => Reply::redirect(StatusCode::FOUND, page.to_string()),
            None => refused(verdict),
        });
    }
    if let Some(pattern) = &auth.match_cn {
        let certificate = client.and_then(|client| client.certificate.as_ref());
        let subject = certificate.map_or("", |certificate| &certificate.subject);
        if !pattern.is_sure_match(subject) {
            return Flow::Respond(text(StatusCode::FORBIDDEN, "client certificate unauthorized"));
        }
    }
    Flow::Continue
}

/// nginx's pages of 495 and 496, which clients see as 400.
fn refused(verdict: &Verdict) -> Reply {
    let why = match verdict {
        Verdict::Missing => "No required SSL certificate was sent",
        _ => "The SSL certificate error",
    };
    let page = format!(
        "<html>\r\n<head><title>400 {why}</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n\
         <center>{why}</center>\r\n<hr><center>tidegate</center>\r\n</body>\r\n</html>\r\n"
    );
    Reply {
        body: Some(ReplyBody {
            content_type: HeaderValue::from_static("text/html"),
            bytes: Bytes::from(page),
        }),
        ..Reply::status(StatusCode::BAD_REQUEST)
    }
}

fn text(status: StatusCode, text: &'static str) -> Reply {
    Reply {
        body: Some(ReplyBody {
            content_type: HeaderValue::from_static("text/plain"),
            bytes: Bytes::from_static(text.as_bytes()),
        }),
        ..Reply::status(status)
    }
}

/// Sets what the backend, or an authentication service, is told of the client's
/// certificate; without `auth` nothing, whatever the client says.
pub fn tell(auth: Option<&ClientAuth>, client: Option<&Client>, fields: &mut dyn Fields) {
    for name in &FIELDS {
        if fields.value(name.name()).is_some() {
            fields.remove(name.name());
        }
    }
    let Some(auth) = auth else {
        return;
    };
    let verdict = client.map_or(&Verdict::Missing, |client| &client.verdict);
    let [verify, subject, issuer, certificate] = &FIELDS;
    let mut set = |name: &FieldName, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text)
            && !text.is_empty()
        {
            fields.set(name, value);
        }
    };
    set(verify, &verdict.text());
    let Some(shown) = client.and_then(|client| client.certificate.as_ref()) else {
        return;
    };
    set(subject, &shown.subject);
    set(issuer, &shown.issuer);
    if auth.pass_certificate {
        fields.set(certificate, shown.escaped_pem());
    }
}
