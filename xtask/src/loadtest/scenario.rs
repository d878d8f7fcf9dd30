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
    /// The Origin field of the requests.
    pub(super) origin: Option<&'static str>,
    pub(super) case: Case,
    /// What every peer is measured with as well, in the same rounds.
    pub(super) base: Option<Base>,
    /// The part of `--rate` at which latency is measured: what all peers can do.
    latency: f64,
}

/// What is configured, and which part of it is asked.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Case {
    /// Behind the proxy's name in tables, unless it is what the scenario is about.
    pub(super) name: &'static str,
    pub(super) host: &'static str,
    pub(super) path: &'static str,
    /// Hosts that are configured.
    pub(super) hosts: usize,
    pub(super) access_log: bool,
    /// Filters for policies, where a proxy runs them for every route.
    pub(super) policies: bool,
}

/// The same without what the scenario is about.
pub(super) struct Base {
    pub(super) case: Case,
    /// The goal: so many times what the base costs, at most.
    pub(super) most: f64,
}

const SITE: Case = Case {
    name: "",
    host: "host0.example",
    path: "/",
    hosts: 1000,
    access_log: false,
    policies: false,
};

const PLAIN: Scenario = Scenario {
    name: "h1",
    about: "HTTP/1.1 keep-alive, 1 KiB, 64 connections",
    load: "h1",
    connections: 64,
    origin: None,
    case: SITE,
    base: None,
    latency: 1.0,
};

const ALL: &[Scenario] = &[
    PLAIN,
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
        latency: 0.1,
        ..PLAIN
    },
    Scenario {
        name: "resumed",
        about: "a resumed TLS 1.3 session and a connection for each request",
        load: "resumed",
        latency: 0.1,
        ..PLAIN
    },
    Scenario {
        name: "100k",
        about: "HTTP/1.1 keep-alive, 100 KiB answers, 64 connections",
        case: Case {
            path: "/100k",
            ..SITE
        },
        latency: 0.3,
        ..PLAIN
    },
    Scenario {
        name: "10m",
        about: "HTTP/1.1 keep-alive, 10 MiB answers, 8 connections",
        case: Case { path: "/10m", ..SITE },
        connections: 8,
        latency: 0.005,
        ..PLAIN
    },
    Scenario {
        name: "upload",
        about: "HTTP/1.1 keep-alive, request bodies of 1 MiB, 16 connections",
        load: "upload",
        case: Case {
            path: "/upload",
            ..SITE
        },
        connections: 16,
        latency: 0.03,
        ..PLAIN
    },
    Scenario {
        name: "websocket",
        about: "WebSocket, 1 KiB sent and echoed, 64 connections",
        load: "websocket",
        ..PLAIN
    },
    Scenario {
        name: "grpc",
        about: "unary calls of gRPC over TLS 1.3, 1 KiB sent and echoed, 64 connections with 10 streams",
        load: "grpc",
        case: Case {
            host: "grpc.example",
            path: "/tidegate.Load/Echo",
            ..SITE
        },
        latency: 0.5,
        ..PLAIN
    },
    Scenario {
        name: "hosts-10000",
        about: "10,000 hosts in turn, all of them configured; beside ten",
        load: "hosts",
        case: Case {
            hosts: 10_000,
            ..SITE
        },
        base: Some(Base {
            case: Case {
                name: "10 hosts",
                hosts: 10,
                ..SITE
            },
            most: 1.05,
        }),
        ..PLAIN
    },
    Scenario {
        name: "policies",
        about: "rewrite, CORS, source range, rate and connection limit, cookie path on the route; beside a bare one",
        origin: Some("https://app.example"),
        case: Case {
            host: "policies.example",
            path: "/app/",
            policies: true,
            ..SITE
        },
        base: Some(Base {
            case: Case { name: "bare", ..SITE },
            most: 1.3,
        }),
        ..PLAIN
    },
    Scenario {
        name: "access-log",
        about: "HTTP/1.1 keep-alive, 1 KiB, 64 connections, a line written for each request; beside none",
        case: Case {
            access_log: true,
            ..SITE
        },
        base: Some(Base {
            case: Case {
                name: "no log",
                ..SITE
            },
            most: 1.1,
        }),
        ..PLAIN
    },
];

impl Scenario {
    /// What every peer is measured with, the scenario's own case first.
    pub(super) fn cases(&self) -> impl Iterator<Item = Case> {
        std::iter::once(self.case).chain(self.base.as_ref().map(|base| base.case))
    }

    /// Requests a second when latency is measured.
    pub(super) fn latency_rate(&self, rate: u32) -> u32 {
        (f64::from(rate) * self.latency).round().max(1.0) as u32
    }

    /// The backend is `loadtest/generator`, for nginx does not echo.
    pub(super) fn is_echoed(&self) -> bool {
        self.load == "websocket"
    }

    /// There is a backend for gRPC too, `loadtest/generator` as well.
    pub(super) fn is_grpc(&self) -> bool {
        self.load == "grpc"
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
            None => bail!(
                "no scenario {name:?}: there are {}, control-plane",
                known.join(", ")
            ),
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

    #[test]
    fn a_base_has_a_name_and_is_another_case() {
        for scenario in ALL {
            assert_eq!(scenario.case.name, "", "{}", scenario.name);
            if let Some(base) = &scenario.base {
                assert!(!base.case.name.is_empty() && base.most > 1.0, "{}", scenario.name);
                assert_eq!(scenario.cases().count(), 2);
            }
        }
    }
}
