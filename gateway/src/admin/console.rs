//! The pages of the admin port.

use std::sync::Arc;

use http::StatusCode;
use tidegate_snapshot::Problem;

use super::explain::{NOT_SERVED, explain};
use super::query::parameters;
use super::question::Question;
use super::server::{Pages, Reply};
use crate::observe::metrics::{Metrics, TEXT_FORMAT};
use crate::runtime::Runtime;

/// What `/` says.
const INDEX: &str = "/healthz  200 while ready and not draining (as in ingress-nginx)
/livez    200 while the process answers and its controller does something
/readyz   200 while traffic should be sent here
/metrics  in the Prometheus text format
/snapshot what is served, as JSON, without secrets
/clusters endpoints and their state, as JSON
/problems what is wrong with objects, as JSON
/explain?url=http://host/path[&method=M][&header=name:value]…[&output=json]";

/// What the pages are made of.
pub struct Console {
    /// What is served now.
    pub runtime: Box<dyn Fn() -> Arc<Runtime> + Send + Sync>,
    /// Whether traffic should be sent here, or why not.
    pub ready: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// Whether the process works, or what does not: for `/livez`.
    pub alive: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// What is wrong with objects.
    pub problems: Box<dyn Fn() -> Arc<Vec<Arc<Problem>>> + Send + Sync>,
    /// Everything that is counted.
    pub metrics: Arc<Metrics>,
    /// Another path for the health check.
    pub health_path: String,
}

impl Console {
    fn metrics(&self) -> Reply {
        Reply {
            status: StatusCode::OK,
            content_type: TEXT_FORMAT,
            body: self.metrics.encode().into_bytes(),
        }
    }

    fn clusters(&self) -> Reply {
        let runtime = (self.runtime)();
        let mut clusters: Vec<_> = runtime
            .clusters
            .values()
            .map(|cluster| cluster.status())
            .collect();
        clusters.sort_by(|a, b| a.key.cmp(&b.key));
        Reply::json(&clusters)
    }

    fn explain(&self, query: &str) -> Reply {
        match question(query) {
            Err(error) => Reply::text(StatusCode::BAD_REQUEST, &error),
            Ok((question, json)) => match explain(&(self.runtime)(), &question) {
                None => Reply::text(StatusCode::OK, NOT_SERVED),
                Some(explanation) if json => Reply::json(&explanation),
                Some(explanation) => Reply::text(StatusCode::OK, explanation.to_string().trim_end()),
            },
        }
    }
}

/// `ok`, or why not.
fn state(state: Result<(), String>, otherwise: StatusCode) -> Reply {
    match state {
        Ok(()) => Reply::text(StatusCode::OK, "ok"),
        Err(reason) => Reply::text(otherwise, &reason),
    }
}

/// The request that a query describes, and whether the answer is JSON.
fn question(query: &str) -> Result<(Question, bool), String> {
    let (mut url, mut method, mut headers, mut json) = (None, None, Vec::new(), false);
    for (name, value) in parameters(query) {
        match &*name {
            "url" => url = Some(value),
            "method" => method = Some(value),
            "header" => headers.push(value),
            "output" => {
                json = match &*value {
                    "json" => true,
                    "text" => false,
                    _ => return Err(format!("output {value:?} is neither text nor json")),
                }
            }
            _ => {
                return Err(format!(
                    "parameter {name:?} is none of url, method, header, output"
                ));
            }
        }
    }
    let url = url.ok_or("parameter url is missing: /explain?url=http://host/path")?;
    let headers = headers.iter().map(AsRef::as_ref);
    let question = Question::new(&url, method.as_deref().unwrap_or("GET"), headers)?;
    Ok((question, json))
}

impl Pages for Console {
    fn page(&self, path: &str, query: &str) -> Option<Reply> {
        let reply = match path {
            "/" => Reply::text(StatusCode::OK, INDEX),
            "/livez" => state((self.alive)(), StatusCode::SERVICE_UNAVAILABLE),
            "/readyz" => state((self.ready)(), StatusCode::SERVICE_UNAVAILABLE),
            "/metrics" => self.metrics(),
            "/snapshot" => Reply::json(&(self.runtime)().snapshot),
            "/clusters" => self.clusters(),
            "/problems" => Reply::json(&(self.problems)()),
            "/explain" => self.explain(query),
            _ if path == "/healthz" || path == self.health_path => {
                state((self.ready)(), StatusCode::INTERNAL_SERVER_ERROR)
            }
            _ => return None,
        };
        Some(reply)
    }
}
