//! Distinguished names as text (RFC 2253, the way OpenSSL writes it).

use std::fmt::Write;

use x509_parser::prelude::X509Name;

/// The last part comes first; non-ASCII bytes are escaped, so that the text can
/// stand in a header field.
pub(super) fn rfc2253(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter_rdn().collect();
    let mut text = String::new();
    for (index, part) in parts.iter().rev().enumerate() {
        if index > 0 {
            text.push(',');
        }
        for (index, attribute) in part.iter().enumerate() {
            if index > 0 {
                text.push('+');
            }
            let oid = attribute.attr_type().to_id_string();
            let value = attribute.as_str().ok();
            match (short_name(&oid), value) {
                (Some(name), Some(value)) => {
                    text.push_str(name);
                    text.push('=');
                    escape(value, &mut text);
                }
                (name, _) => {
                    text.push_str(name.unwrap_or(&oid));
                    text.push_str("=#");
                    for byte in attribute.attr_value().data {
                        let _ = write!(text, "{byte:02X}");
                    }
                }
            }
        }
    }
    text
}

fn short_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.42" => "GN",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return None,
    })
}

fn escape(value: &str, text: &mut String) {
    let last = value.len().saturating_sub(1);
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                text.push('\\');
                text.push(byte.into());
            }
            b'#' if at == 0 => text.push_str("\\#"),
            b' ' if at == 0 || at == last => text.push_str("\\ "),
            0..0x20 | 0x7F.. => {
                let _ = write!(text, "\\{byte:02X}");
            }
            byte => text.push(byte.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped() {
        let escaped = |value: &str| {
            let mut text = String::new();
            escape(value, &mut text);
            text
        };
        assert_eq!(escaped("Acme, Inc."), "Acme\\, Inc.");
        assert_eq!(escaped("#a b#"), "\\#a b#");
        assert_eq!(escaped(" a "), "\\ a\\ ");
        assert_eq!(escaped("J\u{f6}rg\n"), "J\\C3\\B6rg\\0A");
    }
}
