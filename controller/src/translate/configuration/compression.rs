//! Compression of answers (configmap reference §11).

use std::sync::Arc;

use tidegate_snapshot::{Compression, Encoding};

use super::{Draft, Lookup, Refusal, value};

/// What the keys say; an encoding counts only where it is switched on.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    gzip: (bool, Encoding),
    brotli: (bool, Encoding),
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            gzip: (false, Encoding::gzip()),
            brotli: (false, Encoding::brotli()),
        }
    }
}

pub(super) fn use_gzip(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.compression.gzip.0 = value::bool(text)?;
    Ok(())
}

pub(super) fn gzip_level(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.compression.gzip.1.level = value::within(text, 1, 9)?;
    Ok(())
}

pub(super) fn gzip_min_length(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.compression.gzip.1.min_length = value::count(text)?.into();
    Ok(())
}

pub(super) fn gzip_types(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.compression.gzip.1.types = types(text);
    Ok(())
}

pub(super) fn enable_brotli(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.compression.brotli.0 = value::bool(text)?;
    Ok(())
}

pub(super) fn brotli_level(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.compression.brotli.1.level = value::within(text, 1, 11)?;
    Ok(())
}

pub(super) fn brotli_min_length(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.compression.brotli.1.min_length = value::count(text)?.into();
    Ok(())
}

pub(super) fn brotli_types(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.compression.brotli.1.types = types(text);
    Ok(())
}

/// Media types between spaces, as nginx has them.
fn types(text: &str) -> Arc<[Box<str>]> {
    text.split_ascii_whitespace()
        .map(|media| media.to_ascii_lowercase().into())
        .collect()
}

pub(super) fn finish(draft: &mut Draft, _: &Lookup<'_>) -> Result<(), Refusal> {
    let Keys { gzip, brotli } = draft.compression.clone();
    let wanted = |(on, encoding): (bool, Encoding)| on.then_some(encoding);
    draft.http.compression = Compression {
        gzip: wanted(gzip),
        brotli: wanted(brotli),
        zstd: None,
    };
    Ok(())
}
