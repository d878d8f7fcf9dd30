//! Listeners on loopback, with Pingora behind them.

mod deadlines;
mod drain;
mod early_data;
mod http;
mod ports;
mod proxy_header;
mod support;
mod tls;
