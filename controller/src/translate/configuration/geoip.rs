//! GeoIP databases (configmap reference §14).

use std::sync::Arc;
use std::time::Duration;

use tidegate_snapshot::GeoIp;

use super::{Draft, Lookup, Refusal, value};

/// What the keys say.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    on: bool,
    reload: Option<Duration>,
}

pub(super) fn enable(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.geoip.on = value::bool(text)?;
    Ok(())
}

/// 0: whenever a file changes.
pub(super) fn reload(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    let minutes = value::count(text)?;
    draft.geoip.reload = (minutes > 0).then(|| Duration::from_secs(60 * u64::from(minutes)));
    Ok(())
}

pub(super) fn finish(draft: &mut Draft, _: &Lookup<'_>) -> Result<(), Refusal> {
    let Keys { on, reload } = std::mem::take(&mut draft.geoip);
    draft.options.geoip = on.then(|| {
        let files = draft.options.geoip_files.clone();
        Arc::new(GeoIp {
            reload: reload.unwrap_or(files.reload),
            ..files
        })
    });
    Ok(())
}
