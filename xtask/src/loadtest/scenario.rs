//! What is asked of the gateways.

use anyhow::{Result, bail};

/// One kind of load.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// A line for the reader of a table.
    pub(super) about: &'static str,
    /// What `loadtest/saturate` calls it.
    pub(super) load: &'static str,
    pub(super) connections: u32,
    /// The host of the requests.
    pub(super) host: &'static str,
    pub(super) path: &'static str,
    /// Hosts that are configured.
    pub(super) hosts: usize,
    pub(super) access_log: bool,
    /// Latency is measured too, at this part of `--rate`.
    pub(super) latency: Option<f64>,
    /// Only for these; empty: for all.
    peers: &'static [&'static str],
}

const PLAIN: Scenario = Scenario {
    name: "h1",
    about: "HTTP/1.1 keep-alive, 1 KiB, 64 connections",
    load: "h1",
    connections: 64,
    host: "host0.example",
    path: "/",
    hosts: 1000,
    access_log: false,
    latency: None,
    peers: &[],
};

const ALL: &[Scenario] = &[
    Scenario {
        latency: Some(1.0),
        ..PLAIN
    },
    Scenario {
        name: "h1-1000",
        about: "HTTP/1.1 keep-alive, 1 KiB, 1,000 connections",
        connections: 1000,
        ..PLAIN
    },
    Scenario {
        name: "h1-tls",
        about: "HTTP/1.1 keep-alive over TLS 1.3, 1 KiB, 64 connections",
        load: "h1-tls",
        ..PLAIN
    },
    Scenario {
        name: "h2-tls",
        about: "HTTP/2 over TLS 1.3, 1 KiB, 64 connections with 10 streams",
        load: "h2",
        ..PLAIN
    },
    Scenario {
        name: "handshakes",
        about: "a full TLS 1.3 handshake and a connection for each request",
        load: "handshakes",
        ..PLAIN
    },
    Scenario {
        name: "resumed",
        about: "a resumed TLS 1.3 session and a connection for each request",
        load: "resumed",
        // Most proxies cannot do all of it.
        latency: Some(0.1),
        ..PLAIN
    },
    Scenario {
        name: "100k",
        about: "HTTP/1.1 keep-alive, 100 KiB answers, 64 connections",
        path: "/100k",
        ..PLAIN
    },
    Scenario {
        name: "10m",
        about: "HTTP/1.1 keep-alive, 10 MiB answers, 8 connections",
        path: "/10m",
        connections: 8,
        ..PLAIN
    },
    Scenario {
        name: "upload",
        about: "HTTP/1.1 keep-alive, request bodies of 1 MiB, 16 connections",
        load: "upload",
        path: "/upload",
        connections: 16,
        ..PLAIN
    },
    Scenario {
        name: "websocket",
        about: "WebSocket, 1 KiB sent and echoed, 64 connections",
        load: "websocket",
        latency: Some(1.0),
        ..PLAIN
    },
    Scenario {
        name: "grpc",
        about: "HTTP/2 over TLS to an HTTP/2 backend without TLS, as gRPC goes",
        load: "h2",
        host: "grpc.example",
        peers: &["tidegate", "nginx", "haproxy", "envoy"],
        ..PLAIN
    },
    Scenario {
        name: "hosts-10",
        about: "ten hosts in turn, ten configured",
        load: "hosts",
        hosts: 10,
        ..PLAIN
    },
    Scenario {
        name: "hosts-10000",
        about: "10,000 hosts in turn, 10,000 configured",
        load: "hosts",
        hosts: 10_000,
        ..PLAIN
    },
    Scenario {
        name: "policies",
        about: "rewrite, CORS, source range, rate and connection limit, cookie path on the route",
        host: "policies.example",
        path: "/app/",
        peers: &["tidegate", "nginx"],
        ..PLAIN
    },
    Scenario {
        name: "access-log",
        about: "HTTP/1.1 keep-alive, 1 KiB, 64 connections, a line written for each request",
        access_log: true,
        peers: &["tidegate", "nginx", "nginx-lua"],
        ..PLAIN
    },
];

impl Scenario {
    pub(super) fn runs(&self, peer: &str) -> bool {
        self.peers.is_empty() || self.peers.contains(&peer)
    }

    /// Requests a second when latency is measured, if it is.
    pub(super) fn latency_rate(&self, rate: u32) -> Option<u32> {
        self.latency
            .map(|part| (f64::from(rate) * part).round().max(1.0) as u32)
    }

    /// The load comes from `loadtest/generator`.
    pub(super) fn is_generated(&self) -> bool {
        matches!(self.load, "websocket" | "resumed")
    }

    /// The backend is `loadtest/generator` too, for nginx does not echo.
    pub(super) fn is_echoed(&self) -> bool {
        self.load == "websocket"
    }
}

/// The named scenarios, or all.
pub(super) fn choose(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if names.is_empty() {
        return Ok(ALL.iter().collect());
    }
    let by_name = |name: &String| {
        let found = ALL.iter().find(|scenario| scenario.name == name);
        let known: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
        match found {
            Some(scenario) => Ok(scenario),
            None => bail!("no scenario {name:?}: there are {}", known.join(", ")),
        }
    };
    names.iter().map(by_name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_unknown_ones_are_errors() {
        let mut names: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(choose(&["h1".to_owned()]).unwrap().len(), 1);
        let error = choose(&["h4".to_owned()]).err().unwrap().to_string();
        assert!(error.contains("h2-tls"), "{error}");
    }
}
