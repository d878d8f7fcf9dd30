//! The access log of TCP and UDP services and of TLS that passes through: one
//! line for each connection or session, when it ends.

use serde::Serialize;

use super::{LogFormat, LogOutput, Variable};

/// Which lines streams leave. Where it says nothing the process's own settings
/// hold, as for requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StreamLog {
    /// No lines at all (`disable-access-log`, `disable-stream-access-log`).
    pub off: bool,
    /// The form of a line (`log-format-stream`).
    pub format: Option<LogFormat<StreamVariable>>,
    /// Where lines go (`access-log-path`, `stream-access-log-path`).
    pub output: Option<LogOutput>,
}

/// ingress-nginx's default of `log-format-stream`.
pub const STREAM_FORMAT: &str =
    "[$remote_addr] [$time_local] $protocol $status $bytes_sent $bytes_received $session_time";

macro_rules! variables {
    ($($name:literal $variant:ident $doc:literal,)*) => {
        /// A variable of nginx's `stream` or of ingress-nginx that lines of
        /// streams may hold.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum StreamVariable {
            $(#[doc = $doc] $variant,)*
            /// One that has never a value here.
            Absent,
        }

        impl StreamVariable {
            fn fixed(name: &str) -> Option<Self> {
                Some(match name {
                    $($name => Self::$variant,)*
                    _ => return None,
                })
            }
        }
    };
}

variables! {
    "remote_addr" ClientAddress "The peer's address; with `enable-real-ip` the client's in the PROXY header.",
    "remote_port" ClientPort "Its port.",
    "realip_remote_addr" PeerAddress "The peer's address always.",
    "realip_remote_port" PeerPort "Its port.",
    "server_addr" ServerAddress "The address that the connection came to; for UDP the one that is bound.",
    "server_port" ServerPort "Its port.",
    "proxy_protocol_addr" ProxyProtocolAddress "The client's address in the PROXY header.",
    "proxy_protocol_port" ProxyProtocolPort "Its port.",
    "proxy_protocol_server_addr" ProxyProtocolServerAddress "The address that it came to, in the PROXY header.",
    "proxy_protocol_server_port" ProxyProtocolServerPort "Its port.",
    "time_local" TimeLocal "The end of the session, as in `10/Oct/2000:13:55:36 +0000`.",
    "time_iso8601" TimeIso8601 "The same, as in `2000-10-10T13:55:36+00:00`.",
    "msec" Milliseconds "The same, as seconds since 1970 with milliseconds.",
    "protocol" Protocol "`TCP` or `UDP`.",
    "status" Status "200 after a session, 400 and 403 after a bad PROXY header, 502 without an endpoint.",
    "bytes_sent" BytesSent "Bytes to the client.",
    "bytes_received" BytesReceived "Bytes from the client.",
    "session_time" SessionTime "Seconds with milliseconds.",
    "proxy_upstream_name" UpstreamName "The cluster: `tcp-namespace-service-port`.",
    "upstream_addr" UpstreamAddress "The endpoint of each try.",
    "upstream_bytes_sent" UpstreamBytesSent "Bytes to the endpoint of each try.",
    "upstream_bytes_received" UpstreamBytesReceived "Bytes from it.",
    "upstream_connect_time" UpstreamConnectTime "Seconds until it was connected to.",
    "upstream_first_byte_time" UpstreamFirstByteTime "Seconds until its first byte.",
    "upstream_session_time" UpstreamSessionTime "Seconds of each try.",
    "ssl_preread_server_name" TlsServerName "The name that the client asked for, where TLS decides the route.",
    "hostname" Hostname "The machine's name.",
    "pid" ProcessId "The process's id.",
}

impl Variable for StreamVariable {
    const ABSENT: Self = Self::Absent;

    fn parse(name: &str) -> Option<Self> {
        const ABSENT: [&str; 3] = ["binary_remote_addr", "connection", "nginx_version"];
        const ABSENT_FAMILIES: [&str; 3] = ["geoip2_", "proxy_protocol_tlv_", "ssl_"];
        let is_absent =
            ABSENT.contains(&name) || ABSENT_FAMILIES.iter().any(|prefix| name.starts_with(prefix));
        Self::fixed(name).or_else(|| is_absent.then_some(Self::Absent))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Escape;
    use super::*;

    #[test]
    fn the_default_format_is_known() {
        let (format, unknown) = LogFormat::<StreamVariable>::parse(STREAM_FORMAT, Escape::Default).unwrap();
        assert_eq!((format.pieces.len(), unknown), (14, Vec::new()));
    }

    /// Variables of nginx's modules for `stream` that ingress-nginx's image has.
    #[test]
    fn every_variable_of_nginx_is_known() {
        const NAMES: &str = "binary_remote_addr bytes_received bytes_sent connection hostname msec \
            nginx_version pid protocol proxy_protocol_addr proxy_protocol_port proxy_protocol_server_addr \
            proxy_protocol_server_port proxy_protocol_tlv_alpn remote_addr remote_port server_addr \
            server_port session_time status time_iso8601 time_local upstream_addr upstream_bytes_received \
            upstream_bytes_sent upstream_connect_time upstream_first_byte_time upstream_session_time \
            realip_remote_addr realip_remote_port ssl_preread_server_name ssl_preread_protocol \
            ssl_preread_alpn_protocols ssl_cipher proxy_upstream_name";
        for name in NAMES.split_ascii_whitespace() {
            assert!(StreamVariable::parse(name).is_some(), "${name}");
        }
        assert_eq!(StreamVariable::parse("request_uri"), None);
    }
}
