//! Whether the ports can be bound, asked before anything starts: a port that is
//! taken then gives one clear line, as in ingress-nginx.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::bail;
use tidegate_gateway::settings::Settings;

/// A port, and the flag that moves it.
struct Port {
    address: SocketAddr,
    flag: &'static str,
}

/// Fails on the first port that cannot be bound; the error names the flag.
pub(crate) fn check(settings: &Settings) -> anyhow::Result<()> {
    let listen = &settings.listen;
    let address = |address: Option<IpAddr>| address.unwrap_or_else(any_address);
    let traffic = |port| SocketAddr::new(address(listen.address), port);
    let ports = [
        listen.http_port.map(|port| Port {
            address: traffic(port),
            flag: "--http-port",
        }),
        listen.https_port.map(|port| Port {
            address: traffic(port),
            flag: "--https-port",
        }),
    ];
    ports
        .iter()
        .flatten()
        .try_for_each(|port| drop_error(bind(port.address, port.flag)))
}

/// Binds an address, or says which flag moves it.
pub(crate) fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    let error = match TcpListener::bind(address) {
        Ok(listener) => return Ok(listener),
        Err(error) => error,
    };
    let port = address.port();
    match error.kind() {
        ErrorKind::AddrInUse => bail!("port {port} is in use ({address}): choose another one with {flag}"),
        ErrorKind::PermissionDenied => bail!(
            "port {port} may not be bound ({address}): ports below 1024 need the capability NET_BIND_SERVICE, \
             or choose another one with {flag}"
        ),
        _ => bail!("{address} cannot be bound: {error}; see {flag}"),
    }
}

/// All addresses: an IPv6 socket that serves IPv4 too, unless IPv6 is off.
pub(crate) fn any_address() -> IpAddr {
    if Path::new("/proc/net/if_inet6").exists() {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    }
}

fn drop_error(bound: anyhow::Result<TcpListener>) -> anyhow::Result<()> {
    bound.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_names_its_flag() {
        let busy = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut settings = Settings::default();
        settings.listen.address = Some(IpAddr::from([127, 0, 0, 1]));
        settings.listen.http_port = Some(0);
        settings.listen.https_port = Some(busy.local_addr().unwrap().port());
        let error = check(&settings).unwrap_err().to_string();
        assert!(
            error.contains("is in use") && error.contains("--https-port"),
            "{error}"
        );
        drop(busy);
        assert!(check(&settings).is_ok());
    }
}
