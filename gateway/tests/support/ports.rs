//! Ports for servers that other processes start.
//!
//! A port that the kernel chooses can be chosen again before its server has
//! bound it: by another test's listener, or as the source of a connection.
//! These are below the range that it chooses from, and each is given out once.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each user uses a part of it"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

use socket2::{Domain, Socket, Type};

/// Above what services have by habit, below NodePorts (30000) and the kernel's
/// own choice (`ip_local_port_range`, 32768 by default).
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

static GIVEN: AtomicU16 = AtomicU16::new(0);

/// A port that nobody uses, over TCP or UDP.
///
/// # Panics
/// When all are taken.
pub fn free_port() -> u16 {
    // Other processes of tests start elsewhere.
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let next = start.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed).into());
        let port = FIRST + (next % u32::from(COUNT)) as u16;
        if [Type::STREAM, Type::DGRAM]
            .into_iter()
            .all(|kind| is_free(port, kind))
        {
            return port;
        }
    }
    panic!("no port is free");
}

/// So many of them on loopback.
pub fn free_ports<const N: usize>() -> [SocketAddr; N] {
    std::array::from_fn(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())))
}

/// Never listens: somebody might connect.
fn is_free(port: u16, kind: Type) -> bool {
    let socket = Socket::new(Domain::IPV4, kind, None).unwrap();
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    socket.bind(&address.into()).is_ok()
}
