//! `tidegate run`: serves what a Kubernetes API or a directory holds.

use std::process::ExitCode;

use tracing::warn;

use crate::source::Source;
use crate::{logging, process};

/// Returns when the process has been told to end and has drained.
pub(crate) fn run(source: &Source) -> anyhow::Result<ExitCode> {
    let (settings, warnings) = source.settings()?;
    logging::init(&settings.log)?;
    for warning in warnings {
        warn!("{warning}");
    }
    process::serve(&settings, || {})
}
