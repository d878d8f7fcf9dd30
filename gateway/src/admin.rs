//! The admin port: probes, metrics and dumps, on a port of its own, never on
//! those for traffic. Shows no secrets.

mod console;
mod explain;
mod query;
mod question;
mod server;

pub use console::Console;
pub use explain::{NOT_SERVED, explain};
pub use question::Question;
pub use server::{Pages, Reply, serve};
