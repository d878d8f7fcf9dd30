//! Who may come in, combined by `satisfy`.

use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use tidegate_snapshot as snapshot;
use tidegate_snapshot::policy::Satisfy;

use super::{Reply, SourceRange};

/// The ways to be let in; at least one.
pub struct Access {
    /// By address.
    pub source_range: Option<SourceRange>,
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
            source_range: spec.source_range.as_ref().map(SourceRange::new),
            satisfy: spec.satisfy,
        };
        access.source_range.is_some().then_some(access)
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
