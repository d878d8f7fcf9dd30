//! Asking an authentication service about a request (`auth-url`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, Version};
use pingora_core::upstreams::peer::Peer;
use pingora_core::{Error, ErrorType, OrErr, Result};
use pingora_http::RequestHeader;

use super::failure::Failure;
use super::inbound::{self, Inbound};
use super::subrequest::{Origin, Subrequests};
use super::{access, forwarded, spans};
use crate::observe::access_log::Attempt;
use crate::observe::spans::Span;
use crate::policy::{Answers, ExternalAuth, Heard, Url, Verdict, is_hearsay};
use crate::router::Route;
use crate::template::Values;
use tidegate_snapshot::policy::Timeouts;

/// More of an answer's body than this is not read to keep the connection.
const BODY_LIMIT: usize = 64 * 1024;
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY: HeaderName = HeaderName::from_static("proxy");

/// What asking takes.
pub(super) struct Question<'a> {
    pub(super) auth: &'a ExternalAuth,
    pub(super) client: &'a RequestHeader,
    pub(super) inbound: &'a Inbound,
    pub(super) values: &'a Values<'a>,
    pub(super) timeouts: &'a Timeouts,
    pub(super) route: &'a Route,
    pub(super) span: Option<&'a Span>,
}

/// What asking came to, for the access log.
#[derive(Default)]
pub(super) struct Asked {
    /// The service's status, remembered or not; of a failure, what nginx calls it.
    pub(super) status: u16,
    /// `None`: the answer was remembered, or nobody could be asked.
    pub(super) attempt: Option<Attempt>,
}

impl Question<'_> {
    /// The service's verdict and what else it said. A failure is no verdict to
    /// let anybody in, whatever its kind. `asked` is told of it for the log.
    pub(super) async fn ask(
        &self,
        subrequests: &Subrequests,
        answers: &Answers,
        asked: &mut Asked,
    ) -> (Verdict, Option<Arc<Heard>>) {
        let ticket = self.auth.ticket(self.values);
        if let Some(heard) = ticket.and_then(|ticket| answers.recall(ticket)) {
            asked.status = heard.status().as_u16();
            return (self.auth.verdict(&heard), Some(heard));
        }
        let began = Instant::now();
        let outcome = self.send(subrequests, &mut asked.attempt).await;
        asked.status = match &outcome {
            Ok((heard, _)) => heard.status().as_u16(),
            Err(error) => Failure::asking(error).status(),
        };
        if let Some(attempt) = &mut asked.attempt {
            attempt.status = asked.status;
            attempt.response_time = began.elapsed();
        }
        match outcome {
            Ok((heard, lifetime)) => {
                let heard = Arc::new(heard);
                if let (Some(ticket), Some(lifetime)) = (ticket, lifetime) {
                    answers.remember(ticket, heard.clone(), lifetime);
                }
                let verdict = self.auth.verdict(&heard);
                if matches!(verdict, Verdict::Failed(_)) {
                    tracing::debug!(
                        host = self.values.request.host(),
                        route = ?self.values.route,
                        status = heard.status().as_u16(),
                        "external authentication answered neither 2xx nor 401 nor 403"
                    );
                }
                (verdict, Some(heard))
            }
            Err(error) => {
                tracing::debug!(
                    host = self.values.request.host(),
                    route = ?self.values.route,
                    %error,
                    "external authentication failed"
                );
                (ExternalAuth::failed(), None)
            }
        }
    }

    async fn send(
        &self,
        subrequests: &Subrequests,
        attempt: &mut Option<Attempt>,
    ) -> Result<(Heard, Option<Duration>)> {
        let url = self.auth.url(self.values).ok_or_else(|| {
            Error::explain(ErrorType::InternalError, "auth-url makes no URL of this request")
        })?;
        let origin = Origin {
            tls: url.tls,
            host: &url.host,
            port: url.port,
        };
        let peer = subrequests.peer(origin, self.timeouts).await?;
        let head = self.head(&url)?;
        *attempt = peer.address().as_inet().map(|address| Attempt {
            address: *address,
            response_length: 0,
            response_time: Duration::ZERO,
            status: 0,
        });
        let exchange = subrequests.send(peer, &head).await?;
        let answer = exchange.head()?;
        let heard = self.auth.hear(answer.status, &answer.headers);
        let lifetime = self.auth.lifetime(&heard, &answer.headers);
        let read = exchange.finish(BODY_LIMIT).await;
        if let Some(attempt) = attempt {
            attempt.response_length = read;
        }
        Ok((heard, lifetime))
    }

    /// The client's own fields, but for those of its connection and of its body,
    /// and ingress-nginx's.
    fn head(&self, url: &Url) -> Result<RequestHeader> {
        let mut head = self.client.clone();
        if head.version == Version::HTTP_2 {
            inbound::join_cookies(&mut head)?;
        }
        head.set_version(Version::HTTP_11);
        head.set_method(self.auth.method());
        let target = url.target.parse().or_err(ErrorType::InternalError, "auth-url")?;
        head.set_uri(target);
        let own = [
            CONNECTION,
            CONTENT_LENGTH,
            EXPECT,
            TE,
            TRAILER,
            TRANSFER_ENCODING,
            UPGRADE,
            KEEP_ALIVE,
            PROXY,
        ];
        for name in &own {
            head.remove_header(name);
        }
        let trusted = self.inbound.forwarded_host.is_some();
        let hearsay: Vec<HeaderName> = head
            .headers
            .keys()
            .filter(|name| is_hearsay(name) && !(trusted && **name == inbound::X_FORWARDED_HOST))
            .cloned()
            .collect();
        for name in &hearsay {
            head.remove_header(name);
        }
        access::tell_certificate(&mut head, self.route, self.inbound);
        let host = HeaderValue::from_str(&url.authority).or_err(ErrorType::InternalError, "auth-url")?;
        head.insert_header("Host", host)?;
        forwarded::forwarded_for(&mut head, self.inbound)?;
        if let Ok(id) = HeaderValue::from_bytes(self.values.request_id)
            && !id.is_empty()
        {
            head.insert_header("X-Request-ID", id)?;
        }
        if let Some(span) = self.span {
            spans::tell(&mut head, span)?;
        }
        for (name, value) in self.auth.fields(self.values) {
            if value.is_empty() {
                head.remove_header(name.name());
            } else {
                head.insert_header(name.spelling().clone(), value)?;
            }
        }
        Ok(head)
    }
}
