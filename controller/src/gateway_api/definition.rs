//! What the cluster's definitions (CRDs) of Gateway API tell of themselves.

use std::collections::BTreeMap;

/// The annotation with the channel, `standard` or `experimental`.
const CHANNEL: &str = "gateway.networking.k8s.io/channel";

/// The annotation with the release that a definition is of.
const BUNDLE_VERSION: &str = "gateway.networking.k8s.io/bundle-version";

/// The newest release that is known here: 1.6.
pub const NEWEST_MINOR: u32 = 6;

/// The definition of a kind that the server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Definition {
    /// It may not be read.
    Hidden,
    /// What its annotations say.
    Read {
        /// It has the fields of the experimental channel.
        experimental: bool,
        /// The release, for example `v1.6.3`; empty: it does not say.
        version: String,
    },
}

impl Definition {
    /// The definition with these annotations.
    pub fn new(annotations: &BTreeMap<String, String>) -> Self {
        let text = |key: &str| annotations.get(key).cloned().unwrap_or_default();
        Self::Read {
            experimental: text(CHANNEL) == "experimental",
            version: text(BUNDLE_VERSION),
        }
    }

    /// Whether it has a field that the standard channel has since one release, the
    /// experimental one since another. One that may not be read is taken for the
    /// standard channel of the newest release.
    pub fn has(&self, standard: Option<u32>, experimental: u32) -> bool {
        match self {
            Self::Hidden => standard.is_some(),
            Self::Read {
                experimental: is_experimental,
                version,
            } => {
                let since = if *is_experimental {
                    Some(experimental)
                } else {
                    standard
                };
                // Whatever says no release may be the oldest.
                since.is_some_and(|since| minor(version).unwrap_or_default() >= since)
            }
        }
    }
}

/// The number after `v1.`; `None`: it is no release of 1.
pub fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("v1.")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_told_by_their_minor_number() {
        assert_eq!(minor("v1.6.3"), Some(6));
        assert_eq!(minor("v1.10.0-rc.1"), Some(10));
        assert_eq!(minor("v0.8.0"), None);
        assert_eq!(minor(""), None);
    }
}
