//! Compression of answers (configmap reference §11).

use tidegate_snapshot::{Compression, Encoding, Pattern};

use super::{Draft, Lookup, Refusal, value};

/// Beyond it a window takes more memory than an answer is worth.
pub(super) const MOST_ZSTD: u32 = 19;

/// What the keys say.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) gzip: Asked,
    pub(super) brotli: Asked,
    pub(super) zstd: Asked,
    /// `gzip-disable`.
    not_gzip: Option<Pattern>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            gzip: Asked::off(Encoding::gzip()),
            brotli: Asked::off(Encoding::brotli()),
            zstd: Asked::off(Encoding::zstd()),
            not_gzip: None,
        }
    }
}

/// What the keys of an encoding say; it counts only where it is switched on.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    on: bool,
    encoding: Encoding,
}

impl Asked {
    fn off(encoding: Encoding) -> Self {
        Self { on: false, encoding }
    }

    pub(super) fn switch(&mut self, text: &str) -> Result<(), Refusal> {
        self.on = value::bool(text)?;
        Ok(())
    }

    pub(super) fn level(&mut self, text: &str, most: u32) -> Result<(), Refusal> {
        self.encoding.level = value::within(text, 1, most)?;
        Ok(())
    }

    pub(super) fn min_length(&mut self, text: &str) -> Result<(), Refusal> {
        self.encoding.min_length = value::count(text)?.into();
        Ok(())
    }

    /// Media types between spaces, as nginx has them.
    pub(super) fn types(&mut self, text: &str) -> Result<(), Refusal> {
        self.encoding.types = text
            .split_ascii_whitespace()
            .map(|media| media.to_ascii_lowercase().into())
            .collect();
        Ok(())
    }

    fn wanted(self) -> Option<Encoding> {
        self.on.then_some(self.encoding)
    }
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

pub(super) fn finish(draft: &mut Draft, _: &Lookup<'_>) -> Result<(), Refusal> {
    let Keys {
        gzip,
        brotli,
        zstd,
        not_gzip,
    } = draft.compression.clone();
    draft.http.compression = Compression {
        gzip: gzip.wanted(),
        brotli: brotli.wanted(),
        zstd: zstd.wanted(),
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
