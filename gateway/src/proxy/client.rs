//! The client's address (nginx `ngx_http_realip_module`, recursive).

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use tidegate_snapshot::HttpSettings;

use crate::listener::Connection;

/// `X-Forwarded-For`.
pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whether the peer (or whom a PROXY header announced) may say who the client is.
pub(super) fn is_trusted(connection: &Connection, http: &HttpSettings) -> bool {
    trusts(http, connection.client.ip().to_canonical())
}

/// The client's address: what the connection says, or, where that is trusted,
/// the rightmost address of the header (`X-Forwarded-For`) that is not trusted
/// itself.
pub(super) fn address(connection: &Connection, headers: &HeaderMap, http: &HttpSettings) -> IpAddr {
    let direct = connection.client.ip().to_canonical();
    let looks = http.real_ip.use_forwarded_headers || http.real_ip.enable_real_ip;
    if !looks || !trusts(http, direct) {
        return direct;
    }
    let mut client = direct;
    let lists = headers.get_all(&http.real_ip.header).iter().rev();
    for entry in lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.rsplit(','))
    {
        let entry = entry.trim();
        if entry.is_empty() {
            continue;
        }
        // What cannot be read ends the walk: everything left of it is hearsay.
        let Some(address) = parse(entry) else { break };
        client = address;
        if !trusts(http, address) {
            break;
        }
    }
    client
}

fn trusts(http: &HttpSettings, address: IpAddr) -> bool {
    http.real_ip
        .trusted
        .iter()
        .any(|network| network.contains(&address))
}

/// An address, maybe with a port.
fn parse(entry: &str) -> Option<IpAddr> {
    let bare = entry
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(entry);
    bare.parse::<IpAddr>()
        .or_else(|_| entry.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests;
