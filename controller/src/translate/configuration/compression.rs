//! Compression of answers (configmap reference §11).

use std::sync::Arc;

use tidegate_snapshot::{Compression, Encoding, Pattern};

use super::{Draft, Lookup, Refusal, value};

/// What the keys say; an encoding counts only where it is switched on.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    gzip: (bool, Encoding),
    brotli: (bool, Encoding),
    zstd: (bool, Encoding),
    /// `gzip-disable`.
    not_gzip: Option<Pattern>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            gzip: (false, Encoding::gzip()),
            brotli: (false, Encoding::brotli()),
            zstd: (false, Encoding::zstd()),
            not_gzip: None,
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

pub(super) fn enable_zstd(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.compression.zstd.0 = value::bool(text)?;
    Ok(())
}

/// Beyond 19 a window takes more memory than an answer is worth.
pub(super) fn zstd_level(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.compression.zstd.1.level = value::within(text, 1, 19)?;
    Ok(())
}

pub(super) fn zstd_min_length(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.compression.zstd.1.min_length = value::count(text)?.into();
    Ok(())
}

pub(super) fn zstd_types(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    draft.compression.zstd.1.types = types(text);
    Ok(())
}

/// nginx's `msie6`: Internet Explorer before its second service pack for XP.
const MSIE6: &str = r"MSIE [45]\.|MSIE 6\.(?:[^S]|S(?:[^V]|V[^1]))*$";

pub(super) fn gzip_disable(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    // nginx takes it between quotes, too.
    let text = text.trim_matches('"');
    let source = if text == "msie6" { MSIE6 } else { text };
    let pattern = Pattern::new(source, true).map_err(|error| {
        Refusal::ignored(
            format!("{}: {error}", value::shown(text)),
            "write a regular expression, or msie6",
        )
    })?;
    draft.compression.not_gzip = Some(pattern);
    Ok(())
}

/// Media types between spaces, as nginx has them.
fn types(text: &str) -> Arc<[Box<str>]> {
    text.split_ascii_whitespace()
        .map(|media| media.to_ascii_lowercase().into())
        .collect()
}

pub(super) fn finish(draft: &mut Draft, _: &Lookup<'_>) -> Result<(), Refusal> {
    let Keys {
        gzip,
        brotli,
        zstd,
        not_gzip,
    } = draft.compression.clone();
    let wanted = |(on, encoding): (bool, Encoding)| on.then_some(encoding);
    draft.http.compression = Compression {
        gzip: wanted(gzip),
        brotli: wanted(brotli),
        zstd: wanted(zstd),
        not_gzip,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn msie6_knows_its_second_service_pack() {
        let pattern = Pattern::new(MSIE6, true).unwrap();
        for (agent, matches) in [
            ("Mozilla/4.0 (compatible; MSIE 5.5; Windows NT 5.0)", true),
            ("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", true),
            ("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)", false),
            ("Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 6.0)", false),
        ] {
            assert_eq!(pattern.is_match(agent), matches, "{agent}");
        }
    }
}
