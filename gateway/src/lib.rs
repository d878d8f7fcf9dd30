//! Tidegate's data plane: takes snapshots, serves traffic.
//!
//! Imports point one way: `proxy` → `policy`, `router`, `upstream` → `runtime`
//! types; none of these import `proxy`, and policies and router know no
//! transport. `listener` accepts connections and feeds Pingora's HTTP proxy.

pub mod admin;
pub mod cookie;
mod copy;
pub mod gateway;
pub mod geoip;
pub mod listener;
pub mod observe;
pub mod path;
pub mod policy;
pub mod proxy;
pub mod request;
pub mod router;
pub mod runtime;
pub mod settings;
pub mod template;
pub mod tls;
pub mod upstream;
pub mod webhook;

#[cfg(test)]
#[path = "../tests/support/dns_server.rs"]
mod dns_server;
#[cfg(test)]
#[path = "../tests/support/early_data.rs"]
mod early_data;
#[cfg(test)]
#[path = "../tests/support/trust_all.rs"]
mod trust_all;
