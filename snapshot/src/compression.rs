//! Compression of answers.

use std::sync::Arc;

use serde::Serialize;

use crate::Pattern;

/// How answers are compressed that are not yet (ingress-nginx ConfigMap
/// `use-gzip`, `enable-brotli` and what belongs to them; Zstandard is ours).
/// Of the encodings that a client accepts the first in this order is taken:
/// Zstandard, Brotli, gzip.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compression {
    /// RFC 8878.
    pub zstd: Option<Encoding>,
    /// RFC 7932.
    pub brotli: Option<Encoding>,
    /// RFC 1952.
    pub gzip: Option<Encoding>,
    /// User agents that get no gzip (`gzip-disable`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_gzip: Option<Pattern>,
}

impl Compression {
    /// Whether nothing is ever compressed.
    pub fn is_off(&self) -> bool {
        self.zstd.is_none() && self.brotli.is_none() && self.gzip.is_none()
    }
}

/// When and how hard one encoding compresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Encoding {
    /// 1 is fastest.
    pub level: u32,
    /// Answers that announce fewer bytes stay as they are.
    pub min_length: u64,
    /// Media types without parameters, in lower case; `*` is all. `text/html`
    /// is always among them.
    pub types: Arc<[Box<str>]>,
}

impl Encoding {
    /// ingress-nginx's default of `gzip-types` and `brotli-types`.
    pub const DEFAULT_TYPES: [&str; 19] = [
        "application/atom+xml",
        "application/javascript",
        "application/x-javascript",
        "application/json",
        "application/rss+xml",
        "application/vnd.ms-fontobject",
        "application/x-font-ttf",
        "application/x-web-app-manifest+json",
        "application/xhtml+xml",
        "application/xml",
        "font/opentype",
        "image/svg+xml",
        "image/x-icon",
        "text/css",
        "text/html",
        "text/javascript",
        "text/plain",
        "text/x-component",
        "application/xml+rss",
    ];

    /// `use-gzip` alone: level 1, from 256 bytes.
    pub fn gzip() -> Self {
        Self::with(1, 256)
    }

    /// `enable-brotli` alone: level 4, from 20 bytes.
    pub fn brotli() -> Self {
        Self::with(4, 20)
    }

    /// Zstandard: level 3, from 256 bytes.
    pub fn zstd() -> Self {
        Self::with(3, 256)
    }

    fn with(level: u32, min_length: u64) -> Self {
        Self {
            level,
            min_length,
            types: Self::DEFAULT_TYPES.map(Box::from).into(),
        }
    }

    /// Whether answers of this `Content-Type` are compressed.
    pub fn covers(&self, content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let same = |listed: &str| listed == "*" || listed.eq_ignore_ascii_case(essence);
        essence.eq_ignore_ascii_case("text/html") || self.types.iter().any(|listed| same(listed))
    }
}
