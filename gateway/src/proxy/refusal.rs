//! Heads that Pingora's parser refuses: it tells the application nothing of
//! them, so the listener asks here what to answer, and the request is logged
//! and counted like others that are not HTTP.

use std::sync::Arc;

use http::{Method, StatusCode, Version};

use super::direct::{self, AnswerFields};
use super::failure::Failure;
use crate::listener::{Connection, Refusal};
use crate::observe::access_log::{AccessLog, Record};
use crate::observe::metrics::{RouteMetrics, Sample};

/// Stands in the log for what could not be read.
const UNKNOWN: &str = "-";

pub(super) fn refusal(unmatched: RouteMetrics, log: Arc<AccessLog>) -> Refusal {
    Arc::new(move |connection| {
        let status = StatusCode::BAD_REQUEST;
        let (answer, head) = direct::own(status, &Method::GET, &AnswerFields::none(), true);
        let status = status.as_u16();
        let sent = answer.len() as u64;
        unmatched.observe(&Sample {
            status,
            sent,
            ..Sample::default()
        });
        if log.enabled() {
            let mut record = record(connection);
            record.status = status;
            record.bytes_sent = sent;
            record.body_bytes_sent = (answer.len() - head) as u64;
            log.log(&record);
        }
        answer
    })
}

fn record(connection: &Connection) -> Record {
    let method = Method::from_bytes(UNKNOWN.as_bytes()).unwrap_or_default();
    let client = connection.client.ip();
    let mut record = Record::new(client, method, UNKNOWN.as_bytes(), Version::HTTP_11);
    record.scheme = if connection.tls.is_some() { "https" } else { "http" };
    record.reason = Some(Failure::BadRequest.reason());
    record
}
