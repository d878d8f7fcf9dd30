use serde::Serialize;

/// What of a backend's answer is told to clients in other words, because the
/// backend sees other names and paths than they do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct BackendAnswer {
    /// The `Domain` of cookies (`proxy-cookie-domain`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie_domain: Option<Replacement>,
    /// The start of the `Path` of cookies (`proxy-cookie-path`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie_path: Option<Replacement>,
    /// The start of `Location`, and of the URL in `Refresh`
    /// (`proxy-redirect-from`, `proxy-redirect-to`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Replacement>,
}

/// One text in place of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Replacement {
    /// What is looked for.
    pub from: Box<str>,
    /// What takes its place.
    pub to: Box<str>,
}
