//! `tidegate schema`: the JSON schema of the settings, for editors.

use anyhow::Context;
use tidegate_gateway::settings::Settings;

/// The schema as text.
pub(crate) fn text() -> anyhow::Result<String> {
    let schema = schemars::schema_for!(Settings);
    let text = serde_json::to_string_pretty(&schema).context("schema not written")?;
    Ok(text + "\n")
}
