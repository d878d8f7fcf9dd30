//! The admission webhook's conversation: an AdmissionReview (v1) in, one out.
//! The decision is that of the latest translation's [`Judge`](crate::translate::Judge),
//! on the task of whoever asks: no review waits for a translation.

mod certificate;

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::networking::v1::Ingress;
use serde::{Deserialize, Serialize};

use crate::objects::{NamespacedName, fields};
use crate::state::State;
use crate::translate::Admission;

pub(crate) use certificate::run as keep_certificate;
pub use certificate::{CertificateConfig, Take, TakeCertificate};

/// Ingresses whose reviews are counted one by one; the one reviewed longest ago
/// makes room for another.
const MOST_REVIEWED: usize = 100;

/// What was judged so far.
#[derive(Clone, Debug, Default)]
pub struct Reviews {
    /// By Ingress; the one reviewed last comes last.
    pub ingresses: Vec<(NamespacedName, ReviewCounts)>,
    /// How long the last review took.
    pub last: Duration,
    /// Whether there was one.
    pub any: bool,
}

/// The reviews of one Ingress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReviewCounts {
    /// It may come.
    pub passed: u64,
    /// It may not.
    pub failed: u64,
}

impl Reviews {
    pub(crate) fn add(&mut self, ingress: NamespacedName, allowed: bool, took: Duration) {
        self.last = took;
        self.any = true;
        let known = self.ingresses.iter().position(|(name, _)| *name == ingress);
        let mut counts = match known {
            Some(position) => self.ingresses.remove(position).1,
            None => ReviewCounts::default(),
        };
        if self.ingresses.len() >= MOST_REVIEWED {
            self.ingresses.remove(0);
        }
        if allowed {
            counts.passed += 1;
        } else {
            counts.failed += 1;
        }
        self.ingresses.push((ingress, counts));
    }
}

/// Answers reviews for as long as the controller lives.
#[derive(Clone, Debug)]
pub struct Desk {
    state: Arc<State>,
}

/// Why a review got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// It is not an AdmissionReview.
    #[error("not an AdmissionReview: {0}")]
    Malformed(String),
    /// The controller does not know its objects yet.
    #[error("{0}")]
    Unavailable(&'static str),
}

#[derive(Deserialize)]
struct Review {
    request: Option<Request>,
}

#[derive(Deserialize)]
struct Request {
    uid: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    object: serde_json::Value,
}

#[derive(Default, Deserialize)]
struct Kind {
    #[serde(default)]
    group: String,
    #[serde(default)]
    kind: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reviewed {
    api_version: &'static str,
    kind: &'static str,
    response: Response,
}

#[derive(Serialize)]
struct Response {
    uid: String,
    allowed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
    code: u16,
    reason: &'static str,
    message: String,
}

impl Desk {
    /// Asks the controller that `state` shows.
    pub fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Answers one review, JSON for JSON.
    ///
    /// # Errors
    /// When it cannot be judged: the API server then does what the webhook's
    /// `failurePolicy` says.
    pub fn review(&self, body: &[u8]) -> Result<Vec<u8>, ReviewError> {
        let review: Review =
            serde_json::from_slice(body).map_err(|error| ReviewError::Malformed(error.to_string()))?;
        let Some(request) = review.request else {
            return Err(ReviewError::Malformed("it has no request".to_owned()));
        };
        let ours = request.kind.group == "networking.k8s.io" && request.kind.kind == "Ingress";
        let admission = if !ours || request.operation == "DELETE" {
            Admission::Allowed(Vec::new())
        } else {
            match fields::<Box<Ingress>>(request.object) {
                Ok(ingress) => {
                    let (metadata, began) = (&ingress.metadata, Instant::now());
                    let name = NamespacedName::new(
                        metadata.namespace.as_deref().unwrap_or_default(),
                        metadata.name.as_deref().unwrap_or_default(),
                    );
                    let judge = self.state.judge();
                    let judge = judge.ok_or(ReviewError::Unavailable("the controller is starting"))?;
                    let admission = judge.admit(&ingress, self.state.watches(&name.namespace));
                    let allowed = matches!(admission, Admission::Allowed(_));
                    self.state.reviewed(name, allowed, began.elapsed());
                    admission
                }
                Err(error) => Admission::Denied(format!("not an Ingress: {error}")),
            }
        };
        serde_json::to_vec(&reviewed(request.uid, admission))
            .map_err(|error| ReviewError::Malformed(error.to_string()))
    }
}

fn reviewed(uid: String, admission: Admission) -> Reviewed {
    let (allowed, warnings, status) = match admission {
        Admission::Allowed(warnings) => (true, warnings, None),
        Admission::Denied(message) => {
            let status = Status {
                status: "Failure",
                code: 400,
                reason: "BadRequest",
                message,
            };
            (false, Vec::new(), Some(status))
        }
    };
    Reviewed {
        api_version: "admission.k8s.io/v1",
        kind: "AdmissionReview",
        response: Response {
            uid,
            allowed,
            warnings,
            status,
        },
    }
}

#[cfg(test)]
mod tests;
