//! Who may come in: source range, basic, digest and external authentication,
//! combined by `satisfy`.

use std::net::IpAddr;

use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use tidegate_snapshot as snapshot;
use tidegate_snapshot::policy::Satisfy;

use super::{BasicAuth, DigestAuth, ExternalAuth, Reply, SourceRange};

/// The ways to be let in; at least one.
pub struct Access {
    /// By address.
    pub source_range: Option<SourceRange>,
    /// By password.
    pub basic_auth: Option<BasicAuth>,
    /// By the proof of a password.
    pub digest_auth: Option<DigestAuth>,
    /// By what a service says.
    pub external_auth: Option<ExternalAuth>,
    satisfy: Satisfy,
}

/// What one of them says.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Come in.
    Granted,
    /// This answer, 401 or 403.
    Refused(Reply),
    /// It could not be found out: this answer, whatever the others say.
    Failed(Reply),
}

impl Access {
    /// `None`: everybody may.
    pub(super) fn new(spec: &snapshot::Policies) -> Option<Self> {
        let access = Self {
            source_range: spec.source_range.as_deref().map(SourceRange::new),
            basic_auth: spec.basic_auth.as_deref().map(BasicAuth::new),
            digest_auth: spec.digest_auth.as_deref().map(DigestAuth::new),
            external_auth: spec.external_auth.as_deref().map(ExternalAuth::new),
            satisfy: spec.satisfy,
        };
        let any = access.source_range.is_some()
            || access.basic_auth.is_some()
            || access.digest_auth.is_some()
            || access.external_auth.is_some();
        any.then_some(access)
    }

    /// Whether this address is let in where nothing else is asked for.
    pub fn admits(&self, client: IpAddr) -> bool {
        let verdict = self.source_range.as_ref().and_then(|range| range.check(client));
        let mut tally = self.tally();
        if let Some(verdict) = verdict {
            tally.count(verdict);
        }
        tally.refusal().is_none()
    }

    /// To count verdicts with, in the order of the fields.
    pub fn tally(&self) -> Tally {
        Tally {
            satisfy: self.satisfy,
            refusal: None,
        }
    }
}

/// Verdicts of one request (`ngx_http_core_access_phase`).
pub struct Tally {
    satisfy: Satisfy,
    refusal: Option<Reply>,
}

impl Tally {
    /// Counts a verdict; `true`: no other matters any more.
    pub fn count(&mut self, verdict: Verdict) -> bool {
        match (verdict, self.satisfy) {
            (Verdict::Granted, Satisfy::All) => false,
            (Verdict::Granted, Satisfy::Any) => {
                self.refusal = None;
                true
            }
            (Verdict::Refused(reply), Satisfy::Any) => {
                self.refuse(reply);
                false
            }
            (Verdict::Refused(reply), Satisfy::All) | (Verdict::Failed(reply), _) => {
                self.refusal = Some(reply);
                true
            }
        }
    }

    /// 401 wins over 403, or a client would never be asked for a password; the
    /// first challenge stays until another comes.
    fn refuse(&mut self, reply: Reply) {
        match &mut self.refusal {
            Some(before) if before.status == StatusCode::UNAUTHORIZED => {
                let challenged = reply
                    .fields
                    .iter()
                    .any(|(name, _)| *name.name() == WWW_AUTHENTICATE);
                if challenged {
                    *before = reply;
                }
            }
            refusal => *refusal = Some(reply),
        }
    }

    /// The answer to a request that is not let in.
    pub fn refusal(self) -> Option<Reply> {
        self.refusal
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn refused(status: u16) -> Verdict {
        Verdict::Refused(Reply::status(StatusCode::from_u16(status).unwrap()))
    }

    fn challenged(challenge: &'static str) -> Verdict {
        let reply = Reply::status(StatusCode::UNAUTHORIZED);
        Verdict::Refused(reply.with(Reply::CHALLENGE, HeaderValue::from_static(challenge)))
    }

    /// The status at the end, and how many verdicts were needed.
    fn outcome(satisfy: Satisfy, verdicts: Vec<Verdict>) -> (Option<u16>, usize) {
        let mut tally = Tally {
            satisfy,
            refusal: None,
        };
        let mut needed = 0;
        for verdict in verdicts {
            needed += 1;
            if tally.count(verdict) {
                break;
            }
        }
        (tally.refusal().map(|reply| reply.status.as_u16()), needed)
    }

    #[test]
    fn all_means_every_one() {
        use Verdict::Granted;
        assert_eq!(outcome(Satisfy::All, vec![Granted, Granted]), (None, 2));
        assert_eq!(outcome(Satisfy::All, vec![refused(403), Granted]), (Some(403), 1));
        assert_eq!(outcome(Satisfy::All, vec![Granted, refused(401)]), (Some(401), 2));
    }

    #[test]
    fn any_means_one() {
        use Verdict::Granted;
        assert_eq!(outcome(Satisfy::Any, vec![refused(403), Granted]), (None, 2));
        assert_eq!(outcome(Satisfy::Any, vec![Granted, refused(401)]), (None, 1));
        assert_eq!(
            outcome(Satisfy::Any, vec![refused(403), refused(401), refused(403)]),
            (Some(401), 3)
        );
        assert_eq!(outcome(Satisfy::Any, vec![refused(403)]), (Some(403), 1));
    }

    #[test]
    fn a_failure_is_never_overruled() {
        let failed = || ExternalAuth::failed();
        assert_eq!(
            outcome(Satisfy::Any, vec![refused(401), failed()]),
            (Some(500), 2)
        );
        assert_eq!(
            outcome(Satisfy::All, vec![Verdict::Granted, failed()]),
            (Some(500), 2)
        );
    }

    #[test]
    fn the_latest_challenge_is_shown() {
        let mut tally = Tally {
            satisfy: Satisfy::Any,
            refusal: None,
        };
        for verdict in [challenged("Basic"), refused(401), refused(403)] {
            assert!(!tally.count(verdict));
        }
        assert_eq!(tally.refusal().unwrap().fields[0].1, "Basic");
    }
}
