use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use hickory_resolver::Name;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::proto::xfer::Protocol;
use parking_lot::Mutex;
use tidegate_snapshot::{ClusterKey, LoadBalancing};

use super::super::fixtures::spec;
use super::super::shared::{Clock, Shared};
use super::*;
use crate::dns_server::DnsServer;

/// Answers from a table that tests change; counts questions.
#[derive(Default)]
struct Table {
    answers: Mutex<HashMap<String, Answer>>,
    questions: Mutex<Vec<String>>,
}

#[async_trait]
impl Resolve for Table {
    async fn resolve(&self, name: &str) -> Result<Answer, ResolveError> {
        self.questions.lock().push(name.to_owned());
        let answer = self.answers.lock().get(name).cloned();
        answer.ok_or_else(|| ResolveError("no such name".to_owned()))
    }
}

impl Table {
    fn set(&self, name: &str, addresses: &[&str], seconds: u64) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.answers.lock().insert(
            name.to_owned(),
            Answer {
                addresses,
                ttl: Duration::from_secs(seconds),
            },
        );
    }

    fn asked(&self) -> usize {
        self.questions.lock().len()
    }
}

fn external(name: &str, table: &Arc<Table>) -> (Arc<Cluster>, Arc<Shared>) {
    external_with(name, table, false)
}

fn external_with(name: &str, table: &Arc<Table>, ipv4_only: bool) -> (Arc<Cluster>, Arc<Shared>) {
    let shared = Shared::with(Clock::manual(), table.clone());
    let mut spec = spec(LoadBalancing::RoundRobin);
    spec.discovery = Discovery::Dns {
        name: name.into(),
        port: 8443,
        ipv4_only,
    };
    (
        Cluster::new(ClusterKey("external".into()), Arc::new(spec), &shared),
        shared,
    )
}

fn addresses(cluster: &Cluster) -> Vec<String> {
    cluster
        .status()
        .endpoints
        .iter()
        .map(|endpoint| endpoint.address.to_string())
        .collect()
}

/// One round: the seconds until the next, and the failures before it.
async fn round(cluster: &Arc<Cluster>, failures: u32, table: &Table, shared: &Shared) -> (u64, u32) {
    let permits = Semaphore::new(1);
    let watched = Arc::downgrade(cluster);
    let next = look_up(watched, failures, table, &permits, &shared.counters)
        .await
        .expect("the cluster lives");
    let wait = next.due.saturating_duration_since(Instant::now());
    (wait.as_secs_f64().round() as u64, next.failures)
}

#[tokio::test]
async fn a_name_becomes_endpoints_until_its_ttl() {
    let table = Arc::new(Table::default());
    let (cluster, shared) = external("db.example", &table);
    table.set("db.example", &["192.0.2.2", "192.0.2.1"], 5);
    assert_eq!(round(&cluster, 0, &table, &shared).await, (5, 0));
    assert_eq!(addresses(&cluster), ["192.0.2.1:8443", "192.0.2.2:8443"]);
    table.set("db.example", &["192.0.2.3"], 5);
    round(&cluster, 0, &table, &shared).await;
    assert_eq!(addresses(&cluster), ["192.0.2.3:8443"]);
    assert_eq!(shared.counters.names_resolved.value(), 2);
}

#[tokio::test]
async fn times_to_live_are_bounded() {
    let table = Arc::new(Table::default());
    let (cluster, shared) = external("db.example", &table);
    table.set("db.example", &["192.0.2.1"], 0);
    assert_eq!(round(&cluster, 0, &table, &shared).await, (1, 0));
    table.set("db.example", &["192.0.2.1"], 86_400);
    assert_eq!(round(&cluster, 0, &table, &shared).await, (60, 0));
}

#[tokio::test]
async fn a_failure_keeps_the_last_good_answer_and_backs_off() {
    let table = Arc::new(Table::default());
    let (cluster, shared) = external("db.example", &table);
    table.set("db.example", &["192.0.2.1"], 5);
    round(&cluster, 0, &table, &shared).await;
    table.answers.lock().clear();
    let mut failures = 0;
    for expected in [1, 2, 4, 8, 16, 30, 30] {
        let (wait, next) = round(&cluster, failures, &table, &shared).await;
        assert_eq!((wait, next), (expected, failures + 1));
        failures = next;
    }
    assert_eq!(addresses(&cluster), ["192.0.2.1:8443"]);
    assert_eq!(shared.counters.names_failed.value(), 7);
    table.set("db.example", &["192.0.2.9"], 5);
    assert_eq!(round(&cluster, failures, &table, &shared).await, (5, 0));
    assert_eq!(addresses(&cluster), ["192.0.2.9:8443"]);
}

#[tokio::test]
async fn loopback_is_refused() {
    let table = Arc::new(Table::default());
    let (cluster, shared) = external("evil.example", &table);
    let this_host = [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "0.0.0.0",
        "::",
        "::ffff:127.0.0.1",
    ];
    table.set("evil.example", &this_host, 5);
    round(&cluster, 0, &table, &shared).await;
    assert!(cluster.is_empty());
    table.set("evil.example", &["127.0.0.1", "192.0.2.1"], 5);
    round(&cluster, 0, &table, &shared).await;
    assert_eq!(addresses(&cluster), ["192.0.2.1:8443"]);
}

/// `disable-ipv6-dns`: the answer's IPv6 addresses are as if they were not there.
#[tokio::test]
async fn ipv6_addresses_are_left_out_where_asked() {
    let table = Arc::new(Table::default());
    let (cluster, shared) = external_with("db.example", &table, true);
    table.set("db.example", &["2001:db8::1", "192.0.2.1"], 5);
    round(&cluster, 0, &table, &shared).await;
    assert_eq!(addresses(&cluster), ["192.0.2.1:8443"]);
    let (cluster, shared) = external("db.example", &table);
    round(&cluster, 0, &table, &shared).await;
    assert_eq!(addresses(&cluster), ["192.0.2.1:8443", "[2001:db8::1]:8443"]);
}

#[tokio::test]
async fn the_task_asks_for_newcomers_at_once_and_again_until_they_are_dropped() {
    let table = Arc::new(Table::default());
    table.set("db.example", &["192.0.2.1"], 0);
    let (cluster, shared) = external("db.example", &table);
    let task = tokio::spawn(Arc::clone(&shared).run());
    let second_question = async {
        while table.asked() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), second_question)
        .await
        .expect("asked again after a second");
    assert!(!cluster.is_empty());
    drop(cluster);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(table.asked(), 2);
    task.abort();
}

/// A DNS server that knows these names, and a resolver that asks it.
async fn server(names: &[(&str, &str)]) -> (DnsResolver, DnsServer) {
    let server = DnsServer::start("127.0.0.1:0", names).await;
    let search = vec![
        Name::from_ascii("shop.svc.").unwrap(),
        Name::from_ascii("svc.").unwrap(),
    ];
    let name_server = NameServerConfig::new(server.address, Protocol::Udp);
    let config = ResolverConfig::from_parts(None, search, vec![name_server]);
    let mut options = ResolverOpts::default();
    options.ndots = 5;
    (DnsResolver::new(config, options), server)
}

#[tokio::test]
async fn a_records_come_first_and_their_ttl_holds() {
    let (resolver, server) = server(&[("db.example.", "192.0.2.1"), ("db.example.", "2001:db8::1")]).await;
    let answer = resolver.resolve("db.example.").await.unwrap();
    assert_eq!(answer.addresses, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
    assert!(
        answer.ttl > Duration::from_secs(5) && answer.ttl <= Duration::from_secs(7),
        "{:?}",
        answer.ttl
    );
    assert_eq!(server.questions(), ["db.example. A"]);
}

#[tokio::test]
async fn aaaa_records_only_without_any_a() {
    let (resolver, server) = server(&[("six.example.", "2001:db8::1")]).await;
    let answer = resolver.resolve("six.example.").await.unwrap();
    assert_eq!(answer.addresses, ["2001:db8::1".parse::<IpAddr>().unwrap()]);
    assert_eq!(server.questions(), ["six.example. A", "six.example. AAAA"]);
}

/// A server's answer with nothing but IPv6 leaves a cluster with
/// `disable-ipv6-dns` empty: its routes answer 503.
#[tokio::test]
async fn only_ipv6_of_a_server_is_nothing_where_asked() {
    let (resolver, _server) = server(&[("six.example.", "2001:db8::1")]).await;
    let table = Arc::new(Table::default());
    for (ipv4_only, wanted) in [(true, &[][..]), (false, &["[2001:db8::1]:8443".to_owned()])] {
        let (cluster, shared) = external_with("six.example.", &table, ipv4_only);
        let permits = Semaphore::new(1);
        look_up(Arc::downgrade(&cluster), 0, &resolver, &permits, &shared.counters).await;
        assert_eq!(addresses(&cluster), wanted);
    }
}

#[tokio::test]
async fn search_domains_hold_unless_the_name_is_absolute() {
    let (resolver, server) = server(&[("web.svc.", "192.0.2.1")]).await;
    assert_eq!(resolver.resolve("web").await.unwrap().addresses.len(), 1);
    assert!(server.questions().contains(&"web.shop.svc. A".to_owned()));
    let error = resolver.resolve("web.").await.unwrap_err();
    assert!(!error.to_string().is_empty());
    let questions = server.questions();
    assert!(questions.iter().all(|question| question.starts_with("web. ")));
}

#[tokio::test]
async fn every_answer_is_fresh() {
    let (resolver, server) = server(&[("db.example.", "192.0.2.1")]).await;
    resolver.resolve("db.example.").await.unwrap();
    resolver.resolve("db.example.").await.unwrap();
    assert_eq!(server.questions().len(), 2);
}
