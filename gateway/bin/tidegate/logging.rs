//! Messages of the program: tracing on standard error, text or JSON. What
//! dependencies write with `log` joins in.

use std::io::IsTerminal;

use anyhow::Context;
use tidegate_gateway::settings::{Log, LogFormat};
use tracing_subscriber::EnvFilter;

/// What dependencies say about each broken connection is no news at an edge:
/// errors of requests are in the access log and in metrics.
const QUIET: &str = "pingora_core=error,pingora_proxy=off,pingora_load_balancing=error,hickory=error,\
                     hyper=warn,h2=warn,rustls=error,tower=warn,kube_client=warn,kube_runtime=warn";

/// Installs the subscriber.
///
/// # Errors
/// The level is no filter, or one is installed already.
pub(crate) fn init(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .parse(filter(&log.level))
        .with_context(|| format!("log.level: {:?} is no level or filter", log.level))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Both install the bridge from `log`, too.
    let installed = match log.format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    installed.map_err(|error| anyhow::anyhow!("messages cannot be written: {error}"))
}

/// A plain level is meant for us; who writes a filter gets what it says.
fn filter(level: &str) -> String {
    match level {
        "error" | "off" => level.to_owned(),
        _ => format!("{QUIET},{level}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_parse() {
        for level in ["info", "off", "info,tidegate_controller=debug"] {
            assert!(EnvFilter::builder().parse(filter(level)).is_ok(), "{level}");
        }
    }
}
