//! Where settings come from on a command line: a file, and flags on top.

use std::path::PathBuf;

use tidegate_gateway::settings::Settings;

use crate::flags::Given;

/// What `run`, `check` and `explain` take.
#[derive(clap::Args)]
pub(crate) struct Source {
    /// A file of settings (conf/gateway.yaml shows every key); flags win over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Given,
}

impl Source {
    /// The file's settings, or the defaults, with the flags on top; and the
    /// warnings about flags.
    pub(crate) fn settings(&self) -> anyhow::Result<(Settings, Vec<String>)> {
        let mut settings = match &self.config {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        let warnings = self.flags.apply(&mut settings)?;
        settings
            .check()
            .map_err(|(key, reason)| anyhow::anyhow!("setting {key}: {reason}"))?;
        Ok((settings, warnings))
    }
}
