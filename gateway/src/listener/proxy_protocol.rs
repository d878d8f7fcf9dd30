//! PROXY protocol v1 and v2: an incremental, pure parser.
//!
//! Source: "The PROXY protocol", versions 1 & 2 (HAProxy), sections 2.1 and 2.2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of the longest header that is read, as in nginx
/// (`NGX_PROXY_PROTOCOL_MAX_HEADER`).
pub const MAX_HEADER: usize = 4096;

/// Section 2.1: the longest line of version 1, line end included.
const V1_MAX: usize = 107;
const V1_PREFIX: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED: usize = 16;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// So far the beginning of a header.
    Incomplete,
    /// Something else.
    Absent,
    /// It begins like a header and is none.
    Invalid(&'static str),
    /// A header.
    Header {
        /// Its bytes; what follows is the connection's own.
        length: usize,
        /// The announced client and the address it connected to. `None` when
        /// the header says to use those of the connection (`LOCAL`, `UNKNOWN`)
        /// or announces something without a TCP address.
        addresses: Option<(SocketAddr, SocketAddr)>,
    },
}

/// Looks at the first bytes of a connection. More bytes never change an answer
/// other than [`Parsed::Incomplete`].
pub fn parse(input: &[u8]) -> Parsed {
    match (begins(input, V1_PREFIX), begins(input, V2_SIGNATURE)) {
        (Some(true), _) => parse_v1(input),
        (_, Some(true)) => parse_v2(input),
        (None, _) | (_, None) => Parsed::Incomplete,
        _ => Parsed::Absent,
    }
}

/// Whether `input` begins with `wanted`; `None` when it is too short to tell.
fn begins(input: &[u8], wanted: &[u8]) -> Option<bool> {
    let common = input.len().min(wanted.len());
    if input[..common] != wanted[..common] {
        return Some(false);
    }
    (common == wanted.len()).then_some(true)
}

fn parse_v1(input: &[u8]) -> Parsed {
    let window = &input[..input.len().min(V1_MAX)];
    let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
        return if input.len() >= V1_MAX {
            Parsed::Invalid("line longer than 107 bytes")
        } else {
            Parsed::Incomplete
        };
    };
    let Some(line) = window[..end].strip_suffix(b"\r") else {
        return Parsed::Invalid("line does not end in CR LF");
    };
    let Ok(line) = std::str::from_utf8(&line[V1_PREFIX.len()..]) else {
        return Parsed::Invalid("line is not ASCII");
    };
    let length = end + 1;
    let mut words = line.split(' ');
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        // The rest of the line must be ignored.
        return Parsed::Header {
            length,
            addresses: None,
        };
    }
    let mut word = || words.next().unwrap_or_default();
    let (source, destination, source_port, destination_port) = (word(), word(), word(), word());
    if words.next().is_some() {
        return Parsed::Invalid("line has too many words");
    }
    let read: fn(&str) -> Option<IpAddr> = match family {
        "TCP4" => |text| text.parse().ok().map(IpAddr::V4),
        "TCP6" => |text| text.parse().ok().map(IpAddr::V6),
        _ => return Parsed::Invalid("family is none of TCP4, TCP6, UNKNOWN"),
    };
    match (
        read(source),
        read(destination),
        port(source_port),
        port(destination_port),
    ) {
        (Some(source), Some(destination), Some(source_port), Some(destination_port)) => Parsed::Header {
            length,
            addresses: Some((
                SocketAddr::new(source, source_port),
                SocketAddr::new(destination, destination_port),
            )),
        },
        _ => Parsed::Invalid("address or port cannot be read"),
    }
}

/// Digits only: `parse` alone would take a sign.
fn port(text: &str) -> Option<u16> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn parse_v2(input: &[u8]) -> Parsed {
    let Some(&command) = input.get(12) else {
        return Parsed::Incomplete;
    };
    if command >> 4 != 2 {
        return Parsed::Invalid("version is not 2");
    }
    let local = match command & 0x0f {
        0 => true,
        1 => false,
        _ => return Parsed::Invalid("command is neither LOCAL nor PROXY"),
    };
    let Some(fixed) = input.get(..V2_FIXED) else {
        return Parsed::Incomplete;
    };
    let length = V2_FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > MAX_HEADER {
        return Parsed::Invalid("header longer than 4096 bytes");
    }
    let family = fixed[13];
    // Only TCP over IPv4 or IPv6 has addresses that HTTP can use; a receiver
    // takes the connection's own for the others. Extensions (TLVs) are skipped.
    let block = match family {
        0x11 => 12,
        0x21 => 36,
        _ => 0,
    };
    if !local && length < V2_FIXED + block {
        return Parsed::Invalid("address block is too short");
    }
    let Some(body) = input.get(V2_FIXED..length) else {
        return Parsed::Incomplete;
    };
    let addresses = match family {
        _ if local => None,
        0x11 => Some((ipv4(&body[0..4], &body[8..10]), ipv4(&body[4..8], &body[10..12]))),
        0x21 => Some((
            ipv6(&body[0..16], &body[32..34]),
            ipv6(&body[16..32], &body[34..36]),
        )),
        _ => None,
    };
    Parsed::Header { length, addresses }
}

fn ipv4(address: &[u8], port: &[u8]) -> SocketAddr {
    let address: [u8; 4] = address.try_into().expect("the caller cuts 4 bytes");
    SocketAddr::new(Ipv4Addr::from(address).into(), be16(port))
}

fn ipv6(address: &[u8], port: &[u8]) -> SocketAddr {
    let address: [u8; 16] = address.try_into().expect("the caller cuts 16 bytes");
    SocketAddr::new(Ipv6Addr::from(address).into(), be16(port))
}

fn be16(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

#[cfg(test)]
mod tests;
