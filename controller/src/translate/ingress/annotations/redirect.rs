//! `ssl-redirect` and `force-ssl-redirect` (annotations reference §3).

use super::{Refusal, Settings, value};

pub(super) fn ssl_redirect(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.ssl_redirect = value::bool(text)?;
    Ok(())
}

pub(super) fn force_ssl_redirect(settings: &mut Settings, text: &str) -> Result<(), Refusal> {
    settings.force_ssl_redirect = value::bool(text)?;
    Ok(())
}
