//! A DNS server that knows a few names and keeps the questions. Shared by the
//! library's tests and the integration tests.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "tests; each uses a part of it"
)]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::{RData, Record};
use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Seconds that its answers hold.
pub const TTL: u32 = 7;

/// It ends when dropped.
pub struct DnsServer {
    /// Where it listens, over UDP.
    pub address: SocketAddr,
    questions: Arc<Mutex<Vec<String>>>,
    answering: JoinHandle<()>,
}

impl DnsServer {
    /// Starts one that knows these names, which are absolute, with an address each.
    pub async fn start(address: &str, names: &[(&str, &str)]) -> Self {
        let socket = UdpSocket::bind(address).await.unwrap();
        let address = socket.local_addr().unwrap();
        let names = names
            .iter()
            .map(|(name, ip)| ((*name).to_owned(), ip.parse().unwrap()));
        let names: Vec<(String, IpAddr)> = names.collect();
        let questions = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&questions);
        let answering = tokio::spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
                let question = Message::from_vec(&buffer[..length]).unwrap();
                let query = &question.queries()[0];
                kept.lock()
                    .push(format!("{} {}", query.name(), query.query_type()));
                let answer = answer(&question, &names).to_vec().unwrap();
                socket.send_to(&answer, client).await.unwrap();
            }
        });
        Self {
            address,
            questions,
            answering,
        }
    }

    /// What was asked since the last call: names with the type of record.
    pub fn questions(&self) -> Vec<String> {
        std::mem::take(&mut self.questions.lock())
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

fn answer(question: &Message, names: &[(String, IpAddr)]) -> Message {
    let query = question.queries()[0].clone();
    let name = query.name().to_string();
    let known: Vec<_> = names.iter().filter(|(known, _)| *known == name).collect();
    let mut answer = Message::new();
    answer
        .set_id(question.id())
        .set_message_type(MessageType::Response)
        .add_query(query.clone());
    answer.set_recursion_desired(true).set_recursion_available(true);
    if known.is_empty() {
        answer.set_response_code(ResponseCode::NXDomain);
    }
    for (_, ip) in known {
        let data = match *ip {
            IpAddr::V4(ip) => RData::A(ip.into()),
            IpAddr::V6(ip) => RData::AAAA(ip.into()),
        };
        if data.record_type() == query.query_type() {
            answer.add_answer(Record::from_rdata(query.name().clone(), TTL, data));
        }
    }
    answer
}
