//! The cookie that binds a client to an endpoint (ingress-nginx
//! `affinity: cookie`, Gateway API `sessionPersistence`). It holds a key and the
//! tag of a cluster: `KEY|TAG`, and where bindings end, when it was made:
//! `KEY|TAG|TIME`. Any text is a key, so that cookies made elsewhere still bind.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use tidegate_snapshot::FieldName;
use tidegate_snapshot::policy;
use tidegate_snapshot::policy::{AffinityMode, SameSite};

use crate::cookie;
use crate::request::RequestView;

mod user_agent;

/// How clients of a route are bound.
pub struct Affinity {
    /// How firmly.
    pub mode: AffinityMode,
    /// Whether the endpoint that takes over after a failure keeps the client.
    pub change_on_failure: bool,
    lifetime: Option<Duration>,
    header: Option<FieldName>,
    name: Box<str>,
    path: Option<Box<str>>,
    expires: Option<Duration>,
    /// Everything between `Expires` and `Path`.
    max_age_and_domain: Box<str>,
    secure: bool,
    same_site: Option<SameSite>,
    conditional_same_site_none: bool,
}

/// What a client's cookie says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound<'a> {
    /// Whose endpoint it is: hashed over the endpoints, or the name of one.
    pub key: &'a [u8],
    /// The cluster that it was made for, if it is one of our cookies.
    pub tag: Option<u64>,
}

/// What a cookie depends on besides its policy.
pub struct NewCookie<'a> {
    /// Its key.
    pub key: u64,
    /// The tag of the cluster.
    pub tag: u64,
    /// The path of the route.
    pub path: &'a str,
    /// Whether the connection is TLS.
    pub tls: bool,
    /// The client's `User-Agent`.
    pub user_agent: Option<&'a [u8]>,
    /// The time.
    pub now: SystemTime,
}

impl Affinity {
    pub(super) fn new(spec: &policy::Affinity) -> Self {
        let cookie = &spec.cookie;
        let mut fixed = String::new();
        // Writing to a String cannot fail.
        if let Some(seconds) = cookie.max_age {
            let _ = write!(fixed, "; Max-Age={seconds}");
        }
        if let Some(domain) = &cookie.domain {
            let _ = write!(fixed, "; Domain={domain}");
        }
        Self {
            mode: spec.mode,
            change_on_failure: spec.change_on_failure,
            lifetime: spec.lifetime.map(|seconds| Duration::from_secs(seconds.into())),
            header: spec.header.clone(),
            name: cookie.name.clone(),
            path: cookie.path.clone(),
            expires: cookie.expires.map(|seconds| Duration::from_secs(seconds.into())),
            max_age_and_domain: fixed.into(),
            secure: cookie.secure,
            same_site: cookie.same_site,
            conditional_same_site_none: cookie.conditional_same_site_none,
        }
    }

    /// What binds the client already. An empty cookie binds nobody, nor does one
    /// whose time is over.
    pub fn bound<'a>(&self, request: &'a (impl RequestView + ?Sized)) -> Option<Bound<'a>> {
        let value = match &self.header {
            Some(header) => request.header(header.name())?,
            None => cookie::value(request, self.name.as_bytes())?,
        };
        let mut parts = value.splitn(3, |byte| *byte == b'|');
        let key = parts.next()?;
        let tag = parts.next().and_then(hexadecimal);
        if let Some(lifetime) = self.lifetime {
            let made = Duration::from_secs(parts.next().and_then(hexadecimal)?);
            let age = since_1970(SystemTime::now()).checked_sub(made);
            if age.is_none_or(|age| age >= lifetime) {
                return None;
            }
        }
        (!key.is_empty()).then_some(Bound { key, tag })
    }

    /// The field that binds a client, and its value. `None` only where the
    /// policy holds what no header may.
    pub fn bind(&self, new: &NewCookie<'_>) -> Option<(FieldName, HeaderValue)> {
        const SET_COOKIE: FieldName = FieldName::from_static("set-cookie", "Set-Cookie");
        match &self.header {
            Some(header) => Some((header.clone(), HeaderValue::try_from(self.value(new)).ok()?)),
            None => Some((SET_COOKIE, self.set_cookie(new)?)),
        }
    }

    fn value(&self, new: &NewCookie<'_>) -> String {
        let mut text = format!("{:016x}|{:016x}", new.key, new.tag);
        if self.lifetime.is_some() {
            let _ = write!(text, "|{:016x}", since_1970(new.now).as_secs());
        }
        text
    }

    fn set_cookie(&self, new: &NewCookie<'_>) -> Option<HeaderValue> {
        let mut text = format!("{}={}", self.name, self.value(new));
        if let Some(time) = self.expires.and_then(|expires| new.now.checked_add(expires)) {
            let _ = write!(text, "; Expires={}", httpdate::fmt_http_date(time));
        }
        text.push_str(&self.max_age_and_domain);
        let _ = write!(text, "; Path={}", self.path.as_deref().unwrap_or(new.path));
        if self.secure || new.tls {
            text.push_str("; Secure");
        }
        text.push_str("; HttpOnly");
        match self.same_site {
            Some(SameSite::None) if self.leaves_none_out(new) => {}
            Some(SameSite::None) => text.push_str("; SameSite=None"),
            Some(SameSite::Lax) => text.push_str("; SameSite=Lax"),
            Some(SameSite::Strict) => text.push_str("; SameSite=Strict"),
            None => {}
        }
        HeaderValue::try_from(text).ok()
    }

    fn leaves_none_out(&self, new: &NewCookie<'_>) -> bool {
        self.conditional_same_site_none && new.user_agent.is_some_and(user_agent::misreads_same_site_none)
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The number of a key or a tag that we have written.
pub fn hexadecimal(text: &[u8]) -> Option<u64> {
    if text.len() != 16 {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

#[cfg(test)]
mod tests;
