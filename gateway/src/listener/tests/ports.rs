//! Ports come and go at run time.

#[path = "../../../tests/support/ports.rs"]
mod free;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidegate_snapshot::{Listener, ListenerProtocol};
use tokio::net::TcpStream;

use super::support::*;
use crate::listener::Limits;

fn address() -> std::net::SocketAddr {
    let [address] = free::free_ports();
    address
}

fn at(address: std::net::SocketAddr) -> Listener {
    Listener { address, ..http() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn binds_and_unbinds() {
    let gateway = gateway(Limits::default());
    let table = table(&[], None);
    gateway.apply(&[("a", &http(), &table)]);
    let a = gateway.address("a");
    gateway.apply(&[("a", &http(), &table), ("b", &http(), &table)]);
    let b = gateway.address("b");
    assert_eq!(gateway.address("a"), a, "what stays is not bound anew");
    assert_ne!(a, b);
    let mut kept = connect(b).await;
    assert_eq!(fact(&ask(&mut kept, GET).await, "listener"), "b");
    gateway.apply(&[("b", &http(), &table)]);
    eventually("refused", || TcpListener::bind(a).is_ok()).await;
    assert!(TcpStream::connect(a).await.is_err());
    assert_eq!(gateway.listeners.statuses().len(), 1);
    let answer = ask(&mut kept, GET).await;
    assert!(
        answer.contains("Connection: keep-alive"),
        "others are left alone: {answer}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_listener_drains_only_its_own_connections() {
    let limits = Limits {
        removed_idle: std::time::Duration::from_millis(300),
        ..Limits::default()
    };
    let gateway = gateway(limits);
    let table = table(&[], None);
    gateway.apply(&[("a", &http(), &table), ("b", &http(), &table)]);
    let (a, b) = (gateway.address("a"), gateway.address("b"));
    let (mut idle, mut asking, mut other) = (connect(a).await, connect(a).await, connect(b).await);
    for stream in [&mut idle, &mut asking, &mut other] {
        ask(stream, GET).await;
    }
    gateway.apply(&[("b", &http(), &table)]);
    let answer = ask(&mut asking, GET).await;
    assert!(answer.contains("Connection: close"), "{answer}");
    assert_eq!(rest(&mut asking).await, "");
    assert_eq!(rest(&mut idle).await, "", "closed after the idle time");
    assert!(ask(&mut other, GET).await.contains("Connection: keep-alive"));
    assert_eq!(gateway.listeners.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_address_is_bound_anew() {
    let gateway = gateway(Limits::default());
    let table = table(&[], None);
    let old = gateway.serve(&at(address()), &table);
    let mut kept = connect(old).await;
    ask(&mut kept, GET).await;
    let new = gateway.serve(&at(address()), &table);
    assert_ne!(old, new);
    assert!(
        ask(&mut connect(new).await, GET)
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        ask(&mut kept, GET).await.contains("keep-alive"),
        "still the same listener"
    );
    eventually("the old one is closed", || TcpListener::bind(old).is_ok()).await;
}

#[tokio::test]
async fn changed_settings_keep_the_socket() {
    let gateway = gateway(Limits::default());
    let default = certificate(&["a.test"]);
    let table = table(&[], Some(&default));
    let address = gateway.serve(&http(), &table);
    assert!(
        ask(&mut connect(address).await, GET)
            .await
            .starts_with("HTTP/1.1 200")
    );
    let spec = Listener {
        protocol: ListenerProtocol::Https,
        ..http()
    };
    assert_eq!(gateway.serve(&spec, &table), address);
    let answer = exchange(address, GET).await;
    assert!(answer.contains("sent to HTTPS port"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_port_is_reported_and_recovers() {
    let gateway = gateway(Limits::default());
    let table = table(&[], None);
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let spec = at(busy.local_addr().unwrap());
    gateway.apply(&[("a", &http(), &table), ("b", &spec, &table)]);
    let error = gateway.status("b").unwrap_err();
    assert!(
        error.contains(&spec.address.to_string()) && error.contains("in use"),
        "{error}"
    );
    assert!(
        ask(&mut connect(gateway.address("a")).await, GET)
            .await
            .starts_with("HTTP/1.1 200")
    );
    drop(busy);
    eventually("bound", || gateway.status("b").is_ok()).await;
    assert!(
        ask(&mut connect(spec.address).await, GET)
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_may_swap_their_ports() {
    let gateway = gateway(Limits::default());
    let table = table(&[], None);
    let (one, two) = (at(address()), at(address()));
    gateway.apply(&[("a", &one, &table), ("b", &two, &table)]);
    gateway.apply(&[("a", &two, &table), ("b", &one, &table)]);
    assert_eq!(gateway.address("a"), two.address);
    let answer = ask(&mut connect(one.address).await, GET).await;
    assert_eq!(fact(&answer, "listener"), "b");
}

#[tokio::test]
async fn an_ipv6_wildcard_serves_ipv4_under_its_own_address() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&at("[::]:0".parse().unwrap()), &table(&[], None));
    let mut stream = connect(([127, 0, 0, 1], address.port()).into()).await;
    let answer = ask(&mut stream, GET).await;
    assert_eq!(fact(&answer, "client"), stream.local_addr().unwrap().to_string());
}

/// The port goes to a listener of another name and back while clients connect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_is_lost_while_listeners_change() {
    let gateway = Arc::new(gateway(Limits::default()));
    let table = table(&[], None);
    let spec = at(address());
    gateway.apply(&[("a", &spec, &table)]);
    let done = Arc::new(AtomicBool::new(false));
    let changing = {
        let (gateway, table, done, spec) = (gateway.clone(), table.clone(), done.clone(), spec.clone());
        tokio::spawn(async move {
            let mut changes = 0;
            while !done.load(Ordering::Relaxed) {
                let name = if changes % 2 == 0 { "b" } else { "a" };
                gateway.apply(&[(name, &spec, &table), ("other", &http(), &table)]);
                changes += 1;
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            changes
        })
    };
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..200 {
        clients.spawn(async move {
            let mut stream = connect(spec.address).await;
            ask(&mut stream, GET).await
        });
        tokio::task::yield_now().await;
    }
    while let Some(answer) = clients.join_next().await {
        let answer = answer.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    }
    done.store(true, Ordering::Relaxed);
    assert!(changing.await.unwrap() > 1);
}

/// What had been accepted by the kernel before the port was closed is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_a_port_serves_its_queue() {
    let gateway = gateway(Limits::default());
    let table = table(&[], None);
    for _ in 0..20 {
        let address = gateway.serve(&http(), &table);
        let streams: Vec<_> = (0..10)
            .map(|_| std::net::TcpStream::connect(address).unwrap())
            .collect();
        gateway.apply(&[]);
        for stream in streams {
            stream.set_nonblocking(true).unwrap();
            let mut stream = TcpStream::from_std(stream).unwrap();
            assert!(ask(&mut stream, GET).await.starts_with("HTTP/1.1 200"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_close_with_their_owner() {
    let gateway = gateway(Limits::default());
    let address = gateway.serve(&http(), &table(&[], None));
    drop(gateway);
    eventually("closed", || TcpListener::bind(address).is_ok()).await;
}
