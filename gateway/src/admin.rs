//! The admin port: probes, metrics and dumps, on a port of its own, never on
//! those for traffic. Shows no secrets.

mod query;
mod server;

pub use server::{Pages, Reply, serve};
