//! How a record becomes a line.

mod custom;
mod json;
mod nginx;
mod number;
mod stream;
mod time;

use super::Record;

pub use custom::{Custom, Wanted};
pub use stream::StreamFormat;

/// The form of a line.
#[derive(Clone, Debug, Default)]
pub enum Format {
    /// ingress-nginx's default format (`upstreaminfo`), byte for byte.
    #[default]
    Nginx,
    /// One JSON object a line; the keys are nginx's variable names.
    Json,
    /// As nginx's `log_format` describes it.
    Custom(Box<Custom>),
}

impl Format {
    /// Appends a record's line, newline included.
    pub(super) fn write(&self, record: &Record, line: &mut Vec<u8>) {
        match self {
            Self::Nginx => nginx::write(record, line),
            Self::Json => json::write(record, line),
            Self::Custom(custom) => custom.write(record, line),
        }
        line.push(b'\n');
    }
}

/// As in a request line: `HTTP/1.1`; nginx writes `HTTP/2.0`.
fn version(record: &Record) -> &'static str {
    match record.version {
        http::Version::HTTP_09 => "HTTP/0.9",
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_2 => "HTTP/2.0",
        http::Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}
