//! Where a value comes from, and what is wrong with an object: every refusal
//! names the object, the field, the reason, the effect and the way out.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// A Kubernetes object by kind, namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectRef {
    /// The kind as Kubernetes spells it, for example `Ingress`.
    pub kind: Arc<str>,
    /// Empty for objects without a namespace.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
}

impl ObjectRef {
    /// An object of `kind`, in `namespace` (empty: none), called `name`.
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// What a [`Problem`] does to traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Effect {
    /// It works as written; the message says what to consider.
    Applied,
    /// The field is passed over; everything else of the object works.
    Ignored,
    /// Another value stands in, for example the default certificate.
    Substituted,
    /// The routes concerned answer 503: a security option that could not be
    /// understood must never open what it was meant to close.
    RouteDisabled,
    /// Nothing of this object is served.
    ObjectRejected,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Applied => "works as written",
            Self::Ignored => "field ignored",
            Self::Substituted => "default used instead",
            Self::RouteDisabled => "routes answer 503",
            Self::ObjectRejected => "object not served",
        })
    }
}

/// One thing wrong with one field of one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Problem {
    /// The object whose owner can mend it.
    pub object: ObjectRef,
    /// The field, as a path: `spec.rules[0].http.paths[1].path`, or
    /// `metadata.annotations[nginx.ingress.kubernetes.io/rewrite-target]`.
    pub field: String,
    /// A fixed CamelCase word: Event reason and metric label.
    pub reason: &'static str,
    /// What is wrong, with the offending value.
    pub message: String,
    /// What it does to traffic.
    pub effect: Effect,
    /// What to do about it. Empty when the message already says so.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}: {} ({})",
            self.object, self.field, self.message, self.effect
        )?;
        if !self.fix.is_empty() {
            write!(f, "; {}", self.fix)?;
        }
        Ok(())
    }
}
