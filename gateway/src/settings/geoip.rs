use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// GeoIP databases in MaxMind's format, for the ConfigMap's `use-geoip2`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct GeoIp {
    /// The folder with their files, `EDITION.mmdb`: where ingress-nginx has them.
    pub directory: PathBuf,
    /// Which are used (`--maxmind-edition-ids`): names that end in `-City`,
    /// `-Country`, `-ASN`, `-ISP`, `-Connection-Type` or `-Anonymous-IP`.
    pub editions: Vec<String>,
}

impl Default for GeoIp {
    fn default() -> Self {
        let defaults = tidegate_snapshot::GeoIp::default();
        Self {
            directory: defaults.directory,
            editions: defaults.editions,
        }
    }
}
