//! Definitions (CRDs) that tests give to an API server, from Go's cache of modules.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::tools;

const GO_MOD: &str = include_str!("../tools/definitions/go.mod");

/// Other projects whose objects the chart makes, and where each keeps its
/// definitions.
const FOREIGN: [(&str, &str); 3] = [
    ("github.com/cert-manager/cert-manager", "deploy/crds"),
    ("github.com/kedacore/keda/v2", "config/crd/bases"),
    (
        "github.com/prometheus-operator/prometheus-operator",
        "example/prometheus-operator-crd",
    ),
];

/// The folder with those of Gateway API, of the conformance suite's release.
pub(crate) fn gateway_api() -> Result<PathBuf> {
    let folder = tools::module_folder("conformance", "sigs.k8s.io/gateway-api")?;
    Ok(folder.join("config/crd/standard"))
}

/// The folders with those of other projects, as a variable of the environment lists
/// them.
pub(crate) fn foreign() -> Result<OsString> {
    let folder = |(module, folder): &(&str, &str)| -> Result<PathBuf> {
        let version = tools::version_of(GO_MOD, module)?;
        // Of a version by its name Go needs no graph of all that it requires.
        Ok(tools::module_folder("definitions", &format!("{module}@{version}"))?.join(folder))
    };
    let folders: Vec<PathBuf> = FOREIGN.iter().map(folder).collect::<Result<_>>()?;
    std::env::join_paths(folders).context("a folder of Go's modules has the separator in its name")
}
